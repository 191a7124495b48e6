//! Enterprises: the SAML connection, organizations, group mappings, switches, and the URLs that an IdP knows us by.
use std::path::Path;

use crate::{
    access::canonical_path,
    domain::{EnterpriseSlug, OrganizationSlug, Role},
    provisioning::{self, Mapping, Policy},
    saml::{self, SignedElement},
};

use super::{
    EnterpriseSettings, attributes, certificate,
    fault::Place,
    reader::Reader,
    route::Routes,
    server::Ground,
    url::WebUrl,
    value::{Placed, RawMapping},
};

/// Clocks that NTP keeps are closer; IdPs on neglected machines are not.
const CLOCK_SKEW_SECONDS: u64 = 60;
/// SAML Core 8.3.6: an entity identifier has at most 1024 characters.
const ENTITY_ID_CHARACTERS_MAX: usize = 1024;

/// An enterprise whose entity id and ACS URLs are still to come: they depend on the other enterprises and the routes.
pub struct Draft {
    pub settings: EnterpriseSettings,
    /// The name of its table, as the operator spelt it.
    pub table: String,
}

/// Reads every `[enterprise.NAME]`.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = vec![];
    for table in reader.names("enterprise") {
        let path = format!("enterprise.{table}");
        let place = reader.place(&path);
        let slug = match EnterpriseSlug::parse(&table) {
            Ok(slug) => slug,
            Err(error) => {
                reader.fault(&place, &path, format!("the name {error}"), SLUG_HINT);
                continue;
            }
        };
        if drafts.iter().any(|draft| draft.settings.slug == slug) {
            reader.fault(&place, &path, "is there twice, in another letter case", "remove one of the two");
        }
        drafts.push(draft(reader, ground, folder, table, slug));
    }
    if reader.names("enterprise").is_empty() {
        let hint = "write [enterprise.NAME] and [enterprise.NAME.saml], as in the shipped config.toml";
        let place = reader.place("enterprise");
        reader.fault(&place, "enterprise", "is missing: nobody could sign in", hint);
    }
    drafts.sort_by(|a, b| a.settings.slug.cmp(&b.settings.slug));
    check_idps(reader, &drafts);
    drafts
}

const SLUG_HINT: &str = "use letters, digits and single hyphens between them, at most 39";

fn draft(reader: &mut Reader, ground: &Ground, folder: &Path, table: String, slug: EnterpriseSlug) -> Draft {
    let path = format!("enterprise.{table}");
    let organizations = organizations(reader, &path);
    let managed = managed(reader, &path, &organizations);
    let mappings = mappings(reader, &path, &organizations, &managed);
    let policy = policy(reader, &path);
    if (policy.provisioning || policy.deprovisioning) && managed.is_empty() {
        let place = reader.place(&path);
        let hint = "list the organizations that groups decide about";
        reader.warn(&place, &path, "provisioning is on and manages no organization", hint);
    }
    let owners = texts(reader, &format!("{path}.owners")).unwrap_or_default();
    let attributes = attributes::names(reader, &path);
    let naming = attributes::naming(reader, &path);
    let saml = saml_settings(reader, ground, folder, &path);
    let provisioning = provisioning::Settings { policy, managed, mappings, naming, attributes };
    let settings = EnterpriseSettings { slug, owners, organizations, saml, acs_urls: vec![], provisioning };
    Draft { settings, table }
}

fn policy(reader: &mut Reader, path: &str) -> Policy {
    let policy = Policy {
        provisioning: reader.switch(&format!("{path}.provisioning")),
        deprovisioning: reader.switch(&format!("{path}.deprovisioning")),
    };
    if policy.deprovisioning && !policy.provisioning {
        // D9: allowed and literal, but nothing ever brings anybody back.
        let what = format!("{path}.deprovisioning");
        let place = reader.place(&what);
        let hint = "set provisioning = true too, unless losing people is all that is wanted";
        reader.warn(&place, &what, "is on without provisioning: people are only ever removed", hint);
    }
    policy
}

