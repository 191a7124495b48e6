//! Encrypts elements to the keys of `fixtures/saml/keys`, rightly or in every wrong way. Canonical XML by construction, so that
//! what is sealed can be signed around.
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    md::{Md, MdRef},
    pkey::PKey,
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    sha::sha256,
    symm::{self, Cipher, Crypter, Mode},
    x509::X509,
};

use super::forge::{DS, SAML, Spec};

pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
pub const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";

/// How to encrypt. `Default` is what the gateway takes without being asked to.
#[derive(Clone)]
pub struct Seal {
    /// A file of `fixtures/saml/keys`.
    pub to: &'static str,
    /// `aes256-gcm` and the like.
    pub content: &'static str,
    /// `rsa-oaep`, `rsa-oaep-mgf1p`, `rsa-1_5`.
    pub transport: &'static str,
    /// Of OAEP; `None` for SHA-1 that is not spelled out.
    pub digest: Option<&'static str>,
    pub mask: Option<&'static str>,
    pub place: Place,
    /// Attributes of the EncryptedKey and of the EncryptedData, each with a blank before it.
    pub key_attributes: String,
    pub data_attributes: String,
    /// The content of the EncryptedKey's KeyInfo.
    pub key_info: String,
    /// The AES key, as long as `content` asks.
    pub content_key: Vec<u8>,
    /// Changes the octets of either CipherValue.
    pub cipher: fn(Vec<u8>) -> Vec<u8>,
    pub key_cipher: fn(Vec<u8>) -> Vec<u8>,
    /// Changes the XML.
    pub edit: fn(String) -> String,
}

/// Where the EncryptedKey stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Within,
    Beside,
    /// Beside, with a RetrievalMethod in the KeyInfo.
    Retrieved,
}

impl Default for Seal {
    fn default() -> Self {
        Self {
            to: "sp-decryption",
            content: "aes256-gcm",
            transport: "rsa-oaep-mgf1p",
            digest: None,
            mask: None,
            place: Place::Within,
            key_attributes: String::new(),
            data_attributes: format!(" Type=\"{XENC}Element\""),
            key_info: String::new(),
            content_key: b"0123456789abcdef0123456789abcdef".to_vec(),
            cipher: |cipher| cipher,
            key_cipher: |cipher| cipher,
            edit: |xml| xml,
        }
    }
}

impl Seal {
    /// An EncryptedAssertion, EncryptedID or EncryptedAttribute, `name`, for where `saml` is declared.
    pub fn element(&self, name: &str, plaintext: &str) -> String {
        let within = self.place == Place::Within;
        let key = self.encrypted_key(within);
        let key_info = match self.place {
            Place::Within => format!("<ds:KeyInfo xmlns:ds=\"{DS}\">{key}</ds:KeyInfo>"),
            Place::Beside => String::new(),
            Place::Retrieved => format!(
                "<ds:KeyInfo xmlns:ds=\"{DS}\"><ds:RetrievalMethod Type=\"{XENC}EncryptedKey\" URI=\"#_key\">\
                 </ds:RetrievalMethod></ds:KeyInfo>"
            ),
        };
        let data = format!(
            "<xenc:EncryptedData xmlns:xenc=\"{XENC}\"{}><xenc:EncryptionMethod Algorithm=\"{}\">\
             </xenc:EncryptionMethod>{key_info}{}</xenc:EncryptedData>",
            self.data_attributes,
            content_uri(self.content),
            cipher_data(&(self.cipher)(self.encrypt(plaintext.as_bytes()))),
        );
        let beside = if within { "" } else { &key };
        (self.edit)(format!("<saml:{name}>{data}{beside}</saml:{name}>"))
    }

    /// An EncryptedAssertion that declares its prefix.
    pub fn assertion(&self, plaintext: &str) -> String {
        let element = self.element("EncryptedAssertion", plaintext);
        element.replacen(
            "<saml:EncryptedAssertion",
            &format!("<saml:EncryptedAssertion xmlns:saml=\"{SAML}\""),
            1,
        )
    }

    /// The response that `spec` makes, its assertion encrypted after it was signed and before the response is.
    pub fn response(&self, spec: &Spec) -> String {
        spec.around(&self.assertion(&spec.assertion_xml()))
    }

    pub fn encrypted_key(&self, within: bool) -> String {
        // What stands in the EncryptedData's KeyInfo has both prefixes declared.
        let declared = |prefix: &str, uri: &str| {
            if within { String::new() } else { format!(" xmlns:{prefix}=\"{uri}\"") }
        };
        let ds = declared("ds", DS);
        let digest = self.digest.map_or(String::new(), |digest| {
            let uri = super::forge::digest_uri(digest);
            format!("<ds:DigestMethod{ds} Algorithm=\"{uri}\"></ds:DigestMethod>")
        });
        let mask = self.mask.map_or(String::new(), |mask| {
            format!("<xenc11:MGF xmlns:xenc11=\"{XENC11}\" Algorithm=\"{XENC11}mgf1{mask}\"></xenc11:MGF>")
        });
        let key_info = match self.key_info.as_str() {
            "" => String::new(),
            content => format!("<ds:KeyInfo{ds}>{content}</ds:KeyInfo>"),
        };
        format!(
            "<xenc:EncryptedKey{}{}><xenc:EncryptionMethod Algorithm=\"{}\">{digest}{mask}</xenc:EncryptionMethod>\
             {key_info}{}</xenc:EncryptedKey>",
            declared("xenc", XENC),
            self.key_attributes,
            transport_uri(self.transport),
            cipher_data(&(self.key_cipher)(self.wrap())),
        )
    }

