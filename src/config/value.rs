//! From what stands in a file or a variable to typed data: kinds, ranges, durations.
use super::{fault::Place, schema::Kind};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// A value of the right kind and range.
pub enum Data {
    Text(String),
    /// Durations too, in seconds.
    Integer(u64),
    Switch(bool),
    Texts(Vec<Placed<String>>),
    Mappings(Vec<RawMapping>),
}

/// A group mapping as it stands in the file.
pub struct RawMapping {
    pub place: Place,
    pub group: Option<Placed<String>>,
    pub organization: Option<Placed<String>>,
    pub role: Option<Placed<String>>,
    /// `match`; exact if left out.
    pub matches: Option<Placed<String>>,
}

/// Why a value is refused, and how to mend it.
pub type Refused = (String, String);

pub const MAPPING_HINT: &str = "write { group = \"...\", organization = \"...\", role = \"member\" }";

/// A TOML string for a key of this kind.
pub fn from_text(kind: Kind, text: &str, place: &Place) -> Result<Data, Refused> {
    match kind {
        Kind::Text => Ok(Data::Text(text.to_owned())),
        Kind::Choice(words) if words.contains(&text) => Ok(Data::Text(text.to_owned())),
        Kind::Choice(words) => Err((format!("{text:?} is not known"), format!("use {}", either(words)))),
        Kind::Duration(min, max) => duration(text, min, max).map(Data::Integer),
        Kind::TextsOrAll if text == "*" => {
            Ok(Data::Texts(vec![Placed { value: text.to_owned(), place: place.clone() }]))
        }
        Kind::Integer(..) | Kind::Switch | Kind::Texts | Kind::TextsOrAll | Kind::Mappings => {
            Err(mismatch(kind, "string"))
        }
    }
}

/// A TOML integer, by its digits and their base, for a key of this kind.
pub fn from_integer(kind: Kind, digits: &str, radix: u32) -> Result<Data, Refused> {
    let Kind::Integer(min, max) = kind else { return Err(mismatch(kind, "integer")) };
    match u64::from_str_radix(digits, radix) {
        Ok(number) if (min..=max).contains(&number) => Ok(Data::Integer(number)),
        _ => Err((format!("{digits} is out of range"), format!("use a number from {min} to {max}"))),
    }
}

/// An environment variable for a key of this kind; lists are separated by commas.
pub fn from_variable(kind: Kind, text: &str, place: &Place) -> Result<Data, Refused> {
    match kind {
        Kind::Integer(min, max) if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) => {
            Err(("is no whole number".into(), format!("use a number from {min} to {max}")))
        }
        Kind::Integer(..) => from_integer(kind, text, 10),
        Kind::Switch => match text {
            "true" => Ok(Data::Switch(true)),
            "false" => Ok(Data::Switch(false)),
            _ => Err(("is neither true nor false".into(), "use true or false".into())),
        },
        Kind::Texts | Kind::TextsOrAll => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let placed = |item: &str| Placed { value: item.to_owned(), place: place.clone() };
            Ok(Data::Texts(items.map(placed).collect()))
        }
        Kind::Mappings => {
            Err(("cannot be set from the environment".into(), "set the mappings in the file".into()))
        }
        Kind::Text | Kind::Choice(_) | Kind::Duration(..) => from_text(kind, text, place),
    }
}

/// The fault of a value of another kind.
pub fn mismatch(kind: Kind, found: &str) -> Refused {
    let hint = match kind {
        Kind::Text => "write a text in quotes".into(),
        Kind::Choice(words) => format!("use {}", either(words)),
        Kind::Integer(min, max) => format!("use a number from {min} to {max}, without quotes"),
        Kind::Switch => "use true or false, without quotes".into(),
        Kind::Duration(..) => DURATION_HINT.into(),
        Kind::Texts => "write a list of texts: [\"...\"]".into(),
        Kind::TextsOrAll => "write a list of texts, [\"...\"], or \"*\" for all".into(),
        Kind::Mappings => format!("write a list: [{}]", MAPPING_HINT.trim_start_matches("write ")),
    };
    (format!("is {}, not {}", kind_of(found), wanted(kind)), hint)
}

/// TOML's word for a type with its article.
pub fn kind_of(found: &str) -> String {
    let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {found}")
}

const DURATION_HINT: &str = "write a number and a unit, s, m, h or d: \"30s\", \"8h\"";

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Choice(_) => "a string",
        Kind::Integer(..) => "an integer",
        Kind::Switch => "a boolean",
        Kind::Duration(..) => "a duration",
        Kind::Texts | Kind::TextsOrAll | Kind::Mappings => "a list",
    }
}

fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    quoted.join(" or ")
}

/// Seconds of a text like `30s`, `15m`, `8h`, `7d`.
fn duration(text: &str, min: u64, max: u64) -> Result<u64, Refused> {
    let malformed = || (format!("{text:?} is no duration"), DURATION_HINT.to_owned());
    let unit = text.chars().last().ok_or_else(malformed)?;
    let unit_seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(malformed()),
    };
    let digits = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(malformed)?;
    match number.checked_mul(unit_seconds) {
        Some(seconds) if (min..=max).contains(&seconds) => Ok(seconds),
        _ => {
            let hint = format!("use a duration from {} to {}", shown_duration(min), shown_duration(max));
            Err((format!("{text:?} is out of range"), hint))
        }
    }
}

/// As the file would spell it, in the largest unit that fits.
fn shown_duration(seconds: u64) -> String {
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let fitting = units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    fitting.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = |text| duration(text, 10, 100_000).ok();
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!(seconds("15m"), Some(900));
        assert_eq!(seconds("8h"), Some(28_800));
        assert_eq!(seconds("1d"), Some(86_400));
        for wrong in
            ["", "s", "8", "8 h", "-8h", "+8h", "8hh", "1.5h", "9s", "2d", "99999999999999999999s", "é"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        assert_eq!(seconds(&format!("{}d", u64::MAX)), None);
    }

    #[test]
    fn integers_keep_to_their_range() {
        let number = |digits| match from_integer(Kind::Integer(5, 9), digits, 10) {
            Ok(Data::Integer(number)) => Some(number),
            _ => None,
        };
        assert_eq!(number("5"), Some(5));
        assert_eq!(number("9"), Some(9));
        assert_eq!(number("4"), None);
        assert_eq!(number("10"), None);
        assert_eq!(number("-5"), None);
        assert!(from_variable(Kind::Integer(5, 9), "+7", &Place::Variable("X".into())).is_err());
    }
}
