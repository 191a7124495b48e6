//! The configuration as a whole: the shipped file, the corpus of broken ones, the environment.
use std::{collections::BTreeSet, fs, path::Path};

use super::{schema::KEYS, *};
use crate::{access::Rule, domain::Role};

/// Everything that has no default, and nothing else.
const MINIMAL: &str = r#"
mode = "development"
public_url = "http://localhost:8080"
[enterprise.example.saml]
idp_entity_id = "http://localhost:8081/metadata"
sso_url = "http://localhost:8081/sso"
certificates = ["certs/development-idp.crt"]
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn loaded(text: &str, overrides: &Overrides) -> Result<Loaded, Vec<Fault>> {
    load(&Source::text("test.toml", text, root()), overrides)
}

/// The faults or, of a configuration that may run, the warnings.
fn findings(text: &str, overrides: &Overrides) -> Vec<String> {
    let found = loaded(text, overrides).map_or_else(|faults| faults, |loaded| loaded.warnings);
    found.iter().map(Fault::to_string).collect()
}

#[test]
fn the_shipped_file_is_the_development_set_up() {
    let loaded = load(&Source::shipped(root()), &Overrides::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    let settings = loaded.settings;
    assert_eq!(settings.mode, Mode::Development);
    assert_eq!(settings.edge.public_url.authority, "localhost:8080");
    let [enterprise] = settings.enterprises.as_slice() else { panic!("one enterprise") };
    assert_eq!(enterprise.slug.as_str(), "example");
    assert_eq!(enterprise.saml.entity_id, "http://localhost:8080/saml/metadata");
    assert_eq!(enterprise.acs_urls, ["http://localhost:8080/saml/acs"]);
    assert_eq!(enterprise.saml.certificates.len(), 1);
    assert_eq!(enterprise.provisioning.managed, enterprise.organizations);
    assert_eq!(enterprise.organizations.len(), 3);
    assert_eq!(enterprise.provisioning.mappings[0].role, Role::Owner);
    let [app, public] = settings.routes.as_slice() else { panic!("two routes") };
    assert_eq!((app.host.as_str(), app.origin.port), ("localhost:8080", 8082));
    assert_eq!(public.rule, Rule::Public);
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The table headers and `key =` lines of the file, commented out or not, as paths with `*` for names.
fn documented() -> BTreeSet<String> {
    let mut table = String::new();
    let mut paths = BTreeSet::new();
    for line in include_str!("../../config.toml").lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let mut names: Vec<&str> = header.split('.').collect();
            if ["enterprise", "route"].contains(&names[0]) {
                names[1] = "*";
            }
            if names.len() > 2 && names[..2] == ["audit", "webhook"] {
                names[2] = "*";
            }
            table = names.join(".") + ".";
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(is_key_byte)
        {
            paths.insert(format!("{table}{key}"));
        }
    }
    paths
}

#[test]
fn the_shipped_file_names_every_key_and_no_other() {
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(documented(), known);
}

/// What the comments call a default is one: uncommented, it changes nothing.
#[test]
fn documented_defaults_are_the_defaults() {
    let shipped = include_str!("../../config.toml");
    // What needs another store than the shipped one, metadata, single logout, mail, or a webhook.
    let examples = [
        "# url = ",
        "# url_file = ",
        "# timeout_ms = ",
        "# wait_replicas = ",
        "# wait_ms = ",
        "# metadata_trust = ",
        "# metadata_approved_keys = ",
        "# metadata_refresh = ",
        "# metadata_validity = ",
        "# metadata_internal_networks = ",
        "# slo_response_url = ",
        "# slo_binding = ",
        "# tls = ",
        "# timeout = ",
        "# notices = ",
        "# events = ",
        "# internal_networks = ",
    ];
    let mut has_default = true;
    let mut is_default = |line: &'static str| {
        let key = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
        if key.is_some_and(|key| key.bytes().all(is_key_byte)) {
            let described = std::mem::replace(&mut has_default, true);
            return described && !examples.iter().any(|example| line.starts_with(example));
        }
        // Beneath these words stands an example.
        has_default &= !line.contains("No default");
        has_default |= !line.starts_with('#');
        false
    };
    let uncommented: Vec<&str> =
        shipped.lines().map(|line| if is_default(line) { &line[2..] } else { line }).collect();
    let text = uncommented.join("\n");
    assert_ne!(text, shipped.trim_end());
    let plain = loaded(shipped, &Overrides::default()).unwrap();
    let spelt_out = loaded(&text, &Overrides::default()).unwrap();
    assert_eq!(format!("{:?}", plain.settings), format!("{:?}", spelt_out.settings));
}

#[test]
fn switches_are_off_by_default() {
    let settings = loaded(MINIMAL, &Overrides::default()).unwrap().settings;
    let policy = settings.enterprises[0].provisioning.policy;
    assert!(!policy.provisioning && !policy.deprovisioning);
}

#[test]
fn a_second_opinion_needs_a_build_that_can_give_one() {
    let text = format!("{MINIMAL}second_opinion = true\n");
    let found = findings(&text, &Overrides::default());
    assert_eq!(
        found.iter().any(|fault| fault.contains("--features samael")),
        !cfg!(feature = "samael"),
        "{found:?}"
    );
}

