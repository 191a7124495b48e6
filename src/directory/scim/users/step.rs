//! One change of one user: whom it concerns, what it means for them, and the user's own records.
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    directory::{
        amend::{Beside, Decision, Matter, View},
        people::address,
        scim::{
            ScimCall, ScimFault, index,
            lookup::{GroupRecords, UserRecords},
            meaning::{Bench, Meant, Subject, Way, set_standing},
            tell,
        },
    },
    domain::{
        AddressId, EnterpriseId, Membership, OrganizationSlug, Person, PersonId, Role, ScimMembership,
        ScimUser, Standing, Timestamp,
    },
    provisioning::{Change, Plan, ScimFact, departure},
    scim::Resource,
    store::{Key, Revision, Write, records},
    telemetry::{AuditAction, AuditLine},
};

/// What becomes of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Who the person is and whether they may come in stays as it is.
    Profile,
    /// Created, or let in again.
    In,
    Out,
    Deleted,
}

/// A change of one user, decided as far as that goes without the person's record.
pub(super) struct UserStep<'s> {
    pub turn: Turn,
    pub before: Option<&'s UserRecords>,
    pub after: ScimUser,
    pub resource: &'s Resource,
    /// Of the user, as they will be.
    pub groups: Vec<ScimMembership>,
    pub expect: Vec<(Key, Revision)>,
    /// Decided as if the person were not known, without a look. Mostly that is so for a user who is new, and where it is not, the
    /// commit is refused.
    pub is_guess: bool,
}

