//! Our own document: who we are, which keys we have, where answers go. For the IdP's administrator to import.
use quick_xml::{
    Writer,
    events::{BytesText, Event},
};
use sha2::{Digest, Sha256};

use super::MetadataBinding;
use crate::{
    domain::{NameId, Timestamp, hex},
    saml::{OwnKey, Settings, SignedElement, SigningError, instant::whole_seconds, signing::sign_document},
};

const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Those that can hold memberships, the most lasting first. A transient one is not among them.
const NAME_ID_FORMATS: [&str; 3] = [NameId::PERSISTENT, NameId::EMAIL_ADDRESS, NameId::UNSPECIFIED];
/// What a KeyDescriptor for encryption says we can open, the best first.
const ENCRYPTION_METHODS: [&str; 4] = [
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2009/xmlenc11#rsa-oaep",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
];

/// What our document is made of, beside the connection's settings.
#[derive(Debug, Clone, Default)]
pub struct OwnDescriptor {
    /// The first is the default.
    pub acs_urls: Vec<String>,
    /// Serves all bindings of single logout; `None` where there is no single logout.
    pub slo_url: Option<String>,
    /// Signs the document with the first signing key.
    pub signed: bool,
}

/// Our document (SAML Metadata 2.3.2, 2.4.4). Its ID is derived from its content, so equal content is the same document.
pub fn own_metadata(
    settings: &Settings,
    own: &OwnDescriptor,
    valid_until: Option<Timestamp>,
) -> Result<String, SigningError> {
    let valid_until = valid_until.map(|until| whole_seconds(until).to_string());
    let content = document(settings, own, valid_until.as_deref(), None)?;
    let hash = Sha256::digest(content.as_bytes());
    let id = format!("_{}", hex(&hash[..16]));
    let document = document(settings, own, valid_until.as_deref(), Some(&id))?;
    match settings.signing_key().filter(|_| own.signed) {
        None if own.signed => Err(SigningError::Document),
        None => Ok(document),
        Some(key) => {
            // SAML Metadata 3.1.1: the signature is the root's first child. No attribute holds a bare `>`.
            let at = document.find('>').ok_or(SigningError::Document)? + 1;
            sign_document(key, &document, &id, at)
        }
    }
}

type Xml = Writer<Vec<u8>>;

fn document(
    settings: &Settings,
    own: &OwnDescriptor,
    valid_until: Option<&str>,
    id: Option<&str>,
) -> Result<String, SigningError> {
    let mut writer = Writer::new(vec![]);
    let root = writer
        .create_element("md:EntityDescriptor")
        .with_attribute(("xmlns:md", MD))
        .with_attribute(("entityID", settings.entity_id.as_str()))
        .with_attributes(id.map(|id| ("ID", id)))
        .with_attributes(valid_until.map(|until| ("validUntil", until)));
    // Writing to memory does not fail; the error type is the writer's.
    let written = root.write_inner_content(|writer| role(writer, settings, own));
    written.map_err(|_| SigningError::Document)?;
    String::from_utf8(writer.into_inner()).map_err(|_| SigningError::Document)
}

/// SAML Metadata 2.4.4, children in the order of the schema.
fn role(writer: &mut Xml, settings: &Settings, own: &OwnDescriptor) -> std::io::Result<()> {
    let wants = !matches!(settings.signed, SignedElement::Response);
    let flag = |flag: bool| if flag { "true" } else { "false" };
    let role = writer.create_element("md:SPSSODescriptor").with_attributes([
        ("protocolSupportEnumeration", "urn:oasis:names:tc:SAML:2.0:protocol"),
        ("AuthnRequestsSigned", flag(settings.request_key().is_some())),
        ("WantAssertionsSigned", flag(wants)),
    ]);
    role.write_inner_content(|writer| {
        for key in &settings.signing_keys {
            key_descriptor(writer, "signing", key, &[])?;
        }
        for key in &settings.decryption_keys {
            key_descriptor(writer, "encryption", key, &ENCRYPTION_METHODS)?;
        }
        for binding in own.slo_url.iter().flat_map(|_| MetadataBinding::ALL) {
            let location = own.slo_url.as_deref().unwrap_or_default();
            let service = writer.create_element("md:SingleLogoutService");
            service.with_attributes([("Binding", binding.uri()), ("Location", location)]).write_empty()?;
        }
        for format in NAME_ID_FORMATS {
            writer.create_element("md:NameIDFormat").write_text_content(BytesText::new(format))?;
        }
        for (index, url) in own.acs_urls.iter().enumerate() {
            let index = index.to_string();
            let service = writer.create_element("md:AssertionConsumerService").with_attributes([
                ("Binding", MetadataBinding::Post.uri()),
                ("Location", url.as_str()),
                ("index", index.as_str()),
            ]);
            let default = (index == "0").then_some(("isDefault", "true"));
            service.with_attributes(default).write_empty()?;
        }
        writer.write_event(Event::Text(BytesText::new("")))
    })?;
    Ok(())
}

/// SAML Metadata 2.4.1.1.
fn key_descriptor(writer: &mut Xml, purpose: &str, key: &OwnKey, methods: &[&str]) -> std::io::Result<()> {
    let descriptor = writer.create_element("md:KeyDescriptor").with_attribute(("use", purpose));
    descriptor.write_inner_content(|writer| {
        let info = writer.create_element("ds:KeyInfo").with_attribute(("xmlns:ds", DS));
        info.write_inner_content(|writer| {
            writer.create_element("ds:X509Data").write_inner_content(|writer| {
                let certificate = key.certificate_base64();
                let element = writer.create_element("ds:X509Certificate");
                element.write_text_content(BytesText::new(&certificate))?;
                Ok(())
            })?;
            Ok(())
        })?;
        for method in methods {
            let element = writer.create_element("md:EncryptionMethod");
            element.with_attribute(("Algorithm", *method)).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}
