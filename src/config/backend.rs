//! The store: which backend, with exactly its own settings.
use std::path::Path;

use crate::store::{
    self, SEAL_KEYS_MAX, SEAL_SECRET_BYTES_MIN, SealKey,
    redis::{Replicas, Topology},
};

use super::{reader::Reader, server::Ground, url::Authority, value::Placed};

/// Beside the configuration, for a first look; production names a folder of its own.
const EMBEDDED_PATH: &str = "portcullis.redb";
/// A healthy Redis answers in one; a sign-in should not hang on a sick one.
const REDIS_TIMEOUT_MS: u64 = 2000;
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Replicas are near, or they are no use.
const WAIT_MS: u64 = 500;
const SENTINEL_PORT: u16 = 26_379;
const REDIS_PORT: u16 = 6_379;
/// What says nothing about the embedded store.
const REDIS_KEYS: &[&str] = &[
    "store.url",
    "store.url_file",
    "store.timeout_ms",
    "store.sentinels",
    "store.primary",
    "store.sentinel_user",
    "store.sentinel_password",
    "store.sentinel_password_file",
    "store.cluster",
    "store.wait_replicas",
    "store.wait_ms",
    "store.integrity_key_files",
];
const SENTINEL_HINT: &str = "write sentinels = [\"HOST:26379\", ...], all that there are, or remove it";
const URL_HINT: &str =
    "write rediss://USER:PASSWORD@HOST:6379/0, with special characters in the password percent-encoded";

/// Reads `[store]`.
pub fn store(reader: &mut Reader, ground: &Ground, folder: &Path) -> store::Settings {
    let is_redis = reader.text_or("store.kind", "embedded").value == "redis";
    let foreign: &[&str] = if is_redis { &["store.path"] } else { REDIS_KEYS };
    for path in foreign.iter().filter(|path| reader.has(path)).collect::<Vec<_>>() {
        let place = reader.place(path);
        let other = if is_redis { "embedded" } else { "redis" };
        let hint = format!("remove it, or set store.kind = {other:?}");
        reader.fault(&place, path, format!("belongs to the {other} store, which is not in use"), hint);
    }
    if is_redis { redis(reader, ground, folder) } else { embedded(reader, ground, folder) }
}

fn embedded(reader: &mut Reader, ground: &Ground, folder: &Path) -> store::Settings {
    let path = reader.text_or("store.path", EMBEDDED_PATH);
    if path.value.trim().is_empty() {
        reader.fault(&path.place, "store.path", "is blank", "name the database file");
    }
    if ground.in_production() {
        let place = reader.place("store.kind");
        let hint = "use store.kind = \"redis\" as soon as there is a second one";
        reader.warn(&place, "store.kind", "the embedded store serves one gateway process only", hint);
    }
    store::Settings::Embedded(store::embedded::Settings { path: folder.join(path.value) })
}

fn redis(reader: &mut Reader, ground: &Ground, folder: &Path) -> store::Settings {
    let url = redis_url(reader, folder);
    let topology = topology(reader, folder);
    if let Some(url) = &url {
        check_redis(reader, ground, url, &topology);
    }
    let timeout_millis_max = reader.integer("store.timeout_ms", REDIS_TIMEOUT_MS);
    store::Settings::Redis(store::redis::Settings {
        url: url.map(|url| url.value).unwrap_or_default(),
        topology,
        timeout_millis_max,
        replicas: replicas(reader, ground, timeout_millis_max),
        seal_keys: seal_keys(reader, folder),
    })
}

