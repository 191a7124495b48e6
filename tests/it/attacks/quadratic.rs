//! S-69: what takes a program quadratic time that is not careful. Refused as anything is that is refused, and without work that
//! grows faster than the message: counted in processor time of a process of its own, which other tests do not add to.
use std::fs;

use portcullis::saml::Reason;

use super::{
    program::Program,
    world::{Post, World, aimed, form_value, message},
};
use crate::saml::{Case, forge};

/// About as long as a message may be.
const LENGTH: usize = 150_000;
/// Processor time for one message, in seconds. The unoptimized program takes hundredths of one; what is quadratic in [`LENGTH`], or
/// compares thousands of names with each other, takes many times this.
const CPU_SECONDS_MAX: f64 = 0.4;
/// Of the counters in `/proc/PID/stat`: the kernel tells programs a hundred on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

fn made<R>(name: &str, reason: Reason, change: impl FnOnce(&mut forge::Spec) -> R) -> Case {
    Case::made(name, Some(reason), change)
}

/// Long in one way each: digits, names, namespaces, references, prefixes, elements.
fn cases() -> Vec<Case> {
    let long = "a".repeat(LENGTH);
    let many = |piece: &dyn Fn(usize) -> String| {
        let length = piece(10_000).len();
        (0..LENGTH / length).map(piece).collect::<String>()
    };
    vec![
        made("fraction digits", Reason::TimestampInvalid, |spec| {
            spec.assertion.insert("IssueInstant", format!("2026-01-15T11:59:58.{}Z", "0".repeat(LENGTH)))
        }),
        made("year digits", Reason::TimestampInvalid, |spec| {
            spec.confirmation.insert("NotOnOrAfter", format!("{}-01-15T12:05:00Z", "2".repeat(LENGTH)))
        }),
        made("an ID that is nearly a name", Reason::IdInvalid, |spec| {
            spec.response.insert("ID", format!("{long}:"))
        }),
        made("a NameID", Reason::NameIdTooLong, |spec| {
            spec.name_id = format!("<saml:NameID>{long}</saml:NameID>")
        }),
        made("a NameID of comments", Reason::NodesExceeded, |spec| {
            let comments = "a<!---->".repeat(LENGTH / 8);
            spec.name_id = format!("<saml:NameID>{comments}</saml:NameID>");
        }),
        made("namespaces", Reason::NamespacesExceeded, |spec| {
            spec.advice =
                format!("<saml:Advice>{}</saml:Advice>", many(&|n| format!("<x xmlns=\"u:{n:05}\"/>")));
        }),
        made("references", Reason::DestinationMismatch, |spec| {
            spec.response.insert("Destination", format!("{}{}", forge::ACS, "&amp;".repeat(LENGTH / 5)))
        }),
        made("half ends of CDATA", Reason::AudienceMismatch, |spec| {
            spec.restrictions = Some(forge::audience(&[&"]] ]".repeat(LENGTH / 4)]));
        }),
        made("audiences", Reason::AudienceMismatch, |spec| {
            let audiences = many(&|n| format!("<saml:Audience>urn:{n:05}</saml:Audience>"));
            spec.restrictions =
                Some(format!("<saml:AudienceRestriction>{audiences}</saml:AudienceRestriction>"));
        }),
        made("confirmations", Reason::RecipientMismatch, |spec| {
            spec.confirmation.insert("Recipient", "urn:x".into());
            let one = format!(
                "<saml:SubjectConfirmation Method=\"{}\"><saml:SubjectConfirmationData Recipient=\"urn:x\">\
                 </saml:SubjectConfirmationData></saml:SubjectConfirmation>",
                forge::BEARER
            );
            spec.after_confirmation = one.repeat(LENGTH / one.len());
        }),
        made("prefixes", Reason::Transforms, |spec| {
            let list = format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"{}\" PrefixList=\"{}\"></ec:InclusiveNamespaces>",
                forge::EXC,
                many(&|n| format!("p{n:05} "))
            );
            let sign = spec.sign_assertion.as_mut().expect("signed");
            let exclusive = forge::transform(forge::EXC).replace("></", &format!(">{list}</"));
            sign.transforms = forge::transform(forge::ENVELOPED) + &exclusive;
        }),
    ]
}

/// Attributes that are all united, as a claim of many groups is spelled by some.
fn groups() -> Case {
    Case::made("groups", None, |spec| {
        spec.attributes +=
            &(0..1_500).map(|n| forge::attribute("groups", &[&format!("group-{n:05}")])).collect::<String>();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s_69_what_is_long_in_one_way_is_refused_like_anything_else() {
    let world = World::new(&["idp-rsa"]).await;
    for case in aimed(cases) {
        world.expect_refused(&case.name, &world.post_case(&case), 403, case.reason.expect("a reason").code());
    }
    let parameters = "a=&".repeat(LENGTH / 3) + "SAMLResponse=PHgvPg==";
    let post = |body: String| Post { body: body.into_bytes(), ..super::world::form("") };
    world.expect_refused("parameters", &world.post(&post(parameters)), 403, "root_not_response");
    let relay_state =
        format!("SAMLResponse={}&RelayState={}", escaped(&message(|_| {})), "%2F".repeat(LENGTH / 3));
    world.expect_refused("RelayState", &world.post(&post(relay_state)), 403, "relay_state_mismatch");
    world.expect_accepted("groups", &world.post_case(&aimed(groups)));
    world.stop().await;
}

fn escaped(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// Processor time that a process has used, in seconds.
fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    // utime and stime are the 14th and 15th, the first two of which stand before the parenthesis.
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

#[test]
fn s_69_no_message_takes_longer_than_its_length_asks() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.redb").display().to_string();
    let mut program = Program::start(&[("PORTCULLIS_STORE_PATH", store)]);
    let requests = program.begin();
    let mut all = program.made(requests.clone(), "_long", cases);
    all.push(program.made(requests, "_groups", groups));
    for case in &all {
        let before = cpu_seconds(program.process.id());
        let answer = program.post(case);
        let took = cpu_seconds(program.process.id()) - before;
        let owed = if case.reason.is_some() { 403 } else { 303 };
        println!("{}: {took} s", case.name);
        assert_eq!(answer.status, owed, "{}: {}", case.name, answer.body);
        assert!(took < CPU_SECONDS_MAX, "{}, {} bytes: {took} s", case.name, form_value(case).len());
    }
    assert!(program.origin.take().is_empty(), "a request to the origin server");
}
