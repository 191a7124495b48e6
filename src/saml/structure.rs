//! What may stand where: IDs, the Response and its one Assertion, and the places of signatures.
use std::{borrow::Cow, collections::BTreeSet};

use super::{
    Reason, Refusal,
    guard::{Guard, stands},
    xml::{self, Namespace, NodeId, Tape},
};

pub(super) const STATUS_SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// A Response of the right shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseParts {
    pub element: NodeId,
    pub issuer: Option<NodeId>,
    pub signature: Option<NodeId>,
    pub status: NodeId,
    pub enclosed: Enclosed,
}

/// The one assertion of a Response.
#[derive(Debug, Clone, Copy)]
pub(super) enum Enclosed {
    Assertion(AssertionParts),
    /// An EncryptedAssertion; what is in it is judged once it is decrypted.
    Encrypted(NodeId),
}

/// An Assertion of the right shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct AssertionParts {
    pub element: NodeId,
    pub issuer: NodeId,
    pub signature: Option<NodeId>,
    pub subject: Option<NodeId>,
    pub conditions: Option<NodeId>,
}

/// Attributes that SAML and XML Signature define and that no namespaced attribute may imitate (S-12).
const OWN_ATTRIBUTES: &[&str] = &[
    "ID",
    "Name",
    "Version",
    "IssueInstant",
    "Destination",
    "InResponseTo",
    "Recipient",
    "NotBefore",
    "NotOnOrAfter",
    "Method",
    "Format",
    "Value",
    "URI",
    "Algorithm",
    "SessionIndex",
    "SessionNotOnOrAfter",
    "AuthnInstant",
    "NameQualifier",
    "SPNameQualifier",
    "NameFormat",
    "Count",
    "PrefixList",
];

/// SAML Core 1.3.4 and 5.4.2: only the un-namespaced `ID` of a message or an Assertion identifies it, IDs are NCNames, and no
/// two elements of the document share one, whatever their ID attribute is called.
pub(super) fn check_ids(tape: &Tape<'_>) -> Result<(), Refusal> {
    let mut ids: Vec<Cow<'_, str>> = vec![];
    for element in tape.elements() {
        let attributes = tape.attributes(element);
        if attributes.is_empty() && tape.repeats(element) {
            continue;
        }
        let identified = match tape.namespace(element) {
            Namespace::SAMLP => {
                matches!(tape.local(element), "Response" | "LogoutRequest" | "LogoutResponse")
            }
            Namespace::SAML => tape.local(element) == "Assertion",
            _ => false,
        };
        if attributes.is_empty() && !identified {
            continue;
        }
        let namespace = tape.namespace(element);
        let own = [Namespace::SAMLP, Namespace::SAML, Namespace::DS].contains(&namespace);
        let before = ids.len();
        for attribute in attributes {
            let local = attribute.local();
            if local.eq_ignore_ascii_case("ID") {
                let plain = attribute.namespace == Namespace::NONE && local == "ID";
                if (ids.len() > before || (identified && !plain)) && stands(Guard::IdForeign) {
                    return Err(Refusal::at(Reason::IdForeign, tape.offset(element)).found(local));
                }
                ids.push(attribute.value());
            }
            let foreign = ![Namespace::NONE, Namespace::XML, Namespace::XSI].contains(&attribute.namespace);
            let alike = own && foreign && OWN_ATTRIBUTES.iter().any(|name| local.eq_ignore_ascii_case(name));
            if alike && stands(Guard::AttributeLookalikes) {
                return Err(Refusal::at(Reason::AttributeLookalike, tape.offset(element)).found(local));
            }
        }
        match ids.get(before) {
            Some(id) if !xml::is_ncname(id) && stands(Guard::IdSyntax) => {
                return Err(Refusal::at(Reason::IdInvalid, tape.offset(element)).found(id));
            }
            None if identified && stands(Guard::IdThere) => {
                return Err(Refusal::at(Reason::IdMissing, tape.offset(element)));
            }
            _ => {}
        }
    }
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) if stands(Guard::IdUnique) => {
            Err(Refusal::from(Reason::IdDuplicate).found(pair.first().map_or("", |id| id)))
        }
        _ => Ok(()),
    }
}

/// XML Encryption 1.1 4.4: what is decrypted takes its place in the document, so no ID in it may be one of the document's.
pub(super) fn check_ids_across(document: &Tape<'_>, decrypted: &Tape<'_>) -> Result<(), Refusal> {
    let ids = |tape: &Tape<'_>| -> BTreeSet<String> {
        let attributes = tape.elements().flat_map(|element| tape.attributes(element));
        let ids = attributes.filter(|attribute| attribute.local().eq_ignore_ascii_case("ID"));
        ids.map(|attribute| attribute.value().into_owned()).collect()
    };
    match ids(document).intersection(&ids(decrypted)).next() {
        Some(id) if stands(Guard::IdUniqueAcross) => Err(Refusal::from(Reason::IdDuplicate).found(id)),
        _ => Ok(()),
    }
}

