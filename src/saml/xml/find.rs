//! Where the first of a few bytes stands, near by: tags and values are short, and setting up a vector search costs more
//! than eight bytes at a time.

const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// The place of the first byte that is one of `wanted` or less than `below` (at most 0x80; 0 for none).
#[inline]
pub(super) fn first_of<const N: usize>(octets: &[u8], wanted: [u8; N], below: u8) -> Option<usize> {
    let (words, rest) = octets.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = wanted.iter().fold(low(word, below), |found, byte| {
            let other = word ^ (ONES * u64::from(*byte));
            found | low(other, 1)
        });
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte < below || wanted.contains(byte))?;
    Some(words.len() * 8 + at)
}

/// The top bits of the bytes that are less than `below`. A borrow can add bytes above the lowest such one, never below it,
/// so the lowest is right.
#[inline]
fn low(word: u64, below: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(below)) & !word & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(octets: &[u8], wanted: [u8; N], below: u8) {
        let expected = octets.iter().position(|byte| wanted.contains(byte) || *byte < below);
        assert_eq!(first_of(octets, wanted, below), expected, "{octets:x?} {wanted:x?} {below:x}");
    }

    /// Every byte at every place, alone and next to bytes that a borrow could touch.
    #[test]
    fn the_first_is_found_at_every_place() {
        for length in 0..18 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for around in [b'a', b'=', b'!', 0xff, 0xbc] {
                        let mut octets = vec![around; length];
                        octets[at] = byte;
                        check(&octets, [], b' ');
                        check(&octets, [b'<', b'&', b'"'], b' ');
                        check(&octets, [b'<', b'&', b'>', b'\r', b']'], 0);
                        check(&octets, [0, 0xff], 0);
                    }
                }
            }
            check(&vec![b'a'; length], [b'<'], b' ');
        }
    }
}