    fn wrap(&self) -> Vec<u8> {
        let certificate = X509::from_pem(&pair(self.to)).expect("certificate");
        let key = certificate.public_key().expect("key");
        let mut context = PkeyCtx::new(&key).expect("context");
        context.encrypt_init().expect("init");
        if self.transport == "rsa-1_5" {
            context.set_rsa_padding(Padding::PKCS1).expect("padding");
        } else {
            context.set_rsa_padding(Padding::PKCS1_OAEP).expect("padding");
            context.set_rsa_oaep_md(md(self.digest.unwrap_or("sha1"))).expect("digest");
            context.set_rsa_mgf1_md(md(self.mask.unwrap_or("sha1"))).expect("mask");
        }
        let mut out = vec![];
        context.encrypt_to_vec(self.content_key(), &mut out).expect("encryption");
        out
    }

    fn content_key(&self) -> &[u8] {
        if self.content.starts_with("aes128") && self.content_key.len() == 32 {
            &self.content_key[..16]
        } else {
            &self.content_key
        }
    }

    /// Initialization vector, ciphertext and tag.
    fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        let key = match self.content.starts_with("aes128") {
            true => &self.content_key[..16],
            false => &self.content_key[..],
        };
        if self.content.ends_with("gcm") {
            return gcm(key, plaintext);
        }
        let cipher = if key.len() == 16 { Cipher::aes_128_cbc() } else { Cipher::aes_256_cbc() };
        let iv = [7; 16];
        // XML Encryption's padding: anything, and its length; the library's is one of those.
        let text = symm::encrypt(cipher, key, Some(&iv), plaintext).expect("AES");
        [&iv[..], &text].concat()
    }
}

/// What AES-GCM makes of octets: initialization vector, ciphertext and tag.
pub fn gcm(key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let cipher = if key.len() == 16 { Cipher::aes_128_gcm() } else { Cipher::aes_256_gcm() };
    let (iv, mut tag) = ([7; 12], [0; 16]);
    let text = symm::encrypt_aead(cipher, key, Some(&iv), &[], plaintext, &mut tag).expect("AES");
    [&iv[..], &text, &tag].concat()
}

/// What AES-256-CBC makes of octets whose last one counts more padding than a block holds.
pub fn overpadded(key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let padding = 32 - plaintext.len() % 16;
    let padded = [plaintext, &vec![u8::try_from(padding).expect("small"); padding]].concat();
    let mut crypter = Crypter::new(Cipher::aes_256_cbc(), Mode::Encrypt, key, Some(&[7; 16])).expect("AES");
    crypter.pad(false);
    let mut text = vec![0; padded.len() + 16];
    let length = crypter.update(&padded, &mut text).expect("AES");
    [&[7; 16], &text[..length]].concat()
}

/// What our side goes on with for an encrypted content key that does not decrypt.
pub fn stand_in(to: &str, key_cipher: &[u8]) -> Vec<u8> {
    let key = PKey::private_key_from_pem(&pair(to)).expect("a key");
    let secret =
        sha256(&[&b"portcullis implicit rejection"[..], &key.private_key_to_der().expect("DER")].concat());
    sha256(&[&secret, key_cipher].concat()).to_vec()
}

/// A key of `fixtures/saml/keys` with its certificate.
pub fn pair(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/saml/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The content of a KeyInfo that names the certificate of such a key.
pub fn certificate_hint(name: &str) -> String {
    let der = X509::from_pem(&pair(name)).expect("certificate").to_der().expect("DER");
    let certificate = STANDARD.encode(der);
    format!("<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>")
}

fn cipher_data(octets: &[u8]) -> String {
    let value = STANDARD.encode(octets);
    format!("<xenc:CipherData><xenc:CipherValue>{value}</xenc:CipherValue></xenc:CipherData>")
}

fn content_uri(name: &str) -> String {
    if name.ends_with("gcm") { format!("{XENC11}{name}") } else { format!("{XENC}{name}") }
}

fn transport_uri(name: &str) -> String {
    if name == "rsa-oaep" { format!("{XENC11}{name}") } else { format!("{XENC}{name}") }
}

fn md(name: &str) -> &'static MdRef {
    match name {
        "sha1" => Md::sha1(),
        "sha256" => Md::sha256(),
        "sha384" => Md::sha384(),
        "sha512" => Md::sha512(),
        other => panic!("no digest {other}"),
    }
}
