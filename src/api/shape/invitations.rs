//! Offers of membership.
use serde::Serialize;

use super::time;
use crate::domain::{Invitation, Timestamp};

/// An invitation. What its mail's link holds is shown nowhere.
#[derive(Serialize)]
pub struct InvitationShape {
    id: String,
    email: String,
    role: &'static str,
    source: &'static str,
    inviter: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    sent: u32,
    sent_at: String,
    failed_at: Option<String>,
    /// `expired` or `undeliverable`.
    failed_reason: Option<&'static str>,
}

impl InvitationShape {
    pub fn of(invitation: &Invitation, now: Timestamp) -> Self {
        let failed = invitation.failed_at(now);
        Self {
            id: invitation.id.to_string(),
            email: invitation.email.clone(),
            role: invitation.role.as_str(),
            source: invitation.source.as_str(),
            inviter: invitation.inviter.map(|id| id.to_string()),
            created_at: time(invitation.invited_at),
            expires_at: invitation.expires_at.map(time),
            sent: invitation.sent,
            sent_at: time(invitation.sent_at),
            failed_at: failed.map(|(at, _)| time(at)),
            failed_reason: failed.map(|(_, why)| why),
        }
    }
}
