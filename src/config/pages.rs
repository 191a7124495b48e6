//! `[pages]`: an operator's template and sentences for the pages of the gateway.
use std::{collections::HashMap, io, path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    fault::Place,
    reader::Reader,
    schema,
    value::{Placed, kind_of},
};
use crate::edge::pages::{Class, Pages, TEMPLATE_BYTES_MAX, TEXT_CHARS_MAX, Template, Texts};

const TEMPLATE: &str = "error.html";
const TEXTS: &str = "texts.toml";
const TEXTS_BYTES_MAX: u64 = 64 * 1024;
/// What a table of `texts.toml` may hold.
const KEYS: [&str; 4] = ["title", "message", "advice", "action"];
const FOLDER: &str = "pages.folder";

/// The texts that a file replaces, by class and key.
type Replaced = HashMap<(&'static str, &'static str), String>;

/// Reads the folder that `pages.folder` names; our own pages where it names none.
pub fn read(reader: &mut Reader, folder: &Path) -> Pages {
    let Some(text) = reader.text(FOLDER) else { return Pages::default() };
    let template = file(reader, folder, &text, TEMPLATE, TEMPLATE_BYTES_MAX as u64);
    let texts = file(reader, folder, &text, TEXTS, TEXTS_BYTES_MAX);
    if matches!((&template, &texts), (Found::Nothing, Found::Nothing)) {
        let why = format!("{:?} holds neither {TEMPLATE} nor {TEXTS}", text.value);
        reader.fault(&text.place, FOLDER, why, "put one of the two there, or remove the key");
    }
    let template = match template {
        Found::Text(name, text) => parse_template(reader, &name, &text),
        _ => None,
    };
    let replaced = match texts {
        Found::Text(name, text) => parse_texts(reader, &name, &text),
        _ => Replaced::new(),
    };
    Pages::new(template, |class, texts| {
        let Texts { title, message, advice, action } = texts;
        for (key, text) in KEYS.into_iter().zip([title, message, advice, action]) {
            if let Some(found) = replaced.get(&(class.code(), key)) {
                text.clone_from(found);
            }
        }
    })
}

enum Found {
    Nothing,
    /// A file that cannot be read; it has its fault.
    Broken,
    /// Its name for faults, and what it says.
    Text(Arc<str>, String),
}

/// A file of the operator's folder; faults call it as the operator would.
fn file(reader: &mut Reader, base: &Path, folder: &Placed<String>, name: &str, bytes_max: u64) -> Found {
    let path = Path::new(&folder.value).join(name);
    let shown = path.display().to_string();
    match reader.file(FOLDER, &base.join(path), bytes_max) {
        Ok(text) => Found::Text(shown.into(), text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(error) => {
            let why = format!("{shown:?} cannot be read ({error})");
            reader.fault(&folder.place, FOLDER, why, "make it a readable text file in UTF-8");
            Found::Broken
        }
    }
}

fn parse_template(reader: &mut Reader, name: &Arc<str>, text: &str) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(faults) => {
            for fault in faults {
                reader.fault(&Place::of(name, text, fault.offset), TEMPLATE, fault.why, fault.hint);
            }
            None
        }
    }
}

/// Reads the tables of `texts.toml`, each named by the code of a class.
fn parse_texts(reader: &mut Reader, name: &Arc<str>, text: &str) -> Replaced {
    let mut replaced = Replaced::new();
    let (root, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        let place = Place::of(name, text, error.span().map_or(0, |span| span.start));
        reader.fault(&place, "syntax", error.message(), "mend the TOML (https://toml.io)");
        return replaced;
    }
    for (code, table) in root.get_ref() {
        let place = Place::of(name, text, code.span().start);
        let code: &str = code.get_ref();
        let Some(class) = Class::ALL.iter().find(|class| class.code() == code) else {
            let hint = match schema::nearest(code, Class::ALL.iter().map(|class| class.code())) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "see docs/ERROR_PAGES.md for those that there are".into(),
            };
            reader.fault(&place, code, "is no class of pages", hint);
            continue;
        };
        match table.get_ref() {
            DeValue::Table(table) => parse_class(reader, (name, text), class.code(), table, &mut replaced),
            other => {
                let why = format!("is {}, not a table", kind_of(other.type_str()));
                reader.fault(&place, code, why, format!("write [{code}] and its texts below"));
            }
        }
    }
    replaced
}

fn parse_class(
    reader: &mut Reader,
    (name, text): (&Arc<str>, &str),
    code: &'static str,
    table: &DeTable<'_>,
    replaced: &mut Replaced,
) {
    for (key, value) in table {
        let what = format!("{code}.{}", key.get_ref());
        let place = Place::of(name, text, key.span().start);
        let Some(known) = KEYS.into_iter().find(|known| known == key.get_ref()) else {
            reader.fault(&place, &what, "is no text of a page", format!("use {}", KEYS.join(", ")));
            continue;
        };
        if let Some(value) = sentence(reader, &place, &what, value) {
            replaced.insert((code, known), value);
        }
    }
}

fn sentence(reader: &mut Reader, place: &Place, what: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
    let hint = "write plain text; a page puts it where it belongs and escapes it";
    let DeValue::String(text) = value.get_ref() else {
        let why = format!("is {}, not a string", kind_of(value.get_ref().type_str()));
        reader.fault(place, what, why, hint);
        return None;
    };
    let fits = !text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX;
    if !fits || text.chars().any(|c| c.is_control() && c != '\n') {
        let why = format!("is blank, longer than {TEXT_CHARS_MAX} characters, or has control characters");
        reader.fault(place, what, why, hint);
        return None;
    }
    Some(text.to_string())
}
