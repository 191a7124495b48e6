//! Free TCP ports on loopback.
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Below the ports that the system hands out by itself: nobody's outgoing connection and nobody's listener on port 0 takes
/// one between our look and the start of whoever it is for.
const RANGE: Range<u16> = 12_000..32_000;
/// Ports that other processes may hold.
const ATTEMPTS_MAX: usize = 1_000;
const CONNECT_MS_MAX: u64 = 500;

/// How many were looked at by this process, so that two tests never get the same one.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// A port that nothing listened on a moment ago. Another run of the tests may still take it: start through
/// `process::Process::start`, which tries again.
pub fn free() -> u16 {
    // Runs at the same time begin at different places.
    let first = process::id().wrapping_mul(619);
    for _ in 0..ATTEMPTS_MAX {
        let at = first.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed)) % RANGE.len() as u32;
        let port = RANGE.start + u16::try_from(at).expect("less than the range is long");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {ATTEMPTS_MAX} attempts");
}

/// Whether something accepts connections on `port`.
pub fn is_open(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(CONNECT_MS_MAX)).is_ok()
}

#[test]
fn ports_are_given_once_and_open_only_with_a_listener() {
    let (one, other) = (free(), free());
    assert_ne!(one, other);
    assert!(!is_open(one));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, one)).expect("a free port");
    assert!(is_open(one));
    drop(listener);
}