#[test]
fn without_a_word_about_it_the_mode_is_production() {
    let text = MINIMAL.replace("mode = \"development\"", "");
    let faults = findings(&text, &Overrides::default());
    assert!(faults.iter().any(|fault| fault.contains("not https in production mode")), "{faults:?}");
}

#[test]
fn several_enterprises_have_urls_of_their_own() {
    let second = MINIMAL.split_once("[enterprise").unwrap().1;
    let second = second.replace("example.saml", "octo-corp.saml").replace("8081/metadata", "8083/metadata");
    let routes = r#"
[route.a]
path = "/"
origin = "http://127.0.0.1:8082"
enterprise = "octo-corp"
[route.b]
path = "/b"
host = "B.localhost:8080"
origin = "http://127.0.0.1:8082"
enterprise = "octo-corp"
"#;
    let text = format!("{MINIMAL}[enterprise{second}{routes}");
    let settings = loaded(&text, &Overrides::default()).unwrap().settings;
    let urls: Vec<_> = settings.enterprises.iter().map(|e| e.acs_urls.clone()).collect();
    let path = "enterprises/octo-corp/saml";
    assert_eq!(urls[0], ["http://localhost:8080/enterprises/example/saml/acs"]);
    assert_eq!(
        urls[1],
        [format!("http://localhost:8080/{path}/acs"), format!("http://b.localhost:8080/{path}/acs")]
    );
    assert_eq!(settings.enterprises[1].saml.entity_id, format!("http://localhost:8080/{path}/metadata"));
}

/// A-01: the gateway's own host takes sign-ins of every enterprise, whatever hosts the routes have.
#[test]
fn a_01_a_host_of_our_own_is_one_where_people_sign_in() {
    let file = fs::read_to_string(root().join("fixtures/config/own-host.toml")).unwrap();
    let fine = file.split("[route.reports]").next().unwrap();
    let folder = root().join("fixtures/config");
    let read = |text: &str| load(&Source::text("own-host.toml", text, &folder), &Overrides::default());
    let settings = read(fine).unwrap().settings;
    assert_eq!(settings.edge.own_host.as_deref(), Some("gate.example.com"));
    let urls = ["https://gate.example.com/saml/acs", "https://app.example.com/saml/acs"];
    assert_eq!(settings.enterprises[0].acs_urls, urls);
    // Also where the enterprise's ACS is on another host.
    let elsewhere = fine.replace("sso_url", "acs_url = \"https://app.example.com/saml/acs\"\nsso_url");
    assert_eq!(read(&elsewhere).unwrap().settings.enterprises[0].acs_urls, [urls[1], urls[0]]);
    assert_eq!(read(&fine.replace("own_host = true", "")).unwrap().settings.edge.own_host, None);
}

/// V-24, V-25: what a tenant goes by is its own: domain, IdP, name, entity ID and ACS. The cases are in `fixtures/config`.
#[test]
fn v_24_v_25_no_two_enterprises_share_what_people_are_told_apart_by() {
    let fixture = |name: &str| fs::read_to_string(root().join("fixtures/config").join(name)).unwrap();
    let (shared, domains) = (fixture("shared-between-enterprises.txt"), fixture("requests.txt"));
    for fault in [
        "is the IdP of the enterprise example too",
        "has the same entity ID",
        "has the same ACS URL",
        "is there twice",
    ] {
        assert!(shared.contains(fault), "{fault}");
    }
    assert!(domains.contains("is a domain of the enterprise example too"));
}

/// `fixtures/config`: each `NAME.toml` yields exactly the lines of `NAME.txt`.
#[test]
fn a_03_broken_configurations_yield_exactly_their_faults() {
    let folder = root().join("fixtures/config");
    let write = std::env::var_os("WRITE_FIXTURES").is_some();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let found = match load(&Source::text(name, &text, &folder), &Overrides::default()) {
            Ok(loaded) => loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect(),
            Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect::<String>(),
        };
        let expected = path.with_extension("txt");
        if write {
            fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&expected).unwrap_or_default(), "{name}");
        assert!(!found.is_empty(), "{name} has no fault: it does not belong here");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn the_corpus_shows_no_secret() {
    for entry in fs::read_dir(root().join("fixtures/config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(!fs::read_to_string(&path).unwrap().contains("hunter2"), "{}", path.display());
        }
    }
}

#[test]
fn files_beyond_their_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let limit = usize::try_from(CONFIG_BYTES_MAX).unwrap();
    fs::write(&file, "#".repeat(limit)).unwrap();
    assert!(Source::file(&file).is_ok());
    fs::write(&file, "#".repeat(limit + 1)).unwrap();
    assert!(Source::file(&file).unwrap_err().why.contains("larger than"));
}

