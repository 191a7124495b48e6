//! Free TCP ports on loopback.
use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

/// Ports given out by this process, so that two tests never get the same one.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// How many ports the system may offer again before the search is given up.
const ATTEMPTS_MAX: usize = 100;
const CONNECT_MS_MAX: u64 = 500;

/// A port that nothing listened on a moment ago. Another process may still take it: start through
/// `process::Process::start`, which tries again.
pub fn free() -> u16 {
    for _ in 0..ATTEMPTS_MAX {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the system's choice");
        let port = listener.local_addr().expect("the port just bound").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
    panic!("no fresh port in {ATTEMPTS_MAX} attempts");
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
