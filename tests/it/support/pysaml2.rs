//! An IdP on pysaml2, from Debian's package: `pysaml2_idp.py` beside this file.
use std::{fs, process::Command};

use super::{foreign::ForeignIdp, ports, process::Process, simplesamlphp::write_key};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/pysaml2_idp.py");

/// A running IdP with one person, who is signed in without being asked. NameIDs are persistent; attributes are `groups` and `mail`.
pub struct PySaml2 {
    pub entity_id: String,
    /// For the redirect and the POST binding.
    pub sso_url: String,
    /// For both; the back channel is `soap_url`.
    pub slo_url: String,
    pub base_url: String,
    pub certificate_pem: String,
    folder: tempfile::TempDir,
    server: Process,
}

/// What the IdP does, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour<'a> {
    pub name_id: &'a str,
    pub groups: &'a [&'a str],
    /// Encrypts assertions for the certificate in the service provider's metadata.
    pub encrypt: bool,
    /// Refuses requests that the service provider did not sign.
    pub want_signed: bool,
}

impl PySaml2 {
    /// Where it is.
    pub fn address(&self) -> ForeignIdp<'_> {
        ForeignIdp {
            entity_id: &self.entity_id,
            sso_url: &self.sso_url,
            certificate_pem: &self.certificate_pem,
        }
    }

    /// Starts the IdP, which knows no service provider yet.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the IdP");
        let certificate_pem = write_key(folder.path());
        let command = |port: u16| {
            // Debian's Python, which has Debian's packages.
            let mut command = Command::new("/usr/bin/python3");
            command.arg(PROGRAM).arg(port.to_string()).arg(folder.path());
            command
        };
        let server = Process::start("pysaml2", command, ports::is_open);
        let base_url = format!("http://127.0.0.1:{}", server.port());
        Self {
            entity_id: format!("{base_url}/metadata"),
            sso_url: format!("{base_url}/sso"),
            slo_url: format!("{base_url}/slo"),
            base_url,
            certificate_pem,
            folder,
            server,
        }
    }

    /// Who signs in, and how, from now on.
    pub fn set(&self, behaviour: Behaviour<'_>) {
        let Behaviour { name_id, groups, encrypt, want_signed } = behaviour;
        let settings = serde_json::json!({
            "name_id": name_id, "groups": groups, "encrypt": encrypt, "want_signed": want_signed,
        });
        fs::write(self.folder.path().join("settings.json"), settings.to_string()).expect("settings written");
    }

    /// Gives it the service provider's metadata, before the first request.
    pub fn register(&self, metadata: &str) {
        fs::write(self.folder.path().join("sp.xml"), metadata).expect("metadata written");
    }

    /// What it wrote, for when something went wrong.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
