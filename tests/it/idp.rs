//! The development IdP, asked as a service provider and a browser would; signatures judged by xmlsec1.
use std::{io::Write, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use portcullis::{
    demo::browser::{Browser, Form, Page},
    idp::{self, Directory, Settings, Sign},
};

const ACS: &str = "http://localhost:9/saml/acs";
const SP: &str = "http://localhost:9/saml/metadata?a=1&b=2";

struct TestIdp {
    url: String,
    directory: Directory,
    _stop: tokio::sync::oneshot::Sender<()>,
}

async fn start(change: impl FnOnce(&mut Settings)) -> TestIdp {
    let mut settings = Settings::development(([127, 0, 0, 1], 0).into());
    change(&mut settings);
    let idp = idp::bind(settings).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (url, directory) = (idp.url().to_owned(), idp.directory());
    tokio::spawn(idp.run(async { drop(stopped.await) }));
    TestIdp { url, directory, _stop: stop }
}

/// The URL to which a service provider redirects: `more` are attributes of the AuthnRequest.
fn redirect(idp: &TestIdp, acs: &str, more: &str) -> String {
    let xml = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_request\" Version=\"2.0\" \
         IssueInstant=\"2026-01-01T00:00:00Z\" Destination=\"{}/sso\" AssertionConsumerServiceURL=\"{acs}\" {more}>\
         <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{}</saml:Issuer></samlp:AuthnRequest>",
        idp.url,
        SP.replace('&', "&amp;")
    );
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(xml.as_bytes()).unwrap();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLRequest", &STANDARD.encode(encoder.finish().unwrap()))
        .append_pair("RelayState", "\"><script>state")
        .finish();
    format!("{}/sso?{query}", idp.url)
}

/// The one form of the page that carries a response, and the response in it.
fn response(page: &Page) -> (Form, String) {
    let [form] = page.forms().try_into().expect("one form");
    let xml = STANDARD.decode(form.field("SAMLResponse").expect("a response")).unwrap();
    (form, String::from_utf8(xml).unwrap())
}

/// Whether xmlsec1 finds the signature good that stands directly in the element `node`.
fn xmlsec_accepts(xml: &str, certificate: &[u8], node: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (document, key) = (folder.path().join("response.xml"), folder.path().join("idp.crt"));
    std::fs::write(&document, xml).unwrap();
    std::fs::write(&key, certificate).unwrap();
    let output = Command::new("xmlsec1")
        .args(["--verify", "--enabled-key-data", "key-name,x509", "--insecure", "--pubkey-cert-pem"])
        .arg(&key)
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"])
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:Response"])
        .args(["--node-xpath", &format!("//*[local-name()='{node}']/*[local-name()='Signature']")])
        .arg(&document)
        .output()
        .expect("xmlsec1 is installed");
    output.status.success()
}

/// A new key of this kind and a certificate for it, both PEM, made by the openssl command.
fn key_and_certificate(kind: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-noenc", "-days", "2", "-subj", "/CN=test", "-newkey"])
        .args(kind)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (std::fs::read(key).unwrap(), std::fs::read(certificate).unwrap())
}

#[tokio::test]
async fn signs_in_with_signatures_that_xmlsec_accepts() {
    let idp = start(|_| ()).await;
    let mut browser = Browser::new();
    let people = browser.open(&redirect(&idp, ACS, "")).await.unwrap();
    assert_eq!(people.status, 200);
    let policy = people.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert!(!people.body.contains("<script>"), "RelayState is escaped");

    let page = browser.press(&people, "Sign in as Alice").await.unwrap();
    let (form, xml) = response(&page);
    assert!(form.is_post);
    assert_eq!((form.action.as_str(), form.field("RelayState")), (ACS, Some("\"><script>state")));
    for part in [
        "InResponseTo=\"_request\"",
        "Destination=\"http://localhost:9/saml/acs\"",
        "Recipient=\"http://localhost:9/saml/acs\"",
        "<saml:Audience>http://localhost:9/saml/metadata?a=1&amp;b=2</saml:Audience>",
        "nameid-format:persistent\">alice@example.com</saml:NameID>",
        "<saml:AttributeValue>octo-org-owners</saml:AttributeValue>",
    ] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    let certificate = Settings::development(([127, 0, 0, 1], 0).into()).certificate_pem;
    assert!(xmlsec_accepts(&xml, &certificate, "Response"));
    assert!(xmlsec_accepts(&xml, &certificate, "Assertion"));
    let forged = xml.replace("alice@example.com</saml:NameID>", "bob@example.com</saml:NameID>");
    assert!(!xmlsec_accepts(&forged, &certificate, "Response"));
    assert!(!xmlsec_accepts(&forged, &certificate, "Assertion"));
}

