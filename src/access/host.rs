//! The authority that a request names, in one spelling (P-40).
use std::borrow::Cow;

/// A DNS name has at most 253 bytes; with a port, 259.
pub const HOST_BYTES_MAX: usize = 259;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostFault {
    #[error("the host is empty or longer than {HOST_BYTES_MAX} bytes")]
    Length,
    #[error("a character that stands in no host name")]
    Character,
    #[error("an empty label, or a dot at the end")]
    Label,
    #[error("a port that is no number between 1 and 65535 without leading zero")]
    Port,
}

/// Lower case, without the scheme's default port. Anything that is no plain name, IPv4 or bracketed IPv6 address with an
/// optional port is refused: user information, lists, trailing dots, names in other scripts.
pub fn canonical_host<'a>(raw: &'a str, scheme: &str) -> Result<Cow<'a, str>, HostFault> {
    if raw.is_empty() || raw.len() > HOST_BYTES_MAX {
        return Err(HostFault::Length);
    }
    let (name, port) = split(raw)?;
    let default_port = match scheme {
        "https" => "443",
        _ => "80",
    };
    let kept = match port {
        Some(port) => {
            check_port(port)?;
            if port == default_port { name } else { raw }
        }
        None => raw,
    };
    Ok(match kept.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(kept.to_ascii_lowercase()),
        false => Cow::Borrowed(kept),
    })
}

/// Parts the name from the port and checks the name.
fn split(raw: &str) -> Result<(&str, Option<&str>), HostFault> {
    if raw.starts_with('[') {
        let end = raw.find(']').ok_or(HostFault::Character)?;
        let (name, rest) = raw.split_at(end + 1);
        let inner = name.trim_start_matches('[').trim_end_matches(']');
        inner.parse::<std::net::Ipv6Addr>().map_err(|_| HostFault::Character)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((name, Some(port))),
            None if rest.is_empty() => Ok((name, None)),
            None => Err(HostFault::Character),
        };
    }
    let (name, port) = match raw.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (raw, None),
    };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return Err(HostFault::Character);
    }
    if name.split('.').any(str::is_empty) {
        return Err(HostFault::Label);
    }
    Ok((name, port))
}

fn check_port(port: &str) -> Result<(), HostFault> {
    let digits = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    (digits && port.parse::<u16>().is_ok()).then_some(()).ok_or(HostFault::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p40_hosts() {
        use HostFault::*;
        for (raw, expected) in [
            ("app.example.com", Ok("app.example.com")),
            ("APP.Example.com", Ok("app.example.com")),
            ("app.example.com:443", Ok("app.example.com")),
            ("app.example.com:80", Ok("app.example.com:80")),
            ("localhost:8080", Ok("localhost:8080")),
            ("127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("[::1]:8080", Ok("[::1]:8080")),
            ("[2001:DB8::1]:443", Ok("[2001:db8::1]")),
            ("", Err(Length)),
            ("a.example.com, b.example.com", Err(Character)),
            ("user@app.example.com", Err(Character)),
            ("app.example.com.", Err(Label)),
            ("app..example.com", Err(Label)),
            (":8080", Err(Label)),
            ("app.example.com:", Err(Port)),
            ("app.example.com:0443", Err(Port)),
            ("app.example.com:+443", Err(Port)),
            ("app.example.com:65536", Err(Port)),
            ("app.example.com:80:80", Err(Port)),
            ("app.example.com:443@evil.example", Err(Port)),
            ("b\u{fc}cher.example", Err(Character)),
            ("app.example.com/x", Err(Character)),
            ("[::1", Err(Character)),
            ("[::1]x", Err(Character)),
            ("[app.example.com]", Err(Character)),
        ] {
            assert_eq!(canonical_host(raw, "https").as_deref(), expected.as_ref().copied(), "{raw}");
        }
        assert_eq!(canonical_host("localhost:80", "http").as_deref(), Ok("localhost"));
        assert_eq!(canonical_host(&"a".repeat(HOST_BYTES_MAX + 1), "https"), Err(Length));
    }
}
