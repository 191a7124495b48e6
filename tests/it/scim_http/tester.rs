//! scim2-tester, a checker of other hands, which reads what a server says of itself and holds it to that: on both kinds of bases
//! and both stores.
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::world::{EXAMPLE, HUBOT, World};
use crate::support::gateway::BACKENDS;

/// `scripts/test` puts it there.
pub const FOLDER: &str = "target/tools/scim2/bin";
/// Of a base with groups, and of one without.
const CHECKS_MIN: [usize; 2] = [100, 60];

pub fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(name)
}

fn run(url: &str, token: &str) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/scim_http/tester.py");
    let mut command = Command::new(program("python"));
    command.args(["-sB", script, url]).env("SCIM_TOKEN", token);
    command.output().unwrap_or_else(|error| {
        panic!("cannot start Python: {error}: `scripts/test` installs what the tests need")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn scim2_tester_finds_nothing_on_either_base() {
    for backend in BACKENDS {
        // It makes groups of any name.
        let world = World::with(backend, |overrides| {
            overrides
                .set("enterprise.example.scim.unmatched_groups", "accept")
                .set("enterprise.example.scim.requests_per_second_max", "100000")
                .set("enterprise.hubot.scim.requests_per_second_max", "100000")
        })
        .await;
        let hubot = world.client("hubot", HUBOT).await;
        let cases = [(&world.scim, EXAMPLE), (&hubot, HUBOT)];
        for ((client, base), checks_min) in cases.into_iter().zip(CHECKS_MIN) {
            let (url, token) = (format!("{}{base}", world.gateway.url), client.token.clone().unwrap());
            let output = tokio::task::spawn_blocking(move || run(&url, &token)).await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let is_failure = |line: &&str| {
                ["ERROR", "DEVIATION", "CRITICAL"].iter().any(|word| line.contains(&format!("\"{word}\"")))
            };
            let failed: Vec<&str> = text.lines().filter(is_failure).collect();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(failed.is_empty(), "{base} on {backend:?}:\n{}\n{errors}", failed.join("\n"));
            assert!(output.status.success(), "{base} on {backend:?}: {text}\n{errors}");
            let checks = text.lines().filter(|line| !line.contains("\"SKIPPED\"")).count();
            assert!(checks >= checks_min, "{base}: only {checks} checks\n{text}");
        }
        world.stop().await;
    }
}
