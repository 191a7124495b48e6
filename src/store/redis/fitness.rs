//! Whether a server is fit to be our store: what it says of itself, and what it lets us do.
//!
//! What would lose or leak what we rely on is refused. What makes it likelier is warned of, once for each server. Nothing here
//! is tried on a server's data: the probes name a key that nobody has, or only what would be there anyway.
use ::redis::{Cmd, Pipeline, RedisError, Value, aio::MultiplexedConnection, cmd};

use super::{
    commands::{CHANNEL, probe_script},
    errors::{is_forbidden, lack, store_error},
};
use crate::store::StoreError;

/// `GETDEL` came with 6.2.
const VERSION_MIN: Version = (6, 2, 0);
/// A key that nobody has.
const PROBE_KEY: &str = "pc:{probe}";

type Version = (u32, u32, u32);

/// A flaw, and for each line of releases the first one without it; lines that are not listed have it, those above the last
/// have not.
struct Flaw {
    name: &'static str,
    since: Version,
    mended: &'static [Version],
}

const REDIS_FLAWS: &[Flaw] = &[
    Flaw {
        name: "CVE-2025-49844 (Lua, use after free)",
        since: (0, 0, 0),
        mended: &[(6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)],
    },
    Flaw {
        name: "CVE-2024-46981 (Lua, use after free)",
        since: (0, 0, 0),
        mended: &[(6, 2, 17), (7, 2, 7), (7, 4, 2)],
    },
    Flaw { name: "CVE-2026-23479 (blocked clients, use after free)", since: (7, 2, 0), mended: &[(8, 6, 3)] },
];
const VALKEY_FLAWS: &[Flaw] = &[Flaw {
    name: "CVE-2025-49844 (Lua, use after free)",
    since: (0, 0, 0),
    mended: &[(7, 2, 11), (8, 0, 6), (8, 1, 4)],
}];

/// What tells one life of a server's data from another: after a failover or a restart it is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    run_id: String,
    replication_id: String,
}

/// What a fit server is.
#[derive(Debug)]
pub(super) struct Report {
    /// `None` where the server does not tell.
    pub identity: Option<Identity>,
    /// What should be mended, for the log.
    pub warnings: Vec<String>,
}

/// Asks the server. `replicas_min` is how many must acknowledge what we wait for.
pub(super) async fn examine(
    connection: &mut MultiplexedConnection,
    replicas_min: u32,
) -> Result<Report, StoreError> {
    probe(connection, replicas_min).await?;
    match cmd("INFO").query_async::<String>(connection).await {
        Ok(info) => judge(&info, replicas_min),
        Err(error) if is_forbidden(&error) => {
            let warning = "it does not tell its version and settings: give the user +info".into();
            Ok(Report { identity: None, warnings: vec![warning] })
        }
        Err(error) => Err(store_error(&error)),
    }
}

/// Refuses a user who lacks a right: better now than at the first removal.
async fn probe(connection: &mut MultiplexedConnection, replicas_min: u32) -> Result<(), StoreError> {
    let probes = probes(replicas_min);
    let mut pipeline = Pipeline::with_capacity(probes.len());
    for (_, command) in &probes {
        pipeline.add_command(command.clone());
    }
    pipeline.ignore_errors();
    let answers: Vec<Result<Value, RedisError>> =
        pipeline.query_async(connection).await.map_err(|error| store_error(&error))?;
    let missing: Vec<&str> = probes
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.as_ref().is_err_and(is_forbidden))
        .map(|((right, _), _)| *right)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(lack(&format!("{} on ~pc:* &{CHANNEL}", missing.join(" "))))
}

