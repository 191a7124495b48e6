//! Several calls in one body (RFC 7644 3.7). Each stands for itself: what was done stays done, whatever becomes of the others.
use std::collections::HashMap;

use http::StatusCode;

use super::{
    answer::Answer,
    call::Call,
    refusal::{Code, Refusal},
};
use crate::{
    domain::ScimId,
    scim::{Bulk, BulkAnswer, BulkCall, BulkMethod, BulkResponse, Draft, Patch, ResourceType, Version},
};

/// What an operation made or changed; nothing where it deleted.
type Done = Option<(ScimId, Version)>;

impl Call<'_> {
    pub(super) async fn bulk(&self) -> Result<Answer, Refusal> {
        let bulk = Bulk::parse(&self.body)?;
        let order = bulk.order()?;
        // One request has been counted.
        let more = bulk.calls.len().saturating_sub(1);
        self.scim.rates.charge(self.token.token.id, more, self.settings.requests_per_second_max);
        let mut made = HashMap::new();
        let mut answers = vec![];
        let mut failures = 0;
        for at in order {
            if bulk.fail_on_errors.is_some_and(|most| failures >= most) {
                break;
            }
            let Some(call) = bulk.calls.get(at) else { continue };
            let outcome = self.carry_out(call.clone(), &made).await;
            failures += usize::from(outcome.is_err());
            if let (Ok(Some((id, _))), Some(bulk_id)) = (&outcome, &call.bulk_id) {
                made.insert(bulk_id.clone(), *id);
            }
            answers.push((at, self.operation_answer(call, outcome)));
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

    fn operation_answer(&self, call: &BulkCall, outcome: Result<Done, Refusal>) -> BulkAnswer {
        let kind = call.target.kind;
        let named = call.target.id.as_deref().and_then(ScimId::parse);
        let id = match &outcome {
            Ok(Some((id, _))) => Some(*id),
            _ => named,
        };
        let status = match (&outcome, call.method) {
            (Err(refusal), _) => refusal.error.status,
            (Ok(_), BulkMethod::Post) => 201,
            (Ok(Some(_)), _) => 200,
            (Ok(None), _) => 204,
        };
        let (version, error) = match outcome {
            Ok(done) => (done.map(|(_, version)| version.to_string()), None),
            Err(refusal) => (None, Some(refusal.error)),
        };
        BulkAnswer {
            method: call.method,
            bulk_id: call.bulk_id.clone(),
            location: id.map(|id| self.location(kind, id)),
            version,
            status,
            error,
        }
    }
}
