//! Finding and listing invitations.
use std::collections::BTreeSet;

use crate::{
    directory::{Directory, StoreError, unexpected_reply},
    domain::{
        AddressId, EnterpriseId, Invitation, InvitationId, InvitationReference, OrganizationId,
        OrganizationSlug, Timestamp,
    },
    store::{Key, MEMBERS_PER_PAGE_MAX, Op, Reply, records},
};

/// References whose invitations are read at once.
const PAGE_REFERENCES: usize = 256;
/// References that one page may look at: an organization with a hundred thousand invitations of which none failed must not hold a
/// request for as long as it takes to read all of them.
const SCANNED_REFERENCES_MAX: usize = 16 * PAGE_REFERENCES;

/// Which invitations of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationState {
    /// They can be accepted.
    Pending,
    /// They ran out, or their mail reached nobody.
    Failed,
}

/// A part of an organization's invitations.
#[derive(Debug, Clone, Copy)]
pub struct InvitationPage {
    pub state: InvitationState,
    /// Those that come after this one in the order of their references.
    pub after: Option<InvitationReference>,
    /// So many at most.
    pub limit: usize,
}

impl Directory {
    /// Invitations of an organization, in the order of their references; and where to go on, if there may be more. A page may
    /// have fewer than were asked for, and none at all: it looks at a bounded number of invitations of either state.
    pub async fn invitations(
        &self,
        enterprise: EnterpriseId,
        organization: &OrganizationSlug,
        InvitationPage { state, after, limit }: InvitationPage,
        now: Timestamp,
    ) -> Result<(Vec<(InvitationReference, Invitation)>, Option<InvitationReference>), StoreError> {
        let set = Key::OrganizationInvitations(enterprise, OrganizationId::of(enterprise, organization));
        let (mut found, mut after, mut scanned) = (vec![], after, 0);
        loop {
            let page = self.references(set, after, PAGE_REFERENCES).await?;
            let Some(last) = page.last().copied() else { return Ok((found, None)) };
            for (reference, invitation) in self.invitations_of(enterprise, &page, now).await? {
                let is_failed = !invitation.is_live(now);
                if invitation.organization == *organization && is_failed == (state == InvitationState::Failed)
                {
                    found.push((reference, invitation));
                }
                if found.len() >= limit {
                    return Ok((found, Some(reference)));
                }
            }
            if page.len() < PAGE_REFERENCES {
                return Ok((found, None));
            }
            scanned += page.len();
            if scanned >= SCANNED_REFERENCES_MAX {
                return Ok((found, Some(last)));
            }
            after = Some(last);
        }
    }

    /// Where an invitation of an organization lies.
    pub async fn find_invitation(
        &self,
        enterprise: EnterpriseId,
        organization: &OrganizationSlug,
        invitation: InvitationId,
    ) -> Result<Option<InvitationReference>, StoreError> {
        let set = Key::OrganizationInvitations(enterprise, OrganizationId::of(enterprise, organization));
        let mut after = None;
        loop {
            let page = self.references(set, after, MEMBERS_PER_PAGE_MAX).await?;
            if let Some(found) = page.iter().find(|reference| reference.invitation == invitation) {
                return Ok(Some(*found));
            }
            if page.len() < MEMBERS_PER_PAGE_MAX {
                return Ok(None);
            }
            after = page.last().copied();
        }
    }

    pub(in crate::directory) async fn references(
        &self,
        set: Key,
        after: Option<InvitationReference>,
        limit: usize,
    ) -> Result<Vec<InvitationReference>, StoreError> {
        let after = after.map(|reference| reference.to_bytes().to_vec());
        let members = self.store.members(set, after, limit).await?;
        members.into_iter().map(reference).collect()
    }

    /// Those of the invitations that are there.
    async fn invitations_of(
        &self,
        enterprise: EnterpriseId,
        references: &[InvitationReference],
        now: Timestamp,
    ) -> Result<Vec<(InvitationReference, Invitation)>, StoreError> {
        let addresses: BTreeSet<AddressId> = references.iter().map(|reference| reference.address).collect();
        let gets = addresses.iter().map(|address| Op::Get(Key::Invitee(enterprise, *address))).collect();
        let mut found = vec![];
        for (address, reply) in addresses.iter().zip(self.store.batch(now, gets).await?) {
            let Reply::Value(stored) = reply else { return Err(unexpected_reply()) };
            let Some(stored) = stored else { continue };
            for invitation in records::decode_invitee(*address, &stored.value)?.invitations {
                let reference = InvitationReference { address: *address, invitation: invitation.id };
                if references.contains(&reference) {
                    found.push((reference, invitation));
                }
            }
        }
        found.sort_by_key(|(reference, _)| *reference);
        Ok(found)
    }
}

/// A member of a set of invitations.
pub(super) fn reference(member: Vec<u8>) -> Result<InvitationReference, StoreError> {
    let bytes = member.try_into().map_err(|_| StoreError::Corrupt("a reference".into()))?;
    Ok(InvitationReference::from_bytes(bytes))
}
