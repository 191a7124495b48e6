//! Statement 20: who leaves an organization takes along the invitations that they sent for it, in the same commit (V-16).
use std::collections::{BTreeMap, BTreeSet};

use super::{lists::reference, tell};
use crate::{
    directory::{Cause, Directory, amend::Matter, outbox, unexpected_reply},
    domain::{
        AddressId, EnterpriseId, Invitation, InvitationReference, Invitee, OrganizationId, OrganizationSlug,
        Person, PersonId,
    },
    provisioning::{Change, Plan},
    store::{Key, Op, Reply, Revision, StoreError, Write, records},
    telemetry::{AuditAction, AuditLine},
};

/// Invitations of one person that one departure takes back. Should there be more, they open nothing all the same: an
/// acceptance asks whether who sent it still belongs to the organization.
const SENT_MAX: usize = 512;

/// What is taken back.
#[derive(Default)]
pub(in crate::directory) struct TakenBack {
    pub expect: Vec<(Key, Revision)>,
    pub writes: Vec<Write>,
    /// With the number of the matter of whoever sent it.
    pub invitations: Vec<(usize, Invitation)>,
}

impl Directory {
    /// The invitations of the matters' people that go with what the plans end. Reads nothing where nothing ends.
    pub(in crate::directory) async fn taken_back(
        &self,
        matters: &[Matter<'_>],
        settled: &[(&Plan, &Person)],
    ) -> Result<TakenBack, StoreError> {
        let leavers = leavers(matters, settled);
        let Some(first) = matters.first() else { return Ok(TakenBack::default()) };
        let by_address = self.sent_by(first, matters, &leavers).await?;
        if by_address.is_empty() {
            return Ok(TakenBack::default());
        }
        let enterprise = first.enterprise.id;
        let gets = by_address.keys().map(|address| Op::Get(Key::Invitee(enterprise, *address))).collect();
        let replies = self.get_all(first.now, gets).await?;
        let mut taken = TakenBack::default();
        for ((address, references), reply) in by_address.iter().zip(replies) {
            let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
            let Some(stored) = stored else { continue };
            let invitee = records::decode_invitee(*address, &stored.value)?;
            let leaver = |i: &Invitation| {
                let listed = references.iter().any(|reference| reference.invitation == i.id);
                leavers.iter().find(|leaver| listed && leaver.takes_back(i))
            };
            let (gone, stays): (Vec<_>, Vec<_>) =
                invitee.invitations.into_iter().partition(|i| leaver(i).is_some());
            if gone.is_empty() {
                continue;
            }
            let key = Key::Invitee(enterprise, *address);
            taken.expect.push((key, stored.revision));
            let stays = Invitee { address: *address, invitations: stays };
            taken.writes.push(Write::Put(key, records::encode_invitee(&stays)));
            for invitation in gone {
                let Some(Leaver { number, person, .. }) = leaver(&invitation) else { continue };
                taken.writes.extend(unlisted(enterprise, *person, *address, &invitation));
                taken.invitations.push((*number, invitation));
            }
        }
        Ok(taken)
    }

    /// What the leavers sent, by the addresses that it lies under: one round trip, however many leave.
    async fn sent_by(
        &self,
        first: &Matter<'_>,
        matters: &[Matter<'_>],
        leavers: &[Leaver<'_>],
    ) -> Result<BTreeMap<AddressId, Vec<InvitationReference>>, StoreError> {
        let sent = |leaver: &Leaver<'_>| Key::SentInvitations(first.enterprise.id, leaver.person);
        let gets = leavers.iter().map(|leaver| Op::Members(sent(leaver), SENT_MAX)).collect();
        // What lies under the matters' own addresses is written with the matters.
        let own: BTreeSet<AddressId> = matters.iter().flat_map(|matter| &matter.addresses).copied().collect();
        let mut by_address: BTreeMap<AddressId, Vec<InvitationReference>> = BTreeMap::new();
        for reply in self.get_all(first.now, gets).await? {
            let Reply::Members(members) = reply else { return Err(unexpected_reply()) };
            for reference in members.into_iter().map(reference) {
                let reference = reference?;
                if !own.contains(&reference.address) {
                    by_address.entry(reference.address).or_default().push(reference);
                }
            }
        }
        Ok(by_address)
    }
}

/// Who leaves anything, or is put out.
fn leavers<'p>(matters: &[Matter<'_>], settled: &[(&'p Plan, &Person)]) -> Vec<Leaver<'p>> {
    let leaver = |(number, (matter, (plan, person))): (usize, (&Matter<'_>, &(&'p Plan, &Person)))| {
        let plan: &'p Plan = plan;
        let left: Vec<&OrganizationSlug> = plan.changes.iter().filter_map(left).collect();
        let is_out = !person.standing.is_active();
        (is_out || !left.is_empty()).then_some(Leaver { number, person: matter.person, left, is_out })
    };
    matters.iter().zip(settled).enumerate().filter_map(leaver).collect()
}

/// Somebody whose invitations go.
struct Leaver<'p> {
    number: usize,
    person: PersonId,
    left: Vec<&'p OrganizationSlug>,
    /// Of everything.
    is_out: bool,
}

impl Leaver<'_> {
    fn takes_back(&self, invitation: &Invitation) -> bool {
        let goes = self.is_out || self.left.contains(&&invitation.organization);
        invitation.inviter == Some(self.person) && goes
    }
}

fn left(change: &Change) -> Option<&OrganizationSlug> {
    match change {
        Change::Leave { organization, .. } => Some(organization),
        _ => None,
    }
}

fn unlisted(
    enterprise: EnterpriseId,
    inviter: PersonId,
    address: AddressId,
    invitation: &Invitation,
) -> [Write; 3] {
    let reference = InvitationReference { address, invitation: invitation.id }.to_bytes().to_vec();
    let organization = OrganizationId::of(enterprise, &invitation.organization);
    [
        Write::Remove(Key::OrganizationInvitations(enterprise, organization), reference.clone()),
        Write::Remove(Key::SentInvitations(enterprise, inviter), reference),
        Write::Delete(outbox::key_of(enterprise, invitation)),
    ]
}

/// What is told of them.
pub(in crate::directory) fn told(matters: &[Matter<'_>], taken: &TakenBack) -> Vec<AuditLine> {
    let line = |(number, gone): &(usize, Invitation)| {
        let matter = matters.get(*number)?;
        let cause = Cause { rule: Some("inviter_left"), ..matter.cause };
        let action = AuditAction::CancelInvitation;
        Some(tell::invitation(matter.enterprise, &cause, action, gone, None, matter.now))
    };
    taken.invitations.iter().filter_map(line).collect()
}
