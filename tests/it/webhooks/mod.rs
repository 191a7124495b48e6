//! Webhooks: a whole gateway, a receiver over TLS, and signatures that another implementation verifies.
mod delivery;
mod receiver;

use portcullis::{config::Overrides, demo::browser::Browser, domain::Timestamp};

use crate::support::gateway::{Backend, Setup, TestGateway};
use receiver::Receiver;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TABLES: &str = "[audit.webhook.siem]\n";

pub struct World {
    pub gateway: TestGateway,
    pub receiver: Receiver,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn start(backend: Backend, events: &str, now: fn() -> Timestamp) -> Self {
        Self::with(backend, now, events, |overrides| overrides).await
    }

    pub async fn with(
        backend: Backend,
        now: fn() -> Timestamp,
        events: &str,
        change: impl FnOnce(Overrides) -> Overrides + 'static,
    ) -> Self {
        let receiver = Receiver::start().await;
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &receiver.authority_pem).unwrap();
        let (url, events) = (receiver.url.clone(), events.to_owned());
        let change = move |overrides: Overrides| {
            change(
                overrides
                    .set("audit.webhook.siem.url", url)
                    .set("audit.webhook.siem.ca", ca.display().to_string())
                    .set("audit.webhook.siem.secrets", SECRET)
                    .set("audit.webhook.siem.events", events)
                    .set("audit.webhook.siem.internal_networks", "127.0.0.1/32"),
            )
        };
        let setup = Setup { tables: TABLES, change: Box::new(change), now, ..Setup::new(backend) };
        let gateway = TestGateway::set_up(setup).await;
        Self { gateway, receiver, folder }
    }

    /// alice signs in with these groups.
    pub async fn sign_in(&self, groups: &[&str]) {
        self.gateway.people.set_groups("alice", groups).unwrap();
        self.gateway.sign_in(&mut Browser::new(), "alice").await;
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Waits for a line of the metrics.
    pub async fn wait_for_metric(&self, line: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let metrics = self.gateway.private("/metrics").await.body;
            if metrics.lines().any(|found| found == line) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{line} is not in {metrics}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
