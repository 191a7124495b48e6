//! Queries of the HTTP-Redirect binding.
use std::{fs, io::Write, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    sign::Signer,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    logout::receiver,
    responses::{fixtures, key},
    saml::Received,
};

/// A query that somebody sends.
#[derive(Debug, Arbitrary)]
pub enum Query {
    /// The signed one, changed.
    Changed(Vec<Change>),
    /// One that the IdP signs, so that what is behind the signature is reached: any octets, deflated or not.
    Signed {
        octets: Vec<u8>,
        deflated: bool,
    },
    Any(String),
}

/// Numbers choose among what the query has.
#[derive(Debug, Arbitrary)]
pub enum Change {
    Splice {
        at: u16,
        gone: u8,
        text: String,
    },
    Token {
        at: u16,
        token: u8,
    },
    /// One parameter to before another.
    Parameter {
        from: u8,
        to: u8,
        copy: bool,
    },
}

const CHANGES_MAX: usize = 6;
const TOKENS: &[&str] = &[
    "&",
    "=",
    "%",
    "%26",
    "%3D",
    "%00",
    "+",
    "&SAMLRequest=",
    "&SAMLResponse=",
    "&RelayState=",
    "&SigAlg=",
    "&Signature=",
    "&SAMLEncoding=",
    "&samlrequest=",
    "%53AMLRequest=",
    ";",
    "#",
    "?",
    "&RelayState=evil",
    "%2b",
    "%2B",
    "\u{e9}",
];

static GENUINE: LazyLock<(String, Received)> = LazyLock::new(|| {
    let query = fs::read_to_string(fixtures().join("logout/accept/redirect.query")).expect("a fixture");
    let received = receiver().redirect(&query).expect("accepted");
    (query, received)
});

static IDP: LazyLock<PKey<Private>> =
    LazyLock::new(|| PKey::private_key_from_pem(&key("idp-rsa.key.pem")).expect("a key"));

/// # Panics
/// If a query is accepted that says something else than the one that was signed.
pub fn check(query: &Query) {
    let text = match query {
        Query::Any(text) => text.clone(),
        Query::Changed(changes) => {
            changes.iter().take(CHANGES_MAX).fold(GENUINE.0.clone(), |query, change| change.apply(&query))
        }
        Query::Signed { octets, deflated } => {
            // Whatever it says, the IdP signed it: it need only be read or refused.
            let _ = receiver().redirect(&signed(octets, *deflated));
            return;
        }
    };
    if let Ok(received) = receiver().redirect(&text) {
        assert_eq!(received, GENUINE.1, "{text}");
    }
}

fn signed(octets: &[u8], deflated: bool) -> String {
    let message = if deflated {
        let mut encoder = DeflateEncoder::new(vec![], Compression::fast());
        encoder.write_all(octets).and_then(|()| encoder.finish()).expect("deflated")
    } else {
        octets.to_vec()
    };
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let algorithm = escaped("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
    let query = format!("SAMLRequest={}&SigAlg={algorithm}", escaped(&STANDARD.encode(message)));
    let mut signer = Signer::new(MessageDigest::sha256(), &IDP).expect("a signer");
    let signature = signer.sign_oneshot_to_vec(query.as_bytes()).expect("a signature");
    format!("{query}&Signature={}", escaped(&STANDARD.encode(signature)))
}

impl Change {
    fn apply(&self, query: &str) -> String {
        let place = |at: u16| {
            let at = usize::from(at) % (query.len() + 1);
            (0..=at).rev().find(|at| query.is_char_boundary(*at)).unwrap_or_default()
        };
        match self {
            Self::Splice { at, gone, text } => {
                let start = place(*at);
                let end = (start + usize::from(*gone)).min(query.len());
                let end = (end..=query.len()).find(|at| query.is_char_boundary(*at)).unwrap_or(query.len());
                [&query[..start], text, &query[end..]].concat()
            }
            Self::Token { at, token } => {
                let start = place(*at);
                [&query[..start], TOKENS[usize::from(*token) % TOKENS.len()], &query[start..]].concat()
            }
            Self::Parameter { from, to, copy } => {
                let mut parameters: Vec<&str> = query.split('&').collect();
                let from = usize::from(*from) % parameters.len();
                let moved = if *copy { parameters[from] } else { parameters.remove(from) };
                parameters.insert(usize::from(*to) % (parameters.len() + 1), moved);
                parameters.join("&")
            }
        }
    }
}
