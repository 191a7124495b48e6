//! How the record of one address changes: loaded together with the organization and with who acts, decided, and committed if
//! none of them has changed since. An inviter who leaves at the same moment leaves no invitation behind.
use super::{InviteError, tell};
use crate::{
    directory::{Cause, Contended, Directory, Enterprise, StoreError, audit, unexpected_reply},
    domain::{
        AddressId, Invitation, InvitationId, Invitee, Organization, OrganizationId, OrganizationSlug, Person,
        Role, Timestamp,
    },
    store::{Commit, Committed, Key, Op, Reply, Revision, Write, records},
    telemetry::{AuditAction, AuditLine},
};

/// Attempts at one commit; each failed one means that somebody else's succeeded.
const COMMIT_ATTEMPTS_MAX: usize = 16;

/// Which records it is about, and who acts.
pub(super) struct Desk<'a> {
    pub enterprise: &'a Enterprise,
    pub organization: &'a OrganizationSlug,
    pub address: AddressId,
    pub cause: Cause<'a>,
    pub now: Timestamp,
}

/// The records as they are.
pub(super) struct Seen {
    /// Who acts, where somebody does.
    pub actor: Option<Person>,
    pub invitee: Invitee,
    pub organization: Organization,
    revisions: Vec<(Key, Revision)>,
}

/// The records as they are to be, what goes with them, and what is told of it.
pub(super) struct Changed<T> {
    pub invitee: Invitee,
    pub organization: Organization,
    pub writes: Vec<Write>,
    /// What happened to which invitation, and by which rule.
    pub told: Vec<(AuditAction, Invitation, Option<&'static str>)>,
    pub result: T,
}

impl<T> Changed<T> {
    pub fn of(seen: &Seen, result: T) -> Self {
        let (invitee, organization) = (seen.invitee.clone(), seen.organization.clone());
        Self { invitee, organization, writes: vec![], told: vec![], result }
    }

    /// Puts an invitation in the place of the one with its id.
    pub fn replace(&mut self, invitation: Invitation) {
        for old in self.invitee.invitations.iter_mut().filter(|old| old.id == invitation.id) {
            old.clone_from(&invitation);
        }
    }
}

impl Seen {
    pub fn invitation(&self, id: InvitationId) -> Option<&Invitation> {
        self.invitee.invitations.iter().find(|i| i.id == id)
    }

    /// Only an owner of the organization, or of the enterprise that it belongs to, acts on invitations. Without an actor the
    /// caller answers for it.
    pub fn check_owner(&self, desk: &Desk<'_>) -> Result<(), InviteError> {
        let Some(_) = desk.cause.actor else { return Ok(()) };
        let Some(actor) = self.actor.as_ref().filter(|actor| actor.standing.is_active()) else {
            return Err(InviteError::NotOwner);
        };
        let owns = actor.membership(desk.organization).is_some_and(|m| m.role == Role::Owner);
        if owns {
            return Ok(());
        }
        if !desk.enterprise.owners.contains(&actor.profile.user) {
            return Err(InviteError::NotOwner);
        }
        // An owner of the enterprise may act on every organization that there is.
        let key = Key::Organization(desk.enterprise.id, self.organization.id);
        let is_written = self.revisions.iter().any(|(of, revision)| *of == key && *revision > 0);
        let is_configured = desk.enterprise.organizations.contains(desk.organization);
        if is_written || is_configured { Ok(()) } else { Err(InviteError::UnknownOrganization) }
    }
}

impl Directory {
    /// Decides and commits until no one else was in between; `decide` is pure and may be asked again.
    pub(super) async fn change_invitations<T>(
        &self,
        desk: &Desk<'_>,
        decide: impl Fn(&Seen) -> Result<Changed<T>, InviteError>,
    ) -> Result<T, InviteError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let seen = self.see(desk).await?;
            let changed = decide(&seen)?;
            let mut commit = commit(desk, &seen, &changed);
            if commit.writes.is_empty() {
                return Ok(changed.result);
            }
            let line = |(action, invitation, rule): &(AuditAction, Invitation, Option<&str>)| {
                tell::invitation(desk.enterprise, &desk.cause, *action, invitation, *rule, desk.now)
            };
            let told: Vec<AuditLine> = changed.told.iter().map(line).collect();
            commit.writes.extend(audit::appends(desk.enterprise, &told));
            if self.store.commit(commit).await? == Committed::Applied {
                told.iter().for_each(AuditLine::log);
                for (_, gone, _) in changed.told.iter().filter(|(a, ..)| *a == AuditAction::CancelInvitation)
                {
                    self.removals.note_cancelled(desk.enterprise, gone, &desk.cause, desk.now);
                }
                self.wake_outbox();
                return Ok(changed.result);
            }
        }
        Err(Contended.into())
    }

    async fn see(&self, desk: &Desk<'_>) -> Result<Seen, StoreError> {
        let enterprise = desk.enterprise.id;
        let organization = OrganizationId::of(enterprise, desk.organization);
        let actor = desk.cause.actor.map(|(person, _)| person);
        let mut keys =
            vec![Key::Invitee(enterprise, desk.address), Key::Organization(enterprise, organization)];
        keys.extend(actor.map(|person| Key::Person(enterprise, person)));
        let replies = self.store.batch(desk.now, keys.iter().copied().map(Op::Get).collect()).await?;
        let mut seen = Seen {
            actor: None,
            invitee: Invitee { address: desk.address, invitations: vec![] },
            organization: Organization::new(organization, desk.organization.clone()),
            revisions: vec![],
        };
        for (key, reply) in keys.into_iter().zip(replies) {
            let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
            seen.revisions.push((key, stored.as_ref().map_or(0, |stored| stored.revision)));
            let Some(stored) = stored else { continue };
            match key {
                Key::Invitee(_, address) => seen.invitee = records::decode_invitee(address, &stored.value)?,
                Key::Organization(_, id) => {
                    seen.organization = records::decode_organization(id, &stored.value)?;
                }
                Key::Person(_, id) => {
                    seen.actor = Some(records::decode_person(enterprise, id, &stored.value)?);
                }
                _ => return Err(unexpected_reply()),
            }
        }
        Ok(seen)
    }
}

fn commit<T>(desk: &Desk<'_>, seen: &Seen, changed: &Changed<T>) -> Commit {
    let enterprise = desk.enterprise.id;
    let mut writes = changed.writes.clone();
    if changed.invitee != seen.invitee {
        let key = Key::Invitee(enterprise, desk.address);
        writes.push(Write::Put(key, records::encode_invitee(&changed.invitee)));
    }
    if changed.organization != seen.organization {
        let key = Key::Organization(enterprise, seen.organization.id);
        writes.push(Write::Put(key, records::encode_organization(&changed.organization)));
    }
    Commit { expect: seen.revisions.clone(), writes }
}
