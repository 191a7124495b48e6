//! Sign-ins through the ACS over Redis: how many a second, and what one costs the gateway and Redis in CPU time.
//!
//! `cargo bench --bench sign_in`. The gateway is the release binary in a process of its own, Redis a real server. Requests
//! are opened and responses signed before the clock runs, so only the POSTs to the ACS are measured. The reference is the
//! verification alone, of responses from the same IdP, as thread CPU in this process. `SIGN_INS` changes how many there are.
use std::{
    env, fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portcullis::{
    demo::browser::{Browser, Form},
    domain::{AuthnDemand, Timestamp},
    idp,
    saml::{self, Connection, NoTrail, Outstanding, SignedElement, SubjectKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SIGN_INS: usize = 4_000;
const CONNECTIONS: usize = 8;
/// Responses that the verification alone is measured with.
const VERIFICATIONS_MAX: usize = 500;
/// Opened before the clock runs, at once.
const PREPARING: usize = 8;
/// Kernel clock ticks a second, as /proc counts CPU time on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a free port").port()
}

/// User and system time of a process, in seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks =
        |n: usize| after_name.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Nanoseconds that this thread has run.
fn thread_nanos() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

struct World {
    gateway: Killed,
    redis: Killed,
    public: SocketAddr,
    idp_entity_id: String,
    _folder: tempfile::TempDir,
}

async fn start() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let (public, private, redis_port) = (free_port(), free_port(), free_port());
    let redis = Command::new("redis-server")
        .args(["--port", &redis_port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    let redis = Killed(redis);
    let idp = idp::bind(idp::Settings::development(SocketAddr::from(([127, 0, 0, 1], 0))))
        .await
        .expect("the IdP starts");
    let (sso_url, idp_entity_id) = (idp.sso_url().to_owned(), idp.entity_id().to_owned());
    tokio::spawn(idp.run(std::future::pending()));
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", redis_port)).await.is_err() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gateway = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
        .env("PORTCULLIS_PUBLIC_URL", format!("http://localhost:{public}"))
        .env("PORTCULLIS_LISTEN_PUBLIC", format!("127.0.0.1:{public}"))
        .env("PORTCULLIS_LISTEN_PRIVATE", format!("127.0.0.1:{private}"))
        .env("PORTCULLIS_STORE_KIND", "redis")
        .env("PORTCULLIS_STORE_URL", format!("redis://127.0.0.1:{redis_port}"))
        .env("PORTCULLIS_ENTERPRISE_EXAMPLE_PROVISIONING", "true")
        .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_IDP_ENTITY_ID", &idp_entity_id)
        .env("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_SSO_URL", sso_url)
        .stderr(Stdio::null())
        .spawn()
        .expect("the gateway starts");
    let public = SocketAddr::from(([127, 0, 0, 1], public));
    while TcpStream::connect(public).await.is_err() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    World { gateway: Killed(gateway), redis, public, idp_entity_id, _folder: folder }
}

/// Opens a sign-in as far as the form that posts the response: the request's bytes, ready to send, and the form.
async fn prepare(public: SocketAddr) -> (Vec<u8>, Form) {
    let mut browser = Browser::new();
    let start = format!("http://localhost:{}/saml/login?return_to=/", public.port());
    let people = browser.open(&start).await.expect("the sign-in starts");
    let posting = browser.press(&people, "Sign in as Alice").await.expect("the IdP answers");
    let form = posting.button("Continue").expect("a form that posts the response");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
    let name = "__Host-portcullis-signin";
    let cookie = browser.cookie("localhost", name).expect("the sign-in cookie");
    let head = format!(
        "POST /saml/acs HTTP/1.1\r\nHost: localhost:{}\r\nCookie: {name}={cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        public.port(),
        body.len()
    );
    (head.into_bytes(), form)
}

/// Sends requests one after the other on one connection; answers how many opened a session.
async fn post_all(public: SocketAddr, requests: Vec<Vec<u8>>) -> usize {
    let mut stream = TcpStream::connect(public).await.expect("the gateway accepts");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut opened = 0;
    let mut buffer = vec![0; 16 * 1024];
    for request in requests {
        stream.write_all(&request).await.expect("the gateway reads");
        let mut answer = Vec::new();
        while !answer.windows(4).any(|w| w == b"\r\n\r\n") {
            let read = stream.read(&mut buffer).await.expect("the gateway answers");
            assert!(read > 0, "the gateway closed the connection");
            answer.extend_from_slice(&buffer[..read]);
        }
        opened += usize::from(answer.starts_with(b"HTTP/1.1 303"));
    }
    opened
}

/// Thread CPU of one verification, in nanoseconds, over the prepared responses.
fn verification_nanos(world: &World, forms: &[Form]) -> f64 {
    let acs_url = format!("http://localhost:{}/saml/acs", world.public.port());
    let connection = Connection::new(saml::Settings {
        entity_id: format!("http://localhost:{}/saml/metadata", world.public.port()),
        idp_entity_id: world.idp_entity_id.clone(),
        sso_url: "http://localhost/sso".into(),
        certificates: vec![include_bytes!("../certs/development-idp.crt").to_vec()],
        signed: SignedElement::Either,
        subject: SubjectKey::NameId,
        clock_skew_seconds: 60,
        ..saml::Settings::default()
    })
    .expect("the development certificate");
    let responses: Vec<(Vec<u8>, String)> = forms
        .iter()
        .map(|form| {
            let response =
                saml::decode(form.field("SAMLResponse").unwrap_or_default().as_bytes()).expect("base64");
            let text = String::from_utf8_lossy(&response).into_owned();
            let request = text
                .split("InResponseTo=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_default();
            (response, request.to_owned())
        })
        .collect();
    let now = Timestamp::now();
    let begin = thread_nanos();
    for (response, request_id) in &responses {
        let demand = AuthnDemand::default();
        let outstanding = [Outstanding { request_id, demand: &demand, issued_at: now }];
        saml::verify(response, &connection, &acs_url, &outstanding, now, &mut NoTrail)
            .expect("a good response");
    }
    (thread_nanos() - begin) / responses.len() as f64
}

#[tokio::main]
async fn main() {
    let world = start().await;
    let public = world.public;
    let (mut requests, mut forms) = (Vec::new(), Vec::new());
    let sign_ins =
        env::var("SIGN_INS").map_or(SIGN_INS, |count| count.parse().expect("SIGN_INS is a number"));
    while requests.len() < sign_ins {
        let batch: Vec<_> = (0..PREPARING).map(|_| tokio::spawn(prepare(public))).collect();
        for prepared in batch {
            let (request, form) = prepared.await.expect("a prepared sign-in");
            requests.push(request);
            forms.push(form);
        }
    }
    let reference = verification_nanos(&world, &forms[..VERIFICATIONS_MAX.min(forms.len())]) / 1e6;
    let count = requests.len();
    let (gateway_pid, redis_pid) = (world.gateway.0.id(), world.redis.0.id());
    let (gateway_before, redis_before) = (cpu_seconds(gateway_pid), cpu_seconds(redis_pid));
    let begin = Instant::now();
    let mut shares: Vec<Vec<Vec<u8>>> = vec![Vec::new(); CONNECTIONS];
    for (n, request) in requests.into_iter().enumerate() {
        shares[n % CONNECTIONS].push(request);
    }
    let posting: Vec<_> = shares.into_iter().map(|share| tokio::spawn(post_all(public, share))).collect();
    let mut opened = 0;
    for share in posting {
        opened += share.await.expect("a connection's share");
    }
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(opened, count, "every sign-in opens a session");
    let gateway = (cpu_seconds(gateway_pid) - gateway_before) * 1e3 / count as f64;
    let redis = (cpu_seconds(redis_pid) - redis_before) * 1e3 / count as f64;
    println!(
        "sign-ins through the ACS over Redis, {CONNECTIONS} connections, {count} sign-ins of one person"
    );
    println!("  sign-ins per second      {:>9.0}", count as f64 / seconds);
    println!("  gateway CPU per sign-in  {gateway:>9.3} ms");
    println!("  Redis CPU per sign-in    {redis:>9.3} ms");
    println!("  verification alone       {reference:>9.3} ms (reference: thread CPU, same responses)");
    println!("  ratio, gateway and Redis {:>9.2} times the verification", (gateway + redis) / reference);
}
