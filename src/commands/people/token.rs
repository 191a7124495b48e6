//! `token`: personal access tokens, and the SCIM tokens of identity providers.
use clap::Subcommand;
use jiff::SignedDuration;

use crate::{
    api::shape::{NewScimTokenShape, ScimTokenShape, TokenShape},
    commands::{
        Failure, Outcome,
        look::{Desk, Look, PersonArgument, Shown, id},
    },
    directory::{NewScimToken, ScimTokenMaker},
    domain::{ScimTokenId, TokenId},
};

/// Of a token that nobody said otherwise about: half a year is seldom enough not to be a burden, and often enough to be known.
const LIFETIME_DAYS: u16 = 180;

/// List, make and revoke tokens: people's personal access tokens, and with --scim those of identity providers
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List a person's tokens, or the enterprise's SCIM tokens
    List {
        #[command(flatten)]
        person: Option<PersonArgument>,
        /// The tokens by which the identity provider provisions
        #[arg(long, conflicts_with = "person", required_unless_present = "person")]
        scim: bool,
        #[command(flatten)]
        look: Look,
    },
    /// Make a token by which the identity provider provisions, and print it this once
    ///
    /// People make their personal access tokens themselves.
    Create {
        /// A SCIM token: there is no other kind to make here
        #[arg(long, required = true)]
        scim: bool,
        /// What people tell it apart by
        #[arg(long, value_name = "TEXT", default_value = "SCIM")]
        name: String,
        /// How long it lives
        #[arg(long, value_name = "DAYS", default_value_t = LIFETIME_DAYS)]
        days: u16,
        #[command(flatten)]
        look: Look,
    },
    /// End a token for good
    Revoke {
        #[command(flatten)]
        person: Option<PersonArgument>,
        /// The token's id, as the list shows it; not the token
        #[arg(requires = "person")]
        token: Option<String>,
        /// The id of a SCIM token
        #[arg(long, value_name = "TOKEN", conflicts_with = "person", required_unless_present = "token")]
        scim: Option<String>,
        #[command(flatten)]
        look: Look,
    },
}

pub fn token(command: Token) -> Result<Outcome, Failure> {
    match command {
        Token::List { person, look, .. } => look.run(async |desk| match &person {
            Some(person) => list(desk, person).await,
            None => list_scim(desk).await,
        }),
        Token::Create { name, days, look, .. } => {
            look.run(async |desk| create_scim(desk, name.clone(), days).await)
        }
        Token::Revoke { person, token, scim, look } => match (person, token, scim) {
            (Some(person), Some(token), _) => {
                let token = id(&token, TokenId::parse)?;
                look.run(async |desk| revoke(desk, &person, token).await)
            }
            (_, _, Some(token)) => {
                let token = id(&token, ScimTokenId::parse)?;
                look.run(async |desk| revoke_scim(desk, token).await)
            }
            _ => Err(Failure::Usage(
                "token revoke: whose token: name PERSON and TOKEN, or --scim TOKEN".into(),
            )),
        },
    }
}

async fn list(desk: &Desk, person: &PersonArgument) -> Result<Shown, Failure> {
    let tokens = desk.directory.tokens_of(desk.tenant.id, desk.person(person), desk.now).await?;
    let shown = tokens.iter().map(|known| TokenShape::of(&known.token, known.last_used_at));
    Shown::list(shown, &["id", "name", "scopes", "organizations", "expires_at", "last_used_at"])
}

async fn list_scim(desk: &Desk) -> Result<Shown, Failure> {
    let tokens = desk.directory.scim_tokens(desk.tenant.id, desk.now).await?;
    let columns = &["id", "name", "token_last_eight", "created_by", "expires_at", "last_used_at"];
    Shown::list(tokens.iter().map(ScimTokenShape::of), columns)
}

async fn create_scim(desk: &Desk, name: String, days: u16) -> Result<Shown, Failure> {
    let lifetime = SignedDuration::from_hours(i64::from(days) * 24);
    let too_long = |_| Failure::Usage("token create: --days: is too long: a year is the longest".into());
    let expires_at = desk.now.checked_add(lifetime).map_err(too_long)?;
    let wanted = NewScimToken { name, expires_at };
    let (tenant, maker) = (&desk.tenant, ScimTokenMaker::Operator);
    let made = desk.directory.create_scim_token(tenant, maker, wanted, desk.request_id(), desk.now).await;
    let (secret, token) = made?;
    Shown::one(&NewScimTokenShape::of(token, &secret))
}

async fn revoke(desk: &Desk, person: &PersonArgument, token: TokenId) -> Result<Shown, Failure> {
    let (person, cause) = (desk.person(person), desk.cause());
    desk.directory.revoke_token(&desk.tenant, person, token, &cause, desk.now).await?;
    Ok(Shown::Done(format!("the token {token} is revoked")))
}

async fn revoke_scim(desk: &Desk, token: ScimTokenId) -> Result<Shown, Failure> {
    desk.directory.revoke_scim_token(&desk.tenant, desk.operator(), token, desk.now).await?;
    Ok(Shown::Done(format!("the SCIM token {token} is revoked")))
}
