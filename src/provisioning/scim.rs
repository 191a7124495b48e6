//! Column T1 of the decision table: what a SCIM call means for one person.
use crate::domain::{AddressId, EnterpriseId, Invitation, InvitationSource, OrganizationSlug};

use super::{
    Change, Current, Plan, Settings,
    plan::{is_pinned, removal},
};

/// What a call says of a person.
#[derive(Debug, Clone, Copy)]
pub enum ScimFact<'a> {
    /// Whether the person is, after the call, in a group of each of these organizations. Of others nothing is said (A4).
    Groups(&'a [(OrganizationSlug, bool)]),
    /// The person is to have nothing any more (D2).
    Out,
}

/// Where an invitation of the call would go to.
#[derive(Debug, Clone, Copy)]
pub struct ScimAddressee {
    pub enterprise: EnterpriseId,
    /// `None`: there is nobody to be invited.
    pub address: Option<AddressId>,
}

/// A plan, and what it leaves to be decided by an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScimPlan {
    pub plan: Plan,
    /// Organizations that the person does not leave although the call says so: the guard stopped it, now or before (D7).
    pub waits: Vec<OrganizationSlug>,
    /// Somebody would be invited, and there is no address.
    pub unreached: bool,
}

/// Invites who is in a group and no member, removes who is not, and reconciles invitations (A2). `invite` makes the invitation to
/// an organization; what it makes is used only where none is there that will do.
pub fn reconcile(
    current: &Current<'_>,
    fact: ScimFact<'_>,
    addressee: ScimAddressee,
    settings: &Settings,
    invite: impl Fn(&OrganizationSlug) -> Invitation,
) -> ScimPlan {
    let mut found = Found::default();
    match fact {
        ScimFact::Groups(facts) => {
            for (organization, is_in) in facts {
                let member = current.memberships.iter().find(|m| m.organization == *organization);
                match (is_in, member) {
                    (true, None) => found.offer(current, organization, addressee, &invite),
                    (true, Some(member)) => {
                        found.cancel(current, |i| i.organization == *organization);
                        if member.held.is_some() {
                            found.adds.push(Change::Release { organization: organization.clone() });
                        }
                    }
                    (false, _) => {
                        found.cancel(current, |i| i.organization == *organization);
                        found.remove(current, |slug| slug == organization, settings);
                    }
                }
            }
        }
        ScimFact::Out => {
            found.cancel(current, |_| true);
            found.remove(current, |_| true, settings);
        }
    }
    let Found { mut cancels, mut adds, mut removes, waits, unreached } = found;
    cancels.append(&mut adds);
    cancels.append(&mut removes);
    ScimPlan { plan: Plan { changes: cancels }, waits, unreached }
}

#[derive(Default)]
struct Found {
    cancels: Vec<Change>,
    adds: Vec<Change>,
    removes: Vec<Change>,
    waits: Vec<OrganizationSlug>,
    unreached: bool,
}

impl Found {
    /// A2: exactly one live SCIM invitation to the right address stays, or is made.
    fn offer(
        &mut self,
        current: &Current<'_>,
        organization: &OrganizationSlug,
        addressee: ScimAddressee,
        invite: impl Fn(&OrganizationSlug) -> Invitation,
    ) {
        let will_do = |i: &&Invitation| {
            i.organization == *organization
                && i.source == InvitationSource::Scim
                && i.is_live(current.now)
                && Some(AddressId::of(addressee.enterprise, &i.email)) == addressee.address
        };
        let kept = current.invitations.iter().find(will_do).map(|kept| kept.id);
        self.cancel(current, |i| i.organization == *organization && Some(i.id) != kept);
        if kept.is_none() && addressee.address.is_none() {
            self.unreached = true;
        } else if kept.is_none() {
            self.adds.push(Change::Invite { invitation: Box::new(invite(organization)) });
        }
    }

    /// Those that are for this person: an address may be another person's too.
    fn cancel(&mut self, current: &Current<'_>, which: impl Fn(&Invitation) -> bool) {
        let is_theirs = |i: &&Invitation| i.person.is_none_or(|person| person == current.person) && which(i);
        self.cancels.extend(
            current
                .invitations
                .iter()
                .filter(is_theirs)
                .map(|i| Change::CancelInvitation { organization: i.organization.clone(), invitation: i.id }),
        );
    }

    fn remove(
        &mut self,
        current: &Current<'_>,
        which: impl Fn(&OrganizationSlug) -> bool,
        settings: &Settings,
    ) {
        for member in current.memberships.iter().filter(|member| which(&member.organization)) {
            let record = current.organizations.get(&member.organization);
            let is_spared = current.is_break_glass || is_pinned(member, current.person, record);
            let changes = removal(member, current, settings);
            let is_held = changes.iter().any(|change| matches!(change, Change::Hold { .. }));
            if !is_spared && (is_held || member.held.is_some()) {
                self.waits.push(member.organization.clone());
            }
            self.removes.extend(changes);
        }
    }
}
