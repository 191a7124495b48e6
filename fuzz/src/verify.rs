//! Edits of signed responses, by whoever can hold some of them but no key.
use std::ops::Range;

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::responses::{GENUINE, judge};

/// Edits of one message: enough for every wrapping attack that is known.
const EDITS_MAX: usize = 6;
const OCTETS_MAX: usize = 64 * 1024;

/// Which response, and what is done to it.
#[derive(Debug, Arbitrary)]
pub struct Edits {
    base: u8,
    edits: Vec<Edit>,
}

/// Numbers choose among what the message has, whatever their size.
#[derive(Debug, Arbitrary)]
pub enum Edit {
    /// An element to before another tag.
    Move {
        element: u16,
        to: u16,
    },
    Copy {
        element: u16,
        to: u16,
    },
    /// An element of another response that was signed.
    Graft {
        from: u8,
        element: u16,
        to: u16,
    },
    Replace {
        from: u8,
        element: u16,
        with: u16,
    },
    Delete {
        element: u16,
    },
    /// An element around another, with the first one's tags.
    Wrap {
        element: u16,
        tags: u16,
    },
    /// One of [`TOKENS`] before a tag, or within one behind its name.
    Insert {
        token: u8,
        at: u16,
        within: bool,
    },
    /// Every occurrence of the first of a pair of [`SWAPS`], or one of them.
    Swap {
        pair: u8,
        only: Option<u16>,
    },
    Splice {
        at: u16,
        gone: u8,
        octets: Vec<u8>,
    },
}

const TOKENS: &[&str] = &[
    "<!---->",
    "<!-- ",
    " -->",
    "<![CDATA[",
    "]]>",
    "<![CDATA[admin]]>",
    "&#97;",
    "&amp;",
    "&",
    " ",
    "\r",
    "\n",
    "admin",
    "<a/>",
    "<a>",
    "</a>",
    "<?p?>",
    "<!DOCTYPE a>",
    "<saml:NameID>admin</saml:NameID>",
    " ID=\"_assertion\"",
    " ID=\"_evil\"",
    " id=\"_assertion\"",
    " xml:id=\"_assertion\"",
    " xmlns=\"\"",
    " xmlns=\"urn:x\"",
    " xmlns:saml=\"urn:x\"",
    " xmlns:ds=\"urn:x\"",
    " xmlns:x=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
    " x:Name=\"groups\"",
    " Format=\"urn:x\"",
    " PrefixList=\"saml\"",
    "<ds:Object>",
    "</ds:Object>",
    "<saml:Advice>",
    "</saml:Advice>",
    "<samlp:Extensions>",
    "</samlp:Extensions>",
    "<saml:Attribute Name=\"groups\"><saml:AttributeValue>admins</saml:AttributeValue></saml:Attribute>",
    "<saml:Audience>https://sp.example.com/saml/metadata</saml:Audience>",
];

const SWAPS: &[(&str, &str)] = &[
    ("alice", "admin"),
    ("_assertion", "_evil"),
    ("_assertion", "_response"),
    ("_response", "_assertion"),
    ("#_assertion", "#_response"),
    ("#_assertion", "#_evil"),
    ("#_assertion", ""),
    ("saml:", "samlp:"),
    ("saml:", "x:"),
    ("ds:", "x:"),
    ("ID=", "Id="),
    ("AttributeValue", "Audience"),
    ("Assertion", "Advice"),
    ("NameID", "NameId"),
    ("example.com", "example.com<!---->"),
    ("example.com", "example.com.evil.example"),
    ("2026-01-15T12:05", "2027-01-15T12:05"),
    ("rsa-sha256", "rsa-sha1"),
    ("rsa-sha256", "hmac-sha256"),
    ("xml-exc-c14n#", "xml-exc-c14n#WithComments"),
    ("enveloped-signature", "base64"),
    ("urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"),
    ("</saml:Issuer>", "</saml:Issuer><!-- -->"),
    ("validUntil=", "cacheDuration="),
    ("use=\"signing\"", "use=\"encryption\""),
    ("https://", "http://"),
    ("idp.example.com/sso", "sp.example.com/"),
    ("md:EntityDescriptor", "md:EntitiesDescriptor"),
    ("\"", "'"),
    ("><", ">\n<"),
];

/// # Panics
/// If a response is accepted that says something that no genuine one says.
pub fn check(edits: &Edits) {
    let genuine = &GENUINE[usize::from(edits.base) % GENUINE.len()];
    let Some(message) = edited(genuine.octets.clone(), &edits.edits) else { return };
    if let Ok(verified) = judge(&message) {
        let signed = GENUINE.iter().any(|genuine| genuine.verified == verified);
        assert!(signed, "{verified:?} was never signed: {}", String::from_utf8_lossy(&message));
    }
}

/// The message after the first [`EDITS_MAX`] edits; `None` if it grows too long.
pub fn edited(message: Vec<u8>, edits: &[Edit]) -> Option<Vec<u8>> {
    edits.iter().take(EDITS_MAX).try_fold(message, |message, edit| {
        Some(edit.apply(&message)).filter(|message| message.len() <= OCTETS_MAX)
    })
}

