//! Whether what is signed is acceptable here and now: SAML Profiles 4.1.4.2 and 4.1.4.3, check by check.
use super::{
    Check, Outstanding, Reason, Refusal, Trail, demand,
    fields::{AssertionFields, AuthnStatement, ConfirmationData, ResponseFields},
    guard::{Guard, stands},
    instant::shifted,
    limits::ISSUE_AGE_SECONDS_MAX,
    name_id,
    structure::STATUS_SUCCESS,
    subject,
    yardstick::{Yardstick, equal},
};
use crate::domain::{NameId, StableId, Timestamp};

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// Where and when a response is judged.
pub(super) struct Policy<'a> {
    pub yardstick: Yardstick<'a>,
    pub acs_url: &'a str,
    pub outstanding: &'a [Outstanding<'a>],
    /// Whether the Response's own fields come from digested octets.
    pub response_signed: bool,
}

/// What the checks established, for the verified assertion.
pub(super) struct Accepted {
    /// `None` for a sign-in that began at the IdP.
    pub in_response_to: Option<String>,
    pub name_id: NameId,
    pub stable_id: StableId,
    pub session_index: Option<String>,
    pub authn_instant: Timestamp,
    /// The same by our clock, see [`demand::check_instant`].
    pub signed_in_at: Timestamp,
    pub authn_context: Option<String>,
    pub session_not_on_or_after: Option<Timestamp>,
    pub replayable_until: Timestamp,
}

