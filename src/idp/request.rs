//! Reads an AuthnRequest of the HTTP-Redirect or HTTP-POST binding and decides whether its sender may be answered.
use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::bufread::DeflateDecoder;
use http::Uri;
use openssl::pkey::{PKey, Public};
use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
    reader::NsReader,
};

use super::signed;

pub(super) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(super) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const POST_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
pub(super) const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
pub(super) const EMAIL_ADDRESS: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

/// Length of a SAMLRequest parameter, still in base64.
const ENCODED_BYTES_MAX: usize = 32 * 1024;
/// Length of an inflated AuthnRequest.
const INFLATED_BYTES_MAX: usize = 64 * 1024;
/// How deep elements may be nested in an AuthnRequest.
pub(super) const DEPTH_MAX: usize = 16;
/// Length of a request ID or an ACS URL.
const VALUE_BYTES_MAX: usize = 2_048;

/// Who may ask for sign-ins, besides what [`super::Settings::any_loopback`] admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceProvider {
    pub entity_id: String,
    /// Answers go to exactly these.
    pub acs_urls: Vec<String>,
}

/// What an answer needs to know of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuthnRequest {
    /// `None` for a sign-in that begins here, which answers nothing.
    pub id: Option<String>,
    pub issuer: String,
    pub acs_url: String,
    /// The Format of the NameIDPolicy; unspecified where there is none.
    pub name_id_format: String,
    pub is_passive: bool,
    pub force_authn: bool,
    /// The class references of RequestedAuthnContext.
    pub contexts: Vec<String>,
}

/// A request as it came, and rides along from page to page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    /// The values of the parameters, percent-decoded.
    pub request: &'a str,
    pub relay_state: &'a str,
    pub is_posted: bool,
    /// SigAlg and Signature of the HTTP-Redirect binding.
    pub signature: Option<(&'a str, &'a str)>,
}

