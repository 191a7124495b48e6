//! An IdP's document: the strict pass, one entity, one IdP role, its keys and its locations.
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{sha::sha256, x509::X509};

use super::{
    IdpMetadata, MetadataBinding, MetadataEndpoint, MetadataError, MetadataRules, MetadataSigners, duration,
};
use crate::{
    domain::{Timestamp, hex, url::WebUrl},
    saml::{
        Connection, ConnectionError, Settings, connection,
        guard::{Guard, excused, stands},
        instant,
        limits::{KEYS_PER_CONNECTION_MAX, METADATA_BYTES_MAX},
        refusal::shown,
        signature, structure,
        xml::{self, Namespace, NodeId, Tape},
    },
};

const SAML_2_PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";

/// Reads an IdP's document. With `signers`, one of them must have signed the root element, and only what was digested is
/// read; without, a signature says nothing.
pub fn read_metadata(
    octets: &[u8],
    rules: &MetadataRules,
    signers: Option<&MetadataSigners>,
    now: Timestamp,
) -> Result<IdpMetadata, MetadataError> {
    if octets.len() > METADATA_BYTES_MAX && stands(Guard::MetadataSize) {
        return Err(MetadataError::TooLarge);
    }
    // XML 1.0 4.3.3: a byte order mark is not part of the document. Entra ID and AD FS send one.
    let text = xml::scan(octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets))?;
    let received = xml::parse(text)?;
    structure::check_ids(&received)?;
    let signature = check_entity(&received)?;
    match (signers, signature) {
        (None, _) => Document { tape: &received, rules }.read(now),
        (Some(_), None) if !stands(Guard::MetadataSigned) => Document { tape: &received, rules }.read(now),
        (Some(_), None) => Err(MetadataError::SignatureMissing),
        (Some(signers), Some(signature)) => {
            let digested = signature::verify_message(&received, Tape::ROOT, signature, signers.keys())?;
            let reread = stands(Guard::Reread).then(|| digested.reread()).transpose()?;
            let signed = reread.as_ref().unwrap_or(&received);
            check_entity(signed)?;
            let metadata = Document { tape: signed, rules }.read(now)?;
            Ok(IdpMetadata { signed: true, ..metadata })
        }
    }
}

/// SAML Metadata 2.3: the root is the only entity of the document (M-03), and a signature is its first child, if there is
/// one at all (M-02). Gives the signature.
fn check_entity(tape: &Tape<'_>) -> Result<Option<NodeId>, MetadataError> {
    if !tape.is(Tape::ROOT, Namespace::MD, "EntityDescriptor") && stands(Guard::MetadataRoot) {
        return Err(MetadataError::Root { found: shown(tape.local(Tape::ROOT)) });
    }
    let entity = |id: &NodeId| {
        tape.namespace(*id) == Namespace::MD
            && matches!(tape.local(*id), "EntityDescriptor" | "EntitiesDescriptor")
    };
    if tape.elements().filter(entity).count() != 1 && stands(Guard::MetadataOneEntity) {
        return Err(MetadataError::SeveralEntities);
    }
    let is_signature = |id: &NodeId| tape.is(*id, Namespace::DS, "Signature");
    let first = tape.children(Tape::ROOT).next().filter(is_signature);
    let placed = tape.elements().filter(is_signature).count() == usize::from(first.is_some());
    if !placed && stands(Guard::SignaturePlace) {
        return Err(MetadataError::SignatureMisplaced);
    }
    Ok(first)
}

/// Those for signing, side by side.
struct Keys {
    certificates: Vec<Vec<u8>>,
    fingerprints: Vec<String>,
    key_fingerprints: Vec<String>,
}

struct Document<'t, 's> {
    tape: &'t Tape<'s>,
    rules: &'t MetadataRules,
}

impl Document<'_, '_> {
    fn read(&self, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
        let tape = self.tape;
        let entity_id = tape.attribute(Tape::ROOT, "entityID").unwrap_or_default();
        // SAML Metadata 2.3.2.
        let expected = self.rules.entity_id.as_deref().unwrap_or(&entity_id);
        if (entity_id != expected || entity_id.is_empty()) && stands(Guard::MetadataEntity) {
            return Err(MetadataError::EntityMismatch {
                expected: shown(expected),
                found: shown(&entity_id),
            });
        }
        let idp = self.idp()?;
        let valid_until = self.earliest(idp)?;
        if let Some(until) = valid_until.filter(|until| *until <= now && stands(Guard::MetadataValidity)) {
            return Err(MetadataError::Expired { until: until.to_string() });
        }
        let Keys { certificates, fingerprints, key_fingerprints } = self.keys(idp)?;
        let single_sign_on = self.endpoints(idp, "SingleSignOnService")?;
        let by_redirect = single_sign_on.iter().any(|sso| sso.binding == MetadataBinding::Redirect);
        if !by_redirect && stands(Guard::MetadataBinding) {
            return Err(MetadataError::NoSingleSignOn);
        }
        let formats = tape.children(idp).filter(|child| tape.is(*child, Namespace::MD, "NameIDFormat"));
        Ok(IdpMetadata {
            entity_id: entity_id.into_owned(),
            certificates,
            fingerprints,
            key_fingerprints,
            single_sign_on,
            single_logout: self.endpoints(idp, "SingleLogoutService")?,
            name_id_formats: formats
                .filter_map(|format| tape.text(format))
                .map(|t| t.trim().to_owned())
                .collect(),
            wants_requests_signed: tape
                .attribute(idp, "WantAuthnRequestsSigned")
                .is_some_and(|wants| matches!(&*wants, "true" | "1")),
            signed: false,
            valid_until,
            cache_seconds: self.shortest(idp)?,
        })
    }

