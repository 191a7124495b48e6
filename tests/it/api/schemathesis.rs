//! Schemathesis, which reads the OpenAPI document and tries what a client may and may not send, against a running gateway: no
//! 5xx, every answer as the document says, and what the document forbids refused.
use std::{path::PathBuf, process::Command};

use portcullis::api::PREFIX;

use super::{client::Credential, world::World};
use crate::support::gateway::Backend;

/// `scripts/test` puts it there.
const PROGRAM: &str = "target/tools/schemathesis/bin/schemathesis";
/// For each operation; more by hand with SCHEMATHESIS_EXAMPLES.
const EXAMPLES: &str = "8";
/// Every run tries the same.
const SEED: &str = "20260301";

/// Left out: what a session alone may do (a program has none), what would end the credentials that the run needs, and
/// whether data that fits its schema is accepted: which organizations there are, no schema says.
const EXCLUDED_CHECKS: &str = "positive_data_acceptance,missing_required_header";

#[tokio::test(flavor = "multi_thread")]
async fn v_18_the_api_does_what_its_document_says() {
    let world = World::new(Backend::Embedded).await;
    let everything = ["api:read", "api:write", "enterprise"];
    for (someone, organizations) in [(&world.boss, &[][..]), (&world.olga, &["octo-org"])] {
        let client = world
            .by_token(someone, &everything[..if organizations.is_empty() { 3 } else { 2 }], organizations)
            .await;
        let Credential::Token(token) = client.credential else { panic!("a token was asked for") };
        let url = format!("{}{PREFIX}/openapi.json", world.gateway.url);
        let run = tokio::task::spawn_blocking(move || run(&url, &token)).await.unwrap();
        assert!(run.status.success(), "{}\n{}", text(&run.stdout), text(&run.stderr));
    }
    world.gateway.stop().await;
}

fn run(url: &str, token: &str) -> std::process::Output {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(&program);
    command.current_dir(folder.path()).arg("run").arg(url);
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    command.args(["--checks", "all", "--exclude-checks", EXCLUDED_CHECKS]);
    command.args([
        "--exclude-operation-id",
        "user/end-session",
        "--exclude-operation-id",
        "user/revoke-token",
    ]);
    command.args(["--max-examples", &examples, "--seed", SEED, "--phases", "examples,coverage,fuzzing"]);
    command.args(["--request-timeout", "30", "--no-color"]);
    command.output().unwrap_or_else(|error| {
        panic!("cannot start {}: {error}: `scripts/test` installs what the tests need", program.display())
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
