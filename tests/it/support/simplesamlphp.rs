//! SimpleSAMLphp from Debian's package as an IdP that other hands wrote: configured in a folder of its own, served
//! by PHP's built-in server on loopback.
use std::{cell::RefCell, fs, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509NameBuilder},
};

use portcullis::demo::browser::{Browser, Form, Page};

use super::{foreign::ForeignIdp, ports, process::Process};

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
    /// The endpoint for logout messages, by redirect or POST.
    pub slo_url: String,
    pub certificate_pem: String,
    pub base_url: String,
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
    /// Where it is.
    pub fn address(&self) -> ForeignIdp<'_> {
        ForeignIdp {
            entity_id: &self.entity_id,
            sso_url: &self.sso_url,
            certificate_pem: &self.certificate_pem,
        }
    }

    /// Starts the IdP, which knows no service provider yet. `people` are names, passwords and groups.
    pub fn start(people: &[(&str, &str, &[&str])]) -> Self {
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
        let server = Process::start("SimpleSAMLphp", |port| command(folder.path(), port), ports::is_open);
        let base = base_url(server.port());
        let idp = Self {
            entity_id: entity_id(server.port()),
            sso_url: format!("{base}saml2/idp/SSOService.php"),
            slo_url: format!("{base}saml2/idp/SingleLogoutService.php"),
            base_url: base,
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

    /// From now on answers the service provider, at this ACS.
    pub fn register(&self, sp_entity_id: &str, acs_url: &str) {
        write_service_provider(&self.folder.path().join("metadata"), sp_entity_id, acs_url, "");
    }

    /// The same, for one whose requests must be signed with the key of this certificate.
    pub fn register_signing(&self, sp_entity_id: &str, acs_url: &str, certificate_pem: &str) {
        let base64: String = certificate_pem.lines().filter(|line| !line.starts_with('-')).collect();
        let more = format!("'validate.authnrequest' => true, 'certData' => {},", php(&base64));
        write_service_provider(&self.folder.path().join("metadata"), sp_entity_id, acs_url, &more);
    }

    /// Where a sign-in begins at this IdP, to end at the service provider.
    pub fn begin_url(&self, sp_entity_id: &str, relay_state: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("spentityid", sp_entity_id)
            .append_pair("RelayState", relay_state)
            .finish();
        format!("{}?{query}", self.sso_url)
    }

    /// The same with single logout by `redirect` or `post`: what it sends is signed, what it gets must be, with the key of
    /// the certificate in `pem`.
    pub fn register_with_logout(
        &self,
        sp_entity_id: &str,
        acs_url: &str,
        slo_url: &str,
        binding: &str,
        pem: &str,
    ) {
        let name = if binding == "post" { "HTTP-POST" } else { "HTTP-Redirect" };
        let certificate = pem.split_once("-----BEGIN CERTIFICATE-----").expect("a certificate").1;
        let certificate: String =
            certificate.split("-----").next().unwrap_or_default().split_whitespace().collect();
        let logout = format!(
            "'SingleLogoutService' => [['Binding' => 'urn:oasis:names:tc:SAML:2.0:bindings:{name}', 'Location' => {}]],
             'sign.logout' => true, 'validate.logout' => true, 'certData' => {},",
            php(slo_url),
            php(&certificate),
        );
        write_service_provider(&self.folder.path().join("metadata"), sp_entity_id, acs_url, &logout);
    }

    /// Opened by a browser, ends its session here and at every service provider.
    pub fn logout_url(&self) -> String {
        let back: String = form_urlencoded::byte_serialize(self.base_url.as_bytes()).collect();
        format!("{}?ReturnTo={back}", self.slo_url)
    }

    /// From now on answers the service provider with what it encrypts to this certificate: assertions, and if
    /// `name_ids`, the NameIDs in them.
    pub fn register_encrypting(
        &self,
        sp_entity_id: &str,
        acs_url: &str,
        certificate_pem: &[u8],
        name_ids: bool,
    ) {
        let der = X509::from_pem(certificate_pem).expect("a certificate").to_der().expect("DER");
        let more = format!(
            "'assertion.encryption' => true, 'nameid.encryption' => {name_ids}, 'keys' => [['type' => 'X509Certificate',
             'encryption' => true, 'signing' => false, 'X509Certificate' => {}]],",
            php(&STANDARD.encode(der)),
        );
        write_service_provider(&self.folder.path().join("metadata"), sp_entity_id, acs_url, &more);
    }

    /// Opens `url`, which must redirect to this IdP, types name and password, and gives the page that comes.
    pub async fn log_in(&self, browser: &mut Browser, url: &str, name: &str, password: &str) -> Page {
        let page = browser.open(url).await.expect("a page");
        assert!(page.url.starts_with(&self.base_url), "{url} leads to {}: {}", page.url, page.body);
        let asks = |form: &Form| form.field("AuthState").is_some() && form.field("password").is_some();
        let Some(mut form) = page.forms().into_iter().find(asks) else { return page };
        form.set("username", name);
        form.set("password", password);
        browser.submit(&form).await.expect("a page")
    }

    /// The same, as far as the form that carries SAMLResponse and RelayState to the ACS.
    ///
    /// # Panics
    /// With the IdP's page if it refuses.
    pub async fn response_form(&self, browser: &mut Browser, url: &str, name: &str, password: &str) -> Form {
        let page = self.log_in(browser, url, name, password).await;
        let form = page.forms().into_iter().find(|form| form.field("SAMLResponse").is_some());
        form.unwrap_or_else(|| panic!("{} {}: {}", page.url, page.status, page.body))
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
fn command(folder: &Path, port: u16) -> Command {
    write_configuration(folder, port);
    write_metadata(&folder.join("metadata"), port);
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

const PERSISTENT: &str = "'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'";

fn write_metadata(folder: &Path, port: u16) {
    let idp = format!(
        "<?php\n$metadata[{}] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt',
         'auth' => 'people', 'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
         'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
         'authproc' => [3 => ['class' => 'saml:AttributeNameID', 'attribute' => 'mail', 'Format' => {PERSISTENT}]]];\n",
        php(&entity_id(port)),
    );
    fs::write(folder.join("saml20-idp-hosted.php"), idp).expect("metadata written");
    fs::write(folder.join("saml20-sp-remote.php"), "<?php\n").expect("metadata written");
}

fn write_service_provider(folder: &Path, sp_entity_id: &str, acs_url: &str, more: &str) {
    let sp = format!(
        "<?php\n$metadata[{}] = ['AssertionConsumerService' => {}, 'NameIDFormat' => {PERSISTENT}, {more}
         'saml20.sign.response' => true, 'saml20.sign.assertion' => true];\n",
        php(sp_entity_id),
        php(acs_url),
    );
    fs::write(folder.join("saml20-sp-remote.php"), sp).expect("metadata written");
}

/// Makes a key with a self-signed certificate, as `idp.key` and `idp.crt`; gives the certificate.
pub fn write_key(folder: &Path) -> String {
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
