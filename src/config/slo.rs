//! The IdP's single logout service.
use super::{idp_url, reader::Reader, request, server::Ground};
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

fn location(reader: &mut Reader, ground: &Ground, path: &str) -> Option<String> {
    let text = reader.text(path)?;
    idp_url::read(reader, ground, path, text, "copy the SingleLogoutService location from the IdP's metadata")
}
