//! Several calls in one body (RFC 7644 3.7). Each stands for itself: what was done stays done, whatever becomes of the others.
use std::collections::HashMap;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    answer::Answer,
    call::Call,
    refusal::{Code, Refusal},
};
use crate::{
    domain::ScimId,
    scim::{
        Bulk, BulkAnswer, BulkCall, BulkMethod, BulkOperation, BulkResponse, Draft, Patch, ResourceType,
        Version,
    },
};

/// What an operation made or changed; nothing where it deleted.
type Done = Option<(ScimId, Version)>;

/// What a path of a URL may not hold as it is, and a little more.
const UNSAFE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

impl Call<'_> {
    pub(super) async fn bulk(&self) -> Result<Answer, Refusal> {
        let bulk = Bulk::parse(&self.body)?;
        let order = bulk.order()?;
        // One request has been counted.
        let more = bulk.operations.len().saturating_sub(1);
        self.scim.rates.charge(self.token.token.id, more, self.settings.requests_per_second_max);
        let mut made = HashMap::new();
        let mut answers = vec![];
        let mut failures = 0;
        for at in order {
            if bulk.fail_on_errors.is_some_and(|most| failures >= most) {
                break;
            }
            let Some(operation) = bulk.operations.get(at) else { continue };
            let outcome = match &operation.call {
                Ok(call) => self.carry_out(call.clone(), &made).await,
                Err(error) => Err(error.clone().into()),
            };
            failures += usize::from(outcome.is_err());
            let location = self.operation_location(operation, &outcome, &made);
            if let (true, Ok(Some((id, _))), Some(bulk_id)) =
                (operation.is_post(), &outcome, &operation.bulk_id)
            {
                made.insert(bulk_id.clone(), *id);
            }
            answers.push((at, operation_answer(operation, outcome, location)));
        }
        answers.sort_by_key(|(at, _)| *at);
        let response = BulkResponse(answers.into_iter().map(|(_, answer)| answer).collect());
        Ok(Answer::json(StatusCode::OK, response.json()))
    }

    async fn carry_out(&self, call: BulkCall, made: &HashMap<String, ScimId>) -> Result<Done, Refusal> {
        let call = call.resolve(made)?;
        let operation = self.operation(call.version.as_deref());
        let kind = call.target.kind;
        if kind == ResourceType::Group && !self.base.has_groups() {
            return Err(Code::NotFound.into());
        }
        let id = || call.target.id.as_deref().and_then(ScimId::parse).ok_or(Code::NotFound);
        Ok(match (call.method, kind) {
            (BulkMethod::Post, ResourceType::User) => {
                let view = operation.make_user(Draft::read(kind, &call.data)?).await?;
                Some((view.user.id, view.version))
            }
            (BulkMethod::Put, ResourceType::User) => {
                let view = operation.put_user(id()?, &Draft::read(kind, &call.data)?).await?;
                Some((view.user.id, view.version))
            }
            (BulkMethod::Patch, ResourceType::User) => {
                let view = operation.amend_user(id()?, &Patch::read(kind, call.data)?).await?;
                Some((view.user.id, view.version))
            }
            (BulkMethod::Delete, ResourceType::User) => {
                operation.delete_user(id()?).await?;
                None
            }
            (BulkMethod::Post, ResourceType::Group) => {
                let view = operation.make_group(Draft::read(kind, &call.data)?).await?;
                Some((view.group.id, view.version))
            }
            (BulkMethod::Put, ResourceType::Group) => {
                let view = operation.put_group(id()?, Draft::read(kind, &call.data)?).await?;
                Some((view.group.id, view.version))
            }
            (BulkMethod::Patch, ResourceType::Group) => {
                let view = operation.amend_group(id()?, &Patch::read(kind, call.data)?).await?;
                Some((view.group.id, view.version))
            }
            (BulkMethod::Delete, ResourceType::Group) => {
                operation.delete_group(id()?).await?;
                None
            }
        })
    }

    /// REQUIRED but where a POST failed (RFC 7644 3.7): also of what is gone, and of what never was.
    fn operation_location(
        &self,
        operation: &BulkOperation,
        outcome: &Result<Done, Refusal>,
        made: &HashMap<String, ScimId>,
    ) -> Option<String> {
        if operation.is_post() && outcome.is_err() {
            return None;
        }
        let target = operation.target(made);
        let kind = target.as_ref().map(|target| target.kind);
        let id = match outcome {
            Ok(Some((id, _))) => Some(*id),
            _ => target.and_then(|target| ScimId::parse(&target.id?)),
        };
        Some(match (kind, id) {
            (Some(kind), Some(id)) => self.location(kind, id),
            _ => format!("{}/{}", self.asked.base_url, escaped(&operation.path)),
        })
    }
}

/// A path as it can stand in a URL.
fn escaped(path: &str) -> String {
    utf8_percent_encode(path.trim_start_matches('/'), UNSAFE).to_string()
}

fn operation_answer(
    operation: &BulkOperation,
    outcome: Result<Done, Refusal>,
    location: Option<String>,
) -> BulkAnswer {
    let status = match &outcome {
        Err(refusal) => refusal.error.status,
        Ok(_) if operation.is_post() => 201,
        Ok(Some(_)) => 200,
        Ok(None) => 204,
    };
    let (version, error) = match outcome {
        Ok(done) => (done.map(|(_, version)| version.to_string()), None),
        Err(refusal) => (None, Some(refusal.error)),
    };
    let (method, bulk_id) = (operation.method.clone(), operation.bulk_id.clone());
    BulkAnswer { method, bulk_id, location, version, status, error }
}
