//! The query of a call: only parameters that the route knows, each once, each of its form.
use super::{
    problem::{Code, Problem},
    table::Parameter,
};
use crate::domain::Timestamp;

/// Entries of a page where the query does not say.
pub const PER_PAGE: usize = 30;
/// Entries of one page.
pub const PER_PAGE_MAX: usize = 100;
/// Length of a query, in bytes.
const QUERY_BYTES_MAX: usize = 4 * 1024;

/// The parameters that were given, checked against the route's.
#[derive(Debug, Default)]
pub struct Query {
    given: Vec<(&'static str, String)>,
}

impl Query {
    pub fn read(text: &str, known: &'static [Parameter]) -> Result<Self, Problem> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(invalid("The query is too long."));
        }
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            // A name that is misspelt would otherwise widen the answer: `rol=owner` lists everybody.
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                return Err(invalid("The query has a parameter that this operation does not know."));
            };
            if query.text(parameter.name).is_some() {
                return Err(invalid(format!("{} is given twice.", parameter.name)));
            }
            if !parameter.form.allows(&value) {
                return Err(invalid(format!("{} must be {}.", parameter.name, parameter.form.words())));
            }
            query.given.push((parameter.name, value.into_owned()));
        }
        Ok(query)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Reads a parameter; what cannot be read is refused.
    pub fn parsed<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let unreadable = || invalid(format!("{name} is not valid."));
        self.text(name).map(|text| parse(text).ok_or_else(unreadable)).transpose()
    }

    /// The query with one parameter set, or set anew.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.given.iter().filter(|(known, _)| *known != name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others.map(|(name, value)| (*name, value.as_str())));
        query.append_pair(name, value).finish()
    }

    pub fn per_page(&self) -> usize {
        self.text("per_page").and_then(|text| text.parse().ok()).unwrap_or(PER_PAGE)
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::told(Code::ParameterInvalid, message)
}

/// What a parameter's value looks like.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// So many entries.
    PageSize,
    /// Lower-case hexadecimal digits, twice as many as these bytes.
    Hex(usize),
    OneOf(&'static [&'static str]),
    /// Text of at most so many bytes.
    Text(usize),
    /// An integer from 0.
    Count,
    /// A point in time, as RFC 3339 writes it.
    Time,
}

impl Form {
    pub fn allows(self, value: &str) -> bool {
        let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::PageSize => {
                is_number && value.parse().is_ok_and(|size: usize| (1..=PER_PAGE_MAX).contains(&size))
            }
            Self::Hex(bytes) => {
                value.len() == 2 * bytes && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            }
            Self::OneOf(words) => words.contains(&value),
            Self::Text(bytes_max) => (1..=bytes_max).contains(&value.len()),
            Self::Count => is_number && value.parse::<i64>().is_ok(),
            // RFC 3339 5.6 alone: what reads the value knows other spellings too.
            Self::Time => {
                value.len() >= "2026-01-01T00:00:00Z".len()
                    && value.as_bytes().get(10).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'T'))
                    && value.parse::<Timestamp>().is_ok()
            }
        }
    }

    fn words(self) -> String {
        match self {
            Self::PageSize => format!("a number from 1 to {PER_PAGE_MAX}"),
            Self::Hex(bytes) => format!("{} lower-case hexadecimal digits", 2 * bytes),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Text(bytes_max) => format!("text of 1 to {bytes_max} bytes"),
            Self::Count => "a number from 0".to_owned(),
            Self::Time => "a time such as 2026-03-01T00:00:00Z".to_owned(),
        }
    }

    /// As OpenAPI says it.
    pub fn schema(self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::PageSize => {
                json!({"type": "integer", "minimum": 1, "maximum": PER_PAGE_MAX, "default": PER_PAGE})
            }
            Self::Hex(bytes) => json!({"type": "string", "pattern": format!("^[0-9a-f]{{{}}}$", 2 * bytes)}),
            Self::OneOf(words) => json!({"type": "string", "enum": words}),
            // OpenAPI counts characters and we count bytes: what is longer in bytes is refused all the same.
            Self::Text(bytes_max) => json!({"type": "string", "minLength": 1, "maxLength": bytes_max}),
            Self::Count => json!({"type": "integer", "format": "int64", "minimum": 0}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Parameter] = &[
        Parameter { name: "per_page", form: Form::PageSize, about: "" },
        Parameter { name: "role", form: Form::OneOf(&["all", "owner"]), about: "" },
        Parameter { name: "after", form: Form::Hex(2), about: "" },
    ];

    #[test]
    fn times_are_those_of_rfc_3339() {
        for good in ["2026-03-01T00:00:00Z", "2026-03-01T01:02:03.456+02:00", "2026-03-01t00:00:00z"] {
            assert!(Form::Time.allows(good), "{good}");
        }
        for bad in [
            "",
            "yesterday",
            "2026-03-01",
            "2026-03-01 00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-03-01T00:00:00",
        ] {
            assert!(!Form::Time.allows(bad), "{bad}");
        }
    }

    #[test]
    fn only_what_is_known_once_and_in_its_form() {
        let query = Query::read("role=owner&per_page=7", KNOWN).unwrap();
        assert_eq!((query.per_page(), query.text("role")), (7, Some("owner")));
        assert_eq!(query.with("after", "ab"), "role=owner&per_page=7&after=ab");
        assert_eq!(query.with("role", "all"), "per_page=7&role=all");
        assert_eq!(Query::read("", KNOWN).unwrap().per_page(), PER_PAGE);
        for wrong in [
            "rol=owner",
            "role=owner&role=all",
            "role=Owner",
            "role",
            "per_page=0",
            "per_page=101",
            "per_page=-1",
            "per_page=+1",
            "per_page=1e9",
            "per_page=99999999999999999999",
            "after=ABCD",
            "after=abc",
            "role=owner&x=%00",
        ] {
            assert_eq!(
                Query::read(wrong, KNOWN).unwrap_err().code,
                Code::ParameterInvalid.as_str(),
                "{wrong}"
            );
        }
    }
}