/// SAML Core 8.3.6.
#[test]
fn entity_ids_have_at_most_1024_characters() {
    let with = |characters: usize| {
        let id = format!("urn:{}", "é".repeat(characters - 4));
        findings(&MINIMAL.replace("http://localhost:8081/metadata", &id), &Overrides::default())
    };
    assert!(!with(1024).iter().any(|found| found.contains("1024 characters")));
    assert!(with(1025).iter().any(|found| found.contains("1024 characters")));
}

#[test]
fn all_organizations_are_managed_unless_some_are_named() {
    let managed = |line: &str| {
        let text = MINIMAL.replace(
            "[enterprise",
            &format!("[enterprise.example]\norganizations = [\"a\", \"b\"]\n{line}\n[enterprise"),
        );
        loaded(&text, &Overrides::default()).unwrap().settings.enterprises[0].provisioning.managed.len()
    };
    assert_eq!(managed(""), 2);
    assert_eq!(managed("managed = \"*\""), 2);
    assert_eq!(managed("managed = [\"b\"]"), 1);
    assert_eq!(managed("managed = []"), 0);
}

#[test]
fn the_environment_wins() {
    let overrides = Overrides::default()
        .set("listen.public", "127.0.0.1:0")
        .set("enterprise.example.deprovisioning", "true")
        .set("enterprise.example.provisioning", "true")
        .set("enterprise.example.organizations", "octo-org, hubot-lab")
        .set("session.lifetime", "1h")
        .set("limits.acs_body_bytes_max", "8192");
    let settings = loaded(MINIMAL, &overrides).unwrap().settings;
    assert_eq!(settings.edge.listen.port(), 0);
    assert_eq!(settings.edge.acs_body_bytes_max, 8192);
    assert!(settings.enterprises[0].provisioning.policy.deprovisioning);
    assert_eq!(settings.enterprises[0].provisioning.managed.len(), 2);
    assert_eq!(settings.session.lifetime_seconds_max, 3600);
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let overrides = Overrides::from_variables(
        [
            ("PORTCULLIS_LISTEN_PUBLIC", "nowhere"),
            ("PORTCULLIS_LISTEN_WORKERS", "many"),
            ("PORTCULLIS_SESION_IDLE", "8h"),
            ("PORTCULLIS_ENTERPRISE_OTHER_PROVISIONING", "true"),
            ("PORTCULLIS_ENTERPRISE_EXAMPLE_PROVISIONING", "yes"),
            ("PORTCULLIS_ENTERPRISE_EXAMPLE_MAPPINGS", "x"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let expected = [
        "PORTCULLIS_ENTERPRISE_EXAMPLE_MAPPINGS: enterprise.example.mappings: cannot be set from the environment: set the mappings in the file",
        "PORTCULLIS_ENTERPRISE_EXAMPLE_PROVISIONING: enterprise.example.provisioning: is neither true nor false: use true or false",
        "PORTCULLIS_ENTERPRISE_OTHER_PROVISIONING: PORTCULLIS_ENTERPRISE_OTHER_PROVISIONING: sets no key of the configuration: did you mean PORTCULLIS_ENTERPRISE_EXAMPLE_PROVISIONING?",
        "PORTCULLIS_LISTEN_PUBLIC: listen.public: \"nowhere\" is no address to listen on: write an IP address and a port, such as \"127.0.0.1:8080\"",
        "PORTCULLIS_LISTEN_WORKERS: listen.workers: is no whole number: use a number from 0 to 1024",
        "PORTCULLIS_SESION_IDLE: PORTCULLIS_SESION_IDLE: sets no key of the configuration: did you mean PORTCULLIS_SESSION_IDLE?",
    ];
    assert_eq!(findings(MINIMAL, &overrides), expected);
}

#[test]
fn a_broken_file_stays_broken_under_a_right_variable() {
    let text = MINIMAL.replace("\"http://localhost:8080\"", "7");
    assert_eq!(findings(&text, &Overrides::default()).len(), 1);
    let mended = Overrides::default().set("public_url", "http://localhost:8080");
    assert_eq!(findings(&text, &mended).len(), 1);
}

#[test]
fn secrets_come_from_files_and_the_environment_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "redis://gate:hunter2@127.0.0.1:6379/0\n").unwrap();
    let text =
        MINIMAL.replace("[enterprise", "[store]\nkind = \"redis\"\nurl_file = \"nowhere\"\n[enterprise");
    let url = |overrides: &Overrides| match loaded(&text, overrides).unwrap().settings.store {
        store::Settings::Redis(redis) => redis.url,
        store::Settings::Embedded(_) => String::new(),
    };
    let from_file = Overrides::default().set("store.url_file", file.display().to_string());
    assert_eq!(url(&from_file), "redis://gate:hunter2@127.0.0.1:6379/0");
    let direct = Overrides::default().set("store.url", "redis://gate:hunter2@127.0.0.1:1/0");
    assert_eq!(url(&direct), "redis://gate:hunter2@127.0.0.1:1/0");
    assert!(!format!("{:?}", loaded(&text, &direct)).contains("hunter2"));
    let wrong = Overrides::default().set("store.url", "http://gate:hunter2@127.0.0.1");
    let faults = findings(&text, &wrong);
    assert!(faults.len() == 1 && !faults[0].contains("hunter2"), "{faults:?}");
}
