//! The audit stream, read: in pages, in either direction, through a filter.
use serde_json::{Map, Value};

use crate::{
    domain::{EnterpriseId, Timestamp, hex},
    store::{ENTRIES_PER_PAGE_MAX, Entry, Key, Op, Store, StoreError},
};

use super::Directory;

/// Entries that one page may look at: a filter that nothing matches must not hold a request for ever.
const SCANNED_MAX: usize = 20_000;
/// How far the clocks of gateways may differ, in seconds, before a search by time passes something over.
const CLOCKS_DIFFER_SECONDS_MAX: i64 = 300;

/// Which events are wanted. What is `None` is not asked about; everything else must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// `org.add_member`; `org.*` for all that begin so.
    pub action: Option<String>,
    /// The person whom it is about, or one of several, by user or id.
    pub user: Option<String>,
    /// Who did it, by user or id.
    pub actor: Option<String>,
    pub organization: Option<String>,
    pub trigger: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    pub filter: AuditFilter,
    /// Goes on behind this sequence, in the direction of reading; `None` begins.
    pub after: Option<u64>,
    pub newest_first: bool,
    /// At least one is read.
    pub limit: usize,
}

/// An event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub sequence: u64,
    /// Chains it to all before it: see `store::stream`.
    pub link: [u8; 32],
    pub event: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// Where the next page goes on.
    pub reached: u64,
    /// Whether the stream has no more at the moment, in that direction.
    pub is_end: bool,
}

impl AuditFilter {
    pub fn matches(&self, event: &Map<String, Value>) -> bool {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let one_of = |wanted: &Option<String>, names: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| names.iter().any(|name| text(name) == wanted))
        };
        let is_about = |wanted: &String| subjects(event).any(|one| is_called(one, wanted));
        let action = self.action.as_ref().is_none_or(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => text("action").starts_with(beginning),
            None => text("action") == wanted,
        });
        let at = time_of(event);
        action
            && self.user.as_ref().is_none_or(is_about)
            && one_of(&self.actor, &["actor", "actor_id"])
            && one_of(&self.organization, &["org", "org_id"])
            && one_of(&self.trigger, &["trigger"])
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

impl AuditEntry {
    /// Reads an entry of the store's stream.
    pub fn read(entry: Entry) -> Result<Self, StoreError> {
        let Entry { sequence, link, value } = entry;
        let event = serde_json::from_slice(&value)
            .map_err(|_| StoreError::Corrupt(format!("entry {sequence} of the audit stream")))?;
        Ok(Self { sequence, link, event })
    }

    pub fn at(&self) -> Option<Timestamp> {
        time_of(&self.event)
    }

    /// The event with its place in the stream.
    pub fn into_json(mut self) -> Value {
        let link = hex(&self.link);
        let business = self.event.get("business_id").and_then(Value::as_str).unwrap_or_default();
        let id = format!("{business}-{}", self.sequence);
        self.event.insert("_document_id".into(), id.into());
        self.event.insert("sequence".into(), self.sequence.into());
        self.event.insert("link".into(), link.into());
        Value::Object(self.event)
    }
}

