//! The SAML connection of an enterprise: the IdP, our keys, and the URLs that the IdP knows us by.
use std::{collections::BTreeSet, path::Path};

use super::{
    EnterpriseSettings, attributes, certificate, encryption,
    enterprise::Draft,
    idp_url, metadata, own_host, own_key,
    reader::Reader,
    request,
    route::Routes,
    server::Ground,
    slo,
    url::{self, WebUrl},
    value::Placed,
};
use crate::{
    access::canonical_path,
    saml::{self, SignedElement},
    second_opinion,
};

/// Clocks that NTP keeps are closer; IdPs on neglected machines are not.
const CLOCK_SKEW_SECONDS: u64 = 60;
/// SAML Core 8.3.6: an entity identifier has at most 1024 characters.
const ENTITY_ID_CHARACTERS_MAX: usize = 1024;

/// Reads `[enterprise.NAME.saml]`; `path` is that of the enterprise.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path, path: &str) -> saml::Settings {
    let path = format!("{path}.saml");
    let idp_hint = "copy the entity ID (issuer) from the IdP's metadata";
    let idp_path = format!("{path}.idp_entity_id");
    let idp_entity_id = reader.required(&idp_path, idp_hint);
    if let Some(id) = &idp_entity_id {
        check_entity_id(reader, &idp_path, id);
    }
    // Else both come from there.
    let (certificates, sso_url) = if reader.has(&format!("{path}.metadata")) {
        (vec![], String::new())
    } else {
        let certificates = certificate::read(reader, ground, folder, &format!("{path}.certificates"));
        (certificates, sso_url(reader, ground, &format!("{path}.sso_url")).unwrap_or_default())
    };
    let signed = match reader.text_or(&format!("{path}.signed"), "either").value.as_str() {
        "response" => SignedElement::Response,
        "assertion" => SignedElement::Assertion,
        "both" => SignedElement::Both,
        _ => SignedElement::Either,
    };
    let signing_keys = own_key::read(reader, ground, folder, &format!("{path}.signing_keys"));
    let decryption_path = format!("{path}.decryption_keys");
    let decryption_keys = own_key::read(reader, ground, folder, &decryption_path);
    own_key::check(reader, &decryption_path, &signing_keys, &decryption_keys);
    let slo = slo::read(reader, ground, &path, !signing_keys.is_empty());
    let skew = reader.integer(&format!("{path}.clock_skew"), CLOCK_SKEW_SECONDS);
    let mut settings = saml::Settings {
        entity_id: String::new(),
        idp_entity_id: idp_entity_id.map(|id| id.value).unwrap_or_default(),
        sso_url,
        certificates,
        signed,
        subject: attributes::subject(reader, &format!("{path}.subject")),
        clock_skew_seconds: u32::try_from(skew).unwrap_or(0),
        signing_keys,
        decryption_keys,
        slo,
        ..saml::Settings::default()
    };
    request::read(reader, &path, &mut settings);
    encryption::read(reader, &path, &mut settings);
    settings
}

/// Reads `second_opinion`, and faults it where no second opinion could be had.
pub fn second_opinion(reader: &mut Reader, path: &str) -> bool {
    let path = format!("{path}.saml");
    let key = format!("{path}.second_opinion");
    let wanted = reader.switch(&key);
    let place = reader.place(&key);
    if wanted && reader.has(&format!("{path}.decryption_keys")) {
        let hint = "remove one of the two";
        reader.fault(
            &place,
            &key,
            "goes with no decryption_keys: the second verifier does not see what is encrypted",
            hint,
        );
    } else if wanted && !second_opinion::AVAILABLE {
        let hint = "build with OPENSSL_NO_VENDOR=1 cargo build --features samael, or remove the key";
        reader.fault(&place, &key, "needs a second verifier, which this build does not have", hint);
    }
    wanted
}

fn check_entity_id(reader: &mut Reader, path: &str, id: &Placed<String>) {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if id.value.chars().any(odd) || id.value.chars().count() > ENTITY_ID_CHARACTERS_MAX {
        let why = "has white space in it or is longer than 1024 characters";
        reader.fault(&id.place, path, why, "copy it again; an entity ID is compared byte for byte");
    }
}

fn sso_url(reader: &mut Reader, ground: &Ground, path: &str) -> Option<String> {
    let hint = "copy the SingleSignOnService location of the binding from the IdP's metadata";
    let text = reader.required(path, hint)?;
    idp_url::read(reader, ground, path, text, hint)
}

