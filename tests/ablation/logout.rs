//! The guards of logout: of messages, over `fixtures/saml/logout`; of what they set in motion, with a whole gateway.
use std::sync::atomic::Ordering;

use portcullis::{
    demo::browser::Browser,
    edge::cookies,
    saml::{
        LogoutRefusal,
        guard::{Guard, without},
    },
};
use tokio::runtime::Runtime;

use crate::{
    logout::{
        fixtures,
        forge_logout::{Message, SUCCESS, at, code},
        gateway,
        refused::leaves,
        token,
    },
    probes::{self, ACCEPTED, Probe},
    support::{
        foreign::browser,
        gateway::{Backend, Setup, TestGateway},
        tenants::GLOBEX,
    },
};

/// Of logout alone.
pub const MESSAGES: &[Guard] = &[
    Guard::QueryOnce,
    Guard::QuerySpelling,
    Guard::QueryOneMessage,
    Guard::QueryDeflate,
    Guard::QueryEscapes,
    Guard::QuerySigned,
    Guard::QueryBase64,
    Guard::DeflateValid,
    Guard::InflatedSize,
    Guard::DeflateTrailing,
    Guard::SoapEnvelope,
    Guard::SoapUnderstood,
    Guard::LogoutElement,
    Guard::LogoutShape,
    Guard::LogoutSessions,
    Guard::LogoutExpiry,
    Guard::LogoutAnswers,
];

/// Those that responses have, too, and that are asked again in code of logout's own.
const SHARED: &[Guard] = &[
    Guard::DecodedSize,
    Guard::Version,
    Guard::NoEncryptedPart,
    Guard::SignaturePlace,
    Guard::SignatureThere,
    Guard::SignatureAlgorithm,
    Guard::SignatureBase64,
    Guard::SignatureTextSize,
    Guard::SignatureValue,
    Guard::Digest,
    Guard::Reread,
    Guard::IssuerFormat,
    Guard::ResponseIssuer,
    Guard::DestinationThere,
    Guard::Destination,
    Guard::IssuedInFuture,
    Guard::IssuedLongAgo,
    Guard::NameIdThere,
    Guard::SubjectLength,
];

pub const OVER_HTTP: &[Guard] = &[
    Guard::LogoutOfTenant,
    Guard::LogoutRelayState,
    Guard::LogoutRelayStateSize,
    Guard::LogoutRequestOnce,
    Guard::LogoutOnce,
    Guard::LogoutNameId,
    Guard::LogoutSessionIndex,
    Guard::LoggedOut,
    Guard::LogoutOrigin,
    Guard::ReturnPath,
];

/// Those of the ACS's form that the SLO URL asks again.
const FORM: &[Guard] = &[Guard::FormContentType, Guard::FormNotInQuery, Guard::FormSize];

/// Takes each guard away; what is wrong.
pub fn run() -> Vec<String> {
    let probe = |case: fixtures::Case| {
        let connection = fixtures::connection(&case);
        Probe::new(case.name, move || match fixtures::judged(&connection, &case) {
            Ok(()) => ACCEPTED.into(),
            Err(refusal) => LogoutRefusal::code(&refusal).into(),
        })
    };
    let probes: Vec<Probe> = fixtures::cases().into_iter().map(probe).collect();
    let mut faults = probes::run("logout", MESSAGES, &probes);
    faults.extend(probes::run("logout", SHARED, &probes));
    faults.extend(Runtime::new().expect("a runtime").block_on(over_http()));
    faults
}

async fn over_http() -> Vec<String> {
    let ours = gateway(Backend::Embedded, "redirect").await;
    let two = two_enterprises().await;
    let mut faults = vec![];
    for guard in OVER_HTTP.iter().chain(FORM) {
        let gateway = if *guard == Guard::LogoutOfTenant { &two } else { &ours };
        let with = attack(gateway, *guard, &[]).await;
        let gone = attack(gateway, *guard, &[*guard]).await;
        println!("{:<24} over HTTP: {with} -> {gone}", format!("{guard:?}"));
        if with == gone {
            faults.push(format!("{guard:?}: {with} with it, {gone} without"));
        }
    }
    for gateway in [ours, two] {
        gateway.stop().await;
    }
    faults
}

async fn two_enterprises() -> TestGateway {
    let mut setup =
        Setup { tables: GLOBEX, single_logout: Some("redirect"), ..Setup::new(Backend::Embedded) };
    setup.idp.key_pem = crate::saml::forge::private_key("idp-rsa").private_key_to_pem_pkcs8().expect("PEM");
    setup.idp.certificate_pem = crate::saml::forge::certificate("idp-rsa");
    TestGateway::set_up(setup).await
}

