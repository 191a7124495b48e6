//! `export` and `import`: the whole store as JSON lines, from one kind of store to another.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{
    Failure, Outcome,
    audit::{open_whole, store_failure},
    runtime,
};
use crate::{
    domain::{Timestamp, hex},
    store::{
        Piece, StoreError,
        dump::{DumpFault, Reader, Summary, Writer},
    },
};

/// Writes the store of the configuration to a new file. Nothing is left of a file that could not be finished.
pub fn export(config: &Path, file: &Path) -> Result<Outcome, Failure> {
    let part = part_of(file);
    if file.exists() {
        return Err(about(file, &"it is there already", "name another file"));
    }
    let written = runtime()?.block_on(write(config, &part));
    let summary = written.inspect_err(|_| drop(fs::remove_file(&part)))?;
    fs::rename(&part, file)
        .map_err(|error| about(file, &error, "name a file in a folder that can be written"))?;
    println!("{}: {} pieces, SHA-256 {}", file.display(), summary.pieces, hex(&summary.sha256));
    Ok(Outcome::Fine)
}

/// Fills the empty store of the configuration, after the whole file was found to be as it was written.
pub fn import(config: &Path, file: &Path) -> Result<Outcome, Failure> {
    let summary = reader(file)?.verify().map_err(|fault| unusable(file, &fault))?;
    runtime()?.block_on(async {
        let (settings, store) = open_whole(config).await?;
        let (mut pieces, mut failed) = (reader(file)?, None);
        // It is read once more: what was changed since it was verified ends in a fault of its last line.
        let mut next = || {
            pieces.next().map_err(|fault| {
                failed = Some(fault);
                StoreError::Misuse("the file ended the import")
            })
        };
        let restored = store.restore(Timestamp::now(), summary.sha256, &mut next).await;
        if let Some(fault) = failed {
            return Err(unusable(file, &fault));
        }
        restored.map_err(|error| store_failure(&error, &settings))
    })?;
    println!("{}: {} pieces imported, SHA-256 {}", file.display(), summary.pieces, hex(&summary.sha256));
    Ok(Outcome::Fine)
}

async fn write(config: &Path, part: &Path) -> Result<Summary, Failure> {
    let hint = "name a file in a folder that can be written";
    let (settings, store) = open_whole(config).await?;
    let now = Timestamp::now();
    // It holds what people are called and where they belong: for its owner only.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    let created = created.map_err(|error| about(part, &error, hint))?;
    let mut writer =
        Writer::begin(BufWriter::new(created), now).map_err(|error| about(part, &error, hint))?;
    let mut failed = None;
    let mut visit = |piece: Piece| {
        if let Piece::Foreign { key, why } = &piece {
            let hint = "remove it, or export with the version that wrote it";
            failed = Some(Failure::Failed(format!("{}: it {why}: {hint}", key.escape_debug())));
        } else if let Err(error) = writer.piece(&piece) {
            failed = Some(about(part, &error, hint));
        }
        if failed.is_none() { Ok(()) } else { Err(StoreError::Misuse("the file ended the export")) }
    };
    let walked = store.walk(now, &mut visit).await;
    if let Some(failure) = failed {
        return Err(failure);
    }
    walked.map_err(|error| store_failure(&error, &settings))?;
    let ended = writer.end().and_then(|(file, summary)| {
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(summary)
    });
    ended.map_err(|error| about(part, &error, hint))
}

fn reader(file: &Path) -> Result<Reader<BufReader<File>>, Failure> {
    let opened = File::open(file).map_err(|error| about(file, &error, "name an export that can be read"))?;
    Reader::begin(BufReader::new(opened)).map_err(|fault| unusable(file, &fault))
}

fn unusable(file: &Path, fault: &DumpFault) -> Failure {
    about(file, fault, "nothing was taken over that counts: name a file that `portcullis export` wrote")
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn about(file: &Path, why: &dyn std::fmt::Display, hint: &str) -> Failure {
    Failure::Failed(format!("{}: {why}: {hint}", file.display()))
}
