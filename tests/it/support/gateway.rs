//! A whole gateway for a test: the real one on a free port, before the demo's origin server, with the development IdP.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use portcullis::{
    config::{self, Overrides, Source},
    demo::{browser::Browser, browser::Page, origin::Origin},
    domain::{EnterpriseId, EnterpriseSlug, Organization, OrganizationSlug, Person, PersonId, Timestamp},
    gateway::{self, ReloadError, Reloaded, Running},
    idp,
    store::{self, Store},
    telemetry::Metrics,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{ports, redis::BreakableRedis};

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Embedded,
    Redis,
}

pub const BACKENDS: [Backend; 2] = [Backend::Embedded, Backend::Redis];

/// Puts something between the gateway and its store.
type Wrap = dyn FnOnce(Arc<dyn Store>) -> Arc<dyn Store>;

/// What a test's world is made of.
pub struct Setup {
    pub backend: Backend,
    pub idp: idp::Settings,
    /// Further tables behind the shipped `config.toml`.
    pub tables: &'static str,
    /// The last word on the configuration.
    pub change: Box<dyn FnOnce(Overrides) -> Overrides>,
    pub wrap: Box<Wrap>,
    /// Single logout with the IdP, by `redirect` or `post`.
    pub single_logout: Option<&'static str>,
    /// The clock by which messages are judged.
    pub now: fn() -> Timestamp,
    /// The configuration says nothing of the IdP but its entity id: the rest is to come from metadata.
    pub idp_from_metadata: bool,
}

impl Setup {
    pub fn new(backend: Backend) -> Self {
        let idp = idp::Settings::development(loopback());
        Self {
            backend,
            idp,
            tables: "",
            change: Box::new(|overrides| overrides),
            wrap: Box::new(|store| store),
            single_logout: None,
            now: Timestamp::now,
            idp_from_metadata: false,
        }
    }
}

/// The parts of a test's world; everything stops when it is dropped.
pub struct TestGateway {
    /// `http://localhost:PORT`
    pub url: String,
    pub running: Option<Running>,
    pub people: idp::Directory,
    /// Of the IdP that people come from.
    pub idp_entity_id: String,
    pub idp_url: String,
    pub idp_sso_url: String,
    /// The configuration: a file, and what the environment says to it.
    pub config: PathBuf,
    pub overrides: Overrides,
    pub redis: Option<BreakableRedis>,
    _stops: Vec<oneshot::Sender<()>>,
    folder: TempDir,
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn stopper() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (stop, stopped) = oneshot::channel::<()>();
    (stop, async move {
        stopped.await.ok();
    })
}

