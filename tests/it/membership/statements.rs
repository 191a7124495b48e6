//! The checkable statements of section 7 that SAML and owners make true, by number, on both stores.
use portcullis::{
    config::Overrides,
    directory::ActError,
    domain::{MembershipSource, PinReason, Role, Timestamp},
};

use super::world::{Groups, World, operator, slug, world};
use crate::{
    saml::forge::{Spec, issuer, status},
    support::gateway::{BACKENDS, Backend},
};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const CAROL: &str = "carol@example.com";

fn without_deprovisioning(overrides: Overrides) -> Overrides {
    overrides.set("enterprise.example.deprovisioning", "false")
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_01_who_is_in_the_group_becomes_a_member_without_an_invitation() {
    for backend in BACKENDS {
        let world = World::new(backend, without_deprovisioning).await;
        world.enter(BOB, &["octo-org"]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        let membership = world.person(BOB).await.unwrap().memberships.remove(0);
        assert_eq!(membership.source, MembershipSource::Saml);
        let events = world.events(BOB).await;
        let joined = events.iter().find(|event| event["action"] == "org.add_member").unwrap();
        assert_eq!((&joined["permission"], &joined["org"]), (&"member".into(), &"octo-org".into()));
        assert_eq!((&joined["reason"], &joined["trigger"]), (&"in_group".into(), &"saml".into()));
        assert_eq!(joined["groups"], serde_json::json!(["octo-org"]));
        assert!(world.invitations(BOB).await.is_empty());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_05_and_06_a_sign_in_settles_every_invitation() {
    for backend in BACKENDS {
        let world = World::new(backend, without_deprovisioning).await;
        world.seed(BOB, "octo-org", None, true).await;
        world.seed(CAROL, "octo-org", None, true).await;
        world.enter(BOB, &["octo-org"]).await;
        assert_eq!((world.role(BOB, "octo-org").await, world.invitations(BOB).await.len()), ("member", 0));
        world.enter(CAROL, &["something-else"]).await;
        assert_eq!((world.role(CAROL, "octo-org").await, world.invitations(CAROL).await.len()), ("none", 0));
        assert!(world.actions(CAROL).await.contains(&"org.cancel_invitation".to_owned()));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_08_the_last_owner_goes_and_an_owner_of_the_enterprise_claims() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let (now, org) = (Timestamp::now(), slug("octo-org"));
        world.enter(BOB, &["octo-org-owners"]).await;
        world.enter(CAROL, &["octo-org", "hubot-lab"]).await;
        world.enter(ALICE, &[]).await;
        let claim =
            |user| world.directory().claim_organization(&world.enterprise, world.actor(user), &org, now);
        // It has an owner.
        assert!(matches!(claim(ALICE).await, Err(ActError::HasOwner)));
        world.enter(BOB, &[]).await;
        assert_eq!(world.unowned().await, ["octo-org"]);
        assert!(world.actions(BOB).await.contains(&"org.became_unowned".to_owned()));
        // A member of it, a member of another, and who just left.
        for user in [CAROL, BOB] {
            assert!(matches!(claim(user).await, Err(ActError::NotAllowed)), "{user}");
        }
        assert_eq!(world.unowned().await, ["octo-org"]);
        claim(ALICE).await.unwrap();
        assert_eq!(world.role(ALICE, "octo-org").await, "owner");
        assert!(world.unowned().await.is_empty());
        let membership = world.person(ALICE).await.unwrap().memberships.remove(0);
        assert_eq!(membership.source, MembershipSource::Claim);
        assert_eq!(membership.pin.map(|pin| pin.reason), Some(PinReason::Claim));
        assert!(world.actions(ALICE).await.contains(&"org.claimed".to_owned()));
        assert!(matches!(claim(ALICE).await, Err(ActError::HasOwner)), "once is enough");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_09_a_claim_outlives_assertions_until_somebody_else_owns_it_too() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let (now, org) = (Timestamp::now(), slug("octo-org"));
        world.enter(ALICE, &[]).await;
        let claim = world.directory().claim_organization(&world.enterprise, world.actor(ALICE), &org, now);
        claim.await.unwrap();
        for groups in [&[][..], &["something-else"]] {
            world.enter(ALICE, groups).await;
            assert_eq!(world.role(ALICE, "octo-org").await, "owner");
        }
        // Released by another owner.
        world.enter(BOB, &["octo-org-owners"]).await;
        world.enter(ALICE, &[]).await;
        assert_eq!(world.role(ALICE, "octo-org").await, "none");
        assert_eq!(world.role(BOB, "octo-org").await, "owner");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_11_names_count_in_any_letter_case_and_display_names_never() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let named = portcullis::directory::OrganizationChange {
            display_name: Some(Some("The Octo People".into())),
            ..Default::default()
        };
        let (now, octo) = (Timestamp::now(), slug("octo-org"));
        let operator = operator();
        let change = world.directory().change_organization(&world.enterprise, operator, &octo, named, now);
        assert_eq!(change.await.unwrap().display_name.as_deref(), Some("The Octo People"));
        world.enter(BOB, &["The Octo People", "everyone", "octo-org-"]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "none");
        world.enter(BOB, &[" OCTO-Org ", "everyone"]).await;
        assert_eq!(world.role(BOB, "octo-org").await, "member");
        assert_eq!(world.person(BOB).await.unwrap().memberships.len(), 1);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_12_what_is_not_managed_is_never_touched_and_neither_are_its_invitations() {
    for backend in BACKENDS {
        let change = |overrides: Overrides| overrides.set("enterprise.example.managed", "octo-org");
        let world = World::new(backend, change).await;
        world.seed(BOB, "docs-team", Some(Role::Member), false).await;
        world.seed(CAROL, "docs-team", None, true).await;
        world.enter(BOB, &[]).await;
        world.enter(CAROL, &["docs-team"]).await;
        assert_eq!(world.role(BOB, "docs-team").await, "member");
        assert_eq!((world.role(CAROL, "docs-team").await, world.invitations(CAROL).await.len()), ("none", 1));
        world.stop().await;
    }
}

/// What is wrong with a response, and what makes it so.
type Flaw = (&'static str, fn(&mut Spec));

/// Statement 13 and V-23: what is refused before the groups are read removes nobody and promotes nobody.
#[tokio::test(flavor = "multi_thread")]
async fn statement_13_a_refused_response_changes_nothing() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(BOB, &["octo-org"]).await;
        let mut before = world.person(BOB).await;
        let refused: [Flaw; 6] = [
            ("signature", |spec| spec.sign_assertion = None),
            ("audience", |spec| {
                spec.restrictions = Some(crate::saml::forge::audience(&["https://other.example"]))
            }),
            ("recipient", |spec| {
                spec.confirmation.insert("Recipient", "https://other.example/saml/acs".into());
            }),
            ("expired", |spec| {
                spec.confirmation.insert("NotOnOrAfter", "2020-01-01T00:00:00Z".into());
            }),
            ("issuer", |spec| spec.issuer = issuer("https://other.example")),
            ("status", |spec| spec.status = status("urn:oasis:names:tc:SAML:2.0:status:Responder")),
        ];
        for (what, change) in refused {
            let (_, page) = world.sign_in_with(BOB, Groups::These(&["octo-org-owners"]), change).await;
            assert_eq!(page.status, 403, "{what}");
            assert_eq!(world.person(BOB).await, before, "{what}");
        }
        // Used twice: the second time says nothing, also where it says something else.
        let mut browser = portcullis::demo::browser::Browser::new();
        let mut spec = world.idp.asked(&mut browser).await;
        spec.name_id = format!("<saml:NameID>{BOB}</saml:NameID>");
        spec.attributes = Groups::These(&["hubot-lab"]).attributes(BOB);
        let xml = spec.xml();
        let mut again = browser.clone();
        assert_eq!(world.idp.post(&mut browser, &xml).await.status, 200);
        before = world.person(BOB).await;
        assert_eq!(world.idp.post(&mut again, &xml).await.status, 403);
        assert_eq!(world.person(BOB).await, before);
        world.stop().await;
    }
}

/// V-23: an attribute that its person may edit at the IdP gives no role, whatever it is called and says.
#[tokio::test(flavor = "multi_thread")]
async fn v_23_no_attribute_makes_an_owner() {
    let world = world(Backend::Embedded).await;
    let signed_in =
        world.sign_in_with(BOB, Groups::These(&["octo-org", "owner", "owners", "admin"]), |spec| {
            for name in ["role", "roles", "administrator", "owner", "organization_role"] {
                spec.attributes += &crate::saml::forge::attribute(name, &["owner", "admin", "true"]);
            }
        });
    assert_eq!(signed_in.await.1.status, 200);
    assert_eq!(world.role(BOB, "octo-org").await, "member");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_22_the_session_ends_with_the_day_or_with_the_idps() {
    for backend in BACKENDS {
        let world = world(backend).await;
        let bound = |limit: Option<Timestamp>| {
            let world = &world;
            async move {
                let signed_in = world.sign_in_with(BOB, Groups::These(&["octo-org"]), |spec| {
                    if let Some(limit) = limit {
                        spec.authn.insert("SessionNotOnOrAfter", limit.to_string());
                    }
                });
                let (browser, page) = signed_in.await;
                assert_eq!(page.status, 200, "{}", page.body);
                let token = browser.cookie("localhost", portcullis::edge::cookies::SESSION).unwrap();
                let token = portcullis::domain::SessionToken::parse(token).unwrap();
                let session = world.directory().session(&token, Timestamp::now()).await.unwrap().unwrap();
                (
                    session.session.expires_at.duration_since(session.session.created_at).as_secs(),
                    token,
                    browser,
                )
            }
        };
        let (seconds, token, mut browser) = bound(None).await;
        assert_eq!(seconds, 24 * 60 * 60);
        let soon = Timestamp::now() + std::time::Duration::from_secs(3_600);
        let (seconds, ..) = bound(Some(soon)).await;
        assert!((3_500..=3_600).contains(&seconds), "{seconds}");
        // Revoked: the next request is sent to the IdP.
        world.directory().end_session(&token, Timestamp::now()).await.unwrap();
        assert!(world.idp.gateway.identity(&mut browser).await.is_none());
        world.stop().await;
    }
}

/// Statement 23, by an owner's act and a sign-in at once: one of the two is the last to go, and the flag is set once.
#[tokio::test(flavor = "multi_thread")]
async fn statement_23_two_last_owners_go_at_once_by_an_act_and_by_a_sign_in() {
    for backend in BACKENDS {
        let world = world(backend).await;
        for _ in 0..4 {
            world.enter(BOB, &["octo-org-owners"]).await;
            world.enter(CAROL, &["octo-org-owners"]).await;
            let (operator, org, now) = (operator(), slug("octo-org"), Timestamp::now());
            let act =
                world.directory().remove_member(&world.enterprise, operator, &org, world.id(CAROL), now);
            let (acted, (_, page)) = tokio::join!(act, world.sign_in(BOB, Groups::These(&[])));
            acted.unwrap();
            assert_eq!(page.status, 200);
            assert_eq!(
                (world.role(BOB, "octo-org").await, world.role(CAROL, "octo-org").await),
                ("none", "none")
            );
            assert_eq!(world.unowned().await, ["octo-org"]);
        }
        let both = [world.actions(BOB).await, world.actions(CAROL).await].concat();
        assert_eq!(both.iter().filter(|action| *action == "org.became_unowned").count(), 4);
        world.stop().await;
    }
}
