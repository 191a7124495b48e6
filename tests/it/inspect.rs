//! `saml inspect`, the program itself, on responses that were captured on their way to a running gateway.
use std::{
    io::{Read, Write},
    path::PathBuf,
    process::Output,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use portcullis::{
    demo::browser::{Browser, Form},
    domain::Timestamp,
};
use serde_json::Value;

use crate::support::gateway::{Backend, Setup, TestGateway, name_id};

/// A response on its way to the ACS, in the browser that may bring it there.
struct Captured {
    browser: Browser,
    form: Form,
    /// Of the AuthnRequest that the browser has outstanding.
    request_id: String,
}

impl Captured {
    fn encoded(&self) -> &str {
        self.form.field("SAMLResponse").unwrap()
    }

    fn xml(&self) -> String {
        String::from_utf8(BASE64_STANDARD.decode(self.encoded()).unwrap()).unwrap()
    }

    /// As the browser would send it.
    fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.form.fields).finish()
    }

    fn replace(&mut self, from: &str, to: &str) {
        let xml = self.xml();
        assert!(xml.contains(from), "{from} is not in {xml}");
        self.form.set("SAMLResponse", &BASE64_STANDARD.encode(xml.replace(from, to)));
    }
}

/// Signs a person in as far as the response; `change` is made to the AuthnRequest on its way to the IdP, so that the IdP
/// signs an answer to another question.
async fn capture(gateway: &TestGateway, person: &str, change: impl Fn(&str) -> String) -> Captured {
    let mut browser = Browser::new();
    let people = browser.open(&format!("{}/saml/login?return_to=/", gateway.url)).await.unwrap();
    let (sso_url, query) = people.url.split_once('?').unwrap();
    let mut request_id = String::new();
    let mut changed = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "SAMLRequest" {
            let mut xml = String::new();
            DeflateDecoder::new(&*BASE64_STANDARD.decode(value.as_bytes()).unwrap()).read_to_string(&mut xml).unwrap();
            request_id = between(&xml, " ID=\"", "\"").to_owned();
            let mut deflate = DeflateEncoder::new(vec![], Compression::default());
            deflate.write_all(change(&xml).as_bytes()).unwrap();
            changed.append_pair("SAMLRequest", &BASE64_STANDARD.encode(deflate.finish().unwrap()));
        } else {
            changed.append_pair(&name, &value);
        }
    }
    let people = browser.open(&format!("{sso_url}?{}", changed.finish())).await.unwrap();
    let name = gateway.people.person(person).unwrap().display_name;
    let posting = browser.press(&people, &format!("Sign in as {name}")).await.unwrap();
    let mut form = posting.button("Continue").unwrap();
    form.action = format!("{}/saml/acs", gateway.url);
    Captured { browser, form, request_id }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect(start).0
}

impl TestGateway {
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs `portcullis saml inspect` with this gateway's configuration.
    fn inspect(&self, content: &str, arguments: &[&str]) -> Output {
        let file = self.write("captured", content);
        self.command().args(["saml", "inspect"]).arg(file).args(arguments).output().unwrap()
    }

    fn inspect_json(&self, content: &str, request_id: &str) -> Value {
        let output = self.inspect(content, &["--format", "json", "--request-id", request_id]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", told(&output)))
    }

    /// Replaces what is another in each run: addresses, ids, times, lengths.
    fn redact(&self, text: &str) -> String {
        let text = text.replace(&self.url, "http://GATEWAY").replace(&self.idp_url, "http://IDP");
        let word = |c: char| c.is_ascii_alphanumeric() || "_-:+".contains(c);
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(word) {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
            let (found, behind) = rest.split_at(end);
            let is_id = found.len() > 32 && found.starts_with('_');
            out.push_str(match found {
                _ if found.parse::<Timestamp>().is_ok() => "TIME",
                _ if is_id => "ID",
                _ if behind.starts_with(" bytes") => "N",
                _ => found,
            });
            rest = behind;
        }
        out + rest
    }
}

fn told(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{:?}\n{out}{err}", output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn x_probe() {
    let gateway = TestGateway::start(Backend::Embedded).await;
    gateway.people.set_groups("alice", &["octo-org", "octo-org-owners", "everyone"]).unwrap();
    let captured = capture(&gateway, "alice", str::to_owned).await;
    for format in ["text", "json"] {
        let output = gateway.inspect(captured.encoded(), &["--format", format, "--request-id", &captured.request_id]);
        println!("{}", told(&output));
        println!("{}", gateway.redact(&told(&output)));
    }
    let output = gateway.inspect(&captured.xml(), &[]);
    println!("{}", told(&output));
    let output = gateway.inspect(&captured.body(), &["--request-id", &captured.request_id, "--at", "2020-01-01T00:00:00Z"]);
    println!("{}", told(&output));
    gateway.stop().await;
}
