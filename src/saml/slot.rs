//! The place from which sign-ins take their connection: it can be changed while they run, be empty, and run out.
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{
    Connection,
    guard::{Guard, stands},
};
use crate::domain::Timestamp;

/// Nothing is known of the IdP that may still be relied upon, so nobody can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the IdP's metadata was never read, or is no longer valid")]
pub struct NoConnection;

/// Holds the connection in use. Clones share the place; a sign-in loads it once and keeps what it loaded.
#[derive(Clone, Default)]
pub struct ConnectionSlot(Arc<ArcSwapOption<Held>>);

struct Held {
    connection: Arc<Connection>,
    /// `None`: it does not run out.
    until: Option<Timestamp>,
}

impl ConnectionSlot {
    /// Holds a connection that the configuration describes in full.
    pub fn of(connection: Connection) -> Self {
        let slot = Self::default();
        slot.set(connection, None);
        slot
    }

    /// From now on the connection is this one, until `until` if that is some time (M-01).
    pub fn set(&self, connection: Connection, until: Option<Timestamp>) {
        self.0.store(Some(Arc::new(Held { connection: Arc::new(connection), until })));
    }

    /// The same connection runs out at another time.
    pub fn extend(&self, until: Option<Timestamp>) {
        self.0.rcu(|held| {
            held.as_ref().map(|held| Arc::new(Held { connection: held.connection.clone(), until }))
        });
    }

    /// The connection to use at `now`. What ran out is not there, whoever forgot to take it away.
    pub fn load(&self, now: Timestamp) -> Result<Arc<Connection>, NoConnection> {
        let held = self.0.load();
        let lives =
            |held: &&Arc<Held>| held.until.is_none_or(|until| now < until) || !stands(Guard::MetadataLife);
        let held = held.as_ref().filter(lives);
        held.map(|held| held.connection.clone()).ok_or(NoConnection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::Settings;

    fn connection(idp_entity_id: &str) -> Connection {
        let pem = include_bytes!("../../certs/development-idp.crt").to_vec();
        let idp_entity_id = idp_entity_id.to_owned();
        Connection::new(Settings { idp_entity_id, certificates: vec![pem], ..Settings::default() }).unwrap()
    }

    #[test]
    fn m_01_what_ran_out_is_not_there() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let slot = ConnectionSlot::default();
        assert_eq!(slot.load(at(0)).err(), Some(NoConnection));
        slot.set(connection("a"), Some(at(10)));
        assert!(slot.load(at(9)).is_ok());
        assert_eq!(slot.load(at(10)).err(), Some(NoConnection));
        slot.extend(Some(at(20)));
        assert!(slot.load(at(10)).is_ok());
        slot.extend(None);
        assert!(slot.load(Timestamp::MAX).is_ok());
    }

    #[test]
    fn clones_share_the_place_and_who_loaded_keeps() {
        let slot = ConnectionSlot::of(connection("a"));
        let (other, loaded) = (slot.clone(), slot.load(Timestamp::MIN).unwrap());
        other.set(connection("b"), None);
        assert_eq!(loaded.settings().idp_entity_id, "a");
        assert_eq!(slot.load(Timestamp::MIN).unwrap().settings().idp_entity_id, "b");
    }
}
