//! The decision table, row by row, and the properties of every plan.
use std::collections::BTreeMap;

use portcullis::domain::{
    BatchId, EnterpriseId, GroupClaim, HeldRemoval, Invitation, InvitationId, InvitationSource, Membership,
    MembershipSource, NameId, Organization, OrganizationId, OrganizationSlug, Person, PersonId, Pin,
    PinReason, Profile, Role, Standing, Timestamp,
};
use portcullis::provisioning::{
    Act, AttributeNames, Change, Correspondence, Current, GroupMatch, GroupNaming, LastOwner, Mapping,
    MissingGroups, Plan, Policy, Preview, Settings, apply, needs_records, plan,
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
        max_removals: 10,
        break_glass: vec![],
        missing_groups: MissingGroups::Ignore,
        last_owner: LastOwner::Allow,
        dry_run: false,
    }
}

/// A person and what lies under the person's address.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    person: Person,
    invitations: Vec<Invitation>,
}

fn known(memberships: &[(&str, Role)], invitations: &[&str]) -> Known {
    let membership = |(organization, role): &(&str, Role)| {
        Membership::new(slug(organization), *role, MembershipSource::Manual, at(0))
    };
    let invitation = |(n, organization): (usize, &&str)| Invitation {
        id: InvitationId::from_bytes([n as u8; 16]),
        organization: slug(organization),
        role: Role::Member,
        source: InvitationSource::Manual,
        email: "alice@example.com".into(),
        person: None,
        inviter: None,
        invited_at: at(0),
        expires_at: None,
        secret: [0; 32],
        sent: 1,
        sent_at: at(0),
        undeliverable_since: None,
    };
    let mut memberships: Vec<_> = memberships.iter().map(membership).collect();
    memberships.sort_by(|a, b| a.organization.cmp(&b.organization));
    let person = Person {
        id: person_id(1),
        enterprise: EnterpriseId::from_bytes(ENTERPRISE),
        standing: Standing::Active,
        linked_at: Some(at(0)),
        issuer: "https://idp.example.com".into(),
        name_id: NameId { value: "alice".into(), format: "f".into(), ..NameId::default() },
        profile: Profile::default(),
        memberships,
        former: vec![],
        tokens: vec![],
        last_groups: None,
        decided_at: None,
        created_at: at(0),
        last_sign_in_at: at(0),
    };
    Known { person, invitations: invitations.iter().enumerate().map(invitation).collect() }
}

fn claim(groups: &[&str]) -> GroupClaim {
    if groups.is_empty() {
        GroupClaim::Empty
    } else {
        GroupClaim::Present(groups.iter().map(|g| (*g).into()).collect())
    }
}

type Records = BTreeMap<OrganizationSlug, Organization>;

fn record(slug: &OrganizationSlug, owners: impl IntoIterator<Item = PersonId>) -> Organization {
    let id = OrganizationId::of(EnterpriseId::from_bytes(ENTERPRISE), slug);
    Organization { owners: owners.into_iter().collect(), ..Organization::new(id, slug.clone()) }
}

fn plan_for(known: &Known, organizations: &Records, claim: &GroupClaim, settings: &Settings) -> Plan {
    let Known { person, invitations } = known;
    let current = Current {
        person: person.id,
        memberships: &person.memberships,
        invitations,
        organizations,
        is_break_glass: false,
        now: at(0),
    };
    plan(&current, claim, settings)
}

fn carry_out(plan: &Plan, known: &mut Known, organizations: &mut Records) {
    let act = Act {
        source: MembershipSource::Saml,
        batch: BatchId::parse("test").unwrap(),
        is_automatic: true,
        now: at(1),
    };
    apply(plan, &mut known.person, &mut known.invitations, organizations, &act);
}

