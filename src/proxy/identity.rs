//! What an origin server learns about the person.
use std::{borrow::Cow, cell::RefCell, collections::HashMap, fmt::Write as _, rc::Rc};

use bytes::Bytes;
use http::HeaderValue;

use super::ProxyError;
use crate::domain::{Caller, CallerId};

/// Callers whose field values one worker keeps.
const CACHED_IDENTITIES_MAX: usize = 4096;

/// Between the elements of a list. An element's own commas are escaped.
pub const DELIMITER: char = ',';

/// Identity as field values: visible ASCII only. Every other byte of the UTF-8 text, the percent sign, and in lists the
/// delimiter, is percent-encoded (P-07), so `unquote` after splitting gives the exact text back. What the IdP did not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: HeaderValue,
    pub email: Option<HeaderValue>,
    pub groups: HeaderValue,
    pub organizations: HeaderValue,
    pub preferred_username: Option<HeaderValue>,
}

impl Identity {
    pub fn of(caller: &Caller) -> Result<Self, ProxyError> {
        let profile = caller.profile();
        let single = |text: &str| value(encode(text, false).into_owned());
        Ok(Self {
            user: single(&profile.user)?,
            email: profile.email.as_deref().map(single).transpose()?,
            groups: value(join(caller.groups().iter().map(String::as_str)))?,
            organizations: value(join(caller.memberships().iter().map(|m| m.organization.as_str())))?,
            preferred_username: profile.preferred_username.as_deref().map(single).transpose()?,
        })
    }
}

/// The identities that a worker forwarded last, so that a caller's values are encoded once.
#[derive(Default)]
pub(super) struct Identities {
    entries: RefCell<HashMap<CallerId, Known>>,
}

struct Known {
    /// Held, so that no other state can come to lie at its address.
    caller: Caller,
    identity: Rc<Identity>,
}

impl Identities {
    /// The identity of exactly this state of the caller: a changed one is another and is encoded anew.
    pub fn of(&self, caller: &Caller) -> Result<Rc<Identity>, ProxyError> {
        let mut entries = self.entries.borrow_mut();
        if let Some(known) = entries.get(&caller.id()).filter(|known| known.caller.is_same(caller)) {
            return Ok(known.identity.clone());
        }
        if entries.len() >= CACHED_IDENTITIES_MAX {
            entries.clear();
        }
        let identity = Rc::new(Identity::of(caller)?);
        let known = Known { caller: caller.clone(), identity: identity.clone() };
        entries.insert(caller.id(), known);
        Ok(identity)
    }
}

fn value(text: String) -> Result<HeaderValue, ProxyError> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| ProxyError::Target)
}

fn join<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for text in texts {
        if !joined.is_empty() {
            joined.push(DELIMITER);
        }
        joined.push_str(&encode(text, true));
    }
    joined
}

fn encode(text: &str, in_list: bool) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, 0x21..=0x7e) && byte != b'%' && !(in_list && byte == b',');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        ActiveSession, EnterpriseId, EnterpriseSlug, NameId, PersonId, Profile, Session, SessionId, Timestamp,
    };

    #[test]
    fn a_session_that_changed_is_encoded_anew() {
        let slug = EnterpriseSlug::parse("acme").unwrap();
        let enterprise_id = EnterpriseId::of(&slug);
        let active = |group: &str| {
            Caller::Session(Arc::new(ActiveSession {
                session: Session {
                    id: SessionId::from_bytes([1; 32]),
                    enterprise_id,
                    enterprise: slug.clone(),
                    person: PersonId::of(enterprise_id, "idp", "alice"),
                    name_id: NameId { value: "alice".into(), ..NameId::default() },
                    session_index: None,
                    authn_instant: Timestamp::UNIX_EPOCH,
                    authn_context: None,
                    profile: Profile { user: "alice".into(), ..Profile::default() },
                    groups: vec![group.into()],
                    created_at: Timestamp::UNIX_EPOCH,
                    last_seen_at: Timestamp::UNIX_EPOCH,
                    expires_at: Timestamp::UNIX_EPOCH,
                    idle_seconds_max: 1,
                },
                memberships: vec![],
            }))
        };
        let identities = Identities::default();
        let (before, after) = (active("one"), active("two"));
        assert_eq!(identities.of(&before).unwrap().groups, "one");
        assert!(Rc::ptr_eq(&identities.of(&before).unwrap(), &identities.of(&before).unwrap()));
        assert_eq!(identities.of(&after).unwrap().groups, "two");
        assert_eq!(identities.entries.borrow().len(), 1);
    }

    #[test]
    fn p07_values_are_visible_ascii_and_lists_split_exactly() {
        assert_eq!(encode("alice@example.com", false), "alice@example.com");
        assert_eq!(encode("CN=a,O=b", false), "CN=a,O=b");
        assert_eq!(encode("a\r\nX: y", false), "a%0D%0AX:%20y");
        assert_eq!(encode("gr\u{fc}n%", true), "gr%C3%BCn%25");
        assert_eq!(join(["CN=a,O=b", "plain", "\u{7f}"].into_iter()), "CN=a%2CO=b,plain,%7F");
        assert_eq!(join([].into_iter()), "");
    }
}
