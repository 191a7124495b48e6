//! What a person sees when something does not work, and what the administrator finds by the request id.
use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Page},
};

use crate::{
    saml::forge::{self, Spec, attribute, issuer},
    serve,
    support::{forged_idp::ForgedIdp, process::eventually},
};

/// Everything that a forger may write, with a word that must never come back.
const MARK: &str = "reflected";

/// A page of ours: HTML with the id of the request, a policy without scripts, and nothing of the message.
#[track_caller]
fn assert_page(page: &Page, status: u16, message: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    let field = |name: &str| page.headers[name].to_str().unwrap().to_owned();
    assert_eq!(field("content-type"), "text/html; charset=utf-8");
    assert_eq!(field("cache-control"), "no-store");
    let policy = field("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert!(page.body.contains(message), "{}", page.body);
    assert!(page.body.contains(&format!("<code>{}</code>", field("x-request-id"))), "{}", page.body);
    assert!(!page.body.contains(MARK) && !page.body.contains("<script"), "{}", page.body);
}

fn evil() -> String {
    format!("&lt;script&gt;{MARK}&lt;/script&gt;")
}

/// One sentence for each thing that a person can do about it.
#[tokio::test(flavor = "multi_thread")]
async fn s_102_a_refused_sign_in_is_a_page_that_says_what_to_do_and_reflects_nothing() {
    let idp = ForgedIdp::new(|overrides| overrides).await;
    type Change = fn(&mut Spec);
    let cases: [(Change, &str); 7] = [
        (|spec| spec.issuer = issuer(&evil()), "do not fit together"),
        (|spec| spec.attributes = attribute("email", &[&evil(), "b"]), "do not fit together"),
        (
            |spec| {
                spec.status = format!(
                    "<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\">\
                     </samlp:StatusCode><samlp:StatusMessage>{}</samlp:StatusMessage></samlp:Status>",
                    evil()
                );
            },
            "Your identity provider did not sign you in.",
        ),
        (
            |spec| {
                spec.response.remove("InResponseTo");
                spec.confirmation.remove("InResponseTo");
            },
            "began at your identity provider",
        ),
        (
            |spec| {
                spec.response.insert("InResponseTo", format!("_{MARK}"));
                spec.confirmation.insert("InResponseTo", format!("_{MARK}"));
            },
            "took too long",
        ),
        (
            |spec| {
                spec.confirmation.insert("NotOnOrAfter", "2026-01-15T12:05:00Z".into());
            },
            "took too long",
        ),
        (|spec| spec.sign_assertion = None, "could not be accepted"),
    ];
    for (change, message) in cases {
        let (_, page) = idp.sign_in(change).await;
        assert_page(&page, 403, message);
    }
    // Used twice.
    let mut browser = Browser::new();
    let xml = idp.asked(&mut browser).await.xml();
    let mut again = browser.clone();
    assert_eq!(idp.post(&mut browser, &xml).await.status, 200);
    assert_page(&idp.post(&mut again, &xml).await, 403, "took too long, or it has been used already");
    // A path is not repeated either.
    let missing = format!("{}/.portcullis/{MARK}?{MARK}", idp.gateway.url);
    assert_page(&browser.open(&missing).await.unwrap(), 404, "There is nothing at this address.");
    // What is no navigation gets the same as JSON.
    let json = browser.fetch_json(&missing).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(
        (&json["error"], &json["message"]),
        (&"not_found".into(), &"There is nothing at this address.".into())
    );
    assert!(json["request_id"].is_string());
    idp.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_and_sentences_are_the_operators() {
    let folder = tempfile::tempdir().unwrap();
    let template = "<!doctype html><html lang=\"de\"><title>{{title}}</title><style>p { color: red }</style>\
                    <img src=\"data:image/gif;base64,R0lGODlhAQABAAAAACw=\" alt=\"\">\
                    <p>{{message}}<p>{{advice}}<p><code>{{request_id}}</code>";
    fs::write(folder.path().join("error.html"), template).unwrap();
    let texts = "[not_found]\nmessage = \"Hier ist nichts, <b>wirklich</b>.\"\n";
    fs::write(folder.path().join("texts.toml"), texts).unwrap();
    let pages = folder.path().display().to_string();
    let idp = ForgedIdp::new(move |overrides: Overrides| overrides.set("pages.folder", pages)).await;
    let mut browser = Browser::new();
    let page = browser.open(&format!("{}/.portcullis/nothing", idp.gateway.url)).await.unwrap();
    assert_page(&page, 404, "<p>Hier ist nichts, &lt;b&gt;wirklich&lt;/b&gt;.<p>Please check the address");
    assert!(page.body.starts_with("<!doctype html><html lang=\"de\"><title>Nothing here</title>"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("; img-src data:; frame-ancestors 'none'"), "{policy}");
    // The others keep our sentences, on the operator's page.
    let (_, page) = idp.sign_in(|spec| spec.sign_assertion = None).await;
    assert_page(&page, 403, "<p>The answer of your identity provider could not be accepted.<p>");
    idp.gateway.stop().await;
}

/// By the request id: the reason, the failing pair, the hint in one line of the log; and which rule a request broke in another.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_by_the_request_id_what_the_page_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.cert.pem");
    let variables = [("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_CERTIFICATES", certificate)];
    let (process, port, _private) = serve::serve(folder.path(), &variables).await;
    let mut browser = Browser::new();
    let mut form = portcullis::demo::browser::Form::default();
    form.is_post = true;
    form.action = format!("http://localhost:{port}/saml/acs");
    form.set("SAMLResponse", &BASE64_STANDARD.encode(Spec::default().xml()));
    let page = browser.submit(&form).await.unwrap();
    assert_page(&page, 403, "do not fit together");
    let id = page.headers["x-request-id"].to_str().unwrap();
    let missing = browser.open(&format!("http://localhost:{port}/%2e%2e/x")).await.unwrap();
    assert_page(&missing, 400, "could not be understood");
    let missing = missing.headers["x-request-id"].to_str().unwrap();

    let of = |id: &str, field: &str| {
        let found = serve::lines(&process.log(), |line| line["request_id"] == id && line[field].is_string());
        (found.len() == 1).then(|| found[0].clone())
    };
    assert!(
        eventually(|| of(id, "decision").is_some() && of(missing, "decision").is_some()),
        "{}",
        process.log()
    );
    let line = of(id, "hint").expect("one line about the refusal");
    assert_eq!(line["code"], "response_issuer_mismatch");
    assert_eq!(
        (&line["expected"], &line["found"]),
        (&"http://localhost:8081/metadata".into(), &forge::IDP.into())
    );
    assert!(line["hint"].as_str().unwrap().contains("byte for byte"));
    let access = of(id, "decision").unwrap();
    assert_eq!(
        (&access["decision"], &access["reason"]),
        (&"sign_in_not_set_up".into(), &"response_issuer_mismatch".into())
    );
    let access = of(missing, "decision").unwrap();
    assert_eq!(access["decision"], "bad_request");
    assert!(access["reason"].as_str().unwrap().starts_with("path: "), "{access}");
}
