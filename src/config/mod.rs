//! `config.toml` to each module's settings: parsed once, every fault reported at once.
//!
//! The way of a configuration: [`Source`] -> `document` (TOML and environment as one flat map of typed values, judged
//! by `schema`) -> `reader` -> one small file for each part (`server`, `backend`, `enterprise`, `connection`, `route`) -> [`Settings`].
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    access, admin, api, directory,
    domain::{EnterpriseId, EnterpriseSlug, OrganizationSlug, url},
    edge, provisioning, proxy, saml, store, telemetry,
};

mod attributes;
mod audit;
mod backend;
mod certificate;
mod connection;
mod document;
mod email_domain;
mod encryption;
mod enterprise;
mod fault;
mod fingerprint;
mod idp_url;
mod mail;
mod metadata;
mod overrides;
mod own_host;
mod own_key;
mod pages;
mod reader;
mod request;
mod route;
mod rule;
mod schema;
mod scim;
mod server;
mod slo;
#[cfg(test)]
mod tests;
mod value;
mod webhook;

pub use fault::{Fault, Place};
pub use fingerprint::{Change, Fingerprint};
pub use overrides::{CONFIG_VARIABLE, Overrides};

/// Everything that an operator decided.
#[derive(Debug, Clone)]
pub struct Settings {
    pub mode: Mode,
    pub edge: edge::Settings,
    pub admin: admin::Settings,
    pub proxy: proxy::Settings,
    pub session: directory::SessionSettings,
    pub tokens: directory::TokenSettings,
    pub store: store::Settings,
    pub telemetry: telemetry::Settings,
    /// How many days the audit stream goes back.
    pub audit_retention_days: u32,
    /// Who is told of what happened.
    pub webhooks: Vec<crate::webhook::Settings>,
    /// `None`: no mail is sent, and nobody can be invited.
    pub mail: Option<crate::mail::Settings>,
    /// At least one, sorted by account name.
    pub enterprises: Vec<EnterpriseSettings>,
    /// Sorted by name; no two of the same host and path.
    pub routes: Vec<access::Route>,
    /// What all of it was made of.
    pub fingerprint: Fingerprint,
}

/// Development mode allows plain HTTP and the certificates in `certs/`, and only on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Development,
    Production,
}

#[derive(Debug, Clone)]
pub struct EnterpriseSettings {
    pub slug: EnterpriseSlug,
    /// NameIDs of the people who may claim unowned organizations.
    pub owners: Vec<String>,
    /// Every organization that the enterprise owns; those in `provisioning.managed` are a part of it.
    pub organizations: Vec<OrganizationSlug>,
    /// With metadata from a URL, nothing of the IdP but its entity ID.
    pub saml: saml::Settings,
    /// Domains of e-mail addresses that the chooser knows the enterprise by: lower case, each of one enterprise.
    pub email_domains: Vec<String>,
    /// Where sign-ins that begin at the IdP may lead: canonical paths, none of them our own.
    pub idp_initiated_targets: Vec<String>,
    /// Where the IdP's metadata comes from, if anywhere.
    pub metadata: Option<crate::metadata::Settings>,
    /// Whether our own metadata is signed.
    pub own_metadata_signed: bool,
    /// How long our own metadata says that it is valid, in seconds.
    pub own_metadata_validity_seconds: Option<u64>,
    /// The ACS URLs, one for each host that this enterprise's routes serve; the first is the one of the public URL,
    /// or the one that the operator set.
    pub acs_urls: Vec<String>,
    /// Where the IdP's logout messages come to, on the host of the first ACS URL.
    pub slo_url: String,
    pub provisioning: provisioning::Settings,
    /// `None`: the identity provider does not provision by SCIM.
    pub scim: Option<api::scim::Settings>,
    /// What the core accepts must be accepted by another verifier too.
    pub second_opinion: bool,
}

impl EnterpriseSettings {
    /// Whether there is single logout, or will be once the IdP's metadata says where.
    fn has_single_logout(&self) -> bool {
        self.saml.slo.is_some() || (self.metadata.is_some() && !self.saml.signing_keys.is_empty())
    }

