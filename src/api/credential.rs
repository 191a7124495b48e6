//! From what a request shows to a caller.
use std::net::IpAddr;

use http::{HeaderMap, header};

use super::{
    Api,
    caller::Caller,
    problem::{Code, Problem},
};
use crate::{
    directory::Enterprise,
    domain::{SessionToken, Timestamp, TokenSecret},
};

/// What the listener read of the request's cookies and of where it comes from.
#[derive(Debug)]
pub struct Presented {
    /// Where the connection comes from.
    pub client: IpAddr,
    pub session: Option<SessionToken>,
    /// Whether the browser says that a page of this very origin sends it. `SameSite=Lax` keeps other sites out; this keeps
    /// other hosts of the same site out too.
    pub is_same_origin: bool,
}

impl Api {
    /// Who calls. A token in the Authorization field wins over a cookie: whoever sends one means it (V-21).
    pub(super) async fn caller(
        &self,
        fields: &HeaderMap,
        presented: Presented,
        now: Timestamp,
    ) -> Result<(Caller, &Enterprise), Problem> {
        if fields.contains_key(header::AUTHORIZATION) {
            let token = bearer(fields).ok_or_else(|| invalid("no bearer token, or more than one field"))?;
            return self.by_token(token, now).await;
        }
        let Some(token) = presented.session else { return Err(Code::CredentialRequired.into()) };
        if !presented.is_same_origin {
            return Err(Code::CrossOrigin.into());
        }
        let session = self.directory.session(&token, now).await?;
        let active = session.ok_or_else(|| invalid("no live session"))?;
        let tenant = self.enterprises.get(&active.session.enterprise);
        let tenant = tenant.ok_or_else(|| invalid("the session's enterprise is not configured"))?;
        Ok((Caller::of(active.into(), tenant), tenant))
    }

    async fn by_token(&self, token: &str, now: Timestamp) -> Result<(Caller, &Enterprise), Problem> {
        let secret = TokenSecret::parse(token).ok_or_else(|| invalid("no token of ours"))?;
        let active = self.directory.access_token(&secret, now).await?;
        let tenant = self.enterprises.get(&active.enterprise);
        let tenant = tenant.ok_or_else(|| invalid("the token's enterprise is not configured"))?;
        Ok((Caller::of(active.into(), tenant), tenant))
    }
}

fn invalid(inside: &str) -> Problem {
    Problem::inside(Code::CredentialInvalid, inside)
}

/// RFC 6750 2.1: the one token of the one Authorization field.
fn bearer(fields: &HeaderMap) -> Option<&str> {
    let mut values = fields.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_bearer_token() {
        let read = |values: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&fields).map(str::to_owned)
        };
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bearer  abc "]).as_deref(), Some("abc"));
        for wrong in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["abc"], &["Bearer a", "Bearer b"], &[]]
        {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
