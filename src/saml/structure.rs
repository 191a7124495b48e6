//! What may stand where: IDs, the Response and its one Assertion, and the places of signatures.
use std::borrow::Cow;

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
    pub assertion: AssertionParts,
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

/// SAML Core 1.3.4 and 5.4.2: only the un-namespaced `ID` of a Response or Assertion identifies it, IDs are NCNames, and no
/// two elements of the document share one, whatever their ID attribute is called.
pub(super) fn check_ids(tape: &Tape<'_>) -> Result<(), Refusal> {
    let mut ids: Vec<Cow<'_, str>> = vec![];
    for element in tape.elements() {
        let attributes = tape.attributes(element);
        if attributes.is_empty() && tape.repeats(element) {
            continue;
        }
        let identified =
            tape.is(element, Namespace::SAMLP, "Response") || tape.is(element, Namespace::SAML, "Assertion");
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
    if stands(Guard::NotEncrypted) && census.encrypted > 0 {
        return Err(Reason::AssertionEncrypted.into());
    }
    if census.assertions == 0 {
        return Err(without_assertion(tape));
    }
    let assertion = tape
        .children(root)
        .find(|child| tape.is(*child, Namespace::SAML, "Assertion"))
        .or_else(|| {
            tape.elements()
                .find(|id| !stands(Guard::AssertionPlace) && tape.is(*id, Namespace::SAML, "Assertion"))
        })
        .ok_or(Reason::AssertionMisplaced)?;
    let signature = signature_of(tape, root);
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
        assertion: self::assertion(tape, assertion)?,
    })
}

/// SAML Core 2.3.3: an Assertion 2.0 with its children in the order of the schema.
pub(super) fn assertion(tape: &Tape<'_>, element: NodeId) -> Result<AssertionParts, Refusal> {
    if !tape.is(element, Namespace::SAML, "Assertion") {
        return Err(Reason::AssertionShape.into());
    }
    check_version(tape, element)?;
    let encrypted = |id: &NodeId| {
        tape.namespace(*id) == Namespace::SAML
            && matches!(tape.local(*id), "EncryptedID" | "EncryptedAttribute")
    };
    if stands(Guard::NoEncryptedPart) && tape.distinct(element).any(|id| encrypted(&id)) {
        return Err(Reason::EncryptedPart.into());
    }
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
        for element in tape.elements() {
            match tape.namespace(element) {
                Namespace::SAML => match tape.local(element) {
                    "Assertion" => census.assertions += 1,
                    "EncryptedAssertion" => census.encrypted += 1,
                    _ => {}
                },
                Namespace::DS if tape.local(element) == "Signature" => census.signatures += 1,
                _ => {}
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

fn check_version(tape: &Tape<'_>, element: NodeId) -> Result<(), Refusal> {
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
        (Namespace::SAML, "Assertion") => Some((5, false)),
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
