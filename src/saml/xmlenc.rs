//! XML Encryption's elements, read by the few shapes that SAML gives them: what is encrypted how, and under which keys.
//!
//! An EncryptedAssertion, EncryptedID or EncryptedAttribute (SAML Core 2.2.4) holds one EncryptedData, and the EncryptedKeys
//! in its KeyInfo or beside it. Everything must be in the message itself: nothing is retrieved from anywhere, and an
//! EncryptedKey is encrypted to a key of ours and not to another EncryptedKey, so nothing can lead in a circle (S-74).
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Reason, Refusal,
    algorithm::{ContentEncryption, KeyTransport, OaepDigest},
    guard::{Guard, excused, stands},
    limits::{ENCRYPTED_KEYS_MAX, KEY_HINTS_MAX},
    xml::{Namespace, NodeId, Tape},
};

const TYPE_ELEMENT: &str = "http://www.w3.org/2001/04/xmlenc#Element";
const TYPE_ENCRYPTED_KEY: &str = "http://www.w3.org/2001/04/xmlenc#EncryptedKey";

/// An encrypted element, and the keys that may open it.
pub(super) struct Encrypted {
    pub content: ContentEncryption,
    /// Initialization vector, ciphertext and, for GCM, the tag.
    pub cipher: Vec<u8>,
    /// At least one.
    pub keys: Vec<EncryptedKey>,
}

/// A content key, encrypted to one of our keys.
pub(super) struct EncryptedKey {
    pub transport: KeyTransport,
    pub cipher: Vec<u8>,
    /// The certificates, DER, of which one should be the recipient's. A hint: it selects among our keys and proves nothing.
    pub certificates: Vec<Vec<u8>>,
}

/// Reads the encrypted `element`. `recipient` is our entity id.
pub(super) fn read(tape: &Tape<'_>, element: NodeId, recipient: &str) -> Result<Encrypted, Refusal> {
    let shape = Shape { tape };
    // S-30: base64 is read across comments, so there are none where another reader could stop at one.
    if stands(Guard::EncryptionComments) && tape.has_comment(element) {
        return Err(failed("there is a comment"));
    }
    let mut children = tape.children(element);
    let is_data =
        |id: &NodeId| tape.is(*id, Namespace::XENC, "EncryptedData") || !stands(Guard::EncryptedData);
    let data = children.next().filter(is_data);
    let data = data.ok_or_else(|| failed("there is no EncryptedData"))?;
    let beside: Vec<NodeId> = children.take(ENCRYPTED_KEYS_MAX + 1).collect();
    let foreign = tape.has_stray_text(element) || beside.iter().any(|id| !shape.is_encrypted_key(*id));
    if foreign && stands(Guard::EncryptedDataNeighbours) {
        return Err(failed("something else than EncryptedKeys stands beside the EncryptedData"));
    }
    // SAML Core 2.2.4: the plaintext is an element.
    let other = tape.attribute(data, "Type").is_some_and(|kind| kind != TYPE_ELEMENT)
        || tape.attribute(data, "Encoding").is_some();
    if other && stands(Guard::EncryptedDataType) {
        return Err(failed("the EncryptedData is not of the type Element"));
    }
    let [method, key_info, cipher] = shape.sequence(
        data,
        [(Namespace::XENC, "EncryptionMethod"), (Namespace::DS, "KeyInfo"), (Namespace::XENC, "CipherData")],
    )?;
    let (Some(method), Some(cipher)) = (method, cipher) else {
        return Err(failed("the EncryptedData has no EncryptionMethod or no CipherData"));
    };
    let content = shape.content_encryption(method)?;
    let keys = shape.keys(key_info, &beside, recipient)?;
    Ok(Encrypted { content, cipher: shape.cipher_value(cipher)?, keys })
}

/// The one reason for everything that goes wrong (S-72). What it depends on here stands in the message for all to see.
fn failed(detail: impl Into<String>) -> Refusal {
    Refusal::from(Reason::DecryptionFailed).detail(detail)
}

struct Shape<'t, 's> {
    tape: &'t Tape<'s>,
}

impl Shape<'_, '_> {
    fn is_encrypted_key(&self, id: NodeId) -> bool {
        self.tape.is(id, Namespace::XENC, "EncryptedKey")
    }

