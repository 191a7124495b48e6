//! Looks that find little stop in time, and can be gone on with.
use portcullis::{
    directory::{InvitationPage, InvitationState},
    domain::{
        AddressId, Invitation, InvitationId, InvitationReference, InvitationSource, Invitee, OrganizationId,
        OrganizationSlug, Role,
    },
    store::{Commit, Committed, Key, Write, records},
};

use super::world::{BOTH, World, slug};

/// More than one page looks at.
const MANY: usize = 4_500;
const PER_COMMIT: usize = 1_000;

fn invitation(world: &World, organization: &OrganizationSlug, n: usize, is_failed: bool) -> Invitation {
    Invitation {
        id: InvitationId::derived(&[&n.to_be_bytes()]),
        organization: organization.clone(),
        role: Role::Member,
        source: InvitationSource::Manual,
        email: format!("guest-{n}@example.com"),
        person: None,
        inviter: None,
        invited_at: world.now,
        expires_at: is_failed.then_some(world.now),
        secret: [0; 32],
        sent: 1,
        sent_at: world.now,
        undeliverable_since: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_failed_invitations_looks_at_a_bounded_number() {
    for on in BOTH {
        let world = World::new(on).await;
        let (e, organization) = (world.enterprise.id, slug("octo-org"));
        let set = Key::OrganizationInvitations(e, OrganizationId::of(e, &organization));
        let address = |n: usize| AddressId::of(e, &format!("guest-{n}@example.com"));
        // The one that failed stands last.
        let last = (0..MANY).max_by_key(|n| address(*n)).unwrap();
        let all: Vec<usize> = (0..MANY).collect();
        for part in all.chunks(PER_COMMIT) {
            let writes = part.iter().flat_map(|n| {
                let (address, one) = (address(*n), invitation(&world, &organization, *n, *n == last));
                let reference = InvitationReference { address, invitation: one.id };
                let invitee = Invitee { address, invitations: vec![one] };
                let put = Write::Put(Key::Invitee(e, address), records::encode_invitee(&invitee));
                [Write::Insert(set, reference.to_bytes().to_vec()), put]
            });
            let change = Commit { expect: vec![], writes: writes.collect() };
            assert_eq!(world.store.commit(change).await.unwrap(), Committed::Applied);
        }
        let page = async |state, after| {
            let wanted = InvitationPage { state, after, limit: 10 };
            world.directory.invitations(e, &organization, wanted, world.now).await.unwrap()
        };
        let (failed, next) = page(InvitationState::Failed, None).await;
        assert_eq!(failed, [], "{on:?}");
        let next = next.expect("where to go on");
        let (failed, next) = page(InvitationState::Failed, Some(next)).await;
        assert_eq!((failed.len(), next), (1, None), "{on:?}");
        assert_eq!(failed[0].1.email, format!("guest-{last}@example.com"));
        let (pending, next) = page(InvitationState::Pending, None).await;
        assert_eq!((pending.len(), next), (10, Some(pending[9].0)), "{on:?}");
    }
}
