//! Which part of a list is asked for (RFC 7644 3.4.2.4, RFC 9865 2).
use super::{
    error::{Reason, ScimError},
    limits::{PAGE_RESOURCES, PAGE_RESOURCES_MAX},
};

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub start: Start,
    /// How many resources at most; none: only how many there are.
    pub count: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the resource of this number, counted from 1.
    Index(usize),
    /// By cursors, at the beginning.
    First,
    /// Where a cursor says, which is still to be opened.
    Cursor(String),
}

impl Page {
    /// Reads the parameters of a query. A `cursor`, empty on the first page, is instead of `startIndex`.
    pub fn parse(
        start_index: Option<&str>,
        count: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Self, ScimError> {
        let count = count.map(str::trim_ascii).filter(|count| !count.is_empty());
        match cursor {
            Some(cursor) => {
                // RFC 9865 2.3: a count that cannot be had is refused.
                let count = match count {
                    None => PAGE_RESOURCES,
                    Some(count) => match integer(count) {
                        Some(count) if count >= 0 => at_most(count, PAGE_RESOURCES_MAX),
                        _ => return Err(Reason::CountInvalid.bare()),
                    },
                };
                let start = if cursor.is_empty() { Start::First } else { Start::Cursor(cursor.to_owned()) };
                Ok(Self { start, count })
            }
            None => {
                let number =
                    |text: Option<&str>| match text.map(str::trim_ascii).filter(|text| !text.is_empty()) {
                        None => Ok(None),
                        Some(text) => integer(text).map(Some).ok_or_else(|| Reason::PageInvalid.bare()),
                    };
                // RFC 7644, table 6: less than 1 is 1, less than 0 is 0. More than there can be is as much (V-19).
                let start = number(start_index)?.map_or(1, |start| at_most(start.max(1), usize::MAX));
                let count =
                    number(count)?.map_or(PAGE_RESOURCES, |count| at_most(count.max(0), PAGE_RESOURCES_MAX));
                Ok(Self { start: Start::Index(start), count })
            }
        }
    }

    /// How many resources come before it; by cursors, that is not known.
    pub fn offset(&self) -> usize {
        match self.start {
            Start::Index(start) => start.saturating_sub(1),
            Start::First | Start::Cursor(_) => 0,
        }
    }
}

/// An integer of any length; what is beyond 64 bits is the last one of them.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

fn at_most(number: i64, most: usize) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_19_pages_are_clamped() {
        let many = "9".repeat(300);
        for (start, count, expected) in [
            (None, None, (1, PAGE_RESOURCES)),
            (Some("0"), Some("0"), (1, 0)),
            (Some("-1"), Some("-1"), (1, 0)),
            (Some("+3"), Some(" 7 "), (3, 7)),
            (Some(""), Some(""), (1, PAGE_RESOURCES)),
            (Some("9223372036854775808"), Some("1000000000"), (i64::MAX as usize, PAGE_RESOURCES_MAX)),
            (Some(many.as_str()), Some(many.as_str()), (i64::MAX as usize, PAGE_RESOURCES_MAX)),
            (Some("-9223372036854775809"), None, (1, PAGE_RESOURCES)),
        ] {
            let page = Page::parse(start, count, None).unwrap();
            assert_eq!(
                (page.start, page.count),
                (Start::Index(expected.0), expected.1),
                "{start:?} {count:?}"
            );
        }
        for bad in ["x", "1.5", "1e3", "--1", "-", "0x10"] {
            assert_eq!(Page::parse(Some(bad), None, None).unwrap_err().code, "scim_page_invalid", "{bad}");
            assert_eq!(Page::parse(None, Some(bad), None).unwrap_err().code, "scim_page_invalid", "{bad}");
        }
        assert_eq!(Page::parse(Some("21"), None, None).unwrap().offset(), 20);
    }

    #[test]
    fn cursors_are_instead_of_an_index() {
        let page = Page::parse(Some("x"), Some("5"), Some("")).unwrap();
        assert_eq!(page, Page { start: Start::First, count: 5 });
        let page = Page::parse(None, None, Some("abc")).unwrap();
        assert_eq!(page, Page { start: Start::Cursor("abc".into()), count: PAGE_RESOURCES });
        for bad in ["-1", "x"] {
            let error = Page::parse(None, Some(bad), Some("")).unwrap_err();
            assert_eq!(error.scim_type.map(|s| s.as_str()), Some("invalidCount"), "{bad}");
        }
    }
}