    /// The children of `parent` if they are these, in this order, each once or not at all, with nothing between them.
    fn sequence<const N: usize>(
        &self,
        parent: NodeId,
        names: [(Namespace, &str); N],
    ) -> Result<[Option<NodeId>; N], Refusal> {
        let mut children = self.tape.children(parent).peekable();
        let found =
            names.map(|(namespace, local)| children.next_if(|id| self.tape.is(*id, namespace, local)));
        match children.next() {
            None if !self.tape.has_stray_text(parent) => Ok(found),
            _ if !stands(Guard::EncryptionShape) => Ok(found),
            _ => Err(failed(format!(
                "the parts of {} are not those of XML Encryption",
                self.tape.local(parent)
            ))),
        }
    }

    /// The Algorithm of an element that has no other attribute.
    fn algorithm(&self, method: NodeId) -> Result<String, Refusal> {
        match (self.tape.attributes(method).len(), self.tape.attribute(method, "Algorithm")) {
            (1, Some(algorithm)) => Ok(algorithm.into_owned()),
            (_, Some(algorithm)) if !stands(Guard::EncryptionMethodAttributes) => Ok(algorithm.into_owned()),
            _ => Err(failed(format!("{} has no Algorithm, or more", self.tape.local(method)))),
        }
    }

    /// XML Encryption 1.1 5.2: no parameters.
    fn content_encryption(&self, method: NodeId) -> Result<ContentEncryption, Refusal> {
        let [] = self.sequence(method, [])?;
        let uri = self.algorithm(method)?;
        ContentEncryption::from_uri(&uri)
            .or_else(ContentEncryption::without_guard)
            .ok_or_else(|| failed("of the content").expected("AES-128 or AES-256 in GCM mode").found(&uri))
    }

    /// XML Encryption 1.1 5.5: RSA-OAEP with its digest and its mask generation function, in any order.
    fn key_transport(&self, method: NodeId) -> Result<KeyTransport, Refusal> {
        let (mut digest, mut mask) = (None, None);
        for child in self.tape.children(method) {
            let [] = self.sequence(child, [])?;
            let uri = self.algorithm(child)?;
            let (slot, named) = match (self.tape.namespace(child), self.tape.local(child)) {
                (Namespace::DS, "DigestMethod") => (&mut digest, OaepDigest::from_uri(&uri)),
                (Namespace::XENC11, "MGF") => (&mut mask, OaepDigest::from_mask_uri(&uri)),
                _ if !stands(Guard::KeyAlgorithmParameters) => continue,
                (_, local) => return Err(failed("of the key").found(local)),
            };
            let named = named.or((!stands(Guard::OaepDigest)).then_some(OaepDigest::Sha1));
            let named = named.ok_or_else(|| failed("of the key").found(&uri))?;
            if slot.replace(named).is_some() && stands(Guard::KeyAlgorithmParameters) {
                return Err(failed("of the key").found(self.tape.local(child)));
            }
        }
        let uri = self.algorithm(method)?;
        let transport =
            KeyTransport::from_uri(&uri, digest, mask).filter(|_| !self.tape.has_stray_text(method));
        let transport = transport.or_else(KeyTransport::without_guard);
        transport.ok_or_else(|| failed("of the key").expected("RSA-OAEP").found(&uri))
    }

    /// The octets of `CipherData/CipherValue`; a CipherReference would lead elsewhere (S-74).
    fn cipher_value(&self, data: NodeId) -> Result<Vec<u8>, Refusal> {
        let [value] = self.sequence(data, [(Namespace::XENC, "CipherValue")])?;
        let value = value.ok_or_else(|| failed("CipherData has no CipherValue"))?;
        self.base64(value)
    }

    fn base64(&self, element: NodeId) -> Result<Vec<u8>, Refusal> {
        let wrong = || failed(format!("{} is not base64", self.tape.local(element)));
        let text = self.tape.text(element).ok_or_else(wrong)?;
        let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        excused(Guard::EncryptionBase64, STANDARD.decode(packed).map_err(|_| wrong()))
    }

