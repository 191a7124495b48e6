//! SimpleSAMLphp from Debian's package as an IdP that other hands wrote: configured in a folder of its own, served
//! by PHP's built-in server on loopback.
use std::{cell::RefCell, fs, path::Path, process::Command};

use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509NameBuilder},
};

use super::{
    html::Form,
    http::{Answer, Client},
    ports,
    process::Process,
};

const WEB_ROOT: &str = "/usr/share/simplesamlphp/www";
const KEY_BITS: u32 = 2048;
/// PHP's `E_ALL & ~E_DEPRECATED & ~E_NOTICE`: the package is older than the PHP it runs on.
const ERROR_REPORTING: &str = "error_reporting=24567";

/// A running IdP. Its people sign in with name and password; their NameID (format persistent) is their mail address
/// `name@example.com`, which is also attribute `mail`; attributes `uid` and `groups` (basic names) go with it.
pub struct SimpleSaml {
    pub entity_id: String,
    /// The HTTP-Redirect endpoint.
    pub sso_url: String,
    pub certificate_pem: String,
    people: RefCell<Vec<Person>>,
    folder: tempfile::TempDir,
    _server: Process,
}

struct Person {
    name: String,
    password: String,
    groups: Vec<String>,
}

impl SimpleSaml {
    /// Starts the IdP for one service provider. `people` are names, passwords and groups.
    pub fn start(sp_entity_id: &str, acs_url: &str, people: &[(&str, &str, &[&str])]) -> Self {
        assert!(
            Path::new(WEB_ROOT).is_dir(),
            "{WEB_ROOT} is missing: package simplesamlphp: `scripts/test` installs what the tests need"
        );
        let folder = tempfile::tempdir().expect("a folder for the IdP");
        let certificate_pem = write_key(folder.path());
        let people = people.iter().map(|(name, password, groups)| Person {
            name: (*name).to_owned(),
            password: (*password).to_owned(),
            groups: groups.iter().map(ToString::to_string).collect(),
        });
        let people = people.collect();
        let server = Process::start(
            "SimpleSAMLphp",
            |port| command(folder.path(), port, sp_entity_id, acs_url),
            ports::is_open,
        );
        let base = base_url(server.port());
        let idp = Self {
            entity_id: entity_id(server.port()),
            sso_url: format!("{base}saml2/idp/SSOService.php"),
            certificate_pem,
            people: RefCell::new(people),
            folder,
            _server: server,
        };
        idp.write_people();
        idp
    }

    /// Changes a person's groups. A session that this IdP has with a browser keeps the old ones: sign in afresh.
    pub fn set_groups(&self, name: &str, groups: &[&str]) {
        let mut people = self.people.borrow_mut();
        let person = people.iter_mut().find(|p| p.name == name).expect("a person of this IdP");
        person.groups = groups.iter().map(ToString::to_string).collect();
        drop(people);
        self.write_people();
    }

    /// Opens `redirect_url` (the SSO URL with its SAMLRequest), signs in, and gives the page whose only form carries
    /// SAMLResponse and RelayState to the ACS.
    ///
    /// # Panics
    /// With the IdP's page if it refuses.
    pub async fn log_in(
        &self,
        client: &mut Client,
        redirect_url: &str,
        name: &str,
        password: &str,
    ) -> (Answer, Form) {
        let first = client.get(redirect_url).await;
        let mut page = client.follow(first).await;
        let mut form = page.form();
        if form.field("AuthState").is_some() {
            form.set("username", name);
            form.set("password", password);
            let answer = client.submit(&page, &form).await;
            page = client.follow(answer).await;
            form = page.form();
        }
        assert!(form.field("SAMLResponse").is_some(), "{} {}: {}", page.url, page.status, page.body);
        (page, form)
    }

    fn write_people(&self) {
        let entry = |p: &Person| {
            let login = php(&format!("{}:{}", p.name, p.password));
            let mail = php(&format!("{}@example.com", p.name));
            let groups: Vec<String> = p.groups.iter().map(|g| php(g)).collect();
            let groups = groups.join(", ");
            format!("{login} => ['uid' => [{}], 'mail' => [{mail}], 'groups' => [{groups}]],\n", php(&p.name))
        };
        let entries: String = self.people.borrow().iter().map(entry).collect();
        let text = format!("<?php\n$config = ['people' => ['exampleauth:UserPass',\n{entries}]];\n");
        // Replaced in one step: a request that is under way reads the old file or the new one.
        let new = self.folder.path().join("authsources.new");
        fs::write(&new, text).expect("people written");
        fs::rename(new, self.folder.path().join("authsources.php")).expect("people replaced");
    }
}

