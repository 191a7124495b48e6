//! What commands share that look into one enterprise's store, or change something there: their arguments, and how they print.
//!
//! Whoever may read the configuration may open the store: such a command does what any owner may, and the audit log tells it
//! as the operator's. JSON is what the API shows of the same.
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{
    ConfigFile, Failure, Format, Outcome, choose_enterprise, directory, load, metadata::tame, runtime,
};
use crate::{
    config::EnterpriseSettings,
    directory::{ActError, Actor, Cause, Directory, Enterprise, InviteError, StoreError, TokenError},
    domain::{OrganizationSlug, PersonId, Timestamp},
    telemetry::Trigger,
};

/// Entries that are read at once.
pub(super) const PAGE: usize = 500;

/// Which enterprise, and how to print.
#[derive(Debug, Args)]
pub struct Look {
    #[command(flatten)]
    config: ConfigFile,
    /// The enterprise; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    enterprise: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A person in the arguments.
#[derive(Debug, Args)]
pub struct PersonArgument {
    /// The person, by what identifies people at the IdP (usually the NameID), or by id
    #[arg(value_name = "PERSON")]
    person: String,
}

/// An organization in the arguments.
#[derive(Debug, Args)]
pub struct OrganizationArgument {
    /// The organization's account name
    #[arg(value_name = "ORGANIZATION")]
    organization: String,
}

/// An opened store, and whose part of it.
pub(super) struct Desk {
    pub directory: Directory,
    pub tenant: Enterprise,
    pub now: Timestamp,
    settings: EnterpriseSettings,
    request_id: String,
}

/// What a command found, or did.
pub(super) enum Shown {
    /// A list, with what text shows of each entry.
    List(Vec<Value>, &'static [&'static str]),
    One(Value),
    /// One sentence.
    Done(String),
}

impl Shown {
    pub fn list<T: Serialize>(
        entries: impl IntoIterator<Item = T>,
        columns: &'static [&'static str],
    ) -> Result<Self, Failure> {
        let values: Result<Vec<Value>, _> =
            entries.into_iter().map(|entry| serde_json::to_value(entry)).collect();
        Ok(Self::List(values.map_err(unprintable)?, columns))
    }

    pub fn one(entry: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_value(entry).map(Self::One).map_err(unprintable)
    }
}

fn unprintable(error: serde_json::Error) -> Failure {
    Failure::Failed(format!("output: {error}: report it"))
}

impl Look {
    /// Opens the store, does the work, prints what came of it.
    pub(super) fn run(
        &self,
        work: impl AsyncFnOnce(&Desk) -> Result<Shown, Failure>,
    ) -> Result<Outcome, Failure> {
        let settings = load(&self.config.path())?.settings;
        let enterprise = choose_enterprise(&settings, self.enterprise.as_deref()).map_err(Failure::Usage)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::Failed(format!("randomness: {error}: look at the system's log")))?;
        let shown = runtime()?.block_on(async {
            let desk = Desk {
                directory: directory::open(&settings).await.map_err(Failure::Failed)?,
                tenant: enterprise.tenant(),
                now: Timestamp::now(),
                settings: enterprise.clone(),
                request_id: format!("cli-{:016x}", u64::from_be_bytes(random)),
            };
            work(&desk).await
        })?;
        match self.format {
            Format::Json => println!("{:#}", json(shown)),
            Format::Text => print!("{}", text(&shown)),
        }
        Ok(Outcome::Fine)
    }
}

impl Desk {
    pub fn person(&self, argument: &PersonArgument) -> PersonId {
        directory::person_id(&self.settings, &argument.person)
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    pub fn operator(&self) -> Actor<'_> {
        Actor::operator(&self.request_id)
    }

    pub fn cause(&self) -> Cause<'_> {
        Cause::by(Trigger::Operator, None, &self.request_id)
    }
}

impl PersonArgument {
    /// For messages.
    pub fn as_str(&self) -> &str {
        &self.person
    }
}

impl OrganizationArgument {
    pub fn slug(&self) -> Result<OrganizationSlug, Failure> {
        slug(&self.organization)
    }
}

pub(super) fn slug(text: &str) -> Result<OrganizationSlug, Failure> {
    OrganizationSlug::parse(text).map_err(|error| {
        Failure::Usage(format!("{text}: {error}: write the account name of an organization"))
    })
}

/// Reads an id in the arguments.
pub(super) fn id<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
    let hint = "write it as the list shows it";
    parse(text).ok_or_else(|| Failure::Usage(format!("{}: is no such id: {hint}", tame(text))))
}

pub(super) fn unknown(what: &str, name: &str) -> Failure {
    Failure::Failed(format!("{}: no such {what}: compare with the list", tame(name)))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(directory::broken(&error))
    }
}

impl From<ActError> for Failure {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Store(error) => error.into(),
            error => Self::Failed(format!("{}: {error}: {}", error.code(), error.hint())),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Store(error) => error.into(),
            error => Self::Failed(format!("{}: {error}: docs/REASONS.md explains it", error.code())),
        }
    }
}

impl From<InviteError> for Failure {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Store(error) => error.into(),
            error => Self::Failed(format!("{}: {error}: docs/REASONS.md explains it", error.code())),
        }
    }
}

fn json(shown: Shown) -> Value {
    match shown {
        Shown::List(values, _) => Value::Array(values),
        Shown::One(value) => value,
        Shown::Done(sentence) => serde_json::json!({ "done": sentence }),
    }
}

fn text(shown: &Shown) -> String {
    match shown {
        Shown::Done(sentence) => format!("{sentence}\n"),
        Shown::One(value) => lines(value, 0),
        Shown::List(values, columns) => table(values, columns),
    }
}

/// What people wrote and what an IdP said is shown without control characters: a terminal obeys them.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => tame(text),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn lines(value: &Value, depth: usize) -> String {
    let Some(fields) = value.as_object() else { return format!("{}\n", cell(value)) };
    let indent = "  ".repeat(depth);
    let line = |(name, value): (&String, &Value)| match value {
        Value::Array(list) if list.iter().any(Value::is_object) => {
            let entries: Vec<String> = list.iter().map(|entry| lines(entry, depth + 1)).collect();
            format!("{indent}{name}:\n{}", entries.join(&format!("{indent}  ---\n")))
        }
        Value::Object(_) => format!("{indent}{name}:\n{}", lines(value, depth + 1)),
        value => format!("{indent}{name}: {}\n", cell(value)),
    };
    fields.iter().map(line).collect()
}

fn table(values: &[Value], columns: &[&str]) -> String {
    let heads = columns.iter().map(|name| (*name).to_owned()).collect();
    let rows = values.iter().map(|value| columns.iter().map(|name| cell(&value[*name])).collect());
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_a_table_without_control_characters() {
        let values =
            vec![json!({ "user": "mia\u{1b}[31m", "role": "owner" }), json!({ "user": "al", "role": null })];
        let text = table(&values, &["user", "role"]);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("user ") && lines[0].ends_with(" role"));
        assert!(lines[2].starts_with("al ") && lines[2].ends_with(" -"));
    }

    #[test]
    fn one_is_shown_field_by_field() {
        let value = json!({ "a": "x", "b": [{ "c": 1 }, { "c": 2 }], "d": ["e", "f"] });
        assert_eq!(lines(&value, 0), "a: x\nb:\n  c: 1\n  ---\n  c: 2\nd: e, f\n");
    }
}
