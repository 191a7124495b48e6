//! `idp`: the development IdP alone, for anyone's staging.
use std::{fs, net::SocketAddr, path::PathBuf};

use super::{Failure, Outcome, runtime, told_to_stop};
use crate::idp::{self, ServiceProvider, Settings, people_from_json};

/// The arguments of `idp`. What is left out is that of the development set-up.
#[derive(Debug)]
pub struct Idp {
    pub listen: SocketAddr,
    /// Where browsers reach it; `http://localhost:PORT` on loopback.
    pub url: Option<String>,
    /// A JSON list of people.
    pub people: Option<PathBuf>,
    /// `ENTITY_ID=ACS_URL`; service providers on this machine are answered without.
    pub service_providers: Vec<String>,
    /// PEM files of a key and its certificate.
    pub key: Option<(PathBuf, PathBuf)>,
    /// PEM files of certificates: requests must be signed with the key of one of them.
    pub request_certificates: Vec<PathBuf>,
    /// A PEM file with the certificate that assertions are encrypted to.
    pub encrypt_to: Option<PathBuf>,
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
    if let Some((key, certificate)) = arguments.key {
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
