//! The task that delivers: one for each webhook in each gateway, of which the cursor's lease lets one be at it.
//!
//! A gateway leases a cursor for a short while by the record's revision, delivers what comes next, and writes how far it came.
//! One that dies in between leaves its lease to run out; what it delivered and did not write down is delivered again, under
//! the same `webhook-id`. A receiver that fails is tried again ever more seldom, and what comes after the event waits: order is
//! kept, and nothing is left out but what `audit.retention_days` forgot.
use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::watch;

use super::{
    Settings,
    delivery::{DELIVERY_SECONDS_MAX, DeliveryError, Line, Message},
};
use crate::{
    directory::AuditEntry,
    domain::{BackOff, EnterpriseId, EnterpriseSlug, Timestamp, WebhookCursor, WebhookLease, seconds_after},
    store::{Commit, Committed, Entry, Key, Op, Reply, Revision, Store, StoreError, Write, records},
    telemetry::Metrics,
};

/// Between two looks at a stream that had nothing more.
const POLL_MILLIS: u64 = 1_000;
/// How long a gateway has a cursor for itself; one that died is not waited for any longer.
const LEASE_SECONDS: i64 = 30;
/// Before its end no attempt is begun, for clocks that differ between gateways.
const LEASE_MARGIN_SECONDS: i64 = 5;
/// Entries that are read, and at most delivered twice after a crash, at once.
const ENTRIES_PER_LEASE_MAX: usize = 32;
/// How long a receiver that failed is left alone.
const BACK_OFF: BackOff = BackOff { first_seconds: 5, most_seconds: 60 * 60 };
/// Leases of one enterprise in a row, so that none waits for another's thousands.
const LEASES_PER_ROUND_MAX: usize = 32;
/// What nobody asked for is written down as passed over only this often: it costs a commit.
const PASSED_SECONDS: i64 = 60;

/// An enterprise whose events go out.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub slug: EnterpriseSlug,
    pub id: EnterpriseId,
}

/// Delivers one webhook's events.
pub struct Courier {
    settings: Settings,
    store: Arc<dyn Store>,
    tenants: Vec<Tenant>,
    metrics: Metrics,
    holder: [u8; 16],
    now: fn() -> Timestamp,
    line: Line,
    /// Beyond the cursor, what this gateway knows to be of no interest, and when that was last written down.
    passed: HashMap<EnterpriseId, (u64, Timestamp)>,
}

/// A cursor as it lies in the store.
struct Place {
    revision: Revision,
    cursor: WebhookCursor,
}

/// An entry, and what goes out of it; `None` if the webhook did not ask for it.
struct Step {
    sequence: u64,
    message: Option<Message>,
}

/// Whether there is more to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    GoOn,
    Wait,
}

