//! Audit events and access lines: one JSON object each, on a line of its own, with stable fields.
//!
//! Values come from people, IdPs and clients, so nothing is ever formatted by hand: JSON escapes every control character
//! (S-97). What must never stand in a log (assertions, cookies, tokens, query strings) has no field here.
use std::{cell::RefCell, fmt::Display, net::IpAddr, time::Duration};

use serde::{Serialize, Serializer};

use super::{
    audit_action::AuditAction,
    audit_line::{MembershipState, Told},
    audit_people::AuditPerson,
    log::{ACCESS, AUDIT},
    scim_line::ScimRequest,
    trigger::Trigger,
};
use crate::domain::{ScimTokenId, SessionId, Timestamp, TokenId};

/// One automatic or manual change, or a refusal, with everything that explains it. Fields that are `None` or empty are
/// left out.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEvent<'a> {
    #[serde(rename = "@timestamp", serialize_with = "shown")]
    pub at: Timestamp,
    pub action: AuditAction,
    pub trigger: Trigger,
    #[serde(rename = "business")]
    pub enterprise: &'a str,
    /// The person's id, as hexadecimal digits.
    #[serde(rename = "user_id", skip_serializing_if = "Option::is_none")]
    pub person: Option<&'a str>,
    /// The stable id's value: the NameID's, or that of the attribute that identifies people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    #[serde(rename = "org", skip_serializing_if = "Option::is_none")]
    pub organization: Option<&'a str>,
    /// `member` or `owner`.
    #[serde(rename = "permission", skip_serializing_if = "Option::is_none")]
    pub role: Option<&'a str>,
    /// The membership that changed, as it was and as it is; `None` where there was or is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<MembershipState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<MembershipState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitee_email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<&'a str>,
    /// The HTTP request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// The assertion's ID, never the assertion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion_id: Option<&'a str>,
    /// When the person signed in at the IdP, and its session there.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shown")]
    pub authn_instant: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_index: Option<&'a str>,
    /// The personal access token's id, never the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<&'a str>,
    /// The id of one of our sessions: a hash already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<&'a str>,
    /// Who did it, where it was not the person that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<&'a str>,
    /// What a removal can be restored by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<&'a str>,
    /// The stable code of a refusal, or the rule that fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The SCIM user, or the SCIM group and its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scim_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scim_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_group: Option<&'a str>,
    /// `absent`, `overage`, `object_ids`, `empty` or `present`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_state: Option<&'a str>,
    #[serde(flatten)]
    pub scim: Option<ScimRequest<'a>>,
    /// Of an event about several people: each of them, with what is theirs alone.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub people: &'a [AuditPerson],
    /// What does not fit is counted instead.
    #[serde(skip)]
    pub groups: &'a [String],
}

impl<'a> AuditEvent<'a> {
    /// An event without particulars, to be filled in with struct update syntax.
    pub fn new(at: Timestamp, action: AuditAction, trigger: Trigger, enterprise: &'a str) -> Self {
        Self {
            at,
            action,
            trigger,
            enterprise,
            person: None,
            user: None,
            organization: None,
            role: None,
            before: None,
            after: None,
            invitation_id: None,
            invitee_email: None,
            issuer: None,
            request_id: None,
            assertion_id: None,
            authn_instant: None,
            session_index: None,
            credential_id: None,
            session: None,
            actor: None,
            actor_id: None,
            batch: None,
            reason: None,
            scim_user_id: None,
            scim_group_id: None,
            external_group: None,
            groups_state: None,
            scim: None,
            people: &[],
            groups: &[],
        }
    }
}

/// One request, when its response has ended.
#[derive(Debug, Clone, Serialize)]
pub struct AccessLine<'a> {
    #[serde(rename = "@timestamp", serialize_with = "shown")]
    pub at: Timestamp,
    pub request_id: &'a str,
    pub client: IpAddr,
    pub method: &'a str,
    pub host: &'a str,
    /// The path alone: queries hold tokens.
    #[serde(serialize_with = "without_query")]
    pub path: &'a str,
    /// The route's name; `-` where there was none.
    pub route: &'a str,
    pub status: u16,
    pub response_bytes: u64,
    #[serde(rename = "duration_us", serialize_with = "micros")]
    pub duration: Duration,
    /// The origin server's share, until its response head.
    #[serde(rename = "origin_us", skip_serializing_if = "Option::is_none", serialize_with = "maybe_micros")]
    pub origin_duration: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// Hashed already: a session id is the SHA-256 of its token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shown")]
    pub session: Option<SessionId>,
    /// The personal access token's id, never the token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shown")]
    pub token: Option<TokenId>,
    /// The SCIM token's id, never the token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shown")]
    pub scim_token: Option<ScimTokenId>,
    /// `forward`, `sign_in`, `forbid`, `own`, or the stable code of a refusal.
    pub decision: &'a str,
    /// Why the request did not get what it wanted, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// An audit event as it stands in the log and in the store: one JSON object, without an end of line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine(String);

