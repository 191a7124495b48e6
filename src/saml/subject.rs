//! Who the person is for good: the NameID, or the attribute that the connection names instead. One rule for both: one
//! value, lasting, compared byte for byte, free of what makes two values look alike.
use unicode_normalization::is_nfc;

use super::{
    Connection, Reason, Refusal,
    fields::AssertionFields,
    guard::{Guard, stands},
    limits::{NAME_ID_BYTES_MAX, STABLE_ID_BYTES_MAX},
};
use crate::domain::{NameId, StableId};

/// What identifies the people of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SubjectKey {
    #[default]
    /// The NameID's value; a transient one is refused.
    NameId,
    /// The value of the attribute of exactly this `Name`, such as Entra ID's object id. The NameID, which may then be
    /// transient, only names the session at the IdP.
    Attribute(String),
}

impl SubjectKey {
    /// The word that the configuration uses for [`Self::NameId`]; everything else there is an attribute's name.
    pub const NAME_ID: &str = "name_id";

    pub fn as_str(&self) -> &str {
        match self {
            Self::NameId => Self::NAME_ID,
            Self::Attribute(name) => name,
        }
    }
}

/// The stable id of an assertion whose NameID passed [`super::name_id::check`].
pub(super) fn stable_id(
    name_id: &NameId,
    assertion: &AssertionFields<'_>,
    connection: &Connection,
) -> Result<StableId, Refusal> {
    match &connection.settings().subject {
        SubjectKey::NameId => Ok(StableId::NameId(name_id.value.clone())),
        SubjectKey::Attribute(name) => {
            let value = single(assertion, name)?;
            check_text(value, &OF_ATTRIBUTE).map_err(|refusal| refusal.detail_unless_given(name))?;
            Ok(StableId::Attribute { name: name.clone(), value: value.to_owned() })
        }
    }
}

/// SAML Core 2.7.3.1, S-95: one Attribute of the name with one value. Neither the first nor the last of several may win, not
/// even where they are equal: whoever can add one could add another.
fn single<'a>(assertion: &'a AssertionFields<'_>, name: &str) -> Result<&'a str, Refusal> {
    let refused = |reason: Reason| Refusal::from(reason).expected(name);
    // S-23: which text a value that holds elements would mean is anybody's guess.
    let structured = assertion.structured_attributes.iter().any(|structured| structured == name);
    if structured && stands(Guard::SubjectText) {
        return Err(refused(Reason::SubjectAttributeNotText));
    }
    let mut named = assertion.attributes.iter().filter(|attribute| attribute.name == name);
    let (first, second) = (named.next(), named.next());
    if second.is_some() && stands(Guard::SubjectOne) {
        return Err(refused(Reason::SubjectAttributeAmbiguous).found("several attributes of that name"));
    }
    match first.map(|attribute| attribute.values.as_slice()) {
        // An unset field that an IdP sends as blanks would make one person of everybody who has none.
        Some([value]) if !value.trim().is_empty() || !stands(Guard::SubjectThere) => Ok(value),
        Some([value, ..]) if !stands(Guard::SubjectOne) => Ok(value),
        None | Some([] | [_]) => Err(refused(Reason::SubjectAttributeMissing)),
        Some(several) => {
            Err(refused(Reason::SubjectAttributeAmbiguous).found(&format!("{} values", several.len())))
        }
    }
}

/// The limit and the reasons for one place that a value comes from.
pub(super) struct TextRules {
    bytes_max: usize,
    too_long: Reason,
    character: Reason,
    not_nfc: Reason,
}

pub(super) const OF_NAME_ID: TextRules = TextRules {
    bytes_max: NAME_ID_BYTES_MAX,
    too_long: Reason::NameIdTooLong,
    character: Reason::NameIdCharacter,
    not_nfc: Reason::NameIdNotNfc,
};

const OF_ATTRIBUTE: TextRules = TextRules {
    bytes_max: STABLE_ID_BYTES_MAX,
    too_long: Reason::SubjectAttributeTooLong,
    character: Reason::SubjectAttributeCharacter,
    not_nfc: Reason::SubjectAttributeNotNfc,
};

/// S-96: bounded, nothing invisible, one spelling. A value is never trimmed, folded or normalized: two spellings are two
/// people, or refused.
pub(super) fn check_text(value: &str, rules: &TextRules) -> Result<(), Refusal> {
    if stands(Guard::SubjectLength) && value.len() > rules.bytes_max {
        return Err(Refusal::from(rules.too_long).found(value));
    }
    if let Some(c) = value.chars().find(|c| stands(Guard::SubjectCharacters) && is_invisible(*c)) {
        return Err(Refusal::from(rules.character).found(value).detail(format!("U+{:04X}", u32::from(c))));
    }
    if stands(Guard::SubjectNfc) && !is_nfc(value) {
        return Err(Refusal::from(rules.not_nfc).found(value));
    }
    Ok(())
}

/// Control characters (Cc), format characters (Cf) and the line and paragraph separators: what makes two names look alike
/// or one name look like two lines. Unicode 17.0.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_96_invisible_characters() {
        for c in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{200f}',
            '\u{202e}',
            '\u{2028}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert!(is_invisible(c), "{c:?}");
        }
        for c in ['a', ' ', '\u{a0}', 'é', '\u{301}', '\u{ff21}', '\u{212a}', '\u{1f600}'] {
            assert!(!is_invisible(c), "{c:?}");
        }
    }
}
