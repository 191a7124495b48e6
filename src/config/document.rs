//! A configuration as a flat map of typed values, each with its place: the file first, the environment over it.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    fault::{Fault, Place},
    overrides::Overrides,
    schema::{self, KEYS, Key, Kind, Step},
    value::{self, Data, Placed, RawMapping},
};

/// More syntax faults than this are not worth reading at once.
const SYNTAX_FAULTS_MAX: usize = 20;
/// So many keys may be offered instead of an unknown one: more are not read.
const SIBLINGS_SHOWN_MAX: usize = 10;
/// The longest name of an enterprise or a route, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Typed values by dotted path.
pub struct Document {
    pub file: Arc<str>,
    pub values: BTreeMap<String, Placed<Data>>,
    /// Where each table begins.
    pub tables: BTreeMap<String, Place>,
    /// Keys whose value was refused, so that nobody calls them missing.
    pub broken: BTreeSet<String>,
    pub faults: Vec<Fault>,
}

impl Document {
    /// Reads the TOML text. Syntax faults are all that is reported where there are any: what follows them is guesswork.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, Vec<Fault>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let mut faults: Vec<Fault> = errors.iter().map(|error| syntax_fault(file, text, error)).collect();
            faults.sort();
            faults.truncate(SYNTAX_FAULTS_MAX);
            return Err(faults);
        }
        let mut document = Self {
            file: file.clone(),
            values: BTreeMap::new(),
            tables: BTreeMap::new(),
            broken: BTreeSet::new(),
            faults: vec![],
        };
        document.table(text, &[], root.get_ref());
        Ok(document)
    }

    /// Lays the environment over the file: what it sets wins.
    pub fn apply(&mut self, overrides: &Overrides) {
        let names = self.variables();
        for (variable, text) in overrides.iter() {
            let place = Place::Variable(variable.to_owned());
            let Some((path, key)) = names.get(variable) else {
                let known = names.keys().map(String::as_str);
                let hint = match schema::nearest(variable, known) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "unset it, or see the keys in config.toml; tables must stand in the file".into(),
                };
                self.fault(place, variable, "sets no key of the configuration", hint);
                continue;
            };
            match value::from_variable(key.kind, text, &place) {
                Ok(data) => {
                    self.broken.remove(path);
                    self.displace(path);
                    self.values.insert(path.clone(), Placed { value: data, place });
                }
                Err((why, hint)) => {
                    self.broken.insert(path.clone());
                    self.fault(place, path, why, hint);
                }
            }
        }
    }

    /// A secret and the file that holds it are two ways to say one thing: the environment's way replaces the file's.
    fn displace(&mut self, path: &str) {
        let other = match path {
            "store.url" => "store.url_file",
            "store.url_file" => "store.url",
            _ => return,
        };
        if self.values.get(other).is_some_and(|value| !matches!(value.place, Place::Variable(_))) {
            self.values.remove(other);
        }
    }

    /// Every environment variable that has a meaning here, with its path and key.
    fn variables(&self) -> BTreeMap<String, (String, &'static Key)> {
        let mut variables = BTreeMap::new();
        for key in KEYS {
            let paths = match key.path.split_once(".*.") {
                None => vec![key.path.to_owned()],
                Some((home, rest)) => self.names(home).map(|name| format!("{home}.{name}.{rest}")).collect(),
            };
            for path in paths {
                variables.insert(Overrides::variable(&path), (path, key));
            }
        }
        variables
    }

    /// The names of the tables directly under `home`, in order.
    pub fn names(&self, home: &str) -> impl Iterator<Item = &str> {
        self.tables.keys().filter_map(move |path| {
            let name = path.strip_prefix(home)?.strip_prefix('.')?;
            (!name.contains('.')).then_some(name)
        })
    }

    fn table(&mut self, text: &str, path: &[&str], table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let place = Place::of(&self.file, text, name.span().start);
            let name: &str = name.get_ref();
            let path = [path, &[name]].concat();
            let dotted = path.join(".");
            match schema::step(&path) {
                _ if !is_plain(name) => {
                    let hint = "use ASCII letters, digits, hyphens and underscores, at most 64".to_owned();
                    self.fault(place, &dotted, "is no name that a table or key can have", hint);
                }
                Step::Unknown => self.unknown(place, &path),
                Step::Leaf(key) => self.leaf(text, &dotted, key, value),
                Step::Table => match value.get_ref() {
                    DeValue::Table(inner) => {
                        self.tables.insert(dotted, place);
                        self.table(text, &path, inner);
                    }
                    other => {
                        let why = format!("is {}, not a table", value::kind_of(other.type_str()));
                        self.fault(place, &dotted, why, format!("write it as [{dotted}]"));
                    }
                },
            }
        }
    }

    fn leaf(&mut self, text: &str, path: &str, key: &Key, value: &Spanned<DeValue<'_>>) {
        let place = Place::of(&self.file, text, value.span().start);
        let faults_before = self.faults.len();
        match self.data(text, path, key.kind, value) {
            Some(data) if self.faults.len() == faults_before => {
                self.values.insert(path.to_owned(), Placed { value: data, place });
            }
            _ => {
                self.broken.insert(path.to_owned());
            }
        }
    }

    fn data(&mut self, text: &str, path: &str, kind: Kind, value: &Spanned<DeValue<'_>>) -> Option<Data> {
        let place = Place::of(&self.file, text, value.span().start);
        let checked = match (kind, value.get_ref()) {
            (Kind::Texts | Kind::TextsOrAll, DeValue::Array(items)) => {
                return Some(Data::Texts(self.texts(text, path, items)));
            }
            (Kind::Mappings, DeValue::Array(items)) => {
                return Some(Data::Mappings(self.mappings(text, path, items)));
            }
            (_, DeValue::String(found)) => value::from_text(kind, found, &place),
            (_, DeValue::Integer(found)) => value::from_integer(kind, found.as_str(), found.radix()),
            (Kind::Switch, DeValue::Boolean(found)) => Ok(Data::Switch(*found)),
            (_, other) => Err(value::mismatch(kind, other.type_str())),
        };
        checked.map_err(|(why, hint)| self.fault(place, path, why, hint)).ok()
    }

    fn texts(&mut self, text: &str, path: &str, items: &DeArray<'_>) -> Vec<Placed<String>> {
        let mut texts = vec![];
        for (index, item) in items.iter().enumerate() {
            let place = Place::of(&self.file, text, item.span().start);
            match item.get_ref() {
                DeValue::String(found) => texts.push(Placed { value: found.to_string(), place }),
                other => {
                    let (why, hint) = value::mismatch(Kind::Text, other.type_str());
                    self.fault(place, &format!("{path}[{index}]"), why, hint);
                }
            }
        }
        texts
    }

    fn mappings(&mut self, text: &str, path: &str, items: &DeArray<'_>) -> Vec<RawMapping> {
        let mut mappings = vec![];
        for (index, item) in items.iter().enumerate() {
            let place = Place::of(&self.file, text, item.span().start);
            let path = format!("{path}[{index}]");
            let DeValue::Table(table) = item.get_ref() else {
                let why = format!("is {}, not a table", value::kind_of(item.get_ref().type_str()));
                self.fault(place, &path, why, value::MAPPING_HINT.into());
                continue;
            };
            let mut mapping =
                RawMapping { place, group: None, organization: None, role: None, matches: None };
            for (name, value) in table.iter() {
                self.mapping_field(text, &path, &mut mapping, name, value);
            }
            mappings.push(mapping);
        }
        mappings
    }

    fn mapping_field(
        &mut self,
        text: &str,
        path: &str,
        mapping: &mut RawMapping,
        name: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let place = Place::of(&self.file, text, value.span().start);
        let name: &str = name.get_ref();
        let what = format!("{path}.{name}");
        let field = match name {
            "group" => &mut mapping.group,
            "organization" => &mut mapping.organization,
            "role" => &mut mapping.role,
            "match" => &mut mapping.matches,
            _ => {
                let hint = value::MAPPING_HINT.to_owned();
                return self.fault(place, &what, "is no key of a mapping", hint);
            }
        };
        match value.get_ref() {
            DeValue::String(found) => *field = Some(Placed { value: found.to_string(), place }),
            other => {
                let (why, hint) = value::mismatch(Kind::Text, other.type_str());
                self.fault(place, &what, why, hint);
            }
        }
    }

    fn unknown(&mut self, place: Place, path: &[&str]) {
        let (name, parent) = path.split_last().unwrap_or((&"", &[]));
        let siblings = schema::children(parent);
        let homes = schema::homes(name);
        let hint = if let Some(near) = schema::nearest(name, siblings.iter().copied()) {
            format!("did you mean {near:?}?")
        } else if let Some(home) = homes.first() {
            match home.as_str() {
                "" => "it stands at the top of the file, before the first table".into(),
                home => format!("it stands in [{home}]"),
            }
        } else if siblings.len() > SIBLINGS_SHOWN_MAX {
            "remove it; the shipped config.toml explains every key".into()
        } else {
            format!("remove it, or use one of: {}", siblings.join(", "))
        };
        self.fault(place, &path.join("."), "is no key of the configuration", hint);
    }

    fn fault(&mut self, place: Place, what: &str, why: impl Into<String>, hint: String) {
        self.faults.push(Fault { place, what: what.to_owned(), why: why.into(), hint });
    }
}

/// Names become parts of dotted paths and of environment variables, so they stay plain.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(plain)
}

fn syntax_fault(file: &Arc<str>, text: &str, error: &toml::de::Error) -> Fault {
    let place = match error.span() {
        Some(span) => Place::of(file, text, span.start),
        None => Place::File(file.clone()),
    };
    Fault {
        place,
        what: "syntax".into(),
        why: error.message().to_owned(),
        hint: "mend the TOML (https://toml.io), then the rest can be checked".into(),
    }
}