/// Sentinels or a cluster, never both; else the URL names the one server.
fn topology(reader: &mut Reader, folder: &Path) -> Topology {
    let sentinels = addresses(reader, "store.sentinels", SENTINEL_PORT);
    let nodes = addresses(reader, "store.cluster", REDIS_PORT);
    if sentinels.is_none() {
        for path in REDIS_KEYS.iter().filter(|path| is_of_sentinels(path)).collect::<Vec<_>>() {
            if reader.has(path) {
                let place = reader.place(path);
                reader.fault(
                    &place,
                    path,
                    "says something about sentinels, and there are none",
                    SENTINEL_HINT,
                );
            }
        }
    }
    match (sentinels, nodes) {
        (Some(_), Some(_)) => {
            let place = reader.place("store.cluster");
            let hint = "keep store.sentinels for a primary with replicas, store.cluster for Redis Cluster";
            reader.fault(&place, "store.cluster", "stands beside store.sentinels", hint);
            Topology::Single
        }
        (Some(sentinels), None) => {
            let primary = reader.required("store.primary", "write the name from `sentinel monitor NAME ...`");
            let password = secret(reader, "store.sentinel_password", "store.sentinel_password_file", folder);
            Topology::Sentinel(store::redis::Sentinel {
                sentinels,
                primary: primary.map(|primary| primary.value).unwrap_or_default(),
                user: reader.text("store.sentinel_user").map(|user| user.value),
                password: password.map(|password| password.value),
            })
        }
        (None, Some(nodes)) => Topology::Cluster { nodes },
        (None, None) => Topology::Single,
    }
}

fn is_of_sentinels(path: &str) -> bool {
    path.starts_with("store.sentinel_") || path == "store.primary"
}

/// Hosts with or without a port.
fn addresses(reader: &mut Reader, path: &str, port: u16) -> Option<Vec<(String, u16)>> {
    let texts = reader.texts(path)?;
    let mut addresses = vec![];
    for text in texts {
        match Authority::parse(&text.value) {
            Ok(authority) => {
                // The library wants an IPv6 address without its brackets.
                let host = authority.host.trim_start_matches('[').trim_end_matches(']').to_owned();
                addresses.push((host, authority.port.unwrap_or(port)));
            }
            Err(_) => {
                // Where there is a user there may be a password.
                let hint = format!("write HOST:{port}; users and passwords have keys of their own");
                reader.fault(&text.place, path, "has an entry that is no host with a port", hint);
            }
        }
    }
    if addresses.is_empty() && path == "store.sentinels" {
        let place = reader.place(path);
        reader.fault(&place, path, "names no sentinel", SENTINEL_HINT);
    }
    Some(addresses)
}

/// whether a write counts only once replicas have it.
fn replicas(reader: &mut Reader, ground: &Ground, timeout_ms: u64) -> Option<Replicas> {
    let acknowledged_min = u32::try_from(reader.integer("store.wait_replicas", 0)).unwrap_or(u32::MAX);
    let wait_millis_max = reader.integer("store.wait_ms", WAIT_MS.min(timeout_ms / 2));
    if acknowledged_min == 0 {
        if reader.has("store.wait_ms") {
            let place = reader.place("store.wait_ms");
            let hint = "set store.wait_replicas, or remove it";
            reader.fault(&place, "store.wait_ms", "waits for nothing without store.wait_replicas", hint);
        }
        let fails_over = reader.has("store.sentinels") || reader.has("store.cluster");
        if ground.in_production() && fails_over {
            let place = reader.place("store.wait_replicas");
            let why = "no write waits for a replica, so a failover may bring back ended sessions and used assertions";
            reader.warn(
                &place,
                "store.wait_replicas",
                why,
                "set it to 1; docs/REDIS.md says what that costs",
            );
        }
        return None;
    }
    if wait_millis_max >= timeout_ms {
        let place = reader.place("store.wait_ms");
        let hint = format!("write less than {timeout_ms}, or raise store.timeout_ms");
        reader.fault(&place, "store.wait_ms", "is not less than store.timeout_ms", hint);
    }
    Some(Replicas { acknowledged_min, wait_millis_max })
}

/// what seals records; the first in use, then the one before it.
fn seal_keys(reader: &mut Reader, folder: &Path) -> Vec<SealKey> {
    let path = "store.integrity_key_files";
    let files = reader.texts(path).unwrap_or_default();
    if reader.has(path) && !(1..=SEAL_KEYS_MAX).contains(&files.len()) {
        let place = reader.place(path);
        let hint = "name the file with the key, and behind it the one before it while keys change";
        reader.fault(&place, path, format!("names {} files, not one or two", files.len()), hint);
    }
    let mut keys = vec![];
    for file in files {
        let text = match reader.file(path, &folder.join(&file.value), SECRET_FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) => {
                let why = format!("{:?} cannot be read ({error})", file.value);
                reader.fault(&file.place, path, why, "name a readable file that holds the key");
                continue;
            }
        };
        let Some(key) = SealKey::new(text.trim().as_bytes()) else {
            let why = format!("{:?} holds less than {SEAL_SECRET_BYTES_MIN} bytes", file.value);
            reader.fault(&file.place, path, why, "make one with `openssl rand -base64 48`");
            continue;
        };
        if keys.contains(&key) {
            let why = format!("{:?} holds the same key as an earlier one", file.value);
            reader.fault(&file.place, path, why, "remove one of the two");
        }
        keys.push(key);
    }
    keys
}

