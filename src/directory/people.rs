//! Who may come in at all: deactivated, reactivated, deleted people, and links that are revoked.
use crate::{
    domain::{AddressId, EnterpriseId, Person, PersonId, Standing, Timestamp},
    provisioning::{Change, LastOwner, Plan, departure},
    store::{BATCH_STEPS_MAX, Key, Op, Reply, StoreError, records},
    telemetry::AuditAction,
};

use super::{
    ActError, Actor, Cause, Contended, Directory, Enterprise,
    acts::{Act, Right},
    amend::{Decision, View},
    members::protect,
    unexpected_reply,
};

impl Directory {
    /// Puts a person out (D2): every membership ends, every invitation is cancelled, tokens are revoked, sessions end. By an
    /// owner of the enterprise, never oneself. Nothing but [`Directory::reactivate_person`] lets the person in again (A12).
    pub async fn deactivate_person(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.put_out(enterprise, actor, person, Standing::Deactivated { since: now }, now).await
    }

    /// Deletes a person's identity and leaves a tombstone: the same as a deactivation, and the profile is erased but for the
    /// stable id. Former memberships stay for their 90 days (A16).
    pub async fn delete_person(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        self.put_out(enterprise, actor, person, Standing::Deleted { since: now }, now).await
    }

    /// Lets a person in again: by an owner of the enterprise. What the person had is not given back by that; an assertion that
    /// was issued before is refused (A13), and the first one after links anew.
    pub async fn reactivate_person(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        let act = Act { enterprise, actor, right: Right::Enterprise, person, now };
        let matter = act.matter_of(AuditAction::UpdateIdentity, Some("reactivated"), None);
        let decide = |mut person: Person, _: &View<'_>| {
            if !person.standing.is_active() {
                person.standing = Standing::Active;
                person.decided_at = Some(now);
            }
            Ok(Decision { person, plan: Plan::default() })
        };
        self.act_upon(&act, matter, decide).await.map(|amended| amended.person)
    }

    /// Cuts the link between the person and the account at the identity provider (section 2.3): sessions end, memberships
    /// stay, and the next sign-in links anew. By an owner of the enterprise.
    pub async fn revoke_link(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        let act = Act { enterprise, actor, right: Right::Enterprise, person, now };
        let matter = act.matter_of(AuditAction::RevokeExternalIdentity, None, None);
        let decide = |mut person: Person, _: &View<'_>| {
            if person.linked_at.take().is_some() {
                // An assertion that is on its way would link at once what was just cut.
                person.decided_at = Some(now);
            }
            Ok(Decision { person, plan: Plan::default() })
        };
        let amended = self.act_upon(&act, matter, decide).await?;
        self.close(&act, "link_revoked").await;
        Ok(amended.person)
    }

    /// Up to `limit` (1 to 1,000) people of the enterprise, in the order of their ids.
    pub async fn people(
        &self,
        enterprise: EnterpriseId,
        after: Option<PersonId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Person>, StoreError> {
        self.people_page(enterprise, after, limit, now).await.map(|(people, _)| people)
    }

    /// A page of people, and where to go on if there is more.
    pub(super) async fn people_page(
        &self,
        enterprise: EnterpriseId,
        after: Option<PersonId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Person>, Option<PersonId>), StoreError> {
        let after = after.map(|id| id.as_bytes().to_vec());
        let ids = self.store.members(Key::People(enterprise), after, limit).await?;
        let ids: Vec<PersonId> = ids.into_iter().map(person_id).collect::<Result<_, _>>()?;
        let next = ids.last().copied().filter(|_| ids.len() == limit);
        Ok((self.people_of(enterprise, &ids, now).await?, next))
    }

    /// Those of these people who are known, in this order.
    pub(super) async fn people_of(
        &self,
        enterprise: EnterpriseId,
        ids: &[PersonId],
        now: Timestamp,
    ) -> Result<Vec<Person>, StoreError> {
        let mut people = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH_STEPS_MAX) {
            let gets = ids.iter().map(|id| Op::Get(Key::Person(enterprise, *id))).collect();
            for (reply, id) in self.store.batch(now, gets).await?.into_iter().zip(ids) {
                let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
                let person = stored.map(|s| records::decode_person(enterprise, *id, &s.value));
                people.extend(person.transpose()?);
            }
        }
        Ok(people)
    }

    /// Takes away what a person has open. None of it opens anything any more, by the person's record: this is for those who
    /// look at what is there, so that a failure undoes nothing.
    async fn close(&self, act: &Act<'_>, rule: &'static str) {
        let cause = Cause { rule: Some(rule), ..act.actor.cause(act.person) };
        if let Err(error) = self.end_sessions_of_person(act.enterprise, act.person, &cause, act.now).await {
            tracing::warn!(person = %act.person, %error, "sessions that open nothing any more are left to expire");
        }
    }

    async fn put_out(
        &self,
        enterprise: &Enterprise,
        actor: Actor<'_>,
        id: PersonId,
        standing: Standing,
        now: Timestamp,
    ) -> Result<Person, ActError> {
        let policy = self.settings(enterprise, now).await?.last_owner;
        let known = self.person(enterprise.id, id, now).await?;
        let to = known.as_ref().and_then(|person| address(enterprise, person));
        let rule = match standing {
            Standing::Deleted { .. } => "deleted",
            Standing::Active | Standing::Deactivated { .. } => "deactivated",
        };
        let act = Act { enterprise, actor, right: Right::Enterprise, person: id, now };
        let matter = act.matter_of(AuditAction::DeprovisionIdentity, Some(rule), to);
        let decide = |person: Person, view: &View<'_>| {
            if actor.id() == Some(id) {
                return Err(ActError::OwnRole);
            }
            // A sign-in in between brought another address, and the invitations to it were not looked at.
            if address(enterprise, &person) != to {
                return Err(Contended.into());
            }
            put_out(person, view, standing, policy, now)
        };
        let amended = self.act_upon(&act, matter, decide).await?;
        self.close(&act, rule).await;
        let tokens = known.iter().flat_map(|person| &person.tokens);
        let tokens = tokens.map(|token| Op::Delete(Key::AccessToken(token.secret))).collect();
        let _ = self.store.batch(now, tokens).await;
        Ok(amended.person)
    }
}

