//! The demo: a gateway, an IdP and an origin server on this machine, and a walk through them that checks itself.
//!
//! The gateway itself is started by the caller, through [`run`]'s `start`: so the demo knows nothing of how it is built,
//! and the walk sees of it what a browser sees, and who owns an organization.
pub mod browser;
#[cfg(test)]
mod fake_gateway;
mod html;
pub mod origin;
mod stage;
pub mod walk;

use std::{
    future::Future,
    io::{self, Write},
    path::PathBuf,
};

pub use self::stage::{Ports, Stage, StageError};
use crate::domain::{Organization, OrganizationSlug};

/// What to run, and where.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// Take the walk and stop, instead of waiting for somebody to click.
    pub check: bool,
    /// Where the store lies; `portcullis-demo` if `None`. A check always uses a new folder within, or the system's
    /// folder for temporary files, and removes it.
    pub folder: Option<PathBuf>,
    pub ports: Ports,
}

/// A running gateway, as far as the demo is concerned.
pub trait RunningGateway {
    /// An organization of the demo's enterprise as the gateway's directory has it; the error is for people to read.
    fn organization(
        &self,
        slug: &OrganizationSlug,
    ) -> impl Future<Output = Result<Organization, String>> + Send;

    /// Stops it and lets requests in flight end.
    fn shutdown(self) -> impl Future<Output = ()> + Send;
}

/// Why the demo did not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("the gateway did not start: {0}")]
    Gateway(String),
    #[error("cannot write to the terminal: {0}")]
    Output(#[from] io::Error),
}

/// Starts everything, then takes the walk or waits for Ctrl-C. The answer is whether all went well: `false` if a step of
/// the walk failed.
///
/// `start` starts the gateway on the given stage: it listens at [`Stage::gateway_port`], trusts [`Stage::idp_entity_id`],
/// keeps its store in [`Stage::folder`], provisions and deprovisions, manages the organizations of [`ORGANIZATIONS`],
/// gives ownership by [`OWNERS`], and sends every request of a signed-in person to [`Stage::origin`].
pub async fn run<G: RunningGateway>(
    options: DemoOptions,
    out: &mut impl Write,
    start: impl AsyncFnOnce(&Stage) -> Result<G, String>,
) -> Result<bool, DemoError> {
    let stage = Stage::set(&options).await?;
    let gateway = match start(&stage).await {
        Ok(gateway) => gateway,
        Err(error) => {
            stage.clear().await;
            return Err(DemoError::Gateway(error));
        }
    };
    let outcome = if options.check {
        walk::walk(&stage, &gateway, out).await
    } else {
        show(&stage, out).await.map(|()| true)
    };
    gateway.shutdown().await;
    stage.clear().await;
    Ok(outcome?)
}

/// The organizations of the demo's enterprise.
pub const ORGANIZATIONS: &[&str] = &["docs-team", "hubot-lab", "octo-org"];
/// The group whose people own an organization, and that organization.
pub const OWNERS: (&str, &str) = ("octo-org-owners", "octo-org");

/// Says where to click, and waits.
async fn show(stage: &Stage, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{}", welcome(stage))?;
    out.flush()?;
    interrupted().await?;
    writeln!(out, "\nStopping.")
}

fn welcome(stage: &Stage) -> String {
    let (gateway, idp, folder) = (&stage.gateway_url, &stage.idp_url, stage.folder.display());
    let organizations = ORGANIZATIONS.join(", ");
    format!(
        "The Portcullis demo runs on this machine. Ctrl-C stops all of it.

  1. Sign in          {gateway}/
     Pick a person. Alice comes back as owner of octo-org, Bob as member of octo-org and hubot-lab.

  2. Change groups    {idp}/
     Organizations have groups of the same name: {organizations}.

  3. Sign in again    {gateway}/saml/login?return_to=/
     Watch that person join and leave.

  4. Sign out         {gateway}/saml/logout
     There, or from {idp}/ for every session at once.

Memberships are kept in {folder}; delete it to start afresh.
"
    )
}

/// Ready at Ctrl-C, or when the process is asked to end.
async fn interrupted() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gateway_that_does_not_start_is_reported_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let options =
            DemoOptions { check: true, folder: Some(parent.path().into()), ports: Ports::default() };
        let mut folder = PathBuf::new();
        let outcome = run(options, &mut Vec::new(), async |stage: &Stage| {
            folder = stage.folder.clone();
            assert!(folder.is_dir());
            Err::<fake_gateway::FakeGateway, _>("no key".to_owned())
        })
        .await;
        assert_eq!(outcome.unwrap_err().to_string(), "the gateway did not start: no key");
        assert!(folder.starts_with(parent.path()) && !folder.exists());
    }
}
