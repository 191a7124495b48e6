//! What is told of each call: one count, and one event of the audit log. Calls that only read, and could, are not told there:
//! identity providers ask for every user again and again.
use std::sync::Arc;

use http::Method;

use super::{
    Scim,
    answer::Answer,
    place::Endpoint,
    refusal::{Code, Refusal},
};
use crate::{
    domain::{ActiveScimToken, ScimId, Timestamp},
    scim::ResourceType,
    telemetry::{AuditAction, AuditEvent, ScimRequest, Trigger},
};

/// What is learned about a call on its way.
pub struct Record {
    method: Method,
    path: String,
    token: Option<Arc<ActiveScimToken>>,
    endpoint: &'static str,
    /// Whether it only asks, whatever its method.
    is_search: bool,
    named: Option<(ResourceType, ScimId)>,
    kind: ResourceType,
}

impl Record {
    pub fn new(method: Method, path: &str) -> Self {
        let path = format!("{}{path}", super::PREFIX);
        Self {
            method,
            path,
            token: None,
            endpoint: "-",
            is_search: false,
            named: None,
            kind: ResourceType::User,
        }
    }

    pub fn is_by(&mut self, token: &Arc<ActiveScimToken>) {
        self.token = Some(token.clone());
    }

    pub fn is_at(&mut self, endpoint: Endpoint<'_>) {
        self.endpoint = endpoint.name();
        self.is_search =
            matches!(endpoint, Endpoint::RootSearch | Endpoint::UsersSearch | Endpoint::GroupsSearch);
        if matches!(endpoint, Endpoint::Groups | Endpoint::Group(_) | Endpoint::GroupsSearch) {
            self.kind = ResourceType::Group;
        }
    }

    /// Reads the id of a path. What is no id names nothing (V-07).
    pub fn names(&mut self, kind: ResourceType, text: &str) -> Result<ScimId, Refusal> {
        let id = ScimId::parse(text).ok_or(Code::NotFound)?;
        self.is_about(kind, id);
        Ok(id)
    }

    /// The resource that the call is about, or has made.
    pub fn is_about(&mut self, kind: ResourceType, id: ScimId) {
        self.named = Some((kind, id));
    }

    pub fn token(&self) -> Option<crate::domain::ScimTokenId> {
        self.token.as_ref().map(|active| active.token.id)
    }

    fn is_reading(&self) -> bool {
        self.is_search || matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Scim {
    /// Tells metrics and the audit log. What cannot be told there because the store is down stands in the access log.
    pub(super) async fn tell(
        &self,
        record: Record,
        outcome: Result<&Answer, &Refusal>,
        request_id: &str,
        now: Timestamp,
    ) {
        let status = outcome.map_or_else(|refusal| refusal.error.status, |answer| answer.status.as_u16());
        let Some(active) = &record.token else {
            return self.metrics.scim_request("-", record.endpoint, status);
        };
        self.metrics.scim_request(active.enterprise.as_str(), record.endpoint, status);
        let Some(tenant) = self.tenants.get(&active.enterprise) else { return };
        let is_told = match outcome {
            Ok(_) => !record.is_reading(),
            // Who asks too fast shall not fill the log with that; a store that is down takes nothing.
            Err(refusal) => {
                refusal.error.code != Code::TooManyRequests.as_str() && !refusal.is_fault_of_ours()
            }
        };
        if !is_told {
            return;
        }
        let id = |kind| record.named.filter(|(named, _)| *named == kind).map(|(_, id)| id.to_string());
        let (user, group) = (id(ResourceType::User), id(ResourceType::Group));
        let token = active.token.id.to_string();
        let event = AuditEvent {
            request_id: Some(request_id),
            credential_id: Some(&token),
            reason: outcome.err().map(|refusal| refusal.error.code),
            scim_user_id: user.as_deref(),
            scim_group_id: group.as_deref(),
            scim: Some(ScimRequest {
                method: record.method.as_str(),
                route: record.endpoint,
                path: &record.path,
                status,
                message: outcome.err().map(|refusal| refusal.error.detail.as_str()),
            }),
            ..AuditEvent::new(
                now,
                action(&record, outcome.is_ok()),
                Trigger::Scim,
                active.enterprise.as_str(),
            )
        };
        if let Err(error) = self.directory.tell(&tenant.enterprise, &event, now).await {
            tracing::warn!(request_id, %error, "a SCIM call could not be told to the audit log");
        }
    }
}

fn action(record: &Record, is_success: bool) -> AuditAction {
    match (record.kind, is_success) {
        (ResourceType::User, true) => AuditAction::ScimUserCall,
        (ResourceType::User, false) => AuditAction::ScimUserCallFailed,
        (ResourceType::Group, true) => AuditAction::ScimGroupCall,
        (ResourceType::Group, false) => AuditAction::ScimGroupCallFailed,
    }
}
