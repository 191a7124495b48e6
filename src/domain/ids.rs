//! Fixed-length ids. Nothing that a person, an IdP or a client chose ever becomes part of a store key.
use std::{fmt, marker::PhantomData};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::StableId;

/// 128 bits: either drawn at random or the truncated SHA-256 of length-prefixed parts. The type says of what.
pub struct Id<Of> {
    bytes: [u8; 16],
    of: PhantomData<fn() -> Of>,
}

/// What an [`Id`] is an id of; these types exist only at compile time.
pub mod of {
    pub enum Enterprise {}
    pub enum Organization {}
    pub enum Person {}
    pub enum Invitation {}
    pub enum Request {}
    pub enum SignIn {}
    pub enum Subject {}
    pub enum Logout {}
    pub enum Address {}
    pub enum Token {}
    pub enum ScimToken {}
    pub enum Mail {}
    pub enum Webhook {}
}

pub type EnterpriseId = Id<of::Enterprise>;
pub type OrganizationId = Id<of::Organization>;
/// Derived from the enterprise, the IdP and the stable id, so that a sign-in finds the person without an index.
pub type PersonId = Id<of::Person>;
pub type InvitationId = Id<of::Invitation>;
/// An e-mail address within an enterprise: equal for addresses that differ in ASCII letter case only.
pub type AddressId = Id<of::Address>;
/// A personal access token.
pub type TokenId = Id<of::Token>;
/// A token of an integration that provisions by SCIM.
pub type ScimTokenId = Id<of::ScimToken>;
/// A mail that waits to be sent.
pub type MailId = Id<of::Mail>;
/// A webhook, by its name in the configuration.
pub type WebhookId = Id<of::Webhook>;
/// The part of an AuthnRequest's ID that tells it apart. It travels through the browser and the IdP, so it is no secret.
pub type RequestId = Id<of::Request>;
/// 128 random bits that only the browser that started a sign-in holds. The request's id is derived from it: whoever sees
/// a request or its response cannot tell the handle (S-83).
pub type SignInHandle = Id<of::SignIn>;
/// The same for a sign-out that asks the IdP (L-07).
pub type LogoutHandle = Id<of::Logout>;
/// A NameID's value as one IdP says it: what sessions are found by when the IdP ends them.
pub type SubjectId = Id<of::Subject>;

impl<Of> Id<Of> {
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, of: PhantomData }
    }

    /// The id that belongs to `parts`: equal exactly when the lists of parts are equal (R-02: lengths are hashed too).
    pub fn derived(parts: &[&[u8]]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest(parts)[..16]);
        Self::from_bytes(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Reads 32 lower-case hexadecimal digits, as [`fmt::Display`] writes them.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self::from_bytes)
    }
}

/// Bytes as lower-case hexadecimal digits. Every key of the store is made of them, so this takes no formatting.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().copied().flat_map(hex_digits).collect();
    // Digits are UTF-8.
    String::from_utf8(digits).unwrap_or_default()
}

/// The two digits of a byte.
pub(crate) fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Bytes written as lower-case hexadecimal digits.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl EnterpriseId {
    pub fn of(slug: &super::EnterpriseSlug) -> Self {
        Self::derived(&[b"enterprise", slug.as_str().as_bytes()])
    }
}

impl OrganizationId {
    pub fn of(enterprise: EnterpriseId, slug: &super::OrganizationSlug) -> Self {
        Self::derived(&[b"organization", enterprise.as_bytes(), slug.as_str().as_bytes()])
    }
}

impl RequestId {
    pub fn of(handle: SignInHandle) -> Self {
        Self::derived(&[b"request", handle.as_bytes()])
    }
}

impl RequestId {
    /// Of a LogoutRequest.
    pub fn of_logout(handle: LogoutHandle) -> Self {
        Self::derived(&[b"logout", handle.as_bytes()])
    }
}

impl SubjectId {
    /// Byte-exact in the NameID, bound to the tenant and its IdP (L-05).
    pub fn of(enterprise: EnterpriseId, idp_entity_id: &str, name_id: &str) -> Self {
        Self::derived(&[b"subject", enterprise.as_bytes(), idp_entity_id.as_bytes(), name_id.as_bytes()])
    }
}

impl MailId {
    /// Of the mail that goes with an invitation for the `sent`th time: a gateway that finds it again knows it.
    pub fn of_invitation(invitation: InvitationId, sent: u32) -> Self {
        Self::derived(&[b"invitation mail", invitation.as_bytes(), &sent.to_be_bytes()])
    }
}

impl WebhookId {
    pub fn of(name: &str) -> Self {
        Self::derived(&[b"webhook", name.as_bytes()])
    }
}

impl AddressId {
    pub fn of(enterprise: EnterpriseId, email: &str) -> Self {
        Self::derived(&[b"address", enterprise.as_bytes(), email.trim().to_ascii_lowercase().as_bytes()])
    }
}