fn organizations(reader: &mut Reader, path: &str) -> Vec<OrganizationSlug> {
    let path = format!("{path}.organizations");
    let found = reader.texts(&path).unwrap_or_default();
    slugs(reader, &path, found)
}

/// Parses account names of organizations; faults those that are none, or that are there in another letter case.
pub fn slugs(reader: &mut Reader, path: &str, texts: Vec<Placed<String>>) -> Vec<OrganizationSlug> {
    let mut slugs = vec![];
    for text in texts {
        match OrganizationSlug::parse(&text.value) {
            Ok(slug) if slugs.contains(&slug) => {
                let why = format!("names {:?} twice, in another letter case", text.value);
                reader.fault(&text.place, path, why, "remove one of the two");
            }
            Ok(slug) => slugs.push(slug),
            Err(error) => reader.fault(&text.place, path, format!("{:?} {error}", text.value), SLUG_HINT),
        }
    }
    slugs
}

fn managed(reader: &mut Reader, path: &str, all: &[OrganizationSlug]) -> Vec<OrganizationSlug> {
    let path = format!("{path}.managed");
    let Some(texts) = reader.texts(&path) else { return all.to_vec() };
    if let [only] = texts.as_slice()
        && only.value == "*"
    {
        return all.to_vec();
    }
    let place = reader.place(&path);
    let found = slugs(reader, &path, texts);
    for slug in found.iter().filter(|slug| !all.contains(slug)) {
        unknown_organization(reader, &place, &path, slug.as_str());
    }
    found
}

/// The fault of naming an organization that the enterprise does not list.
pub fn unknown_organization(reader: &mut Reader, place: &Place, path: &str, name: &str) {
    let hint = "add it to the enterprise's organizations, or mend the name";
    reader.fault(place, path, format!("{name:?} is no organization of the enterprise"), hint);
}

fn mappings(
    reader: &mut Reader,
    path: &str,
    all: &[OrganizationSlug],
    managed: &[OrganizationSlug],
) -> Vec<Mapping> {
    let path = format!("{path}.mappings");
    let mut mappings: Vec<Mapping> = vec![];
    for (index, raw) in reader.mappings(&path).into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        let place = raw.place.clone();
        let Some(mapping) = mapping(reader, &path, raw, all) else { continue };
        if mappings.iter().any(|m| m.group == mapping.group && m.organization == mapping.organization) {
            let why = "maps a group to an organization that it is mapped to already";
            reader.fault(&place, &path, why, "keep one of the two");
        }
        if all.contains(&mapping.organization) && !managed.contains(&mapping.organization) {
            let why = format!("{} is not managed, so the mapping does nothing", mapping.organization);
            reader.warn(&place, &path, why, "add the organization to managed, or remove the mapping");
        }
        mappings.push(mapping);
    }
    mappings
}

fn mapping(reader: &mut Reader, path: &str, raw: RawMapping, all: &[OrganizationSlug]) -> Option<Mapping> {
    let group = mapping_field(reader, path, "group", &raw.place, raw.group);
    let organization = mapping_field(reader, path, "organization", &raw.place, raw.organization);
    let role = mapping_field(reader, path, "role", &raw.place, raw.role).and_then(|role| {
        match role.value.as_str() {
            "member" => Some(Role::Member),
            "owner" => Some(Role::Owner),
            other => {
                let what = format!("{path}.role");
                reader.fault(
                    &role.place,
                    &what,
                    format!("{other:?} is no role"),
                    "use \"member\" or \"owner\"",
                );
                None
            }
        }
    });
    let organization = organization.and_then(|organization| {
        let what = format!("{path}.organization");
        let place = organization.place.clone();
        let slug = slugs(reader, &what, vec![organization]).pop()?;
        if !all.contains(&slug) {
            unknown_organization(reader, &place, &what, slug.as_str());
        }
        Some(slug)
    });
    let group = attributes::group_match(reader, path, group?, raw.matches)?;
    attributes::warn_of_loose_owners(reader, path, &raw.place, &group, role);
    Some(Mapping { group, organization: organization?, role: role? })
}

