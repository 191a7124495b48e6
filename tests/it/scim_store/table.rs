//! The decision table of section 4.3, column T1, cell by cell, on both stores.
use portcullis::{
    directory::scim::MembersChange,
    domain::{InvitationSource, Role},
};

use super::world::{BOTH, World};

/// G, the state before, and the state after. N: none; I: invited by an owner; S: by SCIM; M: member; W: owner beside another; L: the
/// last owner; U: none, and the organization unowned.
const TABLE: &[(&str, &str, &str)] = &[
    ("yes", "N", "S"),
    ("yes", "S", "S"),
    ("yes", "I", "S"),
    ("yes", "M", "M"),
    ("yes", "W", "W"),
    ("yes", "L", "L"),
    ("no", "N", "N"),
    ("no", "S", "N"),
    ("no", "I", "N"),
    ("no", "M", "N"),
    ("no", "W", "N"),
    ("no", "L", "U"),
    ("unknown", "N", "N"),
    ("unknown", "S", "S"),
    ("unknown", "I", "I"),
    ("unknown", "M", "M"),
    ("unknown", "W", "W"),
    ("unknown", "L", "L"),
];

async fn seed(world: &World, user: &str, organization: &str, state: &str) {
    match state {
        "M" => world.seed(user, &[(organization, Role::Member)]).await,
        "W" => {
            world.seed("another", &[(organization, Role::Owner)]).await;
            world.seed(user, &[(organization, Role::Owner)]).await;
        }
        "L" => world.seed(user, &[(organization, Role::Owner)]).await,
        _ => world.seed(user, &[]).await,
    }
    match state {
        "I" => world.seed_invitation(user, organization, InvitationSource::Manual).await,
        "S" => world.seed_invitation(user, organization, InvitationSource::Scim).await,
        _ => {}
    }
}

async fn state(world: &World, user: &str, organization: &str) -> &'static str {
    let unowned = world.organization(organization).await.unowned_since.is_some();
    let others = world.organization(organization).await.owners.len() > 1;
    match (world.state(user, organization).await.as_str(), unowned) {
        ("none", true) => "U",
        ("none", false) => "N",
        ("invited", _) => {
            let invitation = world.invitations(&super::world::mail(user)).await.remove(0);
            if invitation.source == InvitationSource::Scim { "S" } else { "I" }
        }
        ("member", _) => "M",
        ("owner", _) if others => "W",
        ("owner", _) => "L",
        (other, _) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_column_t1() {
    for on in BOTH {
        for (groups, before, after) in TABLE {
            let cell = format!("{on:?} {groups} {before}");
            let world = World::new(on).await;
            seed(&world, "alice", "octo-org", before).await;
            let alice = world.create("alice").await;
            assert_eq!(
                state(&world, "alice", "octo-org").await,
                *before,
                "{cell}: to be created says nothing of groups"
            );
            let group = world.group("Octo-Org", &[]).await;
            match *groups {
                "yes" => drop(world.add(group.group.id, alice.user.id).await.unwrap()),
                // A removal is explained by a fact: only who was in the group leaves it.
                "no" => {
                    world.add(group.group.id, alice.user.id).await.unwrap();
                    seed_again(&world, before).await;
                    world.remove(group.group.id, alice.user.id).await.unwrap();
                }
                _ => {
                    let reset = MembersChange { reset: true, ..MembersChange::default() };
                    world.change(group.group.id, reset).await.unwrap();
                }
            }
            assert_eq!(state(&world, "alice", "octo-org").await, *after, "{cell}");
            // Statement 3: what will do is kept, and nobody gets another mail.
            if (*groups, *before) == ("yes", "S") {
                assert_eq!(world.mails().await, 0, "{cell}");
            }
            // Nobody else's organization is touched (statement 12).
            assert_eq!(state(&world, "alice", "hubot").await, "N", "{cell}");
            world.check().await;
        }
    }
}

/// What being added replaced.
async fn seed_again(world: &World, before: &str) {
    if before == "I" {
        world.seed_invitation("alice", "octo-org", InvitationSource::Manual).await;
    }
}
