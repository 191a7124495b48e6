//! The guards before and after the verification, with a whole gateway.
use std::sync::atomic::Ordering;

use portcullis::{
    config::Overrides,
    saml::guard::{Guard, without},
};
use tokio::runtime::Runtime;

use crate::{
    attacks::{
        binding::{encoded, post},
        tenants::{self, at_globex, for_globex},
        world::{ACS_PATH, FORM, Post, RELAY_STATE, Seen, World, form, message},
    },
    saml::forge,
    support::gateway::{Backend, Setup},
};

pub const GUARDS: &[Guard] = &[
    Guard::FormContentType,
    Guard::FormNotInQuery,
    Guard::FormSize,
    Guard::FormParameters,
    Guard::RequestOfTenant,
    Guard::UnsolicitedAnswers,
    Guard::RelayState,
    Guard::RequestOnce,
    Guard::AssertionOnce,
];

/// Takes each guard away; what is wrong.
pub fn run() -> Vec<String> {
    let runtime = Runtime::new().expect("a runtime");
    let mut faults = vec![];
    for guard in GUARDS {
        let with = runtime.block_on(attack(*guard, &[]));
        let gone = runtime.block_on(attack(*guard, &[*guard]));
        println!("{:<24} over HTTP: {with} -> {gone}", format!("{guard:?}"));
        if with == "accepted" || with == gone {
            faults.push(format!("{guard:?}: {with} with it, {gone} without"));
        }
    }
    faults
}

/// What becomes of the attack that the guard is for, while `guards` are gone.
async fn attack(guard: Guard, guards: &[Guard]) -> String {
    let world = match guard {
        Guard::RequestOfTenant => tenants::world().await,
        Guard::UnsolicitedAnswers => {
            let setup = Setup::new(Backend::Embedded);
            let begins_there =
                |overrides: Overrides| overrides.set("enterprise.example.saml.idp_initiated", "true");
            World::with(setup, &["idp-rsa"], begins_there).await
        }
        _ => World::new(&["idp-rsa"]).await,
    };
    let value = message(|_| {});
    let pair = ("SAMLResponse", value.as_str());
    let attack = match guard {
        Guard::FormContentType => post("Content-Type: text/plain\r\n", encoded(&[pair])),
        Guard::FormNotInQuery => {
            let path: &'static str = format!("{ACS_PATH}?RelayState={RELAY_STATE}").leak();
            Post { path, ..post(FORM, encoded(&[pair])) }
        }
        Guard::FormSize => post(FORM, encoded(&[("SAMLResponse", &"A".repeat(2 * 1024 * 1024))])),
        Guard::FormParameters => post(FORM, encoded(&[pair, pair])),
        // A request that was sent for the other enterprise.
        Guard::RequestOfTenant => at_globex(&message(for_globex)),
        // What was issued for a request, in a Response that nobody signed and that names none.
        Guard::UnsolicitedAnswers => form(&message(|spec| spec.response.remove("InResponseTo"))),
        Guard::RelayState => post(FORM, encoded(&[pair, ("RelayState", "another")])),
        Guard::RequestOnce => {
            world.log.robbed.store(true, Ordering::SeqCst);
            form(&value)
        }
        Guard::AssertionOnce => {
            world.expect_accepted("the first time", &world.post(&form(&value)));
            world.open_sign_ins("example", forge::ACS).await;
            form(&value)
        }
        other => unreachable!("{other:?} is no guard around the verification"),
    };
    let seen = without(guards, || world.post_until_answer(&attack));
    let outcome = outcome(&seen);
    world.stop().await;
    outcome
}

/// `accepted`, or the reason.
fn outcome(seen: &Seen) -> String {
    match (seen.answer.status, seen.audit.first()) {
        (303, _) => "accepted".into(),
        (_, Some(line)) => line["reason"].as_str().unwrap_or("no reason").into(),
        (status, None) => format!("{status}, not audited"),
    }
}
