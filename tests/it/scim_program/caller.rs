//! A program that provisions, on one connection that it keeps.
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// An answer that takes longer is none.
const CALL_SECONDS_MAX: u64 = 600;
const BASE: &str = "/scim/v2/enterprises/example";

/// Where a process listens, by which name it is called, and what it wants to be shown.
#[derive(Debug, Clone)]
pub struct Server {
    pub port: u16,
    /// The host and port of the public URL, which is the same for all processes.
    pub authority: String,
    pub token: String,
}

pub struct Caller {
    server: Server,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Caller {
    pub fn new(server: &Server) -> Self {
        Self { server: server.clone(), sender: None }
    }

    /// Status and body; `None` without a whole answer.
    pub async fn send(&mut self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        tokio::time::timeout(Duration::from_secs(CALL_SECONDS_MAX), self.exchange(method, path, body))
            .await
            .ok()?
    }

    /// The same, where only success will do.
    pub async fn done(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, path, body).await.expect("an answer");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    async fn exchange(&mut self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let Server { port, authority, token } = &self.server;
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).await.ok()?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
                tokio::spawn(connection);
                sender
            }
        };
        sender.ready().await.ok()?;
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("{BASE}{path}"))
            .header("host", authority)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/scim+json")
            .body(Full::new(bytes))
            .ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        self.sender = Some(sender);
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// A PATCH of one operation.
pub fn operation(operation: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}

/// Members as a body has them.
pub fn members(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}