impl TestGateway {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, |overrides| overrides, |store| store).await
    }

    /// `change` is the last word on the configuration, `wrap` on the store.
    pub async fn start_with(
        backend: Backend,
        change: impl FnOnce(Overrides) -> Overrides + 'static,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + 'static,
    ) -> Self {
        Self::set_up(Setup { change: Box::new(change), wrap: Box::new(wrap), ..Setup::new(backend) }).await
    }

    pub async fn set_up(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate_pem = setup.idp.certificate_pem.clone();
        let idp = idp::bind(setup.idp).await.unwrap();
        let people = idp.directory();
        let (idp_entity_id, sso_url) = (idp.entity_id().to_owned(), idp.sso_url().to_owned());
        let (idp_url, slo_url) = (idp.url().to_owned(), idp.slo_url());
        let origin = Origin::bind(loopback(), idp.url()).await.unwrap();
        let origin_url = format!("http://{}", origin.address());
        let (stop_idp, idp_stopped) = stopper();
        let (stop_origin, origin_stopped) = stopper();
        tokio::spawn(idp.run(idp_stopped));
        tokio::spawn(origin.run(origin_stopped));

        let redis = match setup.backend {
            Backend::Embedded => None,
            Backend::Redis => Some(BreakableRedis::start().await),
        };
        let (public, private) = (ports::free(), ports::free());
        let url = format!("http://localhost:{public}");
        // Where the shipped configuration looks for it, relative to itself.
        std::fs::create_dir(folder.path().join("certs")).unwrap();
        std::fs::write(folder.path().join("certs/development-idp.crt"), certificate_pem).unwrap();
        let overrides = Overrides::default()
            .set("public_url", &url)
            .set("listen.public", format!("127.0.0.1:{public}"))
            .set("listen.private", format!("127.0.0.1:{private}"))
            .set("enterprise.example.provisioning", "true")
            .set("enterprise.example.deprovisioning", "true")
            .set("enterprise.example.saml.idp_entity_id", &idp_entity_id)
            .set("route.app.origin", &origin_url)
            .set("route.public.origin", &origin_url);
        let overrides = match setup.idp_from_metadata {
            true => overrides,
            false => overrides.set("enterprise.example.saml.sso_url", &sso_url),
        };
        let key = folder.path().join("certs/development-sp-signing.pem");
        std::fs::write(&key, include_bytes!("../../../certs/development-sp-signing.pem")).unwrap();
        let overrides = match setup.single_logout {
            None => overrides,
            Some(binding) => overrides
                .set("enterprise.example.saml.signing_keys", key.display().to_string())
                .set("enterprise.example.saml.slo_url", slo_url)
                .set("enterprise.example.saml.slo_binding", binding),
        };
        let overrides = match &redis {
            None => overrides.set("store.path", folder.path().join("store.redb").display().to_string()),
            Some(redis) => overrides.set("store.kind", "redis").set("store.url", redis.url()),
        };
        let overrides = (setup.change)(overrides);
        let config = folder.path().join("config.toml");
        std::fs::write(&config, format!("{}\n{}", shipped(setup.idp_from_metadata), setup.tables)).unwrap();
        let running = Some(run(&config, &overrides, setup.wrap, setup.now).await);
        let _stops = vec![stop_idp, stop_origin];
        let idp_sso_url = sso_url;
        Self {
            url,
            running,
            people,
            idp_entity_id,
            idp_url,
            idp_sso_url,
            config,
            overrides,
            redis,
            _stops,
            folder,
        }
    }

    /// The program itself, with this gateway's configuration.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.env("PORTCULLIS_CONFIG", &self.config).envs(self.overrides.iter());
        command
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the application, signs in as a person by the IdP's form, and ends at the application's page.
    pub async fn sign_in(&self, browser: &mut Browser, person: &str) -> Page {
        let response = self.response_form(browser, person).await;
        browser.submit(&response).await.unwrap()
    }

    /// Goes as far as the form that posts the response to the ACS.
    pub async fn response_form(
        &self,
        browser: &mut Browser,
        person: &str,
    ) -> portcullis::demo::browser::Form {
        let start = format!("{}/saml/login?return_to=/", self.url);
        let people = browser.open(&start).await.unwrap();
        let name = self.people.person(person).unwrap().display_name;
        let posting = browser.press(&people, &format!("Sign in as {name}")).await.unwrap();
        posting.button("Continue").unwrap()
    }

    /// What the origin server received, by lower-case field name; `None` without a session.
    pub async fn identity(&self, browser: &mut Browser) -> Option<serde_json::Value> {
        let page = browser.fetch_json(&format!("{}/", self.url)).await.unwrap();
        (page.status == 200)
            .then(|| serde_json::from_str::<serde_json::Value>(&page.body).unwrap()["fields"].clone())
    }

    /// The organizations that the origin server is told of, sorted.
    pub async fn organizations(&self, browser: &mut Browser) -> Vec<String> {
        let identity = self.identity(browser).await.expect("a session");
        let list = identity["x-forwarded-organizations"].as_str().unwrap_or_default();
        let mut list: Vec<String> = list.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
        list.sort();
        list
    }

    pub fn enterprise(&self) -> EnterpriseId {
        EnterpriseId::of(&EnterpriseSlug::parse("example").unwrap())
    }

    pub fn person_id(&self, name_id: &str) -> PersonId {
        PersonId::of(self.enterprise(), &self.idp_entity_id, name_id)
    }

    /// Of a person of another IdP than the development one.
    pub fn person_id_at(&self, idp_entity_id: &str, name_id: &str) -> PersonId {
        PersonId::of(self.enterprise(), idp_entity_id, name_id)
    }

    pub async fn person(&self, name_id: &str) -> Option<Person> {
        let directory = &self.running.as_ref().unwrap().directory;
        directory.person(self.enterprise(), self.person_id(name_id), Timestamp::now()).await.unwrap()
    }

    pub async fn organization(&self, slug: &str) -> Organization {
        let directory = &self.running.as_ref().unwrap().directory;
        let slug = OrganizationSlug::parse(slug).unwrap();
        directory.organization(self.enterprise(), &slug, Timestamp::now()).await.unwrap()
    }

    pub async fn members(&self, slug: &str) -> Vec<PersonId> {
        let directory = &self.running.as_ref().unwrap().directory;
        let slug = OrganizationSlug::parse(slug).unwrap();
        directory.members(self.enterprise(), &slug, None, 1_000).await.unwrap()
    }

    /// A path of the private listener.
    pub async fn private(&self, path: &str) -> Page {
        let address = self.running.as_ref().unwrap().private_address;
        Browser::new().open(&format!("http://{address}{path}")).await.unwrap()
    }

    pub async fn stop(mut self) {
        self.stop_serving().await;
    }

    /// Starts the gateway again, after [`Self::stop_serving`], with the same configuration and store.
    pub async fn serve_again(&mut self) {
        self.running =
            Some(run(&self.config, &self.overrides, Box::new(|store| store), Timestamp::now).await);
    }

    /// Reads the configuration anew, as `serve` does when told to.
    pub async fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        let file = Source::file(&self.config).map_err(|fault| vec![fault]);
        let read = file.and_then(|file| config::load(&file, &self.overrides));
        self.running.as_mut().unwrap().reload(read).await
    }

    /// Replaces what stands in the configuration file.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&self.config, text.replace(from, to)).unwrap();
    }

    /// Stops the gateway; what it left behind stays, for others to read.
    pub async fn stop_serving(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }
}

/// The shipped configuration, with or without what it says of the IdP.
fn shipped(idp_from_metadata: bool) -> String {
    let says = |line: &&str| line.starts_with("sso_url = ") || line.starts_with("certificates = ");
    let lines = include_str!("../../../config.toml").lines();
    lines.filter(|line| !idp_from_metadata || !says(line)).collect::<Vec<_>>().join("\n")
}

async fn run(config: &Path, overrides: &Overrides, wrap: Box<Wrap>, now: fn() -> Timestamp) -> Running {
    let file = Source::file(config).map_err(|fault| vec![fault]);
    let loaded = file.and_then(|file| config::load(&file, overrides));
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults:#?}"));
    let store = store::open(&loaded.settings.store).await.unwrap();
    gateway::start_at(&loaded.settings, wrap(store), Metrics::new(), now).await.unwrap()
}

/// The NameID of one of the example people.
pub fn name_id(person: &str) -> String {
    format!("{person}@example.com")
}
