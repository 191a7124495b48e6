//! Mail over SMTP: one mail in, delivered to the server or not, with the difference between "never" and "not now".
//!
//! `template` holds the words, `message` makes a MIME message of them, `smtp` hands it over. When a mail is due, and again,
//! is not decided here.
use std::fmt;

use crate::domain::{EmailAddress, EnterpriseSlug, QueuedMail, Timestamp};

mod message;
mod smtp;
mod template;

pub use smtp::{Mailer, MailerError, SendError};
pub use template::{Kind, TEMPLATE_BYTES_MAX, Template, TemplateFault, Templates};

/// The server, who we are to it, and the words.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// Never without TLS.
    pub credentials: Option<Credentials>,
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    /// For one mail, from the connection to the server's last word.
    pub timeout_millis_max: u64,
    /// PEM of the authorities that vouch for the server; `None`: those of the system.
    pub ca_pem: Option<String>,
    pub templates: Templates,
    /// Whether people are told that they left an organization, or that an invitation was withdrawn.
    pub notices: bool,
}

/// When the connection becomes a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first octet (RFC 8314 3.3).
    Implicit,
    /// By STARTTLS (RFC 3207), and not at all without it.
    Starttls,
    /// Never: on loopback, in development.
    None,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// An address, perhaps with a name before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: EmailAddress,
}

impl Mailbox {
    /// Longest name, in characters.
    const NAME_CHARS_MAX: usize = 78;

    /// `alice@example.com`, or `Alice of Example <alice@example.com>`.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((name, rest)) = text.split_once('<') else {
            return Some(Self { name: None, address: EmailAddress::parse(text)? });
        };
        let name = name.trim().trim_matches('"').trim();
        let address = EmailAddress::parse(rest.trim_end().strip_suffix('>')?)?;
        let fits = name.chars().count() <= Self::NAME_CHARS_MAX;
        if !fits || name.chars().any(|c| c.is_control() || matches!(c, '"' | '>')) {
            return None;
        }
        Some(Self { name: (!name.is_empty()).then(|| name.to_owned()), address })
    }
}

/// A mail that is due, with what its record does not know.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub mail: &'a QueuedMail,
    pub enterprise: &'a EnterpriseSlug,
    /// Where the invitation is accepted; its secret stands in it.
    pub link: Option<&'a str>,
    pub now: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        let shown = |text: &str| Mailbox::parse(text).map(|m| (m.name, m.address.to_string()));
        assert_eq!(shown("gate@example.com"), Some((None, "gate@example.com".into())));
        let named = Some((Some("The gate".into()), "gate@example.com".into()));
        assert_eq!(shown("The gate <gate@example.com>"), named);
        assert_eq!(shown("\"The gate\" <gate@example.com> "), named);
        for bad in ["", "The gate", "<gate@example.com", "a\r\nBcc: x <gate@example.com>", "x <a@b> y"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
        assert!(!format!("{:?}", Credentials { user: "u".into(), password: "p4ss".into() }).contains("p4ss"));
    }
}
