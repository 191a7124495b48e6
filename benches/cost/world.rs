//! One store of one size, filled, with a gateway before it.
use std::time::Instant;

use portcullis::directory;

use super::{
    common::{Gateway, Place, Store},
    reference::Bare,
    seed::{self, Town},
};

/// Where the IdP is that signs for all worlds.
pub struct IdpPlace {
    pub entity_id: String,
    pub sso_url: String,
}

pub struct World {
    pub people: usize,
    /// Ends before its store does.
    gateway: Option<Gateway>,
    place: Place,
}

/// CPU so far, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub gateway: f64,
    pub redis: f64,
}

/// What the gateway counted so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub round_trips: f64,
    pub changes: f64,
    pub sessions: f64,
}

impl World {
    /// Makes a store and fills it. `is_examined`: and walks it, to see that what was written is what sign-ins leave.
    pub async fn seeded(store: Store, idp: &IdpPlace, town: &Town, is_examined: bool) -> Self {
        let place = Place::new(store);
        let begun = Instant::now();
        let empty = place.bytes();
        seed::fill(place.open().await, town, idp, store.name()).await;
        let bytes = place.bytes() - empty;
        println!(
            "{} store: {} people seeded in {:.1} s, {:.0} MB, {:.0} bytes for each with everything that belongs to them",
            store.name(),
            town.people,
            begun.elapsed().as_secs_f64(),
            bytes / 1e6,
            bytes / town.people as f64
        );
        if is_examined {
            examined(&place, town, store.name()).await;
        }
        Self { people: town.people, gateway: None, place }
    }

    /// Where bare commands find the store.
    pub fn bare(&self) -> Bare {
        match self.place.redis {
            Some(address) => Bare::redis(address, self.place.pid()),
            None => Bare::embedded(self.place.file()),
        }
    }

    /// Starts the gateway, and waits until it has nothing to do.
    pub fn serve(&mut self, idp: &IdpPlace) {
        let mut organizations = vec!["octo-org".to_owned(), "hubot-lab".to_owned(), "docs-team".to_owned()];
        organizations.extend(seed::teams().map(|team| team.to_string()));
        let overrides = self
            .place
            .overrides()
            .set("enterprise.example.provisioning", "true")
            .set("enterprise.example.deprovisioning", "true")
            .set("enterprise.example.max_removals", "1000000")
            .set("enterprise.example.organizations", organizations.join(","))
            .set("enterprise.example.saml.idp_entity_id", &idp.entity_id)
            .set("enterprise.example.saml.sso_url", &idp.sso_url);
        self.gateway = Some(Gateway::start(&self.place, overrides));
    }

    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it was started")
    }

    pub fn spent(&self) -> Spent {
        Spent { gateway: self.gateway().cpu_nanos(), redis: self.place.cpu_nanos() }
    }

    pub fn counts(&self) -> Counts {
        let [round_trips, changes, sessions] = self.gateway().sums([
            "portcullis_store_duration_seconds_count",
            "portcullis_provisioning_changes_total",
            "portcullis_sessions_total",
        ]);
        Counts { round_trips, changes, sessions }
    }
}

/// What `check --store` does.
async fn examined(place: &Place, town: &Town, name: &str) {
    let begun = Instant::now();
    let report = directory::examine(&*place.open().await, town.now).await.expect("the store is walked");
    println!(
        "{name} store: {} people, {} memberships, {} sessions, {} audit entries walked in {:.1} s",
        report.people,
        report.memberships,
        report.sessions,
        report.audit_entries,
        begun.elapsed().as_secs_f64()
    );
    assert!(report.is_clean(), "{:?}", report.faults.first());
}
