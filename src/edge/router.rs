//! Every endpoint of our own on the public listener, on one page.
//!
//! | host | path | method | what |
//! |---|---|---|---|
//! | of an `acs_url` | of that `acs_url` | POST | Assertion Consumer Service of its enterprise |
//! | of an `acs_url` | `/saml/login`, with several enterprises `/enterprises/{name}/saml/login` | GET | starts a sign-in |
//! | of an `acs_url`, with several enterprises | `/saml/choose` | GET, POST | which enterprise, by e-mail address |
//! | of an `acs_url` | `.../saml/logout` beside it | GET, POST | asks whether to sign out, and signs out |
//! | of an `acs_url` | `.../saml/slo` beside it | GET, POST | single logout: what an IdP sends by redirect, POST or SOAP |
//! | of an `acs_url` | `/saml/metadata`, with several enterprises `/enterprises/{name}/saml/metadata` | GET, HEAD | our own metadata |
//! | our own, or of an `acs_url` | below `/.portcullis/invitations/` | GET, POST | the link of an invitation's mail |
//! | our own, or of an `acs_url` | `/.portcullis/recovery-codes` | GET, POST | an owner's recovery codes |
//! | of an `acs_url` | `/.portcullis/recover` | GET, POST | signs an owner in by one |
//! | our own, or of an `acs_url` | under [`api::PREFIX`] | by `api::ROUTES` | the JSON API |
//! | of an `acs_url` | under [`scim::PREFIX`] | by `api::scim` | SCIM 2.0 |
//! | any | under [`RESERVED`] | | 404: never forwarded, whatever routes say (P-24) |
use std::collections::HashMap;

use super::{invitations, recovery, sign_in::chooser};
use crate::{
    access::{CanonicalPath, HostFault, PathFault, canonical_host, canonical_path, covers},
    api::{self, scim},
    domain::EnterpriseSlug,
};

/// Prefixes that are ours on every host.
pub const RESERVED: [&str; 4] = ["/saml", "/scim", "/.portcullis", "/.well-known/portcullis"];

/// Endpoints that serve everything below their path.
const FOLDERS: [&str; 3] = [invitations::PATH, api::PREFIX, scim::PREFIX];

/// An endpoint of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Takes the IdP's answers for one enterprise; the URL is what Destination and Recipient must equal.
    Acs { enterprise: EnterpriseSlug, url: String },
    /// Starts a sign-in that comes back to this host.
    Login { enterprise: EnterpriseSlug, host: String },
    /// Asks which enterprise a person of this host belongs to.
    Choose { host: String },
    /// Signs out here and at the IdP, whose answer comes to `slo_url`.
    Logout { enterprise: EnterpriseSlug, host: String, slo_url: String },
    /// Takes the IdP's logout messages; the URL is what Destination must equal.
    Slo { enterprise: EnterpriseSlug, url: String },
    /// Shows and accepts an invitation.
    Invitation { host: String },
    /// Makes recovery codes.
    RecoveryCodes { host: String },
    /// Takes a recovery code.
    Recover { host: String },
    /// Our own metadata.
    Metadata { enterprise: EnterpriseSlug },
    /// The JSON API, whose table knows its own paths and methods.
    Api { host: String },
    /// SCIM, which knows its own paths and methods.
    Scim { host: String },
}

impl Endpoint {
    /// As the Allow field lists them.
    pub fn methods(&self) -> &'static str {
        match self {
            Self::Acs { .. } => "POST",
            Self::Login { .. } => "GET",
            Self::Choose { .. }
            | Self::Logout { .. }
            | Self::Slo { .. }
            | Self::Invitation { .. }
            | Self::RecoveryCodes { .. }
            | Self::Recover { .. } => "GET, POST",
            Self::Metadata { .. } => "GET, HEAD",
            Self::Api { .. } | Self::Scim { .. } => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        }
    }

    pub fn allows(&self, method: &str) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method)
    }
}

/// What the table says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own<'a> {
    Endpoint(&'a Endpoint),
    /// Ours, and nothing there.
    Reserved,
    NotOurs,
}

/// The table of our own endpoints, by exact host and path.
#[derive(Debug, Clone, Default)]
pub struct Router {
    hosts: HashMap<String, HashMap<String, Endpoint>>,
}

