//! The gateway's own side: mode, public URL, listeners, limits, sessions, proxy, log.
use std::{net::SocketAddr, path::Path};

use crate::{admin, api, directory, edge, proxy, telemetry};

use super::{
    Mode,
    fault::Place,
    own_host, pages,
    reader::Reader,
    url::{Authority, WebUrl},
};

/// Behind something that terminates TLS on the same machine; a container sets its own.
const PUBLIC_LISTEN: &str = "127.0.0.1:8080";
/// Metrics and probes are nobody's business on the internet.
const PRIVATE_LISTEN: &str = "127.0.0.1:9090";
/// One thread for each core.
const WORKERS: u64 = 0;
/// Room for browsers' cookies and long URLs; what common servers allow in all.
const HEADER_BYTES_MAX: u64 = 32 * 1024;
/// A slow phone needs a second or two; a slow attacker wants minutes.
const HEADER_READ_MS_MAX: u64 = 10_000;
/// A response with 2000 groups in base64 stays below.
const ACS_BODY_BYTES_MAX: u64 = 256 * 1024;
const ACS_BODY_READ_MS_MAX: u64 = 10_000;
/// Time to find a phone and answer a second factor.
const SIGN_IN_SECONDS_MAX: u64 = 600;
/// Tabs that a restored browser window opens at once.
const PENDING_SIGN_INS_MAX: u64 = 8;
/// Ten a second: more than scripts need that read page by page, less than a gateway feels.
const API_CALLS: u64 = 600;
/// More than somebody who mistypes a token needs.
const API_STRANGERS: u64 = 120;
/// A working day.
const SESSION_IDLE_SECONDS: u64 = 8 * 3600;
/// What the reference system does.
const SESSION_LIFETIME_SECONDS: u64 = 24 * 3600;
/// Origin servers are near; one that takes longer to connect is down.
const CONNECT_MS_MAX: u64 = 2000;
/// A slow report is served, a hanging origin server is not waited for.
const RESPONSE_HEAD_MS_MAX: u64 = 60_000;
const IDLE_CONNECTIONS_MAX: u64 = 64;
/// What origin servers commonly keep a connection open for.
const IDLE_CONNECTION_SECONDS_MAX: u64 = 60;
/// Common origin servers refuse a field beyond 8 KiB.
const IDENTITY_BYTES_MAX: u64 = 8192;
const LOG_LEVEL: &str = "info";

/// What every other part stands on.
pub struct Ground {
    pub mode: Mode,
    /// `None` after a fault.
    pub public: Option<WebUrl>,
}

impl Ground {
    pub fn in_production(&self) -> bool {
        self.mode == Mode::Production
    }

    /// `https` in doubt.
    pub fn https(&self) -> bool {
        self.public.as_ref().is_none_or(|url| url.https)
    }

    /// The authority that browsers know us by; empty after a fault.
    pub fn authority(&self) -> String {
        self.public.as_ref().map(|url| url.authority.shown(url.https)).unwrap_or_default()
    }

    pub fn scheme(&self) -> &'static str {
        if self.https() { "https" } else { "http" }
    }
}

/// Reads the mode and the public URL. Without a word about it the mode is the strict one.
pub fn ground(reader: &mut Reader) -> Ground {
    let mode = match reader.text_or("mode", "production").value.as_str() {
        "development" => Mode::Development,
        _ => Mode::Production,
    };
    let path = "public_url";
    let hint = "write the URL that browsers use, such as \"https://app.example.com\"";
    let Some(text) = reader.required(path, hint) else { return Ground { mode, public: None } };
    let Some(url) = reader.url(path, &text, hint) else { return Ground { mode, public: None } };
    let shown = &text.value;
    if url.path != "/" || url.has_query {
        reader.fault(
            &text.place,
            path,
            format!("{shown:?} has a path or a query"),
            "leave only the scheme and the host",
        );
    }
    match mode {
        Mode::Production if !url.https => {
            let hint = "use https, with TLS ending in front of the gateway";
            reader.fault(&text.place, path, format!("{shown:?} is not https in production mode"), hint);
        }
        Mode::Development if !url.authority.is_loopback() => {
            let hint = "use localhost, or mode = \"production\"";
            reader.fault(
                &text.place,
                path,
                format!("{shown:?} is not on loopback in development mode"),
                hint,
            );
        }
        _ => {}
    }
    Ground { mode, public: Some(url) }
}

