//! Whether a NameID can name a person here, or at least the person's session at the IdP.
use super::{
    Connection, Reason, Refusal,
    fields::NameIdFields,
    guard::{Guard, stands},
    subject::{self, SubjectKey},
};
use crate::domain::NameId;

/// Checks a NameID: a lasting one, unless an attribute identifies the connection's people.
pub(super) fn check(name_id: &NameIdFields<'_>, connection: &Connection) -> Result<NameId, Refusal> {
    let value = name_id.value.as_ref();
    if stands(Guard::NameIdThere) && value.trim().is_empty() {
        return Err(Reason::NameIdMissing.into());
    }
    let format = name_id.format.as_deref().unwrap_or(NameId::UNSPECIFIED);
    // SAML Core 8.3.8: a transient identifier is another one at every sign-in.
    let identifies = connection.settings().subject == SubjectKey::NameId;
    if format == NameId::TRANSIENT && identifies && stands(Guard::NameIdTransient) {
        return Err(Refusal::from(Reason::NameIdTransient).found(format));
    }
    // SAML Core 8.3.6: an entity identifier names a system; whoever came with it would all be one person.
    if stands(Guard::NameIdEntity) && format == NameId::ENTITY {
        return Err(Refusal::from(Reason::NameIdEntity).found(format));
    }
    subject::check_text(value, &subject::OF_NAME_ID)?;
    if format == NameId::PERSISTENT {
        let settings = connection.settings();
        // SAML Core 8.3.7: a persistent identifier belongs to one pair of identity and service provider.
        check_qualifier(name_id.name_qualifier.as_deref(), &settings.idp_entity_id)?;
        check_qualifier(name_id.sp_name_qualifier.as_deref(), &settings.entity_id)?;
    }
    Ok(NameId {
        value: value.to_owned(),
        format: format.to_owned(),
        name_qualifier: name_id.name_qualifier.as_deref().map(str::to_owned),
        sp_name_qualifier: name_id.sp_name_qualifier.as_deref().map(str::to_owned),
    })
}

fn check_qualifier(found: Option<&str>, expected: &str) -> Result<(), Refusal> {
    match found {
        Some(found) if found != expected && stands(Guard::NameIdQualifiers) => {
            Err(Refusal::from(Reason::NameIdQualifier).expected(expected).found(found))
        }
        _ => Ok(()),
    }
}
