//! `[mail]`: the mail server, who we are to it, and an operator's words.
use std::{io, net::IpAddr, path::Path, sync::Arc};

use super::{fault::Place, read_text, reader::Reader, server::Ground, value::Placed};
use crate::mail::{
    Credentials, Kind, Mailbox, Settings, TEMPLATE_BYTES_MAX, Template, TemplateFault, Templates, Tls,
};

/// RFC 8314 3.3
const IMPLICIT_PORT: u64 = 465;
/// RFC 6409 3.1
const STARTTLS_PORT: u64 = 587;
const PLAIN_PORT: u64 = 25;
/// A server that scans what it takes needs some seconds; one that hangs is not waited for.
const TIMEOUT_SECONDS: u64 = 30;
const SECRET_FILE_BYTES_MAX: u64 = 4 * 1024;
const CA_FILE_BYTES_MAX: u64 = 256 * 1024;
const HOST_BYTES_MAX: usize = 253;
/// What means nothing without a host.
const OTHERS: [&str; 11] = [
    "mail.port",
    "mail.tls",
    "mail.user",
    "mail.password",
    "mail.password_file",
    "mail.from",
    "mail.reply_to",
    "mail.timeout",
    "mail.ca",
    "mail.templates",
    "mail.notices",
];
const FROM_HINT: &str = "write \"gate@example.com\" or \"Example <gate@example.com>\"";

/// Reads `[mail]`; `None` where no mail is sent, or after a fault.
pub fn read(reader: &mut Reader, ground: &Ground, folder: &Path) -> Option<Settings> {
    let Some(host) = reader.text("mail.host") else {
        for path in OTHERS.iter().filter(|path| reader.has(path)).collect::<Vec<_>>() {
            let place = reader.place(path);
            reader.fault(&place, path, "stands without mail.host", "name the mail server, or remove it");
        }
        return None;
    };
    check_host(reader, &host);
    let tls = tls(reader, ground, &host);
    let port = match tls {
        Tls::Implicit => IMPLICIT_PORT,
        Tls::Starttls => STARTTLS_PORT,
        Tls::None => PLAIN_PORT,
    };
    let credentials = credentials(reader, folder, tls);
    let ca_pem = ca(reader, folder);
    let templates = templates(reader, folder);
    let reply_to = match reader.text("mail.reply_to") {
        Some(text) => mailbox(reader, "mail.reply_to", &text),
        None => None,
    };
    let from = reader.required("mail.from", FROM_HINT)?;
    let from = mailbox(reader, "mail.from", &from)?;
    Some(Settings {
        host: host.value,
        port: u16::try_from(reader.integer("mail.port", port)).unwrap_or(u16::MAX),
        tls,
        credentials,
        from,
        reply_to,
        timeout_millis_max: reader.integer("mail.timeout", TIMEOUT_SECONDS) * 1000,
        ca_pem,
        templates,
        notices: reader.switch("mail.notices"),
    })
}

fn check_host(reader: &mut Reader, host: &Placed<String>) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let is_name = !host.value.is_empty()
        && host.value.len() <= HOST_BYTES_MAX
        && host.value.bytes().all(plain)
        && !host.value.starts_with(['-', '.']);
    if !is_name && host.value.parse::<IpAddr>().is_err() {
        let hint = "write the server's name alone; the port is mail.port";
        reader.fault(&host.place, "mail.host", format!("{:?} is no host name", host.value), hint);
    }
}

fn tls(reader: &mut Reader, ground: &Ground, host: &Placed<String>) -> Tls {
    let path = "mail.tls";
    match reader.text_or(path, "implicit").value.as_str() {
        "starttls" => Tls::Starttls,
        "none" => {
            let near = match host.value.parse::<IpAddr>() {
                Ok(address) => address.is_loopback(),
                Err(_) => host.value == "localhost",
            };
            if ground.in_production() || !near {
                let why = "sends links and addresses in clear";
                let hint = "use \"implicit\" or \"starttls\"; \"none\" is for development, to this machine";
                let place = reader.place(path);
                reader.fault(&place, path, why, hint);
            }
            Tls::None
        }
        _ => Tls::Implicit,
    }
}

