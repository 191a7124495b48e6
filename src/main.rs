//! The command line: the tree of subcommands in, exit code out. What they take and do stands in `portcullis::commands`.
//!
//! Exit codes: 0 fine, 1 failed or invalid, 2 usage (which clap answers itself).
#![forbid(unsafe_code)]
use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use portcullis::commands::{self, ConfigFile, Failure, Format, Outcome, Repair};

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
    Serve {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Check a configuration: every fault at once, with its line and how to mend it
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// Look into the store too, whether everything in it agrees
        #[arg(long)]
        store: bool,
        /// Show what would put indexes in step with the records again; records and audit streams are never changed
        #[arg(long, requires = "store")]
        repair: bool,
        /// Do it. Stop the gateways first, and keep an export
        #[arg(long, requires = "repair")]
        apply: bool,
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
    Idp(commands::Idp),
    /// Print our own SAML metadata, or import an identity provider's
    #[command(args_conflicts_with_subcommands = true)]
    Metadata {
        #[command(flatten)]
        config: ConfigFile,
        /// The enterprise whose metadata it is; may be left out if there is only one
        #[arg(long, value_name = "NAME")]
        enterprise: Option<String>,
        #[command(subcommand)]
        command: Option<MetadataCommand>,
    },
    Plan(commands::Plan),
    Explain(commands::Explain),
    #[command(subcommand)]
    Org(commands::Org),
    #[command(subcommand)]
    Person(commands::PersonCommand),
    #[command(subcommand)]
    Invitation(commands::InvitationCommand),
    #[command(subcommand)]
    Session(commands::SessionCommand),
    #[command(subcommand)]
    Token(commands::Token),
    #[command(subcommand)]
    Hold(commands::Hold),
    Audit(commands::Audit),
    /// Write the whole store to a file, as JSON lines with a checksum
    Export {
        #[command(flatten)]
        config: ConfigFile,
        /// A file that is not there yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Fill an empty store with what `export` wrote, from whichever kind of store
    Import {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Look into SAML messages
    #[command(subcommand)]
    Saml(SamlCommand),
}

#[derive(Subcommand)]
enum MetadataCommand {
    Import(commands::Import),
}

#[derive(Subcommand)]
enum SamlCommand {
    Inspect(commands::Inspect),
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
        Command::Serve { config } => commands::serve(&config.path()),
        Command::Check { config, store: false, format, .. } => commands::check(&config.path(), format),
        Command::Check { config, store: true, repair, apply, format } => {
            let how = match (repair, apply) {
                (_, true) => Repair::Apply,
                (true, false) => Repair::Show,
                (false, false) => Repair::No,
            };
            commands::check_store(&config.path(), format, how)
        }
        Command::Audit(arguments) => commands::audit(arguments),
        Command::Export { config, file } => commands::export(&config.path(), &file),
        Command::Import { config, file } => commands::import_store(&config.path(), &file),
        Command::Demo { check, folder } => commands::demo(&folder, check),
        Command::Idp(arguments) => commands::idp(arguments),
        Command::Metadata { command: Some(MetadataCommand::Import(arguments)), .. } => {
            commands::import(&arguments)
        }
        Command::Metadata { config, enterprise, command: None } => {
            commands::metadata(&config.path(), enterprise.as_deref())
        }
        Command::Plan(arguments) => commands::plan(&arguments),
        Command::Explain(arguments) => commands::explain(&arguments),
        Command::Org(command) => commands::org(command),
        Command::Person(command) => commands::person(command),
        Command::Invitation(command) => commands::invitation(command),
        Command::Session(command) => commands::session(command),
        Command::Token(command) => commands::token(command),
        Command::Hold(command) => commands::hold(command),
        Command::Saml(SamlCommand::Inspect(arguments)) => commands::inspect(arguments),
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
