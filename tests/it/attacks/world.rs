//! A whole gateway at the ACS that the forged messages are made for, at the time that they are made for, and everything that
//! a message may set in motion, counted.
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    config::Overrides,
    domain::{AuthnDemand, EnterpriseSlug, PendingSignIn, RequestId, SignInHandle},
    edge::cookies,
    saml::Check,
    store::Store,
};
use serde_json::Value;

use super::{
    audit,
    store::{Log, Recording},
};
use crate::{
    gate_rig::{Answer, Client, Recorded, RecordingOrigin, answer_ok},
    saml::{
        Case, cases,
        forge::{self, Spec},
    },
    support::gateway::{Backend, Setup, TestGateway},
};

pub const HOST: &str = "sp.example.com";
pub const ACS_PATH: &str = "/saml/acs";
pub const RELAY_STATE: &str = "the-relay-state";
/// The requests that the browser has outstanding: the one that messages answer, and another.
pub const HANDLES: [[u8; 16]; 2] = [[0xa1; 16], [0xa2; 16]];
/// Long enough that what is refused for its length is refused by the verification.
const BODY_BYTES_MAX: &str = "1048576";
/// Nothing of a message, and nothing of what it is made of, may come back.
const REFLECTED: &[&str] = &[
    "alice",
    "admin@",
    "example.com",
    "_assertion",
    "_response",
    "_evil",
    "script>",
    "alert(1)",
    "urn:oasis",
    "saml:",
    "samlp:",
    "xmlns",
    "127.0.0.1:9",
    "etc/",
    RELAY_STATE,
];

/// Every case, made for requests that the gateway really sent.
pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| aimed(cases));

/// What `make` makes, for requests that the gateway really sent.
pub fn aimed<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> T {
    let [first, second] =
        HANDLES.map(|handle| format!("_{}", RequestId::of(SignInHandle::from_bytes(handle))));
    make_for(vec![(forge::REQUEST.into(), first), ("\"_other\"".into(), format!("\"{second}\""))], make)
}

/// What `make` makes with the second of each pair in place of the first.
pub fn make_for<T: Send + 'static>(
    pairs: Vec<(String, String)>,
    make: impl FnOnce() -> T + Send + 'static,
) -> T {
    let aim = move || {
        let pairs: Vec<(&str, String)> = pairs.iter().map(|(from, to)| (from.as_str(), to.clone())).collect();
        forge::retarget(&pairs);
        make()
    };
    // In a thread of its own: what other tests make on this one stays as it is.
    std::thread::spawn(aim).join().expect("a message")
}

/// The form value of the accepted response, changed before it is signed.
pub fn message<R>(change: impl FnOnce(&mut Spec) -> R + Send + 'static) -> String {
    aimed(|| {
        let mut spec = Spec::default();
        change(&mut spec);
        STANDARD.encode(spec.xml())
    })
}

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

pub struct World {
    pub gateway: TestGateway,
    origin: RecordingOrigin,
    store: Arc<Mutex<Option<Arc<dyn Store>>>>,
    pub log: Arc<Log>,
    /// What people see, by reason.
    pages: Mutex<HashMap<String, String>>,
}

/// What one request set in motion.
#[derive(Debug)]
pub struct Seen {
    pub answer: Answer,
    pub request_id: String,
    pub writes: usize,
    pub forwarded: usize,
    pub audit: Vec<Value>,
}

/// What a browser sends to the ACS beside the form, and how.
#[derive(Clone)]
pub struct Post<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub fields: String,
    pub body: Vec<u8>,
}

impl World {
    /// With the IdP's certificates of `fixtures/saml/keys`.
    pub async fn new(certificates: &[&str]) -> Self {
        Self::with(Setup::new(Backend::Embedded), certificates, |overrides| overrides).await
    }

