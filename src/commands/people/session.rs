//! `session`: what people have open.
use clap::Subcommand;

use crate::{
    api::shape::SessionShape,
    commands::{
        Failure, Outcome,
        look::{Desk, Look, PersonArgument, Shown, id, unknown},
    },
    domain::SessionId,
};

/// List and end people's sessions
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List a person's live sessions
    List {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// End one of a person's sessions, or all
    End {
        #[command(flatten)]
        person: PersonArgument,
        /// The session's id
        #[arg(required_unless_present = "all")]
        session: Option<String>,
        #[arg(long, conflicts_with = "session")]
        all: bool,
        #[command(flatten)]
        look: Look,
    },
}

pub fn session(command: SessionCommand) -> Result<Outcome, Failure> {
    match command {
        SessionCommand::List { person, look } => look.run(async |desk| {
            let sessions = desk.directory.sessions_of(desk.tenant.id, desk.person(&person), desk.now).await?;
            let shown = sessions.iter().map(|session| SessionShape::of(session, false));
            Shown::list(shown, &["id", "created_at", "last_seen_at", "expires_at"])
        }),
        SessionCommand::End { person, session, look, .. } => {
            let session = session.map(|text| id(&text, SessionId::parse)).transpose()?;
            look.run(async |desk| end(desk, &person, session).await)
        }
    }
}

async fn end(desk: &Desk, person: &PersonArgument, session: Option<SessionId>) -> Result<Shown, Failure> {
    let (person, cause) = (desk.person(person), desk.cause());
    match session {
        None => {
            let ended = desk.directory.end_sessions_of_person(&desk.tenant, person, &cause, desk.now).await?;
            Ok(Shown::Done(format!("{} sessions ended", ended.len())))
        }
        Some(session) => {
            match desk.directory.end_session_of(&desk.tenant, person, session, &cause, desk.now).await? {
                true => Ok(Shown::Done("1 session ended".to_owned())),
                false => Err(unknown("session of this person", &session.to_string())),
            }
        }
    }
}
