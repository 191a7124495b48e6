//! The form value of the HTTP-POST binding, turned into the octets of a message.
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Reason, Refusal,
    guard::{Guard, stands},
    limits::{BASE64_WHITESPACE_BYTES_MAX, DECODED_BYTES_MAX, ENCODED_BYTES_MAX},
};

/// Undoes the base64 of a `SAMLResponse` form value (SAML Bindings 3.5.4): standard alphabet, canonical padding, nothing
/// but CR, LF and blanks between; sizes are checked before anything is decoded (S-66, S-68).
pub fn decode(form_value: &[u8]) -> Result<Vec<u8>, Refusal> {
    if stands(Guard::EncodedSize) && form_value.len() > ENCODED_BYTES_MAX {
        return Err(Refusal::from(Reason::EncodedTooLarge).detail(format!("{} bytes", form_value.len())));
    }
    let whitespace = form_value.iter().filter(|byte| is_whitespace(**byte)).count();
    if stands(Guard::Base64Whitespace) && whitespace > BASE64_WHITESPACE_BYTES_MAX {
        return Err(Refusal::from(Reason::Base64Whitespace).detail(format!("{whitespace} bytes of it")));
    }
    if stands(Guard::DecodedSize) && (form_value.len() - whitespace) / 4 * 3 > DECODED_BYTES_MAX + 2 {
        return Err(Reason::DecodedTooLarge.into());
    }
    let decoded = if whitespace == 0 {
        STANDARD.decode(form_value)
    } else {
        let packed: Vec<u8> = form_value.iter().copied().filter(|byte| !is_whitespace(*byte)).collect();
        STANDARD.decode(packed)
    };
    let decoded = match decoded {
        Err(_) if !stands(Guard::Base64Canonical) => form_value.to_vec(),
        decoded => decoded.map_err(|e| Refusal::from(Reason::Base64Invalid).detail(e.to_string()))?,
    };
    if stands(Guard::Base64Empty) && decoded.is_empty() {
        return Err(Refusal::from(Reason::Base64Invalid).detail("the value is empty"));
    }
    if stands(Guard::DecodedSize) && decoded.len() > DECODED_BYTES_MAX {
        return Err(Reason::DecodedTooLarge.into());
    }
    Ok(decoded)
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(value: &[u8]) -> Option<Reason> {
        decode(value).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn s_68_base64_is_strict() {
        assert_eq!(decode(b"PGE+").unwrap(), b"<a>");
        assert_eq!(decode(b"P\r\nG E+\n").unwrap(), b"<a>");
        for bad in ["", "PGE", "PG==E+", "PGE-", "PGF=", "PGE+=", "PGE\t+", "%50GE+", "PGE+\0", "PE=="] {
            assert_eq!(reason(bad.as_bytes()), Some(Reason::Base64Invalid), "{bad:?}");
        }
    }

    #[test]
    fn s_66_sizes_are_capped() {
        let exact = STANDARD.encode(vec![b'a'; DECODED_BYTES_MAX]);
        assert_eq!(decode(exact.as_bytes()).unwrap().len(), DECODED_BYTES_MAX);
        let over = STANDARD.encode(vec![b'a'; DECODED_BYTES_MAX + 1]);
        assert_eq!(reason(over.as_bytes()), Some(Reason::DecodedTooLarge));
        assert_eq!(reason(&vec![b'A'; ENCODED_BYTES_MAX + 1]), Some(Reason::EncodedTooLarge));
        let mut flood = vec![b'\n'; BASE64_WHITESPACE_BYTES_MAX];
        flood.extend_from_slice(b"PGE+");
        assert!(decode(&flood).is_ok());
        flood.push(b'\n');
        assert_eq!(reason(&flood), Some(Reason::Base64Whitespace));
    }
}