/// Encrypted for whom it is meant: xmlsec1 opens it, and finds in it what was signed.
#[tokio::test]
async fn encrypts_for_the_service_provider() {
    let pair = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/sp-decryption.pem");
    let idp =
        start(|settings| settings.encryption_certificate_pem = Some(std::fs::read(pair).unwrap())).await;
    let mut browser = Browser::new();
    let people = browser.open(&redirect(&idp, ACS, "")).await.unwrap();
    let (_, xml) = response(&browser.press(&people, "Sign in as Alice").await.unwrap());
    assert!(!xml.contains("alice") && !xml.contains("<saml:Assertion"), "{xml}");
    let certificate = Settings::development(([127, 0, 0, 1], 0).into()).certificate_pem;
    assert!(xmlsec_accepts(&xml, &certificate, "Response"));

    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("response.xml");
    std::fs::write(&document, &xml).unwrap();
    let output = Command::new("xmlsec1")
        .args(["--decrypt", "--privkey-pem", pair, "--node-xpath", "//*[local-name()='EncryptedData']"])
        .arg(&document)
        .output()
        .expect("xmlsec1 is installed");
    let decrypted = String::from_utf8(output.stdout).unwrap();
    assert!(decrypted.contains("persistent\">alice@example.com</saml:NameID>"), "{decrypted}");
    assert!(xmlsec_accepts(&decrypted, &certificate, "Assertion"));
    let of_a_curve = key_and_certificate(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).1;
    let mut settings = Settings::development(([127, 0, 0, 1], 0).into());
    settings.encryption_certificate_pem = Some(of_a_curve);
    assert!(idp::bind(settings).await.err().unwrap().to_string().contains("no RSA key"));
}

