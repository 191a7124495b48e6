//! A program that provisions: any method, any body, any fields, over one connection for each call.
use http::{Method, Request};
use serde_json::Value;

pub use crate::support::call::Answer;
use crate::support::call::call;

/// At one base, with one token or none.
#[derive(Debug, Clone)]
pub struct Client {
    /// `http://localhost:PORT`
    pub url: String,
    /// Such as `/scim/v2/enterprises/example`.
    pub base: String,
    pub token: Option<String>,
}

/// What answers of SCIM are held to.
impl Answer {
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.text)).to_owned()
    }

    /// Asserts that it is a SCIM error of this status.
    pub fn is_error(&self, status: u16, scim_type: Option<&str>) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let json = self.json();
        assert_eq!(json["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error", "{}", self.text);
        assert_eq!(json["status"], status.to_string(), "{}", self.text);
        assert!(json["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{}", self.text);
        assert_eq!(json["scimType"].as_str(), scim_type, "{}", self.text);
        assert!(self.field("content-type").starts_with("application/scim+json"), "{:?}", self.fields);
        self
    }

    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

impl Client {
    /// The same caller at another base.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    pub fn with(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, &[], vec![]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.raw("DELETE", path, &[], vec![]).await
    }

    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let fields = [("content-type", "application/scim+json")];
        self.raw(method, path, &fields, body.to_string().into_bytes()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body).await
    }

    pub async fn patch(&self, path: &str, operations: &Value) -> Answer {
        let body = serde_json::json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations,
        });
        self.send("PATCH", path, &body).await
    }

    pub async fn raw(&self, method: &str, path: &str, fields: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let authority = self.url.trim_start_matches("http://");
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("{}{}", self.base, path.replace(' ', "%20").replace('"', "%22")))
            .header("host", authority);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        call(authority, request, body).await
    }
}
