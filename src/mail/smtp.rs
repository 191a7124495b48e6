//! One mail, one connection: what the server says at each step decides whether it is tried again.
use std::{fmt, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};

use super::{
    Outgoing, Settings, Tls,
    message::{Unwritable, address, message},
};

/// RFC 5321 4.2.1: the first digit of a reply that is final.
const PERMANENT: u16 = 5;
/// What of a server's words stands in a log, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// Why there is no mailer.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("TLS to the mail server: {0}")]
    Tls(lettre::transport::smtp::Error),
    #[error("mail.from is no address")]
    From,
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server will not take this mail to this person, however often it is asked.
    #[error("the mail server refuses it for good at {stage}: {words}")]
    Refused { stage: Stage, words: String },
    /// The server, the way to it or our access to it is out of order.
    #[error("not now, at {stage}: {words}")]
    NotNow { stage: Stage, words: String },
    #[error("not within {0} ms")]
    Timeout(u64),
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
}

impl SendError {
    /// Whether another attempt is in vain.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unwritable(_))
    }

    /// Stable code for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "mail_refused",
            Self::NotNow { .. } => "mail_deferred",
            Self::Timeout(_) => "mail_timeout",
            Self::Unwritable(_) => "mail_unwritable",
        }
    }

    /// Whether the next mail would meet the same.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::NotNow { stage, .. } => !matches!(stage, Stage::Recipient | Stage::Content),
            Self::Timeout(_) => true,
            Self::Refused { .. } | Self::Unwritable(_) => false,
        }
    }
}

/// How far a mail came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connection,
    Tls,
    SignIn,
    Sender,
    Recipient,
    Content,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection",
            Self::Tls => "TLS",
            Self::SignIn => "AUTH",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Content => "DATA",
        })
    }
}

/// Sends mails to one server.
#[derive(Clone)]
pub struct Mailer {
    settings: Settings,
    from: Address,
    hello: ClientId,
    /// `None` where there is no TLS.
    tls: Option<TlsParameters>,
}

impl Mailer {
    /// Reads the certificates of the authorities; connects to nothing.
    pub fn new(settings: Settings) -> Result<Self, MailerError> {
        let tls = match settings.tls {
            Tls::None => None,
            Tls::Implicit | Tls::Starttls => Some(tls(&settings).map_err(MailerError::Tls)?),
        };
        Ok(Self {
            from: address(&settings.from.address).map_err(|_| MailerError::From)?,
            hello: ClientId::Domain(settings.from.address.domain().to_owned()),
            settings,
            tls,
        })
    }

    /// What an attempt takes at most.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_millis_max)
    }

    /// The server took the mail, and answers for it from now on (RFC 5321 4.2.5), or it did not.
    pub async fn send(&self, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let (to, message) = message(&self.settings, outgoing)?;
        let millis = self.settings.timeout_millis_max;
        let sent = self.hand_over(to, message.formatted());
        tokio::time::timeout(Duration::from_millis(millis), sent)
            .await
            .map_err(|_| SendError::Timeout(millis))?
    }

    async fn hand_over(&self, to: Address, message: Vec<u8>) -> Result<(), SendError> {
        let mut connection = self.connect().await?;
        let at = |stage| move |error| failed(stage, &error);
        let taken = async {
            if let Some(credentials) = &self.settings.credentials {
                let credentials = Credentials::new(credentials.user.clone(), credentials.password.clone());
                let mechanisms = [Mechanism::Plain, Mechanism::Login];
                connection.auth(&mechanisms, &credentials).await.map_err(at(Stage::SignIn))?;
            }
            connection
                .command(Mail::new(Some(self.from.clone()), vec![]))
                .await
                .map_err(at(Stage::Sender))?;
            connection.command(Rcpt::new(to, vec![])).await.map_err(at(Stage::Recipient))?;
            connection.command(Data).await.map_err(at(Stage::Content))?;
            connection.message(&message).await.map_err(at(Stage::Content))
        }
        .await;
        // Once it was taken, nothing that follows makes it unsent.
        connection.abort().await;
        taken.map(drop)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let Settings { host, port, tls, timeout_millis_max, .. } = &self.settings;
        let implicit = self.tls.clone().filter(|_| *tls == Tls::Implicit);
        let timeout = Some(Duration::from_millis(*timeout_millis_max));
        let connected =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), timeout, &self.hello, implicit, None);
        let mut connection = connected.await.map_err(|error| failed(Stage::Connection, &error))?;
        if *tls == Tls::Starttls
            && let Some(parameters) = self.tls.clone()
        {
            // RFC 3207 4.1: a server that does not offer it may be somebody in between, and gets nothing.
            connection.starttls(parameters, &self.hello).await.map_err(|error| failed(Stage::Tls, &error))?;
        }
        Ok(connection)
    }
}

/// What the server's word means at that stage. Before it heard of a recipient, its refusals are about us and not about the
/// mail: an operator mends them, and the mail is still there.
fn failed(stage: Stage, error: &lettre::transport::smtp::Error) -> SendError {
    let words: String = describe(error).chars().take(WORDS_CHARS_MAX).collect();
    let about_the_mail = matches!(stage, Stage::Recipient | Stage::Content);
    let code = error.status().map(u16::from);
    match about_the_mail && code.is_some_and(|code| code / 100 == PERMANENT) {
        true => SendError::Refused { stage, words },
        false => SendError::NotNow { stage, words },
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn tls(settings: &Settings) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, with the same.
        let _ = rustls_openssl::default_provider().install_default();
    }
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.ca_pem {
        builder = builder.certificate_store(CertificateStore::None);
        builder = builder.add_root_certificate(Certificate::from_pem(pem.as_bytes())?);
    }
    builder.build_rustls()
}
