//! `demo`: everything on this machine, for a person to click through or as a walk that checks itself.
use std::path::Path;

use super::{Failure, Outcome, runtime};
use crate::{
    config::{self, Overrides, Source},
    demo::{self, DemoOptions, Ports, RunningGateway, Stage},
    domain::{EnterpriseId, EnterpriseSlug, Organization, OrganizationSlug, Timestamp},
    gateway::{self, Running},
    store,
    telemetry::Metrics,
};

/// The enterprise of the shipped configuration.
const ENTERPRISE: &str = "example";
/// Signs the gateway's messages to the IdP: single logout asks for that.
const SIGNING_KEY: &str = include_str!("../../certs/development-sp-signing.pem");

/// Runs gateway, development IdP and an application, or walks through them.
pub fn demo(folder: &Path, check: bool) -> Result<Outcome, Failure> {
    let options = DemoOptions { check, folder: (!check).then(|| folder.to_owned()), ports: Ports::default() };
    let went_well = runtime()?.block_on(demo::run(options, &mut std::io::stdout(), start));
    match went_well {
        Ok(true) => Ok(Outcome::Fine),
        Ok(false) => Ok(Outcome::Failed),
        Err(error) => Err(Failure::Failed(format!("demo: {error}: mend this and start it again"))),
    }
}

/// The gateway as anyone would start it: the shipped `config.toml`, with the demo's addresses and both switches on.
async fn start(stage: &Stage) -> Result<DemoGateway, String> {
    let certificate = stage.folder.join("development-idp.crt");
    std::fs::write(&certificate, &stage.idp_certificate_pem).map_err(|error| error.to_string())?;
    let signing_key = stage.folder.join("development-sp-signing.pem");
    std::fs::write(&signing_key, SIGNING_KEY).map_err(|error| error.to_string())?;
    let overrides = Overrides::default()
        .set("public_url", &stage.gateway_url)
        .set("listen.public", format!("127.0.0.1:{}", stage.gateway_port))
        .set("listen.private", format!("127.0.0.1:{}", stage.private_port))
        .set("store.path", stage.folder.join("portcullis.redb").display().to_string())
        .set("enterprise.example.provisioning", "true")
        .set("enterprise.example.deprovisioning", "true")
        .set("enterprise.example.saml.idp_entity_id", &stage.idp_entity_id)
        .set("enterprise.example.saml.sso_url", &stage.idp_sso_url)
        .set("enterprise.example.saml.certificates", certificate.display().to_string())
        .set("enterprise.example.saml.signing_keys", signing_key.display().to_string())
        .set("enterprise.example.saml.slo_url", &stage.idp_slo_url)
        .set("route.app.origin", format!("http://{}", stage.origin))
        .set("route.public.origin", format!("http://{}", stage.origin));
    let loaded = config::load(&Source::shipped(&stage.folder), &overrides)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let store = store::open(&loaded.settings.store).await.map_err(|error| error.to_string())?;
    let running =
        gateway::start(&loaded.settings, store, Metrics::new()).await.map_err(|error| error.to_string())?;
    let slug = EnterpriseSlug::parse(ENTERPRISE).map_err(|error| error.to_string())?;
    Ok(DemoGateway { running, enterprise: EnterpriseId::of(&slug) })
}

struct DemoGateway {
    running: Running,
    enterprise: EnterpriseId,
}

impl RunningGateway for DemoGateway {
    async fn organization(&self, slug: &OrganizationSlug) -> Result<Organization, String> {
        let organization = self.running.directory.organization(self.enterprise, slug, Timestamp::now()).await;
        organization.map_err(|error| error.to_string())
    }

    async fn shutdown(self) {
        self.running.shutdown().await;
    }
}
