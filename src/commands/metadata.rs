//! `metadata`: prints our own; `metadata import`: turns an IdP's into configuration.
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Failure, Outcome, choose_enterprise, load, runtime};
use crate::{
    domain::{EnterpriseSlug, NameId, Timestamp},
    metadata::{Authorities, Network, Remote, Settings, Source, Trust},
    saml::{self, Connection, IdpMetadata, MetadataBinding, MetadataRules, MetadataSigners},
};

/// One request: the bounds of a refresh play no part.
const ONCE_SECONDS: u64 = 60;
/// A certificate that ends sooner is worth a word.
const SOON_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Prints our own metadata, as the gateway serves it.
pub fn metadata(config: &Path, enterprise: Option<&str>) -> Result<Outcome, Failure> {
    let settings = load(config)?.settings;
    let enterprise = choose_enterprise(&settings, enterprise).map_err(Failure::Usage)?;
    let valid_until = enterprise.own_metadata_validity_seconds.map(|seconds| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Timestamp::now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    });
    let document = saml::own_metadata(&enterprise.saml, &enterprise.own_descriptor(), valid_until);
    let document =
        document.map_err(|error| Failure::Failed(format!("metadata: {error}: mend signing_keys")))?;
    println!("{document}");
    Ok(Outcome::Fine)
}

/// Turn an identity provider's metadata into configuration, with warnings
#[derive(Debug, Args)]
pub struct Import {
    /// A file, or an https URL
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// The entity ID that the document must describe
    #[arg(long, value_name = "ID")]
    entity_id: Option<String>,
    /// The name in the table that is printed
    #[arg(long, value_name = "NAME", default_value = "example")]
    enterprise: String,
    /// Write the certificates into this folder and name them, so that nothing changes by itself
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// A certificate that must have signed the document; may be given several times
    #[arg(long = "signer", value_name = "FILE")]
    signers: Vec<PathBuf>,
    /// The authorities that vouch for the server, as PEM; those of the system if left out
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// An internal network that the URL may lead to; may be given several times
    #[arg(long = "internal-network", value_name = "ADDRESS/BITS")]
    internal_networks: Vec<String>,
}

/// Reads an IdP's metadata and prints the table that makes it a connection; warnings go to standard error.
pub fn import(arguments: &Import) -> Result<Outcome, Failure> {
    let name = &arguments.enterprise;
    let hint = "use letters, digits and single hyphens between them";
    EnterpriseSlug::parse(name).map_err(|error| usage("--enterprise", &error, hint))?;
    let now = Timestamp::now();
    let settings = settings(arguments)?;
    let found = runtime()?.block_on(settings.once(now)).map_err(|error| {
        let hint = format!("docs/REASONS.md explains {}", error.code());
        Failure::Failed(format!("{}: {error}: {hint}", settings.source.shown()))
    })?;
    let files = arguments.certificates.as_deref().map(|folder| write_certificates(folder, name, &found));
    print!("{}", table(arguments, &found, &files.transpose()?, now));
    for warning in warnings(&found, now) {
        eprintln!("warning: {warning}");
    }
    Ok(Outcome::Fine)
}

fn settings(arguments: &Import) -> Result<Settings, Failure> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| usage(&path.display().to_string(), &error, "name a readable file"))
    };
    let is_url = arguments.source.contains("://");
    let source = if is_url {
        let authorities = match &arguments.ca {
            None => Authorities::of_system(),
            Some(file) => Authorities::of_pem(&read(file)?),
        };
        let authorities = authorities.map_err(|error| usage("--ca", &error, "name a PEM file"))?;
        let network = |text: &String| {
            Network::parse(text)
                .ok_or_else(|| usage("--internal-network", &format!("{text:?}"), "write ADDRESS/BITS"))
        };
        let networks = arguments.internal_networks.iter().map(network).collect::<Result<_, _>>()?;
        let remote = Remote::parse(&arguments.source, authorities, networks);
        let hint = "write the https URL of the IdP's metadata, without a user";
        Source::Url(Box::new(remote.map_err(|why| usage("metadata", &format!("is {why}"), hint))?))
    } else {
        Source::File((&arguments.source).into())
    };
    let signers = arguments.signers.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let signers = match signers.is_empty() {
        true => None,
        false => {
            let hint = "name PEM files with one certificate each";
            Some(MetadataSigners::new(signers).map_err(|error| usage("--signer", &error, hint))?.into())
        }
    };
    Ok(Settings {
        source,
        rules: MetadataRules {
            entity_id: arguments.entity_id.clone(),
            own_authorities: vec![],
            // Told of below, and refused again by the configuration in production.
            http_on_loopback: true,
            public_keys: vec![],
        },
        signers,
        trust: Trust::Tls,
        approved_keys: vec![],
        refresh_seconds: ONCE_SECONDS,
        validity_seconds_max: ONCE_SECONDS,
    })
}