/// Reads `[listen]` and `[limits]`.
pub fn edge(reader: &mut Reader, ground: &Ground, folder: &Path) -> edge::Settings {
    let listen = address(reader, ground, "listen.public", PUBLIC_LISTEN);
    let workers = match reader.integer("listen.workers", WORKERS) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => size(workers),
    };
    edge::Settings {
        listen,
        workers,
        public_url: edge::PublicUrl { scheme: ground.scheme().to_owned(), authority: ground.authority() },
        header_bytes_max: size(reader.integer("limits.header_bytes_max", HEADER_BYTES_MAX)),
        header_read_millis_max: reader.integer("limits.header_read_ms_max", HEADER_READ_MS_MAX),
        acs_body_bytes_max: size(reader.integer("limits.acs_body_bytes_max", ACS_BODY_BYTES_MAX)),
        acs_body_read_millis_max: reader.integer("limits.acs_body_read_ms_max", ACS_BODY_READ_MS_MAX),
        sign_in_seconds_max: seconds(reader.integer("limits.sign_in_seconds_max", SIGN_IN_SECONDS_MAX)),
        pending_sign_ins_max: size(reader.integer("limits.pending_sign_ins_max", PENDING_SIGN_INS_MAX)),
        api_limits: api::Limits {
            calls_per_minute: seconds(reader.integer("limits.api_calls_per_minute", API_CALLS)),
            strangers_per_minute: seconds(reader.integer("limits.api_strangers_per_minute", API_STRANGERS)),
        },
        pages: pages::read(reader, folder),
        own_host: own_host::read(reader, ground),
    }
}

/// Reads the private listener's address. Two listeners on one port 0 are two ports.
pub fn admin(reader: &mut Reader, ground: &Ground, edge: &edge::Settings) -> admin::Settings {
    let path = "listen.private";
    let listen = address(reader, ground, path, PRIVATE_LISTEN);
    if listen == edge.listen && listen.port() != 0 {
        let place = reader.place(path);
        reader.fault(
            &place,
            path,
            format!("{listen} is the public listener's too"),
            "give it a port of its own",
        );
    }
    admin::Settings { listen }
}

/// Reads `[session]`.
pub fn session(reader: &mut Reader) -> directory::SessionSettings {
    let lifetime = reader.integer("session.lifetime", SESSION_LIFETIME_SECONDS);
    // Whoever only shortens the lifetime means to shorten both.
    let idle = reader.integer("session.idle", SESSION_IDLE_SECONDS.min(lifetime));
    if idle > lifetime {
        let place = reader.place("session.idle");
        let why = format!("{idle} s is longer than the lifetime of {lifetime} s");
        reader.fault(&place, "session.idle", why, "shorten it, or lengthen session.lifetime");
    }
    directory::SessionSettings { idle_seconds_max: seconds(idle), lifetime_seconds_max: seconds(lifetime) }
}

/// Reads `[tokens]`.
pub fn tokens(reader: &mut Reader) -> directory::TokenSettings {
    let default = directory::TokenSettings::default();
    let age = reader.integer("tokens.session_age_max", default.session_age_seconds_max.into());
    let lifetime = reader.integer("tokens.lifetime_max", default.lifetime_seconds_max.into());
    directory::TokenSettings {
        session_age_seconds_max: seconds(age),
        lifetime_seconds_max: seconds(lifetime),
    }
}

