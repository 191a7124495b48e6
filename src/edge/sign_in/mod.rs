//! Signing in: [`start`] sends a browser to its IdP, [`consume`] takes the response that comes back to the ACS, and
//! [`chooser`] asks by e-mail address which IdP it is where several are possible.
use super::{gate::Gate, respond::Problem, router::Own, transport::TransportFault};
use crate::{
    access,
    directory::{SignInError, StoreError},
    saml::{
        self, Refusal,
        guard::{Guard, stands},
    },
    second_opinion::Disagreement,
};

pub mod chooser;
mod consume;
mod start;

pub use consume::consume;
pub use start::{Ask, login, start};

/// Longest path and query that we remember to return to; a longer one returns to `/`.
const RETURN_TO_BYTES_MAX: usize = 2048;

/// Why a response that came to the ACS opened no session.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Transport(#[from] TransportFault),
    #[error("not exactly one SAMLResponse and at most one RelayState")]
    Parameters,
    #[error("{0}")]
    Saml(Box<Refusal>),
    #[error("{0}")]
    SecondOpinion(#[from] Disagreement),
    #[error("RelayState is not the one that went with the request")]
    RelayState,
    #[error("{0}")]
    NoConnection(#[from] saml::NoConnection),
    #[error("{0}")]
    SignIn(#[from] SignInError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::SignIn(error.into())
    }
}

impl Refused {
    /// Stable code for logs, metrics and `docs/REASONS.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transport(fault) => fault.code(),
            Self::Parameters => "parameters",
            Self::Saml(refusal) => refusal.reason.code(),
            Self::SecondOpinion(_) => "second_opinion_disagrees",
            Self::RelayState => "relay_state_mismatch",
            Self::NoConnection(_) => "idp_unknown",
            Self::SignIn(error) => error.code(),
        }
    }
}

/// Where a browser that says so itself may return to: a path and query on our own host, and no endpoint of ours, which
/// would start over for ever.
fn return_path(gate: &Gate, host: &str, target: &str) -> Result<String, Problem> {
    let return_to = own_path(target)?;
    let path = return_to.split('?').next().unwrap_or_default();
    if access::canonical_path(path).is_ok_and(|path| gate.own.find(host, &path) != Own::NotOurs) {
        return Err(Problem::ReturnTo);
    }
    Ok(return_to)
}

/// A path and query on our own host, or nothing (S-98, P-25): the path must be canonical as a request's must be.
pub(super) fn own_path(target: &str) -> Result<String, Problem> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    // Browsers send a query with almost anything in it, and there it leads nowhere else.
    let in_query = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    let in_path = |byte: u8| in_query(byte) && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
    let plain = path.bytes().all(in_path) && query.unwrap_or_default().bytes().all(in_query);
    let ours = plain && path.starts_with('/') && !path.starts_with("//");
    if !ours {
        return if stands(Guard::ReturnPath) { Err(Problem::ReturnTo) } else { Ok(target.to_owned()) };
    }
    let path = access::canonical_path(path).map_err(|_| Problem::ReturnTo)?;
    Ok(match query {
        Some(query) => format!("{}?{query}", path.as_str()),
        None => path.as_str().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        directory::Contended,
        provisioning::{GroupsMissing, UnusableAttribute},
        saml::Reason,
    };

    #[test]
    fn every_refusal_of_our_own_is_documented() {
        let own = [
            Refused::Parameters,
            Refused::Saml(Box::new(Reason::SignatureInvalid.into())),
            Refused::SecondOpinion(Disagreement::Value("NameID")),
            Refused::RelayState,
            Refused::NoConnection(saml::NoConnection),
            SignInError::RequestConsumed.into(),
            SignInError::AssertionReplayed.into(),
            SignInError::LoggedOut.into(),
            SignInError::from(UnusableAttribute::Ambiguous { name: "email".into(), values: 2 }).into(),
            SignInError::from(UnusableAttribute::NotText { name: "email".into() }).into(),
            SignInError::Contended(Contended).into(),
            SignInError::Deactivated.into(),
            SignInError::Unlinked.into(),
            SignInError::GroupsMissing(GroupsMissing).into(),
            SignInError::Random(getrandom::Error::UNSUPPORTED).into(),
            SignInError::Store(StoreError::Timeout(1)).into(),
        ];
        for refused in TransportFault::ALL.map(Refused::Transport).into_iter().chain(own) {
            // Whoever adds a variant is sent here.
            match refused {
                Refused::Transport(_)
                | Refused::Parameters
                | Refused::Saml(_)
                | Refused::SecondOpinion(_)
                | Refused::RelayState
                | Refused::NoConnection(_)
                | Refused::SignIn(
                    SignInError::RequestConsumed
                    | SignInError::AssertionReplayed
                    | SignInError::LoggedOut
                    | SignInError::Attribute(_)
                    | SignInError::Contended(_)
                    | SignInError::Deactivated
                    | SignInError::Unlinked
                    | SignInError::GroupsMissing(_)
                    | SignInError::Random(_)
                    | SignInError::Store(_),
                ) => {}
            }
            let entry = format!("\n- `{}`", refused.code());
            let (_, after) = include_str!("../../../docs/REASONS.md").split_once(&entry).expect(&entry);
            let line = after.lines().next().unwrap();
            assert!(line.ends_with(refused.hint()), "{entry}: {}", refused.hint());
        }
    }

    #[test]
    fn s_98_only_paths_of_our_own_are_returned_to() {
        for good in ["/", "/a/b?c=d&e=%2F", "/a%20b", "/a?b=C:\\c|\"<>"] {
            assert_eq!(own_path(good).ok().as_deref(), Some(good));
        }
        let evil = [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/%09/evil",
            "/a\r\nSet-Cookie: a=b",
            "/%5cevil.example",
            "/a/../../b",
            "/%2fevil.example",
            "/a#b",
            "/a?b#c",
            "/a?b c",
            "/a?b\r\nc",
            " /a",
            "/\u{e4}",
        ];
        for evil in evil {
            assert!(own_path(evil).is_err(), "{evil}");
        }
    }
}
