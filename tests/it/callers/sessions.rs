//! Sessions of a person, as the person and owners see and end them.
use portcullis::domain::{CallerId, EnterpriseId, Session, SessionId, Timestamp};

use super::{World, by_owner, cookie};
use crate::{
    attacks::audit,
    support::gateway::{BACKENDS, Backend},
};

fn ids(sessions: &[Session]) -> Vec<SessionId> {
    let mut ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
    ids.sort_unstable();
    ids
}

/// Section 2.3: a session that was left over when the link was revoked stays closed once the person is linked anew, for requests
/// and for what is under way.
async fn of_an_earlier_link(backend: Backend) {
    let world = World::new(backend).await;
    let (mut before, session) = world.sign_in("alice", &["octo-org"]).await;
    // As if ending the sessions had failed: only the record says it.
    world.change_person(session.session.person, |person| person.linked_at = None).await;
    let (mut after, anew) = world.sign_in("alice", &["octo-org"]).await;
    assert!(open_to(&world, &mut after).await);
    assert!(!open_to(&world, &mut before).await, "of an earlier link");
    let callers = [&session, &anew].map(|active| CallerId::Session(active.session.id));
    let present = world.directory().present(&callers.into(), Timestamp::now()).await.unwrap();
    assert_eq!(present.into_keys().collect::<Vec<_>>(), [callers[1]]);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_a_session_of_an_earlier_link_opens_nothing() {
    for backend in BACKENDS {
        of_an_earlier_link(backend).await;
    }
}

async fn listed_and_ended(backend: Backend) {
    audit::keep();
    let world = World::new(backend).await;
    let (mut desk, first) = world.sign_in("alice", &["octo-org"]).await;
    let (mut phone, second) = world.sign_in("alice", &["octo-org"]).await;
    let (_, bobs) = world.sign_in("bob", &["octo-org"]).await;
    let (directory, enterprise) = (world.directory(), &world.enterprise);
    let alice = first.session.person;
    let open =
        || async { ids(&directory.sessions_of(enterprise.id, alice, Timestamp::now()).await.unwrap()) };
    assert_eq!(open().await, ids(&[first.session.clone(), second.session.clone()]));
    let other = EnterpriseId::from_bytes([1; 16]);
    assert!(directory.sessions_of(other, alice, Timestamp::now()).await.unwrap().is_empty());

    // V-02: neither another person's nor another enterprise's.
    let request = format!("attack-end-{backend:?}");
    let (cause, now) = (by_owner(&request), Timestamp::now());
    let mut foreign = enterprise.clone();
    foreign.id = other;
    for (enterprise, id) in [(enterprise, bobs.session.id), (&foreign, first.session.id)] {
        assert!(!directory.end_session_of(enterprise, alice, id, &cause, now).await.unwrap());
    }
    assert!(audit::take(&request).is_empty());
    assert!(open_to(&world, &mut desk).await);

    assert!(directory.end_session_of(enterprise, alice, first.session.id, &cause, now).await.unwrap());
    assert!(!directory.end_session_of(enterprise, alice, first.session.id, &cause, now).await.unwrap());
    assert!(!open_to(&world, &mut desk).await && open_to(&world, &mut phone).await);
    assert_eq!(open().await, [second.session.id]);
    let events = audit::take(&request);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["action"], "org.revoke_sso_session");
    assert_eq!((&events[0]["user"], &events[0]["trigger"]), (&"alice@example.com".into(), &"owner".into()));
    assert_eq!(events[0]["session"], first.session.id.to_string());

    world.sign_in("alice", &["octo-org"]).await;
    let ended = directory.end_sessions_of_person(enterprise, alice, &cause, Timestamp::now()).await.unwrap();
    assert_eq!((ended.len(), audit::take(&request).len()), (2, 2));
    assert!(!open_to(&world, &mut phone).await && open().await.is_empty());
    assert!(directory.session(&cookie(&phone), Timestamp::now()).await.unwrap().is_none());
    let bobs = directory.sessions_of(enterprise.id, bobs.session.person, Timestamp::now()).await.unwrap();
    assert_eq!(bobs.len(), 1);
    world.gateway.stop().await;
}

async fn open_to(world: &World, browser: &mut portcullis::demo::browser::Browser) -> bool {
    browser.fetch_json(&format!("{}/", world.gateway.url)).await.unwrap().status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn p_53_sessions_are_listed_and_ended_by_their_person_and_by_owners() {
    for backend in BACKENDS {
        listed_and_ended(backend).await;
    }
}

/// What is over is not listed: run out, signed out, replaced by a new sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_over_are_not_listed() {
    let world = World::new(Backend::Embedded).await;
    let (mut desk, first) = world.sign_in("alice", &["octo-org"]).await;
    let (phone, second) = world.sign_in("alice", &["octo-org"]).await;
    let (directory, alice) = (world.directory(), first.session.person);
    let listed = |at| directory.sessions_of(world.enterprise.id, alice, at);
    assert_eq!(listed(Timestamp::now()).await.unwrap().len(), 2);
    assert!(listed(first.session.expires_at).await.unwrap().len() < 2);
    assert!(listed(second.session.expires_at).await.unwrap().is_empty());
    directory.end_session(&cookie(&phone), Timestamp::now()).await.unwrap();
    assert_eq!(ids(&listed(Timestamp::now()).await.unwrap()), [first.session.id]);
    // P-51: the same browser signs in anew.
    world.gateway.sign_in(&mut desk, "alice").await;
    let now = listed(Timestamp::now()).await.unwrap();
    assert!(now.len() == 1 && now[0].id != first.session.id);
    world.gateway.stop().await;
}
