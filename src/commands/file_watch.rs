//! Whether files have changed: looked at every few seconds, which works on every file system and through every kind of
//! mount and link.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Between two looks. A change counts once two looks in a row have found the same.
const LOOK_SECONDS: u64 = 2;

/// What tells one content of a file from another without reading it; `None` where there is no file.
type Stamp = Option<(SystemTime, u64)>;

/// The files of a configuration, as they were when it was read.
pub struct FileWatch {
    seen: BTreeMap<PathBuf, Stamp>,
    /// What the last look found, if it was anything else.
    unsettled: Option<BTreeMap<PathBuf, Stamp>>,
}

impl FileWatch {
    /// Looks at a file before it is read, so that no later change is missed.
    pub fn of(file: &Path) -> Self {
        let mut watch = Self { seen: BTreeMap::new(), unsettled: None };
        watch.also([file]);
        watch
    }

    /// Watches these files too.
    pub fn also<'f>(&mut self, files: impl IntoIterator<Item = &'f Path>) {
        for file in files {
            self.seen.entry(file.to_owned()).or_insert_with(|| stamp(file));
        }
    }

    /// Ready when a file has changed and nobody writes to it any more.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(Duration::from_secs(LOOK_SECONDS)).await;
            if self.look() {
                return;
            }
        }
    }

    /// From now on only what changes later has changed.
    pub fn catch_up(&mut self) {
        self.seen = self.now();
        self.unsettled = None;
    }

    /// One look: whether files are other than they were, and as they were at the last look.
    fn look(&mut self) -> bool {
        let now = self.now();
        if now == self.seen {
            self.unsettled = None;
            return false;
        }
        let is_settled = self.unsettled.as_ref() == Some(&now);
        self.unsettled = Some(now);
        is_settled
    }

    fn now(&self) -> BTreeMap<PathBuf, Stamp> {
        self.seen.keys().map(|file| (file.clone(), stamp(file))).collect()
    }
}

fn stamp(file: &Path) -> Stamp {
    let data = fs::metadata(file).ok()?;
    Some((data.modified().ok()?, data.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("config.toml"), folder.path().join("idp.crt"));
        fs::write(&file, "a").unwrap();
        let mut watch = FileWatch::of(&file);
        watch.also([other.as_path()]);
        assert!(!watch.look() && !watch.look());
        fs::write(&file, "ab").unwrap();
        assert!(!watch.look(), "somebody may be writing");
        fs::write(&file, "abc").unwrap();
        assert!(!watch.look());
        assert!(watch.look());
        assert!(watch.look(), "until it was caught up with");
        watch.catch_up();
        assert!(!watch.look());
        fs::write(&other, "new").unwrap();
        assert!(!watch.look() && watch.look(), "a file that was not there");
        watch.catch_up();
        fs::remove_file(&file).unwrap();
        assert!(!watch.look() && watch.look());
    }
}
