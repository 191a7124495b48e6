//! `person`: who there is, and who may come in.
use clap::Subcommand;

use crate::{
    api::shape::{MembershipShape, PersonShape},
    commands::{
        Failure, Outcome,
        look::{Desk, Look, PAGE, PersonArgument, Shown, slug, unknown},
    },
    domain::OrganizationSlug,
};

/// List and show people, and decide who may come in
#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// List the enterprise's people
    List {
        #[command(flatten)]
        look: Look,
    },
    /// Show a person with everything that they belong to
    Show {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// End everything that a person has, and keep them out
    Deactivate {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Let a deactivated person in again
    Reactivate {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Delete a person for good; a tombstone keeps them out
    Delete {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Revoke the link to the IdP's account: the next sign-in links anew
    Unlink {
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Give back a membership that ended within 90 days
    Restore {
        #[command(flatten)]
        person: PersonArgument,
        /// The organization's account name
        #[arg(long, value_name = "NAME")]
        organization: String,
        #[command(flatten)]
        look: Look,
    },
}

pub fn person(command: PersonCommand) -> Result<Outcome, Failure> {
    match command {
        PersonCommand::List { look } => look.run(async |desk| list(desk).await),
        PersonCommand::Show { person, look } => look.run(async |desk| show(desk, &person).await),
        PersonCommand::Deactivate { person, look } => look.run(async |desk| {
            let (id, actor) = (desk.person(&person), desk.operator());
            let person = desk.directory.deactivate_person(&desk.tenant, actor, id, desk.now).await?;
            Shown::one(&PersonShape::of(&person))
        }),
        PersonCommand::Reactivate { person, look } => look.run(async |desk| {
            let (id, actor) = (desk.person(&person), desk.operator());
            let person = desk.directory.reactivate_person(&desk.tenant, actor, id, desk.now).await?;
            Shown::one(&PersonShape::of(&person))
        }),
        PersonCommand::Delete { person, look } => look.run(async |desk| {
            let (id, actor) = (desk.person(&person), desk.operator());
            desk.directory.delete_person(&desk.tenant, actor, id, desk.now).await?;
            Ok(Shown::Done(format!("{id} is deleted")))
        }),
        PersonCommand::Unlink { person, look } => look.run(async |desk| {
            let (id, actor) = (desk.person(&person), desk.operator());
            desk.directory.revoke_link(&desk.tenant, actor, id, desk.now).await?;
            Ok(Shown::Done(format!("{id} links anew with the next sign-in")))
        }),
        PersonCommand::Restore { person, organization, look } => {
            let slug = slug(&organization)?;
            look.run(async |desk| restore(desk, &person, &slug).await)
        }
    }
}

async fn list(desk: &Desk) -> Result<Shown, Failure> {
    let (mut shown, mut after) = (vec![], None);
    loop {
        let page = desk.directory.people(desk.tenant.id, after, PAGE, desk.now).await?;
        shown.extend(page.iter().map(PersonShape::of));
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id),
            _ => return Shown::list(shown, &["id", "user", "standing", "last_sign_in_at"]),
        }
    }
}

async fn show(desk: &Desk, person: &PersonArgument) -> Result<Shown, Failure> {
    let found = desk.directory.person(desk.tenant.id, desk.person(person), desk.now).await?;
    Shown::one(&PersonShape::of(&found.ok_or_else(|| unknown("person", person.as_str()))?))
}

async fn restore(desk: &Desk, person: &PersonArgument, slug: &OrganizationSlug) -> Result<Shown, Failure> {
    let (id, actor) = (desk.person(person), desk.operator());
    let restored = desk.directory.restore_member(&desk.tenant, actor, slug, id, desk.now).await?;
    match restored.membership(slug) {
        Some(member) => Shown::one(&MembershipShape::of(&restored, member)),
        None => Err(unknown("member", person.as_str())),
    }
}
