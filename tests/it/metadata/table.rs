//! The documents of `read`, served over HTTP to `metadata import`, and what no document can do to a running gateway.
use std::process::{Command, Output};

use base64::{Engine, prelude::BASE64_STANDARD};
use portcullis::{demo::browser::Browser, metadata::Outcome};

use super::{
    document::Document,
    read::{Case, cases},
    refresh::World,
    server::MetadataServer,
};
use crate::saml::forge::IDP;

/// Documents that an import takes, or refuses for another reason, because it knows neither the gateway's hosts nor its mode, and
/// the clock is today's. `refresh` and `read` refuse them.
const OTHERWISE: &[(&str, Option<&str>)] = &[
    ("M-01-valid-for-a-second-more", Some("metadata_expired")),
    ("M-06-http-on-loopback", None),
    ("M-06-own-host", None),
    ("M-06-own-host-in-disguise", None),
    ("M-06-own-host-with-port", None),
    ("S-57-development-key", None),
];

struct Import<'a> {
    server: &'a MetadataServer,
    folder: &'a std::path::Path,
}

impl Import<'_> {
    fn run(&self, pinned: bool) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["metadata", "import", &self.server.url, "--entity-id", IDP]).current_dir(self.folder);
        command.arg("--ca").arg(self.folder.join("ca.pem"));
        command.args(["--internal-network", "127.0.0.1/32"]);
        if pinned {
            let signer = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saml/keys/idp-rsa.cert.pem");
            command.args(["--signer", signer]);
        }
        command.output().unwrap()
    }

    /// What is wrong with the outcome of a case.
    fn fault(&self, case: &Case) -> Option<String> {
        let otherwise = OTHERWISE.iter().find(|(name, _)| *name == case.name);
        let owed = otherwise.map_or(case.code, |(_, code)| *code);
        self.server.respond("200 OK", "", &case.octets);
        let before = self.server.connections();
        let output = self.run(case.pinned);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let as_owed = match owed {
            None => output.status.code() == Some(0) && out.contains("[enterprise.example.saml]"),
            Some(code) => {
                let said = format!("docs/REASONS.md explains {code}\n");
                output.status.code() == Some(1) && out.is_empty() && err.ends_with(&said)
            }
        };
        let once = self.server.connections() == before + 1;
        (!as_owed || !once).then(|| format!("{}: owed {owed:?}: {out}{err}", case.name))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m_01_m_02_m_03_m_05_m_06_m_07_m_08_s_57_s_59_every_document_over_http() {
    let server = MetadataServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), &server.authority_pem).unwrap();
    let import = Import { server: &server, folder: folder.path() };
    let cases = cases();
    let faults: Vec<String> = cases.iter().filter_map(|case| import.fault(case)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(cases.len() > 60, "{}", cases.len());
    // Whatever was taken or refused: nothing was written.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// M-07: a document that asks for SHA-1 is taken, and SHA-1 is not.
#[tokio::test]
async fn m_07_a_document_opens_no_algorithm() {
    let world = World::new().await;
    let alg = "xmlns:alg=\"urn:oasis:names:tc:SAML:metadata:algsupport\"";
    let sha1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
    let before = format!(
        "<md:Extensions><alg:SigningMethod {alg} Algorithm=\"{sha1}\"></alg:SigningMethod></md:Extensions>"
    );
    let hinted = Document { before, ..world.document() };
    assert_eq!(world.take(&hinted).await, Ok(Outcome::Changed));
    assert!(world.signs_in().await);
    let mut browser = Browser::new();
    let mut form = world.gateway.response_form(&mut browser, "alice").await;
    let response = BASE64_STANDARD.decode(form.field("SAMLResponse").unwrap()).unwrap();
    let response = String::from_utf8(response).unwrap();
    let named = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    assert!(response.contains(named), "{response}");
    form.set("SAMLResponse", &BASE64_STANDARD.encode(response.replace(named, sha1)));
    assert_eq!(browser.submit(&form).await.unwrap().status, 403);
    let metrics = world.gateway.private("/metrics").await.body;
    let refused = r#"portcullis_saml_responses_total{result="refused",reason="signature_algorithm"} 1"#;
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
    world.gateway.stop().await;
}
