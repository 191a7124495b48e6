//! What an audit event says beside its own fields: ids, what sort of operation it was, and groups within bounds.
use serde::Serialize;

use super::{AuditAction, AuditEvent};
use crate::domain::{EnterpriseId, EnterpriseSlug, Membership, OrganizationId, OrganizationSlug};

/// Groups of one event, in bytes: a person in thousands of them must not fill the stream with every change.
const GROUPS_BYTES_MAX: usize = 16 * 1024;

/// A membership before or after a change.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MembershipState {
    pub role: &'static str,
    pub source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<&'static str>,
    /// Whether its removal waits for a decision.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

impl From<&Membership> for MembershipState {
    fn from(membership: &Membership) -> Self {
        Self {
            role: membership.role.as_str(),
            source: membership.source.as_str(),
            pinned: membership.pin.map(|pin| pin.reason.as_str()),
            held: membership.held.is_some(),
        }
    }
}

/// The event as it is written.
#[derive(Serialize)]
pub(super) struct Told<'e> {
    #[serde(flatten)]
    event: &'e AuditEvent<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    business_id: Option<String>,
    operation_type: &'static str,
    /// Milliseconds since the epoch; the same moment as `@timestamp`.
    created_at: i64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'e [String],
    /// How many more there were than fit.
    #[serde(skip_serializing_if = "is_zero")]
    groups_omitted: usize,
}

impl<'e> Told<'e> {
    pub fn of(event: &'e AuditEvent<'e>) -> Self {
        let enterprise = EnterpriseSlug::parse(event.enterprise).ok().map(|slug| EnterpriseId::of(&slug));
        let organization = event.organization.and_then(|slug| OrganizationSlug::parse(slug).ok());
        let organization = enterprise.zip(organization).map(|(id, slug)| OrganizationId::of(id, &slug));
        let kept = fitting(event.groups);
        Self {
            event,
            org_id: organization.map(|id| id.to_string()),
            business_id: enterprise.map(|id| id.to_string()),
            operation_type: operation_type(event.action),
            created_at: event.at.as_millisecond(),
            groups: event.groups.get(..kept).unwrap_or_default(),
            groups_omitted: event.groups.len() - kept,
        }
    }
}

/// How many of the groups fit, from the first one on.
fn fitting(groups: &[String]) -> usize {
    let mut bytes = 0_usize;
    let fits = |group: &&String| {
        // Quotation marks and a comma; what is escaped takes more.
        bytes = bytes.saturating_add(group.len() + 3);
        bytes <= GROUPS_BYTES_MAX
    };
    groups.iter().take_while(fits).count()
}

/// The reference system's word, by the verb in the action's name.
fn operation_type(action: AuditAction) -> &'static str {
    let name = action.name();
    let verb = name.rsplit_once('.').map_or(name.as_str(), |(_, verb)| verb);
    let begins = |words: &[&str]| words.iter().any(|word| verb.starts_with(word));
    if begins(&["add_", "create", "provision", "invite_", "grant", "pin_", "recovery_codes_"])
        && verb != "provision_held"
    {
        "create"
    } else if begins(&["remove_", "delete", "cancel_", "revoke", "deprovision", "deauthorized", "unpin_"]) {
        "remove"
    } else if begins(&["restore_"]) {
        "restore"
    } else if begins(&["sso_", "logout_", "sign_out", "response_", "groups_", "recovery_code_"]) {
        "authentication"
    } else {
        "modify"
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Timestamp, telemetry::Trigger};

    fn told(event: &AuditEvent<'_>) -> serde_json::Value {
        serde_json::to_value(Told::of(event)).unwrap()
    }

    fn event(action: AuditAction) -> AuditEvent<'static> {
        AuditEvent::new(Timestamp::from_second(7).unwrap(), action, Trigger::Saml, "example")
    }

    #[test]
    fn events_carry_the_ids_of_what_they_name() {
        let json = told(&AuditEvent { organization: Some("octo-org"), ..event(AuditAction::AddMember) });
        let enterprise = EnterpriseId::of(&EnterpriseSlug::parse("example").unwrap());
        let organization = OrganizationId::of(enterprise, &OrganizationSlug::parse("octo-org").unwrap());
        assert_eq!(json["business_id"], enterprise.to_string());
        assert_eq!(json["org_id"], organization.to_string());
        assert_eq!((&json["org"], &json["created_at"]), (&"octo-org".into(), &7_000.into()));
        assert!(told(&event(AuditAction::SignOut)).get("org_id").is_none());
    }

    #[test]
    fn operations_have_the_words_of_the_reference_system() {
        for (action, expected) in [
            (AuditAction::AddMember, "create"),
            (AuditAction::ProvisionIdentity, "create"),
            (AuditAction::ProvisionHeld, "modify"),
            (AuditAction::RemoveMember, "remove"),
            (AuditAction::CancelInvitation, "remove"),
            (AuditAction::UpdateMember, "modify"),
            (AuditAction::BecameUnowned, "modify"),
            (AuditAction::SsoResponse, "authentication"),
            (AuditAction::ResponseRefused, "authentication"),
            (AuditAction::SignOut, "authentication"),
        ] {
            assert_eq!(told(&event(action))["operation_type"], expected, "{action:?}");
        }
    }

    #[test]
    fn groups_stay_within_bounds_and_say_how_many_were_left_out() {
        let few = vec!["a".to_owned(), "b".to_owned()];
        let json = told(&AuditEvent { groups: &few, ..event(AuditAction::SsoResponse) });
        assert_eq!(json["groups"], serde_json::json!(["a", "b"]));
        assert!(json.get("groups_omitted").is_none());
        let many: Vec<String> = (0..5_000).map(|n| format!("group-{n:04}")).collect();
        let json = told(&AuditEvent { groups: &many, ..event(AuditAction::SsoResponse) });
        let kept = json["groups"].as_array().unwrap().len();
        assert!((1_000..1_400).contains(&kept), "{kept}");
        assert_eq!(json["groups_omitted"], many.len() - kept);
    }
}
