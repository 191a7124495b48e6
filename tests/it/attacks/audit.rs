//! The audit log of every gateway in this process, as it would be written, and who warned of which request.
use std::{
    fmt,
    sync::{Mutex, Once},
};

use serde_json::Value;
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{Layer, Registry, filter::Targets, layer::Context, layer::SubscriberExt};

/// The ids of requests whose audit lines are kept begin so.
pub const REQUEST_ID_PREFIX: &str = "attack-";

static LINES: Mutex<Vec<Value>> = Mutex::new(vec![]);
/// Request ids, each with the target of a warning.
static WARNINGS: Mutex<Vec<(String, String)>> = Mutex::new(vec![]);

/// Keeps audit lines and warnings from now on.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let targets = Targets::new().with_target("audit", Level::INFO);
        let targets = targets.with_target("portcullis::edge", Level::WARN);
        let subscriber = Registry::default().with(targets).with(Kept);
        tracing::subscriber::set_global_default(subscriber).expect("no other log in this process");
    });
}

/// What the audit log says of a request, taken out of it.
pub fn take(request_id: &str) -> Vec<Value> {
    let mut lines = LINES.lock().unwrap();
    let (mine, others) = lines.drain(..).partition(|line| line["request_id"] == request_id);
    *lines = others;
    mine
}

/// The targets of the warnings about a request.
pub fn warnings(request_id: &str) -> Vec<String> {
    let warnings = WARNINGS.lock().unwrap();
    warnings.iter().filter(|(id, _)| id == request_id).map(|(_, target)| target.clone()).collect()
}

struct Kept;

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match event.metadata().target() {
            "audit" => event.record(&mut Line),
            target => event.record(&mut Warning(target)),
        }
    }
}

struct Warning<'a>(&'a str);

impl tracing::field::Visit for Warning<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "request_id" && value.starts_with(REQUEST_ID_PREFIX) {
            WARNINGS.lock().unwrap().push((value.to_owned(), self.0.to_owned()));
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

struct Line;

impl tracing::field::Visit for Line {
    fn record_str(&mut self, _: &Field, value: &str) {
        let line: Value = serde_json::from_str(value).expect("an audit line is one JSON object");
        if line["request_id"].as_str().is_some_and(|id| id.starts_with(REQUEST_ID_PREFIX)) {
            LINES.lock().unwrap().push(line);
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
