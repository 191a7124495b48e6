//! `saml inspect`: what the gateway would do with a captured response, offline, check by check.
//!
//! It runs the very functions that the ACS runs (`saml::decode`, `saml::verify`, `provisioning`); only the clock, the
//! outstanding requests and the person come from the command line.
mod report;
mod text;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use clap::Args;

use super::{ConfigFile, Failure, Outcome, choose_enterprise, load, runtime};
use crate::{
    config,
    domain::{
        AddressId, AuthnDemand, EnterpriseId, Invitation, Organization, OrganizationSlug, Person, PersonId,
        Timestamp,
    },
    provisioning::{self, Current, Reading},
    saml::{self, Check, Connection, Outstanding, Refusal, VerifiedAssertion},
    second_opinion::SecondOpinion,
    store,
};

use report::Report;

pub use super::Format;

/// Captured files larger than this are refused unread: the ACS takes less.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Explain what the gateway would do with a captured response
#[derive(Debug, Args)]
pub struct Inspect {
    /// The response, as XML or as the base64 value of the form
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    /// The enterprise whose connection judges it; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    enterprise: Option<String>,
    /// The time to judge it at, as in 2026-01-31T12:00:00Z; now if left out
    #[arg(long, value_name = "RFC3339")]
    at: Option<String>,
    /// The ID of an outstanding AuthnRequest; may be given several times
    #[arg(long = "request-id", value_name = "ID")]
    request_ids: Vec<String>,
    /// Plan against what this person has in the store, instead of an empty person
    #[arg(long, value_name = "ID")]
    person: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The arguments, read.
struct Options {
    file: PathBuf,
    config: config::Settings,
    enterprise: Option<String>,
    at: Timestamp,
    request_ids: Vec<String>,
    person: Option<String>,
}

/// Explains what the gateway would do with a captured response. The outcome says whether it would accept it.
pub fn inspect(arguments: Inspect) -> Result<Outcome, Failure> {
    let format = arguments.format;
    // Exit code 1 says that a response is refused, so whatever keeps us from judging one is 2.
    let settings = load(&arguments.config.path())
        .map_err(|failure| Failure::Usage(failure.to_string().trim_end().into()))?;
    let at = match &arguments.at {
        // Whole seconds, which can be given to --at again.
        None => Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH),
        Some(text) => text.parse().map_err(|_| {
            unusable("--at", format!("{text:?} is no point in time"), "write it as 2026-01-15T12:00:00Z")
        })?,
    };
    let options = Options {
        file: arguments.file,
        config: settings.settings,
        enterprise: arguments.enterprise,
        at,
        request_ids: arguments.request_ids,
        person: arguments.person,
    };
    let report = runtime()?.block_on(judge(&options))?;
    match format {
        Format::Text => print!("{}", text::write(&report)),
        Format::Json => print!("{}", report.to_json()),
    }
    Ok(if report.is_accepted() { Outcome::Fine } else { Outcome::Failed })
}

/// Why nothing could be inspected.
fn unusable(what: impl std::fmt::Display, why: impl std::fmt::Display, hint: &str) -> Failure {
    Failure::Usage(format!("{what}: {why}: {hint}"))
}

async fn judge(options: &Options) -> Result<Report, Failure> {
    let captured = read(options)?;
    let enterprise =
        choose_enterprise(&options.config, options.enterprise.as_deref()).map_err(Failure::Usage)?;
    let connection = connection(enterprise, options.at).await?;
    let second = enterprise.second_opinion.then(SecondOpinion::new).transpose();
    let second = second.map_err(|error| unusable("second_opinion", error, "or remove the key"))?;
    let known = load_known(options, enterprise).await?;
    // What each of them asked about the sign-in is not in the file; the connection's own demands are judged.
    let demand = AuthnDemand::default();
    let asked = |request_id| Outstanding { request_id, demand: &demand, issued_at: options.at };
    let outstanding: Vec<Outstanding<'_>> = options.request_ids.iter().map(|id| asked(id)).collect();
    let mut trail: Vec<(Check, String)> = Vec::new();
    let verified = decode(&captured).and_then(|(response, how)| {
        let acs_url = choose_acs_url(&response, enterprise);
        let verified = saml::verify(&response, &connection, acs_url, &outstanding, options.at, &mut trail);
        if let Some((_, detail)) = trail.iter_mut().find(|(check, _)| *check == Check::Encoding) {
            *detail = how;
        }
        verified.map(|assertion| (response, assertion))
    });
    let mut report = match verified {
        Err(refusal) => Report::refused(&trail, &refusal),
        Ok((response, assertion)) => {
            match second.map(|second| second.on(&response, connection.settings(), &assertion)) {
                Some(Err(disagreement)) => {
                    Report::disagreed(&trail, (&assertion, person_id(&assertion, enterprise)), &disagreement)
                }
                _ => accepted(&trail, &assertion, enterprise, &known, options.at),
            }
        }
    };
    report.judged = format!("at {}, for the enterprise {}", options.at, enterprise.slug);
    Ok(report)
}

fn accepted(
    trail: &[(Check, String)],
    assertion: &VerifiedAssertion,
    enterprise: &config::EnterpriseSettings,
    known: &Known,
    at: Timestamp,
) -> Report {
    let settings = known.settings.as_deref().unwrap_or(&enterprise.provisioning);
    let id = person_id(assertion, enterprise);
    let names = &settings.attributes;
    let (attributes, structured) = (assertion.attributes(), assertion.structured_attributes());
    let claim = match Reading::of(assertion.stable_id(), attributes, structured, names) {
        Ok(reading) => provisioning::doubt(reading.claim, settings),
        Err(error) => return Report::unusable(trail, (assertion, id), &error),
    };
    let used = match provisioning::settle(&claim, settings) {
        Ok(used) => used,
        Err(error) => return Report::groupless(trail, (assertion, id), &error),
    };
    let current = Current {
        person: id,
        memberships: known.person.as_ref().map_or(&[], |p| &p.memberships),
        invitations: &known.invitations,
        organizations: &known.organizations,
        is_break_glass: settings.break_glass.iter().any(|user| user == assertion.stable_id().value()),
        now: at,
    };
    let plan = provisioning::plan(&current, &used, settings);
    Report::accepted(trail, (assertion, id), &claim, settings, &plan)
}

