//! What a configuration says, key by key, so that two can be compared without keeping their secrets.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    document::Document,
    value::{Data, Placed, RawMapping},
};

/// Tables whose keys count from the start on: sockets are bound, the store is open, the log is set up.
const UNTIL_RESTART: [&str; 5] = ["audit", "listen", "log", "mail", "store"];
/// Within them: a secret is rolled over, a receiver changed, while the gateway runs.
const TAKEN_UP: &str = "audit.webhook.";

/// Every key that is set, and the content of every file that a key names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    keys: BTreeMap<String, Value>,
    files: BTreeSet<PathBuf>,
}

/// What stands at a key.
#[derive(Clone, PartialEq, Eq)]
struct Value {
    hash: [u8; 32],
    /// Numbers and switches are shown to people; a text may be a secret.
    shown: Option<String>,
}

/// A key that two configurations do not agree on.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Dotted, as in the file.
    pub path: String,
    from: Option<Value>,
    to: Option<Value>,
}

impl Fingerprint {
    pub(super) fn of(document: &Document) -> Self {
        let value = |data: &Data| {
            let shown = match data {
                Data::Integer(number) => Some(number.to_string()),
                Data::Switch(on) => Some(on.to_string()),
                Data::Text(_) | Data::Texts(_) | Data::Mappings(_) => None,
            };
            Value { hash: hash(data), shown }
        };
        let keys = document.values.iter().map(|(path, placed)| (path.clone(), value(&placed.value)));
        Self { keys: keys.collect(), files: BTreeSet::new() }
    }

    /// Notes what a file holds that the key at `path` names; `None` where there is no such file.
    pub(super) fn note_file(&mut self, path: &str, file: &Path, content: Option<&str>) {
        self.files.insert(file.to_owned());
        let Some(value) = self.keys.get_mut(path) else { return };
        let mut hash = Sha256::new();
        hash.update(value.hash);
        hash.update(Sha256::digest(file.as_os_str().as_encoded_bytes()));
        hash.update(content.map(Sha256::digest).unwrap_or_default());
        value.hash = hash.finalize().into();
    }

    /// The files that keys name.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// What is said otherwise by `later`, in the order of the keys.
    pub fn changes(&self, later: &Self) -> Vec<Change> {
        let paths: BTreeSet<&String> = self.keys.keys().chain(later.keys.keys()).collect();
        let pairs = paths.into_iter().map(|path| (path, self.keys.get(path), later.keys.get(path)));
        let changed = pairs.filter(|(_, from, to)| from != to);
        changed
            .map(|(path, from, to)| Change { path: path.clone(), from: from.cloned(), to: to.cloned() })
            .collect()
    }

    /// The same, where every key that counts from the start on says what `running` says.
    pub fn with_fixed_of(&self, running: &Self) -> Self {
        let fixed = running.keys.iter().filter(|(path, _)| is_fixed(path));
        let others = self.keys.iter().filter(|(path, _)| !is_fixed(path));
        let keys = fixed.chain(others).map(|(path, value)| (path.clone(), value.clone())).collect();
        Self { keys, files: self.files.clone() }
    }
}

impl Change {
    /// Whether a running gateway cannot take it up.
    pub fn needs_restart(&self) -> bool {
        is_fixed(&self.path)
    }
}

/// `enterprise.example.deprovisioning: false -> true`; of texts only that they changed.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().and_then(|value| value.shown.clone());
        let path = &self.path;
        match (&self.from, &self.to, shown(&self.from), shown(&self.to)) {
            (Some(_), Some(_), Some(from), Some(to)) => write!(f, "{path}: {from} -> {to}"),
            (None, _, _, Some(to)) => write!(f, "{path}: added: {to}"),
            (_, None, Some(from), _) => write!(f, "{path}: removed, was {from}"),
            (Some(_), Some(_), ..) => write!(f, "{path}: changed"),
            (None, ..) => write!(f, "{path}: added"),
            (Some(_), None, ..) => write!(f, "{path}: removed"),
        }
    }
}

/// Hashes are nothing to read, and those of short secrets nothing to show.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({self})")
    }
}

fn is_fixed(path: &str) -> bool {
    let table = path.split_once('.').map(|(table, _)| table);
    table.is_some_and(|table| UNTIL_RESTART.contains(&table)) && !path.starts_with(TAKEN_UP)
}

