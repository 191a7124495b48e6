//! A call whose right was checked, and the way to what answers it.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::{
    Asked, Scim, Settings, Tenant,
    answer::Answer,
    list::Kinds,
    place::{Base, Endpoint},
    record::Record,
    refusal::{Code, Refusal},
    stream::Source,
};
use crate::{
    directory::scim::{ScimCall, ScimCallEvent},
    domain::{ActiveScimToken, ScimId},
    scim::{Etags, Projection, ResourceType, Version, message::parameter},
};

/// A call of a tenant at one of its bases.
pub struct Call<'a> {
    pub scim: &'a Scim,
    pub tenant: &'a std::sync::Arc<Tenant>,
    pub settings: &'a Settings,
    pub token: &'a ActiveScimToken,
    pub base: &'a Base,
    pub asked: Asked<'a>,
    /// Of the query, decoded. What we do not know is ignored, for identity providers add their own (RFC 7644 3.4.2).
    pub parameters: Vec<(String, String)>,
    /// What is shown of the resource that the call is about.
    pub projection: Projection,
    pub body: Bytes,
    /// Of what one commit may carry out.
    pub event: Option<ScimCallEvent>,
    /// `None`: whatever version there is.
    if_match: Option<Etags>,
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
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect();
        let get = |name: &str| {
            parameter(parameters.iter().map(|(known, value)| (known.as_str(), value.as_str())), name)
        };
        let projection = Projection::parse(get("attributes")?, get("excludedAttributes")?)?;
        let if_match = etags(asked.fields, &header::IF_MATCH);
        let event = None;
        Ok(Self { scim, tenant, settings, token, base, asked, parameters, projection, body, event, if_match })
    }

    /// The same with the event that is told of it if all goes well, where it changes one resource.
    pub fn announced(self, endpoint: Endpoint<'_>, record: &Record) -> Self {
        let status = match (endpoint, &self.asked.method) {
            (Endpoint::Users | Endpoint::Groups, &Method::POST) => StatusCode::CREATED,
            (Endpoint::User(_) | Endpoint::Group(_), &Method::DELETE) => StatusCode::NO_CONTENT,
            // RFC 7644 3.5.2: with the resource only where parts of it are asked for.
            (Endpoint::Group(_), &Method::PATCH) if !self.projection.is_said() => StatusCode::NO_CONTENT,
            (Endpoint::User(_) | Endpoint::Group(_), &Method::PUT | &Method::PATCH) => StatusCode::OK,
            _ => return self,
        };
        Self { event: Some(record.event(self.token.token.id, status.as_u16())), ..self }
    }

    pub async fn answer(&self, endpoint: Endpoint<'_>, record: &mut Record) -> Result<Answer, Refusal> {
        match (endpoint, &self.asked.method) {
            // RFC 7644 3.11
            (Endpoint::Me, _) => Err(Code::Unsupported.into()),
            (Endpoint::Users, &Method::POST) => self.create_user(record).await,
            (Endpoint::Users | Endpoint::UsersSearch, _) => self.list(Kinds::Users).await,
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
            (Endpoint::Groups | Endpoint::GroupsSearch, _) => self.list(Kinds::Groups).await,
            (Endpoint::Group(id), method) => {
                let id = record.names(ResourceType::Group, id)?;
                match *method {
                    Method::PUT => self.replace_group(id).await,
                    Method::PATCH => self.patch_group(id).await,
                    Method::DELETE => self.delete_group(id).await,
                    _ => self.show_group(id).await,
                }
            }
            (Endpoint::Root | Endpoint::RootSearch, _) => self.list(Kinds::All).await,
            (Endpoint::Bulk, _) => self.bulk().await,
            _ => Err(Code::NotFound.into()),
        }
    }

    /// The same caller's call of an operation of a Bulk request, with the version that it names.
    pub fn operation(&self, version: Option<&str>) -> Self {
        Self {
            asked: self.asked.clone(),
            parameters: vec![],
            projection: Projection::default(),
            body: Bytes::new(),
            // That of the request as a whole tells of it.
            event: None,
            if_match: version.map(Etags::parse),
            ..*self
        }
    }

    /// What the directory is told of this call.
    pub fn directed(&self) -> ScimCall<'_> {
        ScimCall {
            enterprise: &self.tenant.enterprise,
            settings: &self.settings.directory,
            request_id: self.asked.request_id,
            if_match: self.if_match.as_ref(),
            event: self.event.as_ref(),
            now: self.asked.now,
        }
    }

    /// Whether the client has the version already (RFC 7644 3.14).
    pub fn has(&self, version: &Version) -> bool {
        etags(self.asked.fields, &header::IF_NONE_MATCH).is_some_and(|etags| etags.matches(version))
    }

    /// What members of groups are read by while an answer is sent.
    pub fn source(&self) -> Source {
        Source {
            base_url: self.asked.base_url.clone(),
            directory: self.scim.directory.clone(),
            tenant: self.tenant.clone(),
            request_id: self.asked.request_id.to_owned(),
            now: self.asked.now,
        }
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
