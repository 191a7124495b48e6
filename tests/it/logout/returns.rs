//! L-09: where a sign-out leads, whatever was kept of it.
use portcullis::{
    domain::{EnterpriseSlug, LogoutHandle, PendingLogout, RequestId, Timestamp},
    edge::cookies,
};

use super::{
    Message,
    forge_logout::{SUCCESS, code},
    gateway,
};
use crate::support::gateway::{Backend, TestGateway};

/// Finishes a sign-out of which `return_to` was kept; where it leads.
async fn finished(gateway: &TestGateway, number: u8, return_to: &str) -> (u16, String) {
    let handle = LogoutHandle::from_bytes([number; 16]);
    let now = Timestamp::now();
    let pending = PendingLogout {
        request: RequestId::of_logout(handle),
        enterprise: EnterpriseSlug::parse("example").unwrap(),
        slo_url: gateway.slo_url(),
        relay_state: "rs".into(),
        return_to: Some(return_to.into()),
        expires_at: now + jiff::SignedDuration::from_mins(5),
    };
    gateway.running.as_ref().unwrap().directory.open_logout(&pending, now).await.unwrap();
    let request = format!("_{}", pending.request);
    let answer = Message::response(&gateway.idp_entity_id, &gateway.slo_url(), &request, &code(SUCCESS, ""));
    let cookie = format!("Cookie: {}={handle}\r\n", cookies::SIGN_OUT);
    let (status, answer) =
        gateway.call("GET", &format!("/saml/slo?{}", answer.query(Some("rs"))), &cookie, "");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
    (status, location.to_owned())
}

/// A record that somebody else wrote, or that an older gateway did, is judged like a request that says so.
#[tokio::test(flavor = "multi_thread")]
async fn l_09_s_98_only_a_path_of_our_own_is_redirected_to_whatever_was_kept() {
    let gateway = gateway(Backend::Embedded, "redirect").await;
    assert_eq!(finished(&gateway, 1, "/public?a=b").await, (303, format!("{}/public?a=b", gateway.url)));
    for (number, evil) in (2..).zip([".evil.example/", "@evil.example", "//evil.example", "/%5cevil.example"])
    {
        assert_eq!(finished(&gateway, number, evil).await, (200, String::new()), "{evil}");
    }
    gateway.stop().await;
}