#[tokio::test]
async fn signs_with_an_elliptic_curve() {
    let (key, certificate) = key_and_certificate(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let idp = start(|settings| {
        settings.key_pem = key;
        settings.certificate_pem = certificate.clone();
        settings.sign = Sign::Assertion;
    })
    .await;
    let mut browser = Browser::new();
    let people = browser.open(&redirect(&idp, ACS, "")).await.unwrap();
    let (_, xml) = response(&browser.press(&people, "Sign in as Bob").await.unwrap());
    assert!(xml.contains("ecdsa-sha256"));
    assert!(xmlsec_accepts(&xml, &certificate, "Assertion"));
    assert!(!xmlsec_accepts(&xml, &certificate, "Response"), "only the assertion is signed");
}

#[tokio::test]
async fn settings_are_checked() {
    let refused = async |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::development(([127, 0, 0, 1], 0).into());
        change(&mut settings);
        idp::bind(settings).await.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let other_key = openssl::rsa::Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
    assert!(refused(&|s| s.key_pem = other_key.clone()).await.contains("does not belong"));
    assert!(refused(&|s| s.key_pem = Vec::new()).await.contains("no PEM private key"));
    let small = key_and_certificate(&["rsa:1024"]);
    let weak = refused(&|s| (s.key_pem, s.certificate_pem) = small.clone()).await;
    assert!(weak.contains("at least 2048 bits"), "{weak}");
    assert!(refused(&|s| s.people.clear()).await.contains("nobody"));
    for url in ["idp.example.com", "https://idp.example.com/path", "https://a@idp.example.com", "ftp://a"] {
        assert!(refused(&|s| s.base_url = Some(url.into())).await.contains("base URL"), "{url}");
    }
    assert_eq!(refused(&|s| s.base_url = Some("https://idp.example.com/".into())).await, "");
}

#[tokio::test]
async fn groups_are_edited_on_the_page() {
    let idp = start(|_| ()).await;
    let mut browser = Browser::new();
    let people = browser.open(&redirect(&idp, ACS, "")).await.unwrap();
    let mut form = people.button("Save groups of Dave").unwrap();
    form.set("groups", "docs-team\r\n<b>&");
    let people = browser.submit(&form).await.unwrap();
    assert!(people.url.contains("/sso?SAMLRequest="), "back to the same sign-in: {}", people.url);
    assert_eq!(idp.directory.person("dave").unwrap().groups, ["docs-team", "<b>&"]);
    assert!(!people.body.contains("<b>"), "groups are escaped");

    let mut form = people.button("Sign in as Dave").unwrap();
    assert_eq!(form.field("groups"), Some("docs-team\n<b>&"));
    form.set("groups", "everyone");
    let (_, xml) = response(&browser.submit(&form).await.unwrap());
    assert!(
        xml.contains("<saml:AttributeValue>everyone</saml:AttributeValue>"),
        "what the screen shows is said"
    );
    assert!(!xml.contains("docs-team"));
    assert_eq!(idp.directory.person("dave").unwrap().groups, ["everyone"]);

    let home = browser.open(&idp.url).await.unwrap();
    let mut form = home.button("Save groups of Carol").unwrap();
    assert!(home.button("Sign in as Carol").is_err(), "nobody asked for a sign-in");
    form.set("groups", &"g".repeat(idp::GROUP_BYTES_MAX + 1));
    assert_eq!(browser.submit(&form).await.unwrap().status, 422);
    assert_eq!(idp.directory.person("carol").unwrap().groups, ["docs-team"]);
    form.set("groups", "docs-team");
    form.action = format!("{}/people/nobody/groups", idp.url);
    assert_eq!(browser.submit(&form).await.unwrap().status, 404);
}

#[tokio::test]
async fn does_not_sign_for_strangers() {
    let idp = start(|_| ()).await;
    let mut browser = Browser::new();
    let stranger = redirect(&idp, "https://evil.test/acs", "");
    assert_eq!(browser.open(&stranger).await.unwrap().status, 400);

    let people = browser.open(&redirect(&idp, ACS, "")).await.unwrap();
    let mut form = people.button("Sign in as Alice").unwrap();
    let smuggled = form_urlencoded::parse(stranger.split_once('?').unwrap().1.as_bytes())
        .find(|(name, _)| name == "SAMLRequest")
        .unwrap();
    form.set("SAMLRequest", &smuggled.1);
    let page = browser.submit(&form).await.unwrap();
    assert_eq!(page.status, 400, "the request that rides along is read again");
    assert!(!page.body.contains("SAMLResponse"));
    form.set("SAMLRequest", "");
    assert_eq!(browser.submit(&form).await.unwrap().status, 400);
}

#[tokio::test]
async fn passive_requests_are_answered_with_a_denial() {
    let idp = start(|_| ()).await;
    let page = Browser::new().open(&redirect(&idp, ACS, "IsPassive=\"true\"")).await.unwrap();
    let (_, xml) = response(&page);
    assert!(xml.contains("status:NoPassive") && !xml.contains("<saml:Assertion"));
    let certificate = Settings::development(([127, 0, 0, 1], 0).into()).certificate_pem;
    assert!(xmlsec_accepts(&xml, &certificate, "Response"));
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let idp = start(|_| ()).await;
    let post = async |fields: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let host = idp.url.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let head = format!(
            "POST /people/dave/groups HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}Content-Length: 8\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\ngroups=x"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(post("Origin: https://evil.test\r\n").await, "403");
    assert_eq!(post("Origin: null\r\n").await, "403");
    assert_eq!(post("Sec-Fetch-Site: cross-site\r\n").await, "403");
    assert_eq!(post("Sec-Fetch-Site: same-site\r\n").await, "403");
    assert!(idp.directory.person("dave").unwrap().groups.is_empty());
    assert_eq!(post(&format!("Origin: {}\r\n", idp.url)).await, "303");
    assert_eq!(post("Sec-Fetch-Site: same-origin\r\n").await, "303");
}

#[tokio::test]
async fn metadata_names_endpoint_and_certificate() {
    let idp = start(|_| ()).await;
    let page = Browser::new().open(&format!("{}/metadata", idp.url)).await.unwrap();
    assert_eq!(page.headers["content-type"], "application/samlmetadata+xml");
    assert!(page.body.contains(&format!("entityID=\"{}/metadata\"", idp.url)));
    for binding in ["HTTP-Redirect", "HTTP-POST"] {
        let endpoint = format!("bindings:{binding}\" Location=\"{}/sso\"", idp.url);
        assert!(page.body.contains(&endpoint), "{}", page.body);
    }
    let pem = String::from_utf8(Settings::development(([127, 0, 0, 1], 0).into()).certificate_pem).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(page.body.contains(&format!("<ds:X509Certificate>{der}</ds:X509Certificate>")));
}

#[tokio::test]
async fn a_sign_in_may_begin_at_the_idp_for_those_who_are_listed() {
    let listed = idp::ServiceProvider { entity_id: SP.into(), acs_urls: vec!["https://sp.test/acs".into()] };
    let idp = start(|settings| settings.service_providers.push(listed)).await;
    let mut browser = Browser::new();
    let home = browser.open(&idp.url).await.unwrap();
    let mut form = home.button("Go to https://sp.test/acs as Alice").unwrap();
    let page = browser.submit(&form).await.unwrap();
    let (posted, xml) = response(&page);
    assert_eq!((posted.action.as_str(), posted.field("RelayState")), ("https://sp.test/acs", None));
    assert!(xml.contains("alice@example.com</saml:NameID>") && !xml.contains("InResponseTo"), "{xml}");
    let certificate = Settings::development(([127, 0, 0, 1], 0).into()).certificate_pem;
    assert!(xmlsec_accepts(&xml, &certificate, "Assertion"));
    form.set("acs_url", "https://evil.test/acs");
    assert_eq!(browser.submit(&form).await.unwrap().status, 400);
    browser.send_along("Sec-Fetch-Site", "cross-site");
    form.set("acs_url", "https://sp.test/acs");
    assert_eq!(browser.submit(&form).await.unwrap().status, 403);
}
