//! Organizations themselves.
use http::StatusCode;
use serde::{Deserialize, Deserializer};

use crate::{
    api::{
        call::{Answer, Call},
        problem::{Code, Problem},
        shape::{MembershipShape, OrganizationShape, OrganizationSummary},
    },
    directory::{NewOrganization, OrganizationChange},
    domain::{OrganizationId, OrganizationSlug},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    login: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    managed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    /// `null` takes it away; left out leaves it as it is.
    #[serde(default, deserialize_with = "given")]
    display_name: Option<Option<String>>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    managed: Option<bool>,
}

/// The warning that the caller has read: whoever claims an organization names it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    confirm: String,
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

pub async fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let sees_all = call.caller.acts_for_enterprise();
    let after = call.query.text("after").unwrap_or_default();
    let is_visible =
        |slug: &OrganizationSlug| slug.as_str() > after && (sees_all || call.caller.role_in(slug).is_some());
    let page = call.directory.organizations_page(call.tenant, call.query.per_page(), is_visible, call.now);
    let (page, has_more) = page.await?;
    let page: Vec<OrganizationSummary> = page
        .iter()
        .map(|record| OrganizationSummary::of(record, call.caller.role_in(&record.slug)))
        .collect();
    let next = page.last().filter(|_| has_more).map(|last| last.login.clone());
    Ok(Answer::page(&page, next))
}

pub async fn create(call: &Call<'_>) -> Result<Answer, Problem> {
    let New { login, display_name, aliases, managed } = call.read()?;
    let slug = OrganizationSlug::parse(&login).map_err(|error| {
        Problem::of(StatusCode::UNPROCESSABLE_ENTITY, "organization_invalid", format!("The login {error}."))
    })?;
    let new = NewOrganization { slug, display_name, aliases, managed };
    let record = call.directory.create_organization(call.tenant, call.actor(), new, call.now).await?;
    Ok(Answer::created(&OrganizationShape::of(&record, managed)))
}

pub async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    let organization = call.organization()?;
    let record = call.directory.organization(call.tenant.id, organization, call.now).await?;
    Ok(Answer::ok(&OrganizationShape::of(&record, managed(call, organization).await?)))
}

pub async fn change(call: &Call<'_>) -> Result<Answer, Problem> {
    let organization = call.organization()?;
    let Changed { display_name, aliases, managed: wanted } = call.read()?;
    let change = OrganizationChange { display_name, aliases, managed: wanted };
    let changed =
        call.directory.change_organization(call.tenant, call.actor(), organization, change, call.now);
    let record = changed.await?;
    Ok(Answer::ok(&OrganizationShape::of(&record, managed(call, organization).await?)))
}

/// Section 2.2: only what has no owner, only after a warning.
pub async fn claim(call: &Call<'_>) -> Result<Answer, Problem> {
    let organization = call.organization()?;
    if call.read::<Claim>()?.confirm != organization.as_str() {
        return Err(Problem::told(
            Code::Unprocessable,
            "Claiming makes you the organization's owner, against what the identity provider's groups say, until \
             somebody else owns it too. Repeat its login in confirm.",
        ));
    }
    let person = call.directory.claim_organization(call.tenant, call.actor(), organization, call.now).await?;
    let member = person.membership(organization).ok_or(Code::Conflict)?;
    Ok(Answer::ok(&MembershipShape::of(&person, member)))
}

pub async fn unowned(call: &Call<'_>) -> Result<Answer, Problem> {
    let after = call.query.parsed("after", OrganizationId::parse)?;
    let per_page = call.query.per_page();
    let mut records = call.directory.unowned(call.tenant.id, after, per_page + 1, call.now).await?;
    let more = super::cut(&mut records, per_page);
    let next = records.last().filter(|_| more).map(|record| record.id.to_string());
    let settings = call.directory.settings(call.tenant, call.now).await?;
    let shown = records.iter().map(|r| OrganizationShape::of(r, settings.managed.contains(&r.slug)));
    Ok(Answer::page(&shown.collect::<Vec<_>>(), next))
}

/// As it is in effect: by the configuration, or by the organization's own record.
async fn managed(call: &Call<'_>, organization: &OrganizationSlug) -> Result<bool, Problem> {
    let settings = call.directory.settings(call.tenant, call.now).await?;
    Ok(settings.managed.contains(organization))
}
