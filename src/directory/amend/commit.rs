//! What a decided change is made of: the records that it was decided by and those that it writes, the sets beside them, and the
//! one commit that carries all of it.
use std::collections::BTreeMap;

use super::{Beside, Draft, Loaded, Matter, Settled};
use crate::{
    directory::{Directory, audit, batches::batch_key, invitations::sent, outbox},
    domain::{
        AddressId, EnterpriseId, Invitation, Invitee, Organization, OrganizationId, OrganizationSlug, Person,
        PersonId, Role,
    },
    provisioning::Change,
    store::{Commit, Key, Revision, StoreError, Versioned, Write, records},
    telemetry::AuditLine,
};

/// What lay in the store, decoded.
pub(super) struct Records {
    /// In the order of the matters; `None` for who is not known.
    pub people: Vec<Option<(Person, Revision)>>,
    pub invitees: Invitees,
    /// Those whom no matter concerns.
    actors: BTreeMap<PersonId, (Option<Person>, Revision)>,
}

/// The invitations to the addresses that the matters name.
#[derive(Clone, Default)]
pub(super) struct Invitees {
    of: BTreeMap<AddressId, (Vec<Invitation>, Revision)>,
}

/// Records of organizations, as they were read and as the plans leave them.
#[derive(Default)]
pub(super) struct Organizations {
    pub before: BTreeMap<OrganizationSlug, Organization>,
    pub after: BTreeMap<OrganizationSlug, Organization>,
    pub revisions: BTreeMap<OrganizationSlug, Revision>,
}

impl Organizations {
    /// As they were read.
    pub fn know(&mut self, read: BTreeMap<OrganizationSlug, (Revision, Organization)>) {
        for (slug, (revision, record)) in read {
            self.revisions.insert(slug.clone(), revision);
            self.before.insert(slug, record);
        }
    }
}