fn redis_url(reader: &mut Reader, folder: &Path) -> Option<Placed<String>> {
    if !reader.has("store.url_file") {
        return reader.required("store.url", URL_HINT);
    }
    secret(reader, "store.url", "store.url_file", folder)
}

/// The secret itself or the content of its file; never both, so that nobody wonders which one counts.
fn secret(reader: &mut Reader, path: &str, file_path: &str, folder: &Path) -> Option<Placed<String>> {
    let Some(file) = reader.text(file_path) else { return reader.text(path) };
    if reader.has(path) {
        reader.fault(&file.place, file_path, format!("stands beside {path}"), "keep one of the two");
        return None;
    }
    match reader.file("store.url_file", &folder.join(&file.value), SECRET_FILE_BYTES_MAX) {
        Ok(text) => Some(Placed { value: text.trim().to_owned(), place: file.place }),
        Err(error) => {
            let what = if path == "store.url" { "URL" } else { "password" };
            let why = format!("{:?} cannot be read ({error})", file.value);
            reader.fault(&file.place, file_path, why, format!("name a readable file that holds the {what}"));
            None
        }
    }
}

/// in production no Redis across a network without TLS and an ACL user. No message shows any part of the URL.
fn check_redis(reader: &mut Reader, ground: &Ground, url: &Placed<String>, topology: &Topology) {
    let what = "store.url";
    let Some(parts) = RedisUrl::parse(&url.value) else {
        return reader.fault(&url.place, what, "is no redis:// or rediss:// URL", URL_HINT);
    };
    if matches!(topology, Topology::Cluster { .. }) && parts.database.is_some_and(|name| name != "0") {
        reader.fault(&url.place, what, "names a database, and a cluster has only one", "write /0 or nothing");
    }
    if !ground.in_production() || (parts.authority.is_loopback() && names_this_machine_only(topology)) {
        return;
    }
    if !parts.tls {
        let hint = "use rediss://; plain redis:// is for a Redis on this machine";
        reader.fault(&url.place, what, "has no TLS on the way to another machine in production mode", hint);
    }
    if !parts.has_user {
        let hint = "make a user with ACL SETUSER and write rediss://USER:PASSWORD@...";
        reader.fault(&url.place, what, "names no ACL user and password in production mode", hint);
    }
}

/// Whether every further address that the file names is on this machine.
fn names_this_machine_only(topology: &Topology) -> bool {
    let named = match topology {
        Topology::Single => return true,
        Topology::Sentinel(sentinel) => &sentinel.sentinels,
        Topology::Cluster { nodes } => nodes,
    };
    named.iter().all(|(host, _)| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        Authority::parse(&host).is_ok_and(|authority| authority.is_loopback())
    })
}

struct RedisUrl {
    tls: bool,
    /// With a password.
    has_user: bool,
    authority: Authority,
    database: Option<String>,
}

impl RedisUrl {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let has_user =
            user.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty());
        let database = (!path.is_empty()).then(|| path.to_owned());
        Some(Self { tls, has_user, authority: Authority::parse(host).ok()?, database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_urls() {
        let parts = |text| RedisUrl::parse(text).map(|url| (url.tls, url.has_user, url.authority.host));
        assert_eq!(
            parts("rediss://gate:s3@r.example.com:6380/0"),
            Some((true, true, "r.example.com".into()))
        );
        assert_eq!(parts("redis://:s3@127.0.0.1"), Some((false, false, "127.0.0.1".into())));
        assert_eq!(parts("redis://gate:@[::1]:1/"), Some((false, false, "[::1]".into())));
        for wrong in ["", "redis:", "http://h", "redis://", "redis://h:0", "redis://u:p@", "redis://a b"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
