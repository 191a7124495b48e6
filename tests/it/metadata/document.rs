//! Makes metadata documents of an IdP: canonical XML by construction, signed or not.
use crate::saml::forge::{DS, Sign, Spec};

pub const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
pub const SOAP: &str = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP";

/// Everything about a document that a test may want to change; `Default` is one that is taken.
#[derive(Clone)]
pub struct Document {
    pub entity_id: String,
    /// Further attributes of the root and of the role, each after a blank.
    pub root: String,
    pub role: String,
    pub protocols: String,
    /// What stands before the IdP's role, and after it.
    pub before: String,
    pub after: String,
    /// The content of the role before its services.
    pub keys: String,
    pub services: String,
    pub sign: Option<Sign>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            entity_id: crate::saml::forge::IDP.into(),
            root: " ID=\"_metadata\"".into(),
            role: String::new(),
            protocols: PROTOCOL.into(),
            before: String::new(),
            after: String::new(),
            keys: key(Some("signing"), &certificate("idp-rsa")),
            services: service("SingleSignOnService", REDIRECT, "https://idp.example.com/sso"),
            sign: None,
        }
    }
}

impl Document {
    pub fn xml(&self) -> String {
        let attributes = sorted(&format!("{} entityID=\"{}\"", self.root, self.entity_id));
        let start = format!("<md:EntityDescriptor xmlns:md=\"{MD}\"{attributes}>");
        let body = format!("{}{}{}</md:EntityDescriptor>", self.before, self.idp(), self.after);
        let element = format!("{start}{body}");
        let signature = self.sign.as_ref().map(|sign| Spec::default().signature(sign, &element, "_metadata"));
        format!("{start}{}{body}", signature.unwrap_or_default())
    }

    /// The role alone.
    pub fn idp(&self) -> String {
        let Self { role, protocols, keys, services, .. } = self;
        let attributes = sorted(&format!("{role} protocolSupportEnumeration=\"{protocols}\""));
        format!("<md:IDPSSODescriptor{attributes}>{keys}{services}</md:IDPSSODescriptor>")
    }
}

/// Attributes in canonical order. No value holds a quote and a blank side by side.
fn sorted(attributes: &str) -> String {
    let mut list: Vec<&str> = attributes.trim().split_inclusive("\" ").map(str::trim).collect();
    list.sort_by_key(|attribute| attribute.split('=').next());
    list.iter().map(|attribute| format!(" {attribute}")).collect()
}

/// The base64 of a certificate of `fixtures/saml/keys`, in one line.
pub fn certificate(name: &str) -> String {
    base64_of(&crate::saml::forge::certificate(name))
}

/// The base64 of a PEM certificate, in one line.
pub fn base64_of(pem: &[u8]) -> String {
    String::from_utf8_lossy(pem).lines().filter(|line| !line.starts_with('-')).collect()
}

pub fn key(purpose: Option<&str>, certificate: &str) -> String {
    let purpose = purpose.map(|purpose| format!(" use=\"{purpose}\"")).unwrap_or_default();
    format!(
        "<md:KeyDescriptor{purpose}><ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
}

pub fn service(name: &str, binding: &str, location: &str) -> String {
    format!("<md:{name} Binding=\"{binding}\" Location=\"{location}\"></md:{name}>")
}
