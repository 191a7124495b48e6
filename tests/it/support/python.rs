//! Python with the Debian packages that the tests compare themselves with.
use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// The interpreter that Debian's `python3-*` packages belong to; another may come first in the path.
const DEBIAN: &str = "/usr/bin/python3";

/// Starts a script of this repository with both ends piped.
///
/// # Panics
/// If there is no Python.
pub fn spawn(script: &str) -> Child {
    let python = if Path::new(DEBIAN).exists() { DEBIAN } else { "python3" };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let mut command = Command::new(python);
    // Not from the environment, and no cache files beside the script.
    command.arg("-sB").arg(script).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap_or_else(|e| {
        panic!("cannot start `{python}`: {e}: `scripts/test` installs what the tests need")
    })
}