/// Why a URL of ours was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    #[error("{url:?} is no absolute URL of http or https without query and fragment")]
    Form { url: String },
    #[error("{url:?}: {fault}")]
    Host { url: String, fault: HostFault },
    #[error("{url:?}: {fault}")]
    Path { url: String, fault: PathFault },
    #[error("{url:?} is the ACS of two enterprises")]
    Duplicate { url: String },
}

/// Where an enterprise's endpoints lie.
#[derive(Debug, Clone)]
pub struct Home<'a> {
    pub enterprise: &'a EnterpriseSlug,
    /// One for each host.
    pub acs_urls: &'a [String],
}

/// The endpoints of an enterprise on one of its hosts, beside the ACS, under `/saml` or `/enterprises/{name}/saml`.
///
/// `home` is the URL of that folder.
fn endpoints(enterprise: &EnterpriseSlug, host: &str, home: &str) -> [(&'static str, Endpoint); 4] {
    let (own, at, slo) = (|| enterprise.clone(), || host.to_owned(), || format!("{home}/slo"));
    [
        ("metadata", Endpoint::Metadata { enterprise: own() }),
        ("login", Endpoint::Login { enterprise: own(), host: at() }),
        ("logout", Endpoint::Logout { enterprise: own(), host: at(), slo_url: slo() }),
        ("slo", Endpoint::Slo { enterprise: own(), url: slo() }),
    ]
}

impl Router {
    /// `own_host` is the one that is ours alone, if there is one: what a session opens of ours lies there and nowhere else,
    /// because an application's scripts may do whatever their reader may do on their host.
    pub fn new(homes: &[Home<'_>], own_host: Option<&str>) -> Result<Self, UrlFault> {
        let mut router = Self::default();
        for Home { enterprise, acs_urls } in homes {
            let base =
                if homes.len() == 1 { "/saml".into() } else { format!("/enterprises/{enterprise}/saml") };
            for url in *acs_urls {
                let (host, path) = parts(url)?;
                let choose = (homes.len() > 1)
                    .then(|| (chooser::PATH.into(), Endpoint::Choose { host: host.clone() }));
                let at = || host.clone();
                let by_session = [
                    (invitations::PATH, Endpoint::Invitation { host: at() }),
                    (recovery::CODES, Endpoint::RecoveryCodes { host: at() }),
                    (api::PREFIX, Endpoint::Api { host: at() }),
                ];
                let is_here = own_host.is_none_or(|own| own == host);
                let by_session = by_session.into_iter().filter(|_| is_here);
                let everywhere = [
                    (recovery::RECOVER, Endpoint::Recover { host: at() }),
                    (scim::PREFIX, Endpoint::Scim { host: at() }),
                ];
                let common = by_session.chain(everywhere);
                let common: Vec<_> = common.collect();
                let scheme = url.split("://").next().unwrap_or_default();
                let home = format!("{scheme}://{host}{base}");
                let own =
                    endpoints(enterprise, &host, &home).map(|(name, own)| (format!("{base}/{name}"), own));
                let paths = router.hosts.entry(host).or_default();
                paths.extend(own);
                paths.extend(choose);
                paths.extend(common.into_iter().map(|(path, own)| (path.to_owned(), own)));
                let acs = Endpoint::Acs { enterprise: (*enterprise).clone(), url: url.clone() };
                if paths.insert(path, acs).is_some() {
                    return Err(UrlFault::Duplicate { url: url.clone() });
                }
            }
        }
        Ok(router)
    }

    pub fn knows_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    pub fn find(&self, host: &str, path: &CanonicalPath) -> Own<'_> {
        // What lies below a folder of ours is its endpoint's to read.
        let below =
            |folder: &&&str| path.as_str().strip_prefix(**folder).is_some_and(|rest| rest.starts_with('/'));
        let named = FOLDERS.iter().find(below).copied().unwrap_or(path.as_str());
        if let Some(endpoint) = self.hosts.get(host).and_then(|paths| paths.get(named)) {
            return Own::Endpoint(endpoint);
        }
        // By the lenient reading: nobody behind us should answer in our name either.
        match RESERVED.iter().any(|prefix| covers(prefix, path.lenient())) {
            true => Own::Reserved,
            false => Own::NotOurs,
        }
    }
}

/// Canonical host and path of an absolute URL.
fn parts(url: &str) -> Result<(String, String), UrlFault> {
    let form = || UrlFault::Form { url: url.to_owned() };
    let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
    if !matches!(scheme, "http" | "https") || url.contains(['?', '#']) {
        return Err(form());
    }
    let slash = rest.find('/').ok_or_else(form)?;
    let (host, path) = rest.split_at(slash);
    let host = canonical_host(host, scheme).map_err(|fault| UrlFault::Host { url: url.to_owned(), fault })?;
    let path = canonical_path(path).map_err(|fault| UrlFault::Path { url: url.to_owned(), fault })?;
    Ok((host.into_owned(), path.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(acs_urls: &[(&EnterpriseSlug, &str)]) -> Result<Router, UrlFault> {
        let urls: Vec<_> = acs_urls.iter().map(|(slug, url)| (*slug, [(*url).to_owned()])).collect();
        let homes: Vec<_> = urls.iter().map(|(enterprise, acs_urls)| Home { enterprise, acs_urls }).collect();
        Router::new(&homes, None)
    }

    #[test]
    fn a_01_with_a_host_of_our_own_nothing_that_a_session_opens_shares_an_origin_with_applications() {
        let acme = EnterpriseSlug::parse("acme").unwrap();
        let urls = ["https://gate.example/saml/acs", "https://app.example/saml/acs"].map(str::to_owned);
        let homes = [Home { enterprise: &acme, acs_urls: &urls }];
        let router = Router::new(&homes, Some("gate.example")).unwrap();
        let serves =
            |host, path| matches!(router.find(host, &canonical_path(path).unwrap()), Own::Endpoint(_));
        let by_session =
            ["/.portcullis/api/v1/user", "/.portcullis/recovery-codes", "/.portcullis/invitations/acme/x"];
        for path in by_session {
            assert!(serves("gate.example", path) && !serves("app.example", path), "{path}");
            let find = router.find("app.example", &canonical_path(path).unwrap());
            assert_eq!(find, Own::Reserved, "no application answers in our name");
        }
        // What takes no session is everywhere: an owner gets in at an application while the IdP is down.
        for path in ["/saml/acs", "/saml/login", "/.portcullis/recover"] {
            assert!(serves("gate.example", path) && serves("app.example", path), "{path}");
        }
    }

    #[test]
    fn p24_own_and_reserved_paths() {
        let acme = EnterpriseSlug::parse("acme").unwrap();
        let url = "https://App.example.com:443/sso/acs";
        let router = router(&[(&acme, url)]).unwrap();
        let find = |host: &str, path: &str| match router.find(host, &canonical_path(path).unwrap()) {
            Own::Endpoint(Endpoint::Acs { url, .. }) => url.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(find("app.example.com", "/sso/acs"), url);
        for (host, path, expected) in [
            ("app.example.com", "/sso/acs/", "NotOurs"),
            ("app.example.com", "/sso", "NotOurs"),
            ("b.example.com", "/sso/acs", "NotOurs"),
            ("b.example.com", "/saml/acs", "Reserved"),
            ("b.example.com", "/saml", "Reserved"),
            ("b.example.com", "/SAML;x/acs", "Reserved"),
            ("b.example.com", "/samlet", "NotOurs"),
            ("b.example.com", "/scim/v2/enterprises/acme/Users", "Reserved"),
            ("app.example.com", "/scim/v1/enterprises/acme/Users", "Reserved"),
            ("app.example.com", "/SCIM/v2/enterprises/acme/Users", "Reserved"),
            ("b.example.com", "/.portcullis/x", "Reserved"),
            ("b.example.com", "/.portcullis/api/v1/user", "Reserved"),
            ("app.example.com", "/.portcullis/api/v2/user", "Reserved"),
            ("app.example.com", "/.portcullis/API/v1/user", "Reserved"),
        ] {
            assert_eq!(find(host, path), expected, "{host}{path}");
        }
    }

    #[test]
    fn acs_urls_are_checked() {
        let (acme, globex) =
            (EnterpriseSlug::parse("acme").unwrap(), EnterpriseSlug::parse("globex").unwrap());
        let twice = router(&[(&acme, "https://a.example/acs"), (&globex, "https://a.example/acs")]);
        assert!(matches!(twice, Err(UrlFault::Duplicate { .. })));
        for url in
            ["/acs", "ftp://a.example/acs", "https://a.example", "https://a.example/acs?x", "https://a b/acs"]
        {
            assert!(router(&[(&acme, url)]).is_err(), "{url}");
        }
        assert!(matches!(router(&[(&acme, "https://a.example//acs")]), Err(UrlFault::Path { .. })));
    }
}