/// SAML Core 3.2.2 and Profiles 4.1.4.2: the root is a Response 2.0 with exactly one Assertion in the whole document, its
/// direct child.
pub(super) fn response(tape: &Tape<'_>) -> Result<ResponseParts, Refusal> {
    let root = Tape::ROOT;
    if stands(Guard::RootResponse) && !tape.is(root, Namespace::SAMLP, "Response") {
        return Err(Refusal::from(Reason::RootNotResponse).found(tape.local(root)));
    }
    check_version(tape, root)?;
    let census = Census::take(tape);
    if stands(Guard::OneAssertion) && census.assertions + census.encrypted > 1 {
        return Err(Reason::AssertionMultiple.into());
    }
    if census.assertions + census.encrypted == 0 {
        return Err(without_assertion(tape));
    }
    let named = if census.encrypted > 0 { "EncryptedAssertion" } else { "Assertion" };
    let assertion = tape
        .children(root)
        .find(|child| tape.is(*child, Namespace::SAML, named))
        .or_else(|| {
            let anywhere =
                |id: &NodeId| !stands(Guard::AssertionPlace) && tape.is(*id, Namespace::SAML, named);
            tape.elements().find(anywhere)
        })
        .ok_or(Reason::AssertionMisplaced)?;
    let signature = signature_of(tape, root);
    // An EncryptedAssertion has no Issuer, so no signature is in place there.
    let placed = usize::from(signature.is_some()) + usize::from(signature_of(tape, assertion).is_some());
    if stands(Guard::SignaturePlace) && census.signatures != placed {
        return Err(Reason::SignatureMisplaced.into());
    }
    check_order(tape, root, response_place, Guard::ResponseShape)
        .map_err(|found| found.refusal(Reason::ResponseShape))?;
    let child = |local| tape.children(root).find(|child| tape.local(*child) == local);
    Ok(ResponseParts {
        element: root,
        issuer: child("Issuer"),
        signature,
        status: child("Status").ok_or(Reason::ResponseShape)?,
        enclosed: match census.encrypted {
            0 => Enclosed::Assertion(self::assertion(tape, assertion)?),
            _ => Enclosed::Encrypted(assertion),
        },
    })
}

/// The plaintext of an EncryptedAssertion (SAML Core 2.3.4, S-74): one Assertion, in which there is no other and no
/// EncryptedAssertion, with no signature but its own.
pub(super) fn plaintext(tape: &Tape<'_>) -> Result<AssertionParts, Refusal> {
    let parts = assertion(tape, Tape::ROOT)?;
    let census = Census::take(tape);
    if stands(Guard::OneAssertion) && census.assertions + census.encrypted > 1 {
        return Err(Reason::AssertionMultiple.into());
    }
    if stands(Guard::SignaturePlace) && census.signatures != usize::from(parts.signature.is_some()) {
        return Err(Reason::SignatureMisplaced.into());
    }
    Ok(parts)
}

/// SAML Core 2.3.3: an Assertion 2.0 with its children in the order of the schema.
pub(super) fn assertion(tape: &Tape<'_>, element: NodeId) -> Result<AssertionParts, Refusal> {
    if !tape.is(element, Namespace::SAML, "Assertion") {
        return Err(Refusal::from(Reason::AssertionShape).expected("Assertion").found(tape.local(element)));
    }
    check_version(tape, element)?;
    check_order(tape, element, assertion_place, Guard::AssertionShape)
        .map_err(|found| found.refusal(Reason::AssertionShape))?;
    let child = |local| tape.children(element).find(|child| tape.local(*child) == local);
    Ok(AssertionParts {
        element,
        issuer: child("Issuer").ok_or(Reason::AssertionShape)?,
        signature: signature_of(tape, element),
        subject: child("Subject"),
        conditions: child("Conditions"),
    })
}

/// Whether the Assertion holds encrypted parts: an EncryptedID for its Subject (SAML Core 2.4.1) or EncryptedAttributes in
/// its statements (2.7.3). One that stands anywhere else could be read by nobody.
pub(super) fn has_encrypted_parts(tape: &Tape<'_>, assertion: &AssertionParts) -> Result<bool, Refusal> {
    let is_part = |id: &NodeId| {
        tape.namespace(*id) == Namespace::SAML
            && matches!(tape.local(*id), "EncryptedID" | "EncryptedAttribute")
    };
    if !tape.distinct(assertion.element).any(|id| is_part(&id)) {
        return Ok(false);
    }
    let ids = assertion.subject.into_iter().flat_map(|subject| tape.children(subject));
    let statements = tape
        .children(assertion.element)
        .filter(|child| tape.is(*child, Namespace::SAML, "AttributeStatement"));
    let attributes = statements.flat_map(|statement| tape.children(statement));
    let in_place = ids.filter(|id| tape.is(*id, Namespace::SAML, "EncryptedID")).count()
        + attributes.filter(|id| tape.is(*id, Namespace::SAML, "EncryptedAttribute")).count();
    if tape.subtree(assertion.element).filter(is_part).count() == in_place {
        Ok(true)
    } else {
        Err(Refusal::from(Reason::EncryptedPart)
            .expected("an EncryptedID in the Subject, an EncryptedAttribute in an AttributeStatement"))
    }
}

