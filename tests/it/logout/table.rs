//! The messages of `fixtures`, sent to the SLO URL of a whole gateway, and what is owed for each: an answer that says nothing, one
//! audit event with the reason, and no effect anywhere.
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    config::Overrides,
    domain::{EnterpriseSlug, LogoutHandle, PendingLogout, RequestId},
    edge::cookies,
};

use super::fixtures::{Binding, Case, SLO, cases};
use crate::{
    attacks::world::{FORM, HOST, Post, Seen, World, make_for},
    saml::forge::{self, certificate, private_key},
    support::gateway::{Backend, Setup},
};

const HANDLE: [u8; 16] = [0xb1; 16];

/// The request of a case by its binding, with the sign-out that the browser has under way: method, path with query, fields, body.
pub fn request(case: &Case, handle: &str) -> (&'static str, String, String, Vec<u8>) {
    let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    let form = |parameter: &str| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair(parameter, &STANDARD.encode(&case.octets)).finish().into_bytes()
    };
    let slo = || "/saml/slo".to_owned();
    match case.binding {
        Binding::Request => ("POST", slo(), format!("{FORM}{cookie}"), form("SAMLRequest")),
        Binding::Response => ("POST", slo(), format!("{FORM}{cookie}"), form("SAMLResponse")),
        Binding::Query => {
            ("GET", format!("/saml/slo?{}", String::from_utf8_lossy(&case.octets)), cookie, vec![])
        }
        Binding::Soap => ("POST", slo(), format!("Content-Type: text/xml\r\n{cookie}"), case.octets.clone()),
    }
}

/// Made for a connection without a key to decrypt with, which gateways here have.
pub fn is_of_another_connection(case: &Case) -> bool {
    case.owed == Some("encrypted_part")
}

/// The LogoutRequest that answers are made for is outstanding.
async fn world() -> World {
    let folder = tempfile::tempdir().unwrap().keep();
    let key = folder.join("signing.pem");
    let pem = private_key("attacker-rsa").private_key_to_pem_pkcs8().unwrap();
    std::fs::write(&key, [pem, certificate("attacker-rsa")].concat()).unwrap();
    let with_logout = move |overrides: Overrides| {
        overrides
            .set("enterprise.example.saml.signing_keys", key.display().to_string())
            .set("enterprise.example.saml.slo_url", "https://idp.example.com/slo")
            .set("enterprise.example.saml.slo_binding", "post")
    };
    let world = World::with(Setup::new(Backend::Embedded), &["idp-rsa"], with_logout).await;
    let pending = PendingLogout {
        request: RequestId::of_logout(LogoutHandle::from_bytes(HANDLE)),
        enterprise: EnterpriseSlug::parse("example").unwrap(),
        slo_url: SLO.into(),
        relay_state: "opaque".into(),
        return_to: None,
        expires_at: forge::now() + std::time::Duration::from_secs(600),
    };
    let directory = world.gateway.running.as_ref().unwrap().directory.clone();
    directory.open_logout(&pending, forge::now()).await.unwrap();
    world
}

fn send(world: &World, case: &Case) -> Seen {
    let (method, path, fields, body) = request(case, &LogoutHandle::from_bytes(HANDLE).to_string());
    world.send(method, &Post { host: HOST, path: &path, fields, body })
}

#[tokio::test(flavor = "multi_thread")]
async fn l_01_l_02_l_03_l_04_l_06_l_07_s_67_every_message_over_http() {
    let world = world().await;
    let id = format!("_{}", RequestId::of_logout(LogoutHandle::from_bytes(HANDLE)));
    let mut cases = make_for(vec![(forge::REQUEST.into(), id)], cases);
    cases.retain(|case| !is_of_another_connection(case));
    let (refused, accepted): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.owed.is_some());
    assert!(refused.len() > 40 && accepted.len() > 4, "{} and {}", refused.len(), accepted.len());
    for case in &refused {
        world.expect_logout_refused(case.name, &send(&world, case), case.owed.unwrap());
    }
    // The controls: what was refused consumed nothing, not even the request that an answer was outstanding for.
    for case in accepted {
        let seen = send(&world, case);
        assert!([200, 303].contains(&seen.answer.status), "{}: {:?}", case.name, seen.audit);
        let actions: Vec<_> = seen.audit.iter().map(|line| line["action"].as_str().unwrap()).collect();
        assert!(actions == ["saml.logout_request"] || actions == ["saml.logout_response"], "{actions:?}");
        assert!(seen.writes > 0, "{}", case.name);
        world.forget_assertions().await;
    }
    world.stop().await;
}
