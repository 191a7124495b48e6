//! A SCIM call, as the audit log tells it.
use serde::Serialize;

/// What was asked, and what came of it. Neither the query nor the body: both are full of people, and some clients send passwords.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ScimRequest<'a> {
    #[serde(rename = "request_method")]
    pub method: &'a str,
    /// With a name in braces where the path has an id.
    pub route: &'a str,
    #[serde(rename = "url_path")]
    pub path: &'a str,
    #[serde(rename = "status_code")]
    pub status: u16,
    /// Of a failure: what the client was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}
