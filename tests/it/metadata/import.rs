//! `metadata import` and metadata in `check`, and the metadata of an IdP that we did not write, used for a sign-in.
use std::{
    path::Path,
    process::{Command, Output},
};

use portcullis::demo::browser::Browser;

use super::{
    document::{Document, SOAP, service},
    server::MetadataServer,
};
use crate::{
    saml::forge::{IDP, Sign},
    support::{
        gateway::{Backend, Setup, TestGateway, name_id},
        simplesamlphp::SimpleSaml,
    },
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_file_becomes_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut document = Document { role: " WantAuthnRequestsSigned=\"true\"".into(), ..Document::default() };
    document.services += &service("SingleLogoutService", SOAP, "https://idp.example.com/slo");
    let file = write(folder.path(), "idp.xml", &document.xml());
    let (out, err) = ended(&portcullis(&["metadata", "import", &file]), 0);
    assert!(
        out.contains(&format!(
            "[enterprise.example.saml]\nidp_entity_id = \"{IDP}\"\nmetadata = \"{file}\"\n"
        )),
        "{out}"
    );
    assert!(out.contains("# single logout by SOAP: https://idp.example.com/slo\n"), "{out}");
    assert!(err.contains("warning: the IdP refuses AuthnRequests that are not signed"), "{err}");
    assert!(err.contains("warning: nobody vouches for the document"), "{err}");

    // As it is printed, the metadata is followed.
    let running = |table: &str| {
        let text = format!(
            "mode = \"development\"\npublic_url = \"http://localhost:8080\"\n{table}\n[route.app]\npath = \"/\"\n\
             origin = \"http://127.0.0.1:8082\"\nenterprise = \"example\"\n"
        );
        let config = write(folder.path(), "config.toml", &text);
        ended(&portcullis(&["check", "--config", &config]), 0)
    };
    let (checked, err) = running(&out);
    assert!(
        checked.contains(&format!("  metadata         {file}, not signed, refreshed every 6 h or sooner\n")),
        "{checked}"
    );
    assert!(checked.contains("  certificates     1, signed: either"), "{checked}");
    assert!(err.contains("says that the IdP refuses AuthnRequests that are not signed"), "{err}");
    let url = "metadata = \"https://idp.example.com/metadata?token=hunter2\"";
    let (checked, err) = running(&out.replace(&format!("metadata = \"{file}\""), url));
    assert!(
        checked.contains("  metadata         https://idp.example.com/metadata, new keys beside a known one"),
        "{checked}"
    );
    assert!(checked.contains("  certificates     from metadata, signed: either"), "{checked}");
    assert!(!format!("{checked}{err}").contains("hunter2"), "{checked}{err}");

    // Taken apart, what is printed is a configuration that runs.
    let target = folder.path().display().to_string();
    let arguments = ["metadata", "import", &file, "--certificates", &target];
    let (out, _) = ended(&portcullis(&arguments), 0);
    let (out, err) = running(&out);
    assert!(out.contains(&format!("  IdP              {IDP} at https://idp.example.com/sso\n")), "{out}");
    assert_eq!(err, "");
    let certificate = std::fs::read(folder.path().join("example-idp-1.crt")).unwrap();
    let parsed = |pem: &[u8]| openssl::x509::X509::from_pem(pem).unwrap().to_der().unwrap();
    assert_eq!(parsed(&certificate), parsed(&crate::saml::forge::certificate("idp-rsa")));
}

#[test]
fn m_03_what_is_refused_is_not_imported() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "idp.xml", &Document::default().xml());
    let (out, err) = ended(&portcullis(&["metadata", "import", &file, "--entity-id", "urn:other"]), 1);
    assert!(out.is_empty() && err.contains("docs/REASONS.md explains metadata_entity_mismatch"), "{err}");
    let signer = format!("{ROOT}/fixtures/saml/keys/idp-rsa.cert.pem");
    let (_, err) = ended(&portcullis(&["metadata", "import", &file, "--signer", &signer]), 1);
    assert!(err.contains("metadata_signature_missing"), "{err}");
    let signed = Document { sign: Some(Sign::default()), ..Document::default() };
    let signed = write(folder.path(), "signed.xml", &signed.xml());
    let (out, err) = ended(&portcullis(&["metadata", "import", &signed, "--signer", &signer]), 0);
    assert!(out.contains("signed by a certificate of --signer") && !err.contains("vouches"), "{out}{err}");
    for (arguments, why) in [
        (&["metadata", "import", "nowhere.xml"][..], "metadata_file"),
        (&["metadata", "import", "https://127.0.0.1:1/"], "metadata_address"),
        (&["metadata", "import", "https://0x7f.1/"], "metadata_address"),
        (&["metadata", "import", "https://[::ffff:169.254.169.254]/"], "metadata_address"),
    ] {
        let (out, err) = ended(&portcullis(arguments), 1);
        assert!(out.is_empty() && err.contains(why), "{err}");
    }
    for arguments in [
        &["metadata", "import"][..],
        &["metadata", "import", "http://idp.example.com/"],
        &["metadata", "import", "https://user:hunter2@idp.example.com/"],
        &["metadata", "import", &file, "--enterprise", "no such name"],
    ] {
        let (out, err) = ended(&portcullis(arguments), 2);
        assert!(out.is_empty() && !err.contains("hunter2"), "{err}");
    }
}

/// M-04: a proxy of the environment is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn m_04_a_url_is_fetched_by_the_same_rules() {
    let server = MetadataServer::start().await;
    server.serve(&Document::default().xml());
    let folder = tempfile::tempdir().unwrap();
    let ca = write(folder.path(), "ca.pem", std::str::from_utf8(&server.authority_pem).unwrap());
    let import = |networks: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"] {
            command.env(name, "http://127.0.0.1:1/");
        }
        command.args(["metadata", "import", &server.url, "--ca", &ca]).args(networks).output().unwrap()
    };
    let (_, err) = ended(&import(&[]), 1);
    assert!(err.contains("which is loopback") && server.connections() == 0, "{err}");
    let (out, _) = ended(&import(&["--internal-network", "127.0.0.1/32"]), 0);
    assert!(out.contains(&format!("metadata = \"{}\"\n", server.url)), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn simplesamlphp_describes_itself() {
    let idp = SimpleSaml::start(&[("alice", "secret", &["octo-org"])]);
    let url = format!("{}saml2/idp/metadata.php", idp.entity_id.trim_end_matches("metadata"));
    let page = Browser::new().open(&url).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "simplesamlphp.xml", &page.body);
    let (out, _) = ended(&portcullis(&["metadata", "import", &file, "--entity-id", &idp.entity_id]), 0);
    assert!(out.contains(&format!("# sign-in by redirect: {}\n", idp.sso_url)), "{out}");

    let entity_id = idp.entity_id.clone();
    let change = move |overrides: portcullis::config::Overrides| {
        overrides
            .set("enterprise.example.saml.idp_entity_id", entity_id)
            .set("enterprise.example.saml.metadata", file)
    };
    let setup = Setup { idp_from_metadata: true, change: Box::new(change), ..Setup::new(Backend::Embedded) };
    let gateway = TestGateway::set_up(setup).await;
    idp.register(&format!("{}/saml/metadata", gateway.url), &format!("{}/saml/acs", gateway.url));
    let mut browser = Browser::new();
    let form = idp.response_form(&mut browser, &gateway.url, "alice", "secret").await;
    assert_eq!(browser.submit(&form).await.unwrap().status, 200);
    let identity = gateway.identity(&mut browser).await.expect("a session");
    assert_eq!(identity["x-forwarded-user"], name_id("alice"));
    gateway.stop().await;
}
