//! `idp`: the development IdP alone, for anyone's staging.
use std::{fs, net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{Failure, Outcome, runtime, told_to_stop};
use crate::idp::{self, ServiceProvider, Settings, people_from_json};

/// Run the development IdP alone
#[derive(Debug, Args)]
pub struct Idp {
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where browsers reach it, without a path; http://localhost:PORT if left out
    #[arg(long)]
    url: Option<String>,
    /// A JSON list of people, [{"id", "display_name", "email", "groups"}], instead of the example people
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// A service provider that is not on this machine; may be given several times
    #[arg(long = "service-provider", value_name = "ENTITY_ID=ACS_URL")]
    service_providers: Vec<String>,
    /// A signing key as PEM, instead of the development key that everyone has
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The key's certificate as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Answer only requests that are signed with the key of this PEM certificate; may be given several times
    #[arg(long = "request-certificate", value_name = "FILE")]
    request_certificates: Vec<PathBuf>,
    /// PEM file with the service provider's certificate: assertions are encrypted to it
    #[arg(long, value_name = "FILE")]
    encrypt_to: Option<PathBuf>,
}

/// Runs the development IdP until it is told to stop. It asks nobody for a password.
pub fn idp(arguments: Idp) -> Result<Outcome, Failure> {
    let settings = settings(arguments)?;
    runtime()?.block_on(async {
        let people: Vec<String> = settings.people.iter().map(|person| person.id.clone()).collect();
        let idp = idp::bind(settings)
            .await
            .map_err(|error| failure("idp", &error, "mend the arguments, or free the address"))?;
        println!(
            "The development IdP runs at {}. It asks nobody for a password. Ctrl-C stops it.",
            idp.url()
        );
        println!(
            "  entity id  {}\n  sign-on    {}\n  people     {}",
            idp.entity_id(),
            idp.sso_url(),
            people.join(", ")
        );
        let stop = async {
            // Without signals there is nobody to say stop.
            if told_to_stop().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        idp.run(stop).await.map_err(|error| failure("idp", &error, "start it again"))?;
        Ok(Outcome::Fine)
    })
}

fn settings(arguments: Idp) -> Result<Settings, Failure> {
    let mut settings = Settings::development(arguments.listen);
    let is_local = arguments.listen.ip().is_loopback() && arguments.listen.port() != 0;
    settings.base_url =
        arguments.url.or_else(|| is_local.then(|| format!("http://localhost:{}", arguments.listen.port())));
    if let Some(file) = arguments.people {
        let text = read(&file)?;
        let people = people_from_json(&String::from_utf8_lossy(&text));
        settings.people = people.map_err(|error| failure("--people", &error, "mend the file"))?;
    }
    for text in arguments.service_providers {
        // Entity ids hold equals signs more often than ACS URLs do.
        let (entity_id, acs_url) = text
            .rsplit_once('=')
            .ok_or_else(|| failure("--service-provider", &"has no equals sign", "write ENTITY_ID=ACS_URL"))?;
        settings
            .service_providers
            .push(ServiceProvider { entity_id: entity_id.into(), acs_urls: vec![acs_url.into()] });
    }
    if let Some((key, certificate)) = arguments.key.zip(arguments.certificate) {
        settings.key_pem = read(&key)?;
        settings.certificate_pem = read(&certificate)?;
    }
    settings.request_certificates =
        arguments.request_certificates.iter().map(read).collect::<Result<_, _>>()?;
    settings.encryption_certificate_pem = arguments.encrypt_to.as_ref().map(read).transpose()?;
    Ok(settings)
}

fn read(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| failure(&file.display().to_string(), &error, "name a readable file"))
}

fn failure(what: &str, why: &dyn std::fmt::Display, hint: &str) -> Failure {
    Failure::Usage(format!("{what}: {why}: {hint}"))
}