/// One row of the main table: G, the state in `octo-org`, and what T2, T3, T4 and T5 do.
fn check(groups: &GroupClaim, state: &str, want: [&str; 4]) {
    let (known, other_owner) = match state {
        "N" => (known(&[], &[]), false),
        "I" => (known(&[], &["octo-org"]), false),
        "M" => (known(&[("octo-org", Role::Member)], &[]), true),
        "W" => (known(&[("octo-org", Role::Owner)], &[]), true),
        "L" => (known(&[("octo-org", Role::Owner)], &[]), false),
        _ => unreachable!("{state}"),
    };
    let owners = std::iter::once(known.person.id).chain(other_owner.then(|| person_id(2)));
    let records = Records::from([(slug("octo-org"), record(&slug("octo-org"), owners))]);
    let columns = [(false, false), (true, false), (true, true), (false, true)];
    for ((provisioning, deprovisioning), want) in columns.into_iter().zip(want) {
        let plan = plan_for(&known, &records, groups, &settings(provisioning, deprovisioning));
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
    let changes = |known: &Known, groups: &[&str]| {
        plan_for(known, &Records::new(), &claim(groups), &settings(true, true)).changes
    };
    let organization = slug("octo-org");
    let join = Change::Join { organization: organization.clone(), role: Role::Owner };
    assert_eq!(changes(&known(&[], &[]), &["octo-owners"]), [join]);
    let member = known(&[("octo-org", Role::Member)], &[]);
    assert_eq!(changes(&member, &["octo-owners"]), [Change::Promote { organization }]);
    assert_eq!(changes(&known(&[("octo-org", Role::Owner)], &[]), &["octo-org"]), []);
}

#[test]
fn statement_12_an_unmanaged_organization_is_never_touched() {
    let known = known(&[("elsewhere", Role::Owner)], &["elsewhere"]);
    assert!(plan_for(&known, &Records::new(), &claim(&[]), &settings(true, true)).is_empty());
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Owner)]
}

fn any_known() -> impl Strategy<Value = Known> {
    let organizations = vec!["octo-org", "hubot", "docs", "elsewhere"];
    let memberships =
        prop::collection::btree_map(prop::sample::select(organizations.clone()), any_role(), 0..4);
    let invitations = prop::collection::btree_set(prop::sample::select(organizations.clone()), 0..4);
    (memberships, invitations).prop_map(|(memberships, invitations)| {
        let memberships: Vec<_> = memberships.into_iter().collect();
        known(&memberships, &invitations.into_iter().collect::<Vec<_>>())
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
    fn every_plan(before in any_known(), claim in any_claim(), on in any::<(bool, bool)>(), others in any::<bool>()) {
        let settings = settings(on.0, on.1);
        let mut organizations = Records::new();
        for slug in MANAGED.iter().map(|o| slug(o)) {
            let owns = |m: &&Membership| m.organization == slug && m.role == Role::Owner;
            let owners = others.then_some(person_id(2)).into_iter();
            let owners = owners.chain(before.person.memberships.iter().filter(owns).map(|_| before.person.id));
            organizations.insert(slug.clone(), record(&slug, owners));
        }
        let plan = plan_for(&before, &organizations, &claim, &settings);
        let without_records = plan_for(&before, &Records::new(), &claim, &settings);
        prop_assert_eq!(plan.is_empty(), without_records.is_empty());
        prop_assert_eq!(needs_records(&plan), needs_records(&without_records));

        let mut after = before.clone();
        carry_out(&plan, &mut after, &mut organizations);

        // A second plan is empty.
        let again = plan_for(&after, &organizations, &claim, &settings);
        prop_assert!(again.is_empty(), "{:?} then {:?}", plan, again);
        // Unknown groups, or both switches off, change nothing.
        if claim.known().is_none() || on == (false, false) {
            prop_assert_eq!(&after, &before);
        }
        let has = |known: &Known, o: &OrganizationSlug| known.person.memberships.iter().find(|m| m.organization == *o).map(|m| m.role);
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
                prop_assert_eq!(record.owners.contains(&after.person.id), want == Some(Role::Owner));
                let lost_last = has(&before, &organization) == Some(Role::Owner) && record.owners.is_empty();
                prop_assert_eq!(record.unowned_since.is_some(), lost_last);
            }
        }
        // Memberships stay sorted and unique, as everyone who reads them expects.
        prop_assert!(after.person.memberships.windows(2).all(|w| w[0].organization < w[1].organization));
    }
}

/// The guard, pins and break-glass identities, at the level of one plan: what becomes of a member, or of the last owner, whom
/// no group names.
fn removal(
    change: impl FnOnce(&mut Known, &mut Organization, &mut Settings),
    is_break_glass: bool,
) -> String {
    let mut known = known(&[("octo-org", Role::Owner)], &[]);
    let mut organization = record(&slug("octo-org"), [known.person.id, person_id(2)]);
    let mut settings = settings(true, true);
    change(&mut known, &mut organization, &mut settings);
    let organizations = Records::from([(slug("octo-org"), organization)]);
    let current = Current {
        person: known.person.id,
        memberships: &known.person.memberships,
        invitations: &[],
        organizations: &organizations,
        is_break_glass,
        now: at(0),
    };
    let plan = plan(&current, &claim(&[]), &settings);
    plan.changes.iter().map(Change::kind).collect::<Vec<_>>().join("+")
}

