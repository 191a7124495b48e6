//! A histogram of durations that threads fill without waiting for one another.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Upper ends of the buckets, in microseconds: from a cache hit to a hanging origin server, then everything beyond.
const BUCKET_MICROS: [u64; 14] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    30_000_000,
];
const BUCKETS: usize = BUCKET_MICROS.len() + 1;

/// Counts of durations by bucket, and their sum; clones count into the same ones. The counts of one rendering are each
/// right, if not of one instant.
#[derive(Debug, Clone, Default)]
pub struct DurationHistogram(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl DurationHistogram {
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKET_MICROS.partition_point(|end| *end < micros);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.0.sum_micros.fetch_add(micros, Relaxed);
    }

    /// Adds what another one counted.
    pub fn add(&self, other: &Self) {
        for (ours, theirs) in self.0.counts.iter().zip(&other.0.counts) {
            ours.fetch_add(theirs.load(Relaxed), Relaxed);
        }
        self.0.sum_micros.fetch_add(other.0.sum_micros.load(Relaxed), Relaxed);
    }
}

impl TypedMetric for DurationHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for DurationHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let ends = BUCKET_MICROS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            ends.zip(self.0.counts.iter().map(|count| count.load(Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(
            seconds(self.0.sum_micros.load(Relaxed)),
            count,
            &buckets,
            None,
        )
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// Exact below 285 years.
fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}
