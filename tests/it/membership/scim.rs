//! SAML and SCIM at once (D6): whom SCIM puts out stays out, and what it said last is not undone by what was issued before.
use portcullis::{
    config::Overrides,
    demo::browser::Page,
    directory::scim::{
        OnGroupDelete, ScimCall, ScimFault, ScimLink, ScimSettings, ScimUserView, UnmatchedGroups,
    },
    domain::{ScimId, Standing, Timestamp},
    saml::SubjectKey,
    scim::{Draft, Resource, ResourceType},
};
use serde_json::json;

use super::world::{Groups, World, world};
use crate::{saml::forge, support::gateway::BACKENDS};

const BOB: &str = "bob@example.com";

fn settings() -> ScimSettings {
    ScimSettings {
        link: ScimLink::UserName,
        idp: forge::IDP.into(),
        subject: SubjectKey::NameId,
        unmatched_groups: UnmatchedGroups::Refuse,
        on_group_delete: OnGroupDelete::Keep,
        reinvite: false,
    }
}

fn resource(kind: ResourceType, json: &serde_json::Value) -> Resource {
    Draft::parse(kind, json.to_string().as_bytes()).unwrap().create()
}

fn call<'a>(world: &'a World, settings: &'a ScimSettings) -> ScimCall<'a> {
    let enterprise = &world.enterprise;
    ScimCall { enterprise, settings, request_id: "scim", if_match: None, event: None, now: Timestamp::now() }
}

async fn provision(world: &World, user: &str, active: bool) -> ScimUserView {
    let json = json!({"userName": user, "active": active, "emails": [{"value": user}]});
    let (settings, resource) = (settings(), resource(ResourceType::User, &json));
    world.directory().create_scim_user(&call(world, &settings), resource, &[]).await.unwrap()
}

async fn push(world: &World, group: &str, members: Vec<ScimId>) -> ScimId {
    let (settings, resource) = (settings(), resource(ResourceType::Group, &json!({"displayName": group})));
    let created = world.directory().create_scim_group(&call(world, &settings), resource, members).await;
    created.unwrap().group.id
}

async fn set_active(world: &World, user: ScimId, active: bool) {
    let settings = settings();
    let change = |resource: &Resource| {
        let mut resource = resource.clone();
        resource.set_active(active);
        Ok::<_, ScimFault>(resource)
    };
    world.directory().change_scim_user(&call(world, &settings), user, change).await.unwrap();
}

/// With an assertion that was issued at that time.
async fn sign_in_as_of(world: &World, user: &str, groups: &[&str], issued: Timestamp) -> Page {
    let issued = issued.to_string();
    let signed_in = world.sign_in_with(user, Groups::These(groups), move |spec| {
        spec.assertion.insert("IssueInstant", issued);
    });
    signed_in.await.1
}