/// Reads `[log]`.
pub fn telemetry(reader: &mut Reader) -> telemetry::Settings {
    let format = match reader.text_or("log.format", "text").value.as_str() {
        "json" => telemetry::LogFormat::Json,
        _ => telemetry::LogFormat::Text,
    };
    let level = reader.text_or("log.level", LOG_LEVEL);
    if let Err(why) = telemetry::check_level(&level.value) {
        let hint =
            "use error, warn, info, debug or trace, or directives such as \"info,portcullis::saml=debug\"";
        reader.fault(&level.place, "log.level", format!("{:?} is no log level ({why})", level.value), hint);
    }
    telemetry::Settings { format, level: level.value, audit: telemetry::AuditSink::Log }
}

/// Reads `[proxy]` and `[proxy.identity]`.
pub fn proxy(reader: &mut Reader) -> proxy::Settings {
    let mut taken: Vec<(String, Place)> = vec![];
    let mut field = |key: &str, default: &str| identity_field(reader, key, default, &mut taken);
    let identity = proxy::IdentityFields {
        user: field("user", "X-Forwarded-User"),
        email: field("email", "X-Forwarded-Email"),
        groups: field("groups", "X-Forwarded-Groups"),
        organizations: field("organizations", "X-Forwarded-Organizations"),
        preferred_username: field("preferred_username", "X-Forwarded-Preferred-Username"),
        bytes_max: size(reader.integer("proxy.identity.bytes_max", IDENTITY_BYTES_MAX)),
    };
    proxy::Settings {
        connect_millis_max: reader.integer("proxy.connect_ms_max", CONNECT_MS_MAX),
        response_head_millis_max: reader.integer("proxy.response_head_ms_max", RESPONSE_HEAD_MS_MAX),
        idle_connections_max: size(reader.integer("proxy.idle_connections_max", IDLE_CONNECTIONS_MAX)),
        idle_connection_seconds_max: reader
            .integer("proxy.idle_connection_seconds_max", IDLE_CONNECTION_SECONDS_MAX),
        identity,
    }
}

/// Fields that mean something else to an HTTP server, or that the gateway sets itself.
const MEANT_OTHERWISE: &[&str] = &[
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

fn identity_field(reader: &mut Reader, key: &str, default: &str, taken: &mut Vec<(String, Place)>) -> String {
    let path = format!("proxy.identity.{key}");
    let name = reader.text_or(&path, default);
    let folded = name.value.to_ascii_lowercase();
    // RFC 9110 5.6.2, without the characters that CGI and WSGI fold into one another (P-01).
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if name.value.is_empty() || !name.value.bytes().all(plain) {
        let why = format!("{:?} is no field name of letters, digits and hyphens", name.value);
        reader.fault(&name.place, &path, why, format!("write a name such as {default:?}"));
    } else if MEANT_OTHERWISE.contains(&folded.as_str()) {
        let why = format!("{:?} means something else to HTTP servers or to the gateway", name.value);
        reader.fault(&name.place, &path, why, format!("write a name such as {default:?}"));
    } else if taken.iter().any(|(earlier, _)| *earlier == folded) {
        let why = format!("{:?} is the name of another identity field", name.value);
        reader.fault(&name.place, &path, why, "give every identity field a name of its own");
    }
    taken.push((folded, name.place));
    name.value
}

fn address(reader: &mut Reader, ground: &Ground, path: &str, default: &str) -> SocketAddr {
    let text = reader.text_or(path, default);
    let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
    let Ok(address) = text.value.parse::<SocketAddr>() else {
        let hint = format!("write an IP address and a port, such as {default:?}");
        reader.fault(&text.place, path, format!("{:?} is no address to listen on", text.value), hint);
        return fallback;
    };
    if !ground.in_production() && !address.ip().is_loopback() {
        let hint = "listen on 127.0.0.1 or [::1], or use mode = \"production\"";
        reader.fault(&text.place, path, format!("{address} is not on loopback in development mode"), hint);
    }
    address
}

/// Whether an origin server's address is one that we listen on ourselves.
pub fn is_own(authority: &Authority, listen: SocketAddr) -> bool {
    let port = authority.port.unwrap_or(80);
    let same_ip =
        authority.host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip == listen.ip());
    port == listen.port() && (same_ip || (authority.is_loopback() && listen.ip().is_loopback()))
}

/// The schema's ranges keep every number far below these bounds.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn seconds(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
