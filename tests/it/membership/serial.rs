//! two acts upon one person that meet come out as one after the other, in one order or in the other.
use portcullis::domain::{Role, Timestamp};

use super::world::{Groups, World, operator, slug, world};
use crate::support::gateway::BACKENDS;

const ORGANIZATION: &str = "octo-org";
const ANCHOR: &str = "alice@example.com";

#[derive(Debug, Clone, Copy)]
enum Act {
    /// A sign-in with these groups.
    SignIn(&'static [&'static str]),
    Remove,
    Promote,
    Demote,
    Pin,
    Deactivate,
    RevokeLink,
}

const ACTS: [Act; 8] = [
    Act::SignIn(&[]),
    Act::SignIn(&["octo-org", "docs-team"]),
    Act::Remove,
    Act::Promote,
    Act::Demote,
    Act::Pin,
    Act::Deactivate,
    Act::RevokeLink,
];

/// What a refusal refuses is part of the outcome, so whether it was one is not asked.
async fn act(world: &World, user: &str, act: Act) {
    let (directory, enterprise, organization) = (world.directory(), &world.enterprise, slug(ORGANIZATION));
    let (id, now) = (world.id(user), Timestamp::now());
    match act {
        Act::SignIn(groups) => drop(world.sign_in(user, Groups::These(groups)).await),
        Act::Remove => {
            let _ = directory.remove_member(enterprise, operator(), &organization, id, now).await;
        }
        Act::Promote => {
            let _ = directory.set_role(enterprise, operator(), &organization, id, Role::Owner, now).await;
        }
        Act::Demote => {
            let _ = directory.set_role(enterprise, operator(), &organization, id, Role::Member, now).await;
        }
        Act::Pin => {
            let _ = directory.set_pin(enterprise, operator(), &organization, id, true, now).await;
        }
        Act::Deactivate => drop(directory.deactivate_person(enterprise, operator(), id, now).await),
        Act::RevokeLink => drop(directory.revoke_link(enterprise, operator(), id, now).await),
    }
}

/// What is so of a person; [`World::role`] compares the records with the sets.
async fn outcome(world: &World, user: &str) -> String {
    let (role, docs) = (world.role(user, ORGANIZATION).await, world.role(user, "docs-team").await);
    let person = world.person(user).await.unwrap();
    let pinned = person.memberships.iter().filter(|member| member.pin.is_some()).count();
    let standing = if person.standing.is_active() { "active" } else { "out" };
    format!("{role}, {docs} of docs-team, {pinned} pins, {standing}, linked: {}", person.linked_at.is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_acts_that_meet_come_out_as_one_after_the_other() {
    for backend in BACKENDS {
        let world = world(backend).await;
        world.enter(ANCHOR, &["octo-org-owners"]).await;
        let mut pairs = vec![];
        for (n, one) in ACTS.into_iter().enumerate() {
            pairs.extend(ACTS.into_iter().skip(n).map(|other| (one, other)));
        }
        for (n, (one, other)) in pairs.into_iter().enumerate() {
            let users = ["first", "second", "both"].map(|name| format!("{name}-{n}@example.com"));
            let mut outcomes = vec![];
            for user in &users {
                world.enter(user, &["octo-org"]).await;
                match outcomes.len() {
                    0 => {
                        act(&world, user, one).await;
                        act(&world, user, other).await;
                    }
                    1 => {
                        act(&world, user, other).await;
                        act(&world, user, one).await;
                    }
                    _ => {
                        tokio::join!(act(&world, user, one), act(&world, user, other));
                    }
                }
                outcomes.push(outcome(&world, user).await);
            }
            assert!(
                outcomes[..2].contains(&outcomes[2]),
                "{one:?} and {other:?} on {backend:?}: one after the other {:#?}, at once {}",
                &outcomes[..2],
                outcomes[2]
            );
        }
        world.stop().await;
    }
}
