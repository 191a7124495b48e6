//! Statement 20: who leaves an organization takes along the invitations that they sent for it, in the same commit (V-16).
use std::collections::BTreeMap;

use super::tell;
use crate::{
    directory::{Cause, Directory, amend::Matter, outbox, unexpected_reply},
    domain::{AddressId, Invitation, InvitationReference, Invitee, OrganizationId, OrganizationSlug, Person},
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
    pub invitations: Vec<Invitation>,
}

impl Directory {
    /// The invitations of the matter's person that go with what the plan ends. Reads nothing where nothing ends.
    pub(in crate::directory) async fn taken_back(
        &self,
        matter: &Matter<'_>,
        plan: &Plan,
        person: &Person,
    ) -> Result<TakenBack, StoreError> {
        let left: Vec<&OrganizationSlug> = plan.changes.iter().filter_map(left).collect();
        let is_out = !person.standing.is_active();
        if left.is_empty() && !is_out {
            return Ok(TakenBack::default());
        }
        let enterprise = matter.enterprise.id;
        let sent = Key::SentInvitations(enterprise, matter.person);
        let mut by_address: BTreeMap<AddressId, Vec<InvitationReference>> = BTreeMap::new();
        for reference in self.references(sent, None, SENT_MAX).await? {
            // What lies under the matter's own address is written with the matter.
            if matter.address != Some(reference.address) {
                by_address.entry(reference.address).or_default().push(reference);
            }
        }
        if by_address.is_empty() {
            return Ok(TakenBack::default());
        }
        let gets = by_address.keys().map(|address| Op::Get(Key::Invitee(enterprise, *address))).collect();
        let replies = self.store.batch(matter.now, gets).await?;
        let mut taken = TakenBack::default();
        for ((address, references), reply) in by_address.iter().zip(replies) {
            let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
            let Some(stored) = stored else { continue };
            let invitee = records::decode_invitee(*address, &stored.value)?;
            let goes = |i: &Invitation| {
                let listed = references.iter().any(|reference| reference.invitation == i.id);
                listed && i.inviter == Some(matter.person) && (is_out || left.contains(&&i.organization))
            };
            let (gone, stays): (Vec<_>, Vec<_>) = invitee.invitations.into_iter().partition(goes);
            if gone.is_empty() {
                continue;
            }
            let key = Key::Invitee(enterprise, *address);
            taken.expect.push((key, stored.revision));
            let stays = Invitee { address: *address, invitations: stays };
            taken.writes.push(Write::Put(key, records::encode_invitee(&stays)));
            for invitation in gone {
                taken.writes.extend(unlisted(matter, *address, &invitation));
                taken.invitations.push(invitation);
            }
        }
        Ok(taken)
    }
}

fn left(change: &Change) -> Option<&OrganizationSlug> {
    match change {
        Change::Leave { organization, .. } => Some(organization),
        _ => None,
    }
}

fn unlisted(matter: &Matter<'_>, address: AddressId, invitation: &Invitation) -> [Write; 3] {
    let enterprise = matter.enterprise.id;
    let reference = InvitationReference { address, invitation: invitation.id }.to_bytes().to_vec();
    let organization = OrganizationId::of(enterprise, &invitation.organization);
    [
        Write::Remove(Key::OrganizationInvitations(enterprise, organization), reference.clone()),
        Write::Remove(Key::SentInvitations(enterprise, matter.person), reference),
        Write::Delete(outbox::key_of(enterprise, invitation)),
    ]
}

/// What is told of them.
pub(in crate::directory) fn told(matter: &Matter<'_>, taken: &TakenBack) -> Vec<AuditLine> {
    let cause = Cause { rule: Some("inviter_left"), ..matter.cause };
    let action = AuditAction::CancelInvitation;
    let line = |gone| tell::invitation(matter.enterprise, &cause, action, gone, None, matter.now);
    taken.invitations.iter().map(line).collect()
}
