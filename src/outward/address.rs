//! Which addresses a URL of a setting may lead to (M-04): those of the public internet, and what the operator names.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ReachError;
use crate::saml::guard::{Guard, stands};

/// Addresses of one host that are looked at; a host with more is not ours to understand.
pub(super) const ADDRESSES_MAX: usize = 32;

/// Addresses that share their first bits: `10.1.0.0/16`, `fd00:1::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `ADDRESS/BITS`; `None` if it is none, or if the address has bits beyond those that count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let plain = bits.bytes().all(|byte| byte.is_ascii_digit());
        let network = Self { address: address.parse().ok()?, bits: bits.parse().ok().filter(|_| plain)? };
        let width = if network.address.is_ipv4() { 32 } else { 128 };
        let fits = network.bits <= width && network.masked(network.address) == Some(number(network.address));
        fits.then_some(network)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.masked(address).is_some_and(|masked| masked == number(self.address))
    }

    /// Whether it holds addresses of this machine or of its link, where cloud providers keep credentials.
    pub fn is_local(&self) -> bool {
        let local = [
            IpAddr::from([127, 0, 0, 0]),
            IpAddr::from([169, 254, 0, 0]),
            IpAddr::from([0, 0, 0, 0]),
            IpAddr::from(Ipv6Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)),
        ];
        let link = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
        };
        local.into_iter().any(|address| self.contains(address)) || link(self.address)
    }

    /// The bits of `address` that count; `None` if it is of the other family.
    fn masked(&self, address: IpAddr) -> Option<u128> {
        if address.is_ipv4() != self.address.is_ipv4() {
            return None;
        }
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let host_bits = width.saturating_sub(u32::from(self.bits));
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(number(address) & mask)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Of a host's addresses the one to connect to. All of them must be allowed: a name that leads inside as well as outside is
/// not trusted to choose.
///
/// # Errors
/// [`ReachError::Address`] if one leads inside, [`ReachError::Resolve`] if there is none, or more than 32.
pub fn choose(addresses: &[SocketAddr], internal: &[Network]) -> Result<SocketAddr, ReachError> {
    if addresses.len() > ADDRESSES_MAX && stands(Guard::FetchAddresses) {
        return Err(ReachError::Resolve(format!("more than {ADDRESSES_MAX} addresses")));
    }
    let judged =
        if stands(Guard::FetchEveryAddress) { addresses } else { addresses.get(..1).unwrap_or_default() };
    for address in judged.iter().map(SocketAddr::ip) {
        if let Some(why) = denied(address, internal) {
            return Err(ReachError::Address { address, why });
        }
    }
    addresses.first().copied().ok_or_else(|| ReachError::Resolve("no address".into()))
}

/// Why nothing is connected to there, fit to stand after "is"; `None` for addresses of the public internet and for
/// those in `internal`. An IPv4 address within an IPv6 one is judged as itself.
fn denied(address: IpAddr, internal: &[Network]) -> Option<&'static str> {
    let address = address.to_canonical();
    if internal.iter().any(|network| network.contains(address)) {
        return None;
    }
    let denied = match address {
        IpAddr::V4(v4) => denied_v4(v4),
        IpAddr::V6(v6) => denied_v6(v6),
    };
    denied.filter(|(guard, _)| stands(*guard)).map(|(_, why)| why)
}

/// The special-purpose registry of RFC 6890.
fn denied_v4(address: Ipv4Addr) -> Option<(Guard, &'static str)> {
    Some(match address.octets() {
        [0, ..] => (Guard::FetchThisNetwork, "this network"),
        [127, ..] => (Guard::FetchLoopback, "loopback"),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => (Guard::FetchPrivate, "private"),
        [100, 64..=127, ..] => (Guard::FetchShared, "shared address space (carrier-grade NAT)"),
        [169, 254, ..] => (Guard::FetchLinkLocal, "link-local"),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] => {
            (Guard::FetchReserved, "reserved")
        }
        [198, 18 | 19, ..] => (Guard::FetchBenchmarks, "for benchmarks"),
        [224..=239, ..] => (Guard::FetchMulticast, "multicast"),
        [240..=255, ..] => (Guard::FetchReserved, "reserved"),
        _ => return None,
    })
}

/// Only global unicast is the internet, without the parts that stand for something else (RFC 4291 2.4, RFC 6890).
fn denied_v6(address: Ipv6Addr) -> Option<(Guard, &'static str)> {
    Some(match address.segments() {
        [0x2001, 0..=0x01ff, ..] => (Guard::FetchSpecialV6, "for special purposes"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => (Guard::FetchDocumentationV6, "for documentation"),
        [0x2002, ..] => (Guard::FetchSixToFour, "a wrapped IPv4 address"),
        [0x2000..=0x3fff, ..] => return None,
        _ => (Guard::FetchGlobalV6, "not of the public internet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_denied(text: &str, internal: &[&str]) -> bool {
        let internal: Vec<_> = internal.iter().map(|network| Network::parse(network).unwrap()).collect();
        denied(text.parse().unwrap(), &internal).is_some()
    }

    #[test]
    fn m_04_only_the_public_internet() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(is_denied(bad, &[]), "{bad}");
        }
        let good = [
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
        ];
        for good in good {
            assert!(!is_denied(good, &[]), "{good}");
        }
    }

    #[test]
    fn m_04_internal_networks_are_named_one_by_one() {
        assert!(!is_denied("10.1.2.3", &["10.1.0.0/16"]));
        assert!(is_denied("10.2.2.3", &["10.1.0.0/16"]));
        assert!(!is_denied("::ffff:10.1.2.3", &["10.1.0.0/16"]));
        assert!(!is_denied("fd00:1::5", &["10.1.0.0/16", "fd00:1::/32"]));
        assert!(is_denied("fd00:2::5", &["fd00:1::/32"]));
        assert!(!is_denied("127.0.0.1", &["127.0.0.1/32"]) && is_denied("127.0.0.2", &["127.0.0.1/32"]));
        for bad in
            ["10.1.0.0", "10.1.0.0/33", "10.1.0.1/16", "::/129", "x/8", "10.0.0.0/+8", "10.0.0.0/", "/8"]
        {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn m_04_what_holds_addresses_of_this_machine_is_known() {
        let local = |text| Network::parse(text).unwrap().is_local();
        for bad in
            ["0.0.0.0/0", "127.0.0.0/8", "127.0.0.1/32", "169.254.169.254/32", "::/0", "::1/128", "fe80::/10"]
        {
            assert!(local(bad), "{bad}");
        }
        assert!(!local("10.0.0.0/8") && !local("fd00::/8") && !local("192.168.1.0/24"));
    }
}
