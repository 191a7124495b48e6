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
    scim::MemberShape,
};

/// Members that are read and written at once.
pub const MEMBERS_PER_PIECE: usize = 1_000;
/// What is written before the answer begins: whatever is shorter has a length, and a store that is down has its status.
const FIRST_BYTES_MAX: usize = 256 * 1024;

/// What members are read by.
pub struct Source {
    /// The base's URL.
    pub base_url: String,
    pub directory: Arc<Directory>,
    pub tenant: Arc<Tenant>,
    pub request_id: String,
    pub now: Timestamp,
}

/// A part of a body.
pub enum Piece {
    Bytes(Bytes),
    /// A group's members: `,"members":[...]`, and nothing where there are none.
    Members(ScimId, MemberShape),
}

type Loading = Pin<Box<dyn Future<Output = Result<Vec<ScimId>, StoreError>> + Send>>;

/// A group whose members are being written.
struct Group {
    id: ScimId,
    shape: MemberShape,
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
                    Some(Piece::Members(id, shape)) => {
                        let loading = self.source.load(id, None);
                        self.group = Some(Group { id, shape, is_begun: false, loading });
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
            let is_last = ids.len() < MEMBERS_PER_PIECE;
            let bytes = members(&self.source.base_url, group.shape, &ids, group.is_begun, is_last);
            group.is_begun |= !ids.is_empty();
            match ids.last() {
                Some(last) if !is_last => group.loading = self.source.load(group.id, Some(*last)),
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

/// Some of a group's members: with the name and the bracket before the first, and the bracket behind the last.
fn members(base_url: &str, shape: MemberShape, ids: &[ScimId], is_begun: bool, is_last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() * 192);
    for (at, id) in ids.iter().enumerate() {
        let before: &[u8] = if at == 0 && !is_begun { b",\"members\":[" } else { b"," };
        out.extend_from_slice(before);
        out.extend_from_slice(shape.json(base_url, *id).as_bytes());
    }
    if is_last && (is_begun || !ids.is_empty()) {
        out.push(b']');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Projection;

    #[test]
    fn members_are_one_array_however_they_come() {
        let base = "https://a.example/scim/v2/enterprises/acme";
        let ids = [ScimId::from_bytes([1; 16]), ScimId::from_bytes([2; 16])];
        let shape = Projection::default().member_shape();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let first = text(members(base, shape, &ids, false, false));
        let last = text(members(base, shape, &ids[..1], true, true));
        let json: serde_json::Value = serde_json::from_str(&format!("{{\"id\":1{first}{last}}}")).unwrap();
        assert_eq!(json["members"].as_array().unwrap().len(), 3);
        assert_eq!(json["members"][1]["$ref"], format!("{base}/Users/{}", ids[1]));
        // What ends with a full page has an empty one behind it.
        assert_eq!(text(members(base, shape, &[], true, true)), "]");
        assert_eq!(text(members(base, shape, &[], false, true)), "");
    }
}
