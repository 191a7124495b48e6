//! What a verification costs, as CPU time of this thread, beside its floor: one RSA-2048 verification, SHA-256 over the
//! message, one pass of the tokenizer over it. For an encrypted assertion the floor has one RSA-2048 decryption and the AES
//! over the assertion on top.
//!
//! `cargo bench --bench verify`; `VERIFY_ROUNDS` changes the number of rounds. Ours and the floor run in many alternating rounds and the median of each counts, so that
//! another process's noise does not. Both use the gateway's allocator, and the floor keeps its verification context as ours
//! does. The tokenizer's pass reads events to the end and the attributes of each tag, since
//! quick-xml finds those only when asked, and does nothing with them.
#[path = "../tests/it/saml/forge.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod forge;
#[path = "../tests/it/saml/seal.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod seal;

use std::{env, fs, hint::black_box};

use forge::{Sign, Spec};
use openssl::{
    md::Md,
    pkey::{PKey, Private, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    symm::{self, Cipher},
    x509::X509,
};
use quick_xml::{Reader, events::Event};
use seal::Seal;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 101;
/// Bytes that go through one round: long enough for the scheduler's count, short enough to fall between its ticks.
const BYTES_PER_ROUND: usize = 400_000;

fn main() {
    println!("message                  bytes   ours us  floor us  ratio");
    for (name, spec) in [
        ("20 groups, response", on_response(20)),
        ("20 groups, assertion", forge::with_groups(20)),
        ("20 typed groups", typed(20)),
        ("500 groups, response", on_response(500)),
        ("500 groups, assertion", forge::with_groups(500)),
        ("500 typed groups", typed(500)),
        ("2000 groups, response", on_response(2000)),
        ("2000 groups, assertion", forge::with_groups(2000)),
    ] {
        // Namespaces are declared on the root, as IdPs do it, so that the canonical form has to add declarations.
        let xml = natural(&spec.xml());
        measure(name, xml.as_bytes(), xml.as_bytes(), || ());
    }
    for (name, count) in [("20 groups, encrypted", 20), ("500 groups, encrypted", 500)] {
        let spec = forge::with_groups(count);
        let plain = natural(&spec.xml());
        let opener = Opener::new(&spec);
        measure(name, Seal::default().response(&spec).as_bytes(), plain.as_bytes(), || opener.open());
    }
}

/// The least that opening an encrypted assertion takes.
struct Opener {
    key: PKey<Private>,
    content_key: Vec<u8>,
    wrapped: Vec<u8>,
    text: Vec<u8>,
    tag: [u8; 16],
}

impl Opener {
    fn new(spec: &Spec) -> Self {
        let seal = Seal::default();
        let key = PKey::private_key_from_pem(&seal::pair(seal.to)).expect("a key");
        let rsa = key.rsa().expect("RSA");
        let mut wrapped = vec![0; rsa.size() as usize];
        rsa.public_encrypt(&seal.content_key, &mut wrapped, Padding::PKCS1_OAEP).expect("encryption");
        let mut tag = [0; 16];
        let plaintext = spec.assertion_xml();
        let (cipher, iv) = (Cipher::aes_256_gcm(), [7; 12]);
        let text =
            symm::encrypt_aead(cipher, &seal.content_key, Some(&iv), &[], plaintext.as_bytes(), &mut tag)
                .expect("AES");
        Self { key, content_key: seal.content_key, wrapped, text, tag }
    }

    fn open(&self) {
        let mut context = PkeyCtx::new(&self.key).expect("context");
        context.decrypt_init().expect("init");
        context.set_rsa_padding(Padding::PKCS1_OAEP).expect("padding");
        let mut content_key = vec![];
        context.decrypt_to_vec(black_box(&self.wrapped), &mut content_key).expect("RSA");
        assert_eq!(content_key, self.content_key);
        let cipher = Cipher::aes_256_gcm();
        let text = symm::decrypt_aead(cipher, &content_key, Some(&[7; 12]), &[], &self.text, &self.tag);
        black_box(text.expect("AES"));
    }
}

fn on_response(count: usize) -> Spec {
    Spec { sign_assertion: None, sign_response: Some(Sign::default()), ..forge::with_groups(count) }
}

/// Values with `xsi:type` that each declare what they use, as OpenSAML writes them.
fn typed(count: usize) -> Spec {
    let mut spec = forge::with_groups(count);
    let typed = "<saml:AttributeValue xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">";
    spec.attributes = spec.attributes.replace("<saml:AttributeValue>", typed);
    spec
}

/// Moves the declaration of `saml` to the root, declares `xs` beside `xsi` and shortens empty elements; the canonical form
/// stays.
fn natural(xml: &str) -> String {
    let declaration = format!(" xmlns:saml=\"{}\"", forge::SAML);
    let bare = xml.replace(&declaration, "").replace("></ds:Transform>", "/>");
    let bare = bare.replace(" xmlns:xsi=", " xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=");
    bare.replacen("<samlp:Response", &format!("<samlp:Response{declaration}"), 1)
}

/// `plain` is what the message says when nothing is encrypted, `open` what it takes to see it.
fn measure(name: &str, xml: &[u8], plain: &[u8], open: impl Fn()) {
    let connection = forge::usual_connection();
    let certificate = X509::from_pem(&forge::certificate("idp-rsa")).expect("certificate");
    let mut context = rsa_context(&certificate.public_key().expect("key"));
    let digest = openssl::sha::sha256(plain);
    let signature = forge::sign_octets("idp-rsa", "rsa-sha256", plain);
    forge::judge(&connection, xml).expect("accepted");
    let runs = (BYTES_PER_ROUND / xml.len()).max(1);
    let (mut ours, mut floor) = (vec![], vec![]);
    let rounds =
        env::var("VERIFY_ROUNDS").map_or(ROUNDS, |count| count.parse().expect("VERIFY_ROUNDS is a number"));
    for _ in 0..rounds {
        ours.push(cpu_ns(runs, || {
            black_box(forge::judge(&connection, black_box(xml)).is_ok());
        }));
        floor.push(cpu_ns(runs, || {
            assert!(context.verify(&digest, &signature).expect("verification"));
            black_box(openssl::sha::sha256(black_box(plain)));
            black_box(tokens(black_box(plain)));
            open();
        }));
    }
    let [ours, floor] = [ours, floor].map(|rounds| median(rounds) / runs as f64 / 1000.0);
    println!("{name:<23} {:>6} {ours:>9.1} {floor:>9.1} {:>6.2}", xml.len(), ours / floor);
}

fn median(mut rounds: Vec<u64>) -> f64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2] as f64
}

fn rsa_context(key: &PKey<Public>) -> PkeyCtx<Public> {
    let mut context = PkeyCtx::new(key).expect("context");
    context.verify_init().expect("init");
    context.set_rsa_padding(Padding::PKCS1).expect("padding");
    context.set_signature_md(Md::sha256()).expect("digest");
    context
}

fn tokens(xml: &[u8]) -> usize {
    let mut reader = Reader::from_reader(xml);
    let mut count = 0;
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) | Event::Empty(tag) => {
                count += tag.attributes().with_checks(false).filter(Result::is_ok).count();
            }
            Event::Eof => return count,
            _ => count += 1,
        }
    }
}

/// The CPU time that this thread spends in a round, in nanoseconds, as the scheduler counts it.
fn cpu_ns(runs: usize, mut work: impl FnMut()) -> u64 {
    let start = thread_cpu_ns();
    for _ in 0..runs {
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
