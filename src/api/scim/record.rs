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
    directory::scim::{ScimCallEvent, ScimCallFailure},
    domain::{ActiveScimToken, ScimId, ScimTokenId, Timestamp},
    scim::ResourceType,
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
    /// Whether the commit that carried it out told of it.
    is_told: bool,
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
            is_told: false,
        }
    }

    pub fn is_by(&mut self, token: &Arc<ActiveScimToken>) {
        self.token = Some(token.clone());
    }

    pub fn is_at(&mut self, endpoint: Endpoint<'_>) {
        self.endpoint = endpoint.name();
        self.is_search = endpoint.is_search();
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

    /// What is told of it.
    pub fn event(&self, token: ScimTokenId, status: u16) -> ScimCallEvent {
        ScimCallEvent::new(token, (self.method.as_str(), self.endpoint, &self.path), status, self.kind)
    }

    /// Whether this was told by a commit.
    pub fn is_told(&mut self, event: Option<&ScimCallEvent>) {
        self.is_told = event.is_some_and(ScimCallEvent::is_told);
    }

    pub fn token(&self) -> Option<ScimTokenId> {
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
        let is_due = match outcome {
            Ok(_) => !record.is_reading() && !record.is_told,
            // Who asks too fast shall not fill the log with that; a store that is down takes nothing.
            Err(refusal) => {
                refusal.error.code != Code::TooManyRequests.as_str() && !refusal.is_fault_of_ours()
            }
        };
        if !is_due {
            return;
        }
        let event = record.event(active.token.id, status);
        let resource = record.named.filter(|(kind, _)| *kind == record.kind).map(|(_, id)| id);
        let failure = outcome.err().map(|refusal| ScimCallFailure {
            code: refusal.error.code,
            message: refusal.error.detail.as_str(),
        });
        let (directory, about) = (&self.directory, (resource, failure));
        if let Err(error) = directory.tell_scim_call(&tenant.enterprise, request_id, &event, about, now).await
        {
            tracing::warn!(request_id, %error, "a SCIM call could not be told to the audit log");
        }
    }
}