impl Records {
    pub fn read(matters: &[Matter<'_>], loaded: &Loaded) -> Result<Self, StoreError> {
        let person = |(matter, stored): (&Matter<'_>, &Option<Versioned>)| {
            let Some(stored) = stored else { return Ok(None) };
            let person = records::decode_person(matter.enterprise.id, matter.person, &stored.value)?;
            Ok(Some((person, stored.revision)))
        };
        let invitee = |(address, stored): (&AddressId, &Option<Versioned>)| match stored {
            Some(stored) => {
                let invitee = records::decode_invitee(*address, &stored.value)?;
                Ok((*address, (invitee.invitations, stored.revision)))
            }
            None => Ok((*address, (vec![], 0))),
        };
        let people = matters.iter().zip(&loaded.people).map(person).collect::<Result<_, StoreError>>()?;
        let of = loaded.invitees.iter().map(invitee).collect::<Result<_, StoreError>>()?;
        let mut actors = BTreeMap::new();
        for (id, stored) in &loaded.actors {
            let (person, revision) = match (stored, matters.first()) {
                (Some(stored), Some(first)) => {
                    let person = records::decode_person(first.enterprise.id, *id, &stored.value)?;
                    (Some(person), stored.revision)
                }
                _ => (None, 0),
            };
            actors.insert(*id, (person, revision));
        }
        Ok(Self { people, invitees: Invitees { of }, actors })
    }

    /// The record of who acts, as it was read.
    pub fn actor(&self, matters: &[Matter<'_>], actor: PersonId) -> Option<&Person> {
        if let Some((person, _)) = self.actors.get(&actor) {
            return person.as_ref();
        }
        let own = matters.iter().position(|matter| matter.person == actor)?;
        self.people.get(own)?.as_ref().map(|(person, _)| person)
    }
}

impl Invitees {
    /// What lies under any of the addresses.
    pub fn of(&self, addresses: &[AddressId]) -> Vec<Invitation> {
        let under = addresses.iter().filter_map(|address| self.of.get(address));
        under.flat_map(|(invitations, _)| invitations.iter().cloned()).collect()
    }

    /// Takes what is left of a matter's invitations, and what is new, each under its address.
    pub fn put_back(&mut self, matter: &Matter<'_>, invitations: Vec<Invitation>) {
        let address = |invitation: &Invitation| {
            let lies = |address: &&AddressId| {
                let under = self.of.get(*address).map(|(invitations, _)| invitations);
                under.is_some_and(|under| under.iter().any(|one| one.id == invitation.id))
            };
            let known = matter.addresses.iter().find(lies).copied();
            known.unwrap_or_else(|| AddressId::of(matter.enterprise.id, &invitation.email))
        };
        let placed: Vec<(AddressId, Invitation)> =
            invitations.into_iter().map(|invitation| (address(&invitation), invitation)).collect();
        for address in &matter.addresses {
            if let Some((under, _)) = self.of.get_mut(address) {
                under.clear();
            }
        }
        for (address, invitation) in placed {
            let (under, _) = self.of.entry(address).or_default();
            let at = under.partition_point(|one| one.organization <= invitation.organization);
            under.insert(at, invitation);
        }
    }

    /// Where an invitation lies.
    fn address_of(&self, matter: &Matter<'_>, gone: &Invitation) -> AddressId {
        let lies = |address: &&AddressId| {
            self.of.get(*address).is_some_and(|(under, _)| under.iter().any(|one| one.id == gone.id))
        };
        let known = matter.addresses.iter().find(lies).copied();
        known.unwrap_or_else(|| AddressId::of(matter.enterprise.id, &gone.email))
    }
}

impl Directory {
    /// The one atomic change that carries the decisions out, what is told of it, and whether it queues mails.
    pub(super) fn commit_of(
        &self,
        matters: &[Matter<'_>],
        records: &Records,
        draft: &Draft,
        taken: sent::TakenBack,
        beside: Beside,
    ) -> (Commit, Vec<AuditLine>, bool) {
        let mut told = audit::changes_of_all(&done(matters, records, draft));
        let (mut commit, mut has_notices) = (Commit::default(), false);
        commit.expect.extend(beside.expect);
        for ((matter, settled), before) in matters.iter().zip(&draft.settled).zip(&records.people) {
            write_person(&mut commit, matter, settled, before);
            for change in &settled.plan.changes {
                commit.writes.extend(set_writes(matter, records, change));
            }
            let notices = self.notices(matter, &settled.plan, &settled.person);
            has_notices |= !notices.is_empty();
            commit.writes.extend(notices);
            let known = before.as_ref().map(|(person, _)| person);
            told.extend(audit::plan(matter, &settled.recorded, &settled.person));
            told.extend(audit::tokens(matter, known, &settled.person));
        }
        told.extend(sent::told(matters, &taken));
        told.extend(beside.told);
        commit.expect.extend(taken.expect);
        commit.writes.extend(taken.writes);
        if let Some(first) = matters.first() {
            let enterprise = first.enterprise;
            // Who is demoted or put out at this moment acts no more: one of the two commits comes too late.
            let acting = records.actors.iter();
            let expected = acting.map(|(id, (_, revision))| (Key::Person(enterprise.id, *id), *revision));
            commit.expect.extend(expected);
            write_invitees(&mut commit, enterprise.id, &records.invitees, &draft.invitees);
            write_organizations(&mut commit, enterprise.id, &draft.organizations);
            commit.writes.extend(beside.writes);
            commit.writes.extend(audit::appends(enterprise, &told));
        }
        (commit, told, has_notices)
    }
}

/// Of whom what gateways keep is not true any more. They keep nothing of who was not known, and nothing of what was decided last:
/// whoever was invited is what they were, and of a hundred who were no gateway has to be told.
pub(super) fn stale(records: &Records, draft: &Draft) -> Vec<PersonId> {
    let is_stale = |(before, settled): &(&Option<(Person, Revision)>, &Settled)| {
        let Some((before, _)) = before else { return false };
        Person { decided_at: before.decided_at, ..settled.person.clone() } != *before
    };
    let all = records.people.iter().zip(&draft.settled).filter(is_stale);
    all.map(|(_, settled)| settled.person.id).collect()
}

fn done<'d>(matters: &'d [Matter<'d>], records: &'d Records, draft: &'d Draft) -> Vec<audit::Done<'d>> {
    let all = matters.iter().zip(&draft.settled).zip(&records.people);
    let done =
        |((matter, settled), before): ((&'d Matter<'d>, &'d Settled), &'d Option<(Person, Revision)>)| {
            audit::Done {
                matter,
                plan: &settled.plan,
                before: before.as_ref().map(|(person, _)| person),
                person: &settled.person,
            }
        };
    all.map(done).collect()
}

fn write_person(
    commit: &mut Commit,
    matter: &Matter<'_>,
    settled: &Settled,
    before: &Option<(Person, Revision)>,
) {
    let key = matter.person_key();
    commit.expect.push((key, before.as_ref().map_or(0, |(_, revision)| *revision)));
    if before.as_ref().map(|(person, _)| person) != Some(&settled.person) {
        commit.writes.push(Write::Put(key, records::encode_person(&settled.person)));
    }
    if before.is_none() {
        let id = settled.person.id.as_bytes().to_vec();
        commit.writes.push(Write::Insert(Key::People(matter.enterprise.id), id));
    }
}

fn write_invitees(commit: &mut Commit, enterprise: EnterpriseId, before: &Invitees, after: &Invitees) {
    for (address, (invitations, revision)) in &after.of {
        let key = Key::Invitee(enterprise, *address);
        commit.expect.push((key, *revision));
        // Never deleted: one that is written anew would start over at revision 1, and who read the old one could not tell.
        if before.of.get(address).map_or(&[][..], |(invitations, _)| invitations) != invitations.as_slice() {
            let invitee = Invitee { address: *address, invitations: invitations.clone() };
            commit.writes.push(Write::Put(key, records::encode_invitee(&invitee)));
        }
    }
}

fn write_organizations(commit: &mut Commit, enterprise: EnterpriseId, organizations: &Organizations) {
    for (slug, record) in &organizations.after {
        let key = Key::Organization(enterprise, record.id);
        commit.expect.push((key, organizations.revisions.get(slug).copied().unwrap_or(0)));
        if organizations.before.get(slug) != Some(record) {
            commit.writes.push(Write::Put(key, records::encode_organization(record)));
        }
    }
}

/// What a change does to the sets beside the records.
fn set_writes(matter: &Matter<'_>, records: &Records, change: &Change) -> Vec<Write> {
    let id = matter.enterprise.id;
    let organization = OrganizationId::of(id, change.organization());
    let (org, person) = (organization.as_bytes().to_vec(), matter.person.as_bytes().to_vec());
    let members = Key::OrganizationMembers(id, organization);
    let held = [&org[..], &person[..]].concat();
    let owned = |org| Write::Remove(Key::Unowned(id), org);
    match change {
        Change::Join { role: Role::Owner, .. } => vec![Write::Insert(members, person), owned(org)],
        Change::Join { .. } => vec![Write::Insert(members, person)],
        Change::Promote { .. } => vec![owned(org)],
        Change::Leave { .. } => vec![
            Write::Remove(members, person.clone()),
            Write::Remove(Key::HeldRemovals(id), held),
            Write::Insert(batch_key(matter.enterprise, &matter.batch), person),
        ],
        Change::BecomeUnowned { .. } => vec![Write::Insert(Key::Unowned(id), org)],
        Change::Hold { .. } => vec![Write::Insert(Key::HeldRemovals(id), held)],
        Change::Release { .. } => vec![Write::Remove(Key::HeldRemovals(id), held)],
        Change::Invite { invitation } => {
            let reference = reference(AddressId::of(id, &invitation.email), invitation);
            vec![Write::Insert(Key::OrganizationInvitations(id, organization), reference)]
        }
        Change::CancelInvitation { invitation, .. } | Change::AcceptInvitation { invitation, .. } => {
            let known = records.invitees.of(&matter.addresses);
            // One that an earlier matter of the same commit made is no more than that matter's.
            let Some(gone) = known.iter().find(|known| known.id == *invitation) else { return vec![] };
            let reference = reference(records.invitees.address_of(matter, gone), gone);
            let sent = gone
                .inviter
                .map(|inviter| Write::Remove(Key::SentInvitations(id, inviter), reference.clone()));
            // A mail that still waits would invite to nothing.
            let mail = Write::Delete(outbox::key_of(id, gone));
            let listed = Write::Remove(Key::OrganizationInvitations(id, organization), reference);
            [listed, mail].into_iter().chain(sent).collect()
        }
        Change::Demote { .. } | Change::Pin { .. } | Change::Unpin { .. } => vec![],
    }
}

fn reference(address: AddressId, invitation: &Invitation) -> Vec<u8> {
    [&address.as_bytes()[..], invitation.id.as_bytes()].concat()
}
