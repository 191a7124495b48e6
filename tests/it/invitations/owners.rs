//! What owners may do, how often, and what becomes of it.
use jiff::SignedDuration;
use portcullis::{
    demo::browser::Browser,
    directory::{Cause, InvitationState, Invite, InviteError, SENDS_MAX},
    domain::{AddressId, InvitationSource, Membership, MembershipSource, Person, Role, Standing, Timestamp},
    store::{self, Commit, Key, Op, Reply, Write, records},
    telemetry::Trigger,
};

use super::{World, slug};
use crate::support::{
    gateway::{BACKENDS, Backend, Setup, name_id},
    layer::{Faster, overtaken},
    mail_server::MailServer,
};

impl World {
    /// Writes a person's record as another act would.
    pub async fn put_person(&self, person: &Person) {
        let loaded = portcullis::config::load(
            &portcullis::config::Source::file(&self.gateway.config).unwrap(),
            &self.gateway.overrides,
        );
        let store = store::open(&loaded.unwrap().settings.store).await.unwrap();
        let key = Key::Person(self.enterprise.id, person.id);
        let write = Write::Put(key, records::encode_person(person));
        store.commit(Commit { expect: vec![], writes: vec![write] }).await.unwrap();
        let replies = store.batch(Timestamp::now(), vec![Op::Get(key)]).await.unwrap();
        assert!(matches!(replies[0], Reply::Value(Some(_))));
    }
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

async fn the_same_again(backend: Backend) {
    let world = World::start(backend).await;
    let first = world.invite("docs-team", "bob@example.com").await.unwrap();
    let again = world.invite("docs-team", "BOB@example.com").await.unwrap();
    assert_eq!((again.id, again.sent), (first.id, 1));
    world.invite("docs-team", "carol@example.com").await.unwrap();
    // The third mail would have come before the one that follows it.
    let mails = world.mail.wait_for(2).await;
    assert_eq!(mails.len(), 2);
    assert_eq!(world.pending("docs-team").await.len(), 2);
    // Another organization is another invitation.
    world.invite("hubot-lab", "bob@example.com").await.unwrap();
    assert_eq!(world.pending("hubot-lab").await.len(), 1);
    world.stop().await;
}

/// Statement 3 for owners.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_invitation_twice_is_one_with_one_mail() {
    for backend in BACKENDS {
        the_same_again(backend).await;
    }
}

/// Statements 3 and 4, as far as they are about invitations: SCIM's takes the place of one by hand, and stays the one.
#[tokio::test(flavor = "multi_thread")]
async fn statement_04_scim_replaces_an_invitation_by_hand_and_not_the_other_way_round() {
    let world = World::start(Backend::Embedded).await;
    let by_hand = world.invite("docs-team", "bob@example.com").await.unwrap();
    let by_scim = world.by_scim("docs-team", "bob@example.com").await.unwrap();
    assert_ne!(by_hand.id, by_scim.id);
    assert_eq!(world.by_scim("docs-team", "bob@example.com").await.unwrap().id, by_scim.id);
    assert_eq!(world.invite("docs-team", "bob@example.com").await.unwrap().id, by_scim.id);
    let pending = world.pending("docs-team").await;
    assert_eq!(pending.iter().map(|i| i.id).collect::<Vec<_>>(), [by_scim.id]);
    assert_eq!(pending[0].source, InvitationSource::Scim);
    // 14: it never runs out.
    let late = Timestamp::now() + hours(24 * 365);
    assert_eq!(world.listed("docs-team", InvitationState::Pending, late).await.len(), 1);
    world.stop().await;
}

