//! Who is faster: whatever an act rests on must still be so when it is committed (R-15, V-16).
use std::fmt::Debug;

use portcullis::{
    directory::{ActError, Cause, CredentialId, NewOrganization, OrganizationChange, TokenError},
    domain::{AccessToken, BatchId, HeldRemoval, Person, Role, Scope, Standing, Timestamp, TokenId},
    store::{Commit, Key, Write, records},
    telemetry::Trigger,
};

use super::world::{Groups, World, operator, slug};
use crate::support::gateway::{BACKENDS, Backend};

/// Owns the enterprise.
const ALICE: &str = "alice@example.com";
/// Owns octo-org.
const BOB: &str = "bob@example.com";
/// Belongs to octo-org.
const CAROL: &str = "carol@example.com";

impl World {
    fn put(&self, person: &Person) -> Commit {
        let put = Write::Put(Key::Person(self.enterprise.id, person.id), records::encode_person(person));
        Commit { expect: vec![], writes: vec![put] }
    }

    /// Changes a person's record.
    async fn lay(&self, user: &str, change: impl FnOnce(&mut Person)) {
        let mut person = self.person(user).await.unwrap();
        change(&mut person);
        self.commit(self.put(&person)).await;
    }

    /// Somebody else will have changed it by the time that the next commit arrives.
    async fn overtake(&self, user: &str, change: impl FnOnce(&mut Person)) {
        let mut person = self.person(user).await.unwrap();
        change(&mut person);
        *self.faster.lock().unwrap() = Some(self.put(&person));
    }

    fn cause<'a>(&self, actor: &'a str) -> Cause<'a> {
        Cause::by(Trigger::Owner, Some((self.id(actor), actor)), "test")
    }

    async fn told(&self) -> u64 {
        let stream = Key::Audit(self.enterprise.id);
        self.store.as_ref().unwrap().stream_head(stream).await.unwrap().last
    }

    /// What `actor` does while somebody takes their right to it away: refused, and nothing is changed or told.
    async fn too_late<T: Debug, E: Debug>(
        &self,
        actor: &str,
        what: &str,
        act: impl Future<Output = Result<T, E>>,
        refusal: impl Fn(&E) -> bool,
    ) {
        let (before, told) = (self.person(actor).await.unwrap(), self.told().await);
        let target = self.person(CAROL).await;
        self.overtake(actor, |person| match person.memberships.first_mut() {
            Some(owner) => owner.role = Role::Member,
            None => person.standing = Standing::Deactivated { since: Timestamp::now() },
        })
        .await;
        let outcome = act.await;
        assert!(self.faster.lock().unwrap().is_none(), "{what}: nothing was tried: {outcome:?}");
        assert!(outcome.as_ref().is_err_and(refusal), "{what}: {outcome:?}");
        assert_eq!((self.person(CAROL).await, self.told().await), (target, told), "{what}");
        self.lay(actor, |person| *person = before).await;
    }
}

fn lost(error: &ActError) -> bool {
    matches!(error, ActError::NotAllowed)
}

