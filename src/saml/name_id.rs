//! Whether a NameID can name a person here: lasting, comparable byte for byte, and free of invisible characters.
use unicode_normalization::is_nfc;

use super::{
    Connection, Reason, Refusal,
    fields::NameIdFields,
    guard::{Guard, stands},
    limits::NAME_ID_BYTES_MAX,
};
use crate::domain::NameId;

const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

/// Checks a NameID (S-96). Its value is never trimmed, folded or normalized: two spellings are two people, or refused.
pub(super) fn check(name_id: &NameIdFields<'_>, connection: &Connection) -> Result<NameId, Refusal> {
    let value = name_id.value.as_ref();
    if stands(Guard::NameIdThere) && value.is_empty() {
        return Err(Reason::NameIdMissing.into());
    }
    let format = name_id.format.as_deref().unwrap_or(UNSPECIFIED);
    if stands(Guard::NameIdTransient) && format == TRANSIENT {
        return Err(Refusal::from(Reason::NameIdTransient).found(format));
    }
    if stands(Guard::NameIdLength) && value.len() > NAME_ID_BYTES_MAX {
        return Err(Refusal::from(Reason::NameIdTooLong).found(value));
    }
    if let Some(c) = value.chars().find(|c| stands(Guard::NameIdCharacters) && is_invisible(*c)) {
        return Err(Refusal::from(Reason::NameIdCharacter)
            .found(value)
            .detail(format!("U+{:04X}", u32::from(c))));
    }
    if stands(Guard::NameIdNfc) && !is_nfc(value) {
        return Err(Refusal::from(Reason::NameIdNotNfc).found(value));
    }
    if format == PERSISTENT {
        let settings = connection.settings();
        // SAML Core 8.3.7: a persistent identifier belongs to one pair of identity and service provider.
        check_qualifier(name_id.name_qualifier.as_deref(), &settings.idp_entity_id)?;
        check_qualifier(name_id.sp_name_qualifier.as_deref(), &settings.entity_id)?;
    }
    Ok(NameId { value: value.to_owned(), format: format.to_owned() })
}

fn check_qualifier(found: Option<&str>, expected: &str) -> Result<(), Refusal> {
    match found {
        Some(found) if found != expected && stands(Guard::NameIdQualifiers) => {
            Err(Refusal::from(Reason::NameIdQualifier).expected(expected).found(found))
        }
        _ => Ok(()),
    }
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
