//! The store: which backend, with exactly its own settings.
use std::path::Path;

use crate::store;

use super::{reader::Reader, server::Ground, url::Authority, value::Placed};

/// Beside the configuration, for a first look; production names a folder of its own.
const EMBEDDED_PATH: &str = "portcullis.redb";
/// A healthy Redis answers in one; a sign-in should not hang on a sick one.
const REDIS_TIMEOUT_MS: u64 = 2000;
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
const URL_HINT: &str =
    "write rediss://USER:PASSWORD@HOST:6379/0, with special characters in the password percent-encoded";

/// Reads `[store]`.
pub fn store(reader: &mut Reader, ground: &Ground, folder: &Path) -> store::Settings {
    let is_redis = reader.text_or("store.kind", "embedded").value == "redis";
    let foreign: &[&str] =
        if is_redis { &["store.path"] } else { &["store.url", "store.url_file", "store.timeout_ms"] };
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
    if let Some(url) = &url {
        check_redis(reader, ground, url);
    }
    store::Settings::Redis(store::redis::Settings {
        url: url.map(|url| url.value).unwrap_or_default(),
        timeout_millis_max: reader.integer("store.timeout_ms", REDIS_TIMEOUT_MS),
    })
}

/// The URL itself or the content of its file; never both, so that nobody wonders which one counts.
fn redis_url(reader: &mut Reader, folder: &Path) -> Option<Placed<String>> {
    let Some(file) = reader.text("store.url_file") else {
        return reader.required("store.url", URL_HINT);
    };
    if reader.has("store.url") {
        reader.fault(&file.place, "store.url_file", "stands beside store.url", "keep one of the two");
        return None;
    }
    match reader.file("store.url_file", &folder.join(&file.value), SECRET_FILE_BYTES_MAX) {
        Ok(text) => Some(Placed { value: text.trim().to_owned(), place: file.place }),
        Err(error) => {
            let why = format!("{:?} cannot be read ({error})", file.value);
            reader.fault(&file.place, "store.url_file", why, "name a readable file that holds the URL");
            None
        }
    }
}

/// in production no Redis across a network without TLS and an ACL user. No message shows any part of the URL.
fn check_redis(reader: &mut Reader, ground: &Ground, url: &Placed<String>) {
    let what = "store.url";
    let Some(parts) = RedisUrl::parse(&url.value) else {
        return reader.fault(&url.place, what, "is no redis:// or rediss:// URL", URL_HINT);
    };
    if !ground.in_production() || parts.authority.is_loopback() {
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

struct RedisUrl {
    tls: bool,
    /// With a password.
    has_user: bool,
    authority: Authority,
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
        let (authority, _) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let has_user =
            user.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty());
        Some(Self { tls, has_user, authority: Authority::parse(host).ok()? })
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