impl Policy<'_> {
    pub fn check(
        &self,
        response: &ResponseFields<'_>,
        assertion: &AssertionFields<'_>,
        trail: &mut dyn Trail,
    ) -> Result<Accepted, Refusal> {
        self.check_status(response)?;
        trail.passed(Check::Status, &|| "Success".into());
        self.check_issuers(response, assertion)?;
        trail.passed(Check::Issuer, &|| assertion.issuer.value.to_string());
        // SAML Bindings 3.5.5.2: a signed message names where it goes.
        let destination = response.destination.as_deref();
        self.yardstick.check_destination(destination, self.acs_url, self.response_signed)?;
        trail.passed(Check::Destination, &|| destination.unwrap_or("none, not required").into());
        let request = self.check_in_response_to(response)?;
        trail.passed(Check::InResponseTo, &|| {
            request.map_or("none, the sign-in began at the identity provider", |r| r.request_id).into()
        });
        self.yardstick.check_issue_instant(response.issue_instant, "Response")?;
        self.yardstick.check_issue_instant(assertion.issue_instant, "Assertion")?;
        trail.passed(Check::IssueInstant, &|| assertion.issue_instant.to_string());
        let fields = assertion.subject.as_ref().ok_or(Reason::SubjectMissing)?;
        let name_id = fields.name_id.as_ref().ok_or(Reason::NameIdMissing)?;
        demand::check_format(name_id, self.yardstick.connection)?;
        let name_id = name_id::check(name_id, self.yardstick.connection)?;
        trail.passed(Check::Subject, &|| format!("{} ({})", name_id.value, name_id.format));
        let deliverable_until = self.check_confirmation(assertion, request)?;
        trail.passed(Check::SubjectConfirmation, &|| format!("bearer, until {deliverable_until}"));
        let valid_until = self.check_conditions(assertion)?;
        trail.passed(Check::Conditions, &|| {
            valid_until.map_or("no NotOnOrAfter".into(), |until| format!("valid until {until}"))
        });
        self.check_audience(assertion)?;
        trail.passed(Check::Audience, &|| self.yardstick.connection.settings().entity_id.clone());
        let (authn, session_not_on_or_after) = self.check_authn_statements(assertion)?;
        let signed_in_at = self.check_demand(authn, request)?;
        trail.passed(Check::AuthnStatement, &|| {
            let class = authn.context_class.as_deref().unwrap_or("an unnamed way");
            format!("signed in at {} by {class}", authn.authn_instant)
        });
        let stable_id = subject::stable_id(&name_id, assertion, self.yardstick.connection)?;
        trail.passed(Check::Attributes, &|| {
            let count = assertion.attributes.len();
            stable_id.attribute().map_or(format!("{count} attributes"), |name| {
                format!("{count} attributes, {name} identifies the person")
            })
        });
        // Acceptance ends at the latest with the age of the signed IssueInstant, whatever the other bounds say.
        let age_end = shifted(assertion.issue_instant, ISSUE_AGE_SECONDS_MAX);
        let latest = deliverable_until.max(valid_until.unwrap_or(deliverable_until)).min(age_end);
        Ok(Accepted {
            in_response_to: request.map(|request| request.request_id.to_owned()),
            name_id,
            stable_id,
            session_index: authn.session_index.as_deref().map(str::to_owned),
            authn_instant: authn.authn_instant,
            signed_in_at,
            authn_context: authn.context_class.as_deref().map(str::to_owned),
            session_not_on_or_after,
            replayable_until: shifted(latest, self.yardstick.skew()),
        })
    }

    /// SAML Core 3.2.2.2: only the outermost code counts (S-94).
    fn check_status(&self, response: &ResponseFields<'_>) -> Result<(), Refusal> {
        match response.status.first() {
            Some(code) if code == STATUS_SUCCESS => Ok(()),
            _ if !stands(Guard::Status) => Ok(()),
            _ => Err(Refusal::from(Reason::StatusNotSuccess)
                .expected(STATUS_SUCCESS)
                .found(&response.status.join(" / "))),
        }
    }

    /// SAML Profiles 4.1.4.2: both issuers are the one configured identity provider (S-90).
    fn check_issuers(
        &self,
        response: &ResponseFields<'_>,
        assertion: &AssertionFields<'_>,
    ) -> Result<(), Refusal> {
        match &response.issuer {
            Some(issuer) => {
                self.yardstick.check_issuer(issuer, Reason::ResponseIssuerMismatch, Guard::ResponseIssuer)?;
            }
            // A signature stands after an Issuer, so a signed Response has one.
            None if self.response_signed => return Err(Reason::ResponseShape.into()),
            None => {}
        }
        self.yardstick.check_issuer(
            &assertion.issuer,
            Reason::AssertionIssuerMismatch,
            Guard::AssertionIssuer,
        )
    }

    /// SAML Profiles 4.1.4.3: the response answers a request that this browser has outstanding (S-83), or none at all, which
    /// only a connection takes whose sign-ins may begin at the IdP (SAML Profiles 4.1.5, S-84).
    fn check_in_response_to(
        &self,
        response: &ResponseFields<'_>,
    ) -> Result<Option<&Outstanding<'_>>, Refusal> {
        match response.in_response_to.as_deref() {
            None if self.yardstick.connection.settings().idp_initiated || !stands(Guard::Solicited) => {
                Ok(None)
            }
            None => Err(Reason::Unsolicited.into()),
            Some(request) => match self.outstanding.iter().find(|asked| asked.request_id == request) {
                None if stands(Guard::RequestOutstanding) => {
                    Err(Refusal::from(Reason::RequestUnknown).found(request))
                }
                found => Ok(found),
            },
        }
    }

    /// What we asked for, or would have asked for: nobody gets around it by beginning at the IdP (S-99).
    fn check_demand(
        &self,
        authn: &AuthnStatement<'_>,
        request: Option<&Outstanding<'_>>,
    ) -> Result<Timestamp, Refusal> {
        demand::check_context(authn, &self.yardstick.connection.settings().authn_contexts)?;
        demand::check_context(authn, request.map_or(&[], |request| &request.demand.contexts))?;
        demand::check_instant(authn, request, self.yardstick.now, self.yardstick.skew())
    }

    /// SAML Profiles 4.1.4.2: one bearer confirmation holds; the end of its time. If none does, the first says why not.
    fn check_confirmation(
        &self,
        assertion: &AssertionFields<'_>,
        request: Option<&Outstanding<'_>>,
    ) -> Result<Timestamp, Refusal> {
        let confirmations = || assertion.subject.iter().flat_map(|subject| &subject.confirmations);
        // SAML Profiles 4.1.5: what was issued for a request must not pass for what answers none, by taking the Response's
        // unsigned InResponseTo away (S-84).
        let mut answered = confirmations().filter_map(|c| c.data.as_ref()?.in_response_to.as_deref());
        let answered = answered.next().filter(|_| stands(Guard::UnsolicitedAnswers));
        if let (None, Some(answered)) = (request, answered) {
            return Err(Refusal::from(Reason::ConfirmationRequestMismatch).found(answered));
        }
        let mut first = None;
        let mut latest = None;
        for confirmation in confirmations() {
            let bearer = confirmation.method == BEARER || !stands(Guard::Bearer);
            let Some(data) = confirmation.data.as_ref().filter(|_| bearer) else {
                continue;
            };
            match self.check_bearer(data, request) {
                Ok(end) => latest = latest.max(Some(end)),
                Err(refusal) => first = first.or(Some(refusal)),
            }
        }
        latest.ok_or_else(|| {
            first.unwrap_or_else(|| Refusal::from(Reason::ConfirmationMissing).expected(BEARER))
        })
    }

    /// SAML Profiles 4.1.4.2 (S-86, S-87): Recipient, InResponseTo and NotOnOrAfter must stand there, NotBefore must not.
    fn check_bearer(
        &self,
        data: &ConfirmationData<'_>,
        request: Option<&Outstanding<'_>>,
    ) -> Result<Timestamp, Refusal> {
        let recipient = data.recipient.as_deref().unwrap_or_default();
        equal(recipient, self.acs_url, Reason::RecipientMismatch, Guard::Recipient)?;
        if let Some(Outstanding { request_id, .. }) = request {
            let answered = data.in_response_to.as_deref();
            let answered = answered.or((!stands(Guard::ConfirmationSolicited)).then_some(*request_id));
            let answered = answered.ok_or(Reason::ConfirmationUnsolicited)?;
            equal(answered, request_id, Reason::ConfirmationRequestMismatch, Guard::ConfirmationRequest)?;
        }
        if let Some(start) = data.not_before.filter(|_| stands(Guard::ConfirmationNotBefore)) {
            return Err(Refusal::from(Reason::ConfirmationNotBefore).found(&start.to_string()));
        }
        let end =
            data.not_on_or_after.or((!stands(Guard::ConfirmationBounded)).then_some(self.yardstick.now));
        let end = end.ok_or(Reason::ConfirmationUnbounded)?;
        if stands(Guard::ConfirmationExpiry) && self.yardstick.is_past(end) {
            Err(self.yardstick.late(Reason::ConfirmationExpired, end))
        } else {
            Ok(end)
        }
    }

    /// SAML Core 2.5.1: every condition is understood, and now is within its bounds (S-88); the end of validity.
    fn check_conditions(&self, assertion: &AssertionFields<'_>) -> Result<Option<Timestamp>, Refusal> {
        let conditions = match &assertion.conditions {
            None if stands(Guard::ConditionsThere) => return Err(Reason::ConditionsMissing.into()),
            None => return Ok(None),
            Some(conditions) => conditions,
        };
        if let Some(unknown) = conditions.unknown.filter(|_| stands(Guard::ConditionKnown)) {
            return Err(Refusal::from(Reason::ConditionUnsupported).found(unknown));
        }
        match (conditions.not_before, conditions.not_on_or_after) {
            (Some(start), _) if self.yardstick.is_ahead(start) && stands(Guard::ConditionsNotBefore) => {
                Err(self.yardstick.late(Reason::ConditionsNotYetValid, start))
            }
            (_, Some(end)) if self.yardstick.is_past(end) && stands(Guard::ConditionsNotOnOrAfter) => {
                Err(self.yardstick.late(Reason::ConditionsExpired, end))
            }
            (_, end) => Ok(end),
        }
    }

    /// SAML Core 2.5.1.4: within one AudienceRestriction any Audience will do, but every restriction must be met.
    fn check_audience(&self, assertion: &AssertionFields<'_>) -> Result<(), Refusal> {
        let ours = &self.yardstick.connection.settings().entity_id;
        let restrictions = assertion.conditions.as_ref().map_or(&[][..], |conditions| &conditions.audiences);
        if stands(Guard::AudienceThere) && restrictions.is_empty() {
            return Err(Refusal::from(Reason::AudienceMissing).expected(ours));
        }
        match restrictions.iter().find(|audiences| !audiences.iter().any(|audience| audience == ours)) {
            Some(other) if stands(Guard::Audience) => {
                Err(Refusal::from(Reason::AudienceMismatch).expected(ours).found(&other.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// SAML Core 2.7.2: the first statement speaks of the sign-in, none of the sessions is over; the earliest end.
    fn check_authn_statements<'f, 's>(
        &self,
        assertion: &'f AssertionFields<'s>,
    ) -> Result<(&'f AuthnStatement<'s>, Option<Timestamp>), Refusal> {
        let first = assertion.authn_statements.first().ok_or(Reason::AuthnStatementMissing)?;
        let ahead = assertion.authn_statements.iter().find(|s| self.yardstick.is_ahead(s.authn_instant));
        if let Some(ahead) = ahead.filter(|_| stands(Guard::AuthnInstant)) {
            return Err(self.yardstick.late(Reason::AuthnInstantFuture, ahead.authn_instant));
        }
        let end = assertion.authn_statements.iter().filter_map(|s| s.session_not_on_or_after).min();
        // Without the skew: a session that is over by our clock could not be opened anyway.
        match end {
            Some(end) if self.yardstick.now >= end && stands(Guard::SessionEnd) => {
                Err(self.yardstick.late(Reason::SessionExpired, end))
            }
            end => Ok((first, end)),
        }
    }
}
