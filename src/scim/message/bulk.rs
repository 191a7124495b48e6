//! Bulk requests (RFC 7644 3.7): several calls in one body, which may refer to what others of them make.
mod references;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use self::references::reference;
use crate::{
    domain::ScimId,
    scim::{
        Node, ResourceType,
        error::{Reason, ScimError, quoted},
        limits::{BULK_BODY_BYTES_MAX, BULK_OPERATIONS_MAX},
    },
};

const RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// A Bulk request.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// After so many failures, what was not begun is not begun.
    pub fail_on_errors: Option<usize>,
    /// In the order in which they were written.
    pub operations: Vec<BulkOperation>,
}

/// One operation, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkOperation {
    /// In capitals, if there is such a method.
    pub method: String,
    pub path: String,
    /// How other operations refer to what this POST makes.
    pub bulk_id: Option<String>,
    /// What is wrong with it is the operation's own failure: the others are carried out (RFC 7644 3.7).
    pub call: Result<BulkCall, ScimError>,
}

/// What an operation asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkCall {
    pub method: BulkMethod,
    pub target: BulkTarget,
    /// What would stand in `If-Match`.
    pub version: Option<String>,
    /// The body; null where there is none.
    pub data: Node,
    /// The bulkIds that it refers to.
    references: Vec<String>,
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
        let mut operations =
            items.into_iter().map(BulkOperation::read).collect::<Result<Vec<_>, ScimError>>()?;
        refuse_repeated(&mut operations);
        Ok(Self { fail_on_errors, operations })
    }

    /// The order in which the calls can be made: as they were written, but that what others refer to comes before them.
    ///
    /// A circle is refused with 409, which the RFC allows (3.7.1): a user or a group of ours never needs one.
    /// What nothing makes is waited for by nobody: the operation fails by itself.
    pub fn order(&self) -> Result<Vec<usize>, ScimError> {
        let makers: HashMap<&str, usize> = self
            .operations
            .iter()
            .enumerate()
            .filter(|(_, operation)| operation.is_post() && operation.call.is_ok())
            .filter_map(|(index, operation)| Some((operation.bulk_id.as_deref()?, index)))
            .collect();
        let needs = |operation: &BulkOperation| {
            let references = operation.call.iter().flat_map(|call| &call.references);
            references.filter_map(|bulk_id| makers.get(bulk_id.as_str()).copied()).collect()
        };
        sorted(&self.operations.iter().map(needs).collect::<Vec<_>>())
    }
}

/// Nobody knows which of them a reference means, so none of them is made.
fn refuse_repeated(operations: &mut [BulkOperation]) {
    let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
    let posts = operations.iter().filter(|operation| operation.is_post());
    for bulk_id in posts.filter_map(|operation| operation.bulk_id.clone()) {
        if !seen.insert(bulk_id.clone()) {
            repeated.insert(bulk_id);
        }
    }
    for operation in operations {
        if let Some(bulk_id) = &operation.bulk_id
            && operation.is_post()
            && operation.call.is_ok()
            && repeated.contains(bulk_id)
        {
            let detail = format!("The bulkId {} stands twice.", quoted(bulk_id));
            operation.call = Err(Reason::BulkSyntax.error(detail));
        }
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

impl BulkOperation {
    /// What is no object is no operation, and then the request is none.
    fn read(item: Node) -> Result<Self, ScimError> {
        if !matches!(item, Node::Object(_)) {
            return Err(Reason::BulkSyntax.error("An operation of a Bulk request is an object."));
        }
        let text = |name: &str| item.get(name).and_then(Node::as_text).map(str::to_owned);
        let (written, path) = (text("method").unwrap_or_default(), text("path").unwrap_or_default());
        let method = BulkMethod::parse(&written).map_or(written, |method| method.as_str().to_owned());
        let bulk_id = text("bulkId").filter(|id| !id.is_empty());
        let call = BulkCall::read(&method, &path, bulk_id.as_deref(), item);
        Ok(Self { method, path, bulk_id, call })
    }

    /// Whether it would make something, and others may refer to that by its bulkId.
    pub fn is_post(&self) -> bool {
        self.method == BulkMethod::Post.as_str()
    }

    /// What its path names, with an id in the place of a reference. `None` where it names nothing.
    pub fn target(&self, made: &HashMap<String, ScimId>) -> Option<BulkTarget> {
        let target = BulkTarget::parse(&self.path)?;
        Some(target.clone().resolve(made).unwrap_or(target))
    }
}

impl BulkCall {
    fn read(method: &str, path: &str, bulk_id: Option<&str>, mut item: Node) -> Result<Self, ScimError> {
        let method = BulkMethod::parse(method).ok_or_else(|| {
            let detail = format!("method is one of POST, PUT, PATCH and DELETE, and not {}.", quoted(method));
            Reason::BulkSyntax.error(detail)
        })?;
        let target = BulkTarget::parse(path)
            .filter(|target| target.id.is_none() == (method == BulkMethod::Post))
            .ok_or_else(|| {
                Reason::BulkSyntax.error(format!("path {} is none for its method.", quoted(path)))
            })?;
        // RFC 7644 3.7: REQUIRED when method is POST.
        if method == BulkMethod::Post && bulk_id.is_none() {
            return Err(Reason::BulkSyntax.error("A POST in a Bulk request has a bulkId."));
        }
        let version = item.get("version").and_then(Node::as_text).map(str::to_owned);
        let mut data = item.take("data").unwrap_or(Node::Null);
        if method != BulkMethod::Delete && !matches!(data, Node::Object(_)) {
            return Err(Reason::BulkSyntax.error("data is the body of the call, which is an object."));
        }
        let mut references = Vec::new();
        references::each(target.kind, method, &mut data, &mut |bulk_id| {
            references.push(bulk_id.to_owned());
            Ok(None)
        })?;
        references.extend(target.id.as_deref().and_then(reference).map(str::to_owned));
        Ok(Self { method, target, version, data, references })
    }

    /// Puts ids in the place of references. Fails where the call that was to make one did not.
    pub fn resolve(mut self, made: &HashMap<String, ScimId>) -> Result<Self, ScimError> {
        self.target = self.target.resolve(made)?;
        references::each(self.target.kind, self.method, &mut self.data, &mut |bulk_id| {
            made.get(bulk_id).copied().map(Some).ok_or_else(|| unknown(bulk_id))
        })?;
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

    fn resolve(mut self, made: &HashMap<String, ScimId>) -> Result<Self, ScimError> {
        if let Some(bulk_id) = self.id.as_deref().and_then(reference) {
            self.id = Some(made.get(bulk_id).ok_or_else(|| unknown(bulk_id))?.to_string());
        }
        Ok(self)
    }
}

fn unknown(bulk_id: &str) -> ScimError {
    Reason::BulkReference
        .error(format!("No POST of the request made something with the bulkId {}.", quoted(bulk_id)))
}

impl BulkMethod {
    const ALL: &[Self] = &[Self::Post, Self::Put, Self::Patch, Self::Delete];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str().eq_ignore_ascii_case(text))
    }

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
    pub method: String,
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
