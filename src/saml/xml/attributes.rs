//! The inside of a start tag, read strictly: quick-xml leaves this to its caller.
use super::{find::first_of, text};
use crate::saml::{
    Reason, Refusal,
    guard::{Guard, stands},
    limits::NAME_BYTES_MAX,
};

/// One attribute as written, namespace declarations included.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawAttribute<'s> {
    pub name: &'s str,
    pub value: &'s str,
    /// The value holds no reference and nothing that reading or C14N would change.
    pub plain: bool,
    /// One blank before the name, none around `=`, double quotes: as C14N writes it.
    pub spelled_plain: bool,
}

/// Reads what stands between an element's name and the end of its start tag.
pub(super) struct Attributes<'s> {
    source: &'s str,
    at: usize,
    end: usize,
}

impl<'s> Attributes<'s> {
    /// `at..end`: the tag without its name and without `>` or `/>`.
    pub fn new(source: &'s str, at: usize, end: usize) -> Self {
        Self { source, at, end }
    }

    /// The next attribute; `Ok(None)` at the tag's end.
    #[inline]
    pub fn next(&mut self) -> Result<Option<RawAttribute<'s>>, Refusal> {
        let before = self.at;
        self.skip_space();
        if self.at >= self.end {
            return Ok(None);
        }
        // XML 1.0 3.1: white space separates attributes.
        let gap = self.at - before;
        if gap == 0 && stands(Guard::AttributeBlanks) {
            return Err(self.broken());
        }
        let name = self.name()?;
        let name_end = self.at;
        self.skip_space();
        if self.byte() != Some(b'=') {
            return Err(self.broken());
        }
        let equals = self.at;
        self.at += 1;
        self.skip_space();
        let tight = equals == name_end && self.at == equals + 1;
        let quote = self.byte().filter(|byte| matches!(byte, b'"' | b'\'')).ok_or_else(|| self.broken())?;
        let blank = self.source.as_bytes().get(before) == Some(&b' ');
        let (value, plain) = self.value(quote)?;
        Ok(Some(RawAttribute {
            name,
            value,
            plain,
            spelled_plain: gap == 1 && blank && tight && quote == b'"',
        }))
    }

    fn byte(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied().filter(|_| self.at < self.end)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.byte() {
            self.at += 1;
        }
    }

    fn name(&mut self) -> Result<&'s str, Refusal> {
        let start = self.at;
        let rest = self.source.as_bytes().get(start..self.end).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b'=' | b' ' | b'\t' | b'\r' | b'\n');
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        if stands(Guard::NameLength) && self.at - start > NAME_BYTES_MAX {
            return Err(Refusal::at(Reason::NameTooLong, start));
        }
        self.source.get(start..self.at).ok_or_else(|| self.broken())
    }

    /// The value behind the opening quote at `self.at`, and whether it is plain.
    ///
    /// A plain value holds no markup, references, quotes, or white space that is normalized.
    fn value(&mut self, quote: u8) -> Result<(&'s str, bool), Refusal> {
        let start = self.at + 1;
        let rest = self.source.as_bytes().get(start..self.end).unwrap_or_default();
        // The first byte of all that a plain value does not hold is the quote that ends it: so nearly every value.
        let plain = first_of(rest, [b'<', b'&', b'"'], b' ').filter(|at| rest.get(*at) == Some(&quote));
        if let Some(length) = plain {
            self.at = start + length + 1;
            return Ok((self.source.get(start..start + length).unwrap_or_default(), true));
        }
        let length = memchr::memchr(quote, rest).ok_or_else(|| self.broken())?;
        let value = self.source.get(start..start + length).unwrap_or_default();
        let plain = first_of(value.as_bytes(), [b'<', b'&', b'"'], b' ').is_none();
        self.at = start + length + 1;
        if !plain {
            check_value(value, start)?;
        }
        Ok((value, plain))
    }

    fn broken(&self) -> Refusal {
        Refusal::at(Reason::NotWellFormed, self.at)
    }
}

/// XML 1.0 3.1: no `<`, and every `&` begins a reference that stands for a character.
fn check_value(value: &str, offset: usize) -> Result<(), Refusal> {
    if stands(Guard::AttributeLessThan) && value.contains('<') {
        return Err(Refusal::at(Reason::NotWellFormed, offset));
    }
    for (at, _) in value.match_indices('&') {
        let name = value.get(at + 1..).and_then(|rest| rest.split_once(';')).map(|(name, _)| name);
        if stands(Guard::References) && name.and_then(text::reference).is_none() {
            return Err(Refusal::at(Reason::ReferenceInvalid, offset + at));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: &str) -> Result<Vec<(&str, &str, bool, bool)>, Reason> {
        let mut attributes = Attributes::new(tag, 0, tag.len());
        let mut all = vec![];
        while let Some(raw) = attributes.next().map_err(|refusal| refusal.reason)? {
            all.push((raw.name, raw.value, raw.plain, raw.spelled_plain));
        }
        Ok(all)
    }

    #[test]
    fn attributes_as_written() {
        assert_eq!(read(" a=\"b\" c=\"d>'\""), Ok(vec![("a", "b", true, true), ("c", "d>'", true, true)]));
        assert_eq!(read("\n a = 'b\"'\t"), Ok(vec![("a", "b\"", false, false)]));
        assert_eq!(read(" a='b'"), Ok(vec![("a", "b", true, false)]));
        assert_eq!(read(" a=\"&amp;\""), Ok(vec![("a", "&amp;", false, true)]));
        assert_eq!(read("  "), Ok(vec![]));
    }

    #[test]
    fn malformed_tags() {
        for bad in [
            "a=\"b\"",
            " a=\"b\"c=\"d\"",
            " a",
            " a=",
            " a=b",
            " a=\"b",
            " a==\"b\"",
            " a=\"<\"",
            " =\"b\" =",
            " /",
        ] {
            assert_eq!(read(bad).err(), Some(Reason::NotWellFormed), "{bad}");
        }
        for bad in [" a=\"&\"", " a=\"&amp\"", " a=\"&nbsp;\"", " a=\"&#0;\"", " a=\"& amp;\""] {
            assert_eq!(read(bad).err(), Some(Reason::ReferenceInvalid), "{bad}");
        }
    }
}