fn token() -> AccessToken {
    AccessToken {
        id: TokenId::from_bytes([7; 16]),
        secret: [7; 32],
        name: "script".into(),
        organizations: vec![slug("octo-org")],
        scopes: vec![Scope::ApiRead],
        last_eight: "abcdefgh".into(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::now() + std::time::Duration::from_secs(3_600),
    }
}

fn held(batch: &str) -> HeldRemoval {
    HeldRemoval { batch: BatchId::parse(batch).unwrap(), since: Timestamp::now() }
}

async fn people(backend: Backend) -> World {
    let world = super::world::world(backend).await;
    world.enter(ALICE, &[]).await;
    world.enter(BOB, &["octo-org-owners"]).await;
    world.enter(CAROL, &["octo-org"]).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn r_15_an_owner_of_an_organization_who_is_demoted_meanwhile_does_nothing() {
    for backend in BACKENDS {
        let world = people(backend).await;
        world
            .lay(CAROL, |carol| {
                carol.memberships[0].held = Some(held("slip"));
                carol.tokens = vec![token()];
            })
            .await;
        let (directory, e, bob, carol) =
            (world.directory(), &world.enterprise, world.actor(BOB), world.id(CAROL));
        let (org, now) = (slug("octo-org"), Timestamp::now());
        let act = directory.set_role(e, bob, &org, carol, Role::Owner, now);
        world.too_late(BOB, "set_role", act, lost).await;
        let act = directory.remove_member(e, bob, &org, carol, now);
        world.too_late(BOB, "remove_member", act, lost).await;
        let act = directory.set_pin(e, bob, &org, carol, true, now);
        world.too_late(BOB, "set_pin", act, lost).await;
        let act = directory.approve_removal(e, bob, &org, carol, now);
        world.too_late(BOB, "approve_removal", act, lost).await;
        let act = directory.reject_removal(e, bob, &org, carol, now);
        world.too_late(BOB, "reject_removal", act, lost).await;
        let (credential, cause) = (CredentialId { person: carol, token: token().id }, world.cause(BOB));
        let act = directory.withdraw_token(e, &org, credential, &cause, now);
        world.too_late(BOB, "withdraw_token", act, |e| matches!(e, TokenError::NotOwner)).await;
        directory.remove_member(e, operator(), &org, carol, now).await.unwrap();
        let act = directory.restore_member(e, bob, &org, carol, now);
        world.too_late(BOB, "restore_member", act, lost).await;
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_15_an_owner_of_the_enterprise_who_is_put_out_meanwhile_does_nothing() {
    for backend in BACKENDS {
        let world = people(backend).await;
        world.lay(CAROL, |carol| carol.tokens = vec![token()]).await;
        let (directory, e, alice, carol) =
            (world.directory(), &world.enterprise, world.actor(ALICE), world.id(CAROL));
        let (org, lab, now) = (slug("octo-org"), slug("hubot-lab"), Timestamp::now());
        let act = directory.deactivate_person(e, alice, carol, now);
        world.too_late(ALICE, "deactivate_person", act, lost).await;
        let act = directory.delete_person(e, alice, carol, now);
        world.too_late(ALICE, "delete_person", act, lost).await;
        let act = directory.revoke_link(e, alice, carol, now);
        world.too_late(ALICE, "revoke_link", act, lost).await;
        let cause = world.cause(ALICE);
        let act = directory.revoke_token(e, carol, token().id, &cause, now);
        world.too_late(ALICE, "revoke_token", act, |e| matches!(e, TokenError::NotOwner)).await;
        let act = directory.claim_organization(e, alice, &lab, now);
        world.too_late(ALICE, "claim_organization", act, lost).await;
        let new =
            NewOrganization { slug: slug("new-org"), display_name: None, aliases: vec![], managed: false };
        let act = directory.create_organization(e, alice, new, now);
        world.too_late(ALICE, "create_organization", act, lost).await;
        let change =
            OrganizationChange { display_name: Some(Some("Octo".into())), ..OrganizationChange::default() };
        let act = directory.change_organization(e, alice, &org, change, now);
        world.too_late(ALICE, "change_organization", act, lost).await;
        let removed = directory.remove_member(e, operator(), &org, carol, now).await.unwrap();
        let batch = removed.former[0].batch.clone();
        let act = directory.restore_batch(e, alice, &batch, now);
        world.too_late(ALICE, "restore_batch", act, lost).await;
        directory.deactivate_person(e, operator(), carol, now).await.unwrap();
        let act = directory.reactivate_person(e, alice, carol, now);
        world.too_late(ALICE, "reactivate_person", act, lost).await;
        world.stop().await;
    }
}

/// An owner approves what they saw: what was released and held anew since is another removal.
#[tokio::test(flavor = "multi_thread")]
async fn r_15_a_removal_that_is_held_anew_meanwhile_is_not_the_approved_one() {
    for backend in BACKENDS {
        let world = people(backend).await;
        world.lay(CAROL, |carol| carol.memberships[0].held = Some(held("first"))).await;
        world.overtake(CAROL, |carol| carol.memberships[0].held = Some(held("second"))).await;
        let (org, carol) = (slug("octo-org"), world.id(CAROL));
        let act = world.directory().approve_removal(
            &world.enterprise,
            world.actor(BOB),
            &org,
            carol,
            Timestamp::now(),
        );
        let outcome = act.await;
        assert!(matches!(outcome, Err(ActError::NotHeld)), "{outcome:?}");
        assert_eq!(world.role(CAROL, "octo-org").await, "member");
        world.stop().await;
    }
}

/// V-16: a deactivation cancels the invitations to the address that the person has, not to the one that they had a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_an_address_that_changes_meanwhile_leaves_no_invitation_behind() {
    let world = people(Backend::Embedded).await;
    let email = "carol.new@example.com";
    world.seed_invitation(email, &slug("docs-team")).await;
    world.overtake(CAROL, |carol| carol.profile.email = Some(email.into())).await;
    let deactivate = || {
        let (alice, carol) = (world.actor(ALICE), world.id(CAROL));
        world.directory().deactivate_person(&world.enterprise, alice, carol, Timestamp::now())
    };
    let outcome = deactivate().await;
    assert!(matches!(outcome, Err(ActError::Contended(_))), "{outcome:?}");
    deactivate().await.unwrap();
    assert!(world.invitations(email).await.is_empty());
    world.stop().await;
}

/// What one batch removed comes back by it, and nothing that another removed since.
#[tokio::test(flavor = "multi_thread")]
async fn v_11_a_batch_gives_back_what_it_took() {
    let world = people(Backend::Embedded).await;
    let (directory, e, carol, now) =
        (world.directory(), &world.enterprise, world.id(CAROL), Timestamp::now());
    world.enter(CAROL, &["octo-org", "hubot-lab"]).await;
    world.sign_in(CAROL, Groups::These(&["hubot-lab"])).await;
    let batch = world.person(CAROL).await.unwrap().former[0].batch.clone();
    directory.remove_member(e, world.actor(ALICE), &slug("hubot-lab"), carol, now).await.unwrap();
    let restored = directory.restore_batch(e, world.actor(ALICE), &batch, now).await.unwrap();
    assert_eq!(restored.restored, [(carol, slug("octo-org"))]);
    assert_eq!(world.role(CAROL, "hubot-lab").await, "none");
    world.stop().await;
}
