//! `check`: judges a configuration and shows what it means.
use std::{
    fmt::{self, Write},
    io::{self, Write as _},
    path::Path,
};

use serde_json::{Value, json};

use super::{Failure, Format, Outcome, load, plan, runtime};
use crate::{
    access::{Route, Rule},
    config::{EnterpriseSettings, Fault, Mode, Settings},
    domain::{EnterpriseSlug, OrganizationSlug},
    metadata::{self, Source, Trust},
    provisioning::LastOwner,
    saml, store,
};

/// Prints a summary on standard output and warnings on standard error; fails with every fault of the configuration.
pub fn check(config: &Path, format: Format) -> Result<Outcome, Failure> {
    let loaded = match (load(config), format) {
        (Err(Failure::Config(faults)), Format::Json) => {
            print_json(&json!({ "valid": false, "faults": lines(&faults), "warnings": [] }));
            return Ok(Outcome::Failed);
        }
        (loaded, _) => loaded?,
    };
    let outlooks = outlooks(&loaded.settings);
    match format {
        Format::Json => print_json(&report(&loaded.settings, &loaded.warnings, &outlooks)),
        Format::Text => {
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}\n"));
            }
            let mut text = String::new();
            // Writing to a String cannot fail.
            let _ = summary(&mut text, config, &loaded.settings, loaded.warnings.len());
            for (enterprise, lines) in &outlooks {
                text.push_str(&format!("\ndeprovisioning in {enterprise}, by the last known groups\n"));
                lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
            }
            say(&text);
        }
    }
    Ok(Outcome::Fine)
}

/// Of each enterprise with deprovisioning, what it would do now; or that the store is not at hand to tell. An embedded store
/// that is not there yet holds nobody.
fn outlooks(settings: &Settings) -> Vec<(EnterpriseSlug, Vec<String>)> {
    let is_new = matches!(&settings.store, store::Settings::Embedded(embedded) if !embedded.path.exists());
    let concerned = settings.enterprises.iter().filter(|e| e.provisioning.policy.deprovisioning && !is_new);
    let told = concerned.map(|enterprise| {
        let preview = runtime().map_err(|failure| failure.to_string());
        let preview = preview.and_then(|runtime| runtime.block_on(plan::preview(settings, enterprise)));
        let lines = match preview {
            Ok(preview) => preview.summary(),
            Err(why) => vec![format!("not known: {}", why.trim_end())],
        };
        (enterprise.slug.clone(), lines)
    });
    told.collect()
}