/// The signature of a Response or an Assertion: its second child, right after the Issuer.
fn signature_of(tape: &Tape<'_>, parent: NodeId) -> Option<NodeId> {
    let mut children = tape.children(parent);
    let issuer = children.next()?;
    let signature = children.next()?;
    let there = tape.is(issuer, Namespace::SAML, "Issuer") && tape.is(signature, Namespace::DS, "Signature");
    there.then_some(signature)
}

/// How often the elements occur that must be unique in the document.
#[derive(Default)]
struct Census {
    assertions: usize,
    encrypted: usize,
    signatures: usize,
}

impl Census {
    fn take(tape: &Tape<'_>) -> Self {
        let mut census = Self::default();
        // The last start tag that counts for nothing: most elements repeat it.
        let mut other = None;
        for element in tape.elements() {
            let tag = Some(tape.first_like(element));
            if tag == other {
                continue;
            }
            match (tape.namespace(element), tape.local(element)) {
                (Namespace::SAML, "Assertion") => census.assertions += 1,
                (Namespace::SAML, "EncryptedAssertion") => census.encrypted += 1,
                (Namespace::DS, "Signature") => census.signatures += 1,
                _ => other = tag,
            }
        }
        census
    }
}

/// An answer without an assertion: the IdP's word for what went wrong is worth more than its absence.
fn without_assertion(tape: &Tape<'_>) -> Refusal {
    let codes = tape
        .children(Tape::ROOT)
        .find(|child| tape.is(*child, Namespace::SAMLP, "Status"))
        .map(|status| status_codes(tape, status))
        .unwrap_or_default();
    match codes.first() {
        Some(code) if code != STATUS_SUCCESS => {
            Refusal::from(Reason::StatusNotSuccess).expected(STATUS_SUCCESS).found(&codes.join(" / "))
        }
        _ => Reason::AssertionMissing.into(),
    }
}

/// The values of the nested StatusCodes, outermost first (SAML Core 3.2.2.2).
pub(super) fn status_codes<'s>(tape: &Tape<'s>, status: NodeId) -> Vec<Cow<'s, str>> {
    let mut codes = vec![];
    let mut parent = status;
    // Bounded by the depth of the document.
    while let Some(code) = tape.children(parent).find(|child| tape.is(*child, Namespace::SAMLP, "StatusCode"))
    {
        codes.push(tape.attribute(code, "Value").unwrap_or_default());
        parent = code;
    }
    codes
}

pub(super) fn check_version(tape: &Tape<'_>, element: NodeId) -> Result<(), Refusal> {
    match tape.attribute(element, "Version") {
        Some(version) if version == "2.0" || !stands(Guard::Version) => Ok(()),
        None if !stands(Guard::Version) => Ok(()),
        version => {
            Err(Refusal::from(Reason::VersionUnsupported).expected("2.0").found(&version.unwrap_or_default()))
        }
    }
}

/// A child that stands where it must not.
struct Misplaced<'s>(&'s str);

impl Misplaced<'_> {
    fn refusal(&self, reason: Reason) -> Refusal {
        Refusal::from(reason).found(self.0)
    }
}

/// A child's place in the sequence of the schema, and whether there may be several of it.
type Place = fn(Namespace, &str) -> Option<(u8, bool)>;

fn response_place(namespace: Namespace, local: &str) -> Option<(u8, bool)> {
    match (namespace, local) {
        (Namespace::SAML, "Issuer") => Some((1, false)),
        (Namespace::DS, "Signature") => Some((2, false)),
        (Namespace::SAMLP, "Extensions") => Some((3, false)),
        (Namespace::SAMLP, "Status") => Some((4, false)),
        (Namespace::SAML, "Assertion" | "EncryptedAssertion") => Some((5, false)),
        _ => None,
    }
}

fn assertion_place(namespace: Namespace, local: &str) -> Option<(u8, bool)> {
    match (namespace, local) {
        (Namespace::SAML, "Issuer") => Some((1, false)),
        (Namespace::DS, "Signature") => Some((2, false)),
        (Namespace::SAML, "Subject") => Some((3, false)),
        (Namespace::SAML, "Conditions") => Some((4, false)),
        (Namespace::SAML, "Advice") => Some((5, false)),
        (Namespace::SAML, "AuthnStatement" | "AttributeStatement" | "AuthzDecisionStatement") => {
            Some((6, true))
        }
        _ => None,
    }
}

/// Children stand in the order of their places, each once unless it may repeat, with nothing but white space between.
fn check_order<'s>(tape: &Tape<'s>, parent: NodeId, place: Place, guard: Guard) -> Result<(), Misplaced<'s>> {
    if stands(guard) && tape.has_stray_text(parent) {
        return Err(Misplaced("text"));
    }
    let mut last = 0;
    for child in tape.children(parent) {
        let local = tape.local(child);
        match place(tape.namespace(child), local) {
            Some((here, repeats)) if here > last || (here == last && repeats) => last = here,
            _ if stands(guard) => return Err(Misplaced(local)),
            _ => {}
        }
    }
    Ok(())
}