/// Writes the configuration for `port` and gives the server's command.
fn command(folder: &Path, port: u16, sp_entity_id: &str, acs_url: &str) -> Command {
    write_configuration(folder, port);
    write_metadata(&folder.join("metadata"), port, sp_entity_id, acs_url);
    let mut command = Command::new("php");
    command.env("SIMPLESAMLPHP_CONFIG_DIR", folder);
    command.args(["-d", ERROR_REPORTING, "-d", "display_errors=stderr", "-d", "opcache.enable_cli=0"]);
    command.args(["-S", &format!("127.0.0.1:{port}"), "-t", WEB_ROOT]);
    command
}

fn write_configuration(folder: &Path, port: u16) {
    for name in ["log", "data", "tmp", "sessions", "metadata"] {
        fs::create_dir_all(folder.join(name)).expect("a folder of the IdP");
    }
    let at = |name: &str| php(&folder.join(name).display().to_string());
    let folders = format!(
        "'certdir' => {}, 'loggingdir' => {}, 'datadir' => {}, 'tempdir' => {}, 'metadatadir' => {metadata},
         'session.phpsession.savepath' => {}, 'metadata.sources' => [['type' => 'flatfile', 'directory' => {metadata}]],",
        at(""),
        at("log"),
        at("data"),
        at("tmp"),
        at("sessions"),
        metadata = at("metadata"),
    );
    // Plain HTTP on loopback: no `Secure` cookies. The salt guards nothing that outlives the test.
    let text = format!(
        "<?php\n$config = ['baseurlpath' => {}, {folders}
         'secretsalt' => 'of a test', 'auth.adminpassword' => {}, 'technicalcontact_email' => 'na@example.com',
         'timezone' => 'UTC', 'logging.level' => 5, 'logging.handler' => 'errorlog', 'statistics.out' => [],
         'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
         'store.type' => 'phpsession', 'session.phpsession.cookiename' => 'SimpleSAML',
         'session.cookie.secure' => false, 'session.cookie.samesite' => null,
         'language.cookie.secure' => false, 'language.cookie.samesite' => null,
         'production' => true, 'showerrors' => true];\n",
        php(&base_url(port)),
        php(&folder.display().to_string()),
    );
    fs::write(folder.join("config.php"), text).expect("configuration written");
}

fn write_metadata(folder: &Path, port: u16, sp_entity_id: &str, acs_url: &str) {
    let persistent = "'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'";
    let idp = format!(
        "<?php\n$metadata[{}] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt',
         'auth' => 'people', 'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
         'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
         'authproc' => [3 => ['class' => 'saml:AttributeNameID', 'attribute' => 'mail', 'Format' => {persistent}]]];\n",
        php(&entity_id(port)),
    );
    let sp = format!(
        "<?php\n$metadata[{}] = ['AssertionConsumerService' => {}, 'NameIDFormat' => {persistent},
         'saml20.sign.response' => true, 'saml20.sign.assertion' => true];\n",
        php(sp_entity_id),
        php(acs_url),
    );
    fs::write(folder.join("saml20-idp-hosted.php"), idp).expect("metadata written");
    fs::write(folder.join("saml20-sp-remote.php"), sp).expect("metadata written");
}

/// Makes a key with a self-signed certificate, as `idp.key` and `idp.crt`; gives the certificate.
fn write_key(folder: &Path) -> String {
    let rsa = Rsa::generate(KEY_BITS).expect("an RSA key");
    let key = PKey::from_rsa(rsa).expect("a key");
    let certificate = certificate(&key).expect("a certificate").to_pem().expect("a certificate in PEM");
    fs::write(folder.join("idp.key"), key.private_key_to_pem_pkcs8().expect("a key in PEM"))
        .expect("key written");
    fs::write(folder.join("idp.crt"), &certificate).expect("certificate written");
    String::from_utf8(certificate).expect("PEM is ASCII")
}

fn certificate(key: &PKey<Private>) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "SimpleSAMLphp of a test")?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&*BigNum::from_u32(1)?)?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(2)?)?;
    builder.set_pubkey(key)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn base_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

fn entity_id(port: u16) -> String {
    format!("{}metadata", base_url(port))
}

/// A PHP string literal.
fn php(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
