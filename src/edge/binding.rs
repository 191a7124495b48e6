//! What the bindings of sign-in and single logout have in common: message ids, RelayState, and whose parameters are whose.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::domain::RequestId;

/// What binds an answer to the browser that was sent away: the handle for its cookie, of which the message's id is derived,
/// and RelayState. 128 random bits each (S-98, S-103).
pub struct Fresh {
    pub handle: [u8; 16],
    pub relay_state: String,
}

impl Fresh {
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { handle: random_bytes()?, relay_state: URL_SAFE_NO_PAD.encode(random_bytes()?) })
    }
}

/// The ID of a message that nobody answers.
pub fn random_message_id() -> Result<String, getrandom::Error> {
    Ok(message_id(RequestId::from_bytes(random_bytes()?)))
}

/// An xs:ID must not begin with a digit (SAML Core 1.3.4).
pub fn message_id(request: RequestId) -> String {
    format!("_{request}")
}

/// Whether a query holds what only a form may carry. A POST with both could be read in two ways (S-100).
pub fn has_parameters(query: Option<&str>) -> bool {
    let is_ours = |name: &str| matches!(name, "SAMLResponse" | "SAMLRequest" | "SAMLart" | "RelayState");
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| is_ours(&name))
}

fn random_bytes() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
