//! Provisioning by SCIM: whether, and what calls go by.
use crate::{
    api,
    directory::scim::{OnGroupDelete, ScimLink, ScimSettings, UnmatchedGroups},
    saml::{self, SubjectKey},
};

use super::reader::Reader;

/// What one token may ask for each second: ten times what Entra ID demands of every server (25), and room for several workers
/// of an initial synchronisation. More than that is a program that went wrong.
const REQUESTS_PER_SECOND_MAX: u64 = 250;

/// Reads `[enterprise.NAME.scim]`; `None` where it is switched off.
pub fn read(reader: &mut Reader, path: &str, saml: &saml::Settings) -> Option<api::scim::Settings> {
    let home = format!("{path}.scim");
    if !reader.switch(&format!("{home}.enabled")) {
        return None;
    }
    let choice =
        |reader: &Reader, key: &str, default: &str| reader.text_or(&format!("{home}.{key}"), default).value;
    let link = match choice(reader, "link", "user_name").as_str() {
        "external_id" => ScimLink::ExternalId,
        _ => ScimLink::UserName,
    };
    let settings = ScimSettings {
        link,
        idp: saml.idp_entity_id.clone(),
        subject: saml.subject.clone(),
        unmatched_groups: match choice(reader, "unmatched_groups", "refuse").as_str() {
            "accept" => UnmatchedGroups::Accept,
            _ => UnmatchedGroups::Refuse,
        },
        on_group_delete: match choice(reader, "on_group_delete", "keep").as_str() {
            "remove" => OnGroupDelete::Remove,
            _ => OnGroupDelete::Keep,
        },
        reinvite: reader.switch(&format!("{home}.reinvite")),
    };
    warn(reader, &home, &settings);
    let rate = reader.integer(&format!("{home}.requests_per_second_max"), REQUESTS_PER_SECOND_MAX);
    let requests_per_second_max = u32::try_from(rate).unwrap_or(u32::MAX);
    Some(api::scim::Settings { directory: settings, requests_per_second_max })
}

fn warn(reader: &mut Reader, home: &str, settings: &ScimSettings) {
    let what = format!("{home}.link");
    let place = reader.place(&what);
    // Two pairs that can be right, and seldom are: nobody would be deprovisioned, and nobody would notice.
    match (settings.link, &settings.subject) {
        (ScimLink::ExternalId, SubjectKey::NameId) => {
            let why = "links by externalId while people are identified by NameID";
            let hint = "set saml.subject to the attribute that has externalId's value, or see that the NameID has it";
            reader.warn(&place, &what, why, hint);
        }
        (ScimLink::UserName, SubjectKey::Attribute(_)) => {
            let why = "links by userName while people are identified by an attribute";
            let hint = "set link = \"external_id\", or see that userName has the attribute's value";
            reader.warn(&place, &what, why, hint);
        }
        _ => {}
    }
    if !reader.has("mail.host") {
        let what = format!("{home}.enabled");
        let place = reader.place(&what);
        let why = "is on without [mail]: people who are put into a group cannot be invited";
        reader.warn(
            &place,
            &what,
            why,
            "set mail.host, or switch SAML provisioning on so that they join when they sign in",
        );
    }
}
