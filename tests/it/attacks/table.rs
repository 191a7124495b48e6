//! The cases of `tests/it/saml`, number by number, posted to the ACS.
use portcullis::{domain::AuthnDemand, saml::Reason};

use super::world::{CASES, Seen, World};
use crate::{
    saml::{Case, forge, subjects},
    support::gateway::{Backend, Setup},
};

const CERTIFICATES: &[&str] = &["idp-rsa", "idp-p256", "idp-p384"];
const FORBIDDEN: u16 = 403;

/// Posts every case whose name begins with the item's number.
async fn check(item: &str) {
    let cases = CASES.iter().filter(|case| number(case) == Some(item));
    post_all(item, cases).await;
}

async fn post_all(item: &str, cases: impl Iterator<Item = &'static Case>) {
    let world = World::new(CERTIFICATES).await;
    let mut count = 0;
    for case in cases.filter(|case| !is_of_another_connection(case)) {
        count += 1;
        let seen = world.post_case(case);
        match case.reason {
            Some(reason) => world.expect_refused(&case.name, &seen, FORBIDDEN, reason.code()),
            None => {
                world.expect_accepted(&case.name, &seen);
                world.rewind().await;
            }
        }
    }
    assert!(count > 0, "{item} has no case");
    // The control: what was refused consumed nothing, and the same browser signs in.
    let genuine = CASES.iter().find(|case| case.name == "assertion-signed").expect("a genuine response");
    world.expect_accepted("the genuine response", &world.post_case(genuine));
    world.stop().await;
}

/// `S-01` of `S-01.1-response-in-signature`.
fn number(case: &Case) -> Option<&str> {
    let rest = case.name.strip_prefix("S-")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    case.name.get(..digits + "S-".len())
}

macro_rules! items {
    ($($test:ident $item:literal,)+) => {
        const ITEMS: &[&str] = &[$($item),+];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                check($item).await;
            }
        )+
    };
}

items! {
    s_01_signatures_wrapped_in_eight_ways "S-01",
    s_02_an_unsigned_assertion_before_the_signed_one "S-02",
    s_03_an_unsigned_assertion_after_the_signed_one "S-03",
    s_04_the_genuine_assertion_hidden_under_the_same_id "S-04",
    s_05_the_genuine_assertion_moved_elsewhere "S-05",
    s_06_other_elements_that_the_idp_signed "S-06",
    s_07_assertions_where_the_digest_does_not_look "S-07",
    s_08_decoy_signatures "S-08",
    s_09_a_doctype_that_two_parsers_read_differently "S-09",
    s_10_a_default_namespace_by_attlist "S-10",
    s_11_void_canonicalization "S-11",
    s_12_attributes_that_look_like_others "S-12",
    s_13_elements_and_namespaces_that_look_like_others "S-13",
    s_14_an_entity_in_an_id "S-14",
    s_15_two_signed_assertions "S-15",
    s_16_the_verified_copy_first "S-16",
    s_20_comments_in_values "S-20",
    s_21_processing_instructions "S-21",
    s_22_other_spellings_of_a_value "S-22",
    s_23_elements_in_values "S-23",
    s_24_comments_in_values_of_the_protocol "S-24",
    s_25_what_the_unsigned_response_says "S-25",
    s_30_comments_in_signatures "S-30",
    s_31_parts_of_a_signature_twice "S-31",
    s_32_two_references "S-32",
    s_33_references_to_other_elements "S-33",
    s_34_references_in_other_forms "S-34",
    s_35_references_to_other_resources "S-35",
    s_36_xslt "S-36",
    s_37_xpath "S-37",
    s_38_other_transforms "S-38",
    s_39_objects_in_signatures "S-39",
    s_41_digests_that_are_nearly_equal "S-41",
    s_50_keys_in_messages "S-50",
    s_51_junk_in_key_info "S-51",
    s_52_hmac_with_what_is_public "S-52",
    s_53_hmac_output_length "S-53",
    s_54_weak_algorithms "S-54",
    s_55_other_algorithms "S-55",
    s_56_signatures_that_are_none "S-56",
    s_60_document_types "S-60",
    s_61_other_encodings "S-61",
    s_62_what_is_decrypted_is_no_less_strict "S-62",
    s_63_what_is_not_well_formed "S-63",
    s_64_depth "S-64",
    s_65_attributes_and_namespaces "S-65",
    s_66_size "S-66",
    s_68_base64 "S-68",
    s_70_encrypted_and_signed_by_nobody "S-70",
    s_71_encrypted_beside_what_is_signed "S-71",
    s_72_modes_that_are_oracles "S-72",
    s_73_tags_and_nonces "S-73",
    s_74_keys_that_lead_elsewhere "S-74",
    s_83_requests_of_others "S-83",
    s_84_what_answers_no_request "S-84",
    s_85_destinations "S-85",
    s_86_recipients_and_audiences "S-86",
    s_87_confirmations "S-87",
    s_88_conditions "S-88",
    s_89_timestamps "S-89",
    s_90_issuers "S-90",
    s_94_statuses "S-94",
    s_96_name_ids_that_look_like_others "S-96",
    s_97_name_ids_that_break_lines "S-97",
    s_102_scripts "S-102",
}

