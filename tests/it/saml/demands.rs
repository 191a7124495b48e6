//! What the answer is held to because it was asked for (S-99), and sign-ins that began at the IdP (S-83, S-84).
use portcullis::{
    domain::{AuthnDemand, Timestamp},
    saml::{Connection, NameIdFormat, Reason, Refusal, Settings, VerifiedAssertion},
};

use super::{
    Case,
    forge::{self, Spec, judge, judge_asked, usual_connection},
};

const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password";
const MFA: &str = "https://refeds.org/profile/mfa";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

/// Responses that only [`outcome`]'s demands refuse.
pub fn cases() -> Vec<Case> {
    let owed = |name: &str, reason: Reason| Case::made(name, Some(reason), |_| ());
    vec![
        owed("other-format", Reason::NameIdFormat),
        owed("S-99-password-for-mfa", Reason::AuthnContextMismatch),
        owed("S-99-earlier-sign-in", Reason::AuthnInstantStale),
    ]
}

/// The outcome where the reason is one of a demand, `None` for every other reason.
pub fn outcome(reason: Option<Reason>, octets: &[u8]) -> Option<Result<VerifiedAssertion, Refusal>> {
    match reason? {
        Reason::NameIdFormat => {
            Some(judge(&changed(|settings| settings.name_id_format = NameIdFormat::Persistent), octets))
        }
        Reason::AuthnContextMismatch => Some(judge_asked(&usual_connection(), octets, &contexts(&[MFA]))),
        Reason::AuthnInstantStale => Some(judge_asked(&usual_connection(), octets, &forced())),
        _ => None,
    }
}

fn changed(change: impl FnOnce(&mut Settings)) -> Connection {
    let mut settings = forge::settings(&["idp-rsa"]);
    change(&mut settings);
    Connection::new(settings).unwrap()
}

fn contexts(classes: &[&str]) -> AuthnDemand {
    let contexts = classes.iter().map(|class| (*class).to_owned()).collect();
    AuthnDemand { contexts, ..AuthnDemand::default() }
}

fn forced() -> AuthnDemand {
    AuthnDemand { force: true, ..AuthnDemand::default() }
}

fn spec(change: impl FnOnce(&mut Spec)) -> Vec<u8> {
    let mut spec = Spec::default();
    change(&mut spec);
    spec.xml().into_bytes()
}

fn reason(judged: Result<VerifiedAssertion, Refusal>) -> Option<Reason> {
    judged.err().map(|refusal| refusal.reason)
}

#[test]
fn s_99_the_context_is_one_of_those_asked_for() {
    let class = |class: &str| {
        format!(
            "<saml:AuthnContext><saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef></saml:AuthnContext>"
        )
    };
    let declared =
        "<saml:AuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef></saml:AuthnContext>";
    // The second statement must not speak for the first, of which the session is made.
    let hidden = format!(
        "{}</saml:AuthnStatement><saml:AuthnStatement AuthnInstant=\"2026-01-15T11:50:00Z\">",
        class(PASSWORD)
    ) + &class(MFA);
    let mismatch = Some(Reason::AuthnContextMismatch);
    for (context, asked, expected) in [
        (class(PASSWORD), vec![], None),
        (class(PASSWORD), vec![PASSWORD], None),
        (class(MFA), vec![PASSWORD, MFA], None),
        (class(PASSWORD), vec![MFA], mismatch),
        (class(&MFA.to_uppercase()), vec![MFA], mismatch),
        (class(&format!("{MFA}/")), vec![MFA], mismatch),
        (class(&format!(" {MFA}")), vec![MFA], mismatch),
        (class(""), vec![MFA], mismatch),
        (declared.into(), vec![MFA], mismatch),
        (declared.into(), vec![], None),
        (hidden, vec![MFA], mismatch),
        (
            class(MFA).replace("</saml:AuthnContext>", &class(PASSWORD)[19..]),
            vec![MFA],
            Some(Reason::AssertionShape),
        ),
        (class(MFA) + &class(PASSWORD), vec![MFA], Some(Reason::AssertionShape)),
        (class("<b></b>"), vec![], Some(Reason::ValueNotText)),
    ] {
        let octets = spec(|spec| spec.authn_context = Some(context.clone()));
        let judged = judge_asked(&usual_connection(), &octets, &contexts(&asked));
        assert_eq!(reason(judged), expected, "{context} for {asked:?}");
        // The connection's own demand binds whoever asked, and whatever they asked.
        let own = changed(|s| s.authn_contexts = asked.iter().map(|class| (*class).into()).collect());
        assert_eq!(reason(judge(&own, &octets)), expected, "{context} for {asked:?}");
    }
    let verified = judge(&usual_connection(), &spec(|_| ())).unwrap();
    assert_eq!(verified.authn_context(), Some(PASSWORD));
}

