//! Opens what is encrypted to our keys: EncryptedAssertions, EncryptedIDs and EncryptedAttributes, and the EncryptedID of a
//! LogoutRequest.
//!
//! Anyone can encrypt to us, so a plaintext proves nothing: it is judged like any other message. What must not happen is
//! that the answer to a changed ciphertext tells something of the plaintext (S-72). So there is one reason for every failure;
//! a content key that does not come out is replaced by one that nobody can foresee, and the content is decrypted all the
//! same; and what is not authenticated by its own mode is opened only where a verified signature covers it.
use openssl::{
    error::ErrorStack,
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    symm::{self, Cipher, Crypter},
};

use super::{
    Connection, OwnKey, Reason, Refusal,
    algorithm::{ContentEncryption, KeyTransport, Mode},
    guard::{Guard, stands},
    limits::RSA_DECRYPTIONS_MAX,
    structure,
    xml::{self, NodeId, Tape},
    xmlenc::{self, Encrypted, EncryptedKey},
};

/// XML Encryption 1.1 5.2.4: an initialization vector of 96 bits and a tag of 128, no other (S-73).
const GCM_IV_BYTES: usize = 12;
const GCM_TAG_BYTES: usize = 16;
const CBC_BLOCK_BYTES: usize = 16;

/// Opens the encrypted elements of one message.
pub(super) struct Decryption<'c> {
    connection: &'c Connection,
    decryptions_left: u32,
    /// The content keys that came out, under their ciphertexts: several elements may share one.
    opened: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was opened and how, for the trail.
    trail: Vec<String>,
}

impl<'c> Decryption<'c> {
    pub fn new(connection: &'c Connection) -> Self {
        Self { connection, decryptions_left: RSA_DECRYPTIONS_MAX, opened: vec![], trail: vec![] }
    }

    /// What was opened so far, in words.
    pub fn summary(&self) -> String {
        if self.trail.is_empty() { "nothing is encrypted".into() } else { self.trail.join(", ") }
    }

    /// The plaintext of an encrypted element. `covered` says whether a verified signature covers it where it stands.
    pub fn open(&mut self, tape: &Tape<'_>, element: NodeId, covered: bool) -> Result<String, Refusal> {
        let encrypted = xmlenc::read(tape, element, &self.connection.settings().entity_id)?;
        self.check_allowed(&encrypted, covered)?;
        let connection = self.connection;
        for key in &encrypted.keys {
            if let Some((_, content_key)) = self.opened.iter().find(|(cipher, _)| *cipher == key.cipher) {
                if let Some(text) = decrypt(encrypted.content, content_key, &encrypted.cipher) {
                    self.note(tape.local(element), &encrypted, key, None);
                    return Ok(text);
                }
                continue;
            }
            for own in candidates(&connection.settings().decryption_keys, key) {
                let left = self.decryptions_left.checked_sub(1);
                let left = left.or((!stands(Guard::RsaDecryptions)).then_some(0));
                self.decryptions_left = left.ok_or_else(|| {
                    failed(format!("it would take more than {RSA_DECRYPTIONS_MAX} RSA decryptions"))
                })?;
                let (content_key, genuine) = unwrap(own, key, encrypted.content.key_bytes);
                let text = decrypt(encrypted.content, &content_key, &encrypted.cipher);
                if let (Some(text), true) = (text, genuine || !stands(Guard::ContentKeyGenuine)) {
                    self.note(tape.local(element), &encrypted, key, Some(own));
                    self.opened.push((key.cipher.clone(), content_key));
                    return Ok(text);
                }
            }
        }
        // Which of all that went wrong, nobody is told: not the log either, which people paste into tickets.
        Err(failed("no key of the connection opens it, or it was changed"))
    }

    /// S-72: CBC and PKCS #1 1.5 are taken if the connection says so, and then only under a verified signature, so that nobody
    /// but the IdP can make us try.
    fn check_allowed(&self, encrypted: &Encrypted, covered: bool) -> Result<(), Refusal> {
        let settings = self.connection.settings();
        if !stands(Guard::OracleModes) {
            return Ok(());
        }
        let allowed = |asked: bool, what: &str| {
            let expected = match (asked, covered) {
                (false, _) => "AES-GCM and RSA-OAEP",
                (true, false) => "a signature of the Response over it",
                (true, true) => return Ok(()),
            };
            Err(Refusal::from(Reason::DecryptionFailed).expected(expected).found(what))
        };
        if encrypted.content.mode == Mode::Cbc {
            allowed(settings.allow_padding_oracle_cbc, &encrypted.content.to_string())?;
        }
        if let Some(key) = encrypted.keys.iter().find(|key| key.transport == KeyTransport::Pkcs1) {
            allowed(settings.allow_bleichenbacher_rsa_1_5, &key.transport.to_string())?;
        }
        Ok(())
    }

    fn note(&mut self, element: &str, encrypted: &Encrypted, key: &EncryptedKey, own: Option<&OwnKey>) {
        let with = own.map_or("the same key".to_owned(), |own| {
            let fingerprint = &own.certificate().fingerprint_sha256;
            format!("the key of certificate {}", fingerprint.get(..16).unwrap_or(fingerprint))
        });
        self.trail.push(format!("{element}: {} under {} to {with}", encrypted.content, key.transport));
    }
}