    /// The EncryptedKeys that are for us: of KeyInfo, those that it points at, or, if it speaks of none, those beside.
    fn keys(
        &self,
        key_info: Option<NodeId>,
        beside: &[NodeId],
        recipient: &str,
    ) -> Result<Vec<EncryptedKey>, Refusal> {
        let mut nodes = vec![];
        for child in key_info.into_iter().flat_map(|id| self.tape.children(id)) {
            match (self.tape.namespace(child), self.tape.local(child)) {
                (Namespace::XENC, "EncryptedKey") => nodes.push(child),
                (Namespace::DS, "RetrievalMethod") => nodes.push(self.retrieved(child, beside)?),
                _ => self.check_hint(child)?,
            }
        }
        if nodes.is_empty() {
            nodes = beside.to_vec();
        }
        if nodes.len().max(beside.len()) > ENCRYPTED_KEYS_MAX && stands(Guard::EncryptedKeys) {
            return Err(failed(format!("there are more than {ENCRYPTED_KEYS_MAX} EncryptedKeys")));
        }
        // XML Encryption 1.1 3.5.1: Recipient is a hint, and worth something only where there is a choice.
        let meant = |id: &NodeId| self.tape.attribute(*id, "Recipient").is_none_or(|name| name == recipient);
        if nodes.len() > 1 && stands(Guard::KeyRecipient) {
            nodes.retain(meant);
        }
        if nodes.is_empty() {
            return Err(failed("no EncryptedKey is for us"));
        }
        nodes.into_iter().map(|id| self.key(id)).collect()
    }

    /// XML Signature 4.5.3 as SAML needs it: a `#` and the Id of an EncryptedKey beside the EncryptedData, no transforms.
    fn retrieved(&self, method: NodeId, beside: &[NodeId]) -> Result<NodeId, Refusal> {
        let [] = self.sequence(method, [])?;
        let other = self.tape.attribute(method, "Type").is_some_and(|kind| kind != TYPE_ENCRYPTED_KEY);
        if other && stands(Guard::RetrievalType) {
            return Err(failed("RetrievalMethod does not point at an EncryptedKey"));
        }
        let uri = self.tape.attribute(method, "URI").unwrap_or_default();
        let target = uri.strip_prefix('#').filter(|target| !target.is_empty());
        let is_meant = |id: &&NodeId| self.tape.attribute(**id, "Id").as_deref() == target;
        let found = beside.iter().find(is_meant).filter(|_| target.is_some());
        let found = found.or_else(|| beside.first().filter(|_| !stands(Guard::RetrievalTarget)));
        found.copied().ok_or_else(|| {
            failed("RetrievalMethod")
                .expected("the Id of an EncryptedKey beside the EncryptedData")
                .found(&uri)
        })
    }

    fn key(&self, key: NodeId) -> Result<EncryptedKey, Refusal> {
        let [method, key_info, cipher, _, _] = self.sequence(
            key,
            [
                (Namespace::XENC, "EncryptionMethod"),
                (Namespace::DS, "KeyInfo"),
                (Namespace::XENC, "CipherData"),
                // What else this key is for does not matter to us.
                (Namespace::XENC, "ReferenceList"),
                (Namespace::XENC, "CarriedKeyName"),
            ],
        )?;
        let (Some(method), Some(cipher)) = (method, cipher) else {
            return Err(failed("an EncryptedKey has no EncryptionMethod or no CipherData"));
        };
        let mut certificates = vec![];
        if let Some(key_info) = key_info {
            self.check_hint(key_info)?;
            let named = self.tape.subtree(key_info);
            let named = named.filter(|id| self.tape.is(*id, Namespace::DS, "X509Certificate"));
            for certificate in named.take(KEY_HINTS_MAX) {
                certificates.push(self.base64(certificate)?);
            }
        }
        Ok(EncryptedKey {
            transport: self.key_transport(method)?,
            cipher: self.cipher_value(cipher)?,
            certificates,
        })
    }

    /// What names a key may say anything but this: another encrypted key, or that something is to be fetched (S-74).
    fn check_hint(&self, hint: NodeId) -> Result<(), Refusal> {
        let leads = |id: NodeId| {
            let foreign = [Namespace::XENC, Namespace::XENC11, Namespace::SAML, Namespace::SAMLP];
            foreign.contains(&self.tape.namespace(id))
                || matches!(self.tape.local(id), "RetrievalMethod" | "KeyInfoReference" | "CipherReference")
        };
        match self.tape.subtree(hint).find(|id| leads(*id)) {
            Some(id) if stands(Guard::KeyHints) => {
                Err(failed("KeyInfo leads elsewhere").found(self.tape.local(id)))
            }
            _ => Ok(()),
        }
    }
}
