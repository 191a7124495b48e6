//! A real mail server, aiosmtpd from Debian's package: `mail_server.py` beside this file.
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    x509::{X509Builder, X509NameBuilder, extension::SubjectAlternativeName},
};

use super::{ports, process::Process};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/mail_server.py");
/// How long a mail may take to arrive.
const ARRIVE_SECONDS_MAX: u64 = 90;
const POLL_MS: u64 = 50;

/// A running server. Mails stay in its folder, over the end of the server itself.
pub struct MailServer {
    port: u16,
    tls: &'static str,
    user: Option<(&'static str, &'static str)>,
    folder: tempfile::TempDir,
    server: Option<Process>,
}

/// A mail as the server got it.
#[derive(Debug, Clone)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub tls: bool,
    pub user: Option<String>,
    /// As it was on the wire.
    pub data: String,
}

impl MailServer {
    /// `tls` is `none`, `starttls` or `implicit`; with a user and a password others get nowhere.
    pub fn start(tls: &'static str, user: Option<(&'static str, &'static str)>) -> Self {
        let mut server = Self::down(tls, user);
        server.begin();
        server
    }

    /// One whose port nobody listens on yet.
    pub fn down(tls: &'static str, user: Option<(&'static str, &'static str)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for mails");
        write_certificate(folder.path());
        Self { port: ports::free(), tls, user, folder, server: None }
    }

    /// Listens.
    pub fn begin(&mut self) {
        let (user, password) = self.user.unwrap_or_default();
        let command = |_| {
            // Debian's Python, which has Debian's packages.
            let mut command = Command::new("/usr/bin/python3");
            command.arg("-sB").arg(PROGRAM).arg(self.port.to_string()).arg(self.folder.path());
            command.args([self.tls, user, password]);
            command
        };
        self.server =
            Some(Process::start_until("aiosmtpd", command, |server| server.log().contains("ready")));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority of its certificate: itself.
    pub fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// All mails that came until now, oldest first.
    pub fn mails(&self) -> Vec<Received> {
        let entries = fs::read_dir(self.folder.path().join("new")).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().map(|path| Received::read(path)).collect()
    }

    /// Waits for so many mails, and gives all that there are.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(ARRIVE_SECONDS_MAX);
        loop {
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            assert!(Instant::now() < deadline, "{} of {count} mails came: {mails:?}", mails.len());
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
    }
}

impl Received {
    fn read(path: &Path) -> Self {
        let kept: serde_json::Value = serde_json::from_slice(&fs::read(path).expect("a mail")).expect("JSON");
        let text = |name: &str| kept[name].as_str().map(str::to_owned);
        let to = kept["to"].as_array().expect("a list");
        Self {
            from: text("from").expect("a sender"),
            to: to.iter().map(|to| to.as_str().expect("an address").to_owned()).collect(),
            tls: kept["tls"] == true,
            user: text("user"),
            data: text("data").expect("the mail"),
        }
    }

    /// A header field's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The part of that media type, decoded.
    pub fn body(&self, media_type: &str) -> String {
        let part =
            self.data.split("\r\n--").find(|part| part.contains(&format!("Content-Type: {media_type}")));
        let part = part.unwrap_or_else(|| panic!("no {media_type} in {}", self.data));
        let (head, body) = part.split_once("\r\n\r\n").expect("a body");
        if head.contains("quoted-printable") {
            return quoted_printable(body);
        }
        if head.contains("base64") {
            let text: String = body.split_whitespace().collect();
            return String::from_utf8(BASE64_STANDARD.decode(text).expect("base64")).expect("UTF-8");
        }
        body.to_owned()
    }

    /// The one link of the text.
    pub fn link(&self) -> String {
        let text = self.body("text/plain");
        let link = text.split_whitespace().find(|word| word.starts_with("http"));
        link.unwrap_or_else(|| panic!("no link in {text}")).to_owned()
    }
}

fn quoted_printable(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = vec![];
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let digits = std::str::from_utf8(&after[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// Self-signed, for `localhost`.
fn write_certificate(folder: &Path) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "mail server of a test").expect("a name");
    let name = name.build();
    let mut builder = X509Builder::new().expect("a certificate");
    builder.set_version(2).expect("version 3");
    let serial = BigNum::from_u32(7).and_then(|number| number.to_asn1_integer()).expect("a serial number");
    builder.set_serial_number(&serial).expect("a serial number");
    builder.set_subject_name(&name).expect("a subject");
    builder.set_issuer_name(&name).expect("an issuer");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(2).expect("a time")).expect("a time");
    let host = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None));
    builder.append_extension(host.expect("an extension")).expect("an extension");
    builder.set_pubkey(&key).expect("a public key");
    builder.sign(&key, MessageDigest::sha256()).expect("a signature");
    let pem = builder.build().to_pem().expect("PEM");
    fs::write(folder.join("cert.pem"), pem).expect("the certificate written");
    fs::write(folder.join("key.pem"), key.private_key_to_pem_pkcs8().expect("PEM")).expect("the key written");
}
