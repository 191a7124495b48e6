//! `hold`: what the removal guard stopped, and what is undone.
use clap::Subcommand;

use crate::{
    api::shape::{HoldShape, RestoredShape},
    commands::{
        Failure, Outcome,
        look::{Desk, Look, OrganizationArgument, PAGE, PersonArgument, Shown, id},
    },
    domain::BatchId,
};

/// List held removals and decide about them; restore what a batch removed
#[derive(Debug, Subcommand)]
pub enum Hold {
    /// List the removals that wait for a decision
    List {
        #[command(flatten)]
        look: Look,
    },
    /// Carry a removal out
    Approve {
        #[command(flatten)]
        organization: OrganizationArgument,
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Keep the person, from now on
    Reject {
        #[command(flatten)]
        organization: OrganizationArgument,
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Give back what a batch removed within 90 days
    Restore {
        /// The batch, as the audit log names it
        batch: String,
        #[command(flatten)]
        look: Look,
    },
}

pub fn hold(command: Hold) -> Result<Outcome, Failure> {
    match command {
        Hold::List { look } => look.run(async |desk| list(desk).await),
        Hold::Approve { organization, person, look } => {
            let slug = organization.slug()?;
            look.run(async |desk| {
                let (id, actor) = (desk.person(&person), desk.operator());
                desk.directory.approve_removal(&desk.tenant, actor, &slug, id, desk.now).await?;
                Ok(Shown::Done(format!("{id} is no member of {slug} any more")))
            })
        }
        Hold::Reject { organization, person, look } => {
            let slug = organization.slug()?;
            look.run(async |desk| {
                let (id, actor) = (desk.person(&person), desk.operator());
                desk.directory.reject_removal(&desk.tenant, actor, &slug, id, desk.now).await?;
                Ok(Shown::Done(format!("{id} stays in {slug}, pinned")))
            })
        }
        Hold::Restore { batch, look } => {
            let batch = id(&batch, BatchId::parse)?;
            look.run(async |desk| {
                let (tenant, actor) = (&desk.tenant, desk.operator());
                let restored = desk.directory.restore_batch(tenant, actor, &batch, desk.now).await?;
                Shown::one(&RestoredShape::of(&restored))
            })
        }
    }
}

async fn list(desk: &Desk) -> Result<Shown, Failure> {
    let (mut shown, mut after) = (vec![], None);
    loop {
        let (holds, next) = desk.directory.holds(desk.tenant.id, after, PAGE, desk.now).await?;
        shown.extend(holds.iter().map(HoldShape::of));
        if next.is_none() {
            return Shown::list(shown, &["organization", "user", "role", "held_since", "batch", "person"]);
        }
        after = next;
    }
}
