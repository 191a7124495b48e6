//! The SAML core from outside: every outcome as a message, made by a generator that shares no code with it.
use portcullis::saml::Reason;

mod accepted;
mod attacks;
mod ciphertexts;
mod connection;
pub mod decryption;
mod demands;
pub mod encrypted;
pub mod fixtures;
pub mod forge;
mod forgeries;
mod guard;
mod mutations;
mod parts;
mod reasons;
mod refused;
mod request;
pub mod seal;
mod signatures;
pub mod subjects;
mod unlikely;
mod wrapped;

/// A message and the outcome that it is owed.
pub struct Case {
    /// Also the fixture's file name; begins with the number of the attack where there is one.
    pub name: String,
    /// `None` for accepted.
    pub reason: Option<Reason>,
    /// XML; for the reasons of the encoding check, the form value.
    pub octets: Vec<u8>,
}

impl Case {
    /// A response that differs from the accepted one by `change`, made before signing.
    pub fn made<R>(name: &str, reason: Option<Reason>, change: impl FnOnce(&mut forge::Spec) -> R) -> Self {
        let mut spec = forge::Spec::default();
        change(&mut spec);
        Self { name: name.into(), reason, octets: spec.xml().into_bytes() }
    }

    /// The accepted response, edited after signing. The edit must find something to change.
    fn edited(name: &str, reason: Option<Reason>, edit: impl FnOnce(&str) -> String) -> Self {
        let xml = forge::Spec::default().xml();
        let edited = forge::aimed(&edit(&forge::unaimed(&xml)));
        assert_ne!(xml, edited, "{name} changes nothing");
        Self { name: name.into(), reason, octets: edited.into_bytes() }
    }
}

/// Every case there is.
pub fn cases() -> Vec<Case> {
    [
        accepted::cases(),
        encrypted::cases(),
        refused::cases(),
        attacks::cases(),
        signatures::cases(),
        subjects::cases(),
        wrapped::cases(),
        forgeries::cases(),
        unlikely::cases(),
        parts::cases(),
        ciphertexts::cases(),
        decryption::cases(),
        demands::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
