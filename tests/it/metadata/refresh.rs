//! M-01 to M-08 against a running gateway: what is refused changes nothing, what is taken changes sign-ins at once.
//!
//! One thread runs everything but the gateway's workers, so that its log can be read here.
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portcullis::{
    config::Overrides,
    demo::browser::Browser,
    directory::AuditQuery,
    domain::{EnterpriseSlug, Timestamp},
    metadata::{Handle, Outcome, RefreshError},
};
use tracing::subscriber::DefaultGuard;

use super::{
    document::{Document, REDIRECT, base64_of, certificate, key, service},
    server::MetadataServer,
};
use crate::{
    attacks::store::{self, Recording},
    saml::forge::Sign,
    support::gateway::{BACKENDS, Backend, Setup, TestGateway},
};

/// How long something may take that takes seconds.
const PATIENT: Duration = Duration::from_secs(120);
const DEVELOPMENT_CERTIFICATE: &[u8] = include_bytes!("../../../certs/development-idp.crt");

/// A gateway whose IdP is described by the server, and its log.
pub struct World {
    pub gateway: TestGateway,
    pub server: MetadataServer,
    pub log: Log,
    written: Arc<store::Log>,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Audit events about refused metadata, one line each.
    fn refusals(&self) -> Vec<String> {
        let is_refusal = |line: &&str| line.contains(" audit: ") && line.contains("saml.metadata_refused");
        self.text().lines().filter(is_refusal).map(str::to_owned).collect()
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Backend::Embedded, |overrides| overrides).await
    }

    async fn with(backend: Backend, change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let server = MetadataServer::start().await;
        let folder = tempfile::tempdir().unwrap().keep();
        let authority = folder.join("ca.pem");
        std::fs::write(&authority, &server.authority_pem).unwrap();
        let url = server.url.clone();
        let first = move |overrides: Overrides| {
            let overrides = overrides
                .set("enterprise.example.saml.metadata", url)
                .set("enterprise.example.saml.metadata_ca", authority.display().to_string())
                .set("enterprise.example.saml.metadata_internal_networks", "127.0.0.0/8");
            change(overrides)
        };
        let mut setup = Setup { idp_from_metadata: true, change: Box::new(first), ..Setup::new(backend) };
        let written = Arc::<store::Log>::default();
        let log_of_store = written.clone();
        setup.wrap = Box::new(move |inner| Recording::before(inner, log_of_store));
        let gateway = TestGateway::set_up(setup).await;
        Self { gateway, server, log, written, _guard }
    }

    pub fn handle(&self) -> Handle {
        let slug = EnterpriseSlug::parse("example").unwrap();
        self.gateway.running.as_ref().unwrap().metadata[&slug].clone()
    }

    /// The IdP that people come from, as it would describe itself.
    pub fn document(&self) -> Document {
        Document {
            entity_id: self.gateway.idp_entity_id.clone(),
            keys: key(Some("signing"), &base64_of(DEVELOPMENT_CERTIFICATE)),
            services: service("SingleSignOnService", REDIRECT, &self.gateway.idp_sso_url),
            ..Document::default()
        }
    }

    pub async fn refresh(&self) -> Result<Outcome, &'static str> {
        self.handle().refresh().await.map_err(|error| error.code())
    }

    pub async fn take(&self, document: &Document) -> Result<Outcome, &'static str> {
        self.server.serve(&document.xml());
        self.refresh().await
    }

    /// Whether alice ends at the application.
    pub async fn signs_in(&self) -> bool {
        self.gateway.sign_in(&mut Browser::new(), "alice").await.status == 200
    }

    /// The answer to whoever wants to sign in.
    async fn start_status(&self) -> u16 {
        let url = format!("{}/saml/login?return_to=/", self.gateway.url);
        Browser::new().open(&url).await.unwrap().status.as_u16()
    }

    /// The owed outcome: refused for this reason, one audit event that names it, nothing written, everything else as it was.
    async fn refuses(&self, code: &str) {
        let before = self.log.refusals().len();
        let certificates = self.certificates().await;
        let writes = self.written.writes();
        assert_eq!(self.refresh().await.map_err(str::to_owned), Err(code.to_owned()), "{}", self.log.text());
        assert_eq!(self.written.writes(), writes, "{code}: writes to the store");
        let refusals = self.log.refusals();
        assert_eq!(refusals.len(), before + 1, "{code}: {refusals:?}");
        let reason = format!("\\\"reason\\\":\\\"{code}\\\"");
        assert!(refusals.last().unwrap().contains(&reason), "{code}: {refusals:?}");
        assert_eq!(self.certificates().await, certificates, "{code}");
        assert!(self.signs_in().await, "{code}");
    }

    async fn refuses_document(&self, document: &Document, code: &str) {
        self.server.serve(&document.xml());
        self.refuses(code).await;
    }

    async fn metrics(&self) -> String {
        self.gateway.private("/metrics").await.body
    }

    /// The IdP's certificates by the metric.
    async fn certificates(&self) -> Vec<String> {
        let metrics = self.metrics().await;
        metrics.lines().filter(|line| line.contains("idp_signing:")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn m_01_what_never_came_or_ran_out_lets_nobody_in() {
    let mut world = World::new().await;
    assert_eq!(world.refresh().await, Err("metadata_status"));
    assert_eq!(world.start_status().await, 503);
    assert!(world.metrics().await.contains("portcullis_metadata_alarm{enterprise=\"example\"} 3"));
    // Ours does not need the IdP's: somebody has to begin.
    let own = Browser::new().open(&format!("{}/saml/metadata", world.gateway.url)).await.unwrap();
    assert_eq!(own.status, 200);

    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    assert!(world.signs_in().await);
    assert!(world.metrics().await.contains("portcullis_metadata_alarm{enterprise=\"example\"} 0"));
    assert_eq!(world.refresh().await, Ok(Outcome::Unchanged));
    for (root, code) in [
        (" ID=\"_metadata\" validUntil=\"2016-01-15T12:00:00Z\"", "metadata_expired"),
        (" ID=\"_metadata\" validUntil=\"tomorrow\"", "metadata_timestamp"),
        (" ID=\"_metadata\" cacheDuration=\"-P1D\"", "metadata_duration"),
    ] {
        world.refuses_document(&Document { root: root.into(), ..world.document() }, code).await;
    }

    // Its end is a few seconds away; the server is gone by then.
    let soon = Timestamp::from_second(Timestamp::now().as_second() + 3).unwrap();
    let root = format!(" ID=\"_metadata\" validUntil=\"{soon}\"");
    let browser = &mut Browser::new();
    let response = world.gateway.response_form(browser, "alice").await;
    assert_eq!(world.take(&Document { root, ..world.document() }).await, Ok(Outcome::Unchanged));
    world.server.respond("500 Internal Server Error", "", b"");
    let deadline = Instant::now() + PATIENT;
    while world.start_status().await != 503 {
        assert!(Instant::now() < deadline, "it never ran out");
    }
    // A response under way is not taken either, and after a restart the store's copy is no better.
    assert_eq!(browser.submit(&response).await.unwrap().status, 503);
    world.gateway.stop_serving().await;
    world.gateway.serve_again().await;
    assert_eq!(world.start_status().await, 503);
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_02_only_what_a_pinned_signer_signed_is_taken() {
    let pin = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.cert.pem");
    let world = World::with(Backend::Embedded, move |overrides| {
        overrides.set("enterprise.example.saml.metadata_signing_certificates", pin)
    })
    .await;
    let signed = Document { sign: Some(Sign::default()), ..world.document() };
    assert_eq!(world.take(&signed).await, Ok(Outcome::Changed));
    assert!(world.signs_in().await);
    let attacker = key(None, &certificate("attacker-rsa"));
    let by_attacker = Sign { key: "attacker-rsa", ..Sign::default() };
    world.refuses_document(&world.document(), "metadata_signature_missing").await;
    world
        .refuses_document(
            &Document { sign: Some(by_attacker), keys: attacker.clone(), ..world.document() },
            "signature_invalid",
        )
        .await;
    world.server.serve(&signed.xml().replace(&signed.keys, &attacker));
    world.refuses("digest_mismatch").await;
    // The genuine document, whole, within a forged one of another and of the same ID.
    for (root, code) in
        [(" ID=\"_evil\"", "metadata_several_entities"), (" ID=\"_metadata\"", "id_duplicate")]
    {
        let before = format!("<md:Extensions>{}</md:Extensions>", signed.xml());
        let wrapping = Document { root: root.into(), before, keys: attacker.clone(), ..world.document() };
        world.refuses_document(&wrapping, code).await;
    }
    // The pinned signer may exchange all keys at once.
    assert_eq!(world.take(&Document { keys: attacker, ..signed }).await, Ok(Outcome::Changed));
    assert!(!world.signs_in().await);
    world.gateway.stop().await;
}

/// Without a pinned signer: a rollover by overlap, and item 10, a new certificate without a restart.
#[tokio::test]
async fn m_02_new_keys_come_beside_a_known_one() {
    let world = World::new().await;
    let (next, current) = (key(None, &certificate("idp-rsa")), world.document().keys);
    let with = |keys: &str| Document { keys: keys.to_owned(), ..world.document() };
    // The IdP has announced a key that it does not use, and does not announce the one it uses.
    assert_eq!(world.take(&with(&next)).await, Ok(Outcome::Changed));
    assert!(!world.signs_in().await);
    assert_eq!(world.take(&with(&(next.clone() + &current))).await, Ok(Outcome::Changed));
    assert!(world.signs_in().await);
    assert_eq!(world.certificates().await.len(), 2);
    assert_eq!(world.take(&with(&current)).await, Ok(Outcome::Changed));
    assert_eq!(world.certificates().await.len(), 1);
    // No key in common.
    world.refuses_document(&with(&key(None, &certificate("attacker-rsa"))), "metadata_keys_unknown").await;
    assert!(world.log.text().contains("none of its keys is known"), "{}", world.log.text());
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_02_an_approved_key_counts_as_known_and_tls_only_where_it_is_said() {
    let approved = openssl::x509::X509::from_pem(&crate::saml::forge::certificate("idp-rsa")).unwrap();
    let fingerprint: Vec<String> =
        openssl::sha::sha256(&approved.to_der().unwrap()).iter().map(|byte| format!("{byte:02X}")).collect();
    let world = World::with(Backend::Embedded, move |overrides| {
        overrides.set("enterprise.example.saml.metadata_approved_keys", fingerprint.join(":"))
    })
    .await;
    // With an approved key there is no first contact on TLS alone.
    assert_eq!(world.take(&world.document()).await, Err("metadata_keys_unknown"));
    assert_eq!(world.start_status().await, 503);
    let keys = world.document().keys + &key(None, &certificate("idp-rsa"));
    assert_eq!(world.take(&Document { keys, ..world.document() }).await, Ok(Outcome::Changed));
    assert!(world.signs_in().await);
    world.gateway.stop().await;

    let world = World::with(Backend::Embedded, |overrides| {
        overrides.set("enterprise.example.saml.metadata_trust", "tls")
    })
    .await;
    let other = Document { keys: key(None, &certificate("idp-rsa")), ..world.document() };
    assert_eq!(world.take(&other).await, Ok(Outcome::Changed));
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    assert!(world.signs_in().await);
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_03_one_entity_the_configured_one() {
    let world = World::new().await;
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    let entity_id = format!("{}/", world.gateway.idp_entity_id);
    world.refuses_document(&Document { entity_id, ..world.document() }, "metadata_entity_mismatch").await;
    let aggregate = |inner: String| {
        format!("<md:EntitiesDescriptor xmlns:md=\"{}\">{inner}</md:EntitiesDescriptor>", super::document::MD)
    };
    world.server.serve(&aggregate(world.document().xml()));
    world.refuses("metadata_root").await;
    let nested =
        "<md:Extensions><md:EntityDescriptor entityID=\"urn:x\"></md:EntityDescriptor></md:Extensions>";
    world
        .refuses_document(
            &Document { before: nested.into(), ..world.document() },
            "metadata_several_entities",
        )
        .await;
    world.server.serve(&world.document().xml().replace("IDPSSO", "SPSSO"));
    world.refuses("metadata_no_idp").await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_04_nothing_internal_is_connected_to_and_no_redirect_followed() {
    let world = World::new().await;
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    let head = world.server.last_head();
    assert!(head.starts_with("GET /metadata?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\naccept-encoding: identity\r\n"), "{head}");
    let elsewhere = MetadataServer::start().await;
    for location in [elsewhere.url.as_str(), "http://127.0.0.1/", "file:///etc/passwd"] {
        world.server.respond("302 Found", &format!("Location: {location}\r\n"), b"");
        world.refuses("metadata_redirect").await;
    }
    assert_eq!(elsewhere.connections(), 0);
    world.server.respond("204 No Content", "", b"");
    world.refuses("metadata_status").await;
    world.gateway.stop().await;

    // The same server, but loopback is not among the networks that may be reached; then it is, but nobody vouches for it.
    let internal = "enterprise.example.saml.metadata_internal_networks";
    let world = World::with(Backend::Embedded, move |overrides| overrides.set(internal, "10.1.0.0/16")).await;
    assert_eq!(world.take(&world.document()).await, Err("metadata_address"));
    assert_eq!((world.server.connections(), world.start_status().await), (0, 503));
    world.gateway.stop().await;
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-idp.crt");
    let world = World::with(Backend::Embedded, move |overrides| {
        overrides.set("enterprise.example.saml.metadata_ca", other)
    })
    .await;
    assert_eq!(world.take(&world.document()).await, Err("metadata_tls"));
    assert_eq!(world.start_status().await, 503);
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_05_bombs_end_at_the_caps() {
    let world = World::new().await;
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    world.server.respond("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08");
    world.refuses("metadata_encoded").await;
    world.server.respond("200 OK", "", &vec![b' '; 2 * 1024 * 1024 + 1]);
    world.refuses("metadata_too_large").await;
    // Of no length that is told, and without end.
    world.server.answer_without_end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    world.refuses("metadata_too_large").await;
    world.server.respond("200 OK", &format!("X: {}\r\n", "a".repeat(100_000)), b"");
    world.refuses("metadata_unreachable").await;
    let keys = world.document().keys;
    world
        .refuses_document(&Document { keys: keys.repeat(2000), ..world.document() }, "metadata_too_large")
        .await;
    let keys = key(None, "AAAA").replace("AAAA", "").repeat(5000);
    world.refuses_document(&Document { keys, ..world.document() }, "nodes_exceeded").await;
    let before = "<md:Extensions>".repeat(100) + &"</md:Extensions>".repeat(100);
    world.refuses_document(&Document { before, ..world.document() }, "depth_exceeded").await;
    world.server.serve(&format!("<!DOCTYPE x>{}", world.document().xml()));
    world.refuses("markup_declaration").await;
    // Takes the request and says nothing, for as long as we let it.
    world.server.answer(None);
    world.refuses("metadata_timeout").await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_06_browsers_are_sent_to_https_and_never_back_to_us() {
    let world = World::new().await;
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    let own = format!("{}/sso", world.gateway.url);
    for location in
        ["javascript:alert(1)", "http://idp.example.com/sso", "https://a:b@idp.example.com/", &own]
    {
        let services = service("SingleSignOnService", REDIRECT, location);
        world.refuses_document(&Document { services, ..world.document() }, "metadata_location").await;
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_08_the_last_key_does_not_go() {
    let world = World::new().await;
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    let none = Document { keys: String::new(), ..world.document() };
    world.refuses_document(&none, "metadata_no_signing_key").await;
    let keys = world.document().keys.replace("\"signing\"", "\"encryption\"");
    world.refuses_document(&Document { keys, ..world.document() }, "metadata_no_signing_key").await;
    world.gateway.stop().await;
}

/// After a restart without network the last good one counts, and its keys are known.
async fn survives(backend: Backend) {
    let mut world = World::with(backend, |overrides| overrides).await;
    assert_eq!(world.take(&world.document()).await, Ok(Outcome::Changed));
    world.server.respond("500 Internal Server Error", "", b"");
    world.gateway.stop_serving().await;
    world.gateway.serve_again().await;
    assert!(world.signs_in().await, "{}", world.log.text());
    assert_eq!(world.refresh().await, Err("metadata_status"));
    let attacker = Document { keys: key(None, &certificate("attacker-rsa")), ..world.document() };
    world.refuses_document(&attacker, "metadata_keys_unknown").await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn m_01_the_last_good_one_survives_a_restart() {
    for backend in BACKENDS {
        survives(backend).await;
    }
}

/// Two gateways on one store: one that missed a step of a rollover finds the keys between in what the other kept.
#[tokio::test]
async fn m_02_gateways_follow_a_rollover_together() {
    let one = World::with(Backend::Redis, |overrides| overrides).await;
    let redis = one.gateway.redis.as_ref().unwrap().url();
    let idp = one.gateway.idp_entity_id.clone();
    let other = World::with(Backend::Redis, move |overrides| {
        overrides.set("store.url", redis).set("enterprise.example.saml.idp_entity_id", idp)
    })
    .await;
    let [a, b] = ["idp-rsa", "idp-p256"].map(|name| key(None, &certificate(name)));
    let with = |keys: &str| Document { keys: keys.to_owned(), ..one.document() };
    for world in [&one, &other] {
        assert_eq!(world.take(&with(&a)).await, Ok(Outcome::Changed));
    }
    assert_eq!(other.take(&with(&b)).await, Err("metadata_keys_unknown"));
    assert_eq!(one.take(&with(&(a + &b))).await, Ok(Outcome::Changed));
    assert_eq!(one.take(&with(&b)).await, Ok(Outcome::Changed));
    assert_eq!(other.take(&with(&b)).await, Ok(Outcome::Changed));
    let attacker = key(None, &certificate("attacker-rsa"));
    assert_eq!(other.take(&with(&attacker)).await, Err("metadata_keys_unknown"));
    // Each took up what the other had told already: the stream knows of each set of keys once.
    let directory = &one.gateway.running.as_ref().unwrap().directory;
    let query = AuditQuery { limit: 9, ..AuditQuery::default() };
    let told = directory.audit_entries(one.gateway.enterprise(), &query).await.unwrap().entries;
    let told: Vec<_> = told.iter().map(|entry| entry.event["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["saml.metadata_changed"; 3]);
    other.gateway.stop().await;
    one.gateway.stop().await;
}

/// The same from a file: changed in place, taken up; broken in place, kept.
#[tokio::test]
async fn m_08_a_file_is_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idp.xml");
    let idp = portcullis::idp::Settings::development("127.0.0.1:0".parse().unwrap());
    let port = crate::support::ports::free();
    let idp = portcullis::idp::Settings { listen: format!("127.0.0.1:{port}").parse().unwrap(), ..idp };
    let document = Document {
        entity_id: format!("http://127.0.0.1:{port}/metadata"),
        keys: key(None, &certificate("idp-rsa")),
        services: service("SingleSignOnService", REDIRECT, &format!("http://127.0.0.1:{port}/sso")),
        ..Document::default()
    };
    std::fs::write(&file, document.xml()).unwrap();
    let path = file.display().to_string();
    let change = move |overrides: Overrides| overrides.set("enterprise.example.saml.metadata", path);
    let setup =
        Setup { idp, idp_from_metadata: true, change: Box::new(change), ..Setup::new(Backend::Embedded) };
    let gateway = TestGateway::set_up(setup).await;
    assert_eq!((&gateway.idp_entity_id, gateway.idp_sso_url.ends_with("/sso")), (&document.entity_id, true));
    let handle = gateway.running.as_ref().unwrap().metadata.values().next().unwrap().clone();
    assert_ne!(gateway.sign_in(&mut Browser::new(), "alice").await.status, 200);
    let keys = key(None, &base64_of(DEVELOPMENT_CERTIFICATE));
    std::fs::write(&file, Document { keys, ..document }.xml()).unwrap();
    // The operator's own file needs no key that is known.
    assert_eq!(handle.refresh().await, Ok(Outcome::Changed));
    assert_eq!(gateway.sign_in(&mut Browser::new(), "alice").await.status, 200);
    for broken in ["", "<html/>", "\u{0}"] {
        std::fs::write(&file, broken).unwrap();
        assert!(handle.refresh().await.is_err());
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(handle.refresh().await, Err(RefreshError::File(_))));
    assert_eq!(gateway.sign_in(&mut Browser::new(), "alice").await.status, 200);
    gateway.stop().await;
}
