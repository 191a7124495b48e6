//! Keys: fixed-length ids only (R-02), with one Redis Cluster hash tag per shard.
use crate::domain::{
    AddressId, EnterpriseId, MailId, OrganizationId, PersonId, RequestId, ScimId, SessionId, SubjectId,
    WebhookId, hex,
};

/// What is kept where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Record of a person.
    Person(EnterpriseId, PersonId),
    /// Record of an organization.
    Organization(EnterpriseId, OrganizationId),
    /// Set of the ids (16 bytes each) of an organization's members, owners among them.
    OrganizationMembers(EnterpriseId, OrganizationId),
    /// Set of a person's sessions: when the session ends (8 bytes), then its id (32 bytes).
    PersonSessions(EnterpriseId, PersonId),
    /// Set of the ids (16 bytes each) of an enterprise's people.
    People(EnterpriseId),
    /// Set of the ids (16 bytes each) of organizations that have a record of their own making: not from the configuration.
    Organizations(EnterpriseId),
    /// Record of the invitations to an e-mail address.
    Invitee(EnterpriseId, AddressId),
    /// Set of an organization's invitations: address (16 bytes), then invitation (16 bytes).
    OrganizationInvitations(EnterpriseId, OrganizationId),
    /// Set of the invitations that a person sent, in the same form.
    SentInvitations(EnterpriseId, PersonId),
    /// Set of removals that wait for a decision: organization (16 bytes), then person (16 bytes).
    HeldRemovals(EnterpriseId),
    /// Set of the ids (16 bytes each) of people who lost a membership in a batch, by the SHA-256 of the batch's name.
    Batch(EnterpriseId, [u8; 32]),
    /// Record of a mail that waits to be sent.
    Mail(EnterpriseId, MailId),
    /// Set of mails that wait: when each is due (8 bytes), then its id (16 bytes).
    Outbox(EnterpriseId),
    /// Record of an enterprise owner's recovery codes.
    RecoveryCodes(EnterpriseId, PersonId),
    /// Whose personal access token this is, by the token's SHA-256.
    AccessToken([u8; 32]),
    /// Record of an enterprise's SCIM tokens.
    ScimTokens(EnterpriseId),
    /// Whose SCIM token this is, by the token's SHA-256.
    ScimToken([u8; 32]),
    /// Set of the ids (16 bytes each) of an enterprise's organizations that have no owner left.
    Unowned(EnterpriseId),
    /// The last good metadata document of an enterprise's IdP.
    IdpMetadata(EnterpriseId),
    Session(SessionId),
    PendingSignIn(RequestId),
    /// SHA-256 of the IdP's entity id and the ID of an assertion or a LogoutRequest: there once it was used.
    UsedAssertion([u8; 32]),
    PendingLogout(RequestId),
    /// Set of the sessions that an IdP opened for one NameID: when the session ends (8 bytes), then its id (32 bytes).
    SubjectSessions(SubjectId),
    /// SHA-256 of whom an IdP signed out, and perhaps of which of its sessions: until when assertions about them may have
    /// been issued that must open nothing any more.
    LoggedOut([u8; 32]),
    /// Stream of what happened in an enterprise.
    Audit(EnterpriseId),
    /// Record of a SCIM user.
    ScimUser(EnterpriseId, ScimId),
    /// Record of the groups that a SCIM user is in.
    ScimUserGroups(EnterpriseId, ScimId),
    /// Record of the SCIM user who has a `userName`, by the SHA-256 of the folded name.
    ScimUserName(EnterpriseId, [u8; 32]),
    /// Record of the SCIM user whose sign-ins are a person's.
    ScimLink(EnterpriseId, PersonId),
    /// Set of the ids (16 bytes each) of the SCIM users who have an `externalId`, by its SHA-256.
    ScimExternalId(EnterpriseId, [u8; 32]),
    /// Set of the ids of the SCIM users who have an e-mail address, by the SHA-256 of the folded address.
    ScimEmail(EnterpriseId, [u8; 32]),
    /// Set of all SCIM users: when each was created (8 bytes), then its id (16 bytes).
    ScimUsers(EnterpriseId),
    /// Record of a SCIM group, without its members.
    ScimGroup(EnterpriseId, ScimId),
    /// Record of the SCIM group that has a `displayName`, by the SHA-256 of the folded name.
    ScimGroupName(EnterpriseId, [u8; 32]),
    /// Set of the ids of the SCIM groups that have an `externalId`, by its SHA-256.
    ScimGroupExternalId(EnterpriseId, [u8; 32]),
    /// Set of all SCIM groups, in the form of that of users.
    ScimGroups(EnterpriseId),
    /// Set of the ids of a SCIM group's members.
    ScimGroupMembers(EnterpriseId, ScimId),
    /// Tally of the changes of a SCIM group's members.
    ScimGroupState(EnterpriseId, ScimId),
    /// Record of a change of a SCIM group's members that takes more than one commit. Once there, it goes only with the group.
    ScimGroupJob(EnterpriseId, ScimId),
    /// Set of the ids of the SCIM groups whose change is not finished.
    ScimJobs(EnterpriseId),
    /// Set of the organizations that SCIM groups correspond to: organization (16 bytes), then group (16 bytes).
    ScimOrganizations(EnterpriseId),
    /// Record of how far a webhook has come in that stream.
    WebhookCursor(EnterpriseId, WebhookId),
}

