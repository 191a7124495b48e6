//! The decision table, row by row, and the properties of every plan.
use std::collections::{BTreeMap, BTreeSet};

use portcullis::domain::{
    EnterpriseId, GroupClaim, Invitation, InvitationId, InvitationSource, Membership, MembershipSource,
    NameId, Organization, OrganizationId, OrganizationSlug, Person, PersonId, Profile, Role, Timestamp,
};
use portcullis::provisioning::{
    AttributeNames, Change, Correspondence, Current, GroupMatch, GroupNaming, Mapping, Plan, Policy,
    Settings, apply, plan, touches_owners,
};
use proptest::prelude::*;

const ENTERPRISE: [u8; 16] = [9; 16];
const MANAGED: [&str; 3] = ["octo-org", "hubot", "docs"];

fn slug(text: &str) -> OrganizationSlug {
    OrganizationSlug::parse(text).unwrap()
}

fn person_id(n: u8) -> PersonId {
    PersonId::from_bytes([n; 16])
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn settings(provisioning: bool, deprovisioning: bool) -> Settings {
    Settings {
        policy: Policy { provisioning, deprovisioning },
        naming: GroupNaming::default(),
        managed: MANAGED.iter().map(|o| slug(o)).collect(),
        mappings: vec![Mapping {
            group: GroupMatch::Exact("octo-owners".into()),
            organization: slug("octo-org"),
            role: Role::Owner,
        }],
        attributes: AttributeNames {
            groups: vec![],
            email: vec![],
            display_name: vec![],
            preferred_username: vec![],
        },
    }
}

fn person(memberships: &[(&str, Role)], invitations: &[&str]) -> Person {
    let membership = |(organization, role): &(&str, Role)| Membership {
        organization: slug(organization),
        role: *role,
        source: MembershipSource::Manual,
        since: at(0),
    };
    let invitation = |(n, organization): (usize, &&str)| Invitation {
        id: InvitationId::from_bytes([n as u8; 16]),
        organization: slug(organization),
        role: Role::Member,
        source: InvitationSource::Manual,
        email: "alice@example.com".into(),
        invited_at: at(0),
        expires_at: None,
    };
    let mut memberships: Vec<_> = memberships.iter().map(membership).collect();
    memberships.sort_by(|a, b| a.organization.cmp(&b.organization));
    Person {
        id: person_id(1),
        enterprise: EnterpriseId::from_bytes(ENTERPRISE),
        name_id: NameId { value: "alice".into(), format: "f".into(), ..NameId::default() },
        profile: Profile::default(),
        memberships,
        invitations: invitations.iter().enumerate().map(invitation).collect(),
        last_groups: None,
        created_at: at(0),
        last_sign_in_at: at(0),
    }
}

fn claim(groups: &[&str]) -> GroupClaim {
    if groups.is_empty() {
        GroupClaim::Empty
    } else {
        GroupClaim::Present(groups.iter().map(|g| (*g).into()).collect())
    }
}

type Owners = BTreeMap<OrganizationSlug, BTreeSet<PersonId>>;

fn plan_for(person: &Person, owners: &Owners, claim: &GroupClaim, settings: &Settings) -> Plan {
    let current = Current {
        person: person.id,
        memberships: &person.memberships,
        invitations: &person.invitations,
        owners,
    };
    plan(&current, claim, settings)
}

/// One row of the main table: G, the state in `octo-org`, and what T2, T3, T4 and T5 do.
fn check(groups: &GroupClaim, state: &str, want: [&str; 4]) {
    let (person, other_owner) = match state {
        "N" => (person(&[], &[]), false),
        "I" => (person(&[], &["octo-org"]), false),
        "M" => (person(&[("octo-org", Role::Member)], &[]), true),
        "W" => (person(&[("octo-org", Role::Owner)], &[]), true),
        "L" => (person(&[("octo-org", Role::Owner)], &[]), false),
        _ => unreachable!("{state}"),
    };
    let mut owners = BTreeSet::from([person.id]);
    if other_owner {
        owners.insert(person_id(2));
    }
    let owners = Owners::from([(slug("octo-org"), owners)]);
    let columns = [(false, false), (true, false), (true, true), (false, true)];
    for ((provisioning, deprovisioning), want) in columns.into_iter().zip(want) {
        let plan = plan_for(&person, &owners, groups, &settings(provisioning, deprovisioning));
        let words: Vec<&str> = plan.changes.iter().map(Change::kind).collect();
        assert_eq!(words.join("+"), want, "G {groups:?}, state {state}, {provisioning}/{deprovisioning}");
    }
}

#[test]
fn decision_table_t2_to_t5() {
    let yes = claim(&["Octo-Org"]);
    check(&yes, "N", ["", "join", "join", ""]);
    check(&yes, "I", ["", "cancel_invitation+join", "cancel_invitation+join", ""]);
    check(&yes, "M", ["", "", "", ""]);
    check(&yes, "W", ["", "", "", ""]);
    check(&yes, "L", ["", "", "", ""]);
    for no in [claim(&["something-else"]), claim(&[])] {
        check(&no, "N", ["", "", "", ""]);
        check(&no, "I", ["", "cancel_invitation", "cancel_invitation", ""]);
        check(&no, "M", ["", "", "leave", "leave"]);
        check(&no, "W", ["", "", "leave", "leave"]);
        check(&no, "L", ["", "", "leave+become_unowned", "leave+become_unowned"]);
    }
    for unknown in [GroupClaim::Absent, GroupClaim::Overage] {
        for state in ["N", "I", "M", "W", "L"] {
            check(&unknown, state, ["", "", "", ""]);
        }
    }
}

#[test]
fn a_mapping_to_owner_joins_and_promotes_and_nothing_demotes() {
    let owners = Owners::new();
    let changes = |person: &Person, groups: &[&str]| {
        plan_for(person, &owners, &claim(groups), &settings(true, true)).changes
    };
    let organization = slug("octo-org");
    let join = Change::Join { organization: organization.clone(), role: Role::Owner };
    assert_eq!(changes(&person(&[], &[]), &["octo-owners"]), [join]);
    let member = person(&[("octo-org", Role::Member)], &[]);
    assert_eq!(changes(&member, &["octo-owners"]), [Change::Promote { organization }]);
    assert_eq!(changes(&person(&[("octo-org", Role::Owner)], &[]), &["octo-org"]), []);
}

#[test]
fn statement_12_an_unmanaged_organization_is_never_touched() {
    let person = person(&[("elsewhere", Role::Owner)], &["elsewhere"]);
    assert!(plan_for(&person, &Owners::new(), &claim(&[]), &settings(true, true)).is_empty());
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Owner)]
}

