//! Makes responses: canonical XML by construction, signed with OpenSSL. Knows nothing of `portcullis::saml`'s insides.
use std::{cell::RefCell, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    pkey::{PKey, Private},
    sign::Signer,
};
use portcullis::{
    domain::{AuthnDemand, Timestamp},
    saml::{
        Connection, NoTrail, Outstanding, OwnKey, Refusal, Settings, SignedElement, SubjectKey,
        VerifiedAssertion, verify,
    },
};

pub const NOW: &str = "2026-01-15T12:00:00Z";
pub const REQUEST: &str = "_f0e1d2c3b4a5968778695a4b3c2d1e0f";
pub const ACS: &str = "https://sp.example.com/saml/acs";
pub const ENTITY: &str = "https://sp.example.com/saml/metadata";
pub const IDP: &str = "https://idp.example.com/metadata";

pub const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const EXC: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// Attributes in canonical order.
pub type Attributes = BTreeMap<&'static str, String>;

/// Everything about a response that a test may want to change. Texts are canonical XML with the prefixes `saml`,
/// `samlp` and `ds`; `Default` is a response that is accepted.
#[derive(Clone)]
pub struct Spec {
    pub response: Attributes,
    pub response_issuer: String,
    pub status: String,
    pub before_status: String,
    pub before_assertion: String,
    pub after_assertion: String,
    pub assertion: Attributes,
    pub issuer: String,
    pub name_id: String,
    pub confirmation_method: String,
    pub confirmation: Attributes,
    pub after_confirmation: String,
    pub conditions: Attributes,
    /// Replaces the whole Subject.
    pub subject: Option<String>,
    /// The children of Conditions; `None` for no Conditions.
    pub restrictions: Option<String>,
    pub advice: String,
    pub authn: Attributes,
    /// The content of the AuthnStatement; `None` for no AuthnStatement.
    pub authn_context: Option<String>,
    pub attributes: String,
    pub sign_response: Option<Sign>,
    pub sign_assertion: Option<Sign>,
    /// What `saml:`, `samlp:` and `ds:` become; empty for the default namespace.
    pub prefixes: [&'static str; 3],
}

/// How to sign.
#[derive(Clone)]
pub struct Sign {
    pub key: &'static str,
    /// `rsa-sha256` and the like.
    pub algorithm: &'static str,
    /// What SignedInfo claims, if not `algorithm`.
    pub method: Option<String>,
    /// `sha256`, `sha384`, `sha512`.
    pub digest: &'static str,
    pub digest_uri: Option<String>,
    /// `None` for `#` and the parent's ID.
    pub uri: Option<String>,
    pub canonicalization: String,
    pub transforms: String,
    pub key_info: String,
    /// Changes SignedInfo's content before it is signed.
    pub info: fn(String) -> String,
    /// What is digested, from the element without its signature.
    pub digested: fn(String) -> String,
    /// SignedInfo's start tag as canonicalized, if a PrefixList adds something to it.
    pub info_tag: Option<String>,
}

impl Default for Sign {
    fn default() -> Self {
        Self {
            key: "idp-rsa",
            algorithm: "rsa-sha256",
            method: None,
            digest: "sha256",
            digest_uri: None,
            uri: None,
            canonicalization: method("CanonicalizationMethod", EXC),
            transforms: transform(ENVELOPED) + &transform(EXC),
            key_info: String::new(),
            info: |info| info,
            digested: |element| element,
            info_tag: None,
        }
    }
}

pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

pub fn method(name: &str, algorithm: &str) -> String {
    format!("<ds:{name} Algorithm=\"{algorithm}\"></ds:{name}>")
}

pub fn transform(algorithm: &str) -> String {
    method("Transform", algorithm)
}

pub fn issuer(value: &str) -> String {
    format!("<saml:Issuer>{value}</saml:Issuer>")
}

pub fn status(code: &str) -> String {
    format!("<samlp:Status><samlp:StatusCode Value=\"{code}\"></samlp:StatusCode></samlp:Status>")
}

pub fn audience(values: &[&str]) -> String {
    let audiences: String =
        values.iter().map(|value| format!("<saml:Audience>{value}</saml:Audience>")).collect();
    format!("<saml:AudienceRestriction>{audiences}</saml:AudienceRestriction>")
}

pub fn attribute(name: &str, values: &[&str]) -> String {
    let values: String =
        values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>")).collect();
    format!("<saml:Attribute Name=\"{name}\">{values}</saml:Attribute>")
}

pub fn groups(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:08x}-5b1e-4c3f-9d2a-7e6f5a4b3c2d")).collect()
}

