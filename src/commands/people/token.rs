//! `token`: personal access tokens.
use clap::Subcommand;

use crate::{
    api::shape::TokenShape,
    commands::{
        Failure, Outcome,
        look::{Look, PersonArgument, Shown, id},
    },
    domain::TokenId,
};

/// List and revoke personal access tokens
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List a person's tokens
    List {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// End a token for good
    Revoke {
        #[command(flatten)]
        person: PersonArgument,
        /// The token's id, as the list shows it; not the token
        token: String,
        #[command(flatten)]
        look: Look,
    },
}

pub fn token(command: Token) -> Result<Outcome, Failure> {
    match command {
        Token::List { person, look } => look.run(async |desk| {
            let tokens = desk.directory.tokens_of(desk.tenant.id, desk.person(&person), desk.now).await?;
            let shown = tokens.iter().map(|known| TokenShape::of(&known.token, known.last_used_at));
            Shown::list(shown, &["id", "name", "scopes", "organizations", "expires_at", "last_used_at"])
        }),
        Token::Revoke { person, token, look } => {
            let token = id(&token, TokenId::parse)?;
            look.run(async |desk| {
                let (person, cause) = (desk.person(&person), desk.cause());
                desk.directory.revoke_token(&desk.tenant, person, token, &cause, desk.now).await?;
                Ok(Shown::Done(format!("the token {token} is revoked")))
            })
        }
    }
}
