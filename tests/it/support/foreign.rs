//! A gateway whose people come from an IdP that we did not write, and a browser that carries messages between the two.
use portcullis::{
    config::Overrides,
    demo::browser::{Browser, Form, Page},
};

use super::gateway::{Backend, Setup, TestGateway};

/// Keys of ours that such an IdP is to know.
pub const SIGNING_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-signing.pem");
pub const DECRYPTION_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/development-sp-decryption.pem");

/// Forms that carry a message from one side to the other, one after the other.
const HOPS_MAX: usize = 8;

/// Where such an IdP is.
#[derive(Debug, Clone, Copy)]
pub struct ForeignIdp<'a> {
    pub entity_id: &'a str,
    pub sso_url: &'a str,
    pub certificate_pem: &'a str,
}

/// A gateway that sends its people to the IdP; `more` is the last word on the configuration.
pub async fn behind(
    idp: ForeignIdp<'_>,
    backend: Backend,
    more: impl FnOnce(Overrides) -> Overrides + 'static,
) -> TestGateway {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("idp.crt");
    std::fs::write(&certificate, idp.certificate_pem).unwrap();
    let (entity_id, sso_url) = (idp.entity_id.to_owned(), idp.sso_url.to_owned());
    let change = move |overrides: Overrides| {
        more(
            overrides
                .set("enterprise.example.saml.idp_entity_id", entity_id)
                .set("enterprise.example.saml.sso_url", sso_url)
                .set("enterprise.example.saml.certificates", certificate.display().to_string()),
        )
    };
    let mut gateway = TestGateway::set_up(Setup { change: Box::new(change), ..Setup::new(backend) }).await;
    gateway.idp_entity_id = idp.entity_id.to_owned();
    gateway
}

/// A browser that says, as browsers do, that its forms come from our own pages.
pub fn browser() -> Browser {
    let mut browser = Browser::new();
    browser.send_along("sec-fetch-site", "same-origin");
    browser
}

/// Submits what a script would submit, until nothing of the kind is left.
pub async fn settled(browser: &mut Browser, mut page: Page) -> Page {
    let carries = |form: &Form| form.field("SAMLRequest").is_some() || form.field("SAMLResponse").is_some();
    for _ in 0..HOPS_MAX {
        let Some(form) = page.forms().into_iter().find(carries) else { return page };
        page = browser.submit(&form).await.unwrap();
    }
    panic!("{}: {}", page.url, page.body);
}

/// Opens a page and goes on to where its messages lead.
pub async fn opened(browser: &mut Browser, url: &str) -> Page {
    let page = browser.open(url).await.unwrap();
    settled(browser, page).await
}