    pub async fn with(
        mut setup: Setup,
        certificates: &[&str],
        change: impl FnOnce(Overrides) -> Overrides + 'static,
    ) -> Self {
        audit::keep();
        let origin = RecordingOrigin::new(answer_ok);
        let origin_url = format!("http://{}", origin.address);
        let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys");
        let paths: Vec<String> = certificates.iter().map(|name| format!("{keys}/{name}.cert.pem")).collect();
        let own_keys = ["sp-decryption", "sp-decryption-next"].map(|name| format!("{keys}/{name}.pem"));
        setup.change = Box::new(move |overrides| {
            change(
                overrides
                    .set("mode", "production")
                    .set("public_url", format!("https://{HOST}"))
                    .set("limits.acs_body_bytes_max", BODY_BYTES_MAX)
                    .set("enterprise.example.saml.idp_entity_id", forge::IDP)
                    .set("enterprise.example.saml.sso_url", "https://idp.example.com/sso")
                    .set("enterprise.example.saml.certificates", paths.join(","))
                    .set("enterprise.example.saml.decryption_keys", own_keys.join(","))
                    .set("enterprise.example.saml.entity_id", forge::ENTITY)
                    .set("route.app.origin", &origin_url)
                    .set("route.public.origin", &origin_url),
            )
        });
        setup.now = forge::now;
        let (log, kept) = (Arc::<Log>::default(), Arc::<Mutex<Option<Arc<dyn Store>>>>::default());
        let (written, keep) = (log.clone(), kept.clone());
        setup.wrap = Box::new(move |inner| {
            *keep.lock().unwrap() = Some(inner.clone());
            Recording::before(inner, written)
        });
        let gateway = TestGateway::set_up(setup).await;
        let world = Self { gateway, origin, store: kept, log, pages: Mutex::default() };
        world.open_sign_ins("example", forge::ACS).await;
        world
    }

    /// Two requests are outstanding, as if the browser had been sent to the IdP twice. Those that were answered are again.
    pub async fn open_sign_ins(&self, enterprise: &str, acs_url: &str) {
        self.open_sign_ins_asking(enterprise, acs_url, &AuthnDemand::default()).await;
    }

    /// The same, where the requests asked something of the sign-in.
    pub async fn open_sign_ins_asking(&self, enterprise: &str, acs_url: &str, demand: &AuthnDemand) {
        let directory = self.gateway.running.as_ref().unwrap().directory.clone();
        let now = forge::now();
        for handle in HANDLES {
            let pending = PendingSignIn {
                request: RequestId::of(SignInHandle::from_bytes(handle)),
                enterprise: EnterpriseSlug::parse(enterprise).unwrap(),
                acs_url: acs_url.into(),
                relay_state: RELAY_STATE.into(),
                return_to: "/after".into(),
                replaces: None,
                demand: demand.clone(),
                issued_at: now,
                expires_at: now + std::time::Duration::from_secs(600),
            };
            directory.open_sign_in(&pending, &[], now).await.unwrap();
        }
    }

    /// As if no assertion had been used.
    pub async fn forget_assertions(&self) {
        let store = self.store.lock().unwrap().clone().unwrap();
        store.batch(forge::now(), self.log.unmark()).await.unwrap();
        self.gateway.running.as_ref().unwrap().directory.forget_removals();
    }

    /// Sends a POST and sees what it sets in motion.
    pub fn post(&self, post: &Post<'_>) -> Seen {
        self.send("POST", post)
    }

    /// The same by any method.
    pub fn send(&self, method: &str, post: &Post<'_>) -> Seen {
        self.exchange(method, post, |client, octets| client.send(octets))
    }

    /// [`Self::post`] of a body that the gateway need not read to its end.
    pub fn post_until_answer(&self, post: &Post<'_>) -> Seen {
        self.exchange("POST", post, |client, octets| drop(std::io::Write::write_all(&mut client.0, octets)))
    }

    fn exchange(&self, method: &str, post: &Post<'_>, send: impl FnOnce(&mut Client, &[u8])) -> Seen {
        let request_id = format!("{}{}", audit::REQUEST_ID_PREFIX, REQUESTS.fetch_add(1, Ordering::SeqCst));
        let Post { host, path, fields, body } = post;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: {request_id}\r\nConnection: close\r\n\
             Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n{fields}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let before = self.log.writes();
        let mut client = Client::new(self.gateway.running.as_ref().unwrap().public_address);
        send(&mut client, &[head.as_bytes(), body].concat());
        let answer = client.answer();
        let writes = self.log.writes() - before;
        let forwarded = self.origin.take().len();
        Seen { answer, writes, forwarded, audit: audit::take(&request_id), request_id }
    }

