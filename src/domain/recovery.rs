//! Recovery codes: how an enterprise's owner gets in while the IdP is down.
use sha2::{Digest, Sha256};

use super::{PersonId, Timestamp};

/// Codes of one list: enough for an outage of a week with two sign-ins a day, and a list that fits on a card.
pub const RECOVERY_CODES: usize = 16;
/// Symbols of a code, five bits each: 100 bits, which nobody guesses.
const SYMBOLS: usize = 20;
const GROUP_SYMBOLS: usize = 5;
/// Digits and letters that are told apart in handwriting.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Random bytes that a list is made of.
pub const RECOVERY_RANDOM_BYTES: usize = RECOVERY_CODES * SYMBOLS;
/// What a person may type around a code.
const TYPED_BYTES_MAX: usize = 64;

/// What the store keeps of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCodes {
    /// Whom they let in.
    pub person: PersonId,
    pub generated_at: Timestamp,
    /// SHA-256 of each code, in the order in which they are used.
    pub hashes: Vec<[u8; 32]>,
    /// How many were used.
    pub used: usize,
}

/// What became of a code that somebody typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryMatch {
    Next,
    /// A code of the list whose turn has passed.
    Used,
    /// A code of the list whose turn has not come.
    OutOfOrder,
    Unknown,
}

impl RecoveryCodes {
    /// A new list and its codes as they are shown, once, such as `0a1b2-c3d4e-f5g6h-j7k8m`.
    pub fn generate(
        person: PersonId,
        random: &[u8; RECOVERY_RANDOM_BYTES],
        now: Timestamp,
    ) -> (Self, Vec<String>) {
        let codes: Vec<String> = random.chunks_exact(SYMBOLS).map(shown).collect();
        let hashes = codes.iter().map(|code| hash(&plain(code))).collect();
        (Self { person, generated_at: now, hashes, used: 0 }, codes)
    }

    /// Compares with every code, whichever it is, in the same time.
    pub fn find(&self, typed: &str) -> RecoveryMatch {
        let given = hash(&plain(typed.get(..TYPED_BYTES_MAX).unwrap_or(typed)));
        let mut found = None;
        for (index, hash) in self.hashes.iter().enumerate() {
            // No early end: which code it is, and how much of it is right, does not show in the time.
            if same(hash, &given) {
                found = Some(index);
            }
        }
        match found {
            None => RecoveryMatch::Unknown,
            Some(index) if index < self.used => RecoveryMatch::Used,
            Some(index) if index == self.used => RecoveryMatch::Next,
            Some(_) => RecoveryMatch::OutOfOrder,
        }
    }

    pub fn left(&self) -> usize {
        self.hashes.len().saturating_sub(self.used)
    }
}

/// Each byte gives one symbol: 256 is a multiple of 32, so all symbols are equally likely.
fn shown(random: &[u8]) -> String {
    let symbols = random.iter().map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0'));
    let mut code = String::new();
    for (index, symbol) in symbols.enumerate() {
        if index > 0 && index % GROUP_SYMBOLS == 0 {
            code.push('-');
        }
        code.push(char::from(symbol));
    }
    code
}

/// As people type it: in any letter case, with hyphens and blanks anywhere, and with the letters that are none of ours read as
/// the digits that they look like.
fn plain(typed: &str) -> String {
    let symbol = |c: char| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(symbol).collect()
}

fn hash(plain: &str) -> [u8; 32] {
    Sha256::digest(plain.as_bytes()).into()
}

/// In the same time whatever differs.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> (RecoveryCodes, Vec<String>) {
        let mut random = [0; RECOVERY_RANDOM_BYTES];
        for (index, byte) in random.iter_mut().enumerate() {
            *byte = u8::try_from(index * 7 % 251).unwrap();
        }
        RecoveryCodes::generate(PersonId::from_bytes([1; 16]), &random, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn statement_21_codes_come_in_order_and_once() {
        let (mut codes, shown) = list();
        assert_eq!(shown.len(), RECOVERY_CODES);
        assert_eq!(codes.find(&shown[0]), RecoveryMatch::Next);
        assert_eq!(codes.find(&shown[1]), RecoveryMatch::OutOfOrder);
        codes.used = 1;
        assert_eq!(codes.find(&shown[0]), RecoveryMatch::Used);
        assert_eq!(codes.find(&shown[1]), RecoveryMatch::Next);
        assert_eq!(codes.find("00000-00000-00000-00000"), RecoveryMatch::Unknown);
        assert_eq!(codes.find(""), RecoveryMatch::Unknown);
        codes.used = RECOVERY_CODES;
        assert_eq!((codes.find(&shown[15]), codes.left()), (RecoveryMatch::Used, 0));
    }

    #[test]
    fn codes_are_forgiving_to_type_and_long_enough() {
        let (codes, shown) = list();
        assert_eq!(codes.find(&shown[0].to_uppercase().replace('-', " ")), RecoveryMatch::Next);
        assert_eq!(codes.find(&shown[0].replace('0', "O").replace('1', "l")), RecoveryMatch::Next);
        assert_eq!(codes.find(&shown[0][..22]), RecoveryMatch::Unknown);
        assert_eq!(shown[0].len(), 23);
        let different: std::collections::BTreeSet<_> = shown.iter().collect();
        assert_eq!(different.len(), RECOVERY_CODES);
        assert!(!format!("{codes:?}").contains(&shown[0]));
    }
}
