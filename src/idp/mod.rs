//! A development SAML identity provider: pick a person, edit their groups, sign in. There are no passwords.
//!
//! It lives apart from the gateway: nothing of it imports a module that verifies, and no module imports it but the
//! demo, the command line and the tests.
mod encrypter;
mod logout;
mod pages;
mod people;
mod request;
mod response;
mod sign_out;
mod signed;
mod signer;
mod xml;

use std::{future::Future, io, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use self::{encrypter::Encrypter, request::Audience, signer::Signer};
pub use self::{
    people::{
        Directory, GROUP_BYTES_MAX, GROUPS_MAX, GroupsError, PEOPLE_MAX, PERSON_TEXT_BYTES_MAX, PeopleError,
        Person, example_people, people_from_json,
    },
    request::{RequestError, ServiceProvider},
    response::{NoGroups, Sign},
    signer::KeyError,
};

/// How long requests in flight may take when the IdP stops.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What an IdP is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where browsers reach the IdP, `https://idp.example.com`, without a path; the address it listens on if `None`.
    pub base_url: Option<String>,
    /// RSA of 2048 bits or more, or elliptic curve; PEM.
    pub key_pem: Vec<u8>,
    /// Of that key; PEM.
    pub certificate_pem: Vec<u8>,
    pub people: Vec<Person>,
    pub service_providers: Vec<ServiceProvider>,
    /// Also answers any service provider whose ACS URL is on this machine.
    pub any_loopback: bool,
    pub sign: Sign,
    pub no_groups: NoGroups,
    /// SessionNotOnOrAfter, in seconds after the sign-in; not said if `None`.
    pub session_seconds: Option<u32>,
    /// PEM certificates: requests must be signed with the key of one of them. None: requests need not be signed.
    pub request_certificates: Vec<Vec<u8>>,
    pub authn: Authn,
    /// The service provider's certificate, PEM, to whose RSA key assertions are encrypted; in the clear if `None`.
    pub encryption_certificate_pem: Option<Vec<u8>>,
}

/// What the IdP says of how and when a person signed in, since nobody proves anything here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authn {
    /// AuthnInstant lies so far back, as though there were a session, unless ForceAuthn ends it.
    pub session_age_seconds: u32,
    /// Heeds neither ForceAuthn nor RequestedAuthnContext, as an IdP might that is set up wrongly. Else the class is the first
    /// that was asked for.
    pub ignores_demands: bool,
}

impl Settings {
    /// The example people, the development key of `certs/`, service providers on this machine only.
    pub fn development(listen: SocketAddr) -> Self {
        Self {
            listen,
            base_url: None,
            key_pem: include_bytes!("../../certs/development-idp.key").to_vec(),
            certificate_pem: include_bytes!("../../certs/development-idp.crt").to_vec(),
            people: example_people(),
            service_providers: Vec::new(),
            any_loopback: true,
            sign: Sign::default(),
            no_groups: NoGroups::default(),
            session_seconds: None,
            request_certificates: Vec::new(),
            authn: Authn::default(),
            encryption_certificate_pem: None,
        }
    }
}

/// Why an IdP does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    People(#[from] PeopleError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the base URL {0:?} is no http or https URL without a path")]
    BaseUrl(String),
}

/// An IdP that listens and is not serving yet.
pub struct Idp {
    listener: TcpListener,
    state: pages::State,
}

/// Checks the settings, reads the key and takes the port.
pub async fn bind(settings: Settings) -> Result<Idp, BindError> {
    people::check(&settings.people)?;
    let signer = Signer::new(&settings.key_pem, &settings.certificate_pem)?;
    let encrypter = settings.encryption_certificate_pem.as_deref().map(Encrypter::new).transpose()?;
    let listen = |source| BindError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let base_url = match settings.base_url {
        None => format!("http://{address}"),
        Some(url) => {
            let origin = request::origin_of(&url).map(|origin| origin.text);
            origin.filter(|origin| url.trim_end_matches('/') == origin).ok_or(BindError::BaseUrl(url))?
        }
    };
    let audience = Audience {
        sso_url: format!("{base_url}/sso"),
        service_providers: settings.service_providers,
        any_loopback: settings.any_loopback,
        keys: signer::public_keys(&settings.request_certificates)?,
    };
    let state = pages::State {
        entity_id: format!("{base_url}/metadata"),
        base_url,
        audience,
        signer,
        directory: Directory::new(settings.people),
        sign: settings.sign,
        no_groups: settings.no_groups,
        session_seconds: settings.session_seconds,
        authn: settings.authn,
        sessions: sign_out::Sessions::default(),
        encrypter,
    };
    Ok(Idp { listener, state })
}

impl Idp {
    /// Where browsers reach it: `http://127.0.0.1:43210`.
    pub fn url(&self) -> &str {
        &self.state.base_url
    }

    pub fn entity_id(&self) -> &str {
        &self.state.entity_id
    }

    /// Where AuthnRequests go.
    pub fn sso_url(&self) -> &str {
        &self.state.audience.sso_url
    }

    /// Where logout messages go, by HTTP-Redirect or HTTP-POST.
    pub fn slo_url(&self) -> String {
        format!("{}/slo", self.state.base_url)
    }

    /// The people, to be read and changed while it runs.
    pub fn directory(&self) -> Directory {
        self.state.directory.clone()
    }

    /// Serves until `shutdown` is ready, then lets requests in flight end, for two seconds at most.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        serve(self.listener, pages::router(self.state), shutdown).await
    }
}

/// Serves `router` until `shutdown` is ready, then lets requests in flight end, for two seconds at most.
pub(crate) async fn serve(
    listener: TcpListener,
    router: axum::Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let signal = async move {
        shutdown.await;
        drop(stop);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(signal);
    let drained = async {
        stopped.await.ok();
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = drained => Ok(()),
    }
}
