//! Edits of logout messages in their POST and SOAP bindings.
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::{
    responses::{CONNECTION, NOW, files},
    saml::{LogoutMessage, LogoutRefusal, MessageKind, Receiver},
    verify::{Edit, edited},
};

/// Which message, what it is taken for, and what is done to it.
#[derive(Debug, Arbitrary)]
pub struct Edits {
    base: u8,
    binding: u8,
    edits: Vec<Edit>,
}

const BINDINGS: u8 = 3;

static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut files = files("logout/accept");
    files.retain(|(path, _)| path.extension().is_some_and(|extension| extension == "xml"));
    files.into_iter().map(|(_, octets)| octets).collect()
});

/// What the messages say, whatever binding takes them.
static SIGNED: LazyLock<Vec<LogoutMessage>> = LazyLock::new(|| {
    let all =
        MESSAGES.iter().flat_map(|octets| (0..BINDINGS).filter_map(|binding| read(octets, binding).ok()));
    let signed: Vec<_> = all.collect();
    assert_eq!(signed.len(), MESSAGES.len(), "each message is for one binding");
    signed
});

/// Where the fixtures were sent, and when.
pub fn receiver() -> Receiver<'static> {
    Receiver {
        connection: &CONNECTION,
        slo_url: "https://sp.example.com/saml/slo",
        outstanding: &["_f0e1d2c3b4a5968778695a4b3c2d1e0f"],
        now: *NOW,
    }
}

fn read(octets: &[u8], binding: u8) -> Result<LogoutMessage, LogoutRefusal> {
    match binding % BINDINGS {
        0 => receiver().post(MessageKind::Request, octets),
        1 => receiver().post(MessageKind::Response, octets),
        _ => receiver().soap(octets).map(LogoutMessage::Request),
    }
}

/// # Panics
/// If a message is accepted that nobody signed.
pub fn check(edits: &Edits) {
    let base = MESSAGES[usize::from(edits.base) % MESSAGES.len()].clone();
    let Some(octets) = edited(base, &edits.edits) else { return };
    if let Ok(message) = read(&octets, edits.binding) {
        assert!(SIGNED.contains(&message), "{message:?} was never signed");
    }
}