fn any_person() -> impl Strategy<Value = Person> {
    let organizations = vec!["octo-org", "hubot", "docs", "elsewhere"];
    let memberships =
        prop::collection::btree_map(prop::sample::select(organizations.clone()), any_role(), 0..4);
    let invitations = prop::collection::btree_set(prop::sample::select(organizations.clone()), 0..4);
    (memberships, invitations).prop_map(|(memberships, invitations)| {
        let memberships: Vec<_> = memberships.into_iter().collect();
        person(&memberships, &invitations.into_iter().collect::<Vec<_>>())
    })
}

fn any_claim() -> impl Strategy<Value = GroupClaim> {
    let groups = vec!["octo-org", "HUBOT", " docs ", "elsewhere", "octo-owners", "other"];
    prop_oneof![
        Just(GroupClaim::Absent),
        Just(GroupClaim::Overage),
        prop::collection::btree_set(prop::sample::select(groups), 0..6)
            .prop_map(|groups| claim(&groups.into_iter().collect::<Vec<_>>())),
    ]
}

proptest! {
    #[test]
    fn every_plan(before in any_person(), claim in any_claim(), on in any::<(bool, bool)>(), others in any::<bool>()) {
        let settings = settings(on.0, on.1);
        let mut organizations: BTreeMap<OrganizationSlug, Organization> = BTreeMap::new();
        for slug in MANAGED.iter().map(|o| slug(o)) {
            let mut owners: BTreeSet<PersonId> = others.then_some(person_id(2)).into_iter().collect();
            owners.extend(before.memberships.iter().filter(|m| m.organization == slug && m.role == Role::Owner).map(|_| before.id));
            let id = OrganizationId::of(before.enterprise, &slug);
            organizations.insert(slug.clone(), Organization { id, slug, owners, unowned_since: None });
        }
        let owners_of = |organizations: &BTreeMap<OrganizationSlug, Organization>| -> Owners {
            organizations.iter().map(|(slug, o)| (slug.clone(), o.owners.clone())).collect()
        };
        let plan = plan_for(&before, &owners_of(&organizations), &claim, &settings);
        let without_owners = plan_for(&before, &Owners::new(), &claim, &settings);
        prop_assert_eq!(plan.is_empty(), without_owners.is_empty());
        prop_assert_eq!(touches_owners(&plan), touches_owners(&without_owners));

        let mut after = before.clone();
        apply(&plan, &mut after, &mut organizations, MembershipSource::Saml, at(1));

        // A second plan is empty.
        let again = plan_for(&after, &owners_of(&organizations), &claim, &settings);
        prop_assert!(again.is_empty(), "{:?} then {:?}", plan, again);
        // Unknown groups, or both switches off, change nothing.
        if claim.known().is_none() || on == (false, false) {
            prop_assert_eq!(&after, &before);
        }
        let has = |person: &Person, o: &OrganizationSlug| person.memberships.iter().find(|m| m.organization == *o).map(|m| m.role);
        // What is not managed stays.
        let elsewhere = slug("elsewhere");
        prop_assert_eq!(has(&after, &elsewhere), has(&before, &elsewhere));
        if let Some(groups) = claim.known() {
            let wanted = Correspondence::of(groups, &settings).roles();
            for organization in MANAGED.iter().map(|o| slug(o)) {
                let want = match (has(&before, &organization), wanted.get(&organization).copied()) {
                    (None, want) => want.filter(|_| on.0),
                    (had, Some(want)) => if on.0 { had.max(Some(want)) } else { had },
                    (had, None) => had.filter(|_| !on.1),
                };
                // Applying a plan gives the desired state.
                prop_assert_eq!(has(&after, &organization), want);
                if on.0 {
                    prop_assert!(after.invitations.iter().all(|i| i.organization != organization));
                }
                // The record of owners agrees with the memberships, and the flag with the record.
                let record = &organizations[&organization];
                prop_assert_eq!(record.owners.contains(&after.id), want == Some(Role::Owner));
                let lost_last = has(&before, &organization) == Some(Role::Owner) && record.owners.is_empty();
                prop_assert_eq!(record.unowned_since.is_some(), lost_last);
            }
        }
        // Memberships stay sorted and unique, as everyone who reads them expects.
        prop_assert!(after.memberships.windows(2).all(|w| w[0].organization < w[1].organization));
    }
}
