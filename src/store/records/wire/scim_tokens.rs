//! SCIM tokens of an enterprise, and where a token leads.
use serde::{Deserialize, Serialize};

use super::{V, V1, corrupt, enterprise, millis, people::digest, time};
use crate::{
    domain::{self, EnterpriseId, ScimTokenId, hex},
    store::StoreError,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct ScimTokens {
    v: V1,
    tokens: Vec<ScimToken>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScimToken {
    id: String,
    hash: String,
    key: String,
    name: String,
    last: String,
    by: Option<String>,
    created: i64,
    expires: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct ScimTokenHolder {
    v: V1,
    enterprise: String,
    enterprise_id: String,
    token: String,
    used: Option<i64>,
}

impl From<&[domain::ScimToken]> for ScimTokens {
    fn from(tokens: &[domain::ScimToken]) -> Self {
        let token = |token: &domain::ScimToken| ScimToken {
            id: token.id.to_string(),
            hash: hex(&token.secret),
            key: hex(&token.cursor_key),
            name: token.name.clone(),
            last: token.last_eight.clone(),
            by: token.created_by.clone(),
            created: millis(token.created_at),
            expires: millis(token.expires_at),
        };
        Self { v: V, tokens: tokens.iter().map(token).collect() }
    }
}

impl ScimTokens {
    pub fn into_domain(self) -> Result<Vec<domain::ScimToken>, StoreError> {
        let token = |token: ScimToken| {
            Ok(domain::ScimToken {
                id: id(&token.id)?,
                secret: digest(&token.hash)?,
                cursor_key: digest(&token.key)?,
                name: token.name,
                last_eight: token.last,
                created_by: token.by,
                created_at: time(token.created)?,
                expires_at: time(token.expires)?,
            })
        };
        self.tokens.into_iter().map(token).collect()
    }
}

impl From<&domain::ScimTokenHolder> for ScimTokenHolder {
    fn from(holder: &domain::ScimTokenHolder) -> Self {
        Self {
            v: V,
            enterprise: holder.enterprise.to_string(),
            enterprise_id: holder.enterprise_id.to_string(),
            token: holder.token.to_string(),
            used: holder.last_used_at.map(millis),
        }
    }
}

impl ScimTokenHolder {
    pub fn into_domain(self) -> Result<domain::ScimTokenHolder, StoreError> {
        Ok(domain::ScimTokenHolder {
            enterprise: enterprise(&self.enterprise)?,
            enterprise_id: EnterpriseId::parse(&self.enterprise_id)
                .ok_or_else(|| corrupt("an enterprise id"))?,
            token: id(&self.token)?,
            last_used_at: self.used.map(time).transpose()?,
        })
    }
}

fn id(text: &str) -> Result<ScimTokenId, StoreError> {
    ScimTokenId::parse(text).ok_or_else(|| corrupt("a token's id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::EnterpriseSlug, store::records};

    fn time(seconds: i64) -> domain::Timestamp {
        domain::Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn tokens_and_where_they_lead_come_back_equal() {
        let token = |byte: u8, by: Option<&str>| domain::ScimToken {
            id: ScimTokenId::from_bytes([byte; 16]),
            secret: [byte; 32],
            cursor_key: [byte + 1; 32],
            name: "Entra \"ID\"".into(),
            last_eight: "abcd1234".into(),
            created_by: by.map(str::to_owned),
            created_at: time(1),
            expires_at: time(i64::from(byte)),
        };
        let tokens = vec![token(7, Some("alice@example.com")), token(9, None)];
        assert_eq!(records::decode_scim_tokens(&records::encode_scim_tokens(&tokens)).unwrap(), tokens);
        assert!(records::decode_scim_tokens(b"{\"v\":2,\"tokens\":[]}").is_err());
        for last_used_at in [None, Some(time(5))] {
            let enterprise = EnterpriseSlug::parse("example").unwrap();
            let holder = domain::ScimTokenHolder {
                enterprise_id: EnterpriseId::of(&enterprise),
                enterprise,
                token: tokens[0].id,
                last_used_at,
            };
            let stored = records::encode_scim_token_holder(&holder);
            assert_eq!(records::decode_scim_token_holder(&stored).unwrap(), holder);
        }
    }
}
