//! `explain`: why a person is, or is not, in an organization.
use clap::Args;
use serde_json::{Value, json};

use super::{
    ConfigFile, Failure, Format, Outcome, choose_enterprise, directory, load, metadata::tame, runtime,
};
use crate::{
    config::{EnterpriseSettings, Settings},
    directory::{ActError, Explained},
    domain::{OrganizationSlug, Person, Standing, Timestamp},
    provisioning::Change,
};

/// Explain why a person is, or is not, in an organization
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    /// The enterprise; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    enterprise: Option<String>,
    /// The person, by what identifies people at the IdP (usually the NameID), or by id
    #[arg(long, value_name = "USER")]
    person: String,
    /// The organization's account name
    #[arg(long, value_name = "NAME")]
    organization: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the facts that decide, and which of them does.
pub fn explain(arguments: &Explain) -> Result<Outcome, Failure> {
    let settings = load(&arguments.config.path())?.settings;
    let enterprise = choose_enterprise(&settings, arguments.enterprise.as_deref()).map_err(Failure::Usage)?;
    let slug = OrganizationSlug::parse(&arguments.organization).map_err(|error| {
        Failure::Usage(format!("--organization: {error}: write the account name of an organization"))
    })?;
    let explained = runtime()?.block_on(ask(&settings, enterprise, &arguments.person, &slug))?;
    let report = report(&arguments.person, &explained);
    match arguments.format {
        Format::Json => println!("{report:#}"),
        Format::Text => print!("{}", text(&report)),
    }
    Ok(Outcome::Fine)
}

async fn ask(
    settings: &Settings,
    enterprise: &EnterpriseSettings,
    person: &str,
    slug: &OrganizationSlug,
) -> Result<Explained, Failure> {
    let directory = directory::open(settings).await.map_err(Failure::Failed)?;
    let id = directory::person_id(enterprise, person);
    let explained = directory.explain(&enterprise.tenant(), id, slug, Timestamp::now()).await;
    explained.map_err(|error| match error {
        ActError::Store(error) => Failure::Failed(directory::broken(&error)),
        error => Failure::Failed(format!("--organization {slug}: {error}: {}", error.hint())),
    })
}

/// What the code of the deciding fact means.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "in_group" => "a group of the person stands for the organization",
        "pinned" => "the membership is pinned against removal by automation",
        "held" => "a removal waits for an owner's decision",
        "break_glass" => "the person is listed in break_glass",
        "not_managed" => "groups do not decide about this organization: it is not managed",
        "groups_unknown" => "no assertion has said anything about the person's groups yet",
        "deprovisioning_off" => "no group stands for it any more, and deprovisioning is off",
        "would_be_held" => "no group stands for it any more, and the next sign-in's removal would be held",
        "by_next_sign_in" => "the person's groups and the membership differ: the next sign-in mends it",
        "no_group" => "no group of the person stands for the organization",
        "provisioning_off" => "a group stands for it, and provisioning is off",
        "never_signed_in" => "nobody of this identifier has signed in yet",
        "deactivated" => "the person is deactivated",
        "deleted" => "the person was deleted",
        _ => "",
    }
}

fn report(asked: &str, explained: &Explained) -> Value {
    let Explained { person, organization, is_managed, policy, is_dry_run, explanation } = explained;
    let member = person.as_ref().and_then(|person| person.membership(&organization.slug));
    let former =
        person.iter().flat_map(|person| &person.former).find(|f| f.organization == organization.slug);
    let change =
        |change: &Change| json!({ "change": change.kind(), "role": change.role().map(|r| r.as_str()) });
    json!({
        "person": asked,
        "organization": organization.slug.as_str(),
        "role": explanation.role.map(|role| role.as_str()),
        "reason": explanation.reason,
        "meaning": meaning(explanation.reason),
        "standing": person.as_ref().map(standing),
        "linked_since": person.as_ref().and_then(|p| p.linked_at).map(|at| at.to_string()),
        "last_sign_in": person.as_ref().map(|p| p.last_sign_in_at.to_string()),
        "decided_at": person.as_ref().and_then(|p| p.decided_at).map(|at| at.to_string()),
        "groups": explanation.last_groups,
        "matched": explanation.matched.iter().map(|m| {
            json!({ "group": m.group, "role": m.role.as_str() })
        }).collect::<Vec<_>>(),
        "membership": member.map(|member| json!({
            "role": member.role.as_str(),
            "source": member.source.as_str(),
            "since": member.since.to_string(),
            "pinned": member.pin.map(|pin| pin.reason.as_str()),
            "held_since": member.held.as_ref().map(|held| held.since.to_string()),
            "held_batch": member.held.as_ref().map(|held| held.batch.as_str()),
        })),
        "former": former.map(|former| json!({
            "role": former.role.as_str(),
            "source": former.source.as_str(),
            "ended_at": former.ended_at.to_string(),
            "batch": former.batch.as_str(),
        })),
        "managed": is_managed,
        "owners": organization.owners.len(),
        "unowned_since": organization.unowned_since.map(|at| at.to_string()),
        "provisioning": policy.provisioning,
        "deprovisioning": policy.deprovisioning,
        "dry_run": is_dry_run,
        "next_sign_in": explanation.next.iter().map(change).collect::<Vec<_>>(),
    })
}

fn standing(person: &Person) -> &'static str {
    match person.standing {
        Standing::Active => "active",
        Standing::Deactivated { .. } => "deactivated",
        Standing::Deleted { .. } => "deleted",
    }
}

/// The same facts, one a line.
fn text(report: &Value) -> String {
    let word = |key: &str| report[key].as_str().unwrap_or("no member").to_owned();
    let shown = tame(report["person"].as_str().unwrap_or_default());
    let mut out = format!(
        "{shown} in {}: {}\n  because: {} ({})\n\n",
        word("organization"),
        word("role"),
        word("meaning"),
        word("reason")
    );
    let Some(facts) = report.as_object() else { return out };
    let told = ["person", "organization", "role", "reason", "meaning"];
    for (name, value) in facts.iter().filter(|(name, _)| !told.contains(&name.as_str())) {
        let value = if value.is_null() { "-".to_owned() } else { tame(&value.to_string()) };
        out.push_str(&format!("  {name:16} {value}\n"));
    }
    out
}
