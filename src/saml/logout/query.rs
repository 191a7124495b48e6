//! A query of the HTTP-Redirect binding (SAML Bindings 3.4): its parameters as they were sent, the signature over them, and
//! the message that one of them holds.
use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::bufread::DeflateDecoder;

use super::{
    super::{
        Connection, Reason, Refusal,
        algorithm::SignatureAlgorithm,
        guard::{Guard, excused, stands},
        limits::SIGNATURE_TEXT_BYTES_MAX,
    },
    LogoutRefusal, MessageKind,
};

/// The longest inflated message (S-67). A LogoutRequest takes a few kilobytes.
pub(super) const INFLATED_BYTES_MAX: usize = 128 * 1024;
/// How much is inflated at a time, so that a bomb is found out before it is large.
const INFLATE_STEP_BYTES: usize = 4 * 1024;
/// The one encoding of the binding, which need not be named.
const DEFLATE: &str = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE";

/// The parameters of the binding. Those of other names say nothing (L-03).
#[derive(Debug)]
pub(super) struct Query {
    pub kind: MessageKind,
    pub relay_state: Option<String>,
    /// `SAMLRequest=...&RelayState=...&SigAlg=...` of the octets that were received: what is signed.
    signed: String,
    message: String,
    algorithm: Option<String>,
    signature: Option<String>,
}

/// A value as it was sent; a parameter is there at most once.
#[derive(Default)]
struct Raw<'q> {
    request: Option<&'q str>,
    response: Option<&'q str>,
    relay_state: Option<&'q str>,
    algorithm: Option<&'q str>,
    signature: Option<&'q str>,
    encoding: Option<&'q str>,
}

impl Query {
    /// Takes the parameters apart without undoing any percent-encoding of what is signed: escapes in lower case, or of
    /// characters that need none, were signed as they are.
    pub fn read(query: &str) -> Result<Self, LogoutRefusal> {
        let raw = Raw::read(query)?;
        let (kind, message) = match (raw.request, raw.response) {
            (Some(request), None) => (MessageKind::Request, request),
            (None, Some(response)) => (MessageKind::Response, response),
            // L-04
            (Some(_), Some(_)) if stands(Guard::QueryOneMessage) => {
                return Err(LogoutRefusal::RequestAndResponse);
            }
            (Some(request), Some(_)) => (MessageKind::Request, request),
            (None, None) => return Err(LogoutRefusal::MessageMissing),
        };
        let encoding = raw.encoding.map(|value| decoded("SAMLEncoding", value)).transpose()?;
        if encoding.is_some_and(|encoding| encoding != DEFLATE) && stands(Guard::QueryDeflate) {
            return Err(LogoutRefusal::ParameterEncoding("SAMLEncoding"));
        }
        // SAML Bindings 3.4.4.1: in this order, whatever their order in the query.
        let mut signed = format!("{}={message}", kind.parameter());
        for (name, value) in [("RelayState", raw.relay_state), ("SigAlg", raw.algorithm)] {
            if let Some(value) = value {
                signed.extend(["&", name, "=", value]);
            }
        }
        let optional = |name, value: Option<&str>| value.map(|value| decoded(name, value)).transpose();
        Ok(Self {
            kind,
            message: decoded(kind.parameter(), message)?,
            relay_state: optional("RelayState", raw.relay_state)?,
            algorithm: optional("SigAlg", raw.algorithm)?,
            signature: optional("Signature", raw.signature)?,
            signed,
        })
    }

    /// L-01: a message by this binding is always signed.
    pub fn verify(&self, connection: &Connection) -> Result<(), LogoutRefusal> {
        let (Some(uri), Some(value)) = (&self.algorithm, &self.signature) else {
            if !stands(Guard::QuerySigned) {
                return Ok(());
            }
            return Err(Refusal::from(Reason::SignatureMissing).expected("SigAlg and Signature").into());
        };
        let algorithm = SignatureAlgorithm::from_uri(uri)
            .or_else(|| SignatureAlgorithm::without_guard(Guard::SignatureAlgorithm))
            .ok_or_else(|| Refusal::from(Reason::SignatureAlgorithm).found(uri))?;
        if value.len() > SIGNATURE_TEXT_BYTES_MAX && stands(Guard::SignatureTextSize) {
            return Err(Reason::SignatureEncoding.into());
        }
        let value = STANDARD.decode(value).map_err(|_| Reason::SignatureEncoding);
        let value = excused(Guard::SignatureBase64, value)?;
        Ok(connection.check_signature(algorithm, self.signed.as_bytes(), &value)?)
    }

    /// The message: base64 without white space of raw DEFLATE data (RFC 1951) with nothing behind it.
    pub fn message(&self) -> Result<Vec<u8>, LogoutRefusal> {
        let wrong = |_| LogoutRefusal::ParameterEncoding(self.kind.parameter());
        let deflated = excused(Guard::QueryBase64, STANDARD.decode(&self.message).map_err(wrong))?;
        inflate(&deflated)
    }
}