fn mapping_field(
    reader: &mut Reader,
    path: &str,
    name: &str,
    place: &Place,
    field: Option<Placed<String>>,
) -> Option<Placed<String>> {
    match field {
        Some(field) if !field.value.trim().is_empty() => Some(field),
        // A value of another kind has its fault already; then this one is at the same mapping and does no harm.
        _ => {
            let hint = super::value::MAPPING_HINT;
            reader.fault(place, path, format!("has no {name}"), hint);
            None
        }
    }
}

/// The texts of a list, without their places.
pub fn texts(reader: &mut Reader, path: &str) -> Option<Vec<String>> {
    Some(reader.texts(path)?.into_iter().map(|text| text.value).collect())
}

fn saml_settings(reader: &mut Reader, ground: &Ground, folder: &Path, path: &str) -> saml::Settings {
    let path = format!("{path}.saml");
    let idp_hint = "copy the entity ID (issuer) from the IdP's metadata";
    let idp_path = format!("{path}.idp_entity_id");
    let idp_entity_id = reader.required(&idp_path, idp_hint);
    if let Some(id) = &idp_entity_id {
        check_entity_id(reader, &idp_path, id);
    }
    let certificates = certificate::read(reader, ground, folder, &format!("{path}.certificates"));
    let sso_url = sso_url(reader, ground, &format!("{path}.sso_url"));
    let signed = match reader.text_or(&format!("{path}.signed"), "either").value.as_str() {
        "response" => SignedElement::Response,
        "assertion" => SignedElement::Assertion,
        "both" => SignedElement::Both,
        _ => SignedElement::Either,
    };
    let skew = reader.integer(&format!("{path}.clock_skew"), CLOCK_SKEW_SECONDS);
    let subject = attributes::subject(reader, &format!("{path}.subject"));
    saml::Settings {
        entity_id: String::new(),
        idp_entity_id: idp_entity_id.map(|id| id.value).unwrap_or_default(),
        sso_url,
        certificates,
        signed,
        subject,
        clock_skew_seconds: u32::try_from(skew).unwrap_or(0),
    }
}

fn check_entity_id(reader: &mut Reader, path: &str, id: &Placed<String>) {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if id.value.chars().any(odd) || id.value.chars().count() > ENTITY_ID_CHARACTERS_MAX {
        let why = "has white space in it or is longer than 1024 characters";
        reader.fault(&id.place, path, why, "copy it again; an entity ID is compared byte for byte");
    }
}

/// M-06: where browsers are sent to sign in. Whether it is our own host is checked once the routes are known.
fn sso_url(reader: &mut Reader, ground: &Ground, path: &str) -> String {
    let hint = "copy the HTTP-Redirect SingleSignOnService location from the IdP's metadata";
    let Some(text) = reader.required(path, hint) else { return String::new() };
    let Some(url) = reader.url(path, &text, hint) else { return String::new() };
    if !url.https && (ground.in_production() || !url.authority.is_loopback()) {
        let why = format!("{:?} is not https", text.value);
        reader.fault(&text.place, path, why, "use the IdP's https URL; http is for development on loopback");
    }
    text.value
}

/// S-91: an IdP that two tenants share could sign one's people in at the other.
fn check_idps(reader: &mut Reader, drafts: &[Draft]) {
    for (index, draft) in drafts.iter().enumerate() {
        let id = &draft.settings.saml.idp_entity_id;
        let earlier = drafts.iter().take(index).find(|earlier| earlier.settings.saml.idp_entity_id == *id);
        if let Some(earlier) = earlier.filter(|_| !id.is_empty()) {
            let path = format!("enterprise.{}.saml.idp_entity_id", draft.table);
            let place = reader.place(&path);
            let why = format!("is the IdP of the enterprise {} too", earlier.settings.slug);
            reader.fault(
                &place,
                &path,
                why,
                "give every enterprise an IdP, or an IdP application, of its own",
            );
        }
    }
}