/// The right, and a command that shows whether it is there and changes nothing. On a cluster another node may have the key;
/// that is said only to who has the right.
fn probes(replicas_min: u32) -> Vec<(&'static str, Cmd)> {
    let with = |name: &'static str, arguments: &[&str]| {
        let mut command = cmd(name);
        command.arg(PROBE_KEY);
        for argument in arguments {
            command.arg(*argument);
        }
        command
    };
    let mut publish = cmd("PUBLISH");
    publish.arg(CHANNEL).arg("");
    let mut probes = vec![
        ("+get", with("GET", &[])),
        ("+getdel", with("GETDEL", &[])),
        ("+getrange", with("GETRANGE", &["0", "0"])),
        ("+mget", with("MGET", &[])),
        ("+exists", with("EXISTS", &[])),
        ("+set", with("SET", &["", "PX", "1"])),
        // One value short: refused after the right was looked at.
        ("+mset", with("MSET", &["", PROBE_KEY])),
        ("+unlink", with("UNLINK", &[])),
        ("+pexpire", with("PEXPIRE", &["1"])),
        ("+zadd", with("ZADD", &["XX", "0", ""])),
        ("+zrem", with("ZREM", &[""])),
        ("+zcard", with("ZCARD", &[])),
        ("+zrange", with("ZRANGE", &["0", "0"])),
        ("+zrangebylex", with("ZRANGEBYLEX", &["-", "+"])),
        ("+zremrangebylex", with("ZREMRANGEBYLEX", &["-", "+"])),
        ("+xadd", with("XADD", &["NOMKSTREAM", "*", "f", ""])),
        ("+xrange", with("XRANGE", &["-", "+", "COUNT", "1"])),
        ("+xtrim", with("XTRIM", &["MINID", "0"])),
        ("+evalsha", probe_script(PROBE_KEY)),
        ("+publish", publish),
        ("+ping", cmd("PING")),
    ];
    if replicas_min > 0 {
        let mut wait = cmd("WAIT");
        wait.arg(0).arg(1);
        probes.push(("+wait", wait));
    }
    probes
}

/// What `INFO` says: refuses what we cannot rely on, and collects what should be mended.
fn judge(info: &str, replicas_min: u32) -> Result<Report, StoreError> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
    };
    let refuse = |why: String| Err(StoreError::Unavailable(why));
    let version = field("redis_version");
    if version_of(version).is_some_and(|version| version < VERSION_MIN) {
        return refuse(format!("it is Redis {version}; 6.2 or later is needed"));
    }
    if !matches!(field("role"), "" | "master") {
        return refuse("it is a replica, which takes no writes and may lag behind: name the primary".into());
    }
    // Whatever the limit is today: CONFIG SET changes it without a restart.
    let policy = field("maxmemory_policy");
    if !matches!(policy, "" | "noeviction") {
        return refuse(format!(
            "its maxmemory-policy is {policy} and would drop marks and memberships; set noeviction"
        ));
    }
    let identity = Identity { run_id: field("run_id").into(), replication_id: field("master_replid").into() };
    let is_known = !identity.run_id.is_empty() && !identity.replication_id.is_empty();
    Ok(Report { identity: is_known.then_some(identity), warnings: warnings(field, replicas_min) })
}

fn warnings<'i>(field: impl Fn(&str) -> &'i str, replicas_min: u32) -> Vec<String> {
    let mut warnings = vec![];
    let (valkey, redis) = (version_of(field("valkey_version")), version_of(field("redis_version")));
    let (name, version, flaws) = match (valkey, redis) {
        (Some(version), _) => ("Valkey", Some(version), VALKEY_FLAWS),
        (None, version) => ("Redis", version, REDIS_FLAWS),
    };
    if let Some(version @ (major, minor, patch)) = version {
        let open: Vec<&str> = flaws.iter().filter(|flaw| flaw.is_in(version)).map(|flaw| flaw.name).collect();
        if !open.is_empty() {
            let open = open.join(", ");
            warnings.push(format!(
                "{name} {major}.{minor}.{patch} has {open}, unless your distribution mended it: update it"
            ));
        }
    }
    if field("aof_enabled") == "0" {
        let why = "it does not persist what it acknowledges: set appendonly yes, or a restart brings back ended \
                   sessions and used assertions";
        warnings.push(why.into());
    }
    let replicas = field("connected_slaves").parse().unwrap_or(0_u32);
    if replicas < replicas_min {
        warnings
            .push(format!("it has {replicas} replicas, and we wait for {replicas_min}: nobody can sign in"));
    }
    // It tells how many replicas are good only if it demands some.
    if replicas > 0 && field("min_slaves_good_slaves").is_empty() {
        let why = "it takes writes even when all its replicas are cut off, and loses them in a failover: set \
                   min-replicas-to-write 1 and min-replicas-max-lag 10";
        warnings.push(why.into());
    }
    warnings
}

