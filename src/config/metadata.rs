//! The IdP's metadata: where it comes from, what it must agree with, who vouches for it; and what ours says of itself.
use std::path::Path;

use super::{
    certificate, enterprise::Draft, read_text, reader::Reader, route::Routes, server::Ground, value::Placed,
};
use crate::{
    domain::Timestamp,
    metadata::{Authorities, Network, Remote, Settings, Source, Trust},
    saml::{self, MetadataError, MetadataRules, MetadataSigners, limits::METADATA_BYTES_MAX},
};

/// Four times a day: a rollover that is announced a day ahead is seen in time, and nobody's server notices.
const REFRESH_SECONDS: u64 = 6 * 60 * 60;
/// Long enough for an outage over holidays, short enough that a revoked key does not live on for ever.
const VALIDITY_SECONDS: u64 = 30 * 24 * 60 * 60;
const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// SHA-256 in hexadecimal.
const FINGERPRINT_DIGITS: usize = 64;

/// What metadata says, and what would contradict it.
const REPLACED: &[&str] = &["sso_url", "certificates"];
const ALL: &[&str] = &["metadata_signing_certificates", "metadata_refresh", "metadata_validity"];
const OF_URL: &[&str] =
    &["metadata_trust", "metadata_approved_keys", "metadata_ca", "metadata_internal_networks"];

/// Reads the `metadata` keys of `path`, the connection's table; `None` without metadata.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path, path: &str) -> Option<Settings> {
    let key = |name: &str| format!("{path}.{name}");
    let what = key("metadata");
    let hint = "name a file, or write the https URL of the IdP's metadata";
    if !reader.has(&what) {
        let hint = "write metadata = \"FILE or https URL\", or remove it";
        refuse(reader, path, ALL.iter().chain(OF_URL), "belongs to metadata, which is not there", hint);
        return None;
    }
    let hint_replaced = "remove it, or remove metadata";
    refuse(reader, path, REPLACED, "stands beside metadata, which says it", hint_replaced);
    let text = reader.required(&what, hint);
    let is_url = text.as_ref().is_some_and(|text| text.value.contains("://"));
    if !is_url {
        refuse(reader, path, OF_URL, "is for metadata from a URL", "remove it");
    }
    let networks = internal_networks(reader, ground, &key("metadata_internal_networks"));
    let approved_keys = approved_keys(reader, &key("metadata_approved_keys"));
    let source = match text {
        Some(text) if is_url => remote(reader, folder, path, &text, networks),
        Some(text) => Some(Source::File(folder.join(text.value))),
        None => None,
    };
    let signers = key("metadata_signing_certificates");
    let signers = reader.has(&signers).then(|| certificate::read(reader, ground, folder, &signers));
    let trust = match reader.text_or(&key("metadata_trust"), "overlap").value.as_str() {
        "tls" => Trust::Tls,
        _ => Trust::Overlap,
    };
    if trust == Trust::Tls && signers.is_some() {
        let place = reader.place(&key("metadata_trust"));
        let why = "trusts TLS for new keys where metadata_signing_certificates must have signed them anyway";
        reader.warn(&place, &key("metadata_trust"), why, "remove it");
    }
    Some(Settings {
        source: source?,
        rules: MetadataRules::default(),
        // Without a fault there is a certificate, and with one nothing is let out.
        signers: signers.and_then(|signers| MetadataSigners::new(signers).ok()).map(Into::into),
        trust,
        approved_keys,
        refresh_seconds: reader.integer(&key("metadata_refresh"), REFRESH_SECONDS),
        validity_seconds_max: reader.integer(&key("metadata_validity"), VALIDITY_SECONDS),
    })
}

/// Reads what our own metadata says of itself: whether it is signed, and for how long it is valid.
pub fn own(reader: &mut Reader, path: &str, saml: &saml::Settings) -> (bool, Option<u64>) {
    let what = format!("{path}.own_metadata_signed");
    let signed = reader.switch(&what);
    if signed && saml.signing_keys.is_empty() {
        let place = reader.place(&what);
        reader.fault(&place, &what, "needs a key to sign with", "name one in signing_keys");
    }
    let validity = format!("{path}.own_metadata_validity");
    (signed, reader.has(&validity).then(|| reader.integer(&validity, VALIDITY_SECONDS)))
}