/// Fills in the entity ids and ACS URLs and checks that no two enterprises share one (S-91).
pub fn set_endpoints(reader: &mut Reader, ground: &Ground, drafts: &mut [Draft], routes: &Routes) {
    let several = drafts.len() > 1;
    for draft in drafts.iter_mut() {
        let slug = &draft.settings.slug;
        let home = if several { format!("/enterprises/{slug}/saml") } else { "/saml".to_owned() };
        let base = format!("{}://{}{home}", ground.scheme(), ground.authority());
        let path = format!("enterprise.{}.saml", draft.table);
        draft.settings.saml.entity_id = entity_id(reader, &path, format!("{base}/metadata"));
        let hosts = routes.hosts(slug);
        draft.settings.acs_urls = acs_urls(reader, ground, &path, format!("{base}/acs"), &hosts);
        check_sso_host(reader, ground, draft, routes);
    }
    let shares = |a: &EnterpriseSettings, b: &EnterpriseSettings| {
        (a.saml.entity_id == b.saml.entity_id, a.acs_urls.iter().any(|url| b.acs_urls.contains(url)))
    };
    for (index, draft) in drafts.iter().enumerate() {
        for earlier in drafts.iter().take(index) {
            let (entity_id, acs_url) = shares(&draft.settings, &earlier.settings);
            let taken = [(entity_id, "entity_id", "entity ID"), (acs_url, "acs_url", "ACS URL")];
            for (_, key, what) in taken.iter().filter(|(shared, ..)| *shared) {
                let path = format!("enterprise.{}.saml.{key}", draft.table);
                let place = reader.place(&path);
                let why = format!("the enterprise {} has the same {what}", earlier.settings.slug);
                reader.fault(&place, &path, why, "give every enterprise its own");
            }
        }
    }
}

fn entity_id(reader: &mut Reader, path: &str, default: String) -> String {
    let path = format!("{path}.entity_id");
    if !reader.has(&path) {
        return default;
    }
    let hint = "write the entity ID (audience) that the IdP has for us, or remove the key";
    let Some(id) = reader.required(&path, hint) else { return default };
    check_entity_id(reader, &path, &id);
    id.value
}

/// The configured or default ACS URL first, then the same path on every other host that the routes serve.
fn acs_urls(
    reader: &mut Reader,
    ground: &Ground,
    path: &str,
    default: String,
    hosts: &[String],
) -> Vec<String> {
    let path = format!("{path}.acs_url");
    let hint = "write an absolute URL that the gateway serves, such as https://app.example.com/saml/acs";
    let text = reader.text(&path);
    let url = match &text {
        None => WebUrl::parse(&default).ok(),
        Some(text) => reader.url(&path, text, hint),
    };
    let Some(url) = url else { return vec![] };
    let authority = url.authority.shown(url.https);
    if let Some(text) = &text {
        let shown = &text.value;
        let canonical = canonical_path(&url.path).is_ok_and(|path| path.as_str() == url.path);
        let wrong = if url.has_query || url.path == "/" {
            Some("has a query, or no path")
        } else if !canonical {
            Some("has a path that is not in its canonical spelling")
        } else if url.https != ground.https() {
            Some("has another scheme than public_url")
        } else if authority != ground.authority() && !hosts.contains(&authority) {
            Some("is on a host that neither public_url nor a route of the enterprise serves")
        } else {
            None
        };
        if let Some(why) = wrong {
            reader.fault(&text.place, &path, format!("{shown:?} {why}"), hint);
        }
    }
    let first = text.map_or(default, |text| text.value);
    let others = hosts.iter().filter(|host| **host != authority);
    let others = others.map(|host| format!("{}://{host}{}", ground.scheme(), url.path));
    std::iter::once(first).chain(others).collect()
}

/// M-06: a sign-in that leads back to ourselves never ends.
fn check_sso_host(reader: &mut Reader, ground: &Ground, draft: &Draft, routes: &Routes) {
    let Ok(url) = WebUrl::parse(&draft.settings.saml.sso_url) else { return };
    let authority = url.authority.shown(url.https);
    if authority == ground.authority() || routes.serves(&authority) {
        let path = format!("enterprise.{}.saml.sso_url", draft.table);
        let place = reader.place(&path);
        let why = format!("{authority:?} is the gateway's own host");
        reader.fault(&place, &path, why, "write the IdP's URL; an IdP cannot stand behind its own gateway");
    }
}
