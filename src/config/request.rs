//! What a connection's AuthnRequests ask and how they travel, and whether a sign-in may begin without one.
use super::reader::Reader;
use crate::{
    access::{canonical_path, covers},
    edge::router::RESERVED,
    saml::{Binding, NameIdFormat, Settings},
};

/// An IdP that offers more ways to sign in than this is asked for fewer of them.
const CONTEXTS_MAX: usize = 16;
/// SAML Core 8.3.6 bounds entity ids so; class URIs are shorter still.
const URI_BYTES_MAX: usize = 1024;

/// Fills in everything of `[enterprise.NAME.saml]` that concerns requests; `path` is that table's, `settings` has its keys.
pub fn read(reader: &mut Reader, path: &str, settings: &mut Settings) {
    settings.request_binding = binding(reader, &format!("{path}.sso_binding"));
    settings.sign_requests = sign_requests(reader, path, settings);
    settings.force_authn = reader.switch(&format!("{path}.force_authn"));
    settings.authn_contexts = contexts(reader, &format!("{path}.authn_context"));
    settings.name_id_format = match reader.text_or(&format!("{path}.name_id_format"), "any").value.as_str() {
        "persistent" => NameIdFormat::Persistent,
        "email" => NameIdFormat::EmailAddress,
        _ => NameIdFormat::Any,
    };
    settings.idp_hint = idp_hint(reader, &format!("{path}.idp_hint"));
    settings.login_hint = reader.switch(&format!("{path}.login_hint"));
    settings.idp_initiated = idp_initiated(reader, path, settings.force_authn);
}

/// How we send: one of two words.
pub fn binding(reader: &mut Reader, path: &str) -> Binding {
    match reader.text_or(path, Binding::Redirect.as_str()).value.as_str() {
        "post" => Binding::Post,
        _ => Binding::Redirect,
    }
}

/// A key that is there is used, unless the operator says otherwise.
fn sign_requests(reader: &mut Reader, path: &str, settings: &Settings) -> bool {
    let keys = format!("{path}.signing_keys");
    let path = format!("{path}.sign_requests");
    if !reader.has(&path) {
        return !settings.signing_keys.is_empty();
    }
    let wanted = reader.switch(&path);
    if wanted && settings.signing_keys.is_empty() && !reader.has(&keys) {
        let place = reader.place(&path);
        let hint = "name a key pair of your own in signing_keys, or remove the key";
        reader.fault(&place, &path, "is on, and there is no key to sign with", hint);
    }
    wanted
}

/// The AuthnContextClassRefs that a list names. Compared byte for byte, so none may hold a blank.
pub fn contexts(reader: &mut Reader, path: &str) -> Vec<String> {
    let texts = reader.texts(path).unwrap_or_default();
    if texts.len() > CONTEXTS_MAX {
        let place = reader.place(path);
        let why = format!("has more than {CONTEXTS_MAX} entries");
        reader.fault(&place, path, why, "keep those that the IdP answers with");
    }
    for text in &texts {
        if !is_uri(&text.value) {
            let hint = "copy the AuthnContextClassRef that the IdP answers with, \
                        such as \"https://refeds.org/profile/mfa\"";
            reader.fault(&text.place, path, format!("{:?} is no URI", text.value), hint);
        }
    }
    texts.into_iter().map(|text| text.value).collect()
}

fn idp_hint(reader: &mut Reader, path: &str) -> Option<String> {
    let text = reader.text(path)?;
    if !is_uri(&text.value) {
        let hint = "write the entity ID of the IdP behind yours, or remove the key";
        reader.fault(&text.place, path, format!("{:?} is no entity ID", text.value), hint);
    }
    Some(text.value)
}

/// An absolute URI as far as SAML needs it: a scheme, and nothing blank, quoted or invisible.
fn is_uri(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '<' | '>');
    text.contains(':') && text.len() <= URI_BYTES_MAX && text.chars().all(plain)
}

fn idp_initiated(reader: &mut Reader, path: &str, force_authn: bool) -> bool {
    let path = format!("{path}.idp_initiated");
    let on = reader.switch(&path);
    if on && force_authn {
        // S-99: nobody was asked to sign in anew, so nobody can be held to it.
        let place = reader.place(&path);
        let hint = "remove one of the two";
        reader.fault(
            &place,
            &path,
            "is on beside force_authn, which only a request of ours can ask for",
            hint,
        );
    }
    on
}

/// S-98: where a sign-in that began at the IdP may lead. `path` is that of the connection's table.
pub fn targets(reader: &mut Reader, path: &str, idp_initiated: bool) -> Vec<String> {
    let path = format!("{path}.idp_initiated_targets");
    let texts = reader.texts(&path).unwrap_or_default();
    if !texts.is_empty() && !idp_initiated {
        let place = reader.place(&path);
        reader.warn(&place, &path, "does nothing while idp_initiated is off", "remove one of the two");
    }
    for text in &texts {
        let target = &text.value;
        let wrong = match canonical_path(target) {
            Err(fault) => Some(format!("is no path: {fault}")),
            Ok(path) if path.as_str() != target => {
                Some(format!("has another canonical spelling, {:?}", path.as_str()))
            }
            Ok(path) if RESERVED.iter().any(|reserved| covers(reserved, path.lenient())) => {
                Some("is the gateway's own".into())
            }
            Ok(_) => None,
        };
        if let Some(why) = wrong {
            let hint = "write paths of the application, such as \"/reports\"";
            reader.fault(&text.place, &path, format!("{target:?} {why}"), hint);
        }
    }
    texts.into_iter().map(|text| text.value).collect()
}