    /// What the directory goes by.
    pub fn tenant(&self) -> directory::Enterprise {
        directory::Enterprise {
            slug: self.slug.clone(),
            id: EnterpriseId::of(&self.slug),
            owners: self.owners.clone(),
            organizations: self.organizations.clone(),
            provisioning: self.provisioning.clone(),
        }
    }

    /// What our own metadata says beside the connection's settings.
    pub fn own_descriptor(&self) -> saml::OwnDescriptor {
        saml::OwnDescriptor {
            acs_urls: self.acs_urls.clone(),
            slo_url: self.has_single_logout().then(|| self.slo_url.clone()),
            signed: self.own_metadata_signed,
        }
    }
}

/// A configuration that may run, and what its operator should know about it.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Fault>,
}

/// The text of a configuration and where it comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Shown in faults.
    name: Arc<str>,
    text: String,
    /// What relative paths in it are relative to.
    folder: PathBuf,
}

/// A configuration file larger than this is refused unread.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

impl Source {
    /// Reads a file. Relative paths in it are relative to its folder.
    pub fn file(path: &Path) -> Result<Self, Fault> {
        let name: Arc<str> = path.display().to_string().into();
        let text = read_text(path, CONFIG_BYTES_MAX).map_err(|error| Fault {
            place: Place::File(name.clone()),
            what: "configuration".into(),
            why: format!("cannot be read ({error})"),
            hint: format!("name a readable file with --config FILE or {CONFIG_VARIABLE}"),
        })?;
        Ok(Self { name, text, folder: path.parent().unwrap_or(Path::new("")).to_owned() })
    }

    /// The `config.toml` that this program was built with: the development set-up, every key documented.
    pub fn shipped(folder: &Path) -> Self {
        Self::text("config.toml", include_str!("../../config.toml"), folder)
    }

    /// A text from elsewhere, to be called `name` in faults.
    pub fn text(name: &str, text: &str, folder: &Path) -> Self {
        Self { name: name.into(), text: text.to_owned(), folder: folder.to_owned() }
    }
}

/// Reads a configuration with `overrides` over it. Opens the files that it names: certificates, a secret's file.
///
/// Every fault is found at once, in the order of the file; those of the environment come last.
pub fn load(source: &Source, overrides: &Overrides) -> Result<Loaded, Vec<Fault>> {
    let mut document = document::Document::parse(&source.name, &source.text)?;
    document.apply(overrides);
    let mut reader = reader::Reader::new(document);
    let reader_ref = &mut reader;

    let ground = server::ground(reader_ref);
    let edge = server::edge(reader_ref, &ground, &source.folder);
    let admin = server::admin(reader_ref, &ground, &edge);
    let proxy = server::proxy(reader_ref);
    let session = server::session(reader_ref);
    let tokens = server::tokens(reader_ref);
    let mut telemetry = server::telemetry(reader_ref);
    let (audit_retention_days, sink) = audit::audit(reader_ref, &source.folder);
    telemetry.audit = sink;
    let store = backend::store(reader_ref, &ground, &source.folder);
    let mail = mail::read(reader_ref, &ground, &source.folder);
    let mut drafts = enterprise::read(reader_ref, &ground, &source.folder);
    let known: Vec<EnterpriseSlug> = drafts.iter().map(|draft| draft.settings.slug.clone()).collect();
    let webhooks = webhook::read(reader_ref, &ground, &source.folder, &known);
    let routes = route::read(reader_ref, &ground, &edge, &drafts);
    own_host::check(reader_ref, &edge, &routes);
    connection::set_endpoints(reader_ref, &ground, &mut drafts, &routes);
    route::check_endpoints(reader_ref, &routes, &drafts);

    let enterprises = drafts.into_iter().map(|draft| draft.settings).collect();
    let mode = ground.mode;
    let routes = routes.routes;
    let fingerprint = reader.fingerprint();
    let settings = Settings {
        mode,
        edge,
        admin,
        proxy,
        session,
        tokens,
        store,
        telemetry,
        audit_retention_days,
        webhooks,
        mail,
        enterprises,
        routes,
        fingerprint,
    };
    let (settings, warnings) = reader.finish(settings)?;
    Ok(Loaded { settings, warnings })
}

/// Reads a text file of at most `bytes_max`.
fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("is larger than {bytes_max} bytes")));
    }
    Ok(text)
}