/// Writes to standard output; whoever closed it does not want to hear more.
fn say(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn print_json(value: &Value) {
    say(&format!("{value:#}\n"));
}

fn lines(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

fn summary(out: &mut String, config: &Path, settings: &Settings, warnings: usize) -> fmt::Result {
    let url = &settings.edge.public_url;
    writeln!(out, "{}: valid, {warnings} warnings", config.display())?;
    writeln!(out, "mode         {}", mode(settings.mode))?;
    writeln!(out, "public URL   {}://{}", url.scheme, url.authority)?;
    let workers = settings.edge.workers;
    writeln!(
        out,
        "listen       {} (public, {workers} workers), {} (private)",
        settings.edge.listen, settings.admin.listen
    )?;
    writeln!(out, "store        {}", store_summary(&settings.store))?;
    let session = &settings.session;
    let (idle, lifetime) = (session.idle_seconds_max, session.lifetime_seconds_max);
    writeln!(out, "session      {} idle, {} in all", duration(idle), duration(lifetime))?;
    for enterprise in &settings.enterprises {
        enterprise_summary(out, enterprise)?;
    }
    writeln!(out, "\nroutes")?;
    let shown: Vec<(String, &Route)> =
        settings.routes.iter().map(|route| (format!("{}{}", route.host, route.path_prefix), route)).collect();
    let width = shown.iter().map(|(place, _)| place.chars().count()).max().unwrap_or(0);
    for (place, route) in shown {
        let origin = format!("http://{}:{}", route.origin.host, route.origin.port);
        writeln!(out, "  {place:width$}  {origin}  {}", rule_summary(&route.rule))?;
    }
    Ok(())
}

fn enterprise_summary(out: &mut String, enterprise: &EnterpriseSettings) -> fmt::Result {
    let saml = &enterprise.saml;
    let provisioning = &enterprise.provisioning;
    let policy = provisioning.policy;
    writeln!(out, "\nenterprise {}", enterprise.slug)?;
    let at = if saml.sso_url.is_empty() { "a URL from its metadata" } else { &saml.sso_url };
    writeln!(out, "  IdP              {} at {at}", saml.idp_entity_id)?;
    if let Some(metadata) = &enterprise.metadata {
        writeln!(out, "  metadata         {}", metadata_summary(metadata))?;
    }
    let certificates = match (&enterprise.metadata, saml.certificates.len()) {
        (Some(_), 0) => "from metadata".to_owned(),
        (_, count) => count.to_string(),
    };
    let skew = saml.clock_skew_seconds;
    writeln!(
        out,
        "  certificates     {certificates}, signed: {}, clock skew {skew} s",
        saml.signed.as_str()
    )?;
    writeln!(out, "  identified by    {}", saml.subject.as_str())?;
    writeln!(out, "  requests         {}", requests(saml))?;
    writeln!(out, "  our entity ID    {}", saml.entity_id)?;
    writeln!(out, "  our ACS          {}", enterprise.acs_urls.join(", "))?;
    if let Some(slo) = &saml.slo {
        writeln!(out, "  single logout    {} at {}", slo.binding.as_str(), slo.url)?;
    }
    writeln!(out, "  provisioning     {}", on(policy.provisioning))?;
    writeln!(out, "  deprovisioning   {}", on(policy.deprovisioning))?;
    if provisioning.dry_run {
        writeln!(out, "  dry run          plans are recorded, nothing is changed")?;
    }
    if policy.deprovisioning {
        writeln!(out, "  removal guard    {} an hour in one organization", provisioning.max_removals)?;
        writeln!(out, "  break glass      {}", list(&provisioning.break_glass))?;
    }
    let organizations: Vec<String> = enterprise
        .organizations
        .iter()
        .map(|slug| match provisioning.managed.contains(slug) {
            true => slug.to_string(),
            false => format!("{slug} (not managed)"),
        })
        .collect();
    writeln!(out, "  organizations    {}", list(&organizations))?;
    writeln!(out, "  mappings         {}", provisioning.mappings.len())?;
    let naming = &provisioning.naming;
    let from = if naming.dn_leaf { "the leaf of the distinguished name" } else { "the value" };
    let pattern =
        naming.pattern.as_ref().map_or(String::new(), |pattern| format!(", by {}", pattern.as_str()));
    writeln!(out, "  names of groups  {from}{pattern}")?;
    writeln!(out, "  owners           {}", list(&enterprise.owners))
}

/// Where it comes from, and who vouches for it.
fn metadata_summary(metadata: &metadata::Settings) -> String {
    let vouched = match (&metadata.signers, &metadata.source, metadata.trust) {
        (Some(_), ..) => "signed by a pinned certificate",
        (None, Source::File(_), _) => "not signed",
        (None, Source::Url(_), Trust::Overlap) => "new keys beside a known one",
        (None, Source::Url(_), Trust::Tls) => "new keys on the word of TLS",
    };
    let fetched = if matches!(metadata.source, Source::Url(_)) { ", not fetched by check" } else { "" };
    let hours = metadata.refresh_seconds.div_ceil(3600);
    format!("{}, {vouched}, refreshed every {hours} h or sooner{fetched}", metadata.source.shown())
}

fn report(settings: &Settings, warnings: &[Fault], outlooks: &[(EnterpriseSlug, Vec<String>)]) -> Value {
    let url = &settings.edge.public_url;
    json!({
        "valid": true,
        "faults": [],
        "warnings": lines(warnings),
        "mode": mode(settings.mode),
        "public_url": format!("{}://{}", url.scheme, url.authority),
        "store": store_summary(&settings.store),
        "enterprises": settings.enterprises.iter().map(enterprise_report).collect::<Vec<_>>(),
        "deprovisioning_outlook": outlooks.iter().map(|(enterprise, lines)| {
            (enterprise.to_string(), json!(lines))
        }).collect::<serde_json::Map<_, _>>(),
        "routes": settings.routes.iter().map(route_report).collect::<Vec<_>>(),
    })
}

fn enterprise_report(enterprise: &EnterpriseSettings) -> Value {
    let slugs = |slugs: &[OrganizationSlug]| slugs.iter().map(|slug| slug.to_string()).collect::<Vec<_>>();
    json!({
        "name": enterprise.slug.as_str(),
        "idp_entity_id": enterprise.saml.idp_entity_id,
        "sso_url": enterprise.saml.sso_url,
        "entity_id": enterprise.saml.entity_id,
        "acs_urls": enterprise.acs_urls,
        "metadata": enterprise.metadata.as_ref().map(|metadata| metadata.source.shown()),
        "certificates": enterprise.saml.certificates.len(),
        "signed": enterprise.saml.signed.as_str(),
        "requests": requests(&enterprise.saml),
        "email_domains": enterprise.email_domains,
        "provisioning": enterprise.provisioning.policy.provisioning,
        "deprovisioning": enterprise.provisioning.policy.deprovisioning,
        "organizations": slugs(&enterprise.organizations),
        "managed": slugs(&enterprise.provisioning.managed),
        "dry_run": enterprise.provisioning.dry_run,
        "max_removals": enterprise.provisioning.max_removals,
        "missing_groups": enterprise.provisioning.missing_groups.as_str(),
        "last_owner": match enterprise.provisioning.last_owner {
            LastOwner::Allow => "allow",
            LastOwner::Protect => "protect",
        },
        "break_glass": enterprise.provisioning.break_glass,
        "mappings": enterprise.provisioning.mappings.len(),
        "subject": enterprise.saml.subject.as_str(),
        "groups": {
            "name": if enterprise.provisioning.naming.dn_leaf { "dn_leaf" } else { "value" },
            "pattern": enterprise.provisioning.naming.pattern.as_ref().map(|pattern| pattern.as_str()),
        },
        "owners": enterprise.owners,
    })
}

/// What is asked of the IdP, and whether a sign-in may begin there.
fn requests(saml: &saml::Settings) -> String {
    let mut text = format!("by {}", saml.request_binding.as_str());
    text.push_str(if saml.sign_requests { ", signed" } else { ", not signed" });
    if saml.force_authn {
        text.push_str(", always a new sign-in");
    }
    if !saml.authn_contexts.is_empty() {
        text = format!("{text}, by {}", saml.authn_contexts.join(" or "));
    }
    if saml.idp_initiated {
        text.push_str("; sign-ins may begin at the IdP");
    }
    text
}

fn route_report(route: &Route) -> Value {
    json!({
        "name": route.name,
        "host": route.host,
        "path": route.path_prefix,
        "origin": format!("http://{}:{}", route.origin.host, route.origin.port),
        "rule": rule_summary(&route.rule),
    })
}

fn rule_summary(rule: &Rule) -> String {
    match rule {
        Rule::Public => "public".into(),
        Rule::Protected { enterprises, organizations, groups, step_up, tokens } => {
            let names: Vec<&str> = enterprises.iter().map(|slug| slug.as_str()).collect();
            let mut text = format!("people of {}", names.join(" or "));
            if !organizations.is_empty() {
                let names: Vec<&str> = organizations.iter().map(|slug| slug.as_str()).collect();
                text = format!("{text}, members of {}", names.join(" or "));
            }
            if !groups.is_empty() {
                text = format!("{text}, in group {}", groups.join(" or "));
            }
            if !step_up.contexts.is_empty() {
                text = format!("{text}, signed in by {}", step_up.contexts.join(" or "));
            }
            if let Some(seconds) = step_up.age_seconds_max {
                text = format!("{text}, within the last {}", duration(seconds));
            }
            if !tokens {
                text = format!("{text}, without tokens");
            }
            text
        }
    }
}

/// Never the URL: it holds a password.
fn store_summary(store: &store::Settings) -> String {
    match store {
        store::Settings::Embedded(embedded) => format!("embedded, {}", embedded.path.display()),
        store::Settings::Redis(redis) => {
            let place = match &redis.topology {
                store::redis::Topology::Single => "one server".to_owned(),
                store::redis::Topology::Sentinel(sentinel) => {
                    format!("{:?} of {} sentinels", sentinel.primary, sentinel.sentinels.len())
                }
                store::redis::Topology::Cluster { .. } => "cluster".to_owned(),
            };
            let waits = redis.replicas.map(|replicas| {
                format!(", {} replicas within {} ms", replicas.acknowledged_min, replicas.wait_millis_max)
            });
            let sealed = if redis.seal_keys.is_empty() { "" } else { ", sealed" };
            let waits = waits.unwrap_or_default();
            format!("redis, {place}, at most {} ms{waits}{sealed}", redis.timeout_millis_max)
        }
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Development => "development",
        Mode::Production => "production",
    }
}

fn on(switch: bool) -> &'static str {
    if switch { "on" } else { "off" }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

fn duration(seconds: u32) -> String {
    match seconds {
        s if s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