/// Names changes that were made together, so that they can be undone together: what made them, and the hour or the
/// request, such as `saml-2026-03-01T09`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(String);

impl BatchId {
    /// In bytes.
    pub const BYTES_MAX: usize = 64;

    /// Everything that sign-ins remove within one hour.
    pub fn of_hour(trigger: &str, at: super::Timestamp) -> Self {
        let at = at.to_string();
        Self(format!("{trigger}-{}", at.get(..13).unwrap_or(&at)))
    }

    /// Up to 64 letters, digits, `-`, `_`, `.` and `:`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_fine);
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PersonId {
    /// Whom a NameID names: byte-exact (S-96), bound to the tenant and its IdP (S-91, S-92).
    pub fn of(enterprise: EnterpriseId, idp_entity_id: &str, name_id: &str) -> Self {
        Self::derived(&[b"person", enterprise.as_bytes(), idp_entity_id.as_bytes(), name_id.as_bytes()])
    }

    /// Whom a stable id of either kind names. An attribute's name is hashed too, under a word of its own: whoever chooses
    /// a NameID or another attribute's value cannot hit the id of a person whom this one names (V-07).
    pub fn of_stable_id(enterprise: EnterpriseId, idp_entity_id: &str, stable_id: &StableId) -> Self {
        match stable_id {
            StableId::NameId(value) => Self::of(enterprise, idp_entity_id, value),
            StableId::Attribute { name, value } => Self::derived(&[
                b"person by attribute",
                enterprise.as_bytes(),
                idp_entity_id.as_bytes(),
                name.as_bytes(),
                value.as_bytes(),
            ]),
        }
    }
}

/// The bearer secret in a session cookie: 256 random bits as 43 characters of base64url. Never stored, never logged.
#[derive(Clone)]
pub struct SessionToken(String);

impl SessionToken {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a cookie value; `None` for anything but 43 characters of canonical base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The cookie's value.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn session_id(&self) -> SessionId {
        SessionId(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// SHA-256 of a session's token: what the store and the log know of it (P-55, R-05).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits, as [`fmt::Display`] writes them.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// SHA-256 over the parts, each led by its length, so that no two lists of parts collide.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.bytes))
    }
}
impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.bytes))
    }
}
impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Of> Copy for Id<Of> {}
impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<Of> Eq for Id<Of> {}
impl<Of> PartialOrd for Id<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<Of> Ord for Id<Of> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<Of> std::hash::Hash for Id<Of> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_do_not_collide_on_moved_boundaries() {
        let id = |parts: &[&[u8]]| PersonId::derived(parts);
        assert_ne!(id(&[b"a:b", b"c"]), id(&[b"a", b"b:c"]));
        assert_ne!(id(&[b"ab", b""]), id(&[b"a", b"b"]));
        assert_eq!(id(&[b"a", b"b"]), id(&[b"a", b"b"]));
    }

    #[test]
    fn v_07_a_name_id_and_an_attribute_of_equal_text_are_two_people() {
        let enterprise = EnterpriseId::from_bytes([1; 16]);
        let attribute =
            |name: &str, value: &str| StableId::Attribute { name: name.into(), value: value.into() };
        let ids = [
            StableId::NameId("alice".into()),
            StableId::NameId("oidalice".into()),
            attribute("oid", "alice"),
            attribute("uid", "alice"),
            attribute("oida", "lice"),
            attribute("oid", "Alice"),
            attribute("alice", "oid"),
        ];
        let person = |id: &StableId| PersonId::of_stable_id(enterprise, "https://idp.example.com", id);
        for (index, one) in ids.iter().enumerate() {
            for other in &ids[index + 1..] {
                assert_ne!(person(one), person(other), "{one:?} {other:?}");
            }
        }
        assert_eq!(person(&ids[0]), PersonId::of(enterprise, "https://idp.example.com", "alice"));
        let elsewhere = EnterpriseId::from_bytes([2; 16]);
        let by_oid = |enterprise, idp| PersonId::of_stable_id(enterprise, idp, &ids[2]);
        assert_ne!(by_oid(elsewhere, "https://idp.example.com"), person(&ids[2]));
        assert_ne!(by_oid(enterprise, "https://idp.example.org"), person(&ids[2]));
    }

    #[test]
    fn ids_read_what_they_write() {
        let id = RequestId::from_bytes([0xa5; 16]);
        assert_eq!(RequestId::parse(&id.to_string()), Some(id));
        assert_eq!(RequestId::parse("A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5"), None);
        assert_eq!(RequestId::parse("a5"), None);
    }

    #[test]
    fn tokens_are_canonical_and_hidden() {
        let token = SessionToken::from_random([7; 32]);
        assert_eq!(token.expose().len(), 43);
        assert_eq!(SessionToken::parse(token.expose()).unwrap().session_id(), token.session_id());
        assert!(SessionToken::parse(&format!("{} ", token.expose())).is_none());
        assert!(SessionToken::parse("short").is_none());
        assert!(!format!("{token:?}").contains(token.expose()));
    }
}
