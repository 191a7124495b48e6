//! `serve`: runs the gateway until it is told to stop, and takes up what its configuration becomes.
use std::{io, path::Path, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, Outcome, file_watch::FileWatch, load, read, runtime, told_to_stop};
use crate::{
    config::{Loaded, Mode},
    gateway::{self, Running},
    store, telemetry,
};

/// How the compiler optimized this program: "3" in the profiles `production` and `bench`.
const OPT_LEVEL: &str = env!("BUILD_OPT_LEVEL");

/// Runs the gateway until it is told to stop; then lets the requests under way end. Reads the configuration anew at SIGHUP
/// and when one of its files has changed.
pub fn serve(config: &Path) -> Result<Outcome, Failure> {
    let mut files = FileWatch::of(config);
    let Loaded { settings, warnings } = load(config)?;
    files.also(settings.fingerprint.files());
    telemetry::init(&settings.telemetry)
        .map_err(|error| failure("log", &error, "mend [log] or [audit] in the configuration"))?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = quick_build(settings.mode, OPT_LEVEL) {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(async {
        // Whoever sends the signal while the gateway starts means a reload, and not its end.
        let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
        let hint = "start the store, or mend [store] in the configuration";
        let store = store::open(&settings.store).await.map_err(|error| failure("store", &error, hint))?;
        let hint = "free the address, or mend [listen] in the configuration";
        let mut running = gateway::start(&settings, store, telemetry::Metrics::new())
            .await
            .map_err(|error| failure("gateway", &error, hint))?;
        let url = &settings.edge.public_url;
        tracing::info!(
            public = %running.public_address, private = %running.private_address,
            "serving {}://{}", url.scheme, url.authority
        );
        run(&mut running, config, files, hangup).await.map_err(no_signals)?;
        tracing::info!("stopping: requests under way may end");
        running.shutdown().await;
        Ok(Outcome::Fine)
    })
}

/// Takes up every new configuration until told to stop. One that is no good changes nothing.
async fn run(
    running: &mut Running,
    config: &Path,
    mut files: FileWatch,
    mut hangup: Signal,
) -> io::Result<()> {
    let mut stop = pin!(told_to_stop());
    loop {
        let why = tokio::select! {
            stopped = &mut stop => return stopped,
            Some(()) = hangup.recv() => "SIGHUP",
            () = files.changed() => "a file has changed",
        };
        tracing::info!(why, "reading the configuration anew");
        files.catch_up();
        let read = read(config);
        if let Ok(Loaded { settings, .. }) = &read {
            files.also(settings.fingerprint.files());
        }
        // It has told the log and the metrics what came of it.
        let _ = running.reload(read).await;
    }
}

fn no_signals(error: io::Error) -> Failure {
    failure("signals", &error, "run on a system with signals")
}

/// What to say of a build that is too slow for its use.
fn quick_build(mode: Mode, opt_level: &str) -> Option<&'static str> {
    (mode == Mode::Production && opt_level != "3").then_some(
        "this build is for a quick first look and several times slower: build with --profile production",
    )
}

fn failure(what: &str, why: &dyn std::fmt::Display, hint: &str) -> Failure {
    Failure::Failed(format!("{what}: {why}: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quick_build_in_production_is_warned_of() {
        assert!(quick_build(Mode::Production, "0").is_some() && quick_build(Mode::Production, "1").is_some());
        assert!(
            quick_build(Mode::Production, "3").is_none() && quick_build(Mode::Development, "0").is_none()
        );
    }
}