impl Directory {
    /// A page of the audit stream of an enterprise.
    pub async fn audit_entries(
        &self,
        enterprise: EnterpriseId,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError> {
        audit_entries(&*self.store, enterprise, query).await
    }

    /// Forgets what happened before `before`; the chain of what is left can still be followed. Answers how many entries went.
    pub async fn trim_audit(
        &self,
        enterprise: EnterpriseId,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let stream = Key::Audit(enterprise);
        let head = self.store.stream_head(stream).await?;
        let kept = first_since(&*self.store, stream, before).await?;
        if kept <= head.first {
            return Ok(0);
        }
        self.store.batch(now, vec![Op::Trim(stream, kept - 1)]).await?;
        Ok(kept - head.first)
    }
}

/// [`Directory::audit_entries`] for whoever has a store and no gateway.
pub async fn audit_entries(
    store: &dyn Store,
    enterprise: EnterpriseId,
    query: &AuditQuery,
) -> Result<AuditPage, StoreError> {
    let stream = Key::Audit(enterprise);
    if query.newest_first {
        backward(store, stream, query).await
    } else {
        forward(store, stream, query).await
    }
}

async fn forward(store: &dyn Store, stream: Key, query: &AuditQuery) -> Result<AuditPage, StoreError> {
    let mut reached = match (query.after, query.filter.since) {
        (Some(after), _) => after,
        (None, Some(since)) => first_since(store, stream, slackened(since, -1)).await?.saturating_sub(1),
        (None, None) => 0,
    };
    let (mut entries, mut scanned) = (vec![], 0);
    while scanned < SCANNED_MAX {
        let page = store.entries(stream, reached, ENTRIES_PER_PAGE_MAX).await?;
        let is_last = page.len() < ENTRIES_PER_PAGE_MAX;
        for entry in page {
            reached = entry.sequence;
            scanned += 1;
            let entry = AuditEntry::read(entry)?;
            if query.filter.matches(&entry.event) {
                entries.push(entry);
                if entries.len() >= query.limit.max(1) {
                    return Ok(AuditPage { entries, reached, is_end: false });
                }
            }
        }
        if is_last {
            return Ok(AuditPage { entries, reached, is_end: true });
        }
    }
    Ok(AuditPage { entries, reached, is_end: false })
}

async fn backward(store: &dyn Store, stream: Key, query: &AuditQuery) -> Result<AuditPage, StoreError> {
    let head = store.stream_head(stream).await?;
    let mut reached = query.after.map_or(head.last + 1, |after| after.min(head.last + 1));
    if let (None, Some(until)) = (query.after, query.filter.until) {
        reached = reached.min(first_since(store, stream, slackened(until, 1)).await?);
    }
    let (mut entries, mut scanned) = (vec![], 0);
    while scanned < SCANNED_MAX && reached > head.first {
        let below = reached.saturating_sub(1 + ENTRIES_PER_PAGE_MAX as u64).max(head.first - 1);
        let limit = usize::try_from(reached - 1 - below).unwrap_or(1).max(1);
        let page = store.entries(stream, below, limit).await?;
        for entry in page.into_iter().rev().filter(|entry| entry.sequence < reached).collect::<Vec<_>>() {
            reached = entry.sequence;
            scanned += 1;
            let entry = AuditEntry::read(entry)?;
            if query.filter.matches(&entry.event) {
                entries.push(entry);
                if entries.len() >= query.limit.max(1) {
                    return Ok(AuditPage { entries, reached, is_end: reached <= head.first });
                }
            }
        }
        reached = reached.min(below + 1);
    }
    Ok(AuditPage { entries, reached, is_end: reached <= head.first })
}

/// The sequence of the first entry of that time or later; one more than the last if there is none. Found by halving, because
/// entries stand in the order of time as far as clocks agree.
async fn first_since(store: &dyn Store, stream: Key, since: Timestamp) -> Result<u64, StoreError> {
    let head = store.stream_head(stream).await?;
    let (mut low, mut high) = (head.first, head.last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(entry) = store.entries(stream, middle - 1, 1).await?.pop() else {
            high = middle;
            continue;
        };
        // One that cannot be read is never taken for an old one: nothing is forgotten by mistake.
        let is_before =
            AuditEntry::read(entry).ok().and_then(|entry| entry.at()).is_some_and(|at| at < since);
        if is_before { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Whom an event is about: what names them in the event itself, and each of its people, where it has several.
fn subjects(event: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let people = event.get("people").and_then(Value::as_array);
    std::iter::once(event).chain(people.into_iter().flatten().filter_map(Value::as_object))
}

/// By user or id.
fn is_called(one: &Map<String, Value>, wanted: &str) -> bool {
    ["user", "user_id"].iter().any(|name| one.get(*name).and_then(Value::as_str) == Some(wanted))
}

fn slackened(at: Timestamp, sign: i64) -> Timestamp {
    let seconds = jiff::SignedDuration::from_secs(sign * CLOCKS_DIFFER_SECONDS_MAX);
    at.checked_add(seconds).unwrap_or(at)
}

fn time_of(event: &Map<String, Value>) -> Option<Timestamp> {
    event.get("@timestamp").and_then(Value::as_str).and_then(|at| at.parse().ok())
}
