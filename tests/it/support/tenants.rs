//! Two and more enterprises behind one gateway.
use portcullis::{config::Overrides, idp};
use tokio::sync::oneshot;

/// Globex beside the enterprise of the shipped configuration: with its IdP's entity ID and addresses, at which nothing listens,
/// and the key of the development IdP.
pub const GLOBEX: &str = r#"
[enterprise.globex]
organizations = ["octo-org"]
[enterprise.globex.saml]
idp_entity_id = "https://idp.globex.example/metadata"
sso_url = "https://idp.globex.example/sso"
certificates = ["certs/development-idp.crt"]
signing_keys = ["certs/development-sp-signing.pem"]
slo_url = "https://idp.globex.example/slo"
[route.globex]
path = "/globex"
origin = "http://127.0.0.1:1"
enterprise = "globex"
"#;

/// Globex to which an [`OwnIdp`] belongs, a third enterprise, and routes of two, of each, and of nobody in particular.
pub const SEVERAL: &str = r#"
[enterprise.globex]
email_domains = ["globex.example"]
[enterprise.globex.saml]
certificates = ["certs/development-idp.crt"]
login_hint = true
[enterprise.hidden]
email_domains = ["hidden.example"]
[enterprise.hidden.saml]
idp_entity_id = "https://idp.hidden.example/metadata"
sso_url = "https://idp.hidden.example/sso"
certificates = ["certs/development-idp.crt"]
[route.both]
path = "/both"
enterprises = ["example", "globex"]
[route.globex]
path = "/globex"
enterprise = "globex"
[route.hidden]
path = "/hidden"
enterprise = "hidden"
"#;

/// A second development IdP. Stops when dropped.
pub struct OwnIdp {
    pub url: String,
    pub entity_id: String,
    pub sso_url: String,
    _stop: oneshot::Sender<()>,
}

impl OwnIdp {
    pub async fn start() -> Self {
        let idp = idp::bind(idp::Settings::development(([127, 0, 0, 1], 0).into())).await.unwrap();
        let (url, entity_id, sso_url) =
            (idp.url().to_owned(), idp.entity_id().to_owned(), idp.sso_url().to_owned());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(idp.run(async { drop(stopped.await) }));
        Self { url, entity_id, sso_url, _stop: stop }
    }

    /// Makes it the IdP of an enterprise.
    pub fn of(&self, enterprise: &str) -> impl FnOnce(Overrides) -> Overrides + use<> {
        let key = |name: &str| format!("enterprise.{enterprise}.saml.{name}");
        let settings =
            [(key("idp_entity_id"), self.entity_id.clone()), (key("sso_url"), self.sso_url.clone())];
        |overrides| settings.into_iter().fold(overrides, |all, (key, value)| all.set(&key, value))
    }
}
