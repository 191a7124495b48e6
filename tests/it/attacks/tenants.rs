//! Two enterprises behind one gateway: neither's IdP can speak for the other (S-91, S-92).
use portcullis::{
    config::{self, Overrides, Source},
    domain::{EnterpriseId, EnterpriseSlug, PersonId},
};

use super::world::{Post, World, form, message};
use crate::{
    saml::forge::{self, Spec},
    support::gateway::{Backend, Setup, name_id},
};

const GLOBEX_IDP: &str = "https://globex.example.com/metadata";
const GLOBEX_ACS: &str = "https://sp.example.com/enterprises/globex/saml/acs";
const GLOBEX_ENTITY: &str = "https://sp.example.com/enterprises/globex/saml/metadata";
const GLOBEX_PATH: &str = "/enterprises/globex/saml/acs";
const GLOBEX: &str = concat!(
    "[enterprise.globex]\nprovisioning = true\ndeprovisioning = true\norganizations = [\"globex-sales\"]\n",
    "[enterprise.globex.saml]\nidp_entity_id = \"https://globex.example.com/metadata\"\n",
    "sso_url = \"https://globex.example.com/sso\"\n",
    "certificates = [\"",
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/saml/keys/attacker-rsa.cert.pem\"]\n"
);

pub async fn world() -> World {
    let setup = Setup { tables: GLOBEX, ..Setup::new(Backend::Embedded) };
    World::with(setup, &["idp-rsa"], |overrides| overrides.set("enterprise.example.saml.acs_url", forge::ACS))
        .await
}

/// Signed by the IdP of globex.
fn by_globex(spec: &mut Spec) {
    spec.sign_assertion.as_mut().expect("signed").key = "attacker-rsa";
}

/// What the IdP of globex sends to globex.
pub fn for_globex(spec: &mut Spec) {
    by_globex(spec);
    spec.response.insert("Destination", GLOBEX_ACS.into());
    spec.confirmation.insert("Recipient", GLOBEX_ACS.into());
    spec.response_issuer = forge::issuer(GLOBEX_IDP);
    spec.issuer = forge::issuer(GLOBEX_IDP);
    spec.restrictions = Some(forge::audience(&[GLOBEX_ENTITY]));
}

pub fn at_globex(value: &str) -> Post<'static> {
    Post { path: GLOBEX_PATH, ..form(value) }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_91_an_enterprise_cannot_speak_for_another() {
    let world = world().await;
    let ours = message(by_globex);
    world.expect_refused("globex signs as us", &world.post(&form(&ours)), 403, "signature_invalid");
    let theirs = message(for_globex);
    world.expect_refused(
        "globex's genuine at our ACS",
        &world.post(&form(&theirs)),
        403,
        "signature_invalid",
    );
    // The requests that are outstanding are ours: nobody signs in to globex by them.
    let seen = world.post(&at_globex(&theirs));
    world.expect_refused("our request answered at globex", &seen, 403, "request_unknown");
    let genuine = message(|_| {});
    let seen = world.post(&at_globex(&genuine));
    world.expect_refused("our genuine at globex's ACS", &seen, 403, "signature_invalid");
    let seen = world.post(&at_globex(&message(|spec| {
        for_globex(spec);
        spec.response_issuer = forge::issuer(forge::IDP);
        spec.issuer = forge::issuer(forge::IDP);
    })));
    world.expect_refused("globex claims our issuer at home", &seen, 403, "response_issuer_mismatch");
    for (what, change) in [
        (
            "Destination",
            (|spec: &mut Spec| {
                spec.response.insert("Destination", forge::ACS.into());
            }) as fn(&mut Spec),
        ),
        ("Recipient", |spec| {
            spec.confirmation.insert("Recipient", forge::ACS.into());
        }),
        ("Audience", |spec| spec.restrictions = Some(forge::audience(&[forge::ENTITY]))),
    ] {
        world.open_sign_ins("globex", GLOBEX_ACS).await;
        let seen = world.post(&at_globex(&message(move |spec| {
            for_globex(spec);
            change(spec);
        })));
        let reason = format!("{}_mismatch", what.to_lowercase());
        world.expect_refused(what, &seen, 403, &reason);
    }
    // The controls: each at home.
    let seen = world.post(&at_globex(&theirs));
    assert_eq!(seen.answer.status, 303, "{:?}", seen.audit);
    world.rewind().await;
    world.expect_accepted("ours at home", &world.post(&form(&genuine)));
    world.stop().await;
}

/// The same NameID and e-mail address at another enterprise is another person.
#[tokio::test(flavor = "multi_thread")]
async fn s_92_nobody_is_found_by_name_across_enterprises() {
    let world = world().await;
    let groups = forge::attribute("groups", &["octo-org", "globex-sales"]);
    let same = groups.clone();
    world.expect_accepted("ours", &world.post(&form(&message(move |spec| spec.attributes += &groups))));
    let alice = world.gateway.person_id_at(forge::IDP, &name_id("alice"));
    assert_eq!(world.gateway.members("octo-org").await, [alice]);

    world.open_sign_ins("globex", GLOBEX_ACS).await;
    let seen = world.post(&at_globex(&message(move |spec| {
        for_globex(spec);
        spec.attributes += &same;
    })));
    assert_eq!(seen.answer.status, 303, "{:?}", seen.audit);
    let globex = EnterpriseId::of(&EnterpriseSlug::parse("globex").unwrap());
    let other = PersonId::of(globex, GLOBEX_IDP, &name_id("alice"));
    assert_ne!(other, alice);
    assert_eq!(seen.audit[0]["user_id"], other.to_string());
    assert_eq!(world.gateway.members("octo-org").await, [alice], "the other alice joined here");
    world.stop().await;
}

/// One IdP, entity ID, ACS or certificate for two enterprises is refused when the configuration is read.
#[test]
fn s_91_enterprises_share_nothing() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/config/shared-between-enterprises.toml");
    let Err(faults) = config::load(&Source::file(path.as_ref()).unwrap(), &Overrides::default()) else {
        panic!("accepted")
    };
    for key in ["idp_entity_id", "entity_id", "acs_url"] {
        let path = format!("enterprise.octo-corp.saml.{key}");
        assert!(faults.iter().any(|fault| fault.to_string().contains(&path)), "{path} in {faults:#?}");
    }
}
