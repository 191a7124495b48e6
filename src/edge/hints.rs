//! What the log tells an administrator about a refused sign-in, beside its reason: what to do, as `docs/REASONS.md` says it.
use super::{sign_in::Refused, transport::TransportFault};

impl Refused {
    /// What an administrator should do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Transport(TransportFault::ContentType) => {
                "Look for a proxy or a script that rewrites the request."
            }
            Self::Transport(TransportFault::Query) => "Set the identity provider to the HTTP-POST binding.",
            Self::Transport(TransportFault::BodyTooLarge) => {
                "Release fewer groups or attributes to this application at the identity provider, or raise the limit."
            }
            Self::Transport(TransportFault::BodyTimeout) => {
                "The person's connection is slow, or somebody holds connections open on purpose."
            }
            Self::Transport(TransportFault::BodyBroken) => "Let the person sign in again.",
            Self::Parameters => "Set the identity provider to the HTTP-POST binding with a Response.",
            Self::Saml(refusal) => refusal.reason.hint(),
            Self::NoConnection(_) => {
                "Look for `metadata` in the log: the last `saml.metadata_refused` says why."
            }
            Self::SecondOpinion(_) => "Keep the response and report it: one of the two verifiers is wrong.",
            Self::RelayState => {
                "Let the person sign in again from the application; if it stays, the identity provider sets a RelayState of its own: remove it there."
            }
            Self::SignIn(error) => error.hint(),
        }
    }

    /// The pair of values that differ: what the configuration or the standard asks for, and what the message says.
    pub fn expected_and_found(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Saml(refusal) => (refusal.expected.as_deref(), refusal.found.as_deref()),
            _ => (None, None),
        }
    }
}
