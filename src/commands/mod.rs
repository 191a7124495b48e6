//! What each subcommand does. The command line itself is read in `main`.
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::config::{self, CONFIG_VARIABLE, Fault, Loaded, Overrides, Source};

mod check;

pub use check::check;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// The arguments of `saml inspect`.
#[derive(Debug)]
pub struct Inspect {
    pub file: PathBuf,
    pub config: PathBuf,
    pub enterprise: Option<String>,
    /// RFC 3339.
    pub at: Option<String>,
    pub request_ids: Vec<String>,
    pub person: Option<String>,
    pub format: Format,
}

/// The configuration file where `--config` names none.
pub fn default_config() -> PathBuf {
    std::env::var_os(CONFIG_VARIABLE).map_or_else(|| "config.toml".into(), PathBuf::from)
}

/// Reads a configuration file with the environment over it.
pub fn load(file: &Path) -> Result<Loaded, Failure> {
    let source = Source::file(file).map_err(|fault| Failure::Config(vec![fault]))?;
    config::load(&source, &Overrides::from_env()).map_err(Failure::Config)
}

/// Runs the gateway until it is told to stop.
pub fn serve(config: &Path) -> Result<Outcome, Failure> {
    load(config)?;
    Err(not_built("serve"))
}

/// Runs gateway, development IdP and an application, or walks through them.
pub fn demo(_folder: &Path, _check: bool) -> Result<Outcome, Failure> {
    Err(not_built("demo"))
}

/// Runs the development IdP alone.
pub fn idp(_listen: SocketAddr, _folder: &Path) -> Result<Outcome, Failure> {
    Err(not_built("idp"))
}

/// Explains what the gateway would do with a captured response.
pub fn inspect(arguments: Inspect) -> Result<Outcome, Failure> {
    load(&arguments.config)?;
    Err(not_built("saml inspect"))
}

fn not_built(command: &str) -> Failure {
    Failure::Failed(format!("{command}: is not built yet: use a later version"))
}
