//! Whether a signed logout message is meant for us, now, and about whom or in answer to what: SAML Profiles 4.4.3 and 4.4.4.
use super::{
    super::{
        Reason, Refusal,
        guard::{Guard, stands},
        instant::shifted,
        limits::{ISSUE_AGE_SECONDS_MAX, NAME_ID_BYTES_MAX},
        name_id::UNSPECIFIED,
        policy::{ENTITY_FORMAT, equal},
        structure::{STATUS_SUCCESS, status_codes},
        xml::Tape,
    },
    LogoutOutcome, LogoutRefusal, Receiver, VerifiedLogoutRequest, VerifiedLogoutResponse,
    message::{About, Fields, Parts},
};
use crate::domain::{NameId, Timestamp};

const PARTIAL_LOGOUT: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";

impl Receiver<'_> {
    /// L-06: from the connection's IdP, to this URL, just now.
    pub(super) fn check_common(
        &self,
        fields: &Fields<'_>,
        destination_required: bool,
    ) -> Result<(), LogoutRefusal> {
        let settings = self.connection.settings();
        let other = |format: &&str| *format != ENTITY_FORMAT && stands(Guard::IssuerFormat);
        if let Some(format) = fields.issuer.format.as_deref().filter(other) {
            return Err(Refusal::from(Reason::IssuerFormat).expected(ENTITY_FORMAT).found(format).into());
        }
        equal(
            &fields.issuer.value,
            &settings.idp_entity_id,
            Reason::ResponseIssuerMismatch,
            Guard::ResponseIssuer,
        )?;
        // SAML Bindings 3.4.5.2, 3.5.5.2: a signed message that goes through a browser names where it goes. By SOAP nobody
        // is between, so it need not; one that names a place goes only there (SAML Core 3.2.1).
        match fields.destination.as_deref() {
            Some(destination) => {
                equal(destination, self.slo_url, Reason::DestinationMismatch, Guard::Destination)?
            }
            None if destination_required && stands(Guard::DestinationThere) => {
                return Err(Refusal::from(Reason::DestinationMissing).expected(self.slo_url).into());
            }
            None => {}
        }
        let issued = fields.issue_instant;
        if issued > shifted(self.now, self.skew()) && stands(Guard::IssuedInFuture) {
            return Err(self.late(Reason::IssueInstantFuture, issued));
        }
        if self.is_past(shifted(issued, ISSUE_AGE_SECONDS_MAX)) && stands(Guard::IssuedLongAgo) {
            return Err(self.late(Reason::IssueInstantStale, issued));
        }
        Ok(())
    }

    /// SAML Core 3.7.1.
    pub(super) fn request(
        &self,
        signed: &Tape<'_>,
        parts: &Parts,
        fields: Fields<'_>,
    ) -> Result<VerifiedLogoutRequest, LogoutRefusal> {
        let About { name_id, session_indexes, not_on_or_after } = About::read(signed, parts)?;
        if not_on_or_after.is_some_and(|end| self.is_past(end)) && stands(Guard::LogoutExpiry) {
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
        let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
        Ok(VerifiedLogoutRequest {
            id: fields.id.into_owned(),
            issuer: fields.issuer.value.into_owned(),
            name_id: NameId {
                value: name_id.value.into_owned(),
                format: owned(name_id.format).unwrap_or_else(|| UNSPECIFIED.to_owned()),
                name_qualifier: owned(name_id.name_qualifier),
                sp_name_qualifier: owned(name_id.sp_name_qualifier),
            },
            session_indexes,
            issue_instant: fields.issue_instant,
            replayable_until: shifted(not_on_or_after.map_or(age_end, |end| end.min(age_end)), self.skew()),
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

    fn skew(&self) -> i64 {
        i64::from(self.connection.settings().clock_skew_seconds)
    }

    /// Whether `end` is past, with the clock skew in the message's favour.
    fn is_past(&self, end: Timestamp) -> bool {
        self.now >= shifted(end, self.skew())
    }

    fn late(&self, reason: Reason, at: Timestamp) -> LogoutRefusal {
        Refusal::from(reason).expected(&format!("now {}", self.now)).found(&at.to_string()).into()
    }
}
