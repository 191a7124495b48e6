//! A key's text, read back: for those who walk the whole store.
use super::{Key, Kind};
use crate::domain::{Id, ScimId, parse_hex};

impl Key {
    /// The key of a text that [`Key::text`] wrote; `None` for every other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (tag, rest) = text.strip_prefix("pc:{")?.split_once("}:")?;
        let (kind, id) = rest.split_once(':').map_or((rest, None), |(kind, id)| (kind, Some(id)));
        let key = match id {
            Some(id) => Self::of_two(tag, kind, id),
            None => Self::of_enterprise(tag, kind).or_else(|| Self::of_own(tag, kind)),
        };
        // One spelling for each key.
        key.filter(|key| key.text() == text)
    }

    /// The stream whose head has this text.
    pub(super) fn parse_head(text: &str) -> Option<Self> {
        text.strip_suffix(":head").and_then(Self::parse).filter(|key| key.kind() == Kind::Stream)
    }

    fn of_two(tag: &str, kind: &str, id: &str) -> Option<Self> {
        let e = Id::parse(tag)?;
        Some(match kind {
            "p" => Self::Person(e, Id::parse(id)?),
            "o" => Self::Organization(e, Id::parse(id)?),
            "om" => Self::OrganizationMembers(e, Id::parse(id)?),
            "ps" => Self::PersonSessions(e, Id::parse(id)?),
            "i" => Self::Invitee(e, Id::parse(id)?),
            "oi" => Self::OrganizationInvitations(e, Id::parse(id)?),
            "si" => Self::SentInvitations(e, Id::parse(id)?),
            "b" => Self::Batch(e, parse_hex(id)?),
            "m" => Self::Mail(e, Id::parse(id)?),
            "rc" => Self::RecoveryCodes(e, Id::parse(id)?),
            "su" => Self::ScimUser(e, ScimId::parse(id)?),
            "sug" => Self::ScimUserGroups(e, ScimId::parse(id)?),
            "sun" => Self::ScimUserName(e, parse_hex(id)?),
            "sl" => Self::ScimLink(e, Id::parse(id)?),
            "sux" => Self::ScimExternalId(e, parse_hex(id)?),
            "sum" => Self::ScimEmail(e, parse_hex(id)?),
            "sg" => Self::ScimGroup(e, ScimId::parse(id)?),
            "sgn" => Self::ScimGroupName(e, parse_hex(id)?),
            "sgx" => Self::ScimGroupExternalId(e, parse_hex(id)?),
            "sgm" => Self::ScimGroupMembers(e, ScimId::parse(id)?),
            "sgs" => Self::ScimGroupState(e, ScimId::parse(id)?),
            "sgj" => Self::ScimGroupJob(e, ScimId::parse(id)?),
            "wh" => Self::WebhookCursor(e, Id::parse(id)?),
            _ => return None,
        })
    }

    fn of_enterprise(tag: &str, kind: &str) -> Option<Self> {
        let e = Id::parse(tag)?;
        Some(match kind {
            "people" => Self::People(e),
            "orgs" => Self::Organizations(e),
            "held" => Self::HeldRemovals(e),
            "outbox" => Self::Outbox(e),
            "scim-tokens" => Self::ScimTokens(e),
            "unowned" => Self::Unowned(e),
            "metadata" => Self::IdpMetadata(e),
            "audit" => Self::Audit(e),
            "scimusers" => Self::ScimUsers(e),
            "scimgroups" => Self::ScimGroups(e),
            "scimjobs" => Self::ScimJobs(e),
            "scimorgs" => Self::ScimOrganizations(e),
            _ => return None,
        })
    }

    fn of_own(tag: &str, kind: &str) -> Option<Self> {
        Some(match kind {
            "t" => Self::AccessToken(parse_hex(tag)?),
            "st" => Self::ScimToken(parse_hex(tag)?),
            "s" => Self::Session(crate::domain::SessionId::parse(tag)?),
            "r" => Self::PendingSignIn(Id::parse(tag)?),
            "a" => Self::UsedAssertion(parse_hex(tag)?),
            "l" => Self::PendingLogout(Id::parse(tag)?),
            "ss" => Self::SubjectSessions(Id::parse(tag)?),
            "lo" => Self::LoggedOut(parse_hex(tag)?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;

    fn all() -> Vec<Key> {
        let (e, digest) = (Id::from_bytes([0xab; 16]), [0xcd; 32]);
        let keys = vec![
            Key::Person(e, Id::from_bytes([1; 16])),
            Key::Organization(e, Id::from_bytes([2; 16])),
            Key::OrganizationMembers(e, Id::from_bytes([3; 16])),
            Key::PersonSessions(e, Id::from_bytes([4; 16])),
            Key::People(e),
            Key::Organizations(e),
            Key::Invitee(e, Id::from_bytes([5; 16])),
            Key::OrganizationInvitations(e, Id::from_bytes([6; 16])),
            Key::SentInvitations(e, Id::from_bytes([7; 16])),
            Key::HeldRemovals(e),
            Key::Batch(e, digest),
            Key::Mail(e, Id::from_bytes([8; 16])),
            Key::Outbox(e),
            Key::RecoveryCodes(e, Id::from_bytes([9; 16])),
            Key::AccessToken(digest),
            Key::ScimTokens(e),
            Key::ScimToken(digest),
            Key::Unowned(e),
            Key::IdpMetadata(e),
            Key::Session(SessionId::from_bytes(digest)),
            Key::PendingSignIn(Id::from_bytes([10; 16])),
            Key::UsedAssertion(digest),
            Key::PendingLogout(Id::from_bytes([11; 16])),
            Key::SubjectSessions(Id::from_bytes([12; 16])),
            Key::LoggedOut(digest),
            Key::Audit(e),
            Key::ScimUser(e, ScimId::from_bytes([13; 16])),
            Key::ScimUserGroups(e, ScimId::from_bytes([13; 16])),
            Key::ScimUserName(e, digest),
            Key::ScimLink(e, Id::from_bytes([14; 16])),
            Key::ScimExternalId(e, digest),
            Key::ScimEmail(e, digest),
            Key::ScimUsers(e),
            Key::ScimGroup(e, ScimId::from_bytes([15; 16])),
            Key::ScimGroupName(e, digest),
            Key::ScimGroupExternalId(e, digest),
            Key::ScimGroups(e),
            Key::ScimGroupMembers(e, ScimId::from_bytes([15; 16])),
            Key::ScimGroupState(e, ScimId::from_bytes([15; 16])),
            Key::ScimGroupJob(e, ScimId::from_bytes([15; 16])),
            Key::ScimJobs(e),
            Key::ScimOrganizations(e),
            Key::WebhookCursor(e, Id::from_bytes([13; 16])),
        ];
        // A new sort of key is missed here before it is missed in an export.
        for key in &keys {
            match key {
                Key::Person(..) | Key::Organization(..) | Key::OrganizationMembers(..) => {}
                Key::PersonSessions(..) | Key::People(..) | Key::Organizations(..) | Key::Invitee(..) => {}
                Key::OrganizationInvitations(..) | Key::SentInvitations(..) | Key::HeldRemovals(..) => {}
                Key::Batch(..) | Key::Mail(..) | Key::Outbox(..) | Key::RecoveryCodes(..) => {}
                Key::AccessToken(..) | Key::Unowned(..) | Key::IdpMetadata(..) | Key::Session(..) => {}
                Key::PendingSignIn(..) | Key::UsedAssertion(..) | Key::PendingLogout(..) => {}
                Key::SubjectSessions(..) | Key::LoggedOut(..) | Key::Audit(..) => {}
                Key::ScimTokens(..) | Key::ScimToken(..) => {}
                Key::ScimUser(..) | Key::ScimUserGroups(..) | Key::ScimUserName(..) | Key::ScimLink(..) => {}
                Key::ScimExternalId(..) | Key::ScimEmail(..) | Key::ScimUsers(..) | Key::ScimGroup(..) => {}
                Key::ScimGroupName(..) | Key::ScimGroupExternalId(..) | Key::ScimGroups(..) => {}
                Key::ScimGroupMembers(..) | Key::ScimGroupState(..) | Key::ScimGroupJob(..) => {}
                Key::ScimJobs(..) | Key::ScimOrganizations(..) => {}
                Key::WebhookCursor(..) => {}
            }
        }
        keys
    }

    #[test]
    fn every_key_is_read_back_and_nothing_else_is() {
        for key in all() {
            let text = key.text();
            assert_eq!(Key::parse(&text), Some(key));
            let foreign =
                ["x", &text[1..], &text.to_uppercase(), &text.replace(':', "::"), &text[..text.len() - 1]]
                    .map(str::to_owned);
            for other in foreign.into_iter().chain([format!("{text}:x"), format!("{text} ")]) {
                assert_ne!(Key::parse(&other), Some(key), "{other}");
            }
        }
    }

    #[test]
    fn every_key_is_read_back_from_its_bytes_and_nothing_else_is() {
        for key in all() {
            let bytes = key.bytes();
            assert_eq!(Key::parse_bytes(&bytes), Some(key));
            assert_eq!(
                Key::split_bytes(&[&bytes, &b"rest"[..]].concat(), key.kind()),
                Some((key, &b"rest"[..]))
            );
            let longer = [&bytes[..], b"x"].concat();
            for other in [&bytes[1..], &bytes[..bytes.len() - 1], &longer, &bytes.to_ascii_uppercase()] {
                assert_ne!(Key::parse_bytes(other), Some(key), "{other:?}");
            }
            let begins = |other: &&Key| bytes.starts_with(&other.bytes());
            assert_eq!(all().iter().filter(begins).count(), 1, "{key:?}");
        }
        assert_eq!(Key::parse_bytes(b""), None);
        assert_eq!(Key::parse_bytes(b":"), None);
    }

    #[test]
    fn heads_of_streams_are_read_back() {
        let audit = Key::Audit(Id::from_bytes([1; 16]));
        assert_eq!(Key::parse_head(&audit.head_text()), Some(audit));
        assert_eq!(Key::parse_head(&format!("{}:head", Key::People(Id::from_bytes([1; 16])).text())), None);
    }
}
