//! Where audit lines go: with the log, or elsewhere.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::log::AUDIT;

/// Where audit lines go beside the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditSink {
    /// To standard error, with the log.
    Log,
    Stdout,
    /// Appended to, and opened anew when it was moved away.
    File(PathBuf),
}

/// Standard error for the log, the sink for audit lines.
pub(super) struct Outlets(Audit);

enum Audit {
    Log,
    Stdout,
    File(AuditFile),
}

impl Outlets {
    pub fn open(sink: &AuditSink) -> io::Result<Self> {
        Ok(Self(match sink {
            AuditSink::Log => Audit::Log,
            AuditSink::Stdout => Audit::Stdout,
            AuditSink::File(path) => Audit::File(AuditFile::open(path)?),
        }))
    }
}

impl<'w> MakeWriter<'w> for Outlets {
    type Writer = Box<dyn Write + 'w>;

    fn make_writer(&'w self) -> Self::Writer {
        Box::new(io::stderr())
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        match &self.0 {
            Audit::Stdout if metadata.target() == AUDIT => Box::new(io::stdout()),
            Audit::File(file) if metadata.target() == AUDIT => Box::new(file),
            _ => self.make_writer(),
        }
    }
}

struct AuditFile {
    path: PathBuf,
    open: Mutex<File>,
}

impl AuditFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), open: Mutex::new(appending(path)?) })
    }
}

impl Write for &AuditFile {
    /// Whole lines come, and are written as a whole. Another process may have moved the file away: then a new one is begun.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.metadata().map(|file| (file.dev(), file.ino())).ok();
        let there = fs::metadata(&self.path).map(|file| (file.dev(), file.ino())).ok();
        if mine.is_none() || mine != there {
            *open = appending(&self.path)?;
        }
        open.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// It says what people are called and where they belong: for its owner only.
fn appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Timestamp,
        telemetry::{AuditAction, AuditEvent, LogFormat, Settings, Trigger, audit, log::subscriber},
    };

    #[test]
    fn audit_lines_go_to_the_file_and_to_a_new_one_once_it_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        let sink = AuditSink::File(path.clone());
        let settings = Settings { format: LogFormat::Text, level: "off".into(), audit: sink.clone() };
        let subscriber = subscriber(&settings, Outlets::open(&sink).unwrap()).unwrap();
        let event = AuditEvent::new(Timestamp::UNIX_EPOCH, AuditAction::SignOut, Trigger::Person, "example");
        tracing::subscriber::with_default(subscriber, || {
            audit(&event);
            audit(&event);
            fs::rename(&path, &moved).unwrap();
            audit(&event);
            tracing::warn!("not an event");
        });
        let lines = |path| fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((lines(&moved), lines(&path)), (2, 1));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(Outlets::open(&AuditSink::File(folder.path().join("none/audit.jsonl"))).is_err());
    }
}