/// V-14, V-16, statement 17
#[tokio::test(flavor = "multi_thread")]
async fn v_14_v_16_whom_scim_puts_out_does_not_come_back_by_an_assertion() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let mut browser = world.enter(BOB, &["octo-org-owners"]).await;
        let before = world.person(BOB).await.unwrap();
        let bob = provision(&world, BOB, true).await;
        assert_eq!((bob.user.link, world.role(BOB, "octo-org").await), (before.id, "owner"), "adopted");
        assert!(world.idp.gateway.identity(&mut browser).await.is_some(), "and still signed in");
        let issued = Timestamp::now();
        set_active(&world, bob.user.id, false).await;
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        assert_eq!(world.unowned().await, ["octo-org"]);
        assert!(world.idp.gateway.identity(&mut browser).await.is_none());
        let open = world.directory().sessions_of(world.enterprise.id, before.id, Timestamp::now()).await;
        assert!(open.unwrap().is_empty());
        for issued in [issued, Timestamp::now()] {
            assert_eq!(sign_in_as_of(&world, BOB, &["octo-org"], issued).await.status, 403);
        }
        let settings = settings();
        world.directory().delete_scim_user(&call(&world, &settings), bob.user.id).await.unwrap();
        assert_eq!(sign_in_as_of(&world, BOB, &["octo-org"], Timestamp::now()).await.status, 403);
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        // V-15: let in again, what was issued before opens nothing, and what is issued now does.
        let again = Timestamp::now();
        provision(&world, BOB, true).await;
        assert_eq!(sign_in_as_of(&world, BOB, &["octo-org"], again).await.status, 403);
        world.enter(BOB, &["octo-org"]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_15_an_assertion_from_before_undoes_nothing_that_scim_said() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(BOB, &[]).await;
        let bob = provision(&world, BOB, true).await;
        let issued = Timestamp::now();
        push(&world, "octo-org", vec![bob.user.id]).await;
        assert_eq!(world.invitations(BOB).await.len(), 1);
        assert_eq!(sign_in_as_of(&world, BOB, &[], issued).await.status, 200);
        assert_eq!(world.invitations(BOB).await.len(), 1, "A13");
        // Statement 5: a newer one adds at once, and the invitation is superseded.
        world.enter(BOB, &["octo-org"]).await;
        assert_eq!((world.role(BOB, "octo-org").await, world.invitations(BOB).await.len()), ("member", 0));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_provisioned_first_signs_in_as_the_same_person() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let bob = provision(&world, BOB, true).await;
        push(&world, "octo-org", vec![bob.user.id]).await;
        world.enter(BOB, &["octo-org"]).await;
        let person = world.person(BOB).await.unwrap();
        assert_eq!((person.id, person.standing), (bob.user.link, Standing::Active));
        assert!(person.last_sign_in_at > person.created_at);
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        // Provisioned as inactive: nobody, whatever the IdP says.
        let carol = "carol@example.com";
        provision(&world, carol, false).await;
        let (_, page) = world.sign_in(carol, Groups::These(&["octo-org"])).await;
        assert_eq!(page.status, 403);
        assert_eq!(world.role(carol, "octo-org").await, "none");
        world.stop().await;
    }
}

/// A13: identity providers that write whole seconds issue nothing that looks newer within the second of a reactivation. What answers a
/// request that was made after it is newer all the same.
#[tokio::test(flavor = "multi_thread")]
async fn v_15_who_is_let_in_again_may_sign_in_within_the_same_second() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let bob = provision(&world, BOB, true).await;
        push(&world, "octo-org", vec![bob.user.id]).await;
        for _ in 0..3 {
            set_active(&world, bob.user.id, false).await;
            set_active(&world, bob.user.id, true).await;
            let signed_in = world.sign_in_with(BOB, Groups::These(&["octo-org"]), |spec| {
                let second = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
                spec.assertion.insert("IssueInstant", second.to_string());
            });
            assert_eq!(signed_in.await.1.status, 200, "{backend:?}");
        }
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        world.stop().await;
    }
}

/// D2, V-16: what the removal guard holds is a membership, and never a session.
#[tokio::test(flavor = "multi_thread")]
async fn v_16_whom_the_guard_keeps_in_a_list_is_signed_out_all_the_same() {
    for backend in BACKENDS {
        let nobody = |overrides: Overrides| overrides.set("enterprise.example.max_removals", "0");
        let world = World::new(backend, nobody).await;
        for (user, is_deleted) in [(BOB, false), ("carol@example.com", true)] {
            let mut browser = world.enter(user, &["octo-org"]).await;
            let provisioned = provision(&world, user, true).await.user;
            assert!(world.idp.gateway.identity(&mut browser).await.is_some(), "{backend:?} {user}");
            let settings = settings();
            match is_deleted {
                true => {
                    world
                        .directory()
                        .delete_scim_user(&call(&world, &settings), provisioned.id)
                        .await
                        .unwrap();
                }
                false => set_active(&world, provisioned.id, false).await,
            }
            assert!(world.idp.gateway.identity(&mut browser).await.is_none(), "{backend:?} {user}");
            let open = world.directory().sessions_of(world.enterprise.id, provisioned.link, Timestamp::now());
            assert!(open.await.unwrap().is_empty(), "{backend:?} {user}");
            let person = world.person(user).await.unwrap();
            assert!(!person.standing.is_active() && person.memberships[0].held.is_some(), "{person:?}");
            assert_eq!(sign_in_as_of(&world, user, &["octo-org"], Timestamp::now()).await.status, 403);
        }
        world.stop().await;
    }
}
