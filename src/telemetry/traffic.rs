//! Counting requests where it must cost nothing: every worker counts for itself, and a rendering adds up.
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::histogram::DurationHistogram;

const STATUS_MIN: u16 = 100;
const STATUSES: usize = 500;

/// What one worker counts of one route. Kept by the worker beside the route, so that a request looks nothing up.
#[derive(Debug)]
pub struct RouteMetrics {
    /// Requests by status, from 100 to 599.
    statuses: [AtomicU64; STATUSES],
    durations: DurationHistogram,
}

impl Default for RouteMetrics {
    fn default() -> Self {
        Self { statuses: [const { AtomicU64::new(0) }; STATUSES], durations: DurationHistogram::default() }
    }
}

impl RouteMetrics {
    /// Counts a request that ended. A status outside of 100 to 599 counts as 500: no HTTP server sends one.
    pub fn observe(&self, status: u16, duration: Duration) {
        let index = usize::from(status.wrapping_sub(STATUS_MIN));
        if let Some(count) = self.statuses.get(index).or(self.statuses.get(400)) {
            count.fetch_add(1, Relaxed);
        }
        self.durations.observe(duration);
    }

    fn add(&self, other: &Self) {
        for (ours, theirs) in self.statuses.iter().zip(&other.statuses) {
            ours.fetch_add(theirs.load(Relaxed), Relaxed);
        }
        self.durations.add(&other.durations);
    }
}

/// One worker's counts.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicI64,
    routes: Mutex<BTreeMap<Box<str>, Arc<RouteMetrics>>>,
}

impl Recorder {
    /// The counts of a route, by its name in the configuration; ask once and keep the answer.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        match routes.get(name) {
            Some(route) => route.clone(),
            None => routes.entry(name.into()).or_default().clone(),
        }
    }

    /// A request is under way until the answer is dropped.
    pub fn begin(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Relaxed);
        InFlight(self.0.clone())
    }
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight(Arc<Counts>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Every worker's recorder, added up when rendered.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<Mutex<Vec<Recorder>>>);

impl Traffic {
    pub fn recorder(&self) -> Recorder {
        let recorder = Recorder::default();
        self.recorders().push(recorder.clone());
        recorder
    }

    fn recorders(&self) -> std::sync::MutexGuard<'_, Vec<Recorder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn total(&self) -> (i64, BTreeMap<Box<str>, RouteMetrics>) {
        let mut in_flight = 0;
        let mut total: BTreeMap<Box<str>, RouteMetrics> = BTreeMap::new();
        for recorder in self.recorders().iter() {
            in_flight += recorder.0.in_flight.load(Relaxed);
            for (name, route) in recorder.0.routes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                total.entry(name.clone()).or_default().add(route);
            }
        }
        (in_flight, total)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    code: u64,
}

impl Collector for Traffic {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (in_flight, total) = self.total();
        let gauge = encoder.encode_descriptor(
            "portcullis_requests_in_flight",
            "Requests under way.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(in_flight).encode(gauge)?;

        let help = "Requests answered.";
        let mut requests =
            encoder.encode_descriptor("portcullis_requests", help, None, MetricType::Counter)?;
        for (name, route) in &total {
            let counted = (100..).zip(&route.statuses).map(|(code, count)| (code, count.load(Relaxed)));
            for (code, count) in counted.filter(|(_, count)| *count > 0) {
                let labels = RequestLabels { route: name.to_string(), code };
                ConstCounter::new(count).encode(requests.encode_family(&labels)?)?;
            }
        }

        let help = "From a request's first byte to the last byte of its response.";
        let name = "portcullis_request_duration_seconds";
        let mut durations = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (name, route) in &total {
            let labels = RouteLabel { route: name.to_string() };
            route.durations.encode(durations.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