    /// SAML Metadata 2.4.1 and 2.4.3: the one IDPSSODescriptor that speaks SAML 2.0.
    fn idp(&self) -> Result<NodeId, MetadataError> {
        let tape = self.tape;
        let speaks = |id: &NodeId| {
            let protocols = tape.attribute(*id, "protocolSupportEnumeration").unwrap_or_default();
            protocols.split_ascii_whitespace().any(|protocol| protocol == SAML_2_PROTOCOL)
                || !stands(Guard::MetadataProtocol)
        };
        let is_idp = |id: &NodeId| tape.is(*id, Namespace::MD, "IDPSSODescriptor") && speaks(id);
        let mut roles = tape.children(Tape::ROOT).filter(is_idp);
        match (roles.next(), roles.next()) {
            (Some(idp), None) => Ok(idp),
            (Some(_), Some(_)) if stands(Guard::MetadataOneIdp) => Err(MetadataError::SeveralIdps),
            (Some(idp), Some(_)) => Ok(idp),
            (None, _) => Err(MetadataError::NoIdp),
        }
    }

    /// SAML Metadata 2.3.2 and 2.4.1: validUntil of the entity and of the role; the earlier one counts (M-01).
    fn earliest(&self, idp: NodeId) -> Result<Option<Timestamp>, MetadataError> {
        let mut earliest: Option<Timestamp> = None;
        for element in [Tape::ROOT, idp] {
            let Some(text) = self.tape.attribute(element, "validUntil") else { continue };
            let until = match instant::parse(&text) {
                None if !stands(Guard::MetadataTimestamp) => continue,
                until => until.ok_or_else(|| MetadataError::Timestamp {
                    attribute: "validUntil",
                    found: shown(&text),
                })?,
            };
            earliest = Some(earliest.map_or(until, |earlier| earlier.min(until)));
        }
        Ok(earliest)
    }

    fn shortest(&self, idp: NodeId) -> Result<Option<u64>, MetadataError> {
        let mut shortest: Option<u64> = None;
        for element in [Tape::ROOT, idp] {
            let Some(text) = self.tape.attribute(element, "cacheDuration") else { continue };
            let seconds =
                duration::seconds(&text).ok_or_else(|| MetadataError::Duration { found: shown(&text) });
            let seconds = excused(Guard::MetadataDuration, seconds)?;
            shortest = Some(shortest.map_or(seconds, |shorter| shorter.min(seconds)));
        }
        Ok(shortest)
    }