/// Why a request gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("SAMLRequest is longer than {ENCODED_BYTES_MAX} bytes, or {INFLATED_BYTES_MAX} when inflated")]
    TooLong,
    #[error("SAMLRequest is not base64 of raw DEFLATE data (SAML Bindings 3.4.4.1)")]
    Encoding,
    #[error("the request is not well-formed XML, or has a DTD or a processing instruction")]
    Xml,
    #[error("the request must be signed with a key that this IdP knows: {0}")]
    Signature(&'static str),
    #[error("the request is no samlp:AuthnRequest")]
    NotAuthnRequest,
    #[error("the request lacks {0}")]
    Missing(&'static str),
    #[error("the request's {0} is not usable here: {1:?}")]
    Unusable(&'static str, String),
    #[error("the service provider {issuer:?} with the ACS URL {acs_url:?} is not on the list of this IdP")]
    NotListed { issuer: String, acs_url: String },
}

/// Whom the IdP answers, and under which URL it is asked.
pub(super) struct Audience {
    pub sso_url: String,
    pub service_providers: Vec<ServiceProvider>,
    pub any_loopback: bool,
    /// Keys that requests must be signed with; none for no such demand.
    pub keys: Vec<PKey<Public>>,
}

impl Audience {
    pub(super) fn read(&self, message: &Message<'_>) -> Result<AuthnRequest, RequestError> {
        let xml = if message.is_posted { decode(message.request)? } else { inflate(message.request)? };
        if !self.keys.is_empty() {
            signed::check(&self.keys, message, &xml)?;
        }
        let raw = parse(&xml)?;
        let id = raw.required("ID")?;
        // SAML Core 3.2.1: the ID is an NCName; it comes back as InResponseTo.
        if !is_ncname(&id) {
            return Err(RequestError::Unusable("ID", id));
        }
        let flag = |name| matches!(raw.get(name), Some("true" | "1"));
        let request = AuthnRequest {
            id: Some(id),
            issuer: raw.issuer.clone().filter(|i| !i.is_empty()).ok_or(RequestError::Missing("Issuer"))?,
            acs_url: raw.required("AssertionConsumerServiceURL")?,
            name_id_format: raw.name_id_format.clone().unwrap_or_else(|| UNSPECIFIED.into()),
            is_passive: flag("IsPassive"),
            force_authn: flag("ForceAuthn"),
            contexts: raw.contexts.clone(),
        };
        let version = raw.required("Version")?;
        if version != "2.0" {
            return Err(RequestError::Unusable("Version", version));
        }
        // SAML Core 3.2.1: a Destination that names somebody else must not be answered.
        if let Some(destination) = raw.get("Destination").filter(|d| *d != self.sso_url) {
            return Err(RequestError::Unusable("Destination", destination.into()));
        }
        if let Some(binding) = raw.get("ProtocolBinding").filter(|b| *b != POST_BINDING) {
            return Err(RequestError::Unusable("ProtocolBinding", binding.into()));
        }
        self.admit(request)
    }

    /// SAML Profiles 4.1.4.1: answers go only where the service provider is known to be. Without this the IdP would sign
    /// for whoever asks.
    pub(super) fn admit(&self, request: AuthnRequest) -> Result<AuthnRequest, RequestError> {
        let listed = self
            .service_providers
            .iter()
            .any(|sp| sp.entity_id == request.issuer && sp.acs_urls.contains(&request.acs_url));
        match origin_of(&request.acs_url) {
            Some(origin) if listed || (self.any_loopback && origin.is_loopback) => Ok(request),
            _ => Err(RequestError::NotListed { issuer: request.issuer, acs_url: request.acs_url }),
        }
    }
}

impl AuthnRequest {
    /// What a service provider would have asked whose people begin here.
    pub(super) fn unsolicited(issuer: String, acs_url: String) -> Self {
        Self {
            id: None,
            issuer,
            acs_url,
            name_id_format: UNSPECIFIED.into(),
            is_passive: false,
            force_authn: false,
            contexts: Vec::new(),
        }
    }

    /// The format in which the NameID will be given, or `None` if the request wants one that this IdP has not.
    pub(super) fn agreed_format(&self) -> Option<&'static str> {
        match self.name_id_format.as_str() {
            UNSPECIFIED | PERSISTENT => Some(PERSISTENT),
            EMAIL_ADDRESS => Some(EMAIL_ADDRESS),
            _ => None,
        }
    }
}

/// Scheme and authority of a URL.
pub(super) struct Origin {
    pub text: String,
    pub is_loopback: bool,
}

/// The origin of an absolute http or https URL without user information; `None` for anything else.
pub(super) fn origin_of(url: &str) -> Option<Origin> {
    if url.len() > VALUE_BYTES_MAX || url.contains('\\') {
        return None;
    }
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|s| matches!(*s, "http" | "https"))?;
    let authority = uri.authority().filter(|a| !a.as_str().contains('@'))?;
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    Some(Origin { text: format!("{scheme}://{authority}"), is_loopback })
}

/// SAML Bindings 3.5.4.
fn decode(parameter: &str) -> Result<String, RequestError> {
    if parameter.len() > ENCODED_BYTES_MAX {
        return Err(RequestError::TooLong);
    }
    let bytes = STANDARD.decode(parameter).map_err(|_| RequestError::Encoding)?;
    String::from_utf8(bytes).map_err(|_| RequestError::Encoding)
}

/// SAML Bindings 3.4.4.1.
pub(super) fn inflate(parameter: &str) -> Result<String, RequestError> {
    if parameter.len() > ENCODED_BYTES_MAX {
        return Err(RequestError::TooLong);
    }
    let deflated = STANDARD.decode(parameter).map_err(|_| RequestError::Encoding)?;
    let mut decoder = DeflateDecoder::new(deflated.as_slice());
    let mut inflated = Vec::new();
    let cap = INFLATED_BYTES_MAX as u64 + 1;
    decoder.by_ref().take(cap).read_to_end(&mut inflated).map_err(|_| RequestError::Encoding)?;
    if inflated.len() > INFLATED_BYTES_MAX {
        return Err(RequestError::TooLong);
    }
    if decoder.total_in() != deflated.len() as u64 {
        return Err(RequestError::Encoding);
    }
    String::from_utf8(inflated).map_err(|_| RequestError::Encoding)
}

/// The parts of an AuthnRequest that matter here, unjudged.
#[derive(Default)]
struct Raw {
    attributes: Vec<(String, String)>,
    issuer: Option<String>,
    name_id_format: Option<String>,
    contexts: Vec<String>,
}

