//! People as they lie in the store, put there without a sign-in.
use portcullis::{
    domain::{
        EnterpriseId, Membership, MembershipSource, NameId, OrganizationId, OrganizationSlug, Person,
        PersonId, Profile, Role, Standing, Timestamp,
    },
    store::{Key, Write, records},
};

/// Who signed in long ago, with memberships that somebody gave by hand. The user name is the NameID.
pub fn person(enterprise: EnterpriseId, issuer: &str, user: &str, memberships: &[(&str, Role)]) -> Person {
    let long_ago = Timestamp::from_second(1_700_000_000).unwrap();
    let mut memberships: Vec<Membership> = memberships
        .iter()
        .map(|(organization, role)| {
            let organization = OrganizationSlug::parse(organization).unwrap();
            Membership::new(organization, *role, MembershipSource::Manual, long_ago)
        })
        .collect();
    memberships.sort_by(|a, b| a.organization.cmp(&b.organization));
    Person {
        id: PersonId::of(enterprise, issuer, user),
        enterprise,
        standing: Standing::Active,
        linked_at: Some(long_ago),
        issuer: issuer.into(),
        name_id: NameId { value: user.into(), format: NameId::PERSISTENT.into(), ..NameId::default() },
        profile: Profile { user: user.into(), email: Some(mail(user)), ..Profile::default() },
        memberships,
        former: vec![],
        tokens: vec![],
        last_groups: None,
        decided_at: None,
        created_at: long_ago,
        last_sign_in_at: long_ago,
    }
}

/// What puts a person there, listed wherever people are; owners are listed in the organizations' records besides.
pub fn writes(person: &Person) -> Vec<Write> {
    let (e, id) = (person.enterprise, person.id.as_bytes());
    let sets = person.memberships.iter().map(|membership| {
        let organization = OrganizationId::of(e, &membership.organization);
        Write::Insert(Key::OrganizationMembers(e, organization), id.to_vec())
    });
    let people = Write::Insert(Key::People(e), id.to_vec());
    let record = Write::Put(Key::Person(e, person.id), records::encode_person(person));
    [people].into_iter().chain(sets).chain([record]).collect()
}

/// The address of a user whose name is none.
pub fn mail(user: &str) -> String {
    if user.contains('@') { user.to_owned() } else { format!("{user}@example.com") }
}