impl AuditLine {
    pub fn of(event: &AuditEvent<'_>) -> Self {
        // Texts, numbers and lists of texts: serde_json has nothing to refuse.
        Self(serde_json::to_string(&Told::of(event)).unwrap_or_default())
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Writes it to the log.
    pub fn log(&self) {
        let line = self.0.as_str();
        tracing::info!(target: AUDIT, line);
    }
}

/// Writes an audit event to the log.
pub fn audit(event: &AuditEvent<'_>) {
    if tracing::enabled!(target: AUDIT, tracing::Level::INFO) {
        write(&Told::of(event), |line| tracing::info!(target: AUDIT, line));
    }
}

/// Writes an access line to the log.
pub fn access_log(line: &AccessLine<'_>) {
    if tracing::enabled!(target: ACCESS, tracing::Level::INFO) {
        write(line, |line| tracing::info!(target: ACCESS, line));
    }
}

/// A buffer that grew beyond this is given back.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Serializes into a buffer that the thread keeps, so that a line on the hot path allocates nothing.
fn write(value: &impl Serialize, emit: impl FnOnce(&str)) {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out while in use: a subscriber that logs itself finds an empty buffer, not a borrowed one.
    let mut buffer = BUFFER.take();
    buffer.clear();
    if serde_json::to_writer(&mut buffer, value).is_ok()
        && let Ok(line) = std::str::from_utf8(&buffer)
    {
        emit(line);
    }
    if buffer.capacity() <= BUFFER_BYTES_MAX {
        BUFFER.set(buffer);
    }
}

fn shown<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn maybe_shown<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn without_query<S: Serializer>(path: &&str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(path.split(['?', '#']).next().unwrap_or(""))
}

fn micros<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn maybe_micros<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => micros(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::telemetry::{LogFormat, Settings, log::subscriber};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let audit = crate::telemetry::AuditSink::Log;
        let settings = Settings { format, level: level.into(), audit };
        let subscriber = subscriber(&settings, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn refusal() -> AuditEvent<'static> {
        AuditEvent {
            user: Some("mallory\r\n{\"action\":\"org.add_member\"}\u{1b}[31m"),
            reason: Some("audience_mismatch"),
            ..AuditEvent::new(Timestamp::UNIX_EPOCH, AuditAction::ResponseRefused, Trigger::Saml, "example")
        }
    }

    /// S-97: what an IdP sends cannot start a line of its own, in either format.
    #[test]
    fn audit_lines_are_one_json_object_each() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = logged(format, "info", || audit(&refusal()));
            let (line, rest) = text.split_once('\n').unwrap();
            assert_eq!(rest, "");
            assert!(!line.contains('\u{1b}') && !line.contains('\r'));
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(json["action"], "saml.response_refused");
            assert_eq!(json["@timestamp"], "1970-01-01T00:00:00Z");
            assert_eq!(json["business"], "example");
            assert!(json["user"].as_str().unwrap().starts_with("mallory\r\n"));
            assert!(json.get("org").is_none() && json.get("groups").is_none());
        }
    }

    #[test]
    fn only_naming_their_target_silences_audit_lines() {
        assert!(logged(LogFormat::Text, "error", || audit(&refusal())).contains("response_refused"));
        assert_eq!(logged(LogFormat::Text, "error,audit=off", || audit(&refusal())), "");
        assert_eq!(logged(LogFormat::Text, "error", || tracing::warn!("hello")), "");
    }

    #[test]
    fn access_lines_show_no_query_and_no_empty_field() {
        let line = AccessLine {
            at: Timestamp::UNIX_EPOCH,
            request_id: "r1",
            client: IpAddr::from([192, 0, 2, 1]),
            method: "GET",
            host: "app.example.com",
            path: "/reports?token=secret",
            route: "app",
            status: 200,
            response_bytes: 5,
            duration: Duration::from_millis(2),
            origin_duration: None,
            user: None,
            session: Some(SessionId::from_bytes([0xab; 32])),
            token: Some(TokenId::from_bytes([0xcd; 16])),
            scim_token: None,
            decision: "forward",
            reason: None,
        };
        let text = logged(LogFormat::Text, "info", || access_log(&line));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["path"], "/reports");
        assert_eq!(json["duration_us"], 2000);
        assert_eq!(json["session"], "ab".repeat(32));
        assert_eq!(json["token"], "cd".repeat(16));
        assert!(json.get("user").is_none() && json.get("origin_us").is_none());
        assert!(json.get("reason").is_none());
    }

    #[test]
    fn ordinary_lines_keep_their_format() {
        let text = logged(LogFormat::Json, "info", || tracing::info!(route = "app", "started"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((json["message"].as_str(), json["route"].as_str()), (Some("started"), Some("app")));
    }
}
