//! Bulk requests (RFC 7644 3.7): several calls in one body, which may refer to what others of them make.
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::{
    domain::ScimId,
    scim::{
        Node, ResourceType,
        error::{Reason, ScimError, quoted},
        limits::{BULK_BODY_BYTES_MAX, BULK_OPERATIONS_MAX},
    },
};

const RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const REFERENCE: &str = "bulkId:";

/// A Bulk request.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// After so many failures, what was not begun is not begun.
    pub fail_on_errors: Option<usize>,
    /// In the order in which they were written.
    pub calls: Vec<BulkCall>,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkCall {
    pub method: BulkMethod,
    pub target: BulkTarget,
    /// How other calls refer to what this POST makes.
    pub bulk_id: Option<String>,
    /// What would stand in `If-Match`.
    pub version: Option<String>,
    /// The body; null where there is none.
    pub data: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkMethod {
    Post,
    Put,
    Patch,
    Delete,
}

/// `/Users`, `/Users/{id}` and the same of groups, below the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkTarget {
    pub kind: ResourceType,
    /// As it was written: an id, or a reference to what another call makes. [`BulkCall::resolve`] changes that.
    pub id: Option<String>,
}

impl Bulk {
    pub fn parse(body: &[u8]) -> Result<Self, ScimError> {
        let mut body = Node::parse_object(body, BULK_BODY_BYTES_MAX)?;
        let fail_on_errors = match body.get("failOnErrors") {
            None | Some(Node::Null) => None,
            Some(Node::Number(number)) => {
                match number.as_u64().and_then(|number| usize::try_from(number).ok()) {
                    Some(number) if number > 0 => Some(number),
                    _ => return Err(Reason::BulkSyntax.error("failOnErrors is a positive integer.")),
                }
            }
            Some(_) => return Err(Reason::BulkSyntax.error("failOnErrors is a positive integer.")),
        };
        let Some(Node::Array(items)) = body.take("Operations") else {
            return Err(Reason::OperationsMissing.bare());
        };
        if items.is_empty() {
            return Err(Reason::OperationsMissing.bare());
        }
        // RFC 7644 3.7.4: the limit is named.
        if items.len() > BULK_OPERATIONS_MAX {
            let detail =
                format!("A Bulk request has {BULK_OPERATIONS_MAX} operations at most (maxOperations).");
            return Err(Reason::OperationsTooMany.error(detail));
        }
        let calls = items.into_iter().map(BulkCall::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { fail_on_errors, calls })
    }

    /// The order in which the calls can be made: as they were written, but that what others refer to comes before them.
    ///
    /// A circle is refused with 409, which the RFC allows (3.7.1): a user or a group of ours never needs one.
    pub fn order(&self) -> Result<Vec<usize>, ScimError> {
        let mut makers = HashMap::new();
        for (index, call) in self.calls.iter().enumerate() {
            if let (BulkMethod::Post, Some(bulk_id)) = (call.method, &call.bulk_id)
                && makers.insert(bulk_id.as_str(), index).is_some()
            {
                return Err(Reason::BulkSyntax.error(format!("The bulkId {} stands twice.", quoted(bulk_id))));
            }
        }
        let needs = self.calls.iter().map(|call| call.needs(&makers)).collect::<Result<Vec<_>, _>>()?;
        sorted(&needs)
    }
}

/// Whatever is needed comes first; else by number. An explicit stack: the depth is the client's.
fn sorted(needs: &[Vec<usize>]) -> Result<Vec<usize>, ScimError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; needs.len()];
    let mut order = Vec::with_capacity(needs.len());
    let mut stack: Vec<usize> = (0..needs.len()).rev().collect();
    while let Some(&call) = stack.last() {
        let (Some(mark), Some(needed)) = (marks.get_mut(call), needs.get(call)) else { break };
        match mark {
            Mark::New => {
                *mark = Mark::Open;
                for need in needed.iter().rev() {
                    match marks.get(*need) {
                        Some(Mark::New) => stack.push(*need),
                        Some(Mark::Open) => return Err(Reason::BulkCircular.bare()),
                        _ => {}
                    }
                }
            }
            Mark::Open => {
                *mark = Mark::Done;
                order.push(call);
                stack.pop();
            }
            Mark::Done => {
                stack.pop();
            }
        }
    }
    Ok(order)
}

