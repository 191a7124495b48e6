//! The program as operators meet it: exit codes, standard output, standard error.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixtures() -> PathBuf {
    root().join("fixtures/config")
}

/// Runs the program in a folder, with these variables and nothing of ours from around it.
fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PORTCULLIS_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).envs(variables.iter().copied()).args(arguments).output().unwrap()
}

#[track_caller]
fn assert_ends(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    (out, err)
}

#[test]
fn the_shipped_configuration_is_fine() {
    let (out, err) = assert_ends(&run(root(), &[], &["check"]), 0);
    assert_eq!(err, "");
    for line in [
        "config.toml: valid, 0 warnings",
        "mode         development",
        "session      8 h idle, 24 h in all",
        "enterprise example",
        "  provisioning     off",
        "  organizations    octo-org, hubot-lab, docs-team",
        "  localhost:8080/        http://127.0.0.1:8082  people of example",
        "  localhost:8080/public  http://127.0.0.1:8082  public",
    ] {
        assert!(out.lines().any(|found| found == line), "{line:?} is not in\n{out}");
    }
}

#[test]
fn a_03_broken_configurations_exit_with_1_and_every_fault_on_standard_error() {
    for name in ["routes", "wrong-kinds", "syntax"] {
        let file = format!("{name}.toml");
        let (out, err) = assert_ends(&run(&fixtures(), &[], &["check", "--config", &file]), 1);
        assert_eq!(out, "");
        assert_eq!(err, fs::read_to_string(fixtures().join(format!("{name}.txt"))).unwrap());
        assert_ends(&run(&fixtures(), &[], &["serve", "--config", &file]), 1);
    }
}

#[test]
fn warnings_are_told_and_exit_with_0() {
    let (out, err) = assert_ends(&run(&fixtures(), &[], &["check", "--config", "warnings.toml"]), 0);
    assert_eq!(err, fs::read_to_string(fixtures().join("warnings.txt")).unwrap());
    assert!(out.starts_with("warnings.toml: valid, 5 warnings\n"), "{out}");
    assert!(out.contains("octo-org (not managed)"), "{out}");
}

#[test]
fn json_for_machines() {
    let valid = run(root(), &[], &["check", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&assert_ends(&valid, 0).0).unwrap();
    assert_eq!(report["valid"], true);
    assert_eq!(report["enterprises"][0]["acs_urls"][0], "http://localhost:8080/saml/acs");
    let invalid = run(&fixtures(), &[], &["check", "--format", "json", "--config", "routes.toml"]);
    let report: serde_json::Value = serde_json::from_str(&assert_ends(&invalid, 1).0).unwrap();
    assert_eq!(report["valid"], false);
    let faults: Vec<&str> = report["faults"].as_array().unwrap().iter().filter_map(|f| f.as_str()).collect();
    let expected = fs::read_to_string(fixtures().join("routes.txt")).unwrap();
    assert_eq!(faults, expected.lines().collect::<Vec<_>>());
}

#[test]
fn usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["chekc"],
        &["check", "--nope"],
        &["check", "--format", "yaml"],
        &["idp", "--listen", "nowhere"],
        &["saml"],
        &["saml", "inspect"],
    ] {
        let (out, err) = assert_ends(&run(root(), &[], arguments), 2);
        assert!(out.is_empty() && !err.is_empty(), "{arguments:?}");
    }
    assert_ends(&run(root(), &[], &["--help"]), 0);
    assert_ends(&run(root(), &[], &["--version"]), 0);
}

#[test]
fn a_configuration_that_cannot_be_read_says_how_to_name_one() {
    let (_, err) = assert_ends(&run(root(), &[], &["check", "--config", "nowhere.toml"]), 1);
    assert!(err.starts_with("nowhere.toml: configuration: cannot be read ("), "{err}");
    assert!(err.ends_with("name a readable file with --config FILE or PORTCULLIS_CONFIG\n"), "{err}");
}

#[test]
fn the_environment_names_the_file_and_wins_over_it() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = root().join("config.toml");
    let file = file.to_str().unwrap();
    let off = [("PORTCULLIS_CONFIG", file), ("PORTCULLIS_ENTERPRISE_EXAMPLE_DEPROVISIONING", "false")];
    let (out, _) = assert_ends(&run(elsewhere.path(), &off, &["check"]), 0);
    assert!(out.contains("  deprovisioning   off"), "{out}");
    let wrong =
        [("PORTCULLIS_CONFIG", file), ("PORTCULLIS_LOG_LEVLE", "debug"), ("PORTCULLIS_SERVICE_HOST", "::1")];
    let (_, err) = assert_ends(&run(elsewhere.path(), &wrong, &["check"]), 1);
    assert!(err.contains(
        "PORTCULLIS_LOG_LEVLE: sets no key of the configuration: did you mean PORTCULLIS_LOG_LEVEL?"
    ));
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn secrets_are_not_printed() {
    let secret = [
        ("PORTCULLIS_STORE_KIND", "redis"),
        ("PORTCULLIS_STORE_URL", "redis://gate:hunter2@127.0.0.1:6379/0"),
    ];
    let (out, err) = assert_ends(&run(root(), &secret, &["check"]), 0);
    assert!(
        out.contains("store        redis") && !out.contains("hunter2") && !err.contains("hunter2"),
        "{out}{err}"
    );
}
