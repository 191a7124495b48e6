//! The task that keeps one enterprise's connection up to date, and the last good document in the store.
use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    RefreshError, Settings, Source,
    adopt::{Good, moved},
    schedule::{Alarm, Pace},
};
use crate::{
    domain::{EnterpriseId, EnterpriseSlug, IdpDocument, Timestamp},
    saml::{self, Connection, ConnectionSlot},
    store::{Key, Op, Reply, Store, StoreError, records},
    telemetry::{AuditAction, AuditEvent, AuditLine, Metrics, Trigger},
};

/// The clock is looked at this often, for alarms and for the document's end.
const LOOK_SECONDS: u64 = 60;
/// Requests to refresh at once that may wait.
const ASKED_MAX: usize = 8;
/// After a document's end its keys are still known for this long, so that an outage of the IdP's server does not make the
/// next document a first contact. 180 days.
const KNOWN_SECONDS: u64 = 180 * 24 * 60 * 60;

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The connection is another one now.
    Changed,
    /// The document says what was known; its life begins anew.
    Unchanged,
}

/// Whose metadata it is, and what a change is told to.
pub struct Home {
    pub enterprise: EnterpriseId,
    pub slug: EnterpriseSlug,
    /// The configuration's settings; what metadata says is filled in.
    pub saml: saml::Settings,
    pub slot: ConnectionSlot,
    pub store: Arc<dyn Store>,
    pub metrics: Metrics,
    /// Told when certificates may have changed.
    pub changed: Arc<Notify>,
}

/// One enterprise's metadata.
pub struct Watch {
    settings: Settings,
    home: Home,
    /// The last good document, also after its end: its keys are known.
    good: Option<Good>,
    alarm: Alarm,
    failures: u32,
    asked: mpsc::Receiver<oneshot::Sender<Result<Outcome, RefreshError>>>,
}

/// Reaches the task.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<oneshot::Sender<Result<Outcome, RefreshError>>>);

impl Handle {
    /// Refreshes at once and tells what came of it.
    pub async fn refresh(&self) -> Result<Outcome, RefreshError> {
        let (reply, outcome) = oneshot::channel();
        self.0.send(reply).await.map_err(|_| RefreshError::Stopped)?;
        outcome.await.map_err(|_| RefreshError::Stopped)?
    }
}

impl Watch {
    /// Takes up what is at hand without the network: the file, or the last good document of the store.
    pub async fn open(settings: Settings, home: Home) -> (Self, Handle) {
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        let mut watch = Self { settings, home, good: None, alarm: Alarm::None, failures: 0, asked };
        let now = Timestamp::now();
        if let Source::File(_) = watch.settings.source {
            let _ = watch.refresh().await;
        } else {
            watch.restore(now).await;
        }
        if watch.home.slot.load(now).is_err() {
            let source = watch.settings.source.shown();
            let enterprise = watch.home.slug.as_str();
            tracing::error!(
                enterprise,
                source,
                "metadata: nothing is known of the IdP yet: sign-ins are answered with 503"
            );
        }
        (watch, Handle(ask))
    }

    /// Refreshes when it is time or when asked to, until `stopping` is ready.
    pub async fn run(mut self, stopping: impl Future<Output = ()>) {
        let mut stopping = pin!(stopping);
        let mut next = Instant::now();
        if matches!(self.settings.source, Source::File(_)) {
            next += self.pause();
        }
        loop {
            let look = Instant::now() + Duration::from_secs(LOOK_SECONDS);
            tokio::select! {
                () = &mut stopping => return,
                () = tokio::time::sleep_until(next.min(look)) => {
                    self.look(Timestamp::now());
                    if Instant::now() < next {
                        continue;
                    }
                    let _ = self.refresh().await;
                }
                asked = self.asked.recv() => {
                    let outcome = self.refresh().await;
                    // Whoever asked may have gone.
                    let _ = asked.map(|reply| reply.send(outcome));
                }
            }
            next = Instant::now() + self.pause();
        }
    }

