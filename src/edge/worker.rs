//! One worker thread: which gate it serves by, and its own connections to origin servers.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;

use super::{
    gate::{Gate, Peer, RequestIds, X_REQUEST_ID, text, wants_page},
    record::{Facts, Record},
    respond, scim,
};
use crate::{
    api,
    proxy::{Body, Proxy, SettingsFault, Streams},
    telemetry::Recorder,
};

/// The gate in use. A reload puts another in its place; requests that are under way end with the one that they began with.
pub struct Gates(ArcSwap<Gate>);

impl Gates {
    pub fn new(gate: Gate) -> Self {
        Self(ArcSwap::from_pointee(gate))
    }

    /// From now on requests go through this one.
    pub fn set(&self, gate: Gate) {
        self.0.store(Arc::new(gate));
    }

    pub fn load(&self) -> Arc<Gate> {
        self.0.load_full()
    }

    /// Writes nothing that another thread reads.
    fn is(&self, gate: &Arc<Gate>) -> bool {
        Arc::ptr_eq(&self.0.load(), gate)
    }
}

/// What requests of one thread are served by, from one reload to the next.
pub struct Serving {
    pub gate: Arc<Gate>,
    pub proxy: Rc<Proxy>,
    /// Responses that go to signed-in people and to their programs.
    pub streams: Streams,
}

/// One worker thread.
pub struct Worker {
    gates: Arc<Gates>,
    serving: RefCell<Rc<Serving>>,
    request_ids: RequestIds,
    recorder: Recorder,
}

impl Worker {
    pub fn new(gates: Arc<Gates>, request_ids: RequestIds) -> Result<Self, SettingsFault> {
        let gate = gates.load();
        let recorder = gate.metrics.recorder();
        let proxy = Rc::new(Proxy::new(&gate.proxy)?);
        let serving = Rc::new(Serving { gate, proxy, streams: Streams::default() });
        Ok(Self { gates, serving: RefCell::new(serving), request_ids, recorder })
    }

    /// What a request that begins now is served by.
    pub fn serving(&self) -> Rc<Serving> {
        let serving = self.serving.borrow().clone();
        if self.gates.is(&serving.gate) { serving } else { self.renew(&serving) }
    }

    /// Takes up another gate. Open connections to origin servers are kept unless their settings have changed.
    fn renew(&self, last: &Serving) -> Rc<Serving> {
        let gate = self.gates.load();
        let proxy = match gate.proxy == last.gate.proxy {
            true => last.proxy.clone(),
            // Whoever set the gate has made one of these settings before.
            false => Proxy::new(&gate.proxy).map_or_else(|_| last.proxy.clone(), Rc::new),
        };
        let serving = Rc::new(Serving { gate, proxy, streams: last.streams.clone() });
        self.serving.replace(serving.clone());
        serving
    }

    /// Answers one request. Never fails: every problem has its answer in [`respond`].
    pub async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
        let serving = self.serving();
        let gate = &serving.gate;
        let record = Record::begin(&request, peer.address.ip(), (gate.now)(), &self.recorder);
        let request_id = self.request_ids.of(request.headers());
        let wants_page = wants_page(&request);
        let is_api = api::covers(request.uri().path());
        let is_scim = scim::accepted(request.uri().path(), request.headers());
        let mut facts = Facts::default();
        let mut response = match serving.answer(request, peer, &request_id, &mut facts).await {
            Ok(response) => response,
            Err(problem) => {
                facts.decision = problem.code();
                facts.reason = Some(problem.reason());
                if problem.status().is_server_error() && !problem.is_told() {
                    tracing::warn!(request_id = text(&request_id), code = problem.code(), %problem, "failed");
                }
                let pages = &gate.settings.pages;
                match is_scim {
                    Some(accepted) => scim::problem(pages, &problem, accepted),
                    None if is_api => respond::api_problem(pages, &problem, text(&request_id)),
                    None => respond::problem(pages, &problem, wants_page, text(&request_id)),
                }
            }
        };
        response.headers_mut().insert(X_REQUEST_ID, request_id.clone());
        record.end_with(response, request_id, &facts)
    }
}
