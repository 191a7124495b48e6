//! A call whose right was checked, and the way to what answers it.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, header};

use super::{
    Asked, Scim, Settings, Tenant,
    answer::Answer,
    place::{Base, Endpoint},
    query::Query,
    record::Record,
    refusal::{Code, Refusal},
};
use crate::{
    directory::scim::{ScimCall, ScimFault},
    domain::{ActiveScimToken, ScimAttributes, ScimId},
    scim::{Etags, Resource, ResourceType, Version},
};

/// A call of a tenant at one of its bases.
pub struct Call<'a> {
    pub scim: &'a Scim,
    pub tenant: &'a std::sync::Arc<Tenant>,
    pub settings: &'a Settings,
    pub token: &'a ActiveScimToken,
    pub base: &'a Base,
    pub asked: Asked<'a>,
    pub query: Query,
    pub body: Bytes,
    /// `None`: whatever version there is.
    if_match: Option<Vec<String>>,
}

impl<'a> Call<'a> {
    pub fn new(
        scim: &'a Scim,
        tenant: &'a std::sync::Arc<Tenant>,
        settings: &'a Settings,
        (token, base): (&'a ActiveScimToken, &'a Base),
        asked: Asked<'a>,
        body: Bytes,
    ) -> Result<Self, Refusal> {
        let query = Query::read(asked.query)?;
        let if_match = match etags(asked.fields, &header::IF_MATCH) {
            None | Some(Etags::Any) => None,
            Some(Etags::List(list)) => Some(list),
        };
        Ok(Self { scim, tenant, settings, token, base, asked, query, body, if_match })
    }

    pub async fn answer(&self, endpoint: Endpoint<'_>, record: &mut Record) -> Result<Answer, Refusal> {
        match (endpoint, &self.asked.method) {
            // RFC 7644 3.11
            (Endpoint::Me, _) => Err(Code::Unsupported.into()),
            (Endpoint::Users, &Method::POST) => self.create_user(record).await,
            (Endpoint::Users, _) => self.list_users().await,
            (Endpoint::User(id), method) => {
                let id = record.names(ResourceType::User, id)?;
                match *method {
                    Method::PUT => self.replace_user(id).await,
                    Method::PATCH => self.patch_user(id).await,
                    Method::DELETE => self.delete_user(id).await,
                    _ => self.show_user(id).await,
                }
            }
            (Endpoint::Groups, &Method::POST) => self.create_group(record).await,
            (Endpoint::Groups, _) => self.list_groups().await,
            (Endpoint::Group(id), method) => {
                let id = record.names(ResourceType::Group, id)?;
                match *method {
                    Method::PUT => self.replace_group(id).await,
                    Method::PATCH => self.patch_group(id).await,
                    Method::DELETE => self.delete_group(id).await,
                    _ => self.show_group(id).await,
                }
            }
            (Endpoint::UsersSearch, _) => self.search_users().await,
            (Endpoint::GroupsSearch, _) => self.search_groups().await,
            (Endpoint::Root, _) => self.list_all().await,
            (Endpoint::RootSearch, _) => self.search_all().await,
            (Endpoint::Bulk, _) => self.bulk().await,
            _ => Err(Code::NotFound.into()),
        }
    }

    /// What the directory is told of this call.
    pub fn directed(&self) -> ScimCall<'_> {
        ScimCall {
            enterprise: &self.tenant.enterprise,
            settings: &self.settings.directory,
            request_id: self.asked.request_id,
            if_match: self.if_match.as_deref(),
            now: self.asked.now,
        }
    }

    /// Whether the client has the version already (RFC 7644 3.14).
    pub fn has(&self, version: &Version) -> bool {
        etags(self.asked.fields, &header::IF_NONE_MATCH).is_some_and(|etags| etags.matches(version))
    }

    /// Where a resource of this base is.
    pub fn location(&self, kind: ResourceType, id: ScimId) -> String {
        crate::scim::document::location(&self.asked.base_url, kind, id)
    }
}

/// What a field names, however often it stands there.
fn etags(fields: &HeaderMap, name: &HeaderName) -> Option<Etags> {
    let values: Vec<&str> = fields.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| Etags::parse(&values.join(",")))
}
