//! The order of the checks, from octets to a [`VerifiedAssertion`].
use super::{
    Check, Connection, Outstanding, Reason, Refusal, Trail,
    decryption::{self, Decryption},
    fields::{AssertionFields, ResponseFields},
    guard::{Guard, stands},
    limits::DECODED_BYTES_MAX,
    policy::{Accepted, Policy},
    signature,
    structure::{self, AssertionParts, Enclosed, ResponseParts},
    xml::{self, Tape},
    yardstick::Yardstick,
};
use crate::domain::{Attribute, NameId, StableId, Timestamp};

/// What an accepted response says. Only [`verify`] makes one; every field comes from octets that were digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAssertion {
    assertion_id: String,
    issuer: String,
    in_response_to: Option<String>,
    name_id: NameId,
    stable_id: StableId,
    session_index: Option<String>,
    authn_instant: Timestamp,
    signed_in_at: Timestamp,
    authn_context: Option<String>,
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
    /// The ID of the AuthnRequest that was answered, one of those given as outstanding; `None` for a sign-in that began at
    /// the IdP of a connection that allows it.
    pub fn in_response_to(&self) -> Option<&str> {
        self.in_response_to.as_deref()
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
    /// The same by our clock: not in the future, and not before a request that made the person sign in anew.
    pub fn signed_in_at(&self) -> Timestamp {
        self.signed_in_at
    }
    /// How the person signed in: the AuthnContextClassRef.
    pub fn authn_context(&self) -> Option<&str> {
        self.authn_context.as_deref()
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
    let message = Message {
        tape: &received,
        parts,
        policy: Policy {
            yardstick: Yardstick { connection, now },
            acs_url,
            outstanding,
            response_signed: false,
        },
    };
    match &parts.enclosed {
        Enclosed::Assertion(assertion) => message.verify_plain(assertion, trail),
        Enclosed::Encrypted(_) => message.verify_encrypted(trail),
    }
}

/// A message of the right structure.
struct Message<'a, 's> {
    tape: &'a Tape<'s>,
    parts: ResponseParts,
    policy: Policy<'a>,
}

impl Message<'_, '_> {
    fn verify_plain(
        mut self,
        assertion: &AssertionParts,
        trail: &mut dyn Trail,
    ) -> Result<VerifiedAssertion, Refusal> {
        let connection = self.policy.yardstick.connection;
        if connection.settings().encrypted && stands(Guard::Encrypted) {
            return Err(Reason::AssertionNotEncrypted.into());
        }
        check_encrypted_parts(self.tape, assertion, connection)?;
        trail.passed(Check::Structure, &|| "one Response, one Assertion".into());
        let digested = signature::verify(self.tape, &self.parts, assertion, connection, trail)?;
        let reread = stands(Guard::Reread).then(|| digested.reread()).transpose()?;
        let signed = reread.as_ref().unwrap_or(self.tape);
        self.policy.response_signed = digested.is_response();
        let (response, assertion) = if digested.is_response() || reread.is_none() {
            let parts = structure::response(signed)?;
            let Enclosed::Assertion(assertion) = parts.enclosed else {
                return Err(Reason::AssertionShape.into());
            };
            (ResponseFields::read(signed, &parts)?, assertion)
        } else {
            (ResponseFields::read(self.tape, &self.parts)?, structure::assertion(signed, Tape::ROOT)?)
        };
        let mut decryption = Decryption::new(connection);
        let assertion = AssertionFields::read(signed, &assertion, &mut decryption)?;
        trail.passed(Check::Decryption, &|| decryption.summary());
        self.judge(&response, assertion, trail)
    }

    /// The Response's signature comes first, where there is one: nothing of an EncryptedAssertion under a signature that
    /// does not verify is decrypted. What was decrypted goes through the same checks as the message did, and its signature
    /// through those of every signature.
    fn verify_encrypted(mut self, trail: &mut dyn Trail) -> Result<VerifiedAssertion, Refusal> {
        let connection = self.policy.yardstick.connection;
        if connection.settings().decryption_keys.is_empty() && stands(Guard::NotEncrypted) {
            return Err(Reason::AssertionEncrypted.into());
        }
        trail.passed(Check::Structure, &|| "one Response, one EncryptedAssertion".into());
        let digested = signature::verify_envelope(self.tape, &self.parts, connection, trail)?;
        let signed = digested.as_ref().map(signature::Digested::reread).transpose()?;
        self.policy.response_signed = signed.is_some();
        let envelope = signed.as_ref().unwrap_or(self.tape);
        let parts = structure::response(envelope)?;
        let Enclosed::Encrypted(element) = parts.enclosed else {
            return Err(Reason::AssertionShape.into());
        };
        let mut decryption = Decryption::new(connection);
        let plaintext = decryption.open(envelope, element, signed.is_some())?;
        trail.passed(Check::Decryption, &|| decryption.summary());
        let response = ResponseFields::read(envelope, &parts)?;
        let decrypted = decryption::parse(&plaintext).map_err(Refusal::decrypted)?;
        structure::check_ids_across(envelope, &decrypted).map_err(Refusal::decrypted)?;
        let mut assertion = structure::plaintext(&decrypted).map_err(Refusal::decrypted)?;
        check_encrypted_parts(&decrypted, &assertion, connection).map_err(Refusal::decrypted)?;
        let signature =
            signature::verify_decrypted(&decrypted, &assertion, signed.is_some(), connection, trail);
        let signature = signature.map_err(Refusal::decrypted)?;
        // Without a signature of its own, the Response's covers the ciphertext, and with it this plaintext (S-70).
        let reread = signature.as_ref().map(signature::Digested::reread).transpose()?;
        if let Some(signed) = &reread {
            assertion = structure::assertion(signed, Tape::ROOT)?;
        }
        let assertion =
            AssertionFields::read(reread.as_ref().unwrap_or(&decrypted), &assertion, &mut decryption)?;
        self.judge(&response, assertion, trail)
    }

    fn judge(
        &self,
        response: &ResponseFields<'_>,
        assertion: AssertionFields<'_>,
        trail: &mut dyn Trail,
    ) -> Result<VerifiedAssertion, Refusal> {
        trail.passed(Check::Fields, &|| "read from what the signatures cover".into());
        let accepted = self.policy.check(response, &assertion, trail)?;
        Ok(verified(assertion, accepted))
    }
}

/// SAML Core 2.2.4: encrypted parts stand where they can be read, and there is a key to read them.
fn check_encrypted_parts(
    tape: &Tape<'_>,
    assertion: &AssertionParts,
    connection: &Connection,
) -> Result<(), Refusal> {
    match structure::has_encrypted_parts(tape, assertion)? {
        true if connection.settings().decryption_keys.is_empty() && stands(Guard::NoEncryptedPart) => {
            Err(Reason::EncryptedPart.into())
        }
        _ => Ok(()),
    }
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
        signed_in_at: accepted.signed_in_at,
        authn_context: accepted.authn_context,
        session_not_on_or_after: accepted.session_not_on_or_after,
        issue_instant: assertion.issue_instant,
        replayable_until: accepted.replayable_until,
        attributes: assertion.attributes,
        structured_attributes: assertion.structured_attributes,
    }
}
