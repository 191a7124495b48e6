//! Where one is in a filter, and the words of it.
use super::Literal;
use crate::scim::error::{Reason, ScimError, quoted};

/// A place in a text. What is expected next decides how it is read: a name, an operator and an unquoted value have different
/// letters.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether nothing but blanks is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(|byte| byte.is_ascii_whitespace());
    }

    /// Takes `byte` if it comes next, after blanks.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        self.take_here(byte)
    }

    /// Takes `byte` if it comes right here.
    pub(super) fn take_here(&mut self, byte: u8) -> bool {
        let is_next = self.rest().as_bytes().first() == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes a word of letters if it is `word`, in any case, and ends there.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let before = self.at;
        let is_next = self.letters().eq_ignore_ascii_case(word) && !self.rest().starts_with(is_name_char);
        if !is_next {
            self.at = before;
        }
        is_next
    }

    /// Letters, after blanks.
    pub(super) fn letters(&mut self) -> &'t str {
        self.skip_blanks();
        self.take_while(|byte| byte.is_ascii_alphabetic())
    }

    /// The name of an attribute, after blanks: with its sub-attribute, and with its URN.
    pub(super) fn name(&mut self) -> Result<&'t str, ScimError> {
        self.skip_blanks();
        let before = self.rest();
        let name = self.take_while(|byte| is_name_char(byte.into()) || byte == b':' || byte == b'.');
        if is_name(name) { Ok(name) } else { Err(self.expected("an attribute", before)) }
    }

    /// A name without a URN and without parts.
    pub(super) fn simple_name(&mut self) -> Result<&'t str, ScimError> {
        let before = self.rest();
        let name = self.take_while(|byte| is_name_char(byte.into()));
        if is_part(name) { Ok(name) } else { Err(self.expected("a sub-attribute", before)) }
    }

    /// What an attribute is compared with, after blanks.
    pub(super) fn literal(&mut self) -> Result<Literal, ScimError> {
        self.skip_blanks();
        match self.rest().as_bytes().first() {
            Some(b'"') => self.json_text().map(Literal::Text),
            Some(b'\'') => self.single_quoted().map(Literal::Text),
            _ => self.word(),
        }
    }

    /// A refusal that tells what was looked for where.
    pub(super) fn expected(&self, what: &str, at: &str) -> ScimError {
        let found = if at.is_empty() { "the end".to_owned() } else { quoted(at) };
        Reason::FilterSyntax.error(format!("Expected {what}, and found {found}."))
    }

    /// RFC 7644 3.4.2.2: texts are those of JSON, with its escapes. Entra ID does not escape what it looks for, so a backslash
    /// that begins no escape is one.
    fn json_text(&mut self) -> Result<String, ScimError> {
        let opened = self.rest();
        let mut escaped = false;
        let length = opened.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let text = length.and_then(|length| opened.get(..length + 2));
        let read = text.and_then(|text| {
            let as_it_is = || text.get(1..text.len() - 1).filter(|text| !text.contains(char::is_control));
            serde_json::from_str(text).ok().or_else(|| as_it_is().map(str::to_owned))
        });
        let read = read.ok_or_else(|| self.expected("a text in quotation marks", opened))?;
        self.at += text.map_or(0, str::len);
        Ok(read)
    }

    fn single_quoted(&mut self) -> Result<String, ScimError> {
        let opened = self.rest();
        let text = opened.get(1..).and_then(|inside| inside.split_once('\'')).map(|(text, _)| text);
        let text = text.ok_or_else(|| self.expected("a closing quotation mark", opened))?;
        self.at += text.len() + 2;
        Ok(text.to_owned())
    }

    /// A value without quotation marks: a literal of JSON, or a text that some clients do not quote.
    fn word(&mut self) -> Result<Literal, ScimError> {
        let before = self.rest();
        let word = self.take_while(|byte| !byte.is_ascii_whitespace() && !b"()[]\"'".contains(&byte));
        let is_cut = self.rest().starts_with(['"', '\'', '[', '(']);
        if word.is_empty() || is_cut {
            return Err(self.expected("a value", before));
        }
        if word.eq_ignore_ascii_case("null") {
            return Ok(Literal::Null);
        }
        if let Some(bool) = crate::scim::value::word_boolean(word) {
            return Ok(Literal::Bool(bool));
        }
        Ok(Literal::Text(word.to_owned()))
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        // Every byte of a character beyond ASCII is either a part or none, so this is a boundary.
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }
}

/// RFC 7643 2.1, which allows `$` where the grammar of RFC 7644 forgot it.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$')
}

fn is_part(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$') && name.chars().all(is_name_char)
}

/// `name`, `name.sub`, or a URN with or without a name behind it, in which only the schema can tell what is what.
pub(in crate::scim) fn is_name(text: &str) -> bool {
    const URN: &str = "urn:";
    if text.get(..URN.len()).is_some_and(|start| start.eq_ignore_ascii_case(URN)) {
        return text.len() > URN.len() && !text.ends_with([':', '.']);
    }
    match text.split_once('.') {
        Some((name, part)) => is_part(name) && is_part(part),
        None => is_part(text),
    }
}