impl Raw {
    /// Adds text to the element that is open.
    fn say(&mut self, inside: Inside, text: &str) {
        match inside {
            Inside::Issuer => self.issuer.get_or_insert_default().push_str(text),
            Inside::Context => self.contexts.last_mut().into_iter().for_each(|class| class.push_str(text)),
            Inside::Other => {}
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &'static str) -> Result<String, RequestError> {
        let value = self.get(name).filter(|v| !v.is_empty()).ok_or(RequestError::Missing(name))?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(RequestError::TooLong);
        }
        Ok(value.into())
    }
}

/// Whose text follows a start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Issuer,
    Context,
    Other,
}

fn parse(xml: &str) -> Result<Raw, RequestError> {
    let mut reader = NsReader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut raw = Raw::default();
    let (mut depth, mut roots, mut inside) = (0, 0, Inside::Other);
    loop {
        match reader.read_resolved_event().map_err(|_| RequestError::Xml)? {
            (namespace, Event::Start(element)) => {
                depth += 1;
                roots += usize::from(depth == 1);
                if depth > DEPTH_MAX || roots > 1 {
                    return Err(RequestError::Xml);
                }
                inside = open(&mut raw, depth, &namespace, &element)?;
            }
            (_, Event::End(_)) => {
                depth -= 1;
                inside = Inside::Other;
            }
            (_, Event::Text(text)) if inside != Inside::Other => raw.say(inside, &text.xml10_content()),
            (_, Event::GeneralRef(reference)) if inside != Inside::Other => {
                let text = quick_xml::escape::unescape(&format!("&{};", &*reference))
                    .map_err(|_| RequestError::Xml)?
                    .into_owned();
                raw.say(inside, &text);
            }
            (_, Event::Text(text)) if depth > 0 || text.trim().is_empty() => {}
            (_, Event::Comment(_) | Event::Decl(_)) => {}
            (_, Event::GeneralRef(_) | Event::CData(_)) if depth > 1 && inside == Inside::Other => {}
            (_, Event::Eof) => break,
            _ => return Err(RequestError::Xml),
        }
    }
    if roots == 1 && depth == 0 { Ok(raw) } else { Err(RequestError::Xml) }
}

/// Takes what matters from a start tag; answers whose text follows.
fn open(
    raw: &mut Raw,
    depth: usize,
    namespace: &ResolveResult<'_>,
    element: &BytesStart<'_>,
) -> Result<Inside, RequestError> {
    let local = element.local_name();
    let is = |uri, name| *namespace == ResolveResult::Bound(Namespace(uri)) && local.as_ref() == name;
    match depth {
        1 if is(PROTOCOL, "AuthnRequest") => raw.attributes = attributes(element)?,
        1 => return Err(RequestError::NotAuthnRequest),
        2 if is(ASSERTION, "Issuer") => {
            if raw.issuer.replace(String::new()).is_some() {
                return Err(RequestError::Xml);
            }
            return Ok(Inside::Issuer);
        }
        2 if is(PROTOCOL, "NameIDPolicy") => {
            let format = attributes(element)?.into_iter().find(|(name, _)| name == "Format");
            raw.name_id_format = format.map(|(_, value)| value);
        }
        3 if is(ASSERTION, "AuthnContextClassRef") => {
            raw.contexts.push(String::new());
            return Ok(Inside::Context);
        }
        _ => {}
    }
    Ok(Inside::Other)
}

/// Attributes by qualified name; one of another namespace has a prefix and so never takes the place of SAML's.
pub(super) fn attributes(element: &BytesStart<'_>) -> Result<Vec<(String, String)>, RequestError> {
    element
        .attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|_| RequestError::Xml)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| RequestError::Xml)?;
            Ok((attribute.key.as_ref().to_owned(), value.into_owned()))
        })
        .collect()
}