    /// One attempt. Whatever fails leaves the last good document where it is and tells why, once.
    async fn refresh(&mut self) -> Result<Outcome, RefreshError> {
        let outcome = self.attempt().await;
        let enterprise = self.home.slug.as_str();
        let source = self.settings.source.shown();
        match &outcome {
            Ok(_) => {
                self.failures = 0;
                self.home.metrics.metadata_refreshed(enterprise, "ok");
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.home.metrics.metadata_refreshed(enterprise, error.code());
                tracing::warn!(enterprise, source, code = error.code(), %error, "metadata refused: the last good one stays");
                self.tell(AuditAction::MetadataRefused, Some(error.code()));
            }
        }
        self.look(Timestamp::now());
        outcome
    }

    async fn attempt(&mut self) -> Result<Outcome, RefreshError> {
        let octets = self.settings.source.get().await?;
        let now = Timestamp::now();
        let good = Good::fetched(&self.settings, octets, self.good.as_ref(), now)?;
        let known: Vec<&Good> = self.good.iter().collect();
        if let Err(unknown) = good.check_keys(&self.settings, &known) {
            // Another gateway may have followed the IdP through a change that this one missed.
            let stored = self.stored().await.ok().flatten();
            let stored = stored.and_then(|document| self.read_stored(document));
            let known: Vec<&Good> = self.good.iter().chain(&stored).collect();
            if stored.is_none() || good.check_keys(&self.settings, &known).is_err() {
                return Err(unknown);
            }
        }
        let first = self.good.is_none();
        let outcome = self.take(good, now)?;
        // What the configuration's own file says when the gateway starts is no news.
        let is_news =
            outcome == Outcome::Changed && !(first && matches!(self.settings.source, Source::File(_)));
        let told = is_news.then(|| self.line(AuditAction::MetadataChanged, None));
        if let Some(line) = &told {
            line.log();
        }
        if first && self.settings.signers.is_none() && matches!(self.settings.source, Source::Url(_)) {
            let enterprise = self.home.slug.as_str();
            tracing::warn!(
                enterprise,
                "metadata: first contact: compare the fingerprints with the IdP's administrator"
            );
        }
        self.persist(told, now).await;
        Ok(outcome)
    }

    /// Puts a document that was judged to use.
    fn take(&mut self, good: Good, now: Timestamp) -> Result<Outcome, RefreshError> {
        let slot = &self.home.slot;
        let in_use = slot.load(now).is_ok();
        let same = in_use && self.good.as_ref().is_some_and(|last| last.says_the_same(&good));
        if same {
            slot.extend(Some(good.until));
        } else {
            let connection = Connection::new(good.metadata.apply(&self.home.saml))?;
            slot.set(connection, Some(good.until));
            let keys = good.metadata.fingerprints().join(", ");
            let (enterprise, until) = (self.home.slug.as_str(), good.until);
            tracing::info!(enterprise, keys, %until, signed = good.metadata.is_signed(), "metadata taken up");
        }
        self.good = Some(good);
        if !same {
            self.home.changed.notify_one();
        }
        Ok(if same { Outcome::Unchanged } else { Outcome::Changed })
    }

    /// Takes up the last good document of the store, judged anew: the configuration may have changed since.
    async fn restore(&mut self, now: Timestamp) {
        let enterprise = self.home.slug.clone();
        let enterprise = enterprise.as_str();
        match self.stored().await {
            Ok(None) => {}
            Ok(Some(document)) => match Good::read(&self.settings, document.clone(), now) {
                Ok(good) => match self.take(good, now) {
                    Ok(_) => tracing::info!(enterprise, "metadata: the last good one was in the store"),
                    Err(error) => tracing::warn!(enterprise, %error, "metadata in the store is of no use"),
                },
                Err(error) => {
                    self.good = self.read_stored(document);
                    tracing::warn!(enterprise, %error, "metadata in the store is of no use");
                }
            },
            Err(error) => tracing::warn!(enterprise, %error, "metadata in the store cannot be read"),
        }
        self.look(now);
    }

    /// A stored document for its keys: judged as at the time when it was fetched.
    fn read_stored(&self, document: IdpDocument) -> Option<Good> {
        let fetched_at = document.fetched_at;
        Good::read(&self.settings, document, fetched_at).ok()
    }

