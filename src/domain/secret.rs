//! The secrets of tokens, in a form that secret scanners find without false alarms.
//!
//! `ptc_` (a personal access token) or `pcs_` (a SCIM token of an integration), 43 characters for 256 random bits, and 6 for a
//! checksum over everything before them: in all `\b(ptc|pcs)_[0-9A-Za-z]{49}\b`. Letters and digits alone, so that a double
//! click takes all of it. The checksum tells a token from a look-alike without asking us; it protects nothing. The two sorts are
//! two types, and neither reads the other's form: what opens SCIM opens nothing else.
use std::fmt;

use sha2::{Digest, Sha256};

/// What every personal access token begins with.
const TOKEN_PREFIX: &str = "ptc_";
/// What every SCIM token begins with: as long as the other, so that all tokens have one length.
const SCIM_PREFIX: &str = "pcs_";
/// What an Authorization field of ours is recognised by.
pub const OWN_TOKEN_PREFIXES: [&str; 2] = [TOKEN_PREFIX, SCIM_PREFIX];
/// Of the random part: 62 to the power of 43 is just above 2 to the power of 256.
const RANDOM_CHARS: usize = 43;
/// 62 to the power of 6 is above 2 to the power of 32.
const CHECKSUM_CHARS: usize = 6;
/// Of a whole token.
const TOKEN_CHARS: usize = TOKEN_PREFIX.len() + RANDOM_CHARS + CHECKSUM_CHARS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// CRC-32 of IEEE 802.3, reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $prefix:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(String);

        impl $name {
            pub fn from_random(bytes: [u8; 32]) -> Self {
                Self(written($prefix, &bytes))
            }

            /// `None` for anything that no such token can be: another length, another alphabet, a checksum that does not fit.
            pub fn parse(text: &str) -> Option<Self> {
                is_token($prefix, text).then(|| Self(text.to_owned()))
            }

            /// The token itself.
            pub fn expose(&self) -> &str {
                &self.0
            }

            /// What the store knows of it (V-01, R-05).
            pub fn sha256(&self) -> [u8; 32] {
                Sha256::digest(self.0.as_bytes()).into()
            }

            /// What a person recognises it by.
            pub fn last_eight(&self) -> &str {
                self.0.get(TOKEN_CHARS - 8..).unwrap_or_default()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// A personal access token as its holder has it. Shown once; never stored, never logged.
    TokenSecret, TOKEN_PREFIX
}
secret! {
    /// A SCIM token as the identity provider has it. Shown once; never stored, never logged.
    ScimSecret, SCIM_PREFIX
}

fn written(prefix: &str, random: &[u8; 32]) -> String {
    let mut text = format!("{prefix}{}", base62::<RANDOM_CHARS>(random));
    let checksum = checksum(&text);
    text.push_str(&checksum);
    text
}

fn is_token(prefix: &str, text: &str) -> bool {
    let is_ours = text.len() == TOKEN_CHARS && text.starts_with(prefix);
    let parts = text.split_at_checked(TOKEN_CHARS - CHECKSUM_CHARS).filter(|_| is_ours);
    parts.is_some_and(|(begin, end)| {
        let plain = begin.bytes().skip(prefix.len()).all(|b| b.is_ascii_alphanumeric());
        plain && checksum(begin) == end
    })
}

fn checksum(text: &str) -> String {
    base62::<CHECKSUM_CHARS>(&crc32(text.as_bytes()).to_be_bytes())
}

/// A big-endian number in `N` digits of [`ALPHABET`], led by zeros; digits beyond `N` would be lost.
fn base62<const N: usize>(number: &[u8]) -> String {
    let mut number = number.to_vec();
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            // Below 256, because the rest is below 62.
            *byte = u8::try_from(value / 62).unwrap_or_default();
            rest = value % 62;
        }
        *digit = ALPHABET.get(usize::try_from(rest).unwrap_or_default()).copied().unwrap_or(b'0');
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    let one = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| one(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_crc_that_everybody_knows() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(base62::<6>(&[0, 0, 0, 61]), "00000z");
        assert_eq!(base62::<6>(&62_u32.to_be_bytes()), "000010");
        assert_eq!(base62::<6>(&u32::MAX.to_be_bytes()), "4gfFC3");
    }

    #[test]
    fn v_01_a_token_is_read_back_and_nothing_else_is_one() {
        for bytes in [[0; 32], [0xff; 32], std::array::from_fn(|i| i as u8)] {
            let secret = TokenSecret::from_random(bytes);
            let text = secret.expose();
            assert_eq!(text.len(), 53, "{text}");
            assert!(text.starts_with("ptc_") && text[4..].bytes().all(|b| b.is_ascii_alphanumeric()));
            assert_eq!(TokenSecret::parse(text).unwrap().sha256(), secret.sha256());
            assert_eq!(secret.last_eight(), &text[45..]);
            assert!(!format!("{secret:?}").contains(secret.last_eight()));
            let changed = text.replacen(&text[10..11], if &text[10..11] == "x" { "y" } else { "x" }, 1);
            let short = &text[..52];
            for other in [changed.as_str(), short, &format!("{text}0"), &text.to_uppercase(), "", "ptc_"] {
                assert!(TokenSecret::parse(other).is_none(), "{other}");
            }
        }
        assert_ne!(
            TokenSecret::from_random([1; 32]).expose(),
            TokenSecret::from_random([2; 32]).expose(),
            "all bits are in it"
        );
        let wide = format!("ptc_{}é{}", "0".repeat(42), "0".repeat(5));
        assert!(TokenSecret::parse(&wide).is_none());
    }

    #[test]
    fn v_01_a_scim_token_is_no_personal_one() {
        let (personal, scim) = (TokenSecret::from_random([7; 32]), ScimSecret::from_random([7; 32]));
        assert!(scim.expose().starts_with("pcs_") && scim.expose().len() == personal.expose().len());
        assert!(ScimSecret::parse(scim.expose()).is_some());
        assert!(TokenSecret::parse(scim.expose()).is_none());
        assert!(ScimSecret::parse(personal.expose()).is_none());
        // Not even by another prefix before the same digits: the checksum is over all of it.
        assert!(ScimSecret::parse(&personal.expose().replace("ptc_", "pcs_")).is_none());
        assert!(!format!("{scim:?}").contains(scim.last_eight()));
    }
}