impl Courier {
    /// `tenants` are those of whom the webhook is told. `holder` is drawn at random.
    pub fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        tenants: Vec<Tenant>,
        metrics: Metrics,
        holder: [u8; 16],
        now: fn() -> Timestamp,
    ) -> Self {
        let (line, passed) = (Line::default(), HashMap::new());
        Self { settings, store, tenants, metrics, holder, now, line, passed }
    }

    /// Notes where a new webhook begins, which is here, and lets one that its receiver ended begin again.
    pub async fn begin(&self) {
        for tenant in &self.tenants {
            if let Err(error) = self.begin_with(tenant).await {
                self.complain(tenant, &error);
            }
        }
    }

    /// Delivers until told to stop; an attempt that is under way then is ended first.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            for tenant in self.tenants.clone() {
                if let Err(error) = self.round(&tenant, &stopping).await {
                    self.complain(&tenant, &error);
                }
            }
            let pause = Duration::from_millis(POLL_MILLIS);
            let stop = stopping.wait_for(|stop| *stop);
            if tokio::time::timeout(pause, stop).await.is_ok() {
                return;
            }
        }
    }

    async fn begin_with(&self, tenant: &Tenant) -> Result<(), StoreError> {
        let place = self.place(tenant).await?;
        if place.cursor.gone_at.is_none() {
            return Ok(());
        }
        let cursor = WebhookCursor { gone_at: None, retry_at: None, failures: 0, ..place.cursor.clone() };
        // A conflict: another gateway was faster.
        self.write(tenant, place.revision, &cursor).await.map(drop)
    }

    /// Delivers what there is of one enterprise, within bounds.
    async fn round(&mut self, tenant: &Tenant, stopping: &watch::Receiver<bool>) -> Result<(), StoreError> {
        for _ in 0..LEASES_PER_ROUND_MAX {
            if *stopping.borrow() || self.look(tenant, stopping).await? == Pace::Wait {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes up the next entries, if it is time and nobody else is at it.
    async fn look(&mut self, tenant: &Tenant, stopping: &watch::Receiver<bool>) -> Result<Pace, StoreError> {
        let head = self.store.stream_head(Key::Audit(tenant.id)).await?;
        let Place { revision, mut cursor } = self.place(tenant).await?;
        let now = (self.now)();
        let passed = self.passed.get(&tenant.id).map_or(0, |(sequence, _)| *sequence);
        // A failover may take entries back, and other entries get their numbers; the cursor goes back with them.
        if passed <= head.last {
            cursor.reached = cursor.reached.max(passed);
        }
        self.show(tenant, head.last.saturating_sub(cursor.reached));
        let is_leased = |lease: &WebhookLease| lease.holder != self.holder && now < lease.until;
        let waits = cursor.retry_at.is_some_and(|at| now < at) || cursor.gone_at.is_some();
        if head.last <= cursor.reached || waits || cursor.lease.as_ref().is_some_and(is_leased) {
            return Ok(Pace::Wait);
        }
        if let Some(lost) = head.first.checked_sub(cursor.reached + 1).filter(|lost| *lost > 0) {
            let (webhook, enterprise) = (self.settings.name.as_str(), tenant.slug.as_str());
            tracing::error!(
                webhook,
                enterprise,
                lost,
                "webhook: events were forgotten before they could be delivered"
            );
            cursor.reached = head.first - 1;
        }
        let entries =
            self.store.entries(Key::Audit(tenant.id), cursor.reached, ENTRIES_PER_LEASE_MAX).await?;
        let Some(last) = entries.last().map(|entry| entry.sequence) else { return Ok(Pace::Wait) };
        let steps: Vec<Step> = entries.into_iter().map(|entry| self.step(tenant, entry)).collect();
        if steps.iter().all(|step| step.message.is_none()) {
            cursor.reached = last;
            return self.pass(tenant, revision, &cursor).await;
        }
        let until = seconds_after(now, LEASE_SECONDS);
        cursor.lease = Some(WebhookLease { holder: self.holder, until });
        if self.write(tenant, revision, &cursor).await? == Committed::Conflict {
            return Ok(Pace::Wait);
        }
        let pace = self.deliver(tenant, steps, &mut cursor, stopping).await;
        cursor.lease = None;
        // What is told to stop may be configured no more.
        if !*stopping.borrow() {
            self.show(tenant, head.last.saturating_sub(cursor.reached));
        }
        // A conflict: the lease ran out, and another gateway goes on from where this one began.
        self.write(tenant, revision + 1, &cursor).await?;
        Ok(pace)
    }

    /// Goes on behind entries that nobody asked for.
    async fn pass(
        &mut self,
        tenant: &Tenant,
        revision: Revision,
        cursor: &WebhookCursor,
    ) -> Result<Pace, StoreError> {
        let now = (self.now)();
        let entry = self.passed.entry(tenant.id).or_insert((0, now));
        entry.0 = cursor.reached;
        if seconds_after(entry.1, PASSED_SECONDS) <= now {
            entry.1 = now;
            self.write(tenant, revision, cursor).await?;
        }
        Ok(Pace::GoOn)
    }

    /// Delivers in order, as long as all goes well and the lease lasts.
    async fn deliver(
        &mut self,
        tenant: &Tenant,
        steps: Vec<Step>,
        cursor: &mut WebhookCursor,
        stopping: &watch::Receiver<bool>,
    ) -> Pace {
        let attempt = i64::try_from(DELIVERY_SECONDS_MAX).unwrap_or(i64::MAX / 4);
        let until = cursor.lease.as_ref().map_or(Timestamp::MIN, |lease| lease.until);
        for Step { sequence, message } in steps {
            if let Some(message) = message {
                let now = (self.now)();
                if *stopping.borrow() || seconds_after(now, attempt + LEASE_MARGIN_SECONDS) > until {
                    return Pace::GoOn;
                }
                let delivered = self.line.deliver(&self.settings, &message, now).await;
                let result = delivered.as_ref().map_or_else(DeliveryError::code, |()| "delivered");
                self.metrics.webhook_attempt(&self.settings.name, result);
                if let Err(error) = delivered {
                    self.fail(tenant, sequence, &error, cursor);
                    return Pace::Wait;
                }
            }
            cursor.reached = sequence;
            (cursor.failures, cursor.retry_at) = (0, None);
        }
        Pace::GoOn
    }

    fn step(&self, tenant: &Tenant, entry: Entry) -> Step {
        Step { sequence: entry.sequence, message: self.message(tenant, entry) }
    }

    fn message(&self, tenant: &Tenant, entry: Entry) -> Option<Message> {
        let sequence = entry.sequence;
        let entry = match AuditEntry::read(entry) {
            Ok(entry) => entry,
            Err(error) => {
                // Nobody could make anything of it: `audit verify` and `check --store` tell of it.
                self.complain(tenant, &error);
                return None;
            }
        };
        let text = |name: &str| entry.event.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let action = text("action").filter(|action| self.settings.wants(action))?;
        let at = text("@timestamp");
        let body = json!({ "type": action, "timestamp": at, "data": entry.into_json() });
        Some(Message { id: format!("{}-{sequence}", tenant.id), body: body.to_string().into() })
    }

    fn fail(&self, tenant: &Tenant, sequence: u64, error: &DeliveryError, cursor: &mut WebhookCursor) {
        let (webhook, enterprise) = (self.settings.name.as_str(), tenant.slug.as_str());
        let now = (self.now)();
        let code = error.code();
        if *error == DeliveryError::Gone {
            cursor.gone_at = Some(now);
            tracing::error!(webhook, enterprise, code, %error, "webhook stopped until a gateway is started or reads its configuration anew");
            return;
        }
        cursor.failures = cursor.failures.saturating_add(1);
        // Without chance all webhooks come back at once, which does no harm.
        let random = getrandom::u32().unwrap_or(0);
        let asked = match error {
            DeliveryError::Status { retry_after_seconds, .. } => retry_after_seconds.unwrap_or(0),
            _ => 0,
        };
        let wait = BACK_OFF.seconds(cursor.failures, random).max(i64::from(asked).min(BACK_OFF.most_seconds));
        cursor.retry_at = Some(seconds_after(now, wait));
        let failures = cursor.failures;
        tracing::warn!(webhook, enterprise, sequence, code, failures, retry_in_seconds = wait, %error, "webhook not delivered");
    }

    /// Where the webhook stands; a new one stands at the end of the stream, and is told of what comes after.
    async fn place(&self, tenant: &Tenant) -> Result<Place, StoreError> {
        let get = Op::Get(self.key(tenant));
        match self.store.batch((self.now)(), vec![get]).await?.pop() {
            Some(Reply::Value(Some(stored))) => {
                let cursor = records::decode_webhook_cursor(&stored.value)?;
                return Ok(Place { revision: stored.revision, cursor });
            }
            Some(Reply::Value(None)) => {}
            _ => return Err(StoreError::Corrupt("a reply of another kind than the operation gives".into())),
        }
        let reached = self.store.stream_head(Key::Audit(tenant.id)).await?.last;
        let cursor = WebhookCursor { reached, ..WebhookCursor::default() };
        match self.write(tenant, 0, &cursor).await? {
            Committed::Applied => Ok(Place { revision: 1, cursor }),
            // Another gateway was faster; it is read at the next look.
            Committed::Conflict => Ok(Place { revision: 0, cursor }),
        }
    }

    async fn write(
        &self,
        tenant: &Tenant,
        revision: Revision,
        cursor: &WebhookCursor,
    ) -> Result<Committed, StoreError> {
        let key = self.key(tenant);
        let writes = vec![Write::Put(key, records::encode_webhook_cursor(cursor))];
        self.store.commit(Commit { expect: vec![(key, revision)], writes }).await
    }

    fn key(&self, tenant: &Tenant) -> Key {
        Key::WebhookCursor(tenant.id, self.settings.id())
    }

    fn show(&self, tenant: &Tenant, lag: u64) {
        self.metrics.set_webhook_lag(&self.settings.name, tenant.slug.as_str(), lag);
    }

    fn complain(&self, tenant: &Tenant, error: &StoreError) {
        let (webhook, enterprise) = (self.settings.name.as_str(), tenant.slug.as_str());
        tracing::warn!(webhook, enterprise, %error, "webhook: the audit stream cannot be read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_fits_into_a_lease() {
        let attempt = i64::try_from(DELIVERY_SECONDS_MAX).unwrap();
        assert!(attempt + LEASE_MARGIN_SECONDS < LEASE_SECONDS);
    }
}