/// The request was issued at 11:59:50.9 and it is noon; clocks may differ by a minute.
#[test]
fn s_99_forced_and_aged_sign_ins() {
    let aged = |force, age| AuthnDemand { force, age_seconds_max: Some(age), ..AuthnDemand::default() };
    let stale = Err(Reason::AuthnInstantStale);
    for (instant, demand, expected) in [
        ("11:50:00Z", AuthnDemand::default(), Ok("11:50:00Z")),
        ("12:00:30Z", AuthnDemand::default(), Ok("12:00:00Z")),
        ("11:59:51Z", forced(), Ok("11:59:51Z")),
        // As our request said it, in whole seconds.
        ("11:59:50Z", forced(), Ok("11:59:50Z")),
        // Within the skew: not before it was asked, by our clock.
        ("11:58:50Z", forced(), Ok("11:59:50Z")),
        ("11:58:49.999Z", forced(), stale),
        ("11:50:00Z", forced(), stale),
        ("11:50:00Z", aged(false, 601), Ok("11:50:00Z")),
        ("11:50:00Z", aged(false, 600), stale),
        ("11:58:50Z", aged(true, 11), Ok("11:59:50Z")),
        ("11:58:50Z", aged(true, 10), stale),
    ] {
        let octets = spec(|spec| drop(spec.authn.insert("AuthnInstant", format!("2026-01-15T{instant}"))));
        let judged = judge_asked(&usual_connection(), &octets, &demand);
        let expected = expected.map(|at| format!("2026-01-15T{at}").parse::<Timestamp>().unwrap());
        let found = judged.map(|verified| verified.signed_in_at()).map_err(|refusal| refusal.reason);
        assert_eq!(found, expected, "{instant} {demand:?}");
    }
    // Without any skew, an IdP that writes whole seconds is not early.
    let strict = changed(|settings| settings.clock_skew_seconds = 0);
    let octets = spec(|spec| drop(spec.authn.insert("AuthnInstant", "2026-01-15T11:59:50Z".into())));
    assert_eq!(reason(judge_asked(&strict, &octets, &forced())), None);
}

#[test]
fn the_format_of_the_name_id_is_the_one_asked_for() {
    let email = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
    let mismatch = Some(Reason::NameIdFormat);
    for (format, wanted, expected) in [
        (None, NameIdFormat::Any, None),
        (None, NameIdFormat::EmailAddress, mismatch),
        (Some(email), NameIdFormat::Any, None),
        (Some(email), NameIdFormat::EmailAddress, None),
        (Some(email), NameIdFormat::Persistent, mismatch),
        (Some(PERSISTENT), NameIdFormat::Persistent, None),
        (Some("urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"), NameIdFormat::Persistent, mismatch),
    ] {
        let octets = spec(|spec| {
            let format = format.map(|format| format!(" Format=\"{format}\"")).unwrap_or_default();
            spec.name_id = format!("<saml:NameID{format}>alice@example.com</saml:NameID>");
        });
        let connection = changed(|settings| settings.name_id_format = wanted);
        assert_eq!(reason(judge(&connection, &octets)), expected, "{format:?} for {wanted:?}");
    }
}

fn unsolicited(spec: &mut Spec) {
    spec.response.remove("InResponseTo");
    spec.confirmation.remove("InResponseTo");
}

#[test]
fn s_84_a_response_that_answers_nothing_is_taken_only_where_it_is_allowed() {
    let allowed = changed(|settings| settings.idp_initiated = true);
    let octets = spec(unsolicited);
    assert_eq!(reason(judge(&usual_connection(), &octets)), Some(Reason::Unsolicited));
    assert_eq!(judge(&allowed, &octets).unwrap().in_response_to(), None);
    // Whoever may begin at the IdP is held to the connection's demands all the same.
    let both = changed(|settings| {
        settings.idp_initiated = true;
        settings.authn_contexts = vec![MFA.into()];
    });
    assert_eq!(reason(judge(&both, &octets)), Some(Reason::AuthnContextMismatch));
    for (name, octets, expected) in [
        ("solicited", spec(|_| ()), None),
        (
            "audience",
            spec(|s| (unsolicited(s), s.restrictions = Some(forge::audience(&["x"]))).1),
            Some(Reason::AudienceMismatch),
        ),
        (
            "recipient",
            spec(|s| (unsolicited(s), drop(s.confirmation.remove("Recipient"))).1),
            Some(Reason::RecipientMismatch),
        ),
        (
            "no end",
            spec(|s| (unsolicited(s), drop(s.confirmation.remove("NotOnOrAfter"))).1),
            Some(Reason::ConfirmationUnbounded),
        ),
    ] {
        assert_eq!(reason(judge(&allowed, &octets)), expected, "{name}");
    }
}

/// Where sign-ins may begin at the IdP, what names a request is held to it as before, whichever part names it.
#[test]
fn s_83_what_names_a_request_is_held_to_it_where_others_need_not() {
    let allowed = changed(|settings| settings.idp_initiated = true);
    let stranger = |s: &mut Spec| {
        s.response.insert("InResponseTo", "_stranger".into());
        s.confirmation.insert("InResponseTo", "_stranger".into());
    };
    let second = |spec: &mut Spec| {
        unsolicited(spec);
        spec.after_confirmation = format!(
            "<saml:SubjectConfirmation Method=\"{}\"><saml:SubjectConfirmationData InResponseTo=\"_stranger\" \
             NotOnOrAfter=\"2026-01-15T12:05:00Z\" Recipient=\"{}\"></saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation>",
            forge::BEARER,
            forge::ACS
        );
    };
    for (name, octets, expected) in [
        ("another browser's request", spec(stranger), Reason::RequestUnknown),
        // The Response is not signed: a thief takes the request's ID away.
        (
            "taken away",
            spec(|s| drop(s.response.remove("InResponseTo"))),
            Reason::ConfirmationRequestMismatch,
        ),
        ("in a second confirmation", spec(second), Reason::ConfirmationRequestMismatch),
        ("put on", spec(|s| drop(s.confirmation.remove("InResponseTo"))), Reason::ConfirmationUnsolicited),
        (
            "empty",
            spec(|s| (unsolicited(s), drop(s.response.insert("InResponseTo", String::new()))).1),
            Reason::RequestUnknown,
        ),
    ] {
        assert_eq!(reason(judge(&allowed, &octets)), Some(expected), "{name}");
    }
}
