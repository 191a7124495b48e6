//! An IdP that says whatever a test wants it to: the forge, before a whole gateway that trusts its key.
use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form, Page},
    domain::{PersonId, RequestId, SignInHandle, StableId, Timestamp},
    edge::cookies::SESSION,
    store::Store,
};

use super::gateway::{Backend, TestGateway};
use crate::saml::forge::{self, Spec, audience};

/// Beside a gateway whose IdP is the forge: its responses say whatever a test wants them to.
pub struct ForgedIdp {
    pub gateway: TestGateway,
}

impl ForgedIdp {
    pub async fn new(change: impl FnOnce(Overrides) -> Overrides + 'static) -> Self {
        Self::on(Backend::Embedded, change, |store| store).await
    }

    /// `wrap` is the last word on the store.
    pub async fn on(
        backend: Backend,
        change: impl FnOnce(Overrides) -> Overrides + 'static,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + 'static,
    ) -> Self {
        let certificate = format!("{}/fixtures/saml/keys/idp-rsa.cert.pem", env!("CARGO_MANIFEST_DIR"));
        let change = move |overrides: Overrides| {
            let forged = overrides
                .set("enterprise.example.saml.idp_entity_id", forge::IDP)
                .set("enterprise.example.saml.certificates", certificate);
            change(forged)
        };
        let mut gateway = TestGateway::start_with(backend, change, wrap).await;
        gateway.idp_entity_id = forge::IDP.into();
        Self { gateway }
    }

    /// Starts a sign-in; the response that would be its answer now.
    pub async fn asked(&self, browser: &mut Browser) -> Spec {
        browser.open(&format!("{}/saml/login?return_to=/", self.gateway.url)).await.unwrap();
        let cookie = browser.cookie("localhost", "__Host-portcullis-signin").unwrap_or_default();
        let handle = cookie.split('.').next_back().and_then(SignInHandle::parse).expect("a pending sign-in");
        let request = format!("_{}", RequestId::of(handle));
        let acs = format!("{}/saml/acs", self.gateway.url);
        let now = Timestamp::now();
        let end = (now + std::time::Duration::from_secs(240)).to_string();
        let mut spec = Spec {
            restrictions: Some(audience(&[&format!("{}/saml/metadata", self.gateway.url)])),
            attributes: String::new(),
            ..Spec::default()
        };
        spec.response.insert("Destination", acs.clone());
        spec.response.insert("InResponseTo", request.clone());
        spec.response.insert("IssueInstant", now.to_string());
        spec.assertion.insert("ID", format!("_a{}", &request[1..]));
        spec.assertion.insert("IssueInstant", now.to_string());
        spec.confirmation.insert("Recipient", acs);
        spec.confirmation.insert("InResponseTo", request);
        spec.confirmation.insert("NotOnOrAfter", end.clone());
        spec.conditions.insert("NotBefore", now.to_string());
        spec.conditions.insert("NotOnOrAfter", end);
        spec.authn.insert("AuthnInstant", now.to_string());
        spec
    }

    pub async fn post(&self, browser: &mut Browser, xml: &str) -> Page {
        let mut form = Form::default();
        form.is_post = true;
        form.action = format!("{}/saml/acs", self.gateway.url);
        form.set("SAMLResponse", &BASE64_STANDARD.encode(xml));
        browser.submit(&form).await.unwrap()
    }

    /// Signs in with a response that `change` has made.
    pub async fn sign_in(&self, change: impl FnOnce(&mut Spec)) -> (Browser, Page) {
        let mut browser = Browser::new();
        let mut spec = self.asked(&mut browser).await;
        change(&mut spec);
        let page = self.post(&mut browser, &spec.xml()).await;
        (browser, page)
    }

    /// X-Forwarded-User as the origin server would undo it.
    pub async fn user(&self, browser: &mut Browser) -> String {
        let identity = self.gateway.identity(browser).await.expect("a session");
        let encoded = identity["x-forwarded-user"].as_str().unwrap();
        percent_decode_str(encoded).decode_utf8().unwrap().into_owned()
    }

    /// The outcome owed for a refused message: 403, no cookie, nobody in the store, one count of the reason.
    pub async fn assert_refused(&self, browser: &Browser, page: &Page, reason: &str, person: PersonId) {
        assert_eq!(page.status, 403, "{reason}: {}", page.body);
        assert!(browser.cookie("localhost", SESSION).is_none(), "{reason}");
        let directory = &self.gateway.running.as_ref().unwrap().directory;
        let found = directory.person(self.gateway.enterprise(), person, Timestamp::now()).await.unwrap();
        assert!(found.is_none(), "{reason}");
        let counted = format!(r#"portcullis_saml_responses_total{{result="refused",reason="{reason}"}}"#);
        let metrics = self.gateway.private("/metrics").await.body;
        assert!(metrics.contains(&counted), "{counted} is not in\n{metrics}");
    }

    pub fn person(&self, id: &StableId) -> PersonId {
        PersonId::of_stable_id(self.gateway.enterprise(), forge::IDP, id)
    }
}
