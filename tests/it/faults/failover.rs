//! A failover that loses writes: the replica had stopped following when they were acknowledged. What was taken away is taken
//! away again (R-10 b), and what was used once is not used again (S-82).
use portcullis::{
    demo::browser::Browser,
    directory::{Actor, AuditQuery, Cause, Invite, audit_entries, examine},
    domain::{InvitationSource, Role, Timestamp},
    store::{self, redis::Settings},
    telemetry::Trigger,
};

use crate::{
    invitations::{mail_settings, slug, tenant},
    store::PATIENT_MILLIS,
    support::{
        gateway::{Backend, Setup, TestGateway, name_id},
        redis::{Network, RedisServer},
        redis_sets::{eventually, replica_of},
    },
};

async fn gateway() -> TestGateway {
    let mut setup = Setup::new(Backend::Redis);
    // Nobody listens there: mails wait.
    setup.change = Box::new(|overrides| {
        mail_settings(overrides, 1)
            .set("enterprise.example.managed", "octo-org,hubot-lab,docs-team")
            .set("enterprise.example.max_removals", "1000000")
    });
    TestGateway::set_up(setup).await
}

/// A replica of the gateway's server that has everything, and follows no longer.
async fn left_behind(gateway: &TestGateway) -> RedisServer {
    let server = &gateway.redis.as_ref().unwrap().server;
    server.run::<()>(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let replica = replica_of(server).await;
    eventually("the replica has everything", async || {
        let primary: String = server.run(&["INFO", "replication"]).await;
        let own: String = replica.run(&["INFO", "replication"]).await;
        let offset = |info: &str, field: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(field).map(str::to_owned));
            line.expect(field)
        };
        offset(&primary, "master_repl_offset:") == offset(&own, "slave_repl_offset:")
    })
    .await;
    replica.run::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    replica
}

/// From now on the replica is the server.
async fn fail_over(gateway: &TestGateway, replica: &RedisServer) {
    let redis = gateway.redis.as_ref().unwrap();
    redis.set(Network::Cut);
    eventually("the gateway has noticed", async || gateway.private("/readyz").await.status == 503).await;
    redis.lead_to(replica);
    redis.set(Network::Works);
    eventually("the gateway is ready again", async || gateway.private("/readyz").await.status == 200).await;
}