/// A response with this many groups, signed by default on its assertion, as the bench and the fixtures use it.
pub fn with_groups(count: usize) -> Spec {
    let groups = groups(count);
    let values: Vec<&str> = groups.iter().map(String::as_str).collect();
    let mut spec = Spec::default();
    spec.attributes += &attribute("groups", &values);
    spec
}

pub fn attributes<const N: usize>(list: [(&'static str, &str); N]) -> Attributes {
    list.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

impl Default for Spec {
    fn default() -> Self {
        let (issued, end) = ("2026-01-15T11:59:58.123Z", "2026-01-15T12:05:00Z");
        Self {
            response: attributes([
                ("Destination", ACS),
                ("ID", "_response"),
                ("InResponseTo", REQUEST),
                ("IssueInstant", issued),
                ("Version", "2.0"),
            ]),
            response_issuer: issuer(IDP),
            status: status(SUCCESS),
            before_status: String::new(),
            before_assertion: String::new(),
            after_assertion: String::new(),
            assertion: attributes([("ID", "_assertion"), ("IssueInstant", issued), ("Version", "2.0")]),
            issuer: issuer(IDP),
            name_id: "<saml:NameID>alice@example.com</saml:NameID>".into(),
            confirmation_method: BEARER.into(),
            confirmation: attributes([("InResponseTo", REQUEST), ("NotOnOrAfter", end), ("Recipient", ACS)]),
            after_confirmation: String::new(),
            subject: None,
            conditions: attributes([("NotBefore", "2026-01-15T11:59:00Z"), ("NotOnOrAfter", end)]),
            restrictions: Some(audience(&[ENTITY])),
            advice: String::new(),
            authn: attributes([("AuthnInstant", "2026-01-15T11:50:00Z"), ("SessionIndex", "_session")]),
            authn_context: Some(
                "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password\
                 </saml:AuthnContextClassRef></saml:AuthnContext>"
                    .into(),
            ),
            attributes: attribute("mail", &["alice@example.com"]),
            sign_response: None,
            sign_assertion: Some(Sign::default()),
            prefixes: ["saml", "samlp", "ds"],
        }
    }
}

thread_local! {
    static TARGET: RefCell<Vec<(String, String)>> = const { RefCell::new(vec![]) };
}

/// What this thread makes from now on holds the second of each pair in place of the first, signed so: messages for a
/// gateway that really sent a request.
pub fn retarget(pairs: &[(&str, String)]) {
    TARGET.set(pairs.iter().map(|(from, to)| ((*from).to_owned(), to.clone())).collect());
}

/// `xml` with what [`retarget`] names put in place.
pub fn aimed(xml: &str) -> String {
    TARGET.with_borrow(|pairs| pairs.iter().fold(xml.to_owned(), |xml, (from, to)| xml.replace(from, to)))
}

/// `xml` as it was before [`aimed`].
pub fn unaimed(xml: &str) -> String {
    TARGET.with_borrow(|pairs| pairs.iter().fold(xml.to_owned(), |xml, (from, to)| xml.replace(to, from)))
}

/// Where the signature goes.
const PLACE: &str = "\u{1}";

impl Spec {
    /// The assertion, signed if asked for.
    pub fn assertion_xml(&self) -> String {
        let declared = format!("<saml:Assertion xmlns:saml=\"{SAML}\"{}>", spelled(&self.assertion));
        let statement = match self.attributes.as_str() {
            "" => String::new(),
            attributes => format!("<saml:AttributeStatement>{attributes}</saml:AttributeStatement>"),
        };
        let body = [
            self.issuer.clone(),
            PLACE.into(),
            self.subject_xml(),
            self.conditions_xml(),
            self.advice.clone(),
            self.authn_xml(),
            statement,
            "</saml:Assertion>".into(),
        ];
        self.signed(declared + &body.concat(), self.sign_assertion.as_ref(), self.assertion.get("ID"))
    }

    fn subject_xml(&self) -> String {
        if let Some(subject) = &self.subject {
            return subject.clone();
        }
        let data = spelled(&self.confirmation);
        format!(
            "<saml:Subject>{}<saml:SubjectConfirmation Method=\"{}\"><saml:SubjectConfirmationData{data}>\
             </saml:SubjectConfirmationData></saml:SubjectConfirmation>{}</saml:Subject>",
            self.name_id, self.confirmation_method, self.after_confirmation
        )
    }

    fn conditions_xml(&self) -> String {
        let Some(restrictions) = &self.restrictions else { return String::new() };
        format!("<saml:Conditions{}>{restrictions}</saml:Conditions>", spelled(&self.conditions))
    }

    fn authn_xml(&self) -> String {
        let Some(context) = &self.authn_context else { return String::new() };
        format!("<saml:AuthnStatement{}>{context}</saml:AuthnStatement>", spelled(&self.authn))
    }

    /// The response around `assertion`, which may be anything.
    pub fn around(&self, assertion: &str) -> String {
        let declared = format!("<samlp:Response xmlns:samlp=\"{SAMLP}\"{}>", spelled(&self.response));
        let body = [
            self.response_issuer.replacen("<saml:Issuer", &format!("<saml:Issuer xmlns:saml=\"{SAML}\""), 1),
            PLACE.into(),
            self.before_status.clone(),
            self.status.clone(),
            self.before_assertion.clone(),
            assertion.to_owned(),
            self.after_assertion.clone(),
            "</samlp:Response>".into(),
        ];
        self.signed(declared + &body.concat(), self.sign_response.as_ref(), self.response.get("ID"))
    }

    pub fn xml(&self) -> String {
        self.around(&self.assertion_xml())
    }

    fn signed(&self, element: String, sign: Option<&Sign>, id: Option<&String>) -> String {
        let element = self.dressed(&element);
        let (before, after) = element.split_once(PLACE).expect("a place for the signature");
        let signature = sign.map(|sign| {
            let id = id.map_or("", String::as_str);
            self.signature(sign, &format!("{before}{after}"), id)
        });
        format!("{before}{}{after}", signature.unwrap_or_default())
    }

    /// The signature over `element`, which is canonical and still without it.
    pub fn signature(&self, sign: &Sign, element: &str, id: &str) -> String {
        let digest =
            openssl::hash::hash(message_digest(sign.digest), (sign.digested)(element.to_owned()).as_bytes());
        let digest = STANDARD.encode(digest.expect("digest"));
        let digest_uri = sign.digest_uri.clone().unwrap_or_else(|| digest_uri(sign.digest).into());
        let algorithm = sign.method.clone().unwrap_or_else(|| signature_uri(sign.algorithm));
        let uri = sign.uri.clone().unwrap_or_else(|| format!("#{id}"));
        let content = format!(
            "{}{}<ds:Reference URI=\"{uri}\"><ds:Transforms>{}</ds:Transforms>{}<ds:DigestValue>{digest}\
             </ds:DigestValue></ds:Reference>",
            sign.canonicalization,
            method("SignatureMethod", &algorithm),
            sign.transforms,
            method("DigestMethod", &digest_uri),
        );
        let content = (sign.info)(content);
        let tag = sign.info_tag.clone().unwrap_or_else(|| format!("<ds:SignedInfo xmlns:ds=\"{DS}\">"));
        let info = self.dressed(&format!("{tag}{content}</ds:SignedInfo>"));
        let value = STANDARD.encode(sign_octets(sign.key, sign.algorithm, info.as_bytes()));
        self.dressed(&format!(
            "<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo>{content}</ds:SignedInfo><ds:SignatureValue>{value}\
             </ds:SignatureValue>{}</ds:Signature>",
            sign.key_info
        ))
    }

    /// Replaces the three prefixes.
    fn dressed(&self, xml: &str) -> String {
        let mut xml = aimed(xml);
        for (from, to) in ["saml", "samlp", "ds"].into_iter().zip(self.prefixes) {
            if from == to {
                continue;
            }
            let (name, declaration) = match to {
                "" => (String::new(), "xmlns=".to_owned()),
                to => (format!("{to}:"), format!("xmlns:{to}=")),
            };
            xml = xml.replace(&format!("<{from}:"), &format!("<{name}"));
            xml = xml.replace(&format!("</{from}:"), &format!("</{name}"));
            xml = xml.replace(&format!("xmlns:{from}="), &declaration);
        }
        xml
    }
}

pub fn spelled(attributes: &Attributes) -> String {
    attributes.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect()
}

pub fn signature_uri(algorithm: &str) -> String {
    format!("http://www.w3.org/2001/04/xmldsig-more#{algorithm}")
}

pub fn digest_uri(digest: &str) -> &'static str {
    match digest {
        "sha1" => "http://www.w3.org/2000/09/xmldsig#sha1",
        "sha256" => "http://www.w3.org/2001/04/xmlenc#sha256",
        "sha384" => "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "sha512" => "http://www.w3.org/2001/04/xmlenc#sha512",
        other => panic!("no digest {other}"),
    }
}

fn message_digest(name: &str) -> MessageDigest {
    MessageDigest::from_name(name).unwrap_or_else(|| panic!("no digest {name}"))
}

/// Signs with a key of `fixtures/saml/keys`; an ECDSA signature is r and s side by side.
pub fn sign_octets(key: &str, algorithm: &str, octets: &[u8]) -> Vec<u8> {
    let (kind, digest) = algorithm.split_once('-').expect("key type and digest");
    let key = private_key(key);
    if kind == "ecdsa" {
        let ec = key.ec_key().expect("EC key");
        let bytes = key.bits().div_ceil(8) as i32;
        let digest = openssl::hash::hash(message_digest(digest), octets).expect("digest");
        let signature = EcdsaSig::sign(&digest, &ec).expect("signature");
        return [signature.r(), signature.s()].map(|n| n.to_vec_padded(bytes).expect("padding")).concat();
    }
    let mut signer = Signer::new(message_digest(digest), &key).expect("signer");
    signer.sign_oneshot_to_vec(octets).expect("signature")
}

pub fn private_key(name: &str) -> PKey<Private> {
    PKey::private_key_from_pem(&key_file(name, "key")).expect("private key")
}

pub fn certificate(name: &str) -> Vec<u8> {
    key_file(name, "cert")
}

fn key_file(name: &str, kind: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/saml/keys/{name}.{kind}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn settings(certificates: &[&str]) -> Settings {
    Settings {
        entity_id: ENTITY.into(),
        idp_entity_id: IDP.into(),
        sso_url: "https://idp.example.com/sso".into(),
        certificates: certificates.iter().map(|name| certificate(name)).collect(),
        signed: SignedElement::Either,
        subject: SubjectKey::NameId,
        clock_skew_seconds: 60,
        ..Settings::default()
    }
}

pub fn connection(certificates: &[&str]) -> Connection {
    Connection::new(settings(certificates)).expect("connection")
}

/// The connection that every fixture is judged with, but those of a few reasons.
pub fn usual_connection() -> Connection {
    let mut settings = settings(&["idp-rsa", "idp-p256", "idp-p384"]);
    let pair = |name: &str| {
        let path = format!("{}/fixtures/saml/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        OwnKey::from_pem(&std::fs::read(&path).expect("a file")).expect("a key with its certificate")
    };
    settings.decryption_keys = ["sp-decryption", "sp-decryption-next"].map(pair).into();
    Connection::new(settings).expect("connection")
}

pub fn now() -> Timestamp {
    NOW.parse().expect("timestamp")
}

/// Verifies at the fixed clock, with the fixed request outstanding.
pub fn judge(connection: &Connection, octets: &[u8]) -> Result<VerifiedAssertion, Refusal> {
    judge_asked(connection, octets, &AuthnDemand::default())
}

/// The same, where the request asked something of the sign-in; it was issued ten seconds ago.
pub fn judge_asked(
    connection: &Connection,
    octets: &[u8],
    demand: &AuthnDemand,
) -> Result<VerifiedAssertion, Refusal> {
    let issued_at = "2026-01-15T11:59:50.900Z".parse().expect("timestamp");
    let outstanding = ["_other", REQUEST].map(|request_id| Outstanding { request_id, demand, issued_at });
    verify(octets, connection, ACS, &outstanding, now(), &mut NoTrail)
}