/// D2, in one plan: cancel, leave, and what the person may no longer show.
pub(super) fn put_out(
    mut person: Person,
    view: &View<'_>,
    standing: Standing,
    policy: LastOwner,
    now: Timestamp,
) -> Result<Decision, ActError> {
    let cancelled = view.invitations.iter().map(|invitation| Change::CancelInvitation {
        organization: invitation.organization.clone(),
        invitation: invitation.id,
    });
    let left = person.memberships.iter().flat_map(|member| {
        departure(person.id, member, view.organizations.get(&member.organization)).changes
    });
    let changes: Vec<Change> = cancelled.chain(left).collect();
    protect(policy, view, &changes)?;
    let is_deleted = matches!(standing, Standing::Deleted { .. });
    if person.standing.is_active() || (is_deleted && !matches!(person.standing, Standing::Deleted { .. })) {
        person.standing = standing;
        person.decided_at = Some(now);
        // Whatever is open stays closed, also once the person is let in again.
        person.linked_at = None;
    }
    person.tokens.clear();
    if is_deleted {
        person.profile.email = None;
        person.profile.display_name = None;
        person.profile.preferred_username = None;
        person.last_groups = None;
    }
    Ok(Decision { person, plan: Plan { changes } })
}

/// Under which a person's invitations lie.
pub(super) fn address(enterprise: &Enterprise, person: &Person) -> Option<AddressId> {
    person.profile.email.as_deref().map(|email| AddressId::of(enterprise.id, email))
}

pub(super) fn person_id(bytes: Vec<u8>) -> Result<PersonId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt("a person's id in a set".into()))?;
    Ok(PersonId::from_bytes(bytes))
}
