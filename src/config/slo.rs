//! The IdP's single logout service.
use super::{enterprise::Draft, reader::Reader, request, route::Routes, server::Ground, url::WebUrl};
use crate::saml::SloSettings;

/// Reads the `slo_` keys of a connection at `path`; `None` where `slo_url` is not there. `signs` if we have a key to sign with.
pub fn read(reader: &mut Reader, ground: &Ground, path: &str, signs: bool) -> Option<SloSettings> {
    let url = location(reader, ground, &format!("{path}.slo_url"));
    let response_url = location(reader, ground, &format!("{path}.slo_response_url"));
    let binding = request::binding(reader, &format!("{path}.slo_binding"));
    let url_path = format!("{path}.slo_url");
    if !reader.has(&url_path) {
        let alone = ["slo_response_url", "slo_binding"].map(|key| format!("{path}.{key}"));
        for path in alone {
            if reader.has(&path) {
                let place = reader.place(&path);
                let hint = "set slo_url too, or remove the key";
                reader.fault(&place, &path, "means nothing without slo_url", hint);
            }
        }
        return None;
    }
    if !signs {
        // SAML Profiles 4.4.3.1, 4.4.4.1: logout messages through a browser are always signed.
        let place = reader.place(&url_path);
        let why = "needs a key of ours: logout messages are always signed";
        reader.fault(&place, &url_path, why, "set signing_keys; certs/README.md says how to make one");
    }
    url.map(|url| SloSettings { url, response_url, binding })
}

/// M-06: where browsers are sent.
fn location(reader: &mut Reader, ground: &Ground, path: &str) -> Option<String> {
    let hint = "copy the SingleLogoutService location from the IdP's metadata";
    let text = reader.text(path)?;
    let url = reader.url(path, &text, hint)?;
    if !url.https && (ground.in_production() || !url.authority.is_loopback()) {
        let why = format!("{:?} is not https", text.value);
        reader.fault(&text.place, path, why, "use the IdP's https URL; http is for development on loopback");
    }
    Some(text.value)
}

/// M-06: as for sign-ins, a browser that is sent to ourselves never arrives.
pub fn check_hosts(reader: &mut Reader, ground: &Ground, draft: &Draft, routes: &Routes) {
    let Some(slo) = &draft.settings.saml.slo else { return };
    let urls = [("slo_url", Some(&slo.url)), ("slo_response_url", slo.response_url.as_ref())];
    for (key, url) in urls {
        let Some(url) = url.and_then(|url| WebUrl::parse(url).ok()) else { continue };
        let authority = url.authority.shown(url.https);
        if authority == ground.authority() || routes.serves(&authority) {
            let path = format!("enterprise.{}.saml.{key}", draft.table);
            let place = reader.place(&path);
            let why = format!("{authority:?} is the gateway's own host");
            reader.fault(
                &place,
                &path,
                why,
                "write the IdP's URL; an IdP cannot stand behind its own gateway",
            );
        }
    }
}
