//! Round trips over arbitrary values, and what must be refused.
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::domain::{
    AuthnDemand, EnterpriseSlug, Invitation, InvitationId, InvitationSource, Membership, MembershipSource,
    NameId, OrganizationSlug, Profile, Role, Timestamp,
};

fn time() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_i64..253_402_207_200_000).prop_map(|at| Timestamp::from_millisecond(at).unwrap())
}

fn organization_slug() -> impl Strategy<Value = OrganizationSlug> {
    "[a-z0-9]{1,39}".prop_map(|text| OrganizationSlug::parse(&text).unwrap())
}

fn enterprise_slug() -> impl Strategy<Value = EnterpriseSlug> {
    "[a-z0-9]{1,39}".prop_map(|text| EnterpriseSlug::parse(&text).unwrap())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Owner)]
}

fn name_id() -> impl Strategy<Value = NameId> {
    let qualifier = || proptest::option::of(any::<String>());
    (any::<String>(), any::<String>(), qualifier(), qualifier()).prop_map(
        |(value, format, name_qualifier, sp_name_qualifier)| NameId {
            value,
            format,
            name_qualifier,
            sp_name_qualifier,
        },
    )
}

fn profile() -> impl Strategy<Value = Profile> {
    let text = || option::of(any::<String>());
    (any::<String>(), text(), text(), text()).prop_map(|(user, email, display_name, preferred_username)| {
        Profile { user, email, display_name, preferred_username }
    })
}

fn membership() -> impl Strategy<Value = Membership> {
    let source = prop_oneof![
        Just(MembershipSource::Saml),
        Just(MembershipSource::Scim),
        Just(MembershipSource::Invitation),
        Just(MembershipSource::Manual),
        Just(MembershipSource::Claim),
    ];
    (organization_slug(), role(), source, time()).prop_map(|(organization, role, source, since)| Membership {
        organization,
        role,
        source,
        since,
    })
}

fn invitation() -> impl Strategy<Value = Invitation> {
    let source = prop_oneof![Just(InvitationSource::Manual), Just(InvitationSource::Scim)];
    let parts = (any::<[u8; 16]>(), organization_slug(), role(), source, any::<String>(), time());
    (parts, option::of(time())).prop_map(
        |((id, organization, role, source, email, invited_at), expires_at)| Invitation {
            id: InvitationId::from_bytes(id),
            organization,
            role,
            source,
            email,
            invited_at,
            expires_at,
        },
    )
}

fn person() -> impl Strategy<Value = Person> {
    let lists = (vec(membership(), 0..4), vec(invitation(), 0..4), option::of(vec(any::<String>(), 0..4)));
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>());
    (ids, name_id(), profile(), lists, time(), time()).prop_map(
        |(
            (id, enterprise),
            name_id,
            profile,
            (memberships, invitations, last_groups),
            created,
            signed_in,
        )| Person {
            id: PersonId::from_bytes(id),
            enterprise: EnterpriseId::from_bytes(enterprise),
            name_id,
            profile,
            memberships,
            invitations,
            last_groups,
            created_at: created,
            last_sign_in_at: signed_in,
        },
    )
}

fn organization() -> impl Strategy<Value = Organization> {
    let owners = vec(any::<[u8; 16]>(), 0..4);
    (any::<[u8; 16]>(), organization_slug(), owners, option::of(time())).prop_map(
        |(id, slug, owners, unowned_since)| Organization {
            id: OrganizationId::from_bytes(id),
            slug,
            owners: owners.into_iter().map(PersonId::from_bytes).collect(),
            unowned_since,
        },
    )
}

fn session() -> impl Strategy<Value = Session> {
    let ids = (any::<[u8; 32]>(), any::<[u8; 16]>(), any::<[u8; 16]>(), enterprise_slug());
    let said = (name_id(), option::of(any::<String>()), profile(), vec(any::<String>(), 0..4));
    let authn = (time(), option::of(any::<String>()));
    (ids, said, authn, time(), time(), time(), any::<u32>()).prop_map(
        |(
            (id, enterprise_id, person, enterprise),
            said,
            authn,
            created_at,
            last_seen_at,
            expires_at,
            idle,
        )| {
            Session {
                id: SessionId::from_bytes(id),
                enterprise,
                enterprise_id: EnterpriseId::from_bytes(enterprise_id),
                person: PersonId::from_bytes(person),
                name_id: said.0,
                session_index: said.1,
                authn_instant: authn.0,
                authn_context: authn.1,
                profile: said.2,
                groups: said.3,
                created_at,
                last_seen_at,
                expires_at,
                idle_seconds_max: idle,
            }
        },
    )
}

fn demand() -> impl Strategy<Value = AuthnDemand> {
    (any::<bool>(), vec(any::<String>(), 0..3), option::of(any::<u32>()))
        .prop_map(|(force, contexts, age_seconds_max)| AuthnDemand { force, contexts, age_seconds_max })
}

