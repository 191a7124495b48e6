//! Whether a signed logout message is meant for us, now, and about whom or in answer to what: SAML Profiles 4.4.3 and 4.4.4.
use std::borrow::Cow;

use super::{
    super::{
        Reason, Refusal,
        guard::{Guard, stands},
        instant::shifted,
        limits::{ISSUE_AGE_SECONDS_MAX, NAME_ID_BYTES_MAX},
        structure::{STATUS_SUCCESS, status_codes},
        xml::Tape,
        yardstick::Yardstick,
    },
    LogoutOutcome, LogoutRefusal, Receiver, VerifiedLogoutRequest, VerifiedLogoutResponse,
    message::{About, Fields, Parts},
};
use crate::domain::NameId;

const PARTIAL_LOGOUT: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";

impl Receiver<'_> {
    /// L-06: from the connection's IdP, to this URL, just now.
    pub(super) fn check_common(
        &self,
        fields: &Fields<'_>,
        destination_required: bool,
    ) -> Result<(), LogoutRefusal> {
        let yardstick = self.yardstick();
        yardstick.check_issuer(&fields.issuer, Reason::ResponseIssuerMismatch, Guard::ResponseIssuer)?;
        // SAML Bindings 3.4.5.2, 3.5.5.2: a signed message that goes through a browser names where it goes. By SOAP nobody
        // is between, so it need not.
        yardstick.check_destination(fields.destination.as_deref(), self.slo_url, destination_required)?;
        Ok(yardstick.check_issue_instant(fields.issue_instant, fields.element)?)
    }

    /// SAML Core 3.7.1.
    pub(super) fn request(
        &self,
        signed: &Tape<'_>,
        parts: &Parts,
        fields: Fields<'_>,
    ) -> Result<VerifiedLogoutRequest, LogoutRefusal> {
        let About { name_id, session_indexes, not_on_or_after } =
            About::read(signed, parts, self.connection)?;
        if not_on_or_after.is_some_and(|end| self.yardstick().is_past(end)) && stands(Guard::LogoutExpiry) {
            return Err(LogoutRefusal::Expired);
        }
        // Compared with what sessions have, byte for byte: nothing of it is trimmed or folded (L-05).
        if name_id.value.is_empty() && stands(Guard::NameIdThere) {
            return Err(Reason::NameIdMissing.into());
        }
        if name_id.value.len() > NAME_ID_BYTES_MAX && stands(Guard::SubjectLength) {
            return Err(Reason::NameIdTooLong.into());
        }
        let age_end = shifted(fields.issue_instant, ISSUE_AGE_SECONDS_MAX);
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Ok(VerifiedLogoutRequest {
            id: fields.id.into_owned(),
            issuer: fields.issuer.value.into_owned(),
            name_id: NameId {
                value: name_id.value.into_owned(),
                format: owned(name_id.format).unwrap_or_else(|| NameId::UNSPECIFIED.to_owned()),
                name_qualifier: owned(name_id.name_qualifier),
                sp_name_qualifier: owned(name_id.sp_name_qualifier),
            },
            session_indexes,
            issue_instant: fields.issue_instant,
            replayable_until: shifted(
                not_on_or_after.map_or(age_end, |end| end.min(age_end)),
                self.yardstick().skew(),
            ),
        })
    }

    /// SAML Core 3.7.3.2. L-07: it answers a request that this browser has outstanding.
    pub(super) fn response(
        &self,
        signed: &Tape<'_>,
        parts: &Parts,
    ) -> Result<VerifiedLogoutResponse, LogoutRefusal> {
        let answered = signed.attribute(parts.element, "InResponseTo").unwrap_or_default();
        if !self.outstanding.contains(&answered.as_ref()) && stands(Guard::LogoutAnswers) {
            return Err(Refusal::from(Reason::RequestUnknown).found(&answered).into());
        }
        let codes = status_codes(signed, parts.status.ok_or(LogoutRefusal::Shape)?);
        let outcome = if codes.iter().any(|code| code == PARTIAL_LOGOUT) {
            LogoutOutcome::Partial
        } else if codes.first().is_some_and(|code| code == STATUS_SUCCESS) {
            LogoutOutcome::Complete
        } else {
            LogoutOutcome::Failed
        };
        Ok(VerifiedLogoutResponse { in_response_to: answered.into_owned(), outcome })
    }

    fn yardstick(&self) -> Yardstick<'_> {
        Yardstick { connection: self.connection, now: self.now }
    }
}