/// The first element of this local name, whatever its prefix.
pub fn element_called(message: &[u8], local: &[u8]) -> Option<Range<usize>> {
    (0..u16::MAX)
        .map_while(|which| {
            let element = element_numbered(message, usize::from(which))?;
            let name = message[element.start + 1..].split(|byte| b" >/\t\r\n".contains(byte)).next()?;
            Some((name.rsplit(|byte| *byte == b':').next() == Some(local)).then_some(element))
        })
        .flatten()
        .next()
}

impl Edit {
    fn apply(&self, message: &[u8]) -> Vec<u8> {
        let mut out = message.to_vec();
        match self {
            Self::Move { element, to } => {
                let (piece, at) = (element_of(message, *element), tag_of(message, *to));
                out.splice(at..at, message[piece.clone()].iter().copied());
                let shift = if at <= piece.start { piece.len() } else { 0 };
                // An element cannot go into itself: then it stays there twice.
                if !(piece.start < at && at < piece.end) {
                    out.drain(piece.start + shift..piece.end + shift);
                }
            }
            Self::Copy { element, to } => {
                let (piece, at) = (element_of(message, *element), tag_of(message, *to));
                out.splice(at..at, message[piece].iter().copied());
            }
            Self::Graft { from, element, to } => {
                let other = &GENUINE[usize::from(*from) % GENUINE.len()].octets;
                let (piece, at) = (element_of(other, *element), tag_of(message, *to));
                out.splice(at..at, other[piece].iter().copied());
            }
            Self::Replace { from, element, with } => {
                let other = &GENUINE[usize::from(*from) % GENUINE.len()].octets;
                out.splice(element_of(message, *element), other[element_of(other, *with)].iter().copied());
            }
            Self::Delete { element } => drop(out.drain(element_of(message, *element))),
            Self::Wrap { element, tags } => {
                let (inner, outer) = (element_of(message, *element), &message[element_of(message, *tags)]);
                let open = outer.iter().position(|byte| *byte == b'>').map_or(0, |end| end + 1);
                let close = outer.iter().rposition(|byte| *byte == b'<').unwrap_or(outer.len());
                let wrapped = [&outer[..open], &message[inner.clone()], &outer[close.max(open)..]].concat();
                out.splice(inner, wrapped);
            }
            Self::Insert { token, at, within } => {
                let mut at = tag_of(message, *at);
                if *within {
                    let name = message[at..].iter().skip(1).position(|byte| b" >/".contains(byte));
                    at += name.map_or(0, |length| length + 1);
                }
                out.splice(at..at, TOKENS[usize::from(*token) % TOKENS.len()].bytes());
            }
            Self::Swap { pair, only } => {
                let (from, to) = SWAPS[usize::from(*pair) % SWAPS.len()];
                let text = String::from_utf8_lossy(message);
                out = match only {
                    None => text.replace(from, to).into_bytes(),
                    Some(which) => swap_one(&text, from, to, usize::from(*which)).into_bytes(),
                };
            }
            Self::Splice { at, gone, octets } => {
                let start = usize::from(*at) % (message.len() + 1);
                let end = (start + usize::from(*gone)).min(message.len());
                out.splice(start..end, octets.iter().take(64).copied());
            }
        }
        out
    }
}

fn swap_one(text: &str, from: &str, to: &str, which: usize) -> String {
    let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
    let Some(at) = places.get(which % places.len().max(1)) else { return text.to_owned() };
    [&text[..*at], to, &text[at + from.len()..]].concat()
}

/// Where a tag begins; the end of the message if it has none.
fn tag_of(message: &[u8], which: u16) -> usize {
    let tags: Vec<usize> = (0..message.len()).filter(|at| message[*at] == b'<').collect();
    tags.get(usize::from(which) % tags.len().max(1)).copied().unwrap_or(message.len())
}

/// An element, whatever the number; nothing at the end of a message that has none.
fn element_of(message: &[u8], which: u16) -> Range<usize> {
    let count = (0..message.len()).filter(|at| starts_element(message, *at)).count();
    let number = usize::from(which) % count.max(1);
    element_numbered(message, number).unwrap_or(message.len()..message.len())
}

fn starts_element(message: &[u8], at: usize) -> bool {
    message[at] == b'<' && message.get(at + 1).is_some_and(|byte| byte.is_ascii_alphabetic())
}

/// An element, found by its name: from its start tag to the end tag that fits. At least the tag.
fn element_numbered(message: &[u8], number: usize) -> Option<Range<usize>> {
    let start = (0..message.len()).filter(|at| starts_element(message, *at)).nth(number)?;
    let rest = &message[start..];
    let name_end = rest.iter().position(|byte| b" >/\t\r\n".contains(byte)).unwrap_or(rest.len());
    let tag_end = rest.iter().position(|byte| *byte == b'>').map_or(rest.len(), |at| at + 1);
    let (open, close) = (rest[..name_end].to_vec(), [b"</", &rest[1..name_end]].concat());
    let (mut depth, mut at) = (0usize, 0);
    while let Some(next) = rest[at..].iter().position(|byte| *byte == b'<').map(|found| at + found) {
        let here = &rest[next..];
        let ends = |prefix: &[u8]| {
            here.starts_with(prefix) && here.get(prefix.len()).is_some_and(|byte| b" >/\t\r\n".contains(byte))
        };
        if ends(&open) {
            depth += 1;
        } else if ends(&close) {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                let end = here.iter().position(|byte| *byte == b'>').map_or(rest.len(), |at| next + at + 1);
                return Some(start..start + end);
            }
        }
        at = next + 1;
    }
    Some(start..start + tag_end)
}