/// Writes `NAME-idp-1.crt` and so on; gives their paths.
fn write_certificates(folder: &Path, name: &str, found: &IdpMetadata) -> Result<Vec<String>, Failure> {
    let mut paths = vec![];
    for (index, pem) in found.certificates().iter().enumerate() {
        let path = folder.join(format!("{name}-idp-{}.crt", index + 1));
        fs::write(&path, pem).map_err(|error| {
            Failure::Failed(format!("{}: {error}: name a folder that is there", path.display()))
        })?;
        paths.push(path.display().to_string());
    }
    Ok(paths)
}

fn table(arguments: &Import, found: &IdpMetadata, files: &Option<Vec<String>>, now: Timestamp) -> String {
    let mut out = String::new();
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    // Writing to a String cannot fail.
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    let signed = match found.is_signed() {
        true => "signed by a certificate of --signer",
        false => "no signature was checked",
    };
    line(format_args!("# From {}, read {now}; {signed}.", tame(&arguments.source)));
    line(format_args!("[enterprise.{}.saml]", arguments.enterprise));
    line(format_args!("idp_entity_id = {}", quoted(found.entity_id())));
    match files {
        None => line(format_args!("metadata = {}", quoted(&arguments.source))),
        Some(files) => {
            line(format_args!("sso_url = {}", quoted(found.sso_url())));
            let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
            line(format_args!("certificates = [{}]", files.join(", ")));
        }
    }
    for fingerprint in found.fingerprints() {
        line(format_args!("# signing certificate, SHA-256: {fingerprint}"));
    }
    for (what, services) in [("sign-in", found.single_sign_on()), ("single logout", found.single_logout())] {
        for service in services {
            let binding = match service.binding {
                MetadataBinding::Redirect => "redirect",
                MetadataBinding::Post => "POST",
                MetadataBinding::Soap => "SOAP",
            };
            line(format_args!("# {what} by {binding}: {}", tame(&service.location)));
        }
    }
    if let Some(until) = found.valid_until() {
        line(format_args!("# valid until {until}"));
    }
    out
}

fn warnings(found: &IdpMetadata, now: Timestamp) -> Vec<String> {
    let mut warnings = vec![];
    if !found.is_signed() {
        warnings.push(
            "nobody vouches for the document but whoever gave it to you: compare the fingerprints with the IdP's administrator"
                .into(),
        );
    }
    if found.wants_requests_signed() {
        warnings.push("the IdP refuses AuthnRequests that are not signed: name a key in signing_keys".into());
    }
    let formats = found.name_id_formats();
    if !formats.is_empty() && formats.iter().all(|format| format == NameId::TRANSIENT) {
        warnings.push("the IdP offers transient NameIDs only, which cannot hold memberships".into());
    }
    if found.single_sign_on().iter().any(|sso| sso.location.starts_with("http://")) {
        warnings.push("the IdP is on this machine and without TLS, which is for development only".into());
    }
    let settings = found.apply(&saml::Settings::default());
    for certificate in Connection::new(settings).iter().flat_map(|connection| connection.certificates()) {
        let Some(end) = certificate.not_after else { continue };
        if end.as_second() - now.as_second() < SOON_SECONDS {
            let subject = tame(&certificate.subject);
            warnings.push(format!("the certificate {subject} expires or has expired, on {end}"));
        }
    }
    warnings
}

/// A JSON string is a TOML string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Nothing from a document reaches the terminal, or ends a comment, as a control character (S-97).
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn usage(what: &str, why: &dyn std::fmt::Display, hint: &str) -> Failure {
    Failure::Usage(format!("{what}: {why}: {hint}"))
}