    async fn stored(&self) -> Result<Option<IdpDocument>, StoreError> {
        let key = Key::IdpMetadata(self.home.enterprise);
        let mut replies = self.home.store.batch(Timestamp::now(), vec![Op::Get(key)]).await?;
        match replies.pop() {
            Some(Reply::Value(Some(stored))) => records::decode_idp_document(&stored.value).map(Some),
            _ => Ok(None),
        }
    }

    /// Keeps the document, and tells the audit stream what is news. Without the store the document still counts here; the next
    /// refresh tries again.
    async fn persist(&self, told: Option<AuditLine>, now: Timestamp) {
        let good = self.good.as_ref().filter(|_| matches!(self.settings.source, Source::Url(_)));
        // Every gateway follows the IdP for itself; what another one has told already is no news to the stream.
        let is_known = match (good, &told) {
            (Some(good), Some(_)) => {
                let stored = self.stored().await.ok().flatten();
                let stored = stored.and_then(|document| self.read_stored(document));
                stored.is_some_and(|stored| stored.says_the_same(good))
            }
            _ => false,
        };
        let put = good.map(|good| Op::Put {
            key: Key::IdpMetadata(self.home.enterprise),
            value: records::encode_idp_document(&good.document),
            expires_at: moved(good.until, KNOWN_SECONDS),
        });
        let append = told
            .filter(|_| !is_known)
            .map(|line| Op::Append(Key::Audit(self.home.enterprise), line.as_bytes().to_vec()));
        let ops: Vec<Op> = put.into_iter().chain(append).collect();
        if ops.is_empty() {
            return;
        }
        if let Err(error) = self.home.store.batch(now, ops).await {
            tracing::warn!(enterprise = self.home.slug.as_str(), %error, "metadata could not be kept in the store");
        }
    }

    /// Looks at the clock: the metrics, and an alarm when one is due (M-01). Each is raised once.
    fn look(&mut self, now: Timestamp) {
        let Some(good) = &self.good else {
            self.home.metrics.set_metadata_life(self.home.slug.as_str(), 0, Alarm::Over.level());
            return;
        };
        let alarm = Alarm::at(now, good.document.since, good.until);
        let (enterprise, until) = (self.home.slug.as_str(), good.until);
        self.home.metrics.set_metadata_life(enterprise, until.as_second(), alarm.level());
        if alarm > self.alarm {
            match alarm {
                Alarm::None => {}
                Alarm::Half => tracing::warn!(enterprise, %until, "metadata: half of its life is over"),
                Alarm::FourFifths => {
                    tracing::error!(enterprise, %until, "metadata: four fifths of its life are over")
                }
                Alarm::Over => {
                    tracing::error!(enterprise, %until, "metadata is no longer valid: sign-ins are answered with 503");
                    self.tell(AuditAction::MetadataRefused, Some("metadata_expired"));
                }
            }
        }
        self.alarm = alarm;
    }

    /// How long until the next attempt.
    fn pause(&self) -> Duration {
        let now = Timestamp::now();
        let left = |good: &Good| u64::try_from(good.until.as_second() - now.as_second()).unwrap_or(0);
        let pace = Pace {
            configured_seconds: self.settings.refresh_seconds,
            is_file: matches!(self.settings.source, Source::File(_)),
            cache_seconds: self.good.as_ref().and_then(|good| good.metadata.cache_seconds()),
            left_seconds: self.good.as_ref().map(left),
        };
        // Without randomness replicas only come at the same time.
        let chance = getrandom::u32().unwrap_or(0);
        Duration::from_secs(match self.failures {
            0 => pace.after_success(chance),
            failures => pace.after_failure(failures, chance),
        })
    }

    /// To the log alone: a server that is down would fill the stream.
    fn tell(&self, action: AuditAction, reason: Option<&str>) {
        self.line(action, reason).log();
    }

    fn line(&self, action: AuditAction, reason: Option<&str>) -> AuditLine {
        let issuer = Some(self.settings.rules.entity_id.as_deref().unwrap_or_default());
        let slug = self.home.slug.as_str();
        let event = AuditEvent::new(Timestamp::now(), action, Trigger::Saml, slug);
        AuditLine::of(&AuditEvent { reason, issuer, ..event })
    }
}