impl UserStep<'_> {
    /// Whether somebody else's sign-ins are the user's from now on.
    pub fn moves(&self) -> bool {
        self.turn != Turn::Deleted && self.before.is_some_and(|before| before.user.link != self.after.link)
    }

    /// What happens where the removal guard stops something: who is put out is out, and the memberships wait (D2, D7).
    fn way(&self) -> Way {
        match self.turn {
            Turn::Out | Turn::Deleted => Way::Partial,
            Turn::In | Turn::Profile => Way::Whole,
        }
    }

    /// Whether invitations of known people are taken back, wherever they lie. Nobody is known under a new name, and a change of the
    /// profile alone is about no invitation.
    pub fn takes_back(&self) -> bool {
        match self.turn {
            Turn::In => self.before.is_some(),
            Turn::Profile => self.moves() || !self.has_same_address(),
            Turn::Out | Turn::Deleted => true,
        }
    }

    fn has_same_address(&self) -> bool {
        let before = self.before.map(|before| before.resource.primary_email());
        before.is_some_and(|before| before == self.resource.primary_email())
    }

    /// Who was linked, if it is somebody else, and who is linked.
    pub fn people(&self) -> Vec<PersonId> {
        let former = self.before.filter(|_| self.moves()).map(|before| before.user.link);
        former.into_iter().chain([self.after.link]).collect()
    }

    pub fn matters<'a>(&self, bench: &Bench<'a>, known: &[Person]) -> Vec<Matter<'a>> {
        let of = |id: PersonId| {
            let known = known.iter().find(|person| person.id == id);
            let mut besides: Vec<AddressId> = vec![];
            besides.extend(known.and_then(|person| address(bench.call.enterprise, person)));
            let old = self.before.and_then(|before| before.resource.primary_email());
            besides.extend(old.map(|email| AddressId::of(bench.call.enterprise.id, email)));
            let mut matter = bench.matter(id, self.resource, &besides);
            // To follow a person is no removal from anything.
            matter.is_automatic = !self.moves() || self.turn == Turn::Out;
            if self.moves() {
                matter.cause.rule = Some("link_changed");
            }
            matter
        };
        self.people().into_iter().map(of).collect()
    }

    /// Who is linked no more has nothing any more; what they had is noted for who comes after them.
    pub fn leave(
        &self,
        bench: &Bench<'_>,
        view: &View<'_>,
        carried: &Mutex<Vec<Membership>>,
    ) -> Result<Meant, ScimFault> {
        let before = self.before.ok_or(ScimFault::NotFound)?;
        let mut person = match view.person {
            Some(person) => person.clone(),
            None => bench.person(view, before.subject())?,
        };
        if self.turn == Turn::Out {
            set_standing(&mut person, Standing::Deleted { since: bench.call.now }, false);
            return bench.mean(self.way(), view, before.subject(), person, ScimFact::Out);
        }
        let cancelled = view.invitations.iter().filter(|i| i.person == Some(person.id));
        let cancelled = cancelled
            .map(|i| Change::CancelInvitation { organization: i.organization.clone(), invitation: i.id });
        let left = person.memberships.iter().flat_map(|member| {
            departure(person.id, member, view.organizations.get(&member.organization)).changes
        });
        let plan = Plan { changes: cancelled.chain(left).collect() };
        locked(carried).clone_from(&person.memberships);
        person.decided_at = Some(bench.call.now);
        set_standing(&mut person, Standing::Deleted { since: bench.call.now }, false);
        Ok(Meant { decision: Decision { person, plan }, waits: vec![] })
    }

    pub fn mean(
        &self,
        bench: &Bench<'_>,
        view: &View<'_>,
        carried: &Mutex<Vec<Membership>>,
    ) -> Result<Meant, ScimFault> {
        let of = Subject { user: &self.after, resource: self.resource };
        let mut person = bench.person(view, of)?;
        let is_break_glass = bench.settings().break_glass.contains(&person.profile.user);
        let now = bench.call.now;
        let facts = self.facts(bench, &person);
        let fact = match self.turn {
            Turn::Out | Turn::Deleted => ScimFact::Out,
            Turn::In | Turn::Profile => ScimFact::Groups(&facts),
        };
        // The break-glass check reads the name that a tombstone keeps.
        match self.turn {
            Turn::In => set_standing(&mut person, Standing::Active, is_break_glass),
            Turn::Out => set_standing(&mut person, Standing::Deactivated { since: now }, is_break_glass),
            Turn::Deleted => set_standing(&mut person, Standing::Deleted { since: now }, is_break_glass),
            Turn::Profile if self.moves() => set_standing(&mut person, Standing::Active, is_break_glass),
            // Nothing about memberships.
            Turn::Profile if facts.is_empty() => {
                person.decided_at = view.person.and_then(|person| person.decided_at);
            }
            Turn::Profile => {}
        }
        let mut meant = bench.mean(self.way(), view, of, person, fact)?;
        if self.moves() && self.after.active {
            self.take_over(&mut meant.decision, &locked(carried));
        }
        Ok(meant)
    }

    /// What the former person had, as a member: ownership never comes by SCIM (V-06).
    fn take_over(&self, decision: &mut Decision, carried: &[Membership]) {
        for member in carried {
            let organization = &member.organization;
            // No invitation to what the person is in already.
            decision.plan.changes.retain(
                |change| !matches!(change, Change::Invite { invitation } if invitation.organization == *organization),
            );
            if decision.person.membership(organization).is_none() {
                let join = Change::Join { organization: organization.clone(), role: Role::Member };
                decision.plan.changes.push(join);
            }
        }
    }

    /// Of which organizations something is said: all that the user's groups stand for, where the user begins, comes back, gets
    /// mail elsewhere or becomes somebody else; and where that is wanted, what the person had before.
    fn facts(&self, bench: &Bench<'_>, person: &Person) -> Vec<(OrganizationSlug, bool)> {
        if self.turn == Turn::Profile && self.has_same_address() && !self.moves() {
            return vec![];
        }
        let mut wanted: BTreeSet<&OrganizationSlug> =
            self.groups.iter().filter_map(|of| of.organization.as_ref()).collect();
        let comes_back = self.turn == Turn::In && self.before.is_some();
        if comes_back && bench.call.settings.reinvite {
            let former = person.former.iter().filter(|former| former.is_restorable(bench.call.now));
            wanted.extend(former.map(|former| &former.organization));
        }
        wanted.into_iter().map(|organization| (organization.clone(), true)).collect()
    }

    /// What must still be as it was read.
    fn expectations(&self, e: EnterpriseId) -> Beside {
        let id = self.after.id;
        let (revision, groups_revision) =
            self.before.map_or((0, 0), |before| (before.revision, before.groups_revision));
        let own = [(Key::ScimUser(e, id), revision), (Key::ScimUserGroups(e, id), groups_revision)];
        Beside { expect: own.into_iter().chain(self.expect.clone()).collect(), ..Beside::default() }
    }

    /// The user's own records and indexes.
    pub fn beside(&self, call: &ScimCall<'_>) -> Beside {
        let (e, id) = (call.enterprise.id, self.after.id);
        let mut beside = self.expectations(e);
        let is_gone = self.turn == Turn::Deleted;
        let before = self.before.map(|before| (&before.user, &before.resource));
        let after = Some((&self.after, self.resource)).filter(|_| !is_gone);
        let keys = |of: Option<(&ScimUser, &Resource)>| {
            of.map(|(user, resource)| index::user_keys(e, user, resource)).unwrap_or_default()
        };
        let (had, has) = (keys(before), keys(after));
        beside.writes.extend(had.names.difference(&has.names).copied().map(Write::Delete));
        for name in has.names.difference(&had.names) {
            beside.expect.push((*name, 0));
            beside.writes.push(Write::Put(*name, records::encode_scim_id(id)));
        }
        let member = || records::encode_scim_id(id);
        let gone = had.sets.difference(&has.sets).map(|set| Write::Remove(*set, member()));
        let new = has.sets.difference(&had.sets).map(|set| Write::Insert(*set, member()));
        beside.writes.extend(gone.chain(new));
        let listed = records::encode_scim_created(self.after.created_at, id);
        let (record, in_groups) = (Key::ScimUser(e, id), Key::ScimUserGroups(e, id));
        if is_gone {
            beside.writes.extend([Write::Delete(record), Write::Remove(Key::ScimUsers(e), listed)]);
            self.leave_groups(call, in_groups, &mut beside);
        } else {
            beside.writes.push(Write::Put(record, records::encode_scim_user(&self.after)));
            if self.before.is_none() {
                beside.writes.push(Write::Insert(Key::ScimUsers(e), listed));
                self.join_groups(call, in_groups, &mut beside);
            }
        }
        beside.told.push(self.line(call));
        beside
    }

    fn leave_groups(&self, call: &ScimCall<'_>, in_groups: Key, beside: &mut Beside) {
        let Some(before) = self.before.filter(|before| before.groups_revision > 0) else { return };
        beside.writes.push(Write::Delete(in_groups));
        let member = records::encode_scim_id(self.after.id);
        for of in &before.groups {
            let members = Key::ScimGroupMembers(call.enterprise.id, of.group);
            beside.writes.push(Write::Remove(members, member.clone()));
            beside.writes.push(Write::Touch(Key::ScimGroupState(call.enterprise.id, of.group), call.now));
        }
    }

    fn join_groups(&self, call: &ScimCall<'_>, in_groups: Key, beside: &mut Beside) {
        if self.groups.is_empty() {
            return;
        }
        beside.writes.push(Write::Put(in_groups, records::encode_scim_user_groups(&self.groups)));
        let member = records::encode_scim_id(self.after.id);
        for of in &self.groups {
            let members = Key::ScimGroupMembers(call.enterprise.id, of.group);
            beside.writes.push(Write::Insert(members, member.clone()));
            beside.writes.push(Write::Touch(Key::ScimGroupState(call.enterprise.id, of.group), call.now));
        }
    }

    fn line(&self, call: &ScimCall<'_>) -> AuditLine {
        let (action, reason) = match (self.turn, self.before) {
            (Turn::Deleted, _) => (AuditAction::DeprovisionIdentity, Some("deleted")),
            (_, None) => (AuditAction::ProvisionIdentity, None),
            (Turn::Out, Some(before)) if before.user.active => {
                (AuditAction::DeprovisionIdentity, Some("deactivated"))
            }
            (Turn::In, _) => (AuditAction::UpdateIdentity, Some("reactivated")),
            _ if self.moves() => (AuditAction::UpdateIdentity, Some("link_changed")),
            _ => (AuditAction::UpdateIdentity, None),
        };
        tell::user(call, action, (self.after.id, self.resource), self.after.link, reason)
    }
}

pub(in crate::directory::scim) fn membership(records: &GroupRecords) -> Option<ScimMembership> {
    let (group, _) = records.group.as_ref()?;
    Some(ScimMembership { group: group.id, organization: group.organization.clone() })
}

/// What the store keeps of a time.
pub(in crate::directory::scim) fn cut(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

pub(in crate::directory::scim) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
