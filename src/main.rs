//! The command line: arguments in, exit code out. What the subcommands do stands in `portcullis::commands`.
//!
//! Exit codes: 0 fine, 1 failed or invalid, 2 usage (which clap answers itself).
#![forbid(unsafe_code)]
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use portcullis::commands::{self, Failure, Outcome};

/// Requests allocate small and free soon, on threads of their own (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A SAML gateway: signs people in, keeps their memberships in step with the identity provider, and forwards their
/// requests to the applications behind it.
#[derive(Parser)]
#[command(name = "portcullis", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve(ConfigArguments),
    /// Check a configuration: every fault at once, with its line and how to mend it
    Check {
        #[command(flatten)]
        config: ConfigArguments,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Run everything on this machine: gateway, development IdP, application
    Demo {
        /// Walk through it without a person, print each step, and stop
        #[arg(long)]
        check: bool,
        /// Where the demo keeps its store
        #[arg(long, value_name = "DIR", default_value = "portcullis-demo")]
        folder: PathBuf,
    },
    /// Run the development IdP alone
    Idp {
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
    },
    /// Print our own SAML metadata, or import an identity provider's
    #[command(args_conflicts_with_subcommands = true)]
    Metadata {
        #[command(flatten)]
        config: ConfigArguments,
        /// The enterprise whose metadata it is; may be left out if there is only one
        #[arg(long, value_name = "NAME")]
        enterprise: Option<String>,
        #[command(subcommand)]
        command: Option<MetadataCommand>,
    },
    /// Show what would become of each organization if deprovisioning were on
    Plan(LookArguments),
    /// Explain why a person is, or is not, in an organization
    Explain {
        #[command(flatten)]
        look: LookArguments,
        /// The person, by what identifies people at the IdP (usually the NameID), or by id
        #[arg(long, value_name = "USER")]
        person: String,
        #[arg(long, value_name = "NAME")]
        organization: String,
    },
    /// Look into SAML messages
    #[command(subcommand)]
    Saml(SamlCommand),
}

#[derive(Subcommand)]
enum MetadataCommand {
    /// Turn an identity provider's metadata into configuration, with warnings
    Import {
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
    },
}

#[derive(Subcommand)]
enum SamlCommand {
    /// Explain what the gateway would do with a captured response
    Inspect {
        /// The response, as XML or as the base64 value of the form
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArguments,
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
    },
}

/// What commands that look into one enterprise's store are given.
#[derive(Args)]
struct LookArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The enterprise; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    enterprise: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args)]
struct ConfigArguments {
    /// The configuration; PORTCULLIS_CONFIG or ./config.toml if left out
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Serve(config) => commands::serve(&config.path()),
        Command::Check { config, format } => commands::check(&config.path(), format.into()),
        Command::Demo { check, folder } => commands::demo(&folder, check),
        Command::Idp {
            listen,
            url,
            people,
            service_providers,
            key,
            certificate,
            request_certificates,
            encrypt_to,
        } => {
            let key = key.zip(certificate);
            let idp = commands::Idp {
                listen,
                url,
                people,
                service_providers,
                key,
                request_certificates,
                encrypt_to,
            };
            commands::idp(idp)
        }
        Command::Metadata { config, enterprise, command: None } => {
            commands::metadata(&config.path(), enterprise.as_deref())
        }
        Command::Metadata { command: Some(command), .. } => {
            let MetadataCommand::Import {
                source,
                entity_id,
                enterprise,
                certificates,
                signers,
                ca,
                internal_networks,
            } = command;
            commands::import(&commands::Import {
                source,
                entity_id,
                enterprise,
                certificates,
                signers,
                ca,
                internal_networks,
            })
        }
        Command::Plan(LookArguments { config, enterprise, format }) => {
            commands::plan(&commands::Plan { config: config.path(), enterprise, format: format.into() })
        }
        Command::Explain { look: LookArguments { config, enterprise, format }, person, organization } => {
            let (config, format) = (config.path(), format.into());
            commands::explain(&commands::Explain { config, enterprise, person, organization, format })
        }
        Command::Saml(SamlCommand::Inspect { file, config, enterprise, at, request_ids, person, format }) => {
            commands::inspect(commands::Inspect {
                file,
                config: config.path(),
                enterprise,
                at,
                request_ids,
                person,
                format: format.into(),
            })
        }
    }
}

impl ConfigArguments {
    fn path(self) -> PathBuf {
        self.config.unwrap_or_else(commands::default_config)
    }
}

impl From<Format> for commands::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }
}
