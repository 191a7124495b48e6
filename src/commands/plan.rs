//! `plan`: what would become of each organization if deprovisioning were on.
use std::fmt::{self, Write as _};

use clap::Args;
use serde_json::{Value, json};

use super::{
    ConfigFile, Failure, Format, Outcome, choose_enterprise, directory, load, metadata::tame, runtime,
};
use crate::{
    config::{EnterpriseSettings, Settings},
    domain::{OrganizationSlug, Timestamp},
    provisioning::{Mover, Outlook, Preview},
};

/// People who are listed for one organization in text before the rest is counted.
const NAMES_SHOWN_MAX: usize = 20;

/// Show what would become of each organization if deprovisioning were on
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    config: ConfigFile,
    /// The enterprise; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    enterprise: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints it, by the last known groups of everybody. Changes nothing.
pub fn plan(arguments: &Plan) -> Result<Outcome, Failure> {
    let settings = load(&arguments.config.path())?.settings;
    let enterprise = choose_enterprise(&settings, arguments.enterprise.as_deref()).map_err(Failure::Usage)?;
    let preview = runtime()?.block_on(preview(&settings, enterprise)).map_err(Failure::Failed)?;
    match arguments.format {
        Format::Json => println!("{:#}", report(enterprise, &preview)),
        Format::Text => {
            let mut text = String::new();
            // Writing to a String cannot fail.
            let _ = write(&mut text, enterprise, &preview);
            print!("{text}");
        }
    }
    Ok(Outcome::Fine)
}

/// The preview by the store of the configuration; else why there is none, as `what: why: how to mend it`.
pub(super) async fn preview(settings: &Settings, enterprise: &EnterpriseSettings) -> Result<Preview, String> {
    let directory = directory::open(settings).await?;
    let (tenant, now) = (enterprise.tenant(), Timestamp::now());
    let broken = |error| directory::broken(&error);
    let effective = directory.settings(&tenant, now).await.map_err(broken)?;
    directory.preview(&tenant, &effective, now).await.map_err(broken)
}

fn write(out: &mut String, enterprise: &EnterpriseSettings, preview: &Preview) -> fmt::Result {
    let policy = enterprise.provisioning.policy;
    let on = |switch| if switch { "on" } else { "off" };
    writeln!(
        out,
        "If deprovisioning were on in {}, by the last known groups of each person",
        enterprise.slug
    )?;
    writeln!(
        out,
        "  now: provisioning {}, deprovisioning {}{}",
        on(policy.provisioning),
        on(policy.deprovisioning),
        if enterprise.provisioning.dry_run { ", dry run" } else { "" }
    )?;
    writeln!(
        out,
        "  people: {}, {} of them with groups that were never known",
        preview.people, preview.unknown
    )?;
    for (slug, outlook) in &preview.organizations {
        writeln!(out, "\n{slug}: {}", outlook.words())?;
        people(out, "-", &outlook.leaves.named, outlook.leaves.count)?;
        people(out, "+", &outlook.joins.named, outlook.joins.count)?;
        for (mover, why) in outlook.spared.iter().take(NAMES_SHOWN_MAX) {
            writeln!(out, "  = {} ({}) stays: {}", tame(&mover.user), mover.role.as_str(), why.as_str())?;
        }
    }
    Ok(())
}

fn people(out: &mut String, sign: &str, named: &[Mover], count: u64) -> fmt::Result {
    let shown = named.iter().take(NAMES_SHOWN_MAX);
    let mut left = count;
    for mover in shown {
        left -= 1;
        writeln!(out, "  {sign} {} ({})", tame(&mover.user), mover.role.as_str())?;
    }
    if left > 0 { writeln!(out, "  {sign} and {left} more") } else { Ok(()) }
}

fn report(enterprise: &EnterpriseSettings, preview: &Preview) -> Value {
    let policy = enterprise.provisioning.policy;
    json!({
        "enterprise": enterprise.slug.as_str(),
        "provisioning": policy.provisioning,
        "deprovisioning": policy.deprovisioning,
        "dry_run": enterprise.provisioning.dry_run,
        "people": preview.people,
        "people_with_unknown_groups": preview.unknown,
        "organizations": preview.organizations.iter().map(outlook_report).collect::<Vec<_>>(),
    })
}

fn outlook_report((slug, outlook): (&OrganizationSlug, &Outlook)) -> Value {
    let mover = |mover: &Mover| json!({ "person": mover.person.to_string(), "user": mover.user, "role": mover.role.as_str() });
    let spared = outlook.spared.iter().map(|(who, why)| {
        let mut entry = mover(who);
        entry["reason"] = why.as_str().into();
        entry
    });
    json!({
        "organization": slug.as_str(),
        "members": outlook.members,
        "leaves": outlook.leaves.count,
        "leaving": outlook.leaves.named.iter().map(mover).collect::<Vec<_>>(),
        "joins": outlook.joins.count,
        "joining": outlook.joins.named.iter().map(mover).collect::<Vec<_>>(),
        "spared": spared.collect::<Vec<_>>(),
        "held": outlook.held,
        "becomes_unowned": outlook.becomes_unowned,
    })
}
