//! Signatures: their one shape, their value, their digest, and the octets that they vouch for.
//!
//! This is the SAML profile of XML Signature (SAML Core 5.4), not XML Signature: one Reference to the element that holds
//! the signature, two transforms, no KeyInfo. Nothing here looks anything up by ID.
use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Check, Connection, Reason, Refusal, SignedElement, Trail,
    algorithm::{Digest, SignatureAlgorithm},
    guard::{Guard, excused, stands},
    limits::SIGNATURE_TEXT_BYTES_MAX,
    structure::{AssertionParts, ResponseParts},
    xml::{self, Canonicalizer, Namespace, NodeId, PrefixList, Tape},
};

const EXCLUSIVE_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Room for what a canonical form spells out and the message does not, so that the buffer seldom grows.
const SPELT_OUT_BYTES: usize = 1024;

/// The canonical octets of a message, an Assertion or a metadata document, whose digest stands in a signature that one of
/// the connection's keys verified. Only this file makes one; identity is read from nothing else.
pub(super) struct Digested {
    octets: String,
    response: bool,
}

impl Digested {
    /// Reads the octets anew, by the rules for the message they came from and those for canonical XML on top.
    pub fn reread(&self) -> Result<Tape<'_>, Refusal> {
        let tape = xml::reread(&self.octets)?;
        super::structure::check_ids(&tape)?;
        Ok(tape)
    }

    /// Whether they are the Response's, the Assertion within, or the Assertion's alone.
    pub fn is_response(&self) -> bool {
        self.response
    }
}

/// Verifies every signature of a message that holds a plain Assertion.
pub(super) fn verify(
    tape: &Tape<'_>,
    parts: &ResponseParts,
    assertion: &AssertionParts,
    connection: &Connection,
    trail: &mut dyn Trail,
) -> Result<Digested, Refusal> {
    let of_response = parts.signature.map(|id| Signature::read(tape, id, parts.element)).transpose()?;
    let of_assertion =
        assertion.signature.map(|id| Signature::read(tape, id, assertion.element)).transpose()?;
    check_signed(connection, of_response.is_some(), of_assertion.is_some())?;
    let octets = check_all(tape, [&of_response, &of_assertion].map(Option::as_ref), connection, trail)?;
    Ok(Digested { octets, response: of_response.is_some() })
}

/// Verifies the signature of a Response around an EncryptedAssertion; `None` if it has none and needs none.
pub(super) fn verify_envelope(
    tape: &Tape<'_>,
    parts: &ResponseParts,
    connection: &Connection,
    trail: &mut dyn Trail,
) -> Result<Option<Digested>, Refusal> {
    // What the Assertion within must have is judged once it can be read.
    check_signed(connection, parts.signature.is_some(), true)?;
    let Some(signature) = parts.signature else { return Ok(None) };
    let signature = Signature::read(tape, signature, parts.element)?;
    let octets = check_all(tape, [Some(&signature), None], connection, trail)?;
    Ok(Some(Digested { octets, response: true }))
}

/// Verifies the signature of an Assertion that was decrypted; `None` if it has none and that of the Response around it is
/// enough (S-70).
pub(super) fn verify_decrypted(
    tape: &Tape<'_>,
    assertion: &AssertionParts,
    response_signed: bool,
    connection: &Connection,
    trail: &mut dyn Trail,
) -> Result<Option<Digested>, Refusal> {
    check_signed(connection, response_signed, assertion.signature.is_some())?;
    let Some(signature) = assertion.signature else { return Ok(None) };
    let signature = Signature::read(tape, signature, assertion.element)?;
    let octets = check_all(tape, [None, Some(&signature)], connection, trail)?;
    Ok(Some(Digested { octets, response: false }))
}

/// SAML Profiles 4.1.3.5: what the connection wants signed is.
fn check_signed(connection: &Connection, response: bool, assertion: bool) -> Result<(), Refusal> {
    let signed = connection.settings().signed;
    let satisfied = match signed {
        SignedElement::Either => response || assertion,
        SignedElement::Response => response,
        SignedElement::Assertion => assertion,
        SignedElement::Both => response && assertion,
    };
    if satisfied || !stands(Guard::SignatureThere) {
        return Ok(());
    }
    Err(Refusal::from(Reason::SignatureMissing).expected(signed.as_str()))
}