    /// What the origin server receives for a GET with the session that an answer opened.
    pub fn forwarded_with(&self, accepted: &Seen) -> Recorded {
        let session = accepted.answer.values("set-cookie").join("; ");
        let session = session.split("; ").find(|pair| pair.starts_with(cookies::SESSION)).expect("a session");
        let mut client = Client::new(self.gateway.running.as_ref().unwrap().public_address);
        client.send(
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {session}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.origin.one()
    }

    /// Stops the gateway; its store is free when this returns.
    pub async fn stop(self) {
        self.gateway.stop().await;
    }

    /// As if nothing had been answered.
    pub async fn rewind(&self) {
        self.open_sign_ins("example", forge::ACS).await;
        self.forget_assertions().await;
    }

    /// Posts a case to the ACS as the browser that asked.
    pub fn post_case(&self, case: &Case) -> Seen {
        self.post(&form(&form_value(case)))
    }

    /// What is owed for every message that is refused: a class and an error id, one audit event with the reason, and nothing
    /// else anywhere.
    pub fn expect_refused(&self, name: &str, seen: &Seen, status: u16, reason: &str) {
        self.expect_refusal(name, seen, status, reason);
        assert_eq!(seen.writes, 0, "{name}: writes to the store");
    }

    /// [`Self::expect_refused`] for a message to the SLO URL.
    pub fn expect_logout_refused(&self, name: &str, seen: &Seen, reason: &str) {
        let status = if seen.answer.status == 400 { 400 } else { 403 };
        self.expect_refusal_as("saml.logout_refused", name, seen, status, reason);
        assert_eq!(seen.writes, 0, "{name}: writes to the store");
    }

    /// [`Self::expect_refused`] where one-time marks were set on the way.
    pub fn expect_refusal(&self, name: &str, seen: &Seen, status: u16, reason: &str) {
        self.expect_refusal_as("saml.response_refused", name, seen, status, reason);
    }

    fn expect_refusal_as(&self, action: &str, name: &str, seen: &Seen, status: u16, reason: &str) {
        let Seen { answer, request_id, forwarded, audit, .. } = seen;
        let said: Vec<_> = audit.iter().map(|line| (&line["action"], &line["reason"])).collect();
        assert_eq!(said, [(&action.into(), &reason.into())], "{name}");
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        assert_eq!(*forwarded, 0, "{name}: requests to the origin server");
        expect_bare(name, answer, request_id);
        let page = answer.body.replace(request_id.as_str(), "REQUEST-ID");
        let first = self.pages.lock().unwrap().entry(reason.into()).or_insert_with(|| page.clone()).clone();
        assert_eq!(first, page, "{name}: the page differs from another of the same reason");
    }

    /// The control: a session, its cookie, records, one event for the response, and a way back.
    pub fn expect_accepted(&self, name: &str, seen: &Seen) {
        assert_eq!(seen.answer.status, 303, "{name}: {:?}", seen.audit);
        assert_eq!(seen.answer.values("location"), [format!("https://{HOST}/after")], "{name}");
        let session = format!("{}=", cookies::SESSION.to_lowercase());
        let set = seen.answer.values("set-cookie").iter().any(|c| c.to_lowercase().starts_with(&session));
        assert!(set, "{name}: {}", seen.answer.head);
        assert!(seen.writes > 0, "{name}");
        let accepted = seen.audit.iter().filter(|line| line["action"] == "business.sso_response").count();
        assert_eq!(accepted, 1, "{name}: {:?}", seen.audit);
    }
}

/// No cookie, no redirect, no invitation to other origins, nothing of the message; an error id.
fn expect_bare(name: &str, answer: &Answer, request_id: &str) {
    for field in ["set-cookie", "location", "access-control-allow-origin"] {
        assert!(answer.values(field).is_empty(), "{name}: {field} in {}", answer.head);
    }
    assert_eq!(answer.values("x-request-id"), [request_id], "{name}: {}", answer.head);
    assert!(answer.body.contains(request_id), "{name}: no error id in {}", answer.body);
    let policy = answer.values("content-security-policy").concat();
    assert!(policy.contains("default-src 'none'"), "{name}: {policy}");
    let whole = format!("{}{}", answer.head, answer.body);
    for part in REFLECTED {
        assert!(!whole.contains(part), "{name}: {part:?} comes back in {whole}");
    }
}

/// The form value that carries a case.
pub fn form_value(case: &Case) -> String {
    if case.reason.is_some_and(|reason| reason.check() == Check::Encoding) {
        String::from_utf8(case.octets.clone()).expect("a form value")
    } else {
        STANDARD.encode(&case.octets)
    }
}

/// The cookie of the browser that asked.
pub fn cookie() -> String {
    let handles = HANDLES.map(|handle| SignInHandle::from_bytes(handle).to_string());
    format!("Cookie: {}={}\r\n", cookies::SIGN_IN, handles.join("."))
}

pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// The POST of a form value with the right RelayState, by the browser that asked.
pub fn form(value: &str) -> Post<'static> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLResponse", value)
        .append_pair("RelayState", RELAY_STATE)
        .finish();
    Post { host: HOST, path: ACS_PATH, fields: format!("{FORM}{}", cookie()), body: body.into_bytes() }
}
