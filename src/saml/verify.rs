//! The order of the checks, from octets to a [`VerifiedAssertion`].
use super::{
    Check, Connection, Outstanding, Reason, Refusal, Trail,
    fields::{AssertionFields, ResponseFields},
    guard::{Guard, stands},
    limits::DECODED_BYTES_MAX,
    policy::{Accepted, Policy},
    signature, structure,
    xml::{self, Tape},
};
use crate::domain::{Attribute, NameId, StableId, Timestamp};

/// What an accepted response says. Only [`verify`] makes one; every field comes from octets that were digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAssertion {
    assertion_id: String,
    issuer: String,
    in_response_to: String,
    name_id: NameId,
    stable_id: StableId,
    session_index: Option<String>,
    authn_instant: Timestamp,
    session_not_on_or_after: Option<Timestamp>,
    issue_instant: Timestamp,
    replayable_until: Timestamp,
    attributes: Vec<Attribute>,
    structured_attributes: Vec<String>,
}

impl VerifiedAssertion {
    /// The Assertion's ID: with the issuer, what must be used only once (S-81).
    pub fn assertion_id(&self) -> &str {
        &self.assertion_id
    }
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
    /// The ID of the AuthnRequest that was answered, one of those given as outstanding.
    pub fn in_response_to(&self) -> &str {
        &self.in_response_to
    }
    /// The name of the person, or of the person's session, at the IdP: what logout messages go by.
    pub fn name_id(&self) -> &NameId {
        &self.name_id
    }
    /// Who the person is, by what the connection says identifies people.
    pub fn stable_id(&self) -> &StableId {
        &self.stable_id
    }
    pub fn session_index(&self) -> Option<&str> {
        self.session_index.as_deref()
    }
    pub fn authn_instant(&self) -> Timestamp {
        self.authn_instant
    }
    /// When the IdP wants the session to end, the earliest of its statements.
    pub fn session_not_on_or_after(&self) -> Option<Timestamp> {
        self.session_not_on_or_after
    }
    pub fn issue_instant(&self) -> Timestamp {
        self.issue_instant
    }
    /// When the assertion can no longer be accepted, clock skew included: how long its ID must be remembered.
    pub fn replayable_until(&self) -> Timestamp {
        self.replayable_until
    }
    /// The attributes in document order; several of one name are kept apart.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
    /// Names of attributes that are not among [`Self::attributes`] because a value holds elements or is nil. Whoever takes
    /// identity from an attribute must refuse if its name is here (S-23).
    pub fn structured_attributes(&self) -> &[String] {
        &self.structured_attributes
    }
}

/// Verifies a decoded response and returns what it says of the person.
///
/// `acs_url` is the configured URL that the POST came to, `outstanding` the requests that this browser has sent, `now`
/// the clock. `trail` is told of every check that passes.
pub fn verify(
    response: &[u8],
    connection: &Connection,
    acs_url: &str,
    outstanding: &[Outstanding<'_>],
    now: Timestamp,
    trail: &mut dyn Trail,
) -> Result<VerifiedAssertion, Refusal> {
    if stands(Guard::DecodedSize) && response.len() > DECODED_BYTES_MAX {
        return Err(Reason::DecodedTooLarge.into());
    }
    trail.passed(Check::Encoding, &|| format!("{} bytes", response.len()));
    let text = xml::scan(response)?;
    trail.passed(Check::Characters, &|| "UTF-8, no DTD, no processing instruction".into());
    let received = xml::parse(text)?;
    trail.passed(Check::WellFormed, &|| format!("{} elements", received.elements().count()));
    structure::check_ids(&received)?;
    trail.passed(Check::Identifiers, &|| "unique".into());
    let parts = structure::response(&received)?;
    trail.passed(Check::Structure, &|| "one Response, one Assertion".into());
    let digested = signature::verify(&received, &parts, connection, trail)?;
    let signed = if stands(Guard::Reread) { digested.reread()? } else { xml::parse(text)? };
    let policy = Policy { connection, acs_url, outstanding, now, response_signed: digested.is_response() };
    let (response, assertion) = if digested.is_response() || !stands(Guard::Reread) {
        let parts = structure::response(&signed)?;
        (ResponseFields::read(&signed, &parts)?, AssertionFields::read(&signed, &parts.assertion)?)
    } else {
        let assertion = structure::assertion(&signed, Tape::ROOT)?;
        (ResponseFields::read(&received, &parts)?, AssertionFields::read(&signed, &assertion)?)
    };
    trail.passed(Check::Fields, &|| "read from the digested octets".into());
    let accepted = policy.check(&response, &assertion, trail)?;
    Ok(verified(assertion, accepted))
}

fn verified(assertion: AssertionFields<'_>, accepted: Accepted) -> VerifiedAssertion {
    VerifiedAssertion {
        assertion_id: assertion.id.into_owned(),
        issuer: assertion.issuer.value.into_owned(),
        in_response_to: accepted.in_response_to,
        name_id: accepted.name_id,
        stable_id: accepted.stable_id,
        session_index: accepted.session_index,
        authn_instant: accepted.authn_instant,
        session_not_on_or_after: accepted.session_not_on_or_after,
        issue_instant: assertion.issue_instant,
        replayable_until: accepted.replayable_until,
        attributes: assertion.attributes,
        structured_attributes: assertion.structured_attributes,
    }
}
