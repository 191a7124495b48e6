//! A child process on a free port: started, awaited, logged, and ended together with whatever it started.
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::ports;

/// How long a child may take until it is ready.
const READY_SECONDS_MAX: u64 = 60;
/// How long a child may take to end after SIGTERM before it gets SIGKILL, and to be gone after that.
const END_SECONDS_MAX: u64 = 5;
/// How long a condition may take to come true, on a machine that has other things to do.
const CONDITION_SECONDS_MAX: u64 = 60;
/// Another process may take the port between its choice and its use.
const START_ATTEMPTS_MAX: usize = 3;
const POLL_MS: u64 = 20;

/// A running child. Dropping it ends it and its own children; a panic before that prints its log.
pub struct Process {
    name: String,
    port: u16,
    child: Child,
    folder: tempfile::TempDir,
}

impl Process {
    /// Starts `command(port)` on a free port and waits until `ready(port)`.
    ///
    /// # Panics
    /// With the child's log if it ends or is not ready in time, and with what to do if it is not installed.
    pub fn start(name: &str, command: impl Fn(u16) -> Command, ready: impl Fn(u16) -> bool) -> Self {
        Self::start_until(name, command, |process| ready(process.port))
    }

    /// The same for a child that tells by what it writes whether it is ready.
    pub fn start_until(name: &str, command: impl Fn(u16) -> Command, ready: impl Fn(&Self) -> bool) -> Self {
        let mut log = String::new();
        for _ in 0..START_ATTEMPTS_MAX {
            let port = ports::free();
            let mut process = Self::spawn(name, port, command(port));
            match process.await_ready(&ready) {
                Ok(()) => return process,
                Err(status) => log = format!("{status}\n{}", process.log()),
            }
        }
        panic!("{name} ended before it was ready: {log}");
    }

    /// The port it was given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id, which is also the id of its process group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output and standard error until now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Sends it what Ctrl-C sends, and gives its exit code if it ends by itself.
    pub fn interrupt(&mut self) -> Option<i32> {
        signal("-INT", &self.child.id().to_string());
        self.ends();
        self.child.try_wait().expect("the child's state")?.code()
    }

    /// Sends it what a terminal sends that goes away, and `reload` in a unit file.
    pub fn hang_up(&self) {
        signal("-HUP", &self.child.id().to_string());
    }

    /// Ends it and its children at once, as a crash does, and waits until it is gone.
    pub fn kill(&mut self) {
        signal("-KILL", &format!("-{}", self.child.id()));
        self.child.wait().expect("the child's end");
    }

    fn spawn(name: &str, port: u16, mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the log");
        let log = File::create(folder.path().join("log")).expect("a log file");
        let errors = log.try_clone().expect("a second handle of the log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0).spawn();
        let child = child.unwrap_or_else(|e| {
            let program = command.get_program().to_string_lossy();
            panic!("{name}: cannot start `{program}`: {e}: `scripts/test` installs what the tests need")
        });
        Self { name: name.to_owned(), port, child, folder }
    }

    /// `Err` if the child ended first.
    fn await_ready(&mut self, ready: impl Fn(&Self) -> bool) -> Result<(), ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        loop {
            if let Some(status) = self.child.try_wait().expect("the child's state") {
                return Err(status);
            }
            if ready(self) {
                return Ok(());
            }
            assert!(Instant::now() < deadline, "{} not ready: {}", self.name, self.log());
            thread::sleep(Duration::from_millis(POLL_MS));
        }
    }

    /// Whether the child ended within `END_SECONDS_MAX`.
    fn ends(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(END_SECONDS_MAX);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(POLL_MS));
        }
        false
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {} wrote:\n{}", self.name, self.log());
        }
        let group = format!("-{}", self.child.id());
        signal("-TERM", &group);
        self.ends();
        // The group outlives its leader as long as one of the leader's children runs.
        signal("-KILL", &group);
        let _ = self.child.wait();
    }
}

/// Whether `condition` comes true within `CONDITION_SECONDS_MAX`. What was killed is gone a moment later, not at once.
pub fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(CONDITION_SECONDS_MAX);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(POLL_MS));
    }
    true
}

/// The standard library has no way to signal a group.
fn signal(name: &str, group: &str) {
    let _ = Command::new("kill").args([name, "--", group]).stderr(Stdio::null()).status();
}

#[test]
fn a_process_is_awaited_logged_and_ended_with_its_children() {
    let script = "sleep 300 & echo child $!; echo ready; wait";
    let command = |_| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    let mut process = Process::spawn("sh", 0, command(0));
    process.await_ready(|process| process.log().contains("ready")).expect("ready");
    let text = process.log();
    let child = text.split_whitespace().nth(1).expect("the child's id").to_owned();
    assert!(is_running(&child));
    drop(process);
    assert!(eventually(|| !is_running(&child)));
}

#[test]
#[should_panic(expected = "ended before it was ready: exit status: 3\nwhy")]
fn an_early_end_shows_the_log() {
    let command = |_| {
        let mut command = Command::new("sh");
        command.args(["-c", "echo why; exit 3"]);
        command
    };
    Process::start("sh", command, |_| false);
}

/// A process that was killed and that nobody has reaped yet does not count.
#[cfg(test)]
fn is_running(id: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

/// The program itself, served until it is killed with whatever it has in its hands.
pub struct Killed(Child);

impl Killed {
    pub fn serve(mut command: Command) -> Self {
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the program starts"))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // SIGKILL: nothing is put in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