/// What becomes of the attack that the guard is for, while `gone` are gone.
async fn attack(gateway: &TestGateway, guard: Guard, gone: &[Guard]) -> String {
    match guard {
        Guard::LogoutOfTenant => another_enterprises_answer(gateway, gone).await,
        Guard::LogoutRelayState | Guard::LogoutRequestOnce => answered(gateway, guard, gone).await,
        Guard::LoggedOut => late(gateway, gone).await,
        Guard::FormContentType | Guard::FormNotInQuery | Guard::FormSize => {
            let form = gateway.logout_request("carol", &[]).form(None);
            let (target, kind, body) = match guard {
                Guard::FormContentType => ("/saml/slo", "text/plain", form),
                Guard::FormNotInQuery => {
                    ("/saml/slo?RelayState=x", "application/x-www-form-urlencoded", form)
                }
                _ => ("/saml/slo", "application/x-www-form-urlencoded", form + &"&a=".repeat(200_000)),
            };
            let fields = format!("Content-Type: {kind}\r\n");
            status(without(gone, || gateway.call("POST", target, &fields, &body)))
        }
        Guard::LogoutOrigin => {
            let (alice, _) = gateway.signed_in("alice").await;
            let session = format!("Cookie: {}={}\r\n", cookies::SESSION, token(&alice).expose());
            let fields = format!("{session}Sec-Fetch-Site: cross-site\r\n");
            status(without(gone, || gateway.call("POST", "/saml/logout", &fields, "")))
        }
        Guard::ReturnPath => {
            let target = "/saml/logout?return_to=//evil.example";
            let fields = "Sec-Fetch-Site: same-origin\r\n";
            status(without(gone, || gateway.call("POST", target, fields, "")))
        }
        _ => asked(gateway, guard, gone).await,
    }
}

fn status((status, _): (u16, String)) -> String {
    status.to_string()
}

/// A LogoutRequest of the IdP, and what becomes of the session.
async fn asked(gateway: &TestGateway, guard: Guard, gone: &[Guard]) -> String {
    let (mut alice, _) = gateway.signed_in("alice").await;
    // Some seconds old, so that whoever signs in again does so later.
    let request = |indexes: &[&str]| {
        let mut request = gateway.logout_request("alice", indexes);
        request.attributes.insert("IssueInstant", at(-30));
        request
    };
    let (relay_state, mut request) = match guard {
        Guard::LogoutRelayStateSize => (Some("a".repeat(1025)), request(&[])),
        Guard::LogoutSessionIndex => (None, request(&["_other"])),
        _ => (None, request(&[])),
    };
    match guard {
        Guard::LogoutRelayStateSize | Guard::LogoutSessionIndex => {}
        Guard::LogoutNameId => {
            request.rest = request.rest.replace("nameid-format:persistent", "nameid-format:transient");
        }
        Guard::LogoutOnce => {
            assert_eq!(gateway.redirect(&request.query(None)).0, 303);
            alice = gateway.signed_in("alice").await.0;
        }
        other => unreachable!("{other:?} is no guard of a LogoutRequest"),
    }
    let (status, _) = without(gone, || gateway.redirect(&request.query(relay_state.as_deref())));
    let lives = if gateway.identity(&mut alice).await.is_some() { "lives" } else { "ended" };
    format!("{status}, the session {lives}")
}

/// The IdP's answer to a LogoutRequest of ours.
async fn answered(gateway: &TestGateway, guard: Guard, gone: &[Guard]) -> String {
    let (alice, _) = gateway.signed_in("alice").await;
    let (handle, request) = leaves(gateway, &alice, "/saml/logout?return_to=/public");
    let answer = Message::response(&gateway.idp_entity_id, &gateway.slo_url(), &request, &code(SUCCESS, ""));
    let log = gateway.log().expect("a log");
    log.robbed.store(guard == Guard::LogoutRequestOnce, Ordering::SeqCst);
    let relay_state = (guard == Guard::LogoutRelayState).then_some("x");
    let target = format!("/saml/slo?{}", answer.query(relay_state));
    let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    let seen = without(gone, || gateway.call("GET", &target, &cookie, ""));
    log.robbed.store(false, Ordering::SeqCst);
    status(seen)
}

/// The answer of another enterprise's IdP, at its own URL, to what ours was asked.
async fn another_enterprises_answer(gateway: &TestGateway, gone: &[Guard]) -> String {
    let mut alice = browser();
    let people = alice.open(&format!("{}/page", gateway.url)).await.expect("a page");
    let posting = alice.press(&people, "Sign in as Alice").await.expect("a form");
    alice.press(&posting, "Continue").await.expect("a session");
    let (handle, request) = leaves(gateway, &alice, "/enterprises/example/saml/logout");
    let theirs = format!("{}/enterprises/globex/saml/slo", gateway.url);
    let globex = "https://idp.globex.example/metadata";
    let answer = Message::response(globex, &theirs, &request, &code(SUCCESS, ""));
    let target = format!("/enterprises/globex/saml/slo?{}", answer.query(None));
    let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    status(without(gone, || gateway.call("GET", &target, &cookie, "")))
}

/// An assertion that was issued before a logout and comes after it.
async fn late(gateway: &TestGateway, gone: &[Guard]) -> String {
    let mut bob: Browser = browser();
    let form = gateway.response_form(&mut bob, "bob").await;
    let mut all = gateway.logout_request("bob", &[]);
    all.attributes.insert("IssueInstant", at(30));
    assert_eq!(gateway.redirect(&all.query(None)).0, 303);
    // The switches are of the process, so it does not matter who waits.
    let page = tokio::task::block_in_place(|| {
        without(gone, || tokio::runtime::Handle::current().block_on(bob.submit(&form)))
    });
    page.expect("a page").status.to_string()
}