/// Parts are hashed one by one, so that no two values are written alike.
fn hash(data: &Data) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &str| hash.update(Sha256::digest(part));
    match data {
        Data::Text(text) => add(text),
        Data::Integer(number) => add(&number.to_string()),
        Data::Switch(on) => add(&on.to_string()),
        Data::Texts(texts) => texts.iter().for_each(|text| add(&text.value)),
        Data::Mappings(mappings) => {
            let text = |field: &Option<Placed<String>>| match field {
                Some(text) => format!("={}", text.value),
                None => String::new(),
            };
            for RawMapping { group, organization, role, matches, .. } in mappings {
                [group, organization, role, matches].iter().for_each(|field| add(&text(field)));
            }
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn of(text: &str) -> Fingerprint {
        Fingerprint::of(
            &Document::parse(&Arc::from("config.toml"), text).unwrap_or_else(|_| panic!("{text}")),
        )
    }

    fn changes(from: &str, to: &str) -> Vec<String> {
        of(from).changes(&of(to)).iter().map(Change::to_string).collect()
    }

    #[test]
    fn changes_are_named_and_texts_are_not_shown() {
        let before = "[store]\nurl = \"redis://u:hunter2@a\"\n[enterprise.a]\nprovisioning = false\nowners = [\"x\"]\n";
        let after = "[store]\nurl = \"redis://u:hunter3@a\"\n[enterprise.a]\nprovisioning = true\ndeprovisioning = true\n";
        assert_eq!(
            changes(before, after),
            [
                "enterprise.a.deprovisioning: added: true",
                "enterprise.a.owners: removed",
                "enterprise.a.provisioning: false -> true",
                "store.url: changed",
            ]
        );
        let other_order = "[enterprise.a]\nowners = [\"x\"] # a word\nprovisioning = false\n[store]\nurl = \"redis://u:hunter2@a\"\n";
        assert!(changes(before, other_order).is_empty());
    }

    #[test]
    fn lists_that_differ_in_their_parts_differ() {
        let of = |list: &str| format!("[enterprise.a]\n{list}\n");
        for (one, other) in [
            ("owners = [\"a\", \"b\"]", "owners = [\"ab\"]"),
            ("owners = [\"a\", \"b\"]", "owners = [\"b\", \"a\"]"),
            (
                "mappings = [{ group = \"a\", role = \"b\" }]",
                "mappings = [{ group = \"a\", organization = \"b\" }]",
            ),
            ("mappings = [{ group = \"a\" }]", "mappings = [{ group = \"a\", match = \"\" }]"),
        ] {
            assert_eq!(changes(&of(one), &of(other)).len(), 1, "{one}");
        }
    }

    #[test]
    fn a_file_of_the_same_name_counts_by_its_content() {
        let with = |content| {
            let mut fingerprint = of("[pages]\nfolder = \"pages\"\n");
            fingerprint.note_file("pages.folder", Path::new("pages/error.html"), content);
            fingerprint
        };
        assert!(with(Some("a")).changes(&with(Some("a"))).is_empty());
        for (one, other) in [(Some("a"), Some("b")), (Some("a"), None), (None, Some(""))] {
            assert_eq!(with(one).changes(&with(other))[0].to_string(), "pages.folder: changed");
        }
        assert_eq!(with(None).files().count(), 1);
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_runs() {
        let running = of("[listen]\nworkers = 1\n[session]\nidle = \"1h\"\n[store]\npath = \"a\"\n");
        let read = of("[listen]\nworkers = 2\n[session]\nidle = \"2h\"\n[log]\nlevel = \"info\"\n");
        let (fixed, applied): (Vec<_>, Vec<_>) =
            running.changes(&read).into_iter().partition(Change::needs_restart);
        assert_eq!(fixed.len(), 3, "{fixed:?}");
        assert_eq!(applied.iter().map(Change::to_string).collect::<Vec<_>>(), ["session.idle: 3600 -> 7200"]);
        let now = read.with_fixed_of(&running);
        assert_eq!(now.changes(&read), fixed, "told again until there was a restart");
        assert!(running.changes(&now).iter().all(|change| !change.needs_restart()));
    }
}
