//! `[audit.webhook.NAME]`: who is told of what happened.
use std::path::Path;

use super::{
    metadata::{authorities, internal_networks},
    reader::Reader,
    server::Ground,
    value::Placed,
};
use crate::{
    domain::EnterpriseSlug,
    outward::Remote,
    telemetry::AuditAction,
    webhook::{EventPattern, SECRETS_MAX, Secret, Settings},
};

const HOME: &str = "audit.webhook";
const SECRET_FILE_BYTES_MAX: u64 = 4 * 1024;
const SECRET_HINT: &str =
    "write whsec_ and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)";

/// Reads every webhook. `known` are the enterprises that there are.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path, known: &[EnterpriseSlug]) -> Vec<Settings> {
    let names = reader.names(HOME);
    names.into_iter().filter_map(|name| one(reader, ground, folder, &name, known)).collect()
}

fn one(
    reader: &mut Reader,
    ground: &Ground,
    folder: &Path,
    name: &str,
    known: &[EnterpriseSlug],
) -> Option<Settings> {
    let key = |leaf: &str| format!("{HOME}.{name}.{leaf}");
    let networks = internal_networks(reader, ground, &key("internal_networks"));
    let authorities = authorities(reader, folder, &key("ca"));
    let secrets = secrets(reader, folder, &format!("{HOME}.{name}"));
    let events = events(reader, &key("events"));
    let enterprises = enterprises(reader, &key("enterprises"), known);
    let what = key("url");
    let hint = "write the https URL of the receiver, without a user";
    let text = reader.required(&what, hint)?;
    let remote = match Remote::parse(&text.value, authorities?, networks) {
        Ok(remote) => remote,
        Err(why) => {
            // Where there is a user there may be a password.
            let shown = if text.value.contains('@') { "".into() } else { format!("{:?} ", text.value) };
            reader.fault(&text.place, &what, format!("{shown}is {why}"), hint);
            return None;
        }
    };
    Some(Settings { name: name.to_owned(), remote, secrets, events, enterprises })
}

/// The secrets themselves and the contents of files, in this order; faults those that are none, without showing them.
fn secrets(reader: &mut Reader, folder: &Path, home: &str) -> Vec<Secret> {
    let (direct, files) = (format!("{home}.secrets"), format!("{home}.secret_files"));
    let mut texts: Vec<(String, Placed<String>)> = vec![];
    for text in reader.texts(&direct).unwrap_or_default() {
        texts.push((direct.clone(), text));
    }
    for file in reader.texts(&files).unwrap_or_default() {
        match reader.file(&files, &folder.join(&file.value), SECRET_FILE_BYTES_MAX) {
            Ok(text) => {
                let value = text.trim_end_matches(['\r', '\n']).to_owned();
                texts.push((files.clone(), Placed { value, place: file.place }));
            }
            Err(error) => {
                let why = format!("{:?} cannot be read ({error})", file.value);
                let hint = "name a readable file that holds the secret alone";
                reader.fault(&file.place, &files, why, hint);
            }
        }
    }
    if texts.is_empty() && !reader.has(&files) {
        let place = reader.place(&direct);
        let what = if reader.has(&direct) { "is empty" } else { "is missing" };
        reader.fault(&place, &direct, what, format!("{SECRET_HINT}; or name a file in secret_files"));
    }
    if texts.len() > SECRETS_MAX {
        let place = reader.place(&direct);
        let why = format!("is one of {} secrets", texts.len());
        let hint = format!(
            "keep at most {SECRETS_MAX}, in secrets and secret_files together: an old one and a new one"
        );
        reader.fault(&place, &direct, why, hint);
    }
    let mut secrets = vec![];
    for (path, text) in texts {
        match Secret::parse(&text.value) {
            Ok(secret) => secrets.push(secret),
            Err(error) => {
                reader.fault(&text.place, &path, format!("has a secret that {error}"), SECRET_HINT);
            }
        }
    }
    secrets
}

fn events(reader: &mut Reader, path: &str) -> Vec<EventPattern> {
    let names = AuditAction::names();
    let Some(texts) = reader.texts(path) else {
        return EventPattern::parse("*", &names).into_iter().collect();
    };
    if texts.is_empty() {
        let place = reader.place(path);
        reader.fault(&place, path, "is empty: nothing would be told", "name events, or remove it for all");
    }
    let mut patterns = vec![];
    for text in texts {
        match EventPattern::parse(&text.value, &names) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let why = format!("{:?} is no event", text.value);
                let hint = match super::schema::nearest(&text.value, names.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "write a name of docs/WEBHOOKS.md, or \"org.*\" for all that begin so".into(),
                };
                reader.fault(&text.place, path, why, hint);
            }
        }
    }
    patterns
}

fn enterprises(reader: &mut Reader, path: &str, known: &[EnterpriseSlug]) -> Option<Vec<EnterpriseSlug>> {
    let texts = reader.texts(path)?;
    if let [only] = texts.as_slice()
        && only.value == "*"
    {
        return None;
    }
    let mut chosen = vec![];
    for text in texts {
        match EnterpriseSlug::parse(&text.value) {
            Ok(slug) if known.contains(&slug) => chosen.push(slug),
            _ => {
                let why = format!("{:?} is no enterprise of this configuration", text.value);
                reader.fault(&text.place, path, why, "mend the name, or write \"*\" for all");
            }
        }
    }
    Some(chosen)
}