impl<'q> Raw<'q> {
    fn read(query: &'q str) -> Result<Self, LogoutRefusal> {
        let mut raw = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some((name, slot)) = raw.slot(name) {
                if slot.replace(value).is_some() && stands(Guard::QueryOnce) {
                    return Err(LogoutRefusal::ParameterTwice(name));
                }
                continue;
            }
            // Another spelling of one of our names is a second one to other readers.
            let plain = form_urlencoded::parse(name.as_bytes()).next();
            let plain = plain.as_ref().filter(|_| stands(Guard::QuerySpelling));
            if let Some((name, _)) = plain.and_then(|(name, _)| raw.slot(name)) {
                return Err(LogoutRefusal::ParameterEncoding(name));
            }
        }
        Ok(raw)
    }

    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<&'q str>)> {
        Some(match name {
            "SAMLRequest" => ("SAMLRequest", &mut self.request),
            "SAMLResponse" => ("SAMLResponse", &mut self.response),
            "RelayState" => ("RelayState", &mut self.relay_state),
            "SigAlg" => ("SigAlg", &mut self.algorithm),
            "Signature" => ("Signature", &mut self.signature),
            "SAMLEncoding" => ("SAMLEncoding", &mut self.encoding),
            _ => return None,
        })
    }
}

/// What a value stands for. Every percent sign must begin an escape, and the result must be UTF-8.
fn decoded(name: &'static str, value: &str) -> Result<String, LogoutRefusal> {
    let wrong = || LogoutRefusal::ParameterEncoding(name);
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.as_bytes().get(..2).ok_or_else(wrong)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) && stands(Guard::QueryEscapes) {
            return Err(wrong());
        }
        rest = after.get(2..).ok_or_else(wrong)?;
    }
    let spaced = value.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().map(String::from).map_err(|_| wrong())
}

/// Inflates piece by piece and stops at the cap (S-67).
fn inflate(deflated: &[u8]) -> Result<Vec<u8>, LogoutRefusal> {
    let mut decoder = DeflateDecoder::new(deflated);
    let mut inflated = vec![];
    let mut step = [0; INFLATE_STEP_BYTES];
    loop {
        let count = decoder.read(&mut step).map_err(|_| LogoutRefusal::DeflateInvalid);
        let count = excused(Guard::DeflateValid, count)?;
        if count == 0 {
            break;
        }
        inflated.extend_from_slice(step.get(..count).unwrap_or_default());
        if inflated.len() > INFLATED_BYTES_MAX && stands(Guard::InflatedSize) {
            return Err(LogoutRefusal::InflatedTooLarge);
        }
    }
    if decoder.total_in() != deflated.len() as u64 && stands(Guard::DeflateTrailing) {
        return Err(LogoutRefusal::DeflateTrailing);
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(vec![], Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn s_67_a_bomb_is_stopped_and_nothing_trails() {
        assert_eq!(inflate(&deflated(b"<a/>")).unwrap(), b"<a/>");
        let exact = vec![b' '; INFLATED_BYTES_MAX];
        assert_eq!(inflate(&deflated(&exact)).unwrap().len(), INFLATED_BYTES_MAX);
        let over = vec![b' '; INFLATED_BYTES_MAX + 1];
        assert_eq!(inflate(&deflated(&over)), Err(LogoutRefusal::InflatedTooLarge));
        let bomb = deflated(&vec![b' '; 64 * 1024 * 1024]);
        assert_eq!(inflate(&bomb), Err(LogoutRefusal::InflatedTooLarge));
        let trailing = [deflated(b"<a/>"), vec![0]].concat();
        assert_eq!(inflate(&trailing), Err(LogoutRefusal::DeflateTrailing));
        let mut cut = deflated(b"<LogoutRequest/>");
        cut.truncate(cut.len() / 2);
        assert!(inflate(&cut).is_err());
        // zlib's wrapper (RFC 1950) is not raw DEFLATE.
        assert!(inflate(b"\x78\x9c\x4b\x04\x00\x00\x62\x00\x62").is_err());
    }

    #[test]
    fn l_03_the_octets_are_those_that_were_received() {
        let query =
            Query::read("x=1&SigAlg=a%3ab&RelayState=%7e+%2B&SAMLRequest=ab%2b%2F&Signature=s&y").unwrap();
        assert_eq!(query.signed, "SAMLRequest=ab%2b%2F&RelayState=%7e+%2B&SigAlg=a%3ab");
        assert_eq!(query.relay_state.as_deref(), Some("~ +"));
        assert_eq!(query.message, "ab+/");
        let refused = |query: &str| Query::read(query).unwrap_err();
        for name in ["SAMLRequest", "RelayState", "SigAlg", "Signature", "SAMLEncoding"] {
            let twice = format!("SAMLRequest=a&{name}=b&{name}=b");
            assert!(matches!(refused(&twice), LogoutRefusal::ParameterTwice(_)), "{name}");
        }
        assert_eq!(refused("%53AMLRequest=a&SAMLRequest=a"), LogoutRefusal::ParameterEncoding("SAMLRequest"));
        assert_eq!(refused("SAMLRequest=a%2"), LogoutRefusal::ParameterEncoding("SAMLRequest"));
        assert_eq!(refused("SAMLRequest=a%zz"), LogoutRefusal::ParameterEncoding("SAMLRequest"));
        assert_eq!(refused("SAMLRequest=%ff"), LogoutRefusal::ParameterEncoding("SAMLRequest"));
        assert_eq!(
            refused("SAMLRequest=a&SAMLEncoding=zip"),
            LogoutRefusal::ParameterEncoding("SAMLEncoding")
        );
        assert_eq!(refused("RelayState=a"), LogoutRefusal::MessageMissing);
        assert_eq!(refused(""), LogoutRefusal::MessageMissing);
    }

    #[test]
    fn l_04_a_request_and_a_response_at_once() {
        let refused = Query::read("SAMLRequest=a&SAMLResponse=b").unwrap_err();
        assert_eq!(refused, LogoutRefusal::RequestAndResponse);
    }
}
