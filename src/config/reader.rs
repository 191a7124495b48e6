//! Typed access to a [`Document`]: asks for keys by path, gives defaults, and collects what is wrong.
use std::{io, path::Path};

use super::{
    document::Document,
    fault::{Fault, Place},
    fingerprint::Fingerprint,
    read_text,
    url::WebUrl,
    value::{Data, Placed, RawMapping},
};

/// Reads values and remembers every fault and warning on the way.
///
/// Whoever gets `None` or a default for a value that was refused goes on with it, so that the other faults are found
/// too; [`Reader::finish`] lets nothing out while there is a fault.
pub struct Reader {
    document: Document,
    fingerprint: Fingerprint,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Reader {
    pub fn new(mut document: Document) -> Self {
        let faults = std::mem::take(&mut document.faults);
        let fingerprint = Fingerprint::of(&document);
        Self { document, fingerprint, faults, warnings: vec![] }
    }

    /// The value with its warnings, or every fault, in the order of the file.
    pub fn finish<T>(mut self, value: T) -> Result<(T, Vec<Fault>), Vec<Fault>> {
        self.faults.sort();
        self.faults.dedup();
        self.warnings.sort();
        if self.faults.is_empty() { Ok((value, self.warnings)) } else { Err(self.faults) }
    }

    /// What was read until now.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }

    /// Reads a text file that the key at `path` names, and remembers what it holds.
    pub fn file(&mut self, path: &str, file: &Path, bytes_max: u64) -> io::Result<String> {
        let text = read_text(file, bytes_max);
        self.fingerprint.note_file(path, file, text.as_deref().ok());
        text
    }

    pub fn fault(&mut self, place: &Place, what: &str, why: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(fault(place, what, why, hint));
    }

    pub fn warn(&mut self, place: &Place, what: &str, why: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(fault(place, what, why, hint));
    }

    /// The place of a value, of its table, or of the nearest table around it that stands in the file.
    pub fn place(&self, path: &str) -> Place {
        if let Some(value) = self.document.values.get(path) {
            return value.place.clone();
        }
        let mut around = path;
        loop {
            if let Some(place) = self.document.tables.get(around) {
                return place.clone();
            }
            match around.rsplit_once('.') {
                Some((parent, _)) => around = parent,
                None => return Place::File(self.document.file.clone()),
            }
        }
    }

    /// The names of the tables directly under `home`.
    pub fn names(&self, home: &str) -> Vec<String> {
        self.document.names(home).map(str::to_owned).collect()
    }

    pub fn has(&self, path: &str) -> bool {
        self.document.values.contains_key(path) || self.document.broken.contains(path)
    }

    pub fn text(&self, path: &str) -> Option<Placed<String>> {
        match self.document.values.get(path) {
            Some(Placed { value: Data::Text(value), place }) => {
                Some(Placed { value: value.clone(), place: place.clone() })
            }
            _ => None,
        }
    }

    pub fn text_or(&self, path: &str, default: &str) -> Placed<String> {
        self.text(path).unwrap_or_else(|| Placed { value: default.to_owned(), place: self.place(path) })
    }

    /// A text that must be there and not blank.
    pub fn required(&mut self, path: &str, hint: &str) -> Option<Placed<String>> {
        match self.text(path) {
            Some(text) if text.value.trim().is_empty() => {
                self.fault(&text.place, path, "is blank", hint);
                None
            }
            Some(text) => Some(text),
            None => {
                if !self.has(path) {
                    self.fault(&self.place(path), path, "is missing", hint);
                }
                None
            }
        }
    }

    pub fn integer(&self, path: &str, default: u64) -> u64 {
        match self.document.values.get(path) {
            Some(Placed { value: Data::Integer(number), .. }) => *number,
            _ => default,
        }
    }

    pub fn switch(&self, path: &str) -> bool {
        matches!(self.document.values.get(path), Some(Placed { value: Data::Switch(true), .. }))
    }

    /// The texts of a list; faults those that are blank or repeated, and leaves them out.
    pub fn texts(&mut self, path: &str) -> Option<Vec<Placed<String>>> {
        let Some(Placed { value: Data::Texts(found), .. }) = self.document.values.get(path) else {
            return None;
        };
        let mut texts: Vec<Placed<String>> = vec![];
        for text in found.clone() {
            if text.value.trim().is_empty() {
                self.fault(&text.place, path, "has a blank entry", "fill it in or remove it");
            } else if texts.iter().any(|earlier| earlier.value == text.value) {
                let why = format!("names {:?} twice", text.value);
                self.fault(&text.place, path, why, "remove one of the two");
            } else {
                texts.push(text);
            }
        }
        Some(texts)
    }

    pub fn mappings(&mut self, path: &str) -> Vec<RawMapping> {
        match self.document.values.get_mut(path) {
            Some(Placed { value: Data::Mappings(mappings), .. }) => std::mem::take(mappings),
            _ => vec![],
        }
    }

    /// Reads a URL; a fault if it is none.
    pub fn url(&mut self, path: &str, text: &Placed<String>, hint: &str) -> Option<WebUrl> {
        match WebUrl::parse(&text.value) {
            Ok(url) => Some(url),
            Err(why) => {
                // Where there is a user there may be a password.
                let shown = if text.value.contains('@') { "".into() } else { format!("{:?} ", text.value) };
                self.fault(&text.place, path, format!("{shown}is {why}"), hint);
                None
            }
        }
    }
}

fn fault(place: &Place, what: &str, why: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { place: place.clone(), what: what.to_owned(), why: why.into(), hint: hint.into() }
}
