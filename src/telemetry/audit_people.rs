//! Events about several people at once: what one act did to each of them, in as few entries as hold it.
use serde::Serialize;

use super::{
    audit_line::MembershipState,
    lines::{AuditEvent, AuditLine},
};

/// The people of one entry, in bytes of JSON: about two hundred. More of them are told in several entries, each complete by
/// itself, so that no receiver, index or log cuts one short.
pub const PEOPLE_BYTES_MAX: usize = 64 * 1024;

/// One of several people whom an event is about, with what is theirs alone; everything else stands in the event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditPerson {
    /// As in [`AuditEvent::person`]: hexadecimal digits.
    #[serde(rename = "user_id", skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scim_user_id: Option<String>,
    #[serde(rename = "permission", skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<MembershipState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<MembershipState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitee_email: Option<String>,
}

impl AuditPerson {
    /// The event as it is told of this one alone.
    fn alone<'a>(&'a self, event: &AuditEvent<'a>) -> AuditEvent<'a> {
        AuditEvent {
            person: self.person.as_deref(),
            user: self.user.as_deref(),
            scim_user_id: self.scim_user_id.as_deref(),
            role: self.role,
            before: self.before,
            after: self.after,
            invitation_id: self.invitation_id.as_deref(),
            invitee_email: self.invitee_email.as_deref(),
            ..event.clone()
        }
    }

    fn bytes(&self) -> usize {
        // And a comma.
        serde_json::to_string(self).map_or(0, |json| json.len() + 1)
    }
}

impl AuditLine {
    /// An event about these people: of one, as if there were no others; of several, with all of them in `people`, in their order,
    /// and in as many entries as [`PEOPLE_BYTES_MAX`] takes.
    pub fn about(event: &AuditEvent<'_>, people: &[AuditPerson]) -> Vec<Self> {
        if let [one] = people {
            return vec![Self::of(&one.alone(event))];
        }
        parts(people).into_iter().map(|people| Self::of(&AuditEvent { people, ..event.clone() })).collect()
    }
}

/// Runs of people that fit into an entry.
fn parts(people: &[AuditPerson]) -> Vec<&[AuditPerson]> {
    let (mut parts, mut rest) = (vec![], people);
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |person: &&AuditPerson| {
            bytes = bytes.saturating_add(person.bytes());
            bytes <= PEOPLE_BYTES_MAX
        };
        // One at least: the texts of a single person are bounded by what they may be called.
        let count = rest.iter().take_while(fits).count().max(1);
        let (part, others) = rest.split_at(count.min(rest.len()));
        parts.push(part);
        rest = others;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Timestamp,
        telemetry::{AuditAction, Trigger},
    };

    fn event() -> AuditEvent<'static> {
        AuditEvent {
            organization: Some("octo-org"),
            ..AuditEvent::new(Timestamp::UNIX_EPOCH, AuditAction::InviteMember, Trigger::Scim, "example")
        }
    }

    fn person(n: usize) -> AuditPerson {
        AuditPerson {
            person: Some(format!("{n:032x}")),
            user: Some(format!("somebody-{n}@example.com")),
            role: Some("member"),
            ..AuditPerson::default()
        }
    }

    fn told(people: &[AuditPerson]) -> Vec<serde_json::Value> {
        let lines = AuditLine::about(&event(), people);
        lines.iter().map(|line| serde_json::from_slice(line.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn one_is_told_as_everywhere_else() {
        let told = told(&[person(7)]);
        let [one] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(one["user"], "somebody-7@example.com");
        assert_eq!((&one["org"], &one["permission"]), (&"octo-org".into(), &"member".into()));
        assert!(one.get("people").is_none());
    }

    #[test]
    fn several_share_an_entry_in_their_order() {
        let told = told(&[person(2), person(1)]);
        let [one] = told.as_slice() else { panic!("{told:?}") };
        assert!(one.get("user").is_none() && one.get("user_id").is_none());
        assert_eq!(one["people"][0]["user"], "somebody-2@example.com");
        assert_eq!(one["people"][1]["user_id"], format!("{:032x}", 1));
        assert_eq!(one["people"][0].as_object().unwrap().len(), 3, "nothing empty is said");
    }

    #[test]
    fn many_are_cut_and_nobody_is_lost() {
        let people: Vec<_> = (0..2_000).map(person).collect();
        let lines = AuditLine::about(&event(), &people);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.as_bytes().len() < PEOPLE_BYTES_MAX + 1_024));
        let named =
            told(&people).iter().map(|entry| entry["people"].as_array().unwrap().len()).sum::<usize>();
        assert_eq!(named, people.len());
    }

    #[test]
    fn who_alone_is_too_large_has_an_entry() {
        let long = AuditPerson { user: Some("x".repeat(PEOPLE_BYTES_MAX)), ..person(0) };
        assert_eq!(told(&[person(1), long, person(2)]).len(), 3);
        assert_eq!(told(&[]).len(), 0);
    }
}