/// The password itself or the content of its file; never both, so that nobody wonders which one counts.
fn credentials(reader: &mut Reader, folder: &Path, tls: Tls) -> Option<Credentials> {
    let (user, password) = (reader.text("mail.user"), reader.text("mail.password"));
    let password = match (password, reader.text("mail.password_file")) {
        (Some(_), Some(file)) => {
            let why = "stands beside mail.password";
            reader.fault(&file.place, "mail.password_file", why, "keep one of the two");
            return None;
        }
        (Some(password), None) => Some(password),
        (None, Some(file)) => match read_text(&folder.join(&file.value), SECRET_FILE_BYTES_MAX) {
            Ok(text) => {
                Some(Placed { value: text.trim_end_matches(['\r', '\n']).to_owned(), place: file.place })
            }
            Err(error) => {
                let why = format!("{:?} cannot be read ({error})", file.value);
                let hint = "name a readable file that holds the password";
                reader.fault(&file.place, "mail.password_file", why, hint);
                return None;
            }
        },
        (None, None) => None,
    };
    let (user, password) = match (user, password) {
        (None, None) => return None,
        (Some(user), Some(password)) => (user, password),
        (Some(user), None) => {
            let hint = "set PORTCULLIS_MAIL_PASSWORD or mail.password_file, or remove the user";
            reader.fault(&user.place, "mail.user", "has no password", hint);
            return None;
        }
        (None, Some(password)) => {
            reader.fault(&password.place, "mail.password", "has no user", "name the user, or remove it");
            return None;
        }
    };
    if tls == Tls::None {
        let hint = "use mail.tls = \"implicit\" or \"starttls\", or remove user and password";
        reader.fault(&user.place, "mail.user", "would send its password in clear", hint);
    }
    if user.value.is_empty() || password.value.is_empty() {
        reader.fault(&user.place, "mail.user", "or its password is blank", "fill both in, or remove both");
    }
    Some(Credentials { user: user.value, password: password.value })
}

fn ca(reader: &mut Reader, folder: &Path) -> Option<String> {
    let file = reader.text("mail.ca")?;
    match read_text(&folder.join(&file.value), CA_FILE_BYTES_MAX) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE KEY-----") => {
            return Some(text);
        }
        Ok(_) => {
            let why = format!("{:?} holds no PEM certificate, or a private key", file.value);
            reader.fault(
                &file.place,
                "mail.ca",
                why,
                "name a PEM file with the authority's certificate alone",
            );
        }
        Err(error) => {
            let why = format!("{:?} cannot be read ({error})", file.value);
            let hint = "name a file relative to the configuration's folder";
            reader.fault(&file.place, "mail.ca", why, hint);
        }
    }
    None
}

fn mailbox(reader: &mut Reader, path: &str, text: &Placed<String>) -> Option<Mailbox> {
    let mailbox = Mailbox::parse(&text.value);
    if mailbox.is_none() {
        reader.fault(&text.place, path, format!("{:?} is no address", text.value), FROM_HINT);
    }
    mailbox
}

/// Reads the folder that `mail.templates` names; our own words where it names none.
fn templates(reader: &mut Reader, base: &Path) -> Templates {
    let path = "mail.templates";
    let Some(folder) = reader.text(path) else { return Templates::default() };
    let mut is_any = false;
    let templates = Templates::new(|kind| {
        let text = file(reader, base, &folder, &format!("{}.txt", kind.as_str()));
        let html = file(reader, base, &folder, &format!("{}.html", kind.as_str()));
        is_any |= text.is_some() || html.is_some();
        parse(reader, kind, text.as_ref(), html.as_ref())
    });
    if !is_any {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let why = format!("{:?} holds no template", folder.value);
        let hint = format!("put {} there, each .txt or .html, or remove the key", names.join(", "));
        reader.fault(&folder.place, path, why, hint);
    }
    templates
}

/// A file's name for faults, and what it says.
type File = (Arc<str>, String);

fn parse(reader: &mut Reader, kind: Kind, text: Option<&File>, html: Option<&File>) -> Option<Template> {
    let said = |file: Option<&File>| file.map(|(_, text)| text.clone());
    match Template::parse(kind, said(text).as_deref(), said(html).as_deref()) {
        Ok(template) => Some(template),
        Err((of_text, of_html)) => {
            let mut tell = |file: Option<&File>, faults: Vec<TemplateFault>| {
                // Ours have no faults.
                let Some((name, text)) = file else { return };
                for fault in faults {
                    let place = Place::of(name, text, fault.offset);
                    reader.fault(&place, "template", fault.why, fault.hint);
                }
            };
            tell(text, of_text);
            tell(html, of_html);
            None
        }
    }
}

fn file(reader: &mut Reader, base: &Path, folder: &Placed<String>, name: &str) -> Option<File> {
    let path = Path::new(&folder.value).join(name);
    let shown = path.display().to_string();
    match read_text(&base.join(path), TEMPLATE_BYTES_MAX as u64) {
        Ok(text) => Some((shown.into(), text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let why = format!("{shown:?} cannot be read ({error})");
            reader.fault(&folder.place, "mail.templates", why, "make it a readable text file in UTF-8");
            None
        }
    }
}