/// The cases that no item of the checklist names.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_is_refused_and_accepted() {
    post_all("the rest", CASES.iter().filter(|case| number(case).is_none())).await;
}

/// Cases of settings that the gateway here does not have; what each needs is beside them.
fn is_of_another_connection(case: &Case) -> bool {
    let code = case.reason.map_or("", Reason::code);
    [
        "key_type_missing",
        "assertion_encrypted",
        "encrypted_part",
        "assertion_not_encrypted",
        "name_id_format",
        "authn_context_mismatch",
        "authn_instant_stale",
    ]
    .contains(&code)
        || code.starts_with("subject_attribute")
}

/// Posts the cases of a reason to a gateway that has what they are made for.
async fn post_where(setting: &'static str, value: &'static str, demand: AuthnDemand, codes: &[&str]) {
    let setup = Setup::new(Backend::Embedded);
    let key = format!("enterprise.example.saml.{setting}");
    let world = World::with(setup, CERTIFICATES, move |overrides| overrides.set(&key, value)).await;
    world.open_sign_ins_asking("example", forge::ACS, &demand).await;
    for code in codes {
        let mut count = 0;
        for case in CASES.iter().filter(|case| case.reason.is_some_and(|reason| reason.code() == *code)) {
            count += 1;
            world.expect_refused(&case.name, &world.post_case(case), FORBIDDEN, code);
        }
        assert!(count > 0, "no case of {code}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_99_less_than_was_asked_for() {
    let mfa = "https://refeds.org/profile/mfa";
    post_where("authn_context", mfa, AuthnDemand::default(), &["authn_context_mismatch"]).await;
    let forced = AuthnDemand { force: true, ..AuthnDemand::default() };
    post_where("force_authn", "true", forced, &["authn_instant_stale"]).await;
    post_where("name_id_format", "persistent", AuthnDemand::default(), &["name_id_format"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_where_nobody_can_read_it_and_not_where_it_must_be() {
    let demand = AuthnDemand::default;
    post_where("decryption_keys", "", demand(), &["assertion_encrypted", "encrypted_part"]).await;
    post_where("encrypted", "true", demand(), &["assertion_not_encrypted"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_95_attributes_that_identify_people() {
    let setup = Setup::new(Backend::Embedded);
    let world = World::with(setup, CERTIFICATES, |overrides| {
        overrides.set("enterprise.example.saml.subject", subjects::OBJECT_ID)
    });
    let world = world.await;
    let mut count = 0;
    for case in CASES.iter() {
        let Some(reason) = case.reason.filter(|reason| reason.code().starts_with("subject_attribute")) else {
            continue;
        };
        count += 1;
        world.expect_refused(&case.name, &world.post_case(case), FORBIDDEN, reason.code());
    }
    assert!(count > 10, "{count} cases");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_no_key_of_the_connection_could_have_made() {
    let world = World::new(&["idp-rsa"]).await;
    for case in CASES.iter().filter(|case| case.reason == Some(Reason::KeyTypeMissing)) {
        world.expect_refused(&case.name, &world.post_case(case), FORBIDDEN, "key_type_missing");
    }
    world.stop().await;
}

/// Each thing that is owed can be missed, and is then found.
#[tokio::test(flavor = "multi_thread")]
async fn every_expectation_can_fail() {
    type Spoil = fn(&mut Seen);
    let spoilt: &[(&str, Spoil)] = &[
        ("a write", |seen| seen.writes = 1),
        ("a request to the origin server", |seen| seen.forwarded = 1),
        ("no audit event", |seen| seen.audit.clear()),
        ("two audit events", |seen| seen.audit.push(seen.audit[0].clone())),
        ("another reason", |seen| seen.audit[0]["reason"] = "status_not_success".into()),
        ("a cookie", |seen| seen.answer.head += "set-cookie: a=b\r\n"),
        ("a redirect", |seen| seen.answer.head += "location: /\r\n"),
        ("another origin", |seen| seen.answer.head += "access-control-allow-origin: *\r\n"),
        ("no policy", |seen| seen.answer.head = seen.answer.head.replace("default-src 'none'", "")),
        ("something of the message", |seen| seen.answer.body += "<b>alice</b>"),
        ("another page", |seen| seen.answer.body += " "),
        ("no error id", |seen| seen.answer.body = seen.answer.body.replace(&seen.request_id, "")),
        ("another status", |seen| seen.answer.status = 200),
    ];
    let world = World::new(CERTIFICATES).await;
    let case = CASES.iter().find(|case| case.name == "not-signed").expect("a case");
    world.expect_refused("as it is", &world.post_case(case), FORBIDDEN, "signature_missing");
    for (name, spoil) in spoilt {
        let mut seen = world.post_case(case);
        spoil(&mut seen);
        let expect = || world.expect_refused(name, &seen, FORBIDDEN, "signature_missing");
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(expect));
        assert!(found.is_err(), "{name} passes");
    }
    world.stop().await;
}

/// A number that a case carries has a test of its own.
#[test]
fn every_number_is_checked() {
    /// Items whose cases are made for other settings, and are checked with those.
    const ELSEWHERE: &[&str] = &["S-95", "S-99"];
    for item in CASES.iter().filter_map(number) {
        assert!(ITEMS.contains(&item) || ELSEWHERE.contains(&item), "no test posts the cases of {item}");
    }
}