/// S-91: an IdP that two tenants share could sign one's people in at the other.
pub fn check_idps(reader: &mut Reader, drafts: &[Draft]) {
    for (index, draft) in drafts.iter().enumerate() {
        let id = &draft.settings.saml.idp_entity_id;
        let earlier = drafts.iter().take(index).find(|earlier| earlier.settings.saml.idp_entity_id == *id);
        if let Some(earlier) = earlier.filter(|_| !id.is_empty()) {
            let path = format!("enterprise.{}.saml.idp_entity_id", draft.table);
            let place = reader.place(&path);
            let why = format!("is the IdP of the enterprise {} too", earlier.settings.slug);
            reader.fault(
                &place,
                &path,
                why,
                "give every enterprise an IdP, or an IdP application, of its own",
            );
        }
    }
}

/// Fills in the entity ids and ACS URLs and checks that no two enterprises share one (S-91).
pub fn set_endpoints(reader: &mut Reader, ground: &Ground, drafts: &mut [Draft], routes: &Routes) {
    let several = drafts.len() > 1;
    for draft in drafts.iter_mut() {
        let slug = &draft.settings.slug;
        let home = if several { format!("/enterprises/{slug}/saml") } else { "/saml".to_owned() };
        let base = format!("{}://{}{home}", ground.scheme(), ground.authority());
        let path = format!("enterprise.{}.saml", draft.table);
        draft.settings.saml.entity_id = entity_id(reader, &path, format!("{base}/metadata"));
        let own = own_host::read(reader, ground);
        let hosts: BTreeSet<String> = routes.hosts(slug).into_iter().chain(own).collect();
        let hosts: Vec<String> = hosts.into_iter().collect();
        draft.settings.acs_urls = acs_urls(reader, ground, &path, format!("{base}/acs"), &hosts);
        let first = draft.settings.acs_urls.first().map_or(base.as_str(), String::as_str);
        draft.settings.slo_url = format!("{}{home}/slo", url::origin(first));
        idp_url::check_hosts(reader, ground, draft, routes);
        metadata::finish(reader, ground, draft, routes);
    }
    let shares = |a: &EnterpriseSettings, b: &EnterpriseSettings| {
        (a.saml.entity_id == b.saml.entity_id, a.acs_urls.iter().any(|url| b.acs_urls.contains(url)))
    };
    for (index, draft) in drafts.iter().enumerate() {
        for earlier in drafts.iter().take(index) {
            let (entity_id, acs_url) = shares(&draft.settings, &earlier.settings);
            let taken = [(entity_id, "entity_id", "entity ID"), (acs_url, "acs_url", "ACS URL")];
            for (_, key, what) in taken.iter().filter(|(shared, ..)| *shared) {
                let path = format!("enterprise.{}.saml.{key}", draft.table);
                let place = reader.place(&path);
                let why = format!("the enterprise {} has the same {what}", earlier.settings.slug);
                reader.fault(&place, &path, why, "give every enterprise its own");
            }
        }
    }
}

fn entity_id(reader: &mut Reader, path: &str, default: String) -> String {
    let path = format!("{path}.entity_id");
    if !reader.has(&path) {
        return default;
    }
    let hint = "write the entity ID (audience) that the IdP has for us, or remove the key";
    let Some(id) = reader.required(&path, hint) else { return default };
    check_entity_id(reader, &path, &id);
    id.value
}

/// The configured or default ACS URL first, then the same path on every other host that the routes serve.
fn acs_urls(
    reader: &mut Reader,
    ground: &Ground,
    path: &str,
    default: String,
    hosts: &[String],
) -> Vec<String> {
    let path = format!("{path}.acs_url");
    let hint = "write an absolute URL that the gateway serves, such as https://app.example.com/saml/acs";
    let text = reader.text(&path);
    let url = match &text {
        None => WebUrl::parse(&default).ok(),
        Some(text) => reader.url(&path, text, hint),
    };
    let Some(url) = url else { return vec![] };
    let authority = url.authority.shown(url.https);
    if let Some(text) = &text {
        let shown = &text.value;
        let canonical = canonical_path(&url.path).is_ok_and(|path| path.as_str() == url.path);
        let wrong = if url.has_query || url.path == "/" {
            Some("has a query, or no path")
        } else if !canonical {
            Some("has a path that is not in its canonical spelling")
        } else if url.https != ground.https() {
            Some("has another scheme than public_url")
        } else if authority != ground.authority() && !hosts.contains(&authority) {
            Some("is on a host that neither public_url nor a route of the enterprise serves")
        } else {
            None
        };
        if let Some(why) = wrong {
            reader.fault(&text.place, &path, format!("{shown:?} {why}"), hint);
        }
    }
    let first = text.map_or(default, |text| text.value);
    let others = hosts.iter().filter(|host| **host != authority);
    let others = others.map(|host| format!("{}://{host}{}", ground.scheme(), url.path));
    std::iter::once(first).chain(others).collect()
}
