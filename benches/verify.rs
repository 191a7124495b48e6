//! What a verification costs, as CPU time of this thread, beside its floor: one RSA-2048 verification, SHA-256 over the
//! message, one pass of the tokenizer over it.
//!
//! `cargo bench --bench verify`. Ours and the floor run in alternating rounds and the fastest round of each counts, so
//! that another process's noise does not.
#[path = "../tests/it/saml/forge.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod forge;

use std::{fs, hint::black_box};

use forge::{Sign, Spec};
use openssl::{md::Md, pkey::PKey, pkey_ctx::PkeyCtx, rsa::Padding, x509::X509};
use quick_xml::{Reader, events::Event};

const ROUNDS: usize = 40;
const PER_ROUND: usize = 100;

fn main() {
    println!("message                     bytes   ours us  floor us  ratio");
    for (name, spec) in [
        ("20 groups, response", on_response(20)),
        ("20 groups, assertion", forge::with_groups(20)),
        ("500 groups, response", on_response(500)),
        ("500 groups, assertion", forge::with_groups(500)),
        ("500 typed groups", typed(500)),
        ("1000 groups, assertion", forge::with_groups(1000)),
    ] {
        // Namespaces are declared on the root, as IdPs do it, so that the canonical form has to add declarations.
        let xml = natural(&spec.xml());
        measure(name, xml.as_bytes());
    }
}

fn on_response(count: usize) -> Spec {
    Spec { sign_assertion: None, sign_response: Some(Sign::default()), ..forge::with_groups(count) }
}

/// Values with `xsi:type`, as OpenSAML writes them.
fn typed(count: usize) -> Spec {
    let mut spec = forge::with_groups(count);
    let typed = "<saml:AttributeValue xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">";
    spec.attributes = spec.attributes.replace("<saml:AttributeValue>", typed);
    spec
}

/// Moves the declaration of `saml` to the root and shortens empty elements; the canonical form stays.
fn natural(xml: &str) -> String {
    let declaration = format!(" xmlns:saml=\"{}\"", forge::SAML);
    let bare = xml.replace(&declaration, "").replace("></ds:Transform>", "/>");
    bare.replacen("<samlp:Response", &format!("<samlp:Response{declaration}"), 1)
}

fn measure(name: &str, xml: &[u8]) {
    let connection = forge::connection(&["idp-rsa"]);
    let certificate = X509::from_pem(&forge::certificate("idp-rsa")).expect("certificate");
    let key = certificate.public_key().expect("key");
    let digest = openssl::sha::sha256(xml);
    let signature = forge::sign_octets("idp-rsa", "rsa-sha256", xml);
    forge::judge(&connection, xml).expect("accepted");
    let (mut ours, mut floor) = (u64::MAX, u64::MAX);
    for _ in 0..ROUNDS {
        ours = ours.min(cpu_ns(|| {
            black_box(forge::judge(&connection, black_box(xml)).is_ok());
        }));
        floor = floor.min(cpu_ns(|| {
            assert!(rsa_verify(&key, &digest, &signature));
            black_box(openssl::sha::sha256(black_box(xml)));
            black_box(tokens(black_box(xml)));
        }));
    }
    let micros = |ns: u64| ns as f64 / PER_ROUND as f64 / 1000.0;
    let ratio = ours as f64 / floor as f64;
    println!("{name:<26} {:>6} {:>9.1} {:>9.1} {ratio:>6.2}", xml.len(), micros(ours), micros(floor));
}

fn rsa_verify(key: &PKey<openssl::pkey::Public>, digest: &[u8], signature: &[u8]) -> bool {
    let mut context = PkeyCtx::new(key).expect("context");
    context.verify_init().expect("init");
    context.set_rsa_padding(Padding::PKCS1).expect("padding");
    context.set_signature_md(Md::sha256()).expect("digest");
    context.verify(digest, signature).expect("verification")
}

fn tokens(xml: &[u8]) -> usize {
    let mut reader = Reader::from_reader(xml);
    let mut count = 0;
    while !matches!(reader.read_event().expect("well-formed"), Event::Eof) {
        count += 1;
    }
    count
}

/// The CPU time that this thread spends in a round, in nanoseconds, as the scheduler counts it.
fn cpu_ns(mut work: impl FnMut()) -> u64 {
    let start = thread_cpu_ns();
    for _ in 0..PER_ROUND {
        work();
    }
    thread_cpu_ns() - start
}

fn thread_cpu_ns() -> u64 {
    // Yielding makes the scheduler bring the count up to date.
    std::thread::yield_now();
    let line = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    line.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number")
}