/// Parses a plaintext as strictly as a message (S-62). It must declare the namespaces that it uses: what stood around it does
/// not count, as encrypting it lost that in one implementation and kept it in another.
pub(super) fn parse(plaintext: &str) -> Result<Tape<'_>, Refusal> {
    let tape = xml::parse(xml::scan(plaintext.as_bytes())?)?;
    structure::check_ids(&tape)?;
    Ok(tape)
}

fn failed(detail: impl Into<String>) -> Refusal {
    Refusal::from(Reason::DecryptionFailed).detail(detail)
}

/// Our keys that may open an EncryptedKey: the one whose certificate it names, else all.
fn candidates<'k>(keys: &'k [OwnKey], key: &EncryptedKey) -> impl Iterator<Item = &'k OwnKey> {
    let named = keys.iter().find(|own| key.certificates.iter().any(|der| own.has_certificate(der)));
    let all = if named.is_some() { &[][..] } else { keys };
    named.into_iter().chain(all)
}

/// The content key, and whether it is what was encrypted. If it is not, it is a stand-in, with which all goes on as if.
fn unwrap(own: &OwnKey, key: &EncryptedKey, key_bytes: usize) -> (Vec<u8>, bool) {
    let stand_in = own.stand_in(&key.cipher);
    let long = |content_key: &Vec<u8>| content_key.len() == key_bytes || !stands(Guard::ContentKeyLength);
    match rsa_decrypt(own, key).ok().filter(long) {
        Some(content_key) => (content_key, true),
        None => (stand_in.get(..key_bytes).unwrap_or_default().to_vec(), false),
    }
}

/// RFC 8017 7.1.2 and 7.2.2. OpenSSL checks OAEP in constant time, and gives random octets for a bad PKCS #1 1.5 padding.
fn rsa_decrypt(own: &OwnKey, key: &EncryptedKey) -> Result<Vec<u8>, ErrorStack> {
    let mut context = PkeyCtx::new(own.private())?;
    context.decrypt_init()?;
    match key.transport {
        KeyTransport::Oaep { digest, mask } => {
            context.set_rsa_padding(Padding::PKCS1_OAEP)?;
            context.set_rsa_oaep_md(digest.md())?;
            context.set_rsa_mgf1_md(mask.md())?;
        }
        KeyTransport::Pkcs1 => context.set_rsa_padding(Padding::PKCS1)?,
    }
    let mut content_key = vec![];
    context.decrypt_to_vec(&key.cipher, &mut content_key)?;
    Ok(content_key)
}

/// The text under a content key; `None` if it is none.
fn decrypt(content: ContentEncryption, key: &[u8], cipher: &[u8]) -> Option<String> {
    if key.len() != content.key_bytes && stands(Guard::ContentKeyLength) {
        return None;
    }
    let octets = match content.mode {
        Mode::Gcm => decrypt_gcm(key, cipher),
        Mode::Cbc => decrypt_cbc(key, cipher),
    };
    let octets = octets.filter(|octets| !octets.is_empty() || !stands(Guard::PlaintextThere))?;
    match String::from_utf8(octets) {
        Err(error) if !stands(Guard::PlaintextUtf8) => {
            Some(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        text => text.ok(),
    }
}

fn decrypt_gcm(key: &[u8], cipher: &[u8]) -> Option<Vec<u8>> {
    let (iv, rest) = cipher.split_at_checked(GCM_IV_BYTES)?;
    let (text, tag) = rest.split_at_checked(rest.len().checked_sub(GCM_TAG_BYTES)?)?;
    let algorithm = if key.len() == 16 { Cipher::aes_128_gcm() } else { Cipher::aes_256_gcm() };
    match symm::decrypt_aead(algorithm, key, Some(iv), &[], text, tag) {
        Err(_) if !stands(Guard::GcmTag) => {
            // NIST SP 800-38D 7.2: what is authenticated is CTR mode, and the first block is for the tag.
            let ctr = if key.len() == 16 { Cipher::aes_128_ctr() } else { Cipher::aes_256_ctr() };
            symm::decrypt(ctr, key, Some(&[iv, &[0, 0, 0, 2]].concat()), text).ok()
        }
        text => text.ok(),
    }
}

/// XML Encryption 1.1 5.2.2: the last octet says how many of the last block are padding; the others of them say nothing.
fn decrypt_cbc(key: &[u8], cipher: &[u8]) -> Option<Vec<u8>> {
    let (iv, text) = cipher.split_at_checked(CBC_BLOCK_BYTES)?;
    let algorithm = if key.len() == 16 { Cipher::aes_128_cbc() } else { Cipher::aes_256_cbc() };
    let mut crypter = Crypter::new(algorithm, symm::Mode::Decrypt, key, Some(iv)).ok()?;
    crypter.pad(false);
    let mut octets = vec![0; text.len() + CBC_BLOCK_BYTES];
    let mut length = crypter.update(text, &mut octets).ok()?;
    length += crypter.finalize(octets.get_mut(length..)?).ok()?;
    octets.truncate(length);
    let padding = usize::from(*octets.last()?);
    if !(1..=CBC_BLOCK_BYTES).contains(&padding) && stands(Guard::CbcPadding) {
        return None;
    }
    octets.truncate(length.checked_sub(padding)?);
    Some(octets)
}
