//! `config.toml` to each module's settings: parsed once, every fault reported at once.
use crate::{
    access, admin, directory, domain::EnterpriseSlug, edge, provisioning, proxy, saml, store, telemetry,
};

/// Everything that an operator decided.
#[derive(Debug, Clone)]
pub struct Settings {
    pub mode: Mode,
    pub edge: edge::Settings,
    pub admin: admin::Settings,
    pub proxy: proxy::Settings,
    pub session: directory::SessionSettings,
    pub store: store::Settings,
    pub telemetry: telemetry::Settings,
    pub enterprises: Vec<EnterpriseSettings>,
    pub routes: Vec<access::Route>,
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
    pub saml: saml::Settings,
    /// The ACS URLs, one for each host that this enterprise's routes serve; the first is the one of the public URL.
    pub acs_urls: Vec<String>,
    pub provisioning: provisioning::Settings,
}
