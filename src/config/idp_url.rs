//! The URLs at the IdP that browsers are sent to (M-06): https, and nothing of ours.
use super::{enterprise::Draft, reader::Reader, route::Routes, server::Ground, url::WebUrl, value::Placed};

/// Reads the URL that stands at `path` as `text`; `None` if it is none. Whether it is on our own host is checked once the
/// routes are known.
pub fn read(
    reader: &mut Reader,
    ground: &Ground,
    path: &str,
    text: Placed<String>,
    hint: &str,
) -> Option<String> {
    let url = reader.url(path, &text, hint)?;
    if !url.https && (ground.in_production() || !url.authority.is_loopback()) {
        let why = format!("{:?} is not https", text.value);
        reader.fault(&text.place, path, why, "use the IdP's https URL; http is for development on loopback");
    }
    Some(text.value)
}

/// A browser that is sent back to ourselves never arrives.
pub fn check_hosts(reader: &mut Reader, ground: &Ground, draft: &Draft, routes: &Routes) {
    let saml = &draft.settings.saml;
    let slo = saml.slo.as_ref();
    for (key, url) in [
        ("sso_url", Some(&saml.sso_url)),
        ("slo_url", slo.map(|slo| &slo.url)),
        ("slo_response_url", slo.and_then(|slo| slo.response_url.as_ref())),
    ] {
        let Some(url) = url.and_then(|url| WebUrl::parse(url).ok()) else { continue };
        let authority = url.authority.shown(url.https);
        if authority == ground.authority() || routes.serves(&authority) {
            let path = format!("enterprise.{}.saml.{key}", draft.table);
            let place = reader.place(&path);
            let why = format!("{authority:?} is the gateway's own host");
            let hint = "write the IdP's URL; an IdP cannot stand behind its own gateway";
            reader.fault(&place, &path, why, hint);
        }
    }
}
