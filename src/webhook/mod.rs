//! What happened, told to others: every event of the audit stream that a webhook asks for, in its order, one signed POST each
//! (Standard Webhooks 1.0).
//!
//! The stream itself is the outbox. What lies beside it for each enterprise is a cursor, `domain::WebhookCursor`: how far the
//! webhook has come, and which gateway is at it. `courier` moves it, `delivery` makes one POST over a connection of
//! `outward`, `secret` signs. An event is delivered at least once and never overtaken by a later one; `webhook-id` tells a
//! receiver what it has already. Nobody waits for any of it.
mod courier;
mod delivery;
mod secret;

use std::fmt;

use crate::{
    domain::{EnterpriseSlug, WebhookId},
    outward::Remote,
};

pub use courier::{Courier, Tenant};
pub use delivery::DeliveryError;
pub use secret::{Secret, SecretError};

/// So many secrets may sign at once: an old one and a new one.
pub const SECRETS_MAX: usize = 2;

/// One webhook.
#[derive(Clone)]
pub struct Settings {
    pub name: String,
    pub remote: Remote,
    /// One, or two while they are rolled over; each of them signs.
    pub secrets: Vec<Secret>,
    pub events: Vec<EventPattern>,
    /// `None`: all.
    pub enterprises: Option<Vec<EnterpriseSlug>>,
}

impl Settings {
    pub fn id(&self) -> WebhookId {
        WebhookId::of(&self.name)
    }

    /// Whether the webhook is told of an enterprise at all.
    pub fn concerns(&self, enterprise: &EnterpriseSlug) -> bool {
        self.enterprises.as_ref().is_none_or(|enterprises| enterprises.contains(enterprise))
    }

    /// Whether it wants an event of this name.
    pub fn wants(&self, action: &str) -> bool {
        self.events.iter().any(|pattern| pattern.matches(action))
    }
}

/// Neither a secret nor the query of the URL, which may hold one.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("webhook::Settings")
            .field("name", &self.name)
            .field("url", &self.remote.text.split('?').next().unwrap_or_default())
            .field("secrets", &self.secrets.len())
            .field("events", &self.events)
            .field("enterprises", &self.enterprises)
            .finish_non_exhaustive()
    }
}

/// Names of events: one, or all that begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventPattern {
    /// `org.add_member`
    Exact(String),
    /// `org.*`, `*`
    Beginning(String),
}

impl EventPattern {
    /// Reads a name, or a beginning and `*`; `None` if no event of `names` is meant by it.
    pub fn parse(text: &str, names: &[&str]) -> Option<Self> {
        let pattern = match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Exact(text.to_owned()),
        };
        names.iter().any(|name| pattern.matches(name)).then_some(pattern)
    }

    fn matches(&self, action: &str) -> bool {
        match self {
            Self::Exact(name) => action == name,
            Self::Beginning(beginning) => action.starts_with(beginning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_events_that_there_are() {
        let names = ["org.add_member", "org.remove_member", "business.sign_out"];
        let meant = |text| {
            let pattern = EventPattern::parse(text, &names)?;
            Some(names.iter().filter(|name| pattern.matches(name)).count())
        };
        assert_eq!(meant("org.add_member"), Some(1));
        assert_eq!(meant("org.*"), Some(2));
        assert_eq!(meant("*"), Some(3));
        for wrong in ["", "org", "org.add_memebr", "orgs.*", "*.add_member", "Org.*"] {
            assert_eq!(meant(wrong), None, "{wrong}");
        }
    }
}