/// Checks the signatures, the Response's first: all shapes are read, then each one's SignatureValue, and its digest only
/// after that (S-11, S-36: no transform runs for a signature that does not verify). The octets of the outermost.
fn check_all(
    tape: &Tape<'_>,
    signatures: [Option<&Signature>; 2],
    connection: &Connection,
    trail: &mut dyn Trail,
) -> Result<String, Refusal> {
    trail.passed(Check::SignatureStructure, &|| {
        let named: Vec<_> = signatures
            .iter()
            .flatten()
            .map(|s| format!("{} {}", tape.local(s.parent), s.algorithm))
            .collect();
        named.join(", ")
    });
    let mut canonicalizer = Canonicalizer::default();
    let mut octets = String::with_capacity(tape.source_len() + SPELT_OUT_BYTES);
    for signature in signatures.into_iter().flatten() {
        signature.check_value(tape, connection, &mut canonicalizer, &mut octets)?;
    }
    trail.passed(Check::SignatureValue, &|| "verified with a certificate of the connection".into());
    // The Assertion first, so that the octets of the Response, which hold it, are the last where both are signed.
    for signature in signatures.into_iter().flatten().rev() {
        signature.check_digest(tape, &mut canonicalizer, &mut octets)?;
    }
    trail.passed(Check::Digest, &|| format!("{} canonical bytes", octets.len()));
    Ok(octets)
}

/// Verifies the one signature of a message other than a Response, or of a metadata document: `signature`, which `element`
/// holds. What is read afterwards is what was digested (L-02, M-02).
pub(super) fn verify_message(
    tape: &Tape<'_>,
    element: NodeId,
    signature: NodeId,
    connection: &Connection,
) -> Result<Digested, Refusal> {
    let signature = Signature::read(tape, signature, element)?;
    let mut canonicalizer = Canonicalizer::default();
    let mut octets = String::with_capacity(tape.source_len() + SPELT_OUT_BYTES);
    signature.check_value(tape, connection, &mut canonicalizer, &mut octets)?;
    signature.check_digest(tape, &mut canonicalizer, &mut octets)?;
    Ok(Digested { octets, response: false })
}

/// A signature of the right shape.
struct Signature {
    signature: NodeId,
    parent: NodeId,
    signed_info: NodeId,
    algorithm: SignatureAlgorithm,
    /// Of SignedInfo's canonicalization.
    info_prefixes: PrefixList,
    value: Vec<u8>,
    digest: Digest,
    digest_value: Vec<u8>,
    /// Of the Reference's canonicalization.
    prefixes: PrefixList,
}

