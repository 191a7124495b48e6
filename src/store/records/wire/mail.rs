//! Mails that wait, and recovery codes.
use serde::{Deserialize, Serialize};

use super::{
    V, V1, corrupt, millis,
    people::{digest, person, role, slug},
    time,
};
use crate::{
    domain::{self, InvitationReference, InvitationSecret, MailId, MailSubject, hex},
    store::StoreError,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct QueuedMail {
    v: V1,
    to: String,
    about: About,
    queued: i64,
    due: i64,
    attempts: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
enum About {
    Invitation {
        org: String,
        reference: String,
        role: String,
        inviter: Option<String>,
        secret: String,
        expires: Option<i64>,
    },
    InvitationCancelled {
        org: String,
    },
    Removed {
        org: String,
    },
    RemovalsHeld {
        org: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct RecoveryCodes {
    v: V1,
    person: String,
    generated: i64,
    hashes: Vec<String>,
    used: usize,
}

impl From<&domain::QueuedMail> for QueuedMail {
    fn from(mail: &domain::QueuedMail) -> Self {
        let about = match &mail.subject {
            MailSubject::Invitation { organization, reference, role, inviter, secret, expires_at } => {
                About::Invitation {
                    org: organization.to_string(),
                    reference: reference.to_string(),
                    role: role.as_str().to_owned(),
                    inviter: inviter.clone(),
                    secret: secret.expose().to_owned(),
                    expires: expires_at.map(millis),
                }
            }
            MailSubject::InvitationCancelled { organization } => {
                About::InvitationCancelled { org: organization.to_string() }
            }
            MailSubject::Removed { organization } => About::Removed { org: organization.to_string() },
            MailSubject::RemovalsHeld { organization } => {
                About::RemovalsHeld { org: organization.to_string() }
            }
        };
        Self {
            v: V,
            to: mail.to.clone(),
            about,
            queued: millis(mail.queued_at),
            due: millis(mail.due_at),
            attempts: mail.attempts,
        }
    }
}

impl QueuedMail {
    pub fn into_domain(self, id: MailId) -> Result<domain::QueuedMail, StoreError> {
        let subject = match self.about {
            About::Invitation { org, reference, role: as_what, inviter, secret, expires } => {
                MailSubject::Invitation {
                    organization: slug(&org)?,
                    reference: InvitationReference::parse(&reference)
                        .ok_or_else(|| corrupt("a reference"))?,
                    role: role(&as_what)?,
                    inviter,
                    secret: InvitationSecret::parse(&secret).ok_or_else(|| corrupt("a secret"))?,
                    expires_at: expires.map(time).transpose()?,
                }
            }
            About::InvitationCancelled { org } => {
                MailSubject::InvitationCancelled { organization: slug(&org)? }
            }
            About::Removed { org } => MailSubject::Removed { organization: slug(&org)? },
            About::RemovalsHeld { org } => MailSubject::RemovalsHeld { organization: slug(&org)? },
        };
        Ok(domain::QueuedMail {
            id,
            to: self.to,
            subject,
            queued_at: time(self.queued)?,
            due_at: time(self.due)?,
            attempts: self.attempts,
        })
    }
}

impl From<&domain::RecoveryCodes> for RecoveryCodes {
    fn from(codes: &domain::RecoveryCodes) -> Self {
        Self {
            v: V,
            person: codes.person.to_string(),
            generated: millis(codes.generated_at),
            hashes: codes.hashes.iter().map(|hash| hex(hash)).collect(),
            used: codes.used,
        }
    }
}

impl RecoveryCodes {
    pub fn into_domain(self) -> Result<domain::RecoveryCodes, StoreError> {
        Ok(domain::RecoveryCodes {
            person: person(&self.person)?,
            generated_at: time(self.generated)?,
            hashes: self.hashes.iter().map(|text| digest(text)).collect::<Result<_, _>>()?,
            used: self.used,
        })
    }
}