async fn is_member(gateway: &TestGateway, person: &str, organization: &str) -> bool {
    let person = gateway.person(&name_id(person)).await.unwrap();
    person.membership(&slug(organization)).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_what_a_failover_brings_back_is_taken_away_again() {
    let gateway = gateway().await;
    gateway.people.set_groups("alice", &["octo-org", "octo-org-owners"]).unwrap();
    let (mut alice, mut bob, mut carol, mut dave) =
        (Browser::new(), Browser::new(), Browser::new(), Browser::new());
    for (browser, person) in
        [(&mut alice, "alice"), (&mut bob, "bob"), (&mut carol, "carol"), (&mut dave, "dave")]
    {
        gateway.sign_in(browser, person).await;
    }
    let (directory, enterprise) = (gateway.running.as_ref().unwrap().directory.clone(), tenant(&gateway));
    let (operator, now) = (Actor::operator("taken-away"), Timestamp::now());
    let docs_team = slug("docs-team");
    let invite = Invite {
        organization: &docs_team,
        email: "erin@example.com",
        role: Role::Member,
        source: InvitationSource::Scim,
        person: None,
    };
    let by_scim = Cause::by(Trigger::Scim, None, "invited");
    let invitation = directory.invite(&enterprise, &invite, by_scim, now).await.unwrap();
    let replica = left_behind(&gateway).await;
    let cause = Cause::by(Trigger::Operator, None, "taken-away");
    directory.cancel_invitation(&enterprise, &docs_team, invitation.id, cause, now).await.unwrap();
    let id = |person| gateway.person_id(&name_id(person));
    let octo_org = slug("octo-org");
    directory.remove_member(&enterprise, operator, &octo_org, id("bob"), now).await.unwrap();
    directory.set_role(&enterprise, operator, &octo_org, id("alice"), Role::Member, now).await.unwrap();
    directory.deactivate_person(&enterprise, operator, id("carol"), now).await.unwrap();
    directory.revoke_link(&enterprise, operator, id("dave"), now).await.unwrap();
    let token = bob.cookie("localhost", portcullis::edge::cookies::SESSION).unwrap();
    let token = portcullis::domain::SessionToken::parse(token).unwrap();
    directory.end_session(&token, now).await.unwrap();
    fail_over(&gateway, &replica).await;

    eventually("everything is taken away again", async || {
        let person = async |name| gateway.person(&name_id(name)).await.unwrap();
        !is_member(&gateway, "bob", "octo-org").await
            && person("alice").await.membership(&octo_org).unwrap().role == Role::Member
            && !person("carol").await.standing.is_active()
            && person("carol").await.memberships.is_empty()
            && person("dave").await.linked_at.is_none()
            && directory.find_invitation(enterprise.id, &docs_team, invitation.id).await.unwrap().is_none()
    })
    .await;
    for browser in [&mut bob, &mut carol, &mut dave] {
        assert!(gateway.identity(browser).await.is_none());
    }
    assert_eq!(gateway.organizations(&mut alice).await, ["octo-org"]);
    assert!(is_member(&gateway, "bob", "hubot-lab").await, "nothing else is");
    let settings = Settings::single(replica.url(), PATIENT_MILLIS);
    let store = store::open_whole(&store::Settings::Redis(settings)).await.unwrap();
    let report = examine(&*store, Timestamp::now()).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    let mut query = AuditQuery { limit: 100, ..AuditQuery::default() };
    query.filter.trigger = Some("failover".into());
    let told = audit_entries(&*store, enterprise.id, &query).await.unwrap().entries;
    assert!(told.iter().any(|entry| entry.event["action"] == "org.remove_member"), "{told:?}");
    assert!(told.iter().all(|entry| entry.event["request_id"] == "taken-away"), "{told:?}");
    assert_eq!(directory.redrive(&[enterprise], Timestamp::now()).await.unwrap(), 0, "once is enough");
    gateway.stop().await;
}

/// Who came back before the failover stays: the newer word counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_what_was_given_back_is_not_taken_away_again() {
    let gateway = gateway().await;
    let mut bob = Browser::new();
    gateway.sign_in(&mut bob, "bob").await;
    let replica = left_behind(&gateway).await;
    let (directory, enterprise) = (gateway.running.as_ref().unwrap().directory.clone(), tenant(&gateway));
    let (operator, id) = (Actor::operator("taken-away"), gateway.person_id(&name_id("bob")));
    for organization in ["octo-org", "hubot-lab"] {
        let organization = slug(organization);
        let removed =
            directory.remove_member(&enterprise, operator, &organization, id, Timestamp::now()).await;
        assert_eq!(removed.unwrap().membership(&organization), None);
    }
    gateway.people.set_groups("bob", &["octo-org"]).unwrap();
    gateway.sign_in(&mut bob, "bob").await;
    assert!(is_member(&gateway, "bob", "octo-org").await);
    fail_over(&gateway, &replica).await;
    eventually("the one is taken away again", async || !is_member(&gateway, "bob", "hubot-lab").await).await;
    assert!(is_member(&gateway, "bob", "octo-org").await);
    gateway.stop().await;
}

/// The new primary has the request that is outstanding, and not the mark of the assertion that answered it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_82_and_r_10_a_failover_lets_no_assertion_open_a_second_session() {
    let gateway = gateway().await;
    let mut alice = Browser::new();
    let response = gateway.response_form(&mut alice, "alice").await;
    let mut thief = alice.clone();
    let replica = left_behind(&gateway).await;
    assert_eq!(alice.submit_once(&response).await.unwrap().status, 303);
    fail_over(&gateway, &replica).await;
    assert_eq!(thief.submit_once(&response).await.unwrap().status, 403);
    gateway.stop().await;
}
