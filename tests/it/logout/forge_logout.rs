//! Makes logout messages: canonical XML by construction, signed with the keys of `fixtures/saml/keys`.
use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use portcullis::domain::Timestamp;

use crate::saml::forge::{
    Attributes, DS, ENVELOPED, EXC, SAML, SAMLP, aimed, attributes, digest_uri, method, sign_octets,
    signature_uri, spelled, transform,
};

pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
pub const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// Everything about a message that a test may want to change. Texts are canonical XML that declares its own prefixes.
#[derive(Clone)]
pub struct Message {
    pub element: &'static str,
    pub attributes: Attributes,
    pub issuer: String,
    /// Behind the Issuer and its signature.
    pub rest: String,
    pub key: &'static str,
    pub algorithm: &'static str,
}

impl Message {
    /// A LogoutRequest of `issuer` to `slo_url` about a NameID of the persistent format.
    pub fn request(issuer: &str, slo_url: &str, name_id: &str, indexes: &[&str]) -> Self {
        let indexes: String =
            indexes.iter().map(|i| format!("<samlp:SessionIndex>{i}</samlp:SessionIndex>")).collect();
        let rest = format!(
            "<saml:NameID xmlns:saml=\"{SAML}\" Format=\"{PERSISTENT}\">{name_id}</saml:NameID>{indexes}"
        );
        Self::new("LogoutRequest", issuer, slo_url, rest)
    }

    /// A LogoutResponse.
    pub fn response(issuer: &str, slo_url: &str, in_response_to: &str, codes: &str) -> Self {
        let mut message =
            Self::new("LogoutResponse", issuer, slo_url, format!("<samlp:Status>{codes}</samlp:Status>"));
        message.attributes.insert("InResponseTo", in_response_to.into());
        message
    }

    fn new(element: &'static str, issuer: &str, slo_url: &str, rest: String) -> Self {
        let (id, issued) = (unique_id(), at(0));
        let attributes = attributes([
            ("Destination", slo_url),
            ("ID", &id),
            ("IssueInstant", &issued),
            ("Version", "2.0"),
        ]);
        let issuer = format!("<saml:Issuer xmlns:saml=\"{SAML}\">{issuer}</saml:Issuer>");
        Self { element, attributes, issuer, rest, key: "idp-rsa", algorithm: "rsa-sha256" }
    }

    pub fn parameter(&self) -> &'static str {
        if self.element == "LogoutRequest" { "SAMLRequest" } else { "SAMLResponse" }
    }

    pub fn unsigned(&self) -> String {
        self.with("")
    }

    fn with(&self, signature: &str) -> String {
        let (element, attributes) = (self.element, spelled(&self.attributes));
        aimed(&format!(
            "<samlp:{element} xmlns:samlp=\"{SAMLP}\"{attributes}>{}{signature}{}</samlp:{element}>",
            self.issuer, self.rest
        ))
    }

    /// With an enveloped signature.
    pub fn signed(&self) -> String {
        let digest = openssl::sha::sha256(self.unsigned().as_bytes());
        let content = format!(
            "{}{}<ds:Reference URI=\"#{}\"><ds:Transforms>{}{}</ds:Transforms>{}<ds:DigestValue>{}</ds:DigestValue>\
             </ds:Reference>",
            method("CanonicalizationMethod", EXC),
            method("SignatureMethod", &signature_uri(self.algorithm)),
            self.attributes.get("ID").map_or("", String::as_str),
            transform(ENVELOPED),
            transform(EXC),
            method("DigestMethod", digest_uri("sha256")),
            STANDARD.encode(digest),
        );
        let content = aimed(&content);
        let info = format!("<ds:SignedInfo xmlns:ds=\"{DS}\">{content}</ds:SignedInfo>");
        let value = STANDARD.encode(sign_octets(self.key, self.algorithm, info.as_bytes()));
        self.with(&format!(
            "<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo>{content}</ds:SignedInfo><ds:SignatureValue>{value}\
             </ds:SignatureValue></ds:Signature>"
        ))
    }

    /// The body of a form of the HTTP-POST binding.
    pub fn form(&self, relay_state: Option<&str>) -> String {
        form(self.parameter(), &self.signed(), relay_state)
    }

    /// The query of the HTTP-Redirect binding.
    pub fn query(&self, relay_state: Option<&str>) -> String {
        self.query_of(&deflated(self.unsigned().as_bytes()), relay_state)
    }

    /// The same with any octets in the place of the deflated message.
    pub fn query_of(&self, octets: &[u8], relay_state: Option<&str>) -> String {
        let mut query = format!("{}={}", self.parameter(), escaped(&STANDARD.encode(octets)));
        if let Some(relay_state) = relay_state {
            query.push_str(&format!("&RelayState={}", escaped(relay_state)));
        }
        query.push_str(&format!("&SigAlg={}", escaped(&signature_uri(self.algorithm))));
        self.sign_query(&query)
    }

    /// Signs a query as it stands.
    pub fn sign_query(&self, query: &str) -> String {
        let value = STANDARD.encode(sign_octets(self.key, self.algorithm, query.as_bytes()));
        format!("{query}&Signature={}", escaped(&value))
    }

    /// In a SOAP envelope.
    pub fn envelope(&self) -> String {
        envelope(&self.signed())
    }
}

pub fn envelope(message: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{message}</e:Body></e:Envelope>"
    )
}

pub fn form(parameter: &str, message: &str, relay_state: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair(parameter, &STANDARD.encode(message));
    if let Some(relay_state) = relay_state {
        form.append_pair("RelayState", relay_state);
    }
    form.finish()
}

pub fn code(value: &str, nested: &str) -> String {
    format!("<samlp:StatusCode Value=\"{value}\">{nested}</samlp:StatusCode>")
}

pub fn deflated(octets: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(vec![], Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

pub fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// So many seconds from now, in whole seconds.
pub fn at(seconds: i64) -> String {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap().to_string()
}

fn unique_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    format!("_{:032x}", u128::from_be_bytes(bytes))
}