#[test]
fn v_11_and_v_12_what_spares_holds_and_removes() {
    let pin = |reason| Some(Pin { reason, since: at(0) });
    let alone = |o: &mut Organization| o.owners.retain(|owner| *owner == person_id(1));
    assert_eq!(removal(|_, _, _| {}, false), "leave");
    assert_eq!(removal(|_, _, _| {}, true), "");
    assert_eq!(removal(|_, o, _| alone(o), false), "leave+become_unowned");
    // D7: the tenth goes, the eleventh waits; what waits is not held twice.
    assert_eq!(removal(|_, o, _| o.removals = vec![(at(0), 9)], false), "leave");
    assert_eq!(removal(|_, o, _| o.removals = vec![(at(0), 4), (at(1), 6)], false), "hold");
    assert_eq!(removal(|_, _, s| s.max_removals = 0, false), "hold");
    let held = Some(HeldRemoval { since: at(0), batch: BatchId::parse("b").unwrap() });
    assert_eq!(removal(|k, _, _| k.person.memberships[0].held = held.clone(), false), "");
    // A8: the last owner waits, whatever the guard says; beside another nobody is protected.
    let protect = |s: &mut Settings| s.last_owner = LastOwner::Protect;
    assert_eq!(removal(|_, _, s| protect(s), false), "leave");
    let last = |_: &mut Known, o: &mut Organization, s: &mut Settings| {
        alone(o);
        protect(s);
    };
    assert_eq!(removal(last, false), "hold");
    // A9, A10: by an owner's pin always, by a claim as long as nobody else owns it.
    let pinned = |reason, is_alone| {
        removal(
            |k, o, _| {
                k.person.memberships[0].pin = pin(reason);
                if is_alone {
                    alone(o);
                }
            },
            false,
        )
    };
    assert_eq!(pinned(PinReason::Owner, false), "");
    assert_eq!(pinned(PinReason::Claim, true), "");
    assert_eq!(pinned(PinReason::Claim, false), "leave");
}

/// The preview says what sign-ins do: for any people, and whatever their order.
#[test]
fn a_preview_is_what_sign_ins_then_do() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let people = prop::collection::vec((any_known(), any_claim()), 1..8);
    let strategy = (people, any::<bool>(), 0..4_u32);
    let outcome = runner.run(&strategy, |(people, provisioning, max_removals)| {
        let settings = Settings { max_removals, ..settings(provisioning, true) };
        let mut records = Records::new();
        let mut everybody: Vec<Known> = vec![];
        for (n, (mut known, claim)) in people.into_iter().enumerate() {
            known.person.id = person_id(n as u8 + 1);
            known.person.last_groups = claim.known().map(<[_]>::to_vec);
            known.invitations.clear();
            for member in known.person.memberships.iter().filter(|m| m.role == Role::Owner) {
                let slug = &member.organization;
                let record = records.entry(slug.clone()).or_insert_with(|| record(slug, []));
                record.owners.insert(known.person.id);
            }
            everybody.push(known);
        }
        for slug in &settings.managed {
            records.entry(slug.clone()).or_insert_with(|| record(slug, []));
        }
        let mut preview = Preview::new(&settings, records.clone());
        everybody.iter().for_each(|known| preview.add(&known.person, at(0)));
        let preview = preview.finish(at(0));

        let (mut left, mut held) = (BTreeMap::new(), BTreeMap::new());
        let mut joined: BTreeMap<OrganizationSlug, u64> = BTreeMap::new();
        let before = records.clone();
        for known in &mut everybody {
            let Some(groups) = known.person.last_groups.clone() else { continue };
            let claim = claim(&groups.iter().map(String::as_str).collect::<Vec<_>>());
            let plan = plan_for(known, &records, &claim, &settings);
            for change in &plan.changes {
                let count = match change {
                    Change::Leave { .. } => &mut left,
                    Change::Hold { .. } => &mut held,
                    Change::Join { .. } => &mut joined,
                    _ => continue,
                };
                *count.entry(change.organization().clone()).or_default() += 1;
            }
            carry_out(&plan, known, &mut records);
        }
        for (slug, outlook) in &preview.organizations {
            let of = |counts: &BTreeMap<OrganizationSlug, u64>| counts.get(slug).copied().unwrap_or_default();
            prop_assert_eq!(outlook.leaves.count, of(&left) + of(&held), "{}", slug);
            prop_assert_eq!(outlook.held, of(&held), "{}", slug);
            prop_assert_eq!(outlook.joins.count, of(&joined), "{}", slug);
            let is_unowned = !before[slug].owners.is_empty() && records[slug].owners.is_empty();
            // Who is held still owns it; the preview looks at the end.
            prop_assert!(outlook.becomes_unowned || !is_unowned, "{}", slug);
            prop_assert!(of(&held) > 0 || outlook.becomes_unowned == is_unowned, "{}", slug);
        }
        Ok(())
    });
    outcome.unwrap();
}
