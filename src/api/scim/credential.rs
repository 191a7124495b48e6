//! Whose call it is: by the one bearer token of the one Authorization field (RFC 6750 2.1). Cookies are not looked at (V-21),
//! and neither is a token in the query (V-01).
use std::sync::Arc;

use http::{HeaderMap, header};

use super::{
    Scim, Settings, Tenant,
    place::Base,
    refusal::{Code, Refusal},
};
use crate::domain::{ActiveScimToken, ScimSecret, Timestamp};

impl Scim {
    /// The token, and its enterprise.
    pub(super) async fn caller(
        &self,
        fields: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Arc<ActiveScimToken>, Arc<Tenant>), Refusal> {
        let secret = bearer(fields)?;
        let active = self.directory.scim_token(&secret, now).await?;
        let tenant = self.tenants.get(&active.enterprise);
        let unknown = || Refusal::inside(Code::TokenInvalid, "the token's enterprise is not configured");
        Ok((active.clone(), tenant.ok_or_else(unknown)?.clone()))
    }

    /// Holds a caller to the base that was asked for, and to the rate.
    pub(super) async fn admit<'t>(
        &self,
        token: &ActiveScimToken,
        tenant: &'t Tenant,
        base: &Base,
        now: Timestamp,
    ) -> Result<&'t Settings, Refusal> {
        let settings = tenant.settings.as_ref().ok_or(Code::Disabled)?;
        // Before anything is looked up: what is refused counts too.
        let admitted = self.rates.admit(token.token.id, settings.requests_per_second_max, now);
        admitted.map_err(|seconds| Refusal::from(Code::TooManyRequests).again_after(seconds))?;
        if tenant.has_base(base) {
            return Ok(settings);
        }
        // V-02: of another tenant nothing is there, whether it is or not. Of its own, the caller is told (A18).
        match base {
            Base::Organization(slug)
                if self.directory.has_organization(&tenant.enterprise, slug, now).await? =>
            {
                Err(Code::OrganizationManaged.into())
            }
            _ => Err(Code::NotFound.into()),
        }
    }
}

fn bearer(fields: &HeaderMap) -> Result<ScimSecret, Refusal> {
    let mut values = fields.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Code::TokenMissing.into()),
        (Some(value), None) => value,
        _ => return Err(Refusal::inside(Code::TokenInvalid, "more than one Authorization field")),
    };
    let (scheme, token) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::inside(Code::TokenInvalid, "no bearer token"));
    }
    let secret = ScimSecret::parse(token.trim_matches(' '));
    secret.ok_or_else(|| {
        Refusal::inside(Code::TokenInvalid, "no SCIM token: cut off, mistyped, or of another sort")
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::domain::TokenSecret;

    #[test]
    fn v_21_one_scim_token_and_nothing_else_counts() {
        let code = |values: &[String]| {
            let mut fields = HeaderMap::new();
            // Whatever else a browser might send along.
            fields.insert(header::COOKIE, HeaderValue::from_static("__Host-portcullis-session=x"));
            for value in values {
                fields.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            bearer(&fields).map_err(|refusal| refusal.error.code).err()
        };
        let secret = ScimSecret::from_random([1; 32]);
        let good = format!("Bearer {}", secret.expose());
        assert_eq!(code(std::slice::from_ref(&good)), None);
        assert_eq!(code(&[good.replace("Bearer", "bearer  ")]), None);
        assert_eq!(code(&[]), Some("scim_token_missing"));
        let personal = format!("Bearer {}", TokenSecret::from_random([1; 32]).expose());
        for wrong in [
            vec![good.clone(), good.clone()],
            vec![good.replace("Bearer", "Basic")],
            vec![secret.expose().to_owned()],
            vec![format!("{good}x")],
            vec!["Bearer ".to_owned()],
            vec![personal],
        ] {
            assert_eq!(code(&wrong), Some("scim_token_invalid"), "{wrong:?}");
        }
    }
}