fn pending() -> impl Strategy<Value = PendingSignIn> {
    let texts = (any::<String>(), any::<String>(), any::<String>());
    let replaces = proptest::option::of(any::<[u8; 32]>());
    (any::<[u8; 16]>(), enterprise_slug(), texts, replaces, demand(), time(), time()).prop_map(
        |(
            request,
            enterprise,
            (acs_url, relay_state, return_to),
            replaces,
            demand,
            issued_at,
            expires_at,
        )| {
            PendingSignIn {
                request: RequestId::from_bytes(request),
                enterprise,
                acs_url,
                relay_state,
                return_to,
                replaces: replaces.map(SessionId::from_bytes),
                demand,
                issued_at,
                expires_at,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn people_come_back_equal(person in person()) {
        let stored = encode_person(&person);
        prop_assert_eq!(decode_person(person.enterprise, person.id, &stored).unwrap(), person);
    }

    #[test]
    fn organizations_come_back_equal(organization in organization()) {
        let stored = encode_organization(&organization);
        prop_assert_eq!(decode_organization(organization.id, &stored).unwrap(), organization);
    }

    #[test]
    fn sessions_come_back_equal(session in session()) {
        let stored = encode_session(&session);
        prop_assert_eq!(decode_session(session.id, &stored).unwrap(), Some(session));
    }

    #[test]
    fn pending_sign_ins_come_back_equal(pending in pending()) {
        let stored = encode_pending_sign_in(&pending);
        prop_assert_eq!(decode_pending_sign_in(pending.request, &stored).unwrap(), Some(pending));
    }

    #[test]
    fn metadata_documents_come_back_equal(text in any::<String>(), fetched_at in time(), since in time()) {
        let document = IdpDocument { text, fetched_at, since };
        prop_assert_eq!(decode_idp_document(&encode_idp_document(&document)).unwrap(), document);
    }

    /// Whoever has such a session signs in again; what cannot be read stays a fault.
    #[test]
    fn an_older_version_counts_as_none_and_nothing_else_does(session in session(), pending in pending()) {
        let id = session.id;
        let session = String::from_utf8(encode_session(&session)).unwrap();
        let request = pending.request;
        let pending = String::from_utf8(encode_pending_sign_in(&pending)).unwrap();
        for (to, older) in [
            ("{\"v\":1,", true),
            ("{\"v\":1,\"gone\":[null],", true),
            ("{\"v\":0,", false),
            ("{\"v\":3,", false),
            ("{\"v\":-1,", false),
            ("{\"v\":\"1\",", false),
            ("{\"v\":1,\"v\":2,", false),
            ("{\"v\":2,\"more\":1,", false),
            ("{", false),
            ("\"v\":1,", false),
        ] {
            let session = session.replacen("{\"v\":2,", to, 1);
            let pending = pending.replacen("{\"v\":2,", to, 1);
            let session = decode_session(id, session.as_bytes());
            let pending = decode_pending_sign_in(request, pending.as_bytes());
            let found = [session.map(|s| s.is_none()), pending.map(|p| p.is_none())];
            for found in found {
                prop_assert_eq!(matches!(found, Ok(true)), older, "{}", to);
                prop_assert_eq!(matches!(found, Err(StoreError::Corrupt(_))), !older, "{}", to);
            }
        }
        let cut = session.replacen("{\"v\":2,", "{\"v\":1,", 1);
        prop_assert!(decode_session(id, &cut.as_bytes()[..cut.len() - 1]).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_organization(OrganizationId::from_bytes([0; 16]), &bytes).is_err());
    }
}

#[test]
fn the_stored_form_is_stable() {
    let id = OrganizationId::from_bytes([1; 16]);
    let organization = Organization {
        id,
        slug: OrganizationSlug::parse("octo").unwrap(),
        owners: [PersonId::from_bytes([2; 16])].into(),
        unowned_since: None,
    };
    let stored = r#"{"v":1,"slug":"octo","owners":["02020202020202020202020202020202"],"unowned":null}"#;
    assert_eq!(encode_organization(&organization), stored.as_bytes());
    assert_eq!(decode_organization(id, stored.as_bytes()).unwrap(), organization);
}

#[test]
fn other_versions_fields_and_values_are_corrupt() {
    let id = OrganizationId::from_bytes([1; 16]);
    for stored in [
        r#"{"v":2,"slug":"octo","owners":[],"unowned":null}"#,
        r#"{"slug":"octo","owners":[],"unowned":null}"#,
        r#"{"v":1,"slug":"octo","owners":[],"unowned":null,"more":1}"#,
        r#"{"v":1,"slug":"oc to","owners":[],"unowned":null}"#,
        r#"{"v":1,"slug":"octo","owners":["secret"],"unowned":null}"#,
        r#"{"v":1,"slug":"octo","owners":[],"unowned":9223372036854775807}"#,
        r#"{"v":1,"slug":"octo","owners":[],"owners":[],"unowned":null}"#,
        r#"{"v":1,"slug":"octo","owners":"secret","unowned":null}"#,
        "",
    ] {
        match decode_organization(id, stored.as_bytes()) {
            Err(error @ StoreError::Corrupt(_)) => assert!(!error.to_string().contains("secret"), "{error}"),
            other => panic!("{stored}: {other:?}"),
        }
    }
}

#[test]
fn smaller_parts_than_milliseconds_are_cut_off() {
    let at = Timestamp::new(5, 1_999_999).unwrap();
    let id = OrganizationId::from_bytes([1; 16]);
    let slug = OrganizationSlug::parse("octo").unwrap();
    let organization = Organization { id, slug, owners: [].into(), unowned_since: Some(at) };
    let read = decode_organization(id, &encode_organization(&organization)).unwrap();
    assert_eq!(read.unowned_since, Some(Timestamp::new(5, 1_000_000).unwrap()));
}