/// What one commit may span: an enterprise, or a single key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shard {
    Enterprise(EnterpriseId),
    Own,
}

/// How the value behind a key is kept, which decides what may be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Has a revision; written by [`super::Commit`]s only.
    Record,
    /// A set of short byte strings.
    Set,
    /// Written as a whole by steps of a batch, and gone after its expiry.
    Expiring,
    /// Entries that are appended, linked to each other, and trimmed off its beginning.
    Stream,
    /// How often something was touched, and when last. Touches commute: nobody has to have read it before.
    Tally,
}

impl Key {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Person(..)
            | Self::Organization(..)
            | Self::Invitee(..)
            | Self::Mail(..)
            | Self::ScimTokens(..)
            | Self::RecoveryCodes(..)
            | Self::WebhookCursor(..)
            | Self::ScimUser(..)
            | Self::ScimUserGroups(..)
            | Self::ScimUserName(..)
            | Self::ScimLink(..)
            | Self::ScimGroup(..)
            | Self::ScimGroupName(..)
            | Self::ScimGroupJob(..) => Kind::Record,
            Self::OrganizationMembers(..)
            | Self::PersonSessions(..)
            | Self::People(..)
            | Self::Organizations(..)
            | Self::OrganizationInvitations(..)
            | Self::SentInvitations(..)
            | Self::HeldRemovals(..)
            | Self::Batch(..)
            | Self::Outbox(..)
            | Self::Unowned(..)
            | Self::SubjectSessions(..)
            | Self::ScimExternalId(..)
            | Self::ScimEmail(..)
            | Self::ScimUsers(..)
            | Self::ScimGroupExternalId(..)
            | Self::ScimGroups(..)
            | Self::ScimGroupMembers(..)
            | Self::ScimJobs(..)
            | Self::ScimOrganizations(..) => Kind::Set,
            Self::IdpMetadata(..)
            | Self::Session(..)
            | Self::PendingSignIn(..)
            | Self::UsedAssertion(..)
            | Self::PendingLogout(..)
            | Self::AccessToken(..)
            | Self::ScimToken(..)
            | Self::LoggedOut(..) => Kind::Expiring,
            Self::Audit(..) => Kind::Stream,
            Self::ScimGroupState(..) => Kind::Tally,
        }
    }

    /// Whether a set's members are counted and numbered: [`super::Store::count`], [`super::Store::page`].
    pub fn is_numbered(&self) -> bool {
        matches!(self, Self::ScimUsers(_) | Self::ScimGroups(_) | Self::ScimGroupMembers(..))
    }

    pub fn shard(&self) -> Shard {
        match self {
            Self::Person(e, _)
            | Self::Organization(e, _)
            | Self::OrganizationMembers(e, _)
            | Self::PersonSessions(e, _)
            | Self::People(e)
            | Self::Organizations(e)
            | Self::Invitee(e, _)
            | Self::OrganizationInvitations(e, _)
            | Self::SentInvitations(e, _)
            | Self::HeldRemovals(e)
            | Self::Batch(e, _)
            | Self::Mail(e, _)
            | Self::Outbox(e)
            | Self::ScimTokens(e)
            | Self::RecoveryCodes(e, _)
            | Self::WebhookCursor(e, _)
            | Self::Unowned(e)
            | Self::IdpMetadata(e)
            | Self::Audit(e)
            | Self::ScimUser(e, _)
            | Self::ScimUserGroups(e, _)
            | Self::ScimUserName(e, _)
            | Self::ScimLink(e, _)
            | Self::ScimExternalId(e, _)
            | Self::ScimEmail(e, _)
            | Self::ScimUsers(e)
            | Self::ScimGroup(e, _)
            | Self::ScimGroupName(e, _)
            | Self::ScimGroupExternalId(e, _)
            | Self::ScimGroups(e)
            | Self::ScimGroupMembers(e, _)
            | Self::ScimGroupState(e, _)
            | Self::ScimGroupJob(e, _)
            | Self::ScimJobs(e)
            | Self::ScimOrganizations(e) => Shard::Enterprise(*e),
            Self::Session(_)
            | Self::PendingSignIn(_)
            | Self::UsedAssertion(_)
            | Self::PendingLogout(_)
            | Self::SubjectSessions(_)
            | Self::AccessToken(_)
            | Self::ScimToken(_)
            | Self::LoggedOut(_) => Shard::Own,
        }
    }

    /// The key's text: `pc:{tag}:kind:id`, ASCII, the braces being Redis Cluster's hash tag.
    pub fn text(&self) -> String {
        let (kind, tag, id) = self.parts();
        match id {
            [] => ["pc:{", &hex(tag), "}:", kind].concat(),
            id => ["pc:{", &hex(tag), "}:", kind, ":", &self.id_text(id)].concat(),
        }
    }

    /// The sort of key, what its shard is known by, and what tells it from others of its sort there.
    pub(super) fn parts(&self) -> (&'static str, &[u8], &[u8]) {
        match self {
            Self::Person(e, id) => ("p", e.as_bytes(), id.as_bytes()),
            Self::Organization(e, id) => ("o", e.as_bytes(), id.as_bytes()),
            Self::OrganizationMembers(e, id) => ("om", e.as_bytes(), id.as_bytes()),
            Self::PersonSessions(e, id) => ("ps", e.as_bytes(), id.as_bytes()),
            Self::People(e) => ("people", e.as_bytes(), &[]),
            Self::Organizations(e) => ("orgs", e.as_bytes(), &[]),
            Self::Invitee(e, id) => ("i", e.as_bytes(), id.as_bytes()),
            Self::OrganizationInvitations(e, id) => ("oi", e.as_bytes(), id.as_bytes()),
            Self::SentInvitations(e, id) => ("si", e.as_bytes(), id.as_bytes()),
            Self::HeldRemovals(e) => ("held", e.as_bytes(), &[]),
            Self::Batch(e, digest) => ("b", e.as_bytes(), digest),
            Self::Mail(e, id) => ("m", e.as_bytes(), id.as_bytes()),
            Self::Outbox(e) => ("outbox", e.as_bytes(), &[]),
            Self::RecoveryCodes(e, id) => ("rc", e.as_bytes(), id.as_bytes()),
            Self::AccessToken(digest) => ("t", digest, &[]),
            Self::ScimTokens(e) => ("scim-tokens", e.as_bytes(), &[]),
            Self::ScimToken(digest) => ("st", digest, &[]),
            Self::ScimUser(e, id) => ("su", e.as_bytes(), id.as_bytes()),
            Self::ScimUserGroups(e, id) => ("sug", e.as_bytes(), id.as_bytes()),
            Self::ScimUserName(e, digest) => ("sun", e.as_bytes(), digest),
            Self::ScimLink(e, id) => ("sl", e.as_bytes(), id.as_bytes()),
            Self::ScimExternalId(e, digest) => ("sux", e.as_bytes(), digest),
            Self::ScimEmail(e, digest) => ("sum", e.as_bytes(), digest),
            Self::ScimUsers(e) => ("scimusers", e.as_bytes(), &[]),
            Self::ScimGroup(e, id) => ("sg", e.as_bytes(), id.as_bytes()),
            Self::ScimGroupName(e, digest) => ("sgn", e.as_bytes(), digest),
            Self::ScimGroupExternalId(e, digest) => ("sgx", e.as_bytes(), digest),
            Self::ScimGroups(e) => ("scimgroups", e.as_bytes(), &[]),
            Self::ScimGroupMembers(e, id) => ("sgm", e.as_bytes(), id.as_bytes()),
            Self::ScimGroupState(e, id) => ("sgs", e.as_bytes(), id.as_bytes()),
            Self::ScimGroupJob(e, id) => ("sgj", e.as_bytes(), id.as_bytes()),
            Self::ScimJobs(e) => ("scimjobs", e.as_bytes(), &[]),
            Self::ScimOrganizations(e) => ("scimorgs", e.as_bytes(), &[]),
            Self::Unowned(e) => ("unowned", e.as_bytes(), &[]),
            Self::IdpMetadata(e) => ("metadata", e.as_bytes(), &[]),
            Self::Session(id) => ("s", id.as_bytes(), &[]),
            Self::PendingSignIn(id) => ("r", id.as_bytes(), &[]),
            Self::UsedAssertion(digest) => ("a", digest, &[]),
            Self::PendingLogout(id) => ("l", id.as_bytes(), &[]),
            Self::SubjectSessions(id) => ("ss", id.as_bytes(), &[]),
            Self::LoggedOut(digest) => ("lo", digest, &[]),
            Self::Audit(e) => ("audit", e.as_bytes(), &[]),
            Self::WebhookCursor(e, id) => ("wh", e.as_bytes(), id.as_bytes()),
        }
    }

    /// Ids of SCIM resources are written as clients see them.
    fn id_text(&self, id: &[u8]) -> String {
        match self {
            Self::ScimUser(_, id)
            | Self::ScimUserGroups(_, id)
            | Self::ScimGroup(_, id)
            | Self::ScimGroupMembers(_, id)
            | Self::ScimGroupState(_, id)
            | Self::ScimGroupJob(_, id) => id.to_string(),
            _ => hex(id),
        }
    }

    /// The text of the key beside a stream that keeps its head.
    pub(super) fn head_text(&self) -> String {
        self.text() + ":head"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_an_enterprise_carry_its_hash_tag() {
        let enterprise = EnterpriseId::from_bytes([0xab; 16]);
        let person = PersonId::from_bytes([1; 16]);
        let organization = OrganizationId::from_bytes([1; 16]);
        let keys = [
            Key::Person(enterprise, person),
            Key::Organization(enterprise, organization),
            Key::OrganizationMembers(enterprise, organization),
            Key::PersonSessions(enterprise, person),
            Key::Unowned(enterprise),
            Key::IdpMetadata(enterprise),
            Key::Audit(enterprise),
        ];
        let mut texts: Vec<_> = keys.iter().map(Key::text).collect();
        for (key, text) in keys.iter().zip(&texts) {
            assert!(text.starts_with(&format!("pc:{{{enterprise}}}:")), "{text}");
            assert_eq!(key.shard(), Shard::Enterprise(enterprise));
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), keys.len(), "same ids in different roles are different keys");
    }

    /// Whatever ids are made of, a key is letters, digits and its one tag, and has one length for its kind.
    #[test]
    fn r_02_keys_are_made_of_ids_of_one_length() {
        let hostile = ["a:b", "a}{b", "*", "\r\nFLUSHALL\r\n", "\0", ""];
        let mut texts = vec![];
        for (n, value) in hostile.iter().enumerate() {
            let enterprise = EnterpriseId::derived(&[value.as_bytes()]);
            let person = PersonId::derived(&[value.as_bytes(), b"c"]);
            let shifted = PersonId::derived(&[value.split_at(value.len().min(1)).0.as_bytes(), b":c"]);
            let digest = [n as u8; 32];
            texts.extend(
                [Key::Person(enterprise, person), Key::Person(enterprise, shifted)].map(|key| key.text()),
            );
            texts.extend([Key::UsedAssertion(digest), Key::LoggedOut(digest)].map(|key| key.text()));
        }
        for text in &texts {
            let is_plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":{}".contains(&byte);
            assert!(text.bytes().all(is_plain), "{text}");
            assert_eq!((text.matches('{').count(), text.matches('}').count()), (1, 1), "{text}");
            assert!([71, 72].contains(&text.len()), "{text} {}", text.len());
        }
        let all = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), all);
    }
}