    /// SAML Metadata 2.4.1.1: the certificates for signing, as PEM, with their fingerprints. Those for encryption are not
    /// even looked at (S-59); a weak key refuses the document (S-57). Trust is in keys, so one that comes in two
    /// certificates is one.
    fn keys(&self, idp: NodeId) -> Result<Keys, MetadataError> {
        let mut found: Vec<X509> = vec![];
        for descriptor in self.tape.children(idp) {
            if !self.tape.is(descriptor, Namespace::MD, "KeyDescriptor") {
                continue;
            }
            match self.tape.attribute(descriptor, "use").as_deref() {
                None | Some("signing") => {}
                Some("encryption") if stands(Guard::MetadataKeySigns) => continue,
                Some("encryption") => {}
                Some(_) if !stands(Guard::MetadataKeyUse) => {}
                Some(_) => return Err(MetadataError::KeyDescriptor { why: "has an unknown use" }),
            }
            let Some(certificate) = self.certificate(descriptor)? else { continue };
            let everybodys = self.rules.public_keys.iter().filter_map(|pem| X509::from_pem(pem).ok());
            let public = everybodys.into_iter().any(|known| same_key(&known, &certificate));
            if public && stands(Guard::MetadataPublicKeys) {
                return Err(MetadataError::KeyDescriptor {
                    why: "holds a development key, which everybody has",
                });
            }
            let known = found.iter().any(|other| same_key(other, &certificate));
            if known {
                continue;
            }
            if found.len() >= KEYS_PER_CONNECTION_MAX && stands(Guard::KeysPerConnection) {
                return Err(ConnectionError::TooManyKeys.into());
            }
            found.push(certificate);
        }
        if found.is_empty() && stands(Guard::MetadataKeyThere) {
            // M-08: the last key is gone, or there never was one.
            return Err(MetadataError::NoSigningKey);
        }
        let unreadable = || MetadataError::KeyDescriptor { why: "holds a certificate that cannot be read" };
        let pem = found.iter().map(|certificate| certificate.to_pem().map_err(|_| unreadable()));
        let certificates = pem.collect::<Result<Vec<_>, _>>()?;
        let usable = Connection::new(Settings { certificates: certificates.clone(), ..Settings::default() });
        excused(Guard::MetadataKeyStrength, usable.map(drop))?;
        let info = found.iter().map(|certificate| connection::info(certificate).ok_or_else(unreadable));
        let fingerprints = info.map(|info| info.map(|info| info.fingerprint_sha256));
        let spki = found.iter().map(|certificate| {
            let key = certificate.public_key().and_then(|key| key.public_key_to_der());
            key.map(|der| hex(&sha256(&der))).map_err(|_| unreadable())
        });
        Ok(Keys {
            fingerprints: fingerprints.collect::<Result<_, _>>()?,
            key_fingerprints: spki.collect::<Result<_, _>>()?,
            certificates,
        })
    }

    /// The certificate of a KeyDescriptor; `None` if it names its key in another way. One with several could be a chain,
    /// and the key of an authority must not verify what its subjects sign (SAML Metadata Interoperability 2.5.1).
    fn certificate(&self, descriptor: NodeId) -> Result<Option<X509>, MetadataError> {
        let mut certificates =
            self.tape.subtree(descriptor).filter(|id| self.tape.is(*id, Namespace::DS, "X509Certificate"));
        let (Some(first), second) = (certificates.next(), certificates.next()) else { return Ok(None) };
        if second.is_some() && stands(Guard::MetadataOneCertificate) {
            return Err(MetadataError::KeyDescriptor { why: "holds more than one certificate" });
        }
        let unreadable = || MetadataError::KeyDescriptor { why: "holds a certificate that cannot be read" };
        let text = self.tape.text(first).ok_or_else(unreadable)?;
        let packed: String = text.split_ascii_whitespace().collect();
        let der = STANDARD.decode(packed).map_err(|_| unreadable());
        let certificate = der.and_then(|der| X509::from_der(&der).map(Some).map_err(|_| unreadable()));
        excused(Guard::MetadataCertificate, certificate)
    }

    /// The role's services of one kind with a binding that we speak, in order. A location that no browser may be sent to
    /// refuses the document, whichever service has it (M-06).
    fn endpoints(&self, idp: NodeId, service: &str) -> Result<Vec<MetadataEndpoint>, MetadataError> {
        let mut endpoints = vec![];
        for element in self.tape.children(idp).filter(|id| self.tape.is(*id, Namespace::MD, service)) {
            let binding = self.tape.attribute(element, "Binding").unwrap_or_default();
            let Some(binding) = MetadataBinding::from_uri(&binding) else { continue };
            let location = self.tape.attribute(element, "Location").unwrap_or_default().into_owned();
            let response_location = self.tape.attribute(element, "ResponseLocation").map(|l| l.into_owned());
            self.check_location(&location)?;
            response_location.as_deref().map_or(Ok(()), |location| self.check_location(location))?;
            endpoints.push(MetadataEndpoint { binding, location, response_location });
        }
        Ok(endpoints)
    }

    fn check_location(&self, location: &str) -> Result<(), MetadataError> {
        let wrong = |why| Err(MetadataError::Location { location: shown(location), why });
        let url = match WebUrl::parse(location) {
            Ok(url) => url,
            Err(_) if !stands(Guard::MetadataUrl) => return Ok(()),
            Err(_) => return wrong("is no https URL"),
        };
        let in_clear = self.rules.http_on_loopback && url.authority.is_loopback();
        if !(url.https || in_clear) && stands(Guard::MetadataHttps) {
            return wrong("is not https");
        }
        let own = self.rules.own_authorities.contains(&url.authority.shown(url.https));
        if own && stands(Guard::MetadataOwnHost) {
            return wrong("is on the gateway's own host");
        }
        Ok(())
    }
}

/// A key that cannot be read is nobody's; [`Connection::new`] refuses it.
fn same_key(one: &X509, other: &X509) -> bool {
    one.public_key().is_ok_and(|key| other.public_key().is_ok_and(|other| key.public_eq(&other)))
}