fn is_ncname(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};

    use super::*;

    const SSO: &str = "http://idp.example.com/sso";
    const SP: &str = "https://app.example.com/saml/metadata";
    const ACS: &str = "https://app.example.com/saml/acs";

    fn audience() -> Audience {
        let sp = ServiceProvider { entity_id: SP.into(), acs_urls: vec![ACS.into()] };
        Audience { sso_url: SSO.into(), service_providers: vec![sp], any_loopback: true, keys: vec![] }
    }

    fn read(audience: &Audience, request: &str) -> Result<AuthnRequest, RequestError> {
        audience.read(&Message { request, relay_state: "", is_posted: false, signature: None })
    }

    fn encode(xml: &[u8]) -> String {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(xml).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    }

    fn request() -> String {
        format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" ID=\"_1\" Version=\"2.0\" Destination=\"{SSO}\" \
             AssertionConsumerServiceURL=\"{ACS}\"><saml:Issuer xmlns:saml=\"{ASSERTION}\">{SP}</saml:Issuer>\
             <samlp:NameIDPolicy Format=\"{PERSISTENT}\"/></samlp:AuthnRequest>"
        )
    }

    #[test]
    fn reads_a_request() {
        let read = read(&audience(), &encode(request().as_bytes())).unwrap();
        assert_eq!(
            (read.id.as_deref().unwrap(), read.issuer.as_str(), read.acs_url.as_str()),
            ("_1", SP, ACS)
        );
        assert_eq!(read.agreed_format(), Some(PERSISTENT));
        assert!(!read.is_passive);
    }

    #[test]
    fn refuses() {
        let check = |from: &str, to: &str, error: &str| {
            let altered = request().replacen(from, to, 1);
            assert_ne!(altered, request(), "{from}");
            let got = read(&audience(), &encode(altered.as_bytes()));
            assert!(got.as_ref().is_err_and(|e| e.to_string().contains(error)), "{to}: {got:?}");
        };
        check("ID=\"_1\"", "", "lacks ID");
        check("ID=\"_1\"", "ID=\"1&quot;\"", "ID is not usable");
        check("\"2.0\"", "\"1.1\"", "Version is not usable");
        check(SSO, "http://other.example.com/sso", "Destination is not usable");
        check("Version", "ProtocolBinding=\"urn:other\" Version", "ProtocolBinding is not usable");
        check(&format!(">{SP}<"), "><", "lacks Issuer");
        check(SP, "https://other.example.com", "not on the list");
        check(ACS, "https://app.example.com/saml/acs2", "not on the list");
        check(ACS, "https://localhost.evil.test/", "not on the list");
        check(ACS, "https://localhost@evil.test/", "not on the list");
        check(ACS, "https://evil.test\\@localhost/", "not on the list");
        check(ACS, "javascript://localhost/%0aalert(1)", "not on the list");
        check("<samlp:Auth", "<!DOCTYPE a><samlp:Auth", "not well-formed");
        check("<samlp:Auth", "<?a?><samlp:Auth", "not well-formed");
        check("<samlp:Auth", "text<samlp:Auth", "not well-formed");
        check("</samlp:AuthnRequest>", "", "not well-formed");
        check("</samlp:AuthnRequest>", "</samlp:AuthnRequest><a/>", "not well-formed");
        check(PROTOCOL, "urn:other", "no samlp:AuthnRequest");
        check(SP, "&other;", "not well-formed");
    }

    #[test]
    fn loopback_is_admitted_only_when_wanted() {
        let mut audience = audience();
        let at_home = |acs: &str| encode(request().replace(ACS, acs).as_bytes());
        for acs in ["http://localhost:8080/acs", "http://127.0.0.2:1/acs", "https://[::1]:8443/acs"] {
            audience.any_loopback = true;
            assert!(read(&audience, &at_home(acs)).is_ok(), "{acs}");
            audience.any_loopback = false;
            assert!(matches!(read(&audience, &at_home(acs)), Err(RequestError::NotListed { .. })), "{acs}");
        }
    }

    #[test]
    fn encodings() {
        let good = encode(request().as_bytes());
        let check = |text: &str, error: RequestError| assert_eq!(read(&audience(), text), Err(error));
        check("", RequestError::Encoding);
        check("not base64!", RequestError::Encoding);
        check(&STANDARD.encode(request()), RequestError::Encoding);
        check(&encode(&[0xff, 0xfe]), RequestError::Encoding);
        let mut trailing = STANDARD.decode(&good).unwrap();
        trailing.push(0);
        check(&STANDARD.encode(trailing), RequestError::Encoding);
        check(&encode(&vec![b' '; INFLATED_BYTES_MAX + 1]), RequestError::TooLong);
        check(&"A".repeat(ENCODED_BYTES_MAX + 1), RequestError::TooLong);
    }
}
