//! Users (RFC 7644 3.3 to 3.6): one at a time.
use http::StatusCode;

use super::{
    answer::Answer,
    call::Call,
    place::Base,
    record::Record,
    refusal::{Code, Refusal},
};
use crate::{
    directory::scim::{GroupLookup, ScimFault, ScimUserView},
    domain::ScimId,
    scim::{Document, Draft, Link, Patch, Reason, Resource, ResourceType, Server},
};

impl Call<'_> {
    /// RFC 7644 3.3
    pub(super) async fn create_user(&self, record: &mut Record) -> Result<Answer, Refusal> {
        let view = self.make_user(Draft::parse(ResourceType::User, &self.body)?).await?;
        record.is_about(ResourceType::User, view.user.id);
        Ok(self.user_answer(StatusCode::CREATED, &view))
    }

    pub(super) async fn make_user(&self, draft: Draft) -> Result<ScimUserView, Refusal> {
        let groups = self.groups_of_new(&draft).await?;
        Ok(self.scim.directory.create_scim_user(&self.directed(), draft.create(), &groups).await?)
    }

    /// RFC 7644 3.4.1
    pub(super) async fn show_user(&self, id: ScimId) -> Result<Answer, Refusal> {
        let view = self.scim.directory.scim_user(&self.directed(), id).await?;
        Ok(match self.has(&view.version) {
            true => Answer::not_modified(&view.version),
            false => self.user_answer(StatusCode::OK, &view),
        })
    }

    /// RFC 7644 3.5.1: a PUT makes nothing. The groups of a user are read-only; what is said of them is not heard.
    pub(super) async fn replace_user(&self, id: ScimId) -> Result<Answer, Refusal> {
        let draft = Draft::parse(ResourceType::User, &self.body)?;
        Ok(self.user_answer(StatusCode::OK, &self.put_user(id, &draft).await?))
    }

    pub(super) async fn put_user(&self, id: ScimId, draft: &Draft) -> Result<ScimUserView, Refusal> {
        let change = |current: &Resource| Ok::<_, Refusal>(draft.clone().replace(current));
        self.scim.directory.change_scim_user(&self.directed(), id, change).await
    }

    /// RFC 7644 3.5.2: always with the resource, so that what became of the request can be seen.
    pub(super) async fn patch_user(&self, id: ScimId) -> Result<Answer, Refusal> {
        let patch = Patch::parse(ResourceType::User, &self.body)?;
        Ok(self.user_answer(StatusCode::OK, &self.amend_user(id, &patch).await?))
    }

    pub(super) async fn amend_user(&self, id: ScimId, patch: &Patch) -> Result<ScimUserView, Refusal> {
        let change = |current: &Resource| Ok::<_, Refusal>(patch.apply(current, id)?.resource);
        self.scim.directory.change_scim_user(&self.directed(), id, change).await
    }

    /// RFC 7644 3.6
    pub(super) async fn delete_user(&self, id: ScimId) -> Result<Answer, Refusal> {
        self.scim.directory.delete_scim_user(&self.directed(), id).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    /// As clients see it.
    pub(super) fn user_document(&self, view: &ScimUserView) -> Document {
        let links: Vec<Link<'_>> = match self.base {
            Base::Enterprise(_) => {
                view.groups.iter().map(|(id, name)| Link { id: *id, display: Some(name) }).collect()
            }
            // Groups are not served there; the one that everybody is in is the organization itself.
            Base::Organization(_) => vec![],
        };
        let server = Server {
            base: &self.asked.base_url,
            id: view.user.id,
            created: view.user.created_at,
            last_modified: view.user.modified_at,
            version: &view.version,
            links: &links,
        };
        view.resource.document(&server)
    }

    fn user_answer(&self, status: StatusCode, view: &ScimUserView) -> Answer {
        let document = self.projection.apply(self.user_document(view));
        let location = self.location(ResourceType::User, view.user.id);
        Answer::json(status, document.to_json()).resource(&view.version, location)
    }

    /// The groups that a new user is put into: those that the client names (section 4.4), and at an organization's base the
    /// organization itself.
    async fn groups_of_new(&self, draft: &Draft) -> Result<Vec<ScimId>, Refusal> {
        if let Base::Organization(slug) = self.base {
            return Ok(vec![self.everybody(slug.as_str()).await?]);
        }
        let unknown = || Reason::ValueType.error("groups names a group by something else than its id.");
        let named = draft.groups.iter().flatten();
        named.map(|text| ScimId::parse(text).ok_or_else(|| unknown().into())).collect()
    }

    /// The group of everybody who is provisioned at an organization's base: one that corresponds to the organization, made with
    /// the first of them.
    async fn everybody(&self, organization: &str) -> Result<ScimId, Refusal> {
        let (directory, call) = (&self.scim.directory, self.directed());
        // Another gateway may make it at the same time: then it is there.
        for _ in 0..2 {
            let found = directory.find_scim_groups(&call, GroupLookup::DisplayName(organization)).await?;
            if let Some(view) = found.into_iter().next() {
                return Ok(view.group.id);
            }
            let group = format!("{{\"displayName\":\"{organization}\"}}");
            let group = Draft::parse(ResourceType::Group, group.as_bytes())?.create();
            match directory.create_scim_group(&call.untold(), group, vec![]).await {
                Ok(view) => return Ok(view.group.id),
                Err(ScimFault::GroupNameTaken) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Refusal::inside(Code::Unavailable, "the organization's group comes and goes").again_after(1))
    }
}