impl BulkCall {
    fn read(mut item: Node) -> Result<Self, ScimError> {
        let text = |name: &str| item.get(name).and_then(Node::as_text).map(str::to_owned);
        let method = text("method").unwrap_or_default();
        let methods = [
            ("POST", BulkMethod::Post),
            ("PUT", BulkMethod::Put),
            ("PATCH", BulkMethod::Patch),
            ("DELETE", BulkMethod::Delete),
        ];
        let found = methods.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&method));
        let (_, method) = found.ok_or_else(|| {
            let detail =
                format!("method is one of POST, PUT, PATCH and DELETE, and not {}.", quoted(&method));
            Reason::BulkSyntax.error(detail)
        })?;
        let path = text("path").unwrap_or_default();
        let target = BulkTarget::parse(&path)
            .filter(|target| target.id.is_none() == (method == BulkMethod::Post))
            .ok_or_else(|| {
                Reason::BulkSyntax.error(format!("path {} is none for its method.", quoted(&path)))
            })?;
        let bulk_id = text("bulkId").filter(|id| !id.is_empty());
        // RFC 7644 3.7: REQUIRED when method is POST.
        if method == BulkMethod::Post && bulk_id.is_none() {
            return Err(Reason::BulkSyntax.error("A POST in a Bulk request has a bulkId."));
        }
        let version = text("version");
        let data = item.take("data").unwrap_or(Node::Null);
        if method != BulkMethod::Delete && !matches!(data, Node::Object(_)) {
            return Err(Reason::BulkSyntax.error("data is the body of the call, which is an object."));
        }
        Ok(Self { method, target, bulk_id, version, data })
    }

    /// The calls whose resources this one refers to.
    fn needs(&self, makers: &HashMap<&str, usize>) -> Result<Vec<usize>, ScimError> {
        let mut references = Vec::new();
        collect(&self.data, &mut references);
        references.extend(self.target.id.as_deref().and_then(reference));
        references
            .into_iter()
            .map(|bulk_id| makers.get(bulk_id).copied().ok_or_else(|| unknown(bulk_id)))
            .collect()
    }

    /// Puts ids in the place of references. Fails where the call that was to make one did not.
    pub fn resolve(mut self, made: &HashMap<String, ScimId>) -> Result<Self, ScimError> {
        if let Some(bulk_id) = self.target.id.as_deref().and_then(reference) {
            let id = made.get(bulk_id).ok_or_else(|| unknown(bulk_id))?;
            self.target.id = Some(id.to_string());
        }
        substitute(&mut self.data, made)?;
        Ok(self)
    }
}

impl BulkTarget {
    fn parse(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let kind = ResourceType::from_endpoint(segments.next()?)?;
        let id = segments.next().map(str::to_owned);
        let is_whole = segments.next().is_none() && id.as_deref() != Some("");
        is_whole.then_some(Self { kind, id })
    }
}

fn reference(text: &str) -> Option<&str> {
    text.strip_prefix(REFERENCE)
}

fn unknown(bulk_id: &str) -> ScimError {
    Reason::BulkReference
        .error(format!("No POST of the request made something with the bulkId {}.", quoted(bulk_id)))
}

/// As deep as bodies are, which is bounded.
fn collect<'n>(node: &'n Node, references: &mut Vec<&'n str>) {
    match node {
        Node::Text(text) => references.extend(reference(text)),
        Node::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Node::Object(entries) => entries.iter().for_each(|(_, node)| collect(node, references)),
        Node::Null | Node::Bool(_) | Node::Number(_) => {}
    }
}

fn substitute(node: &mut Node, made: &HashMap<String, ScimId>) -> Result<(), ScimError> {
    match node {
        Node::Text(text) => {
            if let Some(bulk_id) = reference(text) {
                let id = made.get(bulk_id).ok_or_else(|| unknown(bulk_id))?;
                *text = id.to_string().into();
            }
            Ok(())
        }
        Node::Array(items) => items.iter_mut().try_for_each(|item| substitute(item, made)),
        Node::Object(entries) => entries.iter_mut().try_for_each(|(_, node)| substitute(node, made)),
        Node::Null | Node::Bool(_) | Node::Number(_) => Ok(()),
    }
}

impl BulkMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What became of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkAnswer {
    pub method: BulkMethod,
    pub bulk_id: Option<String>,
    /// Not there where a POST failed.
    pub location: Option<String>,
    /// The entity tag.
    pub version: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The error's body; successes are told without.
    pub error: Option<ScimError>,
}

/// The answer to a Bulk request, which is 200 whatever became of the calls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BulkResponse(pub Vec<BulkAnswer>);

impl BulkResponse {
    pub fn json(&self) -> String {
        let operations: Vec<Value> = self.0.iter().map(BulkAnswer::value).collect();
        json!({ "schemas": [RESPONSE_SCHEMA], "Operations": operations }).to_string()
    }
}

impl BulkAnswer {
    fn value(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("method".to_owned(), self.method.as_str().into());
        let texts = [("bulkId", &self.bulk_id), ("location", &self.location), ("version", &self.version)];
        for (name, text) in texts {
            shown.extend(text.as_ref().map(|text| (name.to_owned(), text.as_str().into())));
        }
        shown.insert("status".to_owned(), self.status.to_string().into());
        let response = self.error.as_ref().and_then(|error| serde_json::from_str(&error.body()).ok());
        shown.extend(response.map(|body: Value| ("response".to_owned(), body)));
        Value::Object(shown)
    }
}

#[cfg(test)]
mod tests;
