//! Groups (RFC 7644 3.3 to 3.6): one at a time, with members that are read and written apart from it.
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    answer::Answer,
    call::{Call, resource},
    record::Record,
    refusal::{Code, Refusal},
    stream::{MemberForm, Piece, Pieces, Source},
};
use crate::{
    directory::scim::{GroupChange, GroupContent, MembersChange, ScimGroupView},
    domain::{ScimGroup, ScimId},
    scim::{self, Document, Draft, Link, Patch, Projected, Resource, ResourceType, Server, Version},
};

impl Call<'_> {
    /// RFC 7644 3.3
    pub(super) async fn create_group(&self, record: &mut Record) -> Result<Answer, Refusal> {
        let draft = Draft::parse(ResourceType::Group, &self.body)?;
        let view = self.make_group(draft).await?;
        record.is_about(ResourceType::Group, view.group.id);
        self.group_answer(StatusCode::CREATED, &view).await
    }

    pub(super) async fn make_group(&self, mut draft: Draft) -> Result<ScimGroupView, Refusal> {
        let members = draft.members.take().unwrap_or_default();
        let content = content(&draft.create());
        Ok(self.scim.directory.create_scim_group(&self.directed(), content, members).await?)
    }

    /// RFC 7644 3.4.1. The version is known without the members, and so is that there is nothing new.
    pub(super) async fn show_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        let view = self.scim.directory.scim_group(&self.directed(), id).await?;
        let version = Version::of(&view.version);
        if self.has(&version) {
            return Ok(Answer::not_modified(&version));
        }
        self.group_answer(StatusCode::OK, &view).await
    }

    /// RFC 7644 3.5.1: a PUT makes nothing. Of members it does not speak of nothing changes (D3).
    pub(super) async fn replace_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        let draft = Draft::parse(ResourceType::Group, &self.body)?;
        let view = self.put_group(id, &draft).await?;
        self.group_answer(StatusCode::OK, &view).await
    }

    pub(super) async fn put_group(&self, id: ScimId, draft: &Draft) -> Result<ScimGroupView, Refusal> {
        let change = |group: &ScimGroup| {
            let members = draft.members.clone().map_or(MembersChange::None, MembersChange::Replace);
            Ok::<_, Refusal>(GroupChange { content: content(&draft.clone().replace(&of(group)?)), members })
        };
        self.scim.directory.change_scim_group(&self.directed(), id, change).await
    }

    /// RFC 7644 3.5.2: without the group, unless the client asks for a part of it. Entra ID expects so, and a group may be large.
    pub(super) async fn patch_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        let patch = Patch::parse(ResourceType::Group, &self.body)?;
        let view = self.amend_group(id, &patch).await?;
        if self.query.has_projection() {
            return self.group_answer(StatusCode::OK, &view).await;
        }
        let location = self.location(ResourceType::Group, id);
        Ok(Answer::empty(StatusCode::NO_CONTENT).resource(&Version::of(&view.version), location))
    }

    pub(super) async fn amend_group(&self, id: ScimId, patch: &Patch) -> Result<ScimGroupView, Refusal> {
        let change = |group: &ScimGroup| {
            let patched = patch.apply(&of(group)?, id)?;
            Ok::<_, Refusal>(GroupChange {
                content: content(&patched.resource),
                members: members(patched.members),
            })
        };
        self.scim.directory.change_scim_group(&self.directed(), id, change).await
    }

    /// RFC 7644 3.6
    pub(super) async fn delete_group(&self, id: ScimId) -> Result<Answer, Refusal> {
        self.scim.directory.delete_scim_group(&self.directed(), id).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    /// As clients see it, but for members other than these.
    pub(super) fn group_document(
        &self,
        view: &ScimGroupView,
        members: &[ScimId],
    ) -> Result<Document, Refusal> {
        let links: Vec<Link<'_>> = members.iter().map(|id| Link { id: *id, display: None }).collect();
        let server = Server {
            base: &self.asked.base_url,
            id: view.group.id,
            created: view.group.created_at,
            last_modified: view.modified_at,
            version: &Version::of(&view.version),
            links: &links,
        };
        Ok(Document::new(&of(&view.group)?, &server))
    }
}
