//! Bodies with members of groups in them: written page by page while they are sent, so that a group of any size takes no more
//! memory than a page of it.
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Frame;

use super::{Tenant, answer::Body};
use crate::{
    directory::{Directory, StoreError},
    domain::{ScimId, Timestamp},
};

/// Members that are read and written at once.
pub const MEMBERS_PER_PIECE: usize = 1_000;
/// What is written before the answer begins: whatever is shorter has a length, and a store that is down has its status.
const FIRST_BYTES_MAX: usize = 256 * 1024;

/// What members are read by.
pub struct Source {
    pub directory: Arc<Directory>,
    pub tenant: Arc<Tenant>,
    pub request_id: String,
    pub now: Timestamp,
}

/// Which parts of a member are shown.
#[derive(Debug, Clone)]
pub struct MemberForm {
    pub value: bool,
    pub kind: bool,
    /// The URL that ids are appended to, if references are shown.
    pub reference: Option<String>,
}

/// A part of a body.
pub enum Piece {
    Bytes(Bytes),
    /// A group's members, as the values of an array without its brackets.
    Members(ScimId, MemberForm),
}

type Loading = Pin<Box<dyn Future<Output = Result<Vec<ScimId>, StoreError>> + Send>>;

/// A group whose members are being written.
struct Group {
    id: ScimId,
    form: MemberForm,
    is_begun: bool,
    loading: Loading,
}

/// A body, as far as it is not yet sent.
pub struct Pieces {
    source: Arc<Source>,
    written: Option<Bytes>,
    group: Option<Group>,
    rest: VecDeque<Piece>,
}

impl Pieces {
    pub fn new(source: Source, pieces: Vec<Piece>) -> Self {
        Self { source: Arc::new(source), written: None, group: None, rest: pieces.into() }
    }

    /// Writes the beginning, or all of it if it is short.
    pub async fn begin(mut self) -> Result<Body, StoreError> {
        let mut written = vec![];
        while written.len() < FIRST_BYTES_MAX {
            match poll_fn(|cx| self.poll_piece(cx)).await {
                Some(piece) => written.extend_from_slice(&piece?),
                None => return Ok(Body::Json(written)),
            }
        }
        self.written = Some(written.into());
        Ok(Body::Pieces(Box::new(self)))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        if let Some(written) = self.written.take() {
            return Poll::Ready(Some(Ok(written)));
        }
        loop {
            let Some(group) = &mut self.group else {
                match self.rest.pop_front() {
                    None => return Poll::Ready(None),
                    Some(Piece::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                    Some(Piece::Members(id, form)) => {
                        let loading = self.source.load(id, None);
                        self.group = Some(Group { id, form, is_begun: false, loading });
                    }
                }
                continue;
            };
            let ids = match ready!(group.loading.as_mut().poll(cx)) {
                Ok(ids) => ids,
                Err(error) => {
                    self.rest.clear();
                    self.group = None;
                    return Poll::Ready(Some(Err(error)));
                }
            };
            let bytes = group.form.write(&ids, std::mem::replace(&mut group.is_begun, true));
            match ids.last() {
                Some(last) if ids.len() >= MEMBERS_PER_PIECE => {
                    group.loading = self.source.load(group.id, Some(*last));
                }
                _ => self.group = None,
            }
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(bytes.into())));
            }
        }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.poll_piece(cx).map(|piece| piece.map(|bytes| bytes.map(Frame::data)))
    }
}

impl Source {
    fn load(self: &Arc<Self>, id: ScimId, after: Option<ScimId>) -> Loading {
        let source = self.clone();
        Box::pin(async move {
            let Some(call) = source.tenant.call(&source.request_id, source.now) else { return Ok(vec![]) };
            source.directory.scim_group_members(&call, id, after, MEMBERS_PER_PIECE).await
        })
    }
}

impl MemberForm {
    /// The members as values of an array, led by a comma unless they are its first. Ids are hexadecimal digits and hyphens, and
    /// our URLs have nothing that JSON escapes.
    fn write(&self, ids: &[ScimId], is_begun: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(ids.len() * 192);
        for (at, id) in ids.iter().enumerate() {
            if at > 0 || is_begun {
                out.push(b',');
            }
            let value = self.value.then(|| format!("\"value\":\"{id}\""));
            let reference = self.reference.as_ref().map(|users| format!("\"$ref\":\"{users}{id}\""));
            let kind = self.kind.then(|| "\"type\":\"User\"".to_owned());
            let parts: Vec<String> = [value, reference, kind].into_iter().flatten().collect();
            out.push(b'{');
            out.extend_from_slice(parts.join(",").as_bytes());
            out.push(b'}');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_values_of_an_array() {
        let ids = [ScimId::from_bytes([1; 16]), ScimId::from_bytes([2; 16])];
        let all = MemberForm { value: true, kind: true, reference: Some("https://a.example/Users/".into()) };
        let (first, more) = (all.write(&ids, false), all.write(&ids[..1], true));
        let text = format!("[{}{}]", String::from_utf8(first).unwrap(), String::from_utf8(more).unwrap());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json.as_array().unwrap().len(), 3);
        assert_eq!(json[1]["$ref"], format!("https://a.example/Users/{}", ids[1]));
        assert_eq!((&json[2]["value"], &json[2]["type"]), (&ids[0].to_string().into(), &"User".into()));
        let values = MemberForm { value: true, kind: false, reference: None };
        assert_eq!(values.write(&ids[..1], false), format!("{{\"value\":\"{}\"}}", ids[0]).as_bytes());
        assert!(values.write(&[], true).is_empty());
    }
}
