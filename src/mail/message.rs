//! A MIME message: text and HTML of the same words, in ASCII on the wire.
use lettre::{
    Address, Message,
    address::AddressError,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{
    Outgoing, Settings,
    template::{Kind, Values},
};
use crate::domain::{EmailAddress, MailSubject};

/// Who invited somebody where no person did.
const NO_INVITER: &str = "Your administrator";
/// Until when an invitation is valid that has no end.
const NO_END: &str = "it is withdrawn";

/// Why a mail has no message; nothing but a fault of ours, or a record that somebody else wrote.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    #[error("an address is none")]
    Address,
    #[error("an address is none: {0}")]
    Parts(#[from] AddressError),
    #[error("the message: {0}")]
    Message(#[from] lettre::error::Error),
}

pub(super) fn address(address: &EmailAddress) -> Result<Address, AddressError> {
    Address::new(address.local(), address.domain())
}

/// The message, and to whom it goes.
pub(super) fn message(
    settings: &Settings,
    outgoing: &Outgoing<'_>,
) -> Result<(Address, Message), Unwritable> {
    let Outgoing { mail, enterprise, link, now } = outgoing;
    let to = EmailAddress::parse(&mail.to).ok_or(Unwritable::Address)?;
    let mut values = Values {
        organization: mail.subject.organization().as_str(),
        enterprise: enterprise.as_str(),
        to: to.as_str(),
        inviter: NO_INVITER,
        role: "",
        expires: NO_END,
        link: link.unwrap_or_default(),
    };
    let mut expiry = None;
    let kind = match &mail.subject {
        MailSubject::Invitation { role, inviter, expires_at, .. } => {
            values.role = role.as_str();
            values.inviter = inviter.as_deref().unwrap_or(NO_INVITER);
            expiry = expires_at.map(|at| at.strftime("%-d %B %Y, %H:%M UTC").to_string());
            Kind::Invitation
        }
        MailSubject::InvitationCancelled { .. } => Kind::Cancelled,
        MailSubject::Removed { .. } => Kind::Removed,
        MailSubject::RemovalsHeld { .. } => Kind::Held,
    };
    values.expires = expiry.as_deref().unwrap_or(NO_END);
    let words = settings.templates.of(kind).render(&values);

    let recipient = address(&to)?;
    let from = Mailbox::new(settings.from.name.clone(), address(&settings.from.address)?);
    // The same for every attempt, so that whoever gets a mail twice can tell (RFC 5322 3.6.4).
    let id = format!("<{}@{}>", mail.id, settings.from.address.domain());
    let mut builder = Message::builder()
        .from(from)
        .to(Mailbox::new(None, recipient.clone()))
        .subject(words.subject)
        .date((*now).into())
        .message_id(Some(id))
        // RFC 3834 5: no holiday notice comes back.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    if let Some(reply_to) = &settings.reply_to {
        builder = builder.reply_to(Mailbox::new(reply_to.name.clone(), address(&reply_to.address)?));
    }
    let message = builder.multipart(MultiPart::alternative_plain_html(words.text, words.html))?;
    Ok((recipient, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            EnterpriseSlug, InvitationReference, InvitationSecret, MailId, OrganizationSlug, QueuedMail,
            Role, Timestamp,
        },
        mail::{Mailbox as Sender, Templates, Tls},
    };

    fn settings() -> Settings {
        Settings {
            host: "localhost".into(),
            port: 25,
            tls: Tls::None,
            credentials: None,
            from: Sender::parse("The gäte <gate@example.com>").unwrap(),
            reply_to: Sender::parse("help@example.com"),
            timeout_millis_max: 1_000,
            ca_pem: None,
            templates: Templates::default(),
            notices: false,
        }
    }

    fn mail(to: &str, inviter: &str) -> QueuedMail {
        QueuedMail {
            id: MailId::from_bytes([7; 16]),
            to: to.into(),
            subject: MailSubject::Invitation {
                organization: OrganizationSlug::parse("octo-org").unwrap(),
                reference: InvitationReference::from_bytes([1; 32]),
                role: Role::Member,
                inviter: Some(inviter.into()),
                secret: InvitationSecret::from_random([1; 32]),
                expires_at: Some(Timestamp::UNIX_EPOCH),
            },
            queued_at: Timestamp::UNIX_EPOCH,
            due_at: Timestamp::UNIX_EPOCH,
            attempts: 0,
        }
    }

    fn written(mail: &QueuedMail) -> Result<String, Unwritable> {
        let enterprise = EnterpriseSlug::parse("example").unwrap();
        let link = Some("https://app.example.com/i?secret=s");
        let outgoing = Outgoing { mail, enterprise: &enterprise, link, now: Timestamp::UNIX_EPOCH };
        message(&settings(), &outgoing).map(|(_, message)| String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_mail_is_ascii_has_two_bodies_and_the_same_id_each_time() {
        let text = written(&mail("alice@example.com", "Bob Ünal")).unwrap();
        assert!(text.is_ascii());
        for line in [
            "To: alice@example.com\r\n",
            "Reply-To: help@example.com\r\n",
            "Message-ID: <07070707070707070707070707070707@example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/html; charset=utf-8\r\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        // RFC 2045 6.7: a line that is broken for its length.
        assert!(text.replace("=\r\n", "").contains("1 January 1970"), "{text}");
    }

    #[test]
    fn v_08_nothing_adds_a_header_or_a_recipient() {
        let text = written(&mail("alice@example.com", "x\r\nBcc: eve@example.com\r\n\r\nhello")).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("Bcc"), "{head}");
        assert!(!text.contains("\r\nBcc:"), "{text}");
        for evil in
            ["alice@example.com\r\nBcc: e@example.com", "a@example.com, e@example.com", "a@b>\r\nDATA"]
        {
            assert!(written(&mail(evil, "bob")).is_err(), "{evil}");
        }
    }
}
