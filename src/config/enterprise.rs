//! Enterprises: organizations, group mappings, attributes and switches.
use std::path::Path;

use crate::{
    domain::{EnterpriseSlug, OrganizationSlug, Role},
    provisioning::{self, LastOwner, Mapping, MissingGroups, Policy},
};

use super::{
    EnterpriseSettings, attributes, connection, email_domain,
    fault::Place,
    metadata,
    reader::Reader,
    request, scim,
    server::Ground,
    value::{Placed, RawMapping},
};

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
    connection::check_idps(reader, &drafts);
    email_domain::check(reader, &drafts);
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
    let saml = connection::read(reader, ground, folder, &path);
    let saml_path = format!("{path}.saml");
    let metadata = metadata::read(reader, ground, folder, &saml_path);
    let (own_metadata_signed, own_metadata_validity_seconds) = metadata::own(reader, &saml_path, &saml);
    let provisioning = provisioning::Settings {
        policy,
        managed,
        mappings,
        naming,
        attributes,
        max_removals: max_removals(reader, &path),
        break_glass: texts(reader, &format!("{path}.break_glass")).unwrap_or_default(),
        missing_groups: missing_groups(reader, &path, policy),
        last_owner: match reader.text_or(&format!("{path}.last_owner"), "allow").value.as_str() {
            "protect" => LastOwner::Protect,
            _ => LastOwner::Allow,
        },
        dry_run: dry_run(reader, &path, policy),
    };
    let email_domains = email_domain::read(reader, &path);
    let idp_initiated_targets = request::targets(reader, &saml_path, saml.idp_initiated);
    let second_opinion = connection::second_opinion(reader, &path);
    let scim = scim::read(reader, &path, &saml);
    let settings = EnterpriseSettings {
        slug,
        owners,
        organizations,
        saml,
        email_domains,
        idp_initiated_targets,
        metadata,
        own_metadata_signed,
        own_metadata_validity_seconds,
        acs_urls: vec![],
        slo_url: String::new(),
        provisioning,
        scim,
        second_opinion,
    };
    Draft { settings, table }
}

/// Removals by automation in one organization within an hour: enough for ordinary leaving, and few enough that a slip in the
/// IdP's configuration is noticed before it has emptied anything.
const MAX_REMOVALS: u64 = 10;

fn max_removals(reader: &Reader, path: &str) -> u32 {
    u32::try_from(reader.integer(&format!("{path}.max_removals"), MAX_REMOVALS)).unwrap_or(u32::MAX)
}

/// A1: `treat_as_empty` turns a slip at the IdP into removals.
fn missing_groups(reader: &mut Reader, path: &str, policy: Policy) -> MissingGroups {
    let what = format!("{path}.missing_groups");
    let word = reader.text_or(&what, MissingGroups::Ignore.as_str());
    let chosen = MissingGroups::ALL.into_iter().find(|one| one.as_str() == word.value).unwrap_or_default();
    if chosen == MissingGroups::TreatAsEmpty && policy.deprovisioning {
        let why = "removes people whenever the IdP leaves the group attribute out, as it does when it has too many groups";
        reader.warn(&word.place, &what, why, "use \"deny\" where every assertion must have groups");
    }
    chosen
}

fn dry_run(reader: &mut Reader, path: &str, policy: Policy) -> bool {
    let what = format!("{path}.dry_run");
    let dry_run = reader.switch(&what);
    if dry_run && !policy.provisioning && !policy.deprovisioning {
        let place = reader.place(&what);
        let hint = "switch on what is to be tried out: with dry_run nothing of it is carried out";
        reader.warn(&place, &what, "is on while both switches are off: there is nothing to record", hint);
    }
    dry_run
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