/// Statement 14.
#[tokio::test(flavor = "multi_thread")]
async fn statement_14_an_invitation_by_hand_fails_after_seven_days_and_can_be_tried_again() {
    let world = World::start(Backend::Embedded).await;
    let invitation = world.invite("docs-team", "bob@example.com").await.unwrap();
    let now = invitation.invited_at;
    let (before, after) = (now + hours(7 * 24 - 1), now + hours(7 * 24 + 1));
    let count = async |state, at| world.listed("docs-team", state, at).await.len();
    assert_eq!(count(InvitationState::Pending, before).await, 1);
    assert_eq!(count(InvitationState::Failed, before).await, 0);
    assert_eq!(count(InvitationState::Pending, after).await, 0);
    assert_eq!(count(InvitationState::Failed, after).await, 1);
    let (directory, alice) = (world.directory(), name_id("alice"));
    let organization = slug("docs-team");
    let cause = world.by(&alice);
    let again = directory.resend_invitation(&world.enterprise, &organization, invitation.id, cause, after);
    let again = again.await.unwrap();
    assert_eq!(again.expires_at, Some(after + hours(7 * 24)));
    assert_ne!(again.secret, invitation.secret, "the old link is good no more");
    assert_eq!(count(InvitationState::Pending, after).await, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_out_again_seldom_and_not_for_ever() {
    let world = World::start(Backend::Embedded).await;
    // Two hours ago, so that what is queued later is due already.
    let mut at = Timestamp::now() - hours(2);
    let email = "bob@example.com";
    let invitation = world.invite_as("alice", "docs-team", email, Role::Member, at).await.unwrap();
    let (directory, organization, alice) = (world.directory(), slug("docs-team"), name_id("alice"));
    let resend = async |at| {
        directory
            .resend_invitation(&world.enterprise, &organization, invitation.id, world.by(&alice), at)
            .await
    };
    let too_soon = resend(at + SignedDuration::from_secs(599)).await;
    assert!(matches!(too_soon, Err(InviteError::ResendTooSoon { .. })), "{too_soon:?}");
    let old_link = world.mail.wait_for(1).await[0].link();
    for sent in 2..=SENDS_MAX {
        at += SignedDuration::from_secs(600);
        assert_eq!(resend(at).await.unwrap().sent, sent);
        if sent == 2 {
            let new_link = world.mail.wait_for(2).await[1].link();
            assert_ne!(old_link, new_link);
        }
    }
    assert!(matches!(resend(at + hours(1)).await, Err(InviteError::ResentTooOften)));
    // The old link is good no more.
    assert_eq!(world.open_link(&mut super::person(), &old_link, "bob").await.status, 403);
    world.stop().await;
}

/// Section 3.5: fifty a day for one organization, whatever becomes of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_sends_fifty_invitations_a_day() {
    let world = World::start(Backend::Embedded).await;
    let (alice, organization) = (name_id("alice"), slug("docs-team"));
    for n in 0..50 {
        let invitation = world.invite("docs-team", &format!("p{n}@example.com")).await.unwrap();
        if n % 2 == 0 {
            let cause = world.by(&alice);
            let (directory, now) = (world.directory(), Timestamp::now());
            directory
                .cancel_invitation(&world.enterprise, &organization, invitation.id, cause, now)
                .await
                .unwrap();
        }
    }
    let one_more = world.invite("docs-team", "p50@example.com").await;
    assert!(matches!(one_more, Err(InviteError::TooMany)), "{one_more:?}");
    // The same again is no other one, SCIM's do not count, and neither does another organization.
    assert!(world.invite("docs-team", "p1@example.com").await.is_ok());
    assert!(world.by_scim("docs-team", "p51@example.com").await.is_ok());
    assert!(world.invite("hubot-lab", "p50@example.com").await.is_ok());
    let tomorrow = Timestamp::now() + hours(26);
    let later = world.invite_as("alice", "docs-team", "p50@example.com", Role::Member, tomorrow).await;
    assert!(later.is_ok(), "{later:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owners_invite_and_cancel() {
    let world = World::start(Backend::Embedded).await;
    world.gateway.sign_in(&mut Browser::new(), "bob").await;
    let now = Timestamp::now();
    let refused = world.invite_as("bob", "octo-org", "carol@example.com", Role::Member, now).await;
    assert!(matches!(refused, Err(InviteError::NotOwner)), "{refused:?}");
    let unknown = world.invite_as("nobody", "octo-org", "carol@example.com", Role::Member, now).await;
    assert!(matches!(unknown, Err(InviteError::NotOwner)), "{unknown:?}");
    let no_such = world.invite("no-such-org", "carol@example.com").await;
    assert!(matches!(no_such, Err(InviteError::UnknownOrganization)), "{no_such:?}");
    for malformed in ["", "carol", "carol@example.com\r\nBcc: eve@example.com", "\u{e4}@example.com"] {
        assert!(matches!(world.invite("octo-org", malformed).await, Err(InviteError::Email)), "{malformed}");
    }
    let invitation = world.invite("octo-org", "carol@example.com").await.unwrap();
    let (directory, bob, alice) = (world.directory(), name_id("bob"), name_id("alice"));
    let (organization, other) = (slug("octo-org"), slug("docs-team"));
    let cancel = async |organization, user, id| {
        directory.cancel_invitation(&world.enterprise, organization, id, world.by(user), now).await
    };
    let refused = cancel(&organization, &bob, invitation.id).await;
    assert!(matches!(refused, Err(InviteError::NotOwner)), "{refused:?}");
    // Of another organization it is none.
    let elsewhere = cancel(&other, &alice, invitation.id).await;
    assert!(matches!(elsewhere, Err(InviteError::NotFound)), "{elsewhere:?}");
    assert_eq!(world.pending("octo-org").await.len(), 1);
    assert_eq!(cancel(&organization, &alice, invitation.id).await.unwrap().id, invitation.id);
    assert!(world.pending("octo-org").await.is_empty());
    let again = cancel(&organization, &alice, invitation.id).await;
    assert!(matches!(again, Err(InviteError::NotFound)), "{again:?}");
    world.stop().await;
}

/// Statement 20, V-16: in the commit that ends the membership, on both stores, through the ACS.
async fn leaves(backend: Backend) {
    let world = World::start(backend).await;
    // Bob owns octo-org and hubot-lab too, and is no owner of the enterprise.
    world.gateway.people.set_groups("bob", &["octo-org", "octo-org-owners"]).unwrap();
    world.gateway.sign_in(&mut Browser::new(), "bob").await;
    let now = Timestamp::now();
    for n in 0..3 {
        let email = format!("p{n}@example.com");
        world.invite_as("bob", "octo-org", &email, Role::Member, now).await.unwrap();
    }
    let kept = world.invite("octo-org", "q@example.com").await.unwrap();
    world.mail.wait_for(4).await;
    world.gateway.people.set_groups("bob", &[]).unwrap();
    world.gateway.sign_in(&mut Browser::new(), "bob").await;
    assert!(!world.is_member("bob", "octo-org").await);
    let pending = world.pending("octo-org").await;
    assert_eq!(pending.iter().map(|i| i.id).collect::<Vec<_>>(), [kept.id], "alice's stays");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_20_and_v_16_who_leaves_takes_their_invitations_along() {
    for backend in BACKENDS {
        leaves(backend).await;
    }
}

/// D5: what comes by SCIM conveys membership, whatever it says.
#[tokio::test(flavor = "multi_thread")]
async fn v_06_scim_invites_nobody_to_own_anything() {
    let world = World::start(Backend::Embedded).await;
    let organization = slug("docs-team");
    let source = InvitationSource::Scim;
    let invite = Invite {
        organization: &organization,
        email: "bob@example.com",
        role: Role::Owner,
        source,
        person: None,
    };
    let cause = Cause::by(Trigger::Scim, None, "test-scim");
    let invited = world.directory().invite(&world.enterprise, &invite, cause, Timestamp::now()).await;
    assert!(matches!(invited, Err(InviteError::Role)), "{invited:?}");
    assert!(world.pending("docs-team").await.is_empty());
    world.stop().await;
}

/// Who is put out takes along what they sent for organizations that they do not belong to, too.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_a_deactivated_owner_s_invitations_go_with_them() {
    for backend in BACKENDS {
        let world = World::start(backend).await;
        // Alice owns the enterprise, and does not belong to hubot-lab.
        world.invite("hubot-lab", "bob@example.com").await.unwrap();
        world.by_scim("hubot-lab", "carol@example.com").await.unwrap();
        assert!(!world.is_member("alice", "hubot-lab").await);
        let (alice, now) = (world.gateway.person_id(&name_id("alice")), Timestamp::now());
        let operator = portcullis::directory::Actor::operator("test");
        world.directory().deactivate_person(&world.enterprise, operator, alice, now).await.unwrap();
        let left: Vec<_> = world.pending("hubot-lab").await.into_iter().map(|i| i.email).collect();
        assert_eq!(left, ["carol@example.com"], "nobody sent that one");
        world.stop().await;
    }
}

/// An invitation to own something rests on its sender's own ownership until the moment at which it is accepted (D5, R-15).
#[tokio::test(flavor = "multi_thread")]
async fn r_15_an_inviter_who_is_demoted_meanwhile_makes_no_owner() {
    let faster = Faster::default();
    let overtaking = faster.clone();
    let mut setup = Setup::new(Backend::Redis);
    setup.wrap = Box::new(|inner| overtaken(inner, overtaking));
    let world = World::with(MailServer::start("none", None), setup, |overrides| overrides).await;
    world.gateway.sign_in(&mut Browser::new(), "carol").await;
    let mut carol = world.gateway.person(&name_id("carol")).await.unwrap();
    let (team, source, now) = (slug("docs-team"), MembershipSource::Manual, Timestamp::now());
    carol.memberships.push(Membership::new(team, Role::Owner, source, now));
    world.put_person(&carol).await;
    world.invite_as("carol", "docs-team", "bob@example.com", Role::Owner, Timestamp::now()).await.unwrap();
    let link = world.mail.wait_for(1).await[0].link();
    let mut bob = super::person();
    let page = world.open_link(&mut bob, &link, "bob").await;
    assert!(page.body.contains("docs-team"), "{}", page.body);
    carol.memberships.iter_mut().for_each(|member| member.role = Role::Member);
    let put = Write::Put(Key::Person(world.enterprise.id, carol.id), records::encode_person(&carol));
    *faster.lock().unwrap() = Some(Commit { expect: vec![], writes: vec![put] });
    let answer = bob.submit(&page.button("Join docs-team").unwrap()).await.unwrap();
    assert!(faster.lock().unwrap().is_none());
    assert_eq!(answer.status, 403, "{}", answer.body);
    let bob = world.gateway.person(&name_id("bob")).await.unwrap();
    assert!(bob.membership(&slug("docs-team")).is_none());
    world.stop().await;
}

/// Should an invitation be left over all the same, it opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_an_invitation_of_a_deactivated_owner_opens_nothing() {
    let world = World::start(Backend::Redis).await;
    world.invite("docs-team", "bob@example.com").await.unwrap();
    let link = world.mail.wait_for(1).await[0].link();
    let mut alice = world.gateway.person(&name_id("alice")).await.unwrap();
    alice.standing = Standing::Deactivated { since: Timestamp::now() };
    world.put_person(&alice).await;
    let mut bob = super::person();
    assert_eq!(world.open_link(&mut bob, &link, "bob").await.status, 403);
    assert!(!world.is_member("bob", "docs-team").await);
    world.stop().await;
}

/// Whoever read the record of an address before it was emptied must find that it changed, whatever was written since.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_never_has_a_revision_twice() {
    let world = World::start(Backend::Redis).await;
    let settings = portcullis::config::load(
        &portcullis::config::Source::file(&world.gateway.config).unwrap(),
        &world.gateway.overrides,
    );
    let store = store::open(&settings.unwrap().settings.store).await.unwrap();
    let key = Key::Invitee(world.enterprise.id, AddressId::of(world.enterprise.id, "bob@example.com"));
    let mut last = 0;
    for _ in 0..2 {
        let invitation = world.invite("docs-team", "bob@example.com").await.unwrap();
        let replies = store.batch(Timestamp::now(), vec![Op::Get(key)]).await.unwrap();
        let [Reply::Value(Some(record))] = replies.as_slice() else { panic!("{replies:?}") };
        assert!(record.revision > last, "{} after {last}", record.revision);
        last = record.revision;
        let (alice, organization) = (name_id("alice"), slug("docs-team"));
        let directory = world.directory();
        let (id, cause) = (invitation.id, world.by(&alice));
        directory
            .cancel_invitation(&world.enterprise, &organization, id, cause, Timestamp::now())
            .await
            .unwrap();
    }
    world.stop().await;
}
