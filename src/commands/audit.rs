//! `audit`: reads the audit stream of the configuration's store, follows it, and verifies that nobody changed it.
use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::{ConfigFile, Failure, Format, Outcome, choose_enterprise, load, runtime};
use crate::{
    config,
    directory::{AuditEntry, AuditFilter, AuditQuery, audit_entries},
    domain::{EnterpriseId, Timestamp, hex, parse_hex},
    store::{self, Key, Store, StoreError, verify_stream},
};

/// Between two looks of `tail -f`.
const FOLLOW_MILLIS: u64 = 500;
const PAGE_ENTRIES: usize = 500;
const TAIL_ENTRIES: usize = 20;

/// Read what happened: every sign-in and every change, as the store keeps it
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The latest events, oldest first
    Tail {
        #[command(flatten)]
        from: From,
        #[command(flatten)]
        filter: Filter,
        /// How many
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = TAIL_ENTRIES)]
        lines: usize,
        /// Go on with what happens from now on
        #[arg(short, long)]
        follow: bool,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// All events as JSON lines, with their place in the chain
    Export {
        #[command(flatten)]
        from: From,
        #[command(flatten)]
        filter: Filter,
    },
    /// Follow the chain and recompute every link; exit code 1 names the first entry that was changed
    Verify {
        #[command(flatten)]
        from: From,
        /// What an earlier run printed: it must still be so
        #[arg(long, value_name = "SEQUENCE:LINK")]
        noted: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Whose stream.
#[derive(Debug, Args)]
struct From {
    #[command(flatten)]
    config: ConfigFile,
    /// The enterprise; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    enterprise: Option<String>,
}

/// Which events.
#[derive(Debug, Args)]
struct Filter {
    /// The event's name; "org.*" for all that begin so
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Whom it is about, by user or id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Who did it, by user or id
    #[arg(long, value_name = "USER")]
    actor: Option<String>,
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// saml, scim, owner, person
    #[arg(long, value_name = "NAME")]
    trigger: Option<String>,
    /// From this time on, such as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl std::convert::From<Filter> for AuditFilter {
    fn from(filter: Filter) -> Self {
        let Filter { action, user, actor, org, trigger, since, until } = filter;
        Self { action, user, actor, organization: org, trigger, since, until }
    }
}

/// Reads the stream.
pub fn audit(arguments: Audit) -> Result<Outcome, Failure> {
    match arguments.what {
        What::Tail { from, filter, lines, follow, format } => {
            let query = AuditQuery { filter: filter.into(), after: None, newest_first: true, limit: lines };
            from.run(async |store, enterprise| tail(store, enterprise, query, follow, format).await)
        }
        What::Export { from, filter } => {
            let query =
                AuditQuery { filter: filter.into(), after: None, newest_first: false, limit: PAGE_ENTRIES };
            from.run(async |store, enterprise| export(store, enterprise, query).await)
        }
        What::Verify { from, noted, format } => {
            let noted = noted.map(|text| parse_noted(&text)).transpose()?;
            from.run(async |store, enterprise| verify(store, enterprise, noted, format).await)
        }
    }
}

impl From {
    fn run(
        &self,
        work: impl AsyncFnOnce(&dyn Store, EnterpriseId) -> Result<Outcome, StoreError>,
    ) -> Result<Outcome, Failure> {
        let settings = load(&self.config.path())?.settings;
        let enterprise = choose_enterprise(&settings, self.enterprise.as_deref()).map_err(Failure::Usage)?;
        let id = EnterpriseId::of(&enterprise.slug);
        runtime()?.block_on(async {
            let store = open(&settings).await?;
            work(&*store, id).await.map_err(|error| store_failure(&error, &settings))
        })
    }
}

async fn open(settings: &config::Settings) -> Result<std::sync::Arc<dyn Store>, Failure> {
    store::open(&settings.store).await.map_err(|error| store_failure(&error, settings))
}

/// Why a command could not use the store.
pub(super) fn store_failure(error: &StoreError, settings: &config::Settings) -> Failure {
    let hint = match settings.store {
        store::Settings::Embedded(_) => {
            "the embedded store belongs to one process: stop the gateway first, or use Redis"
        }
        store::Settings::Redis(_) => "start Redis, or mend [store] in the configuration",
    };
    Failure::Failed(format!("store: {error}: {hint}"))
}

async fn tail(
    store: &dyn Store,
    enterprise: EnterpriseId,
    mut query: AuditQuery,
    follow: bool,
    format: Format,
) -> Result<Outcome, StoreError> {
    let mut reached = store.stream_head(Key::Audit(enterprise)).await?.last;
    let mut latest = vec![];
    loop {
        let wanted = query.limit.saturating_sub(latest.len());
        if wanted == 0 {
            break;
        }
        let page = audit_entries(store, enterprise, &AuditQuery { limit: wanted, ..query.clone() }).await?;
        latest.extend(page.entries);
        query.after = Some(page.reached);
        if page.is_end {
            break;
        }
    }
    // What came between the two looks is shown below.
    latest.retain(|entry| entry.sequence <= reached);
    if !latest.into_iter().rev().all(|entry| say(entry, format)) {
        return Ok(Outcome::Fine);
    }
    query.newest_first = false;
    if !follow {
        return Ok(Outcome::Fine);
    }
    loop {
        query.after = Some(reached);
        query.limit = PAGE_ENTRIES;
        let page = audit_entries(store, enterprise, &query).await?;
        reached = page.reached.max(reached);
        if !page.entries.into_iter().all(|entry| say(entry, format)) {
            return Ok(Outcome::Fine);
        }
        if page.is_end {
            tokio::time::sleep(Duration::from_millis(FOLLOW_MILLIS)).await;
        }
    }
}

async fn export(
    store: &dyn Store,
    enterprise: EnterpriseId,
    mut query: AuditQuery,
) -> Result<Outcome, StoreError> {
    loop {
        let page = audit_entries(store, enterprise, &query).await?;
        if !page.entries.into_iter().all(|entry| say(entry, Format::Json)) || page.is_end {
            return Ok(Outcome::Fine);
        }
        query.after = Some(page.reached);
    }
}

async fn verify(
    store: &dyn Store,
    enterprise: EnterpriseId,
    noted: Option<(u64, [u8; 32])>,
    format: Format,
) -> Result<Outcome, StoreError> {
    let found = verify_stream(store, Key::Audit(enterprise), noted).await?;
    let report = match (&found, format) {
        (Ok(chain), Format::Text) => format!(
            "entries {} to {}: nothing was changed, left out or put in\n{}:{}\n",
            chain.first,
            chain.last,
            chain.last,
            hex(&chain.link)
        ),
        (Err(broken), Format::Text) => {
            format!("{broken}: the stream was changed behind the gateway: compare with an earlier export\n")
        }
        (Ok(chain), Format::Json) => {
            let link = hex(&chain.link);
            let report =
                serde_json::json!({ "intact": true, "first": chain.first, "last": chain.last, "link": link });
            format!("{report}\n")
        }
        (Err(broken), Format::Json) => {
            format!("{}\n", serde_json::json!({ "intact": false, "fault": broken.to_string() }))
        }
    };
    let _ = io::stdout().lock().write_all(report.as_bytes());
    Ok(if found.is_ok() { Outcome::Fine } else { Outcome::Failed })
}

/// Whether somebody still reads.
fn say(entry: AuditEntry, format: Format) -> bool {
    let line = match format {
        Format::Json => format!("{}\n", entry.into_json()),
        Format::Text => text(&entry),
    };
    io::stdout().lock().write_all(line.as_bytes()).is_ok()
}

/// One line; what an IdP sends ends no line and moves no cursor (S-97).
fn text(entry: &AuditEntry) -> String {
    let field = |name: &str| entry.event.get(name).and_then(serde_json::Value::as_str);
    let mut line = format!("{:>6}", entry.sequence);
    for (label, name) in [
        ("", "@timestamp"),
        ("", "action"),
        ("user=", "user"),
        ("org=", "org"),
        ("as=", "permission"),
        ("by=", "actor"),
        ("trigger=", "trigger"),
        ("reason=", "reason"),
    ] {
        if let Some(value) = field(name) {
            line = format!("{line}  {label}{value}");
        }
    }
    // Of several people only how many there are: `--format json` names them.
    if let Some(people) = entry.event.get("people").and_then(serde_json::Value::as_array) {
        line = format!("{line}  people={}", people.len());
    }
    let tame = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    format!("{}\n", line.chars().map(tame).collect::<String>())
}

fn parse_noted(text: &str) -> Result<(u64, [u8; 32]), Failure> {
    let parts = text.split_once(':');
    let noted = parts.and_then(|(sequence, link)| Some((sequence.parse().ok()?, parse_hex(link)?)));
    noted.ok_or_else(|| {
        Failure::Usage(format!("--noted: {text:?} is no SEQUENCE:LINK: copy the last line of an earlier run"))
    })
}

/// The same settings for whoever needs the whole store.
pub(super) async fn open_whole(
    config: &Path,
) -> Result<(config::Settings, std::sync::Arc<dyn store::Whole>), Failure> {
    let settings = load(config)?.settings;
    let store = store::open_whole(&settings.store).await.map_err(|error| store_failure(&error, &settings))?;
    Ok((settings, store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_97_a_line_is_one_line_whoever_it_is_about() {
        let shown = |event: serde_json::Value| {
            let event = event.as_object().unwrap().clone();
            text(&AuditEntry { sequence: 7, link: [0; 32], event })
        };
        let one = shown(
            serde_json::json!({"action": "org.remove_member", "user": "mallory\n\u{1b}[1m", "org": "octo-org"}),
        );
        assert_eq!(one, "     7  org.remove_member  user=mallory\u{fffd}\u{fffd}[1m  org=octo-org\n");
        let several =
            shown(serde_json::json!({"action": "org.remove_member", "org": "octo-org", "people": [{}, {}]}));
        assert_eq!(several, "     7  org.remove_member  org=octo-org  people=2\n");
    }
}