impl Signature {
    /// Reads the signature that `parent` holds (SAML Core 5.4).
    fn read(tape: &Tape<'_>, signature: NodeId, parent: NodeId) -> Result<Self, Refusal> {
        let shape = Shape { tape, parent };
        // S-30: text is read across comments, so none may stand where another reader could stop at it.
        if stands(Guard::SignatureComments) && tape.has_comment(signature) {
            return Err(shape.refused(Reason::SignatureComment));
        }
        let (signed_info, value) =
            match shape.children(signature, &["SignedInfo", "SignatureValue", "KeyInfo"])[..] {
                [signed_info, value] => (signed_info, value),
                [signed_info, value, key_info] => {
                    shape.check_key_info(key_info)?;
                    (signed_info, value)
                }
                _ => return Err(shape.refused(Reason::SignatureShape)),
            };
        let [canonicalization, method, reference] =
            shape.exactly(signed_info, &["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
        let info_prefixes = excused(
            Guard::CanonicalizationMethod,
            shape.exclusive_c14n(canonicalization, Reason::CanonicalizationMethod),
        )?;
        let algorithm =
            SignatureAlgorithm::from_uri(&shape.bare_algorithm(method, Reason::SignatureAlgorithm)?)
                .or_else(|| SignatureAlgorithm::without_guard(Guard::SignatureAlgorithm))
                .ok_or_else(|| shape.algorithm_refused(method, Reason::SignatureAlgorithm))?;
        shape.check_uri(reference)?;
        let [transforms, digest_method, digest_value] =
            shape.exactly(reference, &["Transforms", "DigestMethod", "DigestValue"])?;
        let prefixes = excused(Guard::Transforms, shape.transforms(transforms))?;
        let digest = Digest::from_uri(&shape.bare_algorithm(digest_method, Reason::DigestAlgorithm)?)
            .or((!stands(Guard::DigestAlgorithm)).then_some(Digest::Sha256))
            .ok_or_else(|| shape.algorithm_refused(digest_method, Reason::DigestAlgorithm))?;
        let digest_value = shape.base64(digest_value)?;
        if stands(Guard::DigestLength) && digest_value.len() != digest.len() {
            return Err(shape.refused(Reason::SignatureEncoding));
        }
        let value = shape.base64(value)?;
        Ok(Self {
            signature,
            parent,
            signed_info,
            algorithm,
            info_prefixes,
            value,
            digest,
            digest_value,
            prefixes,
        })
    }
}

impl Signature {
    /// The SignatureValue over the canonical SignedInfo, which is left in `octets`.
    fn check_value(
        &self,
        tape: &Tape<'_>,
        connection: &Connection,
        canonicalizer: &mut Canonicalizer,
        octets: &mut String,
    ) -> Result<(), Refusal> {
        octets.clear();
        canonicalizer.write(tape, self.signed_info, None, &self.info_prefixes, octets)?;
        connection.check_signature(self.algorithm, octets.as_bytes(), &self.value)
    }

    /// The digest over the canonical parent without this signature, which is left in `octets`.
    fn check_digest(
        &self,
        tape: &Tape<'_>,
        canonicalizer: &mut Canonicalizer,
        octets: &mut String,
    ) -> Result<(), Refusal> {
        octets.clear();
        canonicalizer.write(tape, self.parent, Some(self.signature), &self.prefixes, octets)?;
        let digest = self.digest.of(octets.as_bytes());
        // Nothing here is secret, so an early end of the comparison tells nobody anything (S-41: bytes, not text).
        let same = !octets.is_empty() && digest.as_deref() == Some(self.digest_value.as_slice());
        if !same && stands(Guard::Digest) {
            let element = tape.local(self.parent);
            return Err(Refusal::from(Reason::DigestMismatch).detail(format!("of the {element}")));
        }
        Ok(())
    }
}

/// Reads the parts of one signature.
struct Shape<'t, 's> {
    tape: &'t Tape<'s>,
    parent: NodeId,
}

impl Shape<'_, '_> {
    fn refused(&self, reason: Reason) -> Refusal {
        Refusal::from(reason).detail(format!("in the signature of the {}", self.tape.local(self.parent)))
    }

    fn algorithm_refused(&self, method: NodeId, reason: Reason) -> Refusal {
        self.refused(reason).found(&self.tape.attribute(method, "Algorithm").unwrap_or_default())
    }

    /// The child elements if they are the first ones of `names`, in that order, in the signature's namespace, with
    /// nothing between them; empty otherwise.
    fn children(&self, parent: NodeId, names: &[&str]) -> Vec<NodeId> {
        if !stands(Guard::SignatureShape) {
            let mut children = self.tape.children(parent);
            let next = |name: &&str| children.find(|child| self.tape.is(*child, Namespace::DS, name));
            return names.iter().map_while(next).collect();
        }
        let children: Vec<NodeId> = self.tape.children(parent).take(names.len() + 1).collect();
        let fit = children.len() <= names.len()
            && children.iter().zip(names).all(|(child, name)| self.tape.is(*child, Namespace::DS, name))
            && !self.tape.has_stray_text(parent);
        if fit { children } else { vec![] }
    }

    fn exactly<const N: usize>(&self, parent: NodeId, names: &[&str; N]) -> Result<[NodeId; N], Refusal> {
        self.children(parent, names).try_into().map_err(|_| self.refused(Reason::SignatureShape))
    }

    /// S-07, S-31, S-35: KeyInfo is ignored (S-51), but it is outside of the digest: nothing may hide in it that a reader
    /// could take for a part of the message or of a signature, or that names a resource.
    fn check_key_info(&self, key_info: NodeId) -> Result<(), Refusal> {
        let hides = |id: NodeId| {
            let namespace = self.tape.namespace(id);
            [Namespace::SAML, Namespace::SAMLP].contains(&namespace)
                || matches!(
                    self.tape.local(id),
                    "Signature"
                        | "SignedInfo"
                        | "SignatureValue"
                        | "Reference"
                        | "DigestValue"
                        | "Object"
                        | "Manifest"
                        | "SignatureProperties"
                        | "RetrievalMethod"
                        | "KeyInfoReference"
                        | "CipherReference"
                )
        };
        if stands(Guard::KeyInfo) && self.tape.subtree(key_info).any(hides) {
            Err(self.refused(Reason::SignatureShape))
        } else {
            Ok(())
        }
    }

    /// The Algorithm of a method that has nothing else: no other attribute, no child (S-53), no text.
    fn bare_algorithm(&self, method: NodeId, reason: Reason) -> Result<String, Refusal> {
        let bare = self.tape.children(method).next().is_none() && !self.tape.has_stray_text(method);
        let passes = bare || !stands(Guard::MethodContent);
        if passes { self.algorithm(method, reason) } else { Err(self.refused(reason)) }
    }

    fn algorithm(&self, method: NodeId, reason: Reason) -> Result<String, Refusal> {
        match (self.tape.attributes(method).len(), self.tape.attribute(method, "Algorithm")) {
            (1, Some(algorithm)) => Ok(algorithm.into_owned()),
            (_, Some(algorithm)) if !stands(Guard::MethodAttributes) => Ok(algorithm.into_owned()),
            _ => Err(self.refused(reason)),
        }
    }

    /// SAML Core 5.4.3: exclusive C14N without comments, with or without a PrefixList.
    fn exclusive_c14n(&self, method: NodeId, reason: Reason) -> Result<PrefixList, Refusal> {
        if self.algorithm(method, reason)? != EXCLUSIVE_C14N {
            return Err(self.algorithm_refused(method, reason));
        }
        let mut children = self.tape.children(method);
        let (inclusive, more) = (children.next(), children.next());
        if more.is_some() || self.tape.has_stray_text(method) {
            return Err(self.refused(reason));
        }
        let Some(inclusive) = inclusive else { return Ok(PrefixList::default()) };
        let named = self.tape.is(inclusive, Namespace::EXC_C14N, "InclusiveNamespaces");
        let empty = self.tape.text(inclusive).is_some_and(|text| text.trim().is_empty());
        let list = self.tape.attribute(inclusive, "PrefixList").and_then(|list| PrefixList::read(&list));
        match list {
            Some(list) if named && empty && self.tape.attributes(inclusive).len() == 1 => Ok(list),
            Some(list) if !stands(Guard::InclusiveNamespaces) => Ok(list),
            _ => Err(self.refused(reason).detail("InclusiveNamespaces")),
        }
    }

    /// SAML Core 5.4.2: the Reference names the ID of the element that holds the signature, byte for byte, in no other
    /// spelling (S-33 to S-35), and has no other attribute.
    fn check_uri(&self, reference: NodeId) -> Result<(), Refusal> {
        let uri = self.tape.attribute(reference, "URI").unwrap_or_default();
        let id = self.tape.attribute(self.parent, "ID").unwrap_or_default();
        let points = uri.strip_prefix('#').is_some_and(|target| !target.is_empty() && target == id);
        let alone = self.tape.attributes(reference).len() == 1;
        if (points || !stands(Guard::ReferenceUri)) && (alone || !stands(Guard::ReferenceAttributes)) {
            Ok(())
        } else {
            Err(self.refused(Reason::ReferenceUri).expected(&format!("#{id}")).found(&uri))
        }
    }

    /// SAML Core 5.4.4: enveloped-signature, then exclusive C14N, and no others (S-36 to S-38).
    fn transforms(&self, transforms: NodeId) -> Result<PrefixList, Refusal> {
        let shape = |_| self.refused(Reason::Transforms);
        let [enveloped, exclusive] = self.exactly(transforms, &["Transform", "Transform"]).map_err(shape)?;
        if self.bare_algorithm(enveloped, Reason::Transforms)? != ENVELOPED {
            return Err(self.algorithm_refused(enveloped, Reason::Transforms));
        }
        self.exclusive_c14n(exclusive, Reason::Transforms)
    }

    /// The octets of a base64 text, XML white space aside.
    fn base64(&self, element: NodeId) -> Result<Vec<u8>, Refusal> {
        let wrong = || self.refused(Reason::SignatureEncoding);
        let text = self.tape.text(element).ok_or_else(wrong)?;
        if stands(Guard::SignatureTextSize) && text.len() > SIGNATURE_TEXT_BYTES_MAX {
            return Err(wrong());
        }
        let blank = text.bytes().fold(false, |found, byte| found | byte.is_ascii_whitespace());
        let packed = if blank { Cow::Owned(text.split_ascii_whitespace().collect()) } else { text };
        excused(Guard::SignatureBase64, STANDARD.decode(packed.as_bytes()).map_err(|_| wrong()))
    }
}