impl Flaw {
    fn is_in(&self, version: Version) -> bool {
        let line = |version: Version| (version.0, version.1);
        let of_line = self.mended.iter().find(|mended| line(**mended) == line(version));
        let is_mended = match of_line {
            Some(mended) => version >= *mended,
            None => self.mended.last().is_some_and(|last| version > *last),
        };
        version >= self.since && !is_mended
    }
}

fn version_of(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok);
    Some((next()?, next()?, next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: &str = "redis_version:9.0.0\r\nrole:master\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n\
                       run_id:a\r\nmaster_replid:b\r\nconnected_slaves:0\r\n";

    fn with(field: &str, value: &str) -> Result<Report, StoreError> {
        let old = FIT.lines().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
        judge(&FIT.replace(old, &format!("{field}:{value}")), 0)
    }

    fn refused(field: &str, value: &str) -> String {
        match with(field, value) {
            Err(StoreError::Unavailable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fit_server_needs_no_mending() {
        let report = judge(FIT, 0).unwrap();
        assert_eq!(report.warnings, Vec::<String>::new());
        assert!(report.identity.is_some());
        assert!(judge("", 0).unwrap().identity.is_none());
    }

    #[test]
    fn r_08_a_server_that_may_drop_keys_is_refused() {
        for policy in ["allkeys-lru", "volatile-lru", "volatile-ttl", "allkeys-random"] {
            assert!(refused("maxmemory_policy", policy).contains("set noeviction"), "{policy}");
        }
    }

    #[test]
    fn unfit_servers_are_refused() {
        for version in ["6.0.16", "5.9.1", "2.8.0"] {
            assert!(refused("redis_version", version).contains("6.2 or later"), "{version}");
        }
        for version in ["6.2.0", "7.0.15", "10.0.0", "unstable"] {
            assert!(with("redis_version", version).is_ok(), "{version}");
        }
        assert!(refused("role", "slave").contains("replica"));
    }

    #[test]
    fn r_04_servers_with_known_flaws_are_warned_of() {
        let warned = |version: &str| with("redis_version", version).unwrap().warnings.join("\n");
        for (version, flaws) in [
            ("6.2.16", &["49844", "46981"][..]),
            ("6.2.20", &[]),
            ("7.0.15", &["49844", "46981"]),
            ("7.2.6", &["49844", "46981", "23479"]),
            ("7.2.11", &["23479"]),
            ("7.4.5", &["49844", "23479"]),
            ("8.0.3", &["49844", "23479"]),
            ("8.2.2", &["23479"]),
            ("8.6.2", &["23479"]),
            ("8.6.3", &[]),
            ("9.1.0", &[]),
        ] {
            for flaw in ["49844", "46981", "23479"] {
                assert_eq!(warned(version).contains(flaw), flaws.contains(&flaw), "{version} {flaw}");
            }
        }
        let valkey = |version: &str| {
            judge(&format!("{FIT}valkey_version:{version}\r\n"), 0).unwrap().warnings.join("\n")
        };
        assert!(valkey("8.1.3").contains("Valkey 8.1.3 has CVE-2025-49844"));
        assert_eq!(valkey("8.1.4"), "");
    }

    #[test]
    fn r_10_and_r_11_what_loses_writes_is_warned_of() {
        assert!(with("aof_enabled", "0").unwrap().warnings.join("\n").contains("appendonly yes"));
        assert!(with("connected_slaves", "1").unwrap().warnings.join("\n").contains("min-replicas-to-write"));
        let demanding = format!("{FIT}min_slaves_good_slaves:1\r\n");
        let demanding = demanding.replace("connected_slaves:0", "connected_slaves:1");
        assert_eq!(judge(&demanding, 1).unwrap().warnings, Vec::<String>::new());
        assert!(judge(FIT, 1).unwrap().warnings.join("\n").contains("nobody can sign in"));
    }
}
