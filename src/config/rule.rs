//! The rule of a route: whose people may pass, and what they must have.
use super::{
    enterprise::{self, Draft},
    reader::Reader,
    request,
    value::Placed,
};
use crate::{
    access::{Rule, StepUp},
    domain::{EnterpriseSlug, OrganizationSlug},
};

/// P-23: a route says who may pass, or there is no route. `path` is the route's.
pub fn read(reader: &mut Reader, path: &str, drafts: &[Draft]) -> Option<Rule> {
    if reader.switch(&format!("{path}.public")) {
        let keys = [
            "enterprise",
            "enterprises",
            "organizations",
            "groups",
            "authn_context",
            "sign_in_age_max",
            "tokens",
        ];
        let mut demands = keys.iter().map(|key| format!("{path}.{key}"));
        if let Some(demand) = demands.find(|demand| reader.has(demand)) {
            let place = reader.place(&demand);
            let why = "makes a demand on a route that public = true opens to everybody";
            reader.fault(&place, &demand, why, "remove it, or remove public");
        }
        return Some(Rule::Public);
    }
    let chosen = enterprises(reader, path, drafts)?;
    let organizations = demanded_organizations(reader, path, &chosen);
    let groups = reader.texts(&format!("{path}.groups")).unwrap_or_default();
    let step_up = step_up(reader, path, &chosen);
    let tokens = format!("{path}.tokens");
    let tokens = !reader.has(&tokens) || reader.switch(&tokens);
    Some(Rule::Protected {
        enterprises: chosen.iter().map(|draft| draft.settings.slug.clone()).collect(),
        organizations,
        groups: groups.into_iter().map(|group| group.value).collect(),
        step_up,
        tokens,
    })
}

/// Those whose people may pass; `None` if there are none, which has its fault.
fn enterprises<'d>(reader: &mut Reader, path: &str, drafts: &'d [Draft]) -> Option<Vec<&'d Draft>> {
    let (one, several) = (format!("{path}.enterprise"), format!("{path}.enterprises"));
    if reader.has(&one) && reader.has(&several) {
        let place = reader.place(&several);
        reader.fault(&place, &several, "stands beside enterprise", "keep one of the two");
    }
    if let Some(name) = reader.text(&one) {
        return Some(vec![known(reader, &one, &name, drafts)?]);
    }
    let Some(names) = reader.texts(&several).filter(|names| !names.is_empty()) else {
        if !reader.has(&one) {
            let place = reader.place(path);
            let hint = "write enterprise = \"NAME\", or public = true to let everybody in";
            reader.fault(&place, path, "names no enterprise, so nobody could pass", hint);
        }
        return None;
    };
    let mut chosen: Vec<&Draft> = match names.as_slice() {
        [all] if all.value == "*" => drafts.iter().collect(),
        names => names.iter().filter_map(|name| known(reader, &several, name, drafts)).collect(),
    };
    chosen.sort_by(|a, b| a.settings.slug.cmp(&b.settings.slug));
    chosen.dedup_by(|a, b| a.settings.slug == b.settings.slug);
    for draft in chosen.iter().filter(|draft| chosen.len() > 1 && draft.settings.email_domains.is_empty()) {
        let place = reader.place(&several);
        let why = format!("names {}, which has no email_domains to be chosen by", draft.settings.slug);
        let hint = "give it some, or let its people start at /enterprises/NAME/saml/login";
        reader.warn(&place, &several, why, hint);
    }
    (!chosen.is_empty()).then_some(chosen)
}

fn known<'d>(
    reader: &mut Reader,
    path: &str,
    name: &Placed<String>,
    drafts: &'d [Draft],
) -> Option<&'d Draft> {
    let slug = EnterpriseSlug::parse(&name.value).ok();
    let found = slug.and_then(|slug| drafts.iter().find(|draft| draft.settings.slug == slug));
    if found.is_none() {
        let known: Vec<&str> = drafts.iter().map(|draft| draft.settings.slug.as_str()).collect();
        let why = format!("{:?} is no enterprise of this configuration", name.value);
        let hint = match known.as_slice() {
            [] => "write an [enterprise.NAME] first".into(),
            known => format!("use one of: {}", known.join(", ")),
        };
        reader.fault(&name.place, path, why, hint);
    }
    found
}

/// Where several enterprises may pass, a name stands for each one's organization of that name. One that the configuration does
/// not list may be created at any time; until then nobody belongs to it.
fn demanded_organizations(reader: &mut Reader, path: &str, chosen: &[&Draft]) -> Vec<OrganizationSlug> {
    let path = format!("{path}.organizations");
    let texts: Vec<Placed<String>> = reader.texts(&path).unwrap_or_default();
    let place = reader.place(&path);
    let found = enterprise::slugs(reader, &path, texts);
    let exists = |slug: &OrganizationSlug| chosen.iter().any(|d| d.settings.organizations.contains(slug));
    for slug in found.iter().filter(|slug| !exists(slug)) {
        let why = format!(
            "{:?} is not listed: nobody passes by it until it is created, with its name spelt so",
            slug.as_str()
        );
        reader.warn(&place, &path, why, "list it in the enterprise's organizations, or mend the name");
    }
    found
}

fn step_up(reader: &mut Reader, path: &str, chosen: &[&Draft]) -> StepUp {
    let age = reader.integer(&format!("{path}.sign_in_age_max"), 0);
    let path = format!("{path}.authn_context");
    let contexts = request::contexts(reader, &path);
    for draft in chosen {
        // Else whoever met the route's demand could open what the connection's own protects, or nobody could meet both.
        let allowed = &draft.settings.saml.authn_contexts;
        for class in contexts.iter().filter(|class| !allowed.is_empty() && !allowed.contains(class)) {
            let place = reader.place(&path);
            let why =
                format!("{class:?} is not in the authn_context of the enterprise {}", draft.settings.slug);
            reader.fault(&place, &path, why, "add it there, or remove it here");
        }
    }
    StepUp { contexts, age_seconds_max: u32::try_from(age).ok().filter(|age| *age > 0) }
}
