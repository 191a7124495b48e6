//! `invitation`: offers of membership.
use clap::Subcommand;

use crate::{
    api::shape::InvitationShape,
    commands::{
        Failure, Outcome,
        look::{Desk, Look, OrganizationArgument, PAGE, Shown, id},
    },
    directory::{InvitationPage, InvitationState},
    domain::{InvitationId, OrganizationSlug},
};

/// List and cancel invitations
#[derive(Debug, Subcommand)]
pub enum InvitationCommand {
    /// List an organization's invitations
    List {
        #[command(flatten)]
        organization: OrganizationArgument,
        /// Those that ran out, or whose mail reached nobody
        #[arg(long)]
        failed: bool,
        #[command(flatten)]
        look: Look,
    },
    /// Withdraw an invitation
    Cancel {
        #[command(flatten)]
        organization: OrganizationArgument,
        /// The invitation's id
        invitation: String,
        #[command(flatten)]
        look: Look,
    },
}

pub fn invitation(command: InvitationCommand) -> Result<Outcome, Failure> {
    match command {
        InvitationCommand::List { organization, failed, look } => {
            let slug = organization.slug()?;
            let state = if failed { InvitationState::Failed } else { InvitationState::Pending };
            look.run(async |desk| list(desk, &slug, state).await)
        }
        InvitationCommand::Cancel { organization, invitation, look } => {
            let (slug, id) = (organization.slug()?, id(&invitation, InvitationId::parse)?);
            look.run(async |desk| {
                let (tenant, cause) = (&desk.tenant, desk.cause());
                let gone = desk.directory.cancel_invitation(tenant, &slug, id, cause, desk.now).await?;
                Ok(Shown::Done(format!("the invitation of {} is withdrawn", gone.email)))
            })
        }
    }
}

async fn list(desk: &Desk, slug: &OrganizationSlug, state: InvitationState) -> Result<Shown, Failure> {
    let (mut shown, mut after) = (vec![], None);
    loop {
        let wanted = InvitationPage { state, after, limit: PAGE };
        let (page, next) = desk.directory.invitations(desk.tenant.id, slug, wanted, desk.now).await?;
        shown.extend(page.iter().map(|(_, invitation)| InvitationShape::of(invitation, desk.now)));
        if next.is_none() {
            let columns = &["id", "email", "role", "source", "created_at", "expires_at", "failed_reason"];
            return Shown::list(shown, columns);
        }
        after = next;
    }
}
