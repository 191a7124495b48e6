//! Groups (RFC 7644 3.3 to 3.6): one at a time, with members that are read and written apart from it.
use http::StatusCode;

use super::{
    answer::Answer,
    call::Call,
    record::Record,
    refusal::Refusal,
    stream::{Piece, Pieces},
};
use crate::{
    directory::scim::{MembersChange, ScimGroupView},
    domain::ScimId,
    scim::{self, Document, Draft, Link, Patch, Projection, Resource, ResourceType, Server},
};

impl Call<'_> {
    /// RFC 7644 3.3
    pub(super) async fn create_group(&self, record: &mut Record) -> Result<Answer, Refusal> {
        let view = self.make_group(Draft::parse(ResourceType::Group, &self.body)?).await?;
        record.is_about(ResourceType::Group, view.group.id);
        self.group_answer(StatusCode::CREATED, &view).await
    }

    pub(super) async fn make_group(&self, mut draft: Draft) -> Result<ScimGroupView, Refusal> {
        let members = draft.members.take().unwrap_or_default();
        Ok(self.scim.directory.create_scim_group(&self.directed(), draft.create(), members).await?)
    }

    /// RFC 7644 3.4.1. The version is known without the members, and so is that there is nothing new.
    pub(super) async fn show_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        let view = self.scim.directory.scim_group(&self.directed(), id).await?;
        match self.has(&view.version) {
            true => Ok(Answer::not_modified(&view.version)),
            false => self.group_answer(StatusCode::OK, &view).await,
        }
    }

    /// RFC 7644 3.5.1: a PUT makes nothing. Of members that it does not speak of nothing changes (D3).
    pub(super) async fn replace_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        let draft = Draft::parse(ResourceType::Group, &self.body)?;
        self.group_answer(StatusCode::OK, &self.put_group(id, draft).await?).await
    }

    pub(super) async fn put_group(&self, id: ScimId, mut draft: Draft) -> Result<ScimGroupView, Refusal> {
        let members = match draft.members.take() {
            Some(members) => {
                MembersChange { reset: true, add: members.into_iter().collect(), ..MembersChange::default() }
            }
            None => MembersChange::default(),
        };
        let change = |current: &Resource| Ok::<_, Refusal>((draft.clone().replace(current), members.clone()));
        self.scim.directory.change_scim_group(&self.directed(), id, change).await
    }

    /// RFC 7644 3.5.2: without the group, unless the client asks for a part of it. Entra ID expects so, and a group may be large.
    pub(super) async fn patch_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        let patch = Patch::parse(ResourceType::Group, &self.body)?;
        let view = self.amend_group(id, &patch).await?;
        if self.projection.is_said() {
            return self.group_answer(StatusCode::OK, &view).await;
        }
        let location = self.location(ResourceType::Group, id);
        Ok(Answer::empty(StatusCode::NO_CONTENT).resource(&view.version, location))
    }

    pub(super) async fn amend_group(&self, id: ScimId, patch: &Patch) -> Result<ScimGroupView, Refusal> {
        let named = patch.named_members(id);
        let change = |current: &Resource| {
            let patched = patch.apply(current, id)?;
            let scim::MembersChange { reset, add, remove } = patched.members;
            Ok::<_, Refusal>((patched.resource, MembersChange { reset, add, remove }))
        };
        self.scim.directory.change_scim_group_of(&self.directed(), id, &named, change).await
    }

    /// RFC 7644 3.6
    pub(super) async fn delete_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        self.scim.directory.delete_scim_group(&self.directed(), id).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    /// As clients see it, with these members.
    pub(super) fn group_document(&self, view: &ScimGroupView, members: &[ScimId]) -> Document {
        let links: Vec<Link<'_>> = members.iter().map(|id| Link { id: *id, display: None }).collect();
        let server = Server {
            base: &self.asked.base_url,
            id: view.group.id,
            created: view.group.created_at,
            last_modified: view.modified_at,
            version: &view.version,
            links: &links,
        };
        view.resource.document(&server)
    }

    async fn group_answer(&self, status: StatusCode, view: &ScimGroupView) -> Result<Answer, Refusal> {
        let body = Pieces::new(self.source(), self.group_pieces(&self.projection, view)).begin().await?;
        let location = self.location(ResourceType::Group, view.group.id);
        Ok(Answer::written(status, body).resource(&view.version, location))
    }

    /// A group as parts of a body, with as much of its members as is wanted: where none is, they are not even read.
    pub(super) fn group_pieces(&self, projection: &Projection, view: &ScimGroupView) -> Vec<Piece> {
        let document = projection.apply(self.group_document(view, &[]));
        if !projection.wants(ResourceType::Group, "members") {
            return vec![Piece::Bytes(document.to_json().into())];
        }
        vec![
            Piece::Bytes(document.open().into()),
            Piece::Members(view.group.id, projection.member_shape()),
            Piece::Bytes("}".into()),
        ]
    }
}