fn person_id(assertion: &VerifiedAssertion, enterprise: &config::EnterpriseSettings) -> PersonId {
    PersonId::of_stable_id(EnterpriseId::of(&enterprise.slug), assertion.issuer(), assertion.stable_id())
}

/// The captured octets.
fn read(options: &Options) -> Result<Vec<u8>, Failure> {
    let name = options.file.display().to_string();
    let hint = "name a file that holds one SAML response, as XML or as the base64 form value";
    let length = std::fs::metadata(&options.file).map_err(|error| unusable(&name, error, hint))?.len();
    if length > FILE_BYTES_MAX {
        return Err(unusable(name, format!("is longer than {FILE_BYTES_MAX} bytes"), hint));
    }
    std::fs::read(&options.file).map_err(|error| unusable(name, error, hint))
}

/// XML as it is; a form body or a form value through the decoder of the ACS. The words say which it was.
fn decode(captured: &[u8]) -> Result<(Vec<u8>, String), Refusal> {
    let trimmed = captured.trim_ascii();
    if trimmed.starts_with(b"<") {
        return Ok((trimmed.to_vec(), "given as XML, no base64 to decode".into()));
    }
    let field =
        form_urlencoded::parse(trimmed).find(|(name, _)| name == "SAMLResponse").map(|(_, value)| value);
    let value = match field {
        Some(value) => value.into_owned().into_bytes(),
        None if trimmed.contains(&b'%') => percent_encoding::percent_decode(trimmed).collect(),
        None => trimmed.to_vec(),
    };
    let decoded = saml::decode(&value)?;
    let how = format!("base64 of {} bytes", decoded.len());
    Ok((decoded, how))
}

/// The connection that the gateway would judge by. What metadata says of the IdP is got now, from its file or URL.
async fn connection(enterprise: &config::EnterpriseSettings, at: Timestamp) -> Result<Connection, Failure> {
    let saml = match &enterprise.metadata {
        None => enterprise.saml.clone(),
        Some(metadata) => {
            let hint = "the IdP's metadata must be at hand, and valid at the time to judge at";
            let found = metadata.once(at).await;
            found.map_err(|error| unusable(metadata.source.shown(), error, hint))?.apply(&enterprise.saml)
        }
    };
    Connection::new(saml).map_err(|error| {
        unusable("connection", error, "mend the certificates of the enterprise in the configuration")
    })
}

/// The ACS knows its URL from the host that the POST came to. Here the one that the message names stands in for it,
/// if it is one of ours; what the message may say of it is judged by the checks all the same.
fn choose_acs_url<'a>(response: &[u8], enterprise: &'a config::EnterpriseSettings) -> &'a str {
    let named = |url: &&String| response.windows(url.len()).any(|window| window == url.as_bytes());
    let first = enterprise.acs_urls.first().map_or("", String::as_str);
    enterprise.acs_urls.iter().find(named).map_or(first, String::as_str)
}

/// What the store holds of the person of `--person`.
#[derive(Default)]
struct Known {
    person: Option<Person>,
    invitations: Vec<Invitation>,
    /// Those that the person belongs to.
    organizations: BTreeMap<OrganizationSlug, Organization>,
    /// With the organizations that were created; `None` where no store was looked at.
    settings: Option<Arc<provisioning::Settings>>,
}

async fn load_known(options: &Options, enterprise: &config::EnterpriseSettings) -> Result<Known, Failure> {
    let Some(text) = &options.person else { return Ok(Known::default()) };
    let hint = "give the person's id as the log shows it: 32 hexadecimal digits";
    let id = PersonId::parse(text).ok_or_else(|| unusable("--person", "is no id of a person", hint))?;
    let hint =
        "the store of the configuration must be reachable; stop the gateway if it holds an embedded one";
    // Looking must not leave an empty store behind.
    if let store::Settings::Embedded(embedded) = &options.config.store
        && !embedded.path.exists()
    {
        return Err(unusable("store", format!("{} is not there", embedded.path.display()), hint));
    }
    let broken = |error: store::StoreError| unusable("store", error, hint);
    let store = store::open(&options.config.store).await.map_err(broken)?;
    let directory = crate::directory::Directory::new(
        store,
        options.config.session.clone(),
        crate::telemetry::Metrics::new(),
    );
    let tenant = EnterpriseId::of(&enterprise.slug);
    let person = directory.person(tenant, id, options.at).await.map_err(broken)?;
    let person = person
        .ok_or_else(|| unusable("--person", "is not in the store", "leave it out to plan for someone new"))?;
    let mut organizations = BTreeMap::new();
    for membership in &person.memberships {
        let record =
            directory.organization(tenant, &membership.organization, options.at).await.map_err(broken)?;
        organizations.insert(record.slug.clone(), record);
    }
    let invitations = match &person.profile.email {
        Some(email) => {
            let address = AddressId::of(tenant, email);
            directory.invitee(tenant, address, options.at).await.map_err(broken)?.invitations
        }
        None => vec![],
    };
    let settings = directory.settings(&enterprise.tenant(), options.at).await.map_err(broken)?;
    Ok(Known { person: Some(person), invitations, organizations, settings: Some(settings) })
}
