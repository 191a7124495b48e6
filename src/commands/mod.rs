//! What each subcommand takes and does. `main` has the tree of subcommands and the exit codes.
//!
//! The documentation of the arguments is what `--help` prints.
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use crate::{
    config::{self, CONFIG_VARIABLE, EnterpriseSettings, Fault, Loaded, Overrides, Source},
    domain::EnterpriseSlug,
};

mod audit;
mod check;
mod check_store;
mod demo;
mod directory;
mod dump;
mod explain;
mod file_watch;
mod idp;
mod inspect;
mod look;
mod metadata;
mod people;
mod plan;
mod serve;

pub use audit::{Audit, audit};
pub use check::check;
pub use check_store::{Repair, check_store};
pub use demo::demo;
pub use dump::{export, import as import_store};
pub use explain::{Explain, explain};
pub use idp::{Idp, idp};
pub use inspect::{Inspect, inspect};
pub use metadata::{Import, import, metadata};
pub use people::{
    Hold, InvitationCommand, Org, PersonCommand, SessionCommand, Token, hold, invitation, org, person,
    session, token,
};
pub use plan::{Plan, plan};
pub use serve::serve;

/// How a command ended that said on standard output what there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Fine,
    /// Exit code 1: a response was refused, a step of the demo failed.
    Failed,
}

/// Why a command could not do its work. Shown on standard error, one line each, as `what: why: how to mend it`.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1: the configuration is invalid.
    Config(Vec<Fault>),
    /// Exit code 1.
    Failed(String),
    /// Exit code 2: the arguments make no sense together.
    Usage(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(faults) => faults.iter().try_for_each(|fault| writeln!(f, "{fault}")),
            Self::Failed(message) | Self::Usage(message) => writeln!(f, "portcullis: {message}"),
        }
    }
}

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration; PORTCULLIS_CONFIG or ./config.toml if left out
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    pub fn path(&self) -> PathBuf {
        let named = self.config.clone().or_else(|| std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
        named.unwrap_or_else(|| "config.toml".into())
    }
}

/// Reads a configuration file with the environment over it.
pub fn load(file: &Path) -> Result<Loaded, Failure> {
    read(file).map_err(Failure::Config)
}

/// [`load`] for whoever does not end with the faults.
fn read(file: &Path) -> Result<Loaded, Vec<Fault>> {
    let source = Source::file(file).map_err(|fault| vec![fault])?;
    config::load(&source, &Overrides::from_env())
}

/// The enterprise of that name, or the only one there is; else why there is none, as `what: why: how to mend it`.
fn choose_enterprise<'s>(
    settings: &'s config::Settings,
    name: Option<&str>,
) -> Result<&'s EnterpriseSettings, String> {
    let all = &settings.enterprises;
    let names: Vec<&str> = all.iter().map(|enterprise| enterprise.slug.as_str()).collect();
    let unusable = |why: String| {
        format!("--enterprise: {why}: name one of the configuration's enterprises with --enterprise")
    };
    match (name, all.as_slice()) {
        (Some(name), _) => {
            let slug = EnterpriseSlug::parse(name).map_err(|error| unusable(error.to_string()))?;
            let found = all.iter().find(|enterprise| enterprise.slug == slug);
            found.ok_or_else(|| unusable(format!("there is no {slug} among {}", names.join(", "))))
        }
        (None, [only]) => Ok(only),
        (None, _) => Err(unusable(format!("there are several: {}", names.join(", ")))),
    }
}

/// The runtime of a command: the gateway's workers have runtimes of their own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| {
        Failure::Failed(format!("runtime: {error}: raise the limits of threads and open files of this user"))
    })
}

/// Ready at Ctrl-C, or when the process is asked to end.
async fn told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
