//! Redis Cluster's hash slots: CRC-16 of what stands between a key's braces.

/// Slots of a cluster.
pub(super) const SLOTS: u16 = 16_384;
/// CRC-16/XMODEM.
const POLYNOMIAL: u16 = 0x1021;

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// The slot of a key's text.
pub(super) fn slot(key: &str) -> u16 {
    crc16(tag(key).as_bytes()) % SLOTS
}

/// What is hashed: the text between the first `{` and the next `}` unless there is none, else everything.
fn tag(key: &str) -> &str {
    let inside = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    inside.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let index = usize::from((crc >> 8) as u8 ^ byte);
        (crc << 8) ^ TABLE.get(index).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
        // As CLUSTER KEYSLOT says.
        for (key, expected) in [("foo", 12_182), ("bar", 5_061), ("hello", 866), ("user1000", 3_443)] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[test]
    fn only_the_tag_counts() {
        for key in ["pc:{foo}:p:1", "{foo}", "a{foo}b{bar}", "{foo}{bar}"] {
            assert_eq!(slot(key), slot("foo"), "{key}");
        }
        for key in ["{}foo", "foo{", "a{}b{foo}"] {
            assert_eq!(tag(key), key);
        }
    }
}