/// Fills in what the document must agree with, once the routes are known, and reads a file.
pub fn finish(reader: &mut Reader, ground: &Ground, draft: &mut Draft, routes: &Routes) {
    let path = format!("enterprise.{}.saml", draft.table);
    let settings = &mut draft.settings;
    let Some(metadata) = &mut settings.metadata else { return };
    let mut own_authorities = routes.all_hosts();
    own_authorities.push(ground.authority());
    metadata.rules = MetadataRules {
        entity_id: Some(settings.saml.idp_entity_id.clone()),
        own_authorities,
        http_on_loopback: !ground.in_production(),
        public_keys: match ground.in_production() {
            true => certificate::DEVELOPMENT_CERTIFICATES.iter().map(|pem| pem.as_bytes().to_vec()).collect(),
            false => vec![],
        },
    };
    let Source::File(file) = &metadata.source else { return };
    let what = format!("{path}.metadata");
    let place = reader.place(&what);
    let name = reader.text_or(&what, "").value;
    // Not noted: its changes are followed by a task of their own.
    let text = match read_text(file, METADATA_BYTES_MAX as u64) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{name:?} cannot be read ({error})");
            return reader.fault(&place, &what, why, "name a file relative to the configuration's folder");
        }
    };
    match saml::read_metadata(text.as_bytes(), &metadata.rules, metadata.signers.as_deref(), Timestamp::now())
    {
        Ok(found) => {
            settings.saml = found.apply(&settings.saml);
            if found.wants_requests_signed() && settings.saml.signing_keys.is_empty() {
                let why = format!("{name:?} says that the IdP refuses AuthnRequests that are not signed");
                reader.warn(&place, &what, why, "name a key in signing_keys");
            }
        }
        // The gateway starts all the same, for the sake of the other enterprises.
        Err(error @ MetadataError::Expired { .. }) => {
            let why = format!("{name:?} is of no use: {error}; nobody can sign in");
            reader.warn(&place, &what, why, "get the IdP's current metadata");
        }
        Err(error) => {
            let why = format!("{name:?} is refused, {}: {error}", error.code());
            reader.fault(
                &place,
                &what,
                why,
                "get the IdP's current metadata; docs/REASONS.md explains the code",
            );
        }
    }
}

/// Faults those of the keys that are there.
fn refuse<'a>(
    reader: &mut Reader,
    path: &str,
    names: impl IntoIterator<Item = &'a &'static str>,
    why: &str,
    hint: &str,
) {
    for name in names {
        let what = format!("{path}.{name}");
        if reader.has(&what) {
            let place = reader.place(&what);
            reader.fault(&place, &what, why, hint);
        }
    }
}

fn remote(
    reader: &mut Reader,
    folder: &Path,
    path: &str,
    text: &Placed<String>,
    networks: Vec<Network>,
) -> Option<Source> {
    let authorities = authorities(reader, folder, &format!("{path}.metadata_ca"))?;
    match Remote::parse(&text.value, authorities, networks) {
        Ok(remote) => Some(Source::Url(Box::new(remote))),
        Err(why) => {
            // Where there is a user there may be a password.
            let shown = if text.value.contains('@') { "".into() } else { format!("{:?} ", text.value) };
            let hint = "write the https URL of the IdP's metadata, without a user";
            reader.fault(&text.place, &format!("{path}.metadata"), format!("{shown}is {why}"), hint);
            None
        }
    }
}

/// Whose word counts about a server: the file that the key at `what` names, or the system's.
pub fn authorities(reader: &mut Reader, folder: &Path, what: &str) -> Option<Authorities> {
    let authorities = match reader.text(what) {
        None => Authorities::of_system().map_err(|error| format!("this system {error}")),
        Some(file) => reader
            .file(what, &folder.join(&file.value), CA_FILE_BYTES_MAX)
            .map_err(|error| format!("{:?} cannot be read ({error})", file.value))
            .and_then(|pem| {
                Authorities::of_pem(pem.as_bytes()).map_err(|error| format!("{:?} {error}", file.value))
            }),
    };
    match authorities {
        Ok(authorities) => Some(authorities),
        Err(why) => {
            let place = reader.place(what);
            let hint = "name a PEM file with the certificates of the authorities that vouch for the server";
            reader.fault(&place, what, why, hint);
            None
        }
    }
}

/// M-04: what is internal is named network by network, and this machine only in development.
pub fn internal_networks(reader: &mut Reader, ground: &Ground, what: &str) -> Vec<Network> {
    let mut networks = vec![];
    for text in reader.texts(what).unwrap_or_default() {
        match Network::parse(&text.value) {
            None => {
                let why = format!("{:?} is no network", text.value);
                reader.fault(&text.place, what, why, "write the first address and its bits: \"10.1.0.0/16\"");
            }
            Some(network) if ground.in_production() && network.is_local() => {
                let why = format!("{:?} holds addresses of this machine or its link", text.value);
                let hint = "name the server's network alone; whoever controls its name could \
                            make the gateway talk to itself";
                reader.fault(&text.place, what, why, hint);
            }
            Some(network) => networks.push(network),
        }
    }
    networks
}

fn approved_keys(reader: &mut Reader, what: &str) -> Vec<String> {
    let mut keys = vec![];
    for text in reader.texts(what).unwrap_or_default() {
        let key = text.value.replace(':', "").to_ascii_lowercase();
        if key.len() != FINGERPRINT_DIGITS || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let why = format!("{:?} is no SHA-256 fingerprint", text.value);
            let hint = "copy the fingerprint from the log, or from openssl x509 -fingerprint -sha256";
            reader.fault(&text.place, what, why, hint);
        }
        keys.push(key);
    }
    keys
}
