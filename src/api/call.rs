//! What a handler gets: a caller whose right to the route was checked, and the request's parts.
use std::{future::Future, pin::Pin};

use bytes::Bytes;
use http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    caller::Caller,
    problem::{Code, Problem},
    query::Query,
    table::Route,
};
use crate::{
    directory::{Actor, Cause, Directory, Enterprise},
    domain::{OrganizationSlug, PersonId, Timestamp},
    telemetry::Trigger,
};

pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send + 'a>>;

/// A call that passed the rule of its route.
pub struct Call<'a> {
    pub directory: &'a Directory,
    pub route: &'static Route,
    pub tenant: &'a Enterprise,
    pub caller: &'a Caller,
    /// What the braces of the route's path stand for, in their order.
    pub path: &'a [(&'static str, String)],
    pub query: &'a Query,
    pub body: &'a Bytes,
    /// What the route's `{org}` stands for: an organization that the caller may see.
    pub organization: Option<&'a OrganizationSlug>,
    pub request_id: &'a str,
    pub now: Timestamp,
}

/// What a handler answers.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Vec<u8>>,
    /// Where the next page of a list begins.
    pub next: Option<String>,
}

impl Answer {
    pub fn ok(body: &impl Serialize) -> Self {
        Self::of(StatusCode::OK, body)
    }

    pub fn created(body: &impl Serialize) -> Self {
        Self::of(StatusCode::CREATED, body)
    }

    /// A page of a list. `next` is what the next page comes after.
    pub fn page(items: &[impl Serialize], next: Option<String>) -> Self {
        Self { next, ..Self::ok(&items) }
    }

    pub fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, next: None }
    }

    fn of(status: StatusCode, body: &impl Serialize) -> Self {
        // Texts, numbers, lists and structs of them: serde_json has nothing to refuse.
        Self { status, body: Some(serde_json::to_vec(body).unwrap_or_default()), next: None }
    }
}

impl<'a> Call<'a> {
    /// The organization of the path.
    pub fn organization(&self) -> Result<&'a OrganizationSlug, Problem> {
        self.organization.ok_or_else(|| Code::NotFound.into())
    }

    /// An id in the path, by the name in the braces. What is no id names nothing (V-07).
    pub fn id<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
        let found = self.path.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, text)| parse(text)).ok_or_else(|| Code::NotFound.into())
    }

    pub fn person(&self) -> Result<PersonId, Problem> {
        self.id("person", PersonId::parse)
    }

    /// The body. RFC 8259 leaves names that stand twice, and names that nobody knows, to the reader: both are refused, by
    /// types that are read strictly.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // serde would read a list as the fields of a struct in their order.
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::told(Code::JsonInvalid, "The body must be a JSON object."));
        }
        serde_json::from_slice(self.body).map_err(|error| {
            // serde's words name fields and lines of what the caller sent, and nothing else.
            Problem::told(
                Code::JsonInvalid,
                format!("The body is not the JSON that this operation takes: {error}."),
            )
        })
    }

    /// How the audit log tells of what the call does.
    pub fn cause(&self, person: PersonId) -> Cause<'a> {
        let trigger = if person == self.caller.person { Trigger::Person } else { Trigger::Owner };
        Cause::by(trigger, Some((self.caller.person, &self.caller.user)), self.request_id)
    }

    /// The caller, as the directory knows who acts.
    pub fn actor(&self) -> Actor<'a> {
        Actor::person(self.caller.person, &self.caller.user, self.request_id)
    }
}
