//! Round trips over arbitrary values, and what must be refused.
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::domain::{
    AccessToken, AuthnDemand, BatchId, EnterpriseSlug, FormerMembership, HeldRemoval, Invitation,
    InvitationId, InvitationReference, InvitationSecret, InvitationSource, MailSubject, Membership,
    MembershipSource, NameId, OrganizationSlug, Pin, PinReason, Profile, Role, Scope, Standing, Timestamp,
    TokenId,
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
    let pin = prop_oneof![Just(PinReason::Claim), Just(PinReason::Owner)];
    let pin = option::of((pin, time()).prop_map(|(reason, since)| Pin { reason, since }));
    let held = option::of((batch(), time()).prop_map(|(batch, since)| HeldRemoval { since, batch }));
    (organization_slug(), role(), source, time(), pin, held).prop_map(
        |(organization, role, source, since, pin, held)| Membership {
            organization,
            role,
            source,
            since,
            pin,
            held,
        },
    )
}

fn batch() -> impl Strategy<Value = BatchId> {
    "[a-z0-9:-]{1,64}".prop_map(|text| BatchId::parse(&text).unwrap())
}

fn former() -> impl Strategy<Value = FormerMembership> {
    (membership(), time(), batch()).prop_map(|(membership, ended_at, batch)| FormerMembership {
        organization: membership.organization,
        role: membership.role,
        source: membership.source,
        since: membership.since,
        ended_at,
        batch,
    })
}

fn token() -> impl Strategy<Value = AccessToken> {
    let scope = prop_oneof![Just(Scope::Proxy), Just(Scope::ApiRead), Just(Scope::ApiWrite)];
    let ids = (any::<[u8; 16]>(), any::<[u8; 32]>(), any::<String>(), any::<String>());
    (ids, vec(organization_slug(), 0..3), vec(scope, 0..3), time(), time()).prop_map(
        |((id, secret, name, last_eight), organizations, scopes, created_at, expires_at)| AccessToken {
            id: TokenId::from_bytes(id),
            secret,
            name,
            organizations,
            scopes,
            last_eight,
            created_at,
            expires_at,
        },
    )
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Active),
        time().prop_map(|since| Standing::Deactivated { since }),
        time().prop_map(|since| Standing::Deleted { since }),
    ]
}

fn invitation() -> impl Strategy<Value = Invitation> {
    let source = prop_oneof![Just(InvitationSource::Manual), Just(InvitationSource::Scim)];
    let parts = (any::<[u8; 16]>(), organization_slug(), role(), source, any::<String>(), time());
    let who = || option::of(any::<[u8; 16]>().prop_map(PersonId::from_bytes));
    let mail = (any::<[u8; 32]>(), any::<u32>(), time(), option::of(time()));
    (parts, option::of(time()), who(), who(), mail).prop_map(
        |(parts, expires_at, person, inviter, (secret, sent, sent_at, undeliverable_since))| {
            let (id, organization, role, source, email, invited_at) = parts;
            let id = InvitationId::from_bytes(id);
            Invitation {
                id,
                organization,
                role,
                source,
                email,
                person,
                inviter,
                invited_at,
                expires_at,
                secret,
                sent,
                sent_at,
                undeliverable_since,
            }
        },
    )
}

fn invitee() -> impl Strategy<Value = Invitee> {
    (any::<[u8; 16]>(), vec(invitation(), 0..4))
        .prop_map(|(address, invitations)| Invitee { address: AddressId::from_bytes(address), invitations })
}

fn person() -> impl Strategy<Value = Person> {
    let lists = (
        vec(membership(), 0..4),
        vec(former(), 0..4),
        vec(token(), 0..3),
        option::of(vec(any::<String>(), 0..4)),
    );
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<String>());
    let times = (option::of(time()), option::of(time()), time(), time());
    (ids, standing(), name_id(), profile(), lists, times).prop_map(
        |((id, enterprise, issuer), standing, name_id, profile, lists, times)| {
            let (memberships, former, tokens, last_groups) = lists;
            let (linked_at, decided_at, created_at, last_sign_in_at) = times;
            Person {
                id: PersonId::from_bytes(id),
                enterprise: EnterpriseId::from_bytes(enterprise),
                standing,
                linked_at,
                issuer,
                name_id,
                profile,
                memberships,
                former,
                tokens,
                last_groups,
                decided_at,
                created_at,
                last_sign_in_at,
            }
        },
    )
}

fn organization() -> impl Strategy<Value = Organization> {
    let owners = vec(any::<[u8; 16]>(), 0..4);
    let told = (option::of(any::<String>()), vec(any::<String>(), 0..3), option::of(any::<bool>()));
    let counts = || vec((time(), any::<u32>()), 0..4);
    let counts = (counts(), counts());
    let times = (option::of(time()), option::of(time()));
    (any::<[u8; 16]>(), organization_slug(), owners, told, times, counts).prop_map(
        |(
            id,
            slug,
            owners,
            (display_name, aliases, managed),
            (created_at, unowned_since),
            (removals, invited),
        )| {
            Organization {
                id: OrganizationId::from_bytes(id),
                slug,
                display_name,
                aliases,
                managed,
                created_at,
                owners: owners.into_iter().map(PersonId::from_bytes).collect(),
                unowned_since,
                removals,
                invited,
            }
        },
    )
}

fn mail() -> impl Strategy<Value = QueuedMail> {
    let reference = any::<[u8; 32]>().prop_map(InvitationReference::from_bytes);
    let secret = any::<[u8; 32]>().prop_map(InvitationSecret::from_random);
    let offer = (reference, role(), option::of(any::<String>()), secret, option::of(time()));
    let subject = (0..3, organization_slug(), offer).prop_map(|(kind, organization, offer)| {
        let (reference, role, inviter, secret, expires_at) = offer;
        match kind {
            0 => MailSubject::Removed { organization },
            1 => MailSubject::InvitationCancelled { organization },
            _ => MailSubject::Invitation { organization, reference, role, inviter, secret, expires_at },
        }
    });
    (any::<[u8; 16]>(), any::<String>(), subject, time(), time(), any::<u32>()).prop_map(
        |(id, to, subject, queued_at, due_at, attempts)| QueuedMail {
            id: MailId::from_bytes(id),
            to,
            subject,
            queued_at,
            due_at,
            attempts,
        },
    )
}

fn recovery_codes() -> impl Strategy<Value = RecoveryCodes> {
    (any::<[u8; 16]>(), time(), vec(any::<[u8; 32]>(), 0..20), 0_usize..20).prop_map(
        |(person, generated_at, hashes, used)| RecoveryCodes {
            person: PersonId::from_bytes(person),
            generated_at,
            hashes,
            used,
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
    fn invitees_come_back_equal(invitee in invitee()) {
        prop_assert_eq!(decode_invitee(invitee.address, &encode_invitee(&invitee)).unwrap(), invitee);
    }

    #[test]
    fn mails_and_recovery_codes_read_as_written(mail in mail(), codes in recovery_codes()) {
        let stored = encode_mail(&mail);
        prop_assert_eq!(decode_mail(mail.id, &stored).unwrap(), mail.clone());
        let (due, id) = decode_due(&encode_due(mail.due_at, mail.id)).unwrap();
        prop_assert_eq!((due.as_millisecond(), id), (mail.due_at.as_millisecond().max(0), mail.id));
        prop_assert_eq!(decode_recovery_codes(&encode_recovery_codes(&codes)).unwrap(), codes);
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
        owners: [PersonId::from_bytes([2; 16])].into(),
        ..Organization::new(id, OrganizationSlug::parse("octo").unwrap())
    };
    let stored = r#"{"v":2,"slug":"octo","owners":["02020202020202020202020202020202"],"unowned":null}"#;
    assert_eq!(encode_organization(&organization), stored.as_bytes());
    assert_eq!(decode_organization(id, stored.as_bytes()).unwrap(), organization);
}

#[test]
fn other_versions_fields_and_values_are_corrupt() {
    let id = OrganizationId::from_bytes([1; 16]);
    for stored in [
        r#"{"v":1,"slug":"octo","owners":[],"unowned":null}"#,
        r#"{"slug":"octo","owners":[],"unowned":null}"#,
        r#"{"v":2,"slug":"octo","owners":[],"unowned":null,"more":1}"#,
        r#"{"v":2,"slug":"oc to","owners":[],"unowned":null}"#,
        r#"{"v":2,"slug":"octo","owners":["secret"],"unowned":null}"#,
        r#"{"v":2,"slug":"octo","owners":[],"unowned":9223372036854775807}"#,
        r#"{"v":2,"slug":"octo","owners":[],"owners":[],"unowned":null}"#,
        r#"{"v":2,"slug":"octo","owners":"secret","unowned":null}"#,
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
    let organization = Organization { unowned_since: Some(at), ..Organization::new(id, slug) };
    let read = decode_organization(id, &encode_organization(&organization)).unwrap();
    assert_eq!(read.unowned_since, Some(Timestamp::new(5, 1_000_000).unwrap()));
}
