//! `org`: organizations and who belongs to them.
use clap::{Subcommand, ValueEnum};

use crate::{
    api::shape::{Member, MembershipShape, OrganizationShape},
    commands::{
        Failure, Outcome,
        look::{Desk, Look, OrganizationArgument, PAGE, PersonArgument, Shown, slug},
    },
    directory::NewOrganization,
    domain::{OrganizationSlug, Role},
};

/// List, show and create organizations, and change who owns them
#[derive(Debug, Subcommand)]
pub enum Org {
    /// List the organizations, of the configuration and created ones
    List {
        #[command(flatten)]
        look: Look,
        /// Only those that lost their last owner
        #[arg(long)]
        unowned: bool,
    },
    /// Show an organization
    Show {
        #[command(flatten)]
        organization: OrganizationArgument,
        #[command(flatten)]
        look: Look,
    },
    /// List an organization's members
    Members {
        #[command(flatten)]
        organization: OrganizationArgument,
        #[command(flatten)]
        look: Look,
    },
    /// Create an organization; make one of its people an owner with `org role`
    Create {
        /// Its account name, for good
        name: String,
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// A group value whose people belong to it; may be given several times
        #[arg(long = "alias", value_name = "GROUP")]
        aliases: Vec<String>,
        /// Let groups decide about its members
        #[arg(long)]
        managed: bool,
        #[command(flatten)]
        look: Look,
    },
    /// Make a member an owner, or an owner a member
    Role {
        #[command(flatten)]
        organization: OrganizationArgument,
        #[command(flatten)]
        person: PersonArgument,
        #[arg(value_enum)]
        role: RoleWord,
        #[command(flatten)]
        look: Look,
    },
    /// End a membership
    Remove {
        #[command(flatten)]
        organization: OrganizationArgument,
        #[command(flatten)]
        person: PersonArgument,
        #[command(flatten)]
        look: Look,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleWord {
    Member,
    Owner,
}

const COLUMNS: &[&str] = &["login", "managed", "owners", "unowned_since", "display_name"];

pub fn org(command: Org) -> Result<Outcome, Failure> {
    match command {
        Org::List { look, unowned } => look.run(async |desk| list(desk, unowned).await),
        Org::Show { organization, look } => {
            let slug = organization.slug()?;
            look.run(async |desk| show(desk, &slug).await)
        }
        Org::Members { organization, look } => {
            let slug = organization.slug()?;
            look.run(async |desk| members(desk, &slug).await)
        }
        Org::Create { name, display_name, aliases, managed, look } => {
            let new = NewOrganization { slug: slug(&name)?, display_name, aliases, managed };
            look.run(async |desk| create(desk, new).await)
        }
        Org::Role { organization, person, role, look } => {
            let slug = organization.slug()?;
            look.run(async |desk| set_role(desk, &slug, &person, role).await)
        }
        Org::Remove { organization, person, look } => {
            let slug = organization.slug()?;
            look.run(async |desk| remove(desk, &slug, &person).await)
        }
    }
}

async fn list(desk: &Desk, unowned: bool) -> Result<Shown, Failure> {
    let all = desk.directory.organizations(&desk.tenant, desk.now).await?;
    let wanted = all.iter().filter(|record| !unowned || record.unowned_since.is_some());
    Shown::list(wanted.map(|record| OrganizationShape::of(record, record.managed == Some(true))), COLUMNS)
}

async fn show(desk: &Desk, slug: &OrganizationSlug) -> Result<Shown, Failure> {
    let all = desk.directory.organizations(&desk.tenant, desk.now).await?;
    let record = all.iter().find(|record| record.slug == *slug);
    let record = record.ok_or_else(|| crate::commands::look::unknown("organization", slug.as_str()))?;
    Shown::one(&OrganizationShape::of(record, record.managed == Some(true)))
}

async fn members(desk: &Desk, slug: &OrganizationSlug) -> Result<Shown, Failure> {
    let (mut shown, mut after) = (vec![], None);
    loop {
        let page = desk.directory.members_of(&desk.tenant, slug, after, PAGE, desk.now).await?;
        shown.extend(page.iter().filter_map(|p| Some(Member::of(p, p.membership(slug)?))));
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id),
            _ => return Shown::list(shown, &["id", "user", "role", "source", "since"]),
        }
    }
}

async fn create(desk: &Desk, new: NewOrganization) -> Result<Shown, Failure> {
    let managed = new.managed;
    let record = desk.directory.create_organization(&desk.tenant, desk.operator(), new, desk.now).await?;
    Shown::one(&OrganizationShape::of(&record, managed))
}

async fn set_role(
    desk: &Desk,
    slug: &OrganizationSlug,
    person: &PersonArgument,
    role: RoleWord,
) -> Result<Shown, Failure> {
    let role = match role {
        RoleWord::Member => Role::Member,
        RoleWord::Owner => Role::Owner,
    };
    let (id, actor) = (desk.person(person), desk.operator());
    let changed = desk.directory.set_role(&desk.tenant, actor, slug, id, role, desk.now).await?;
    match changed.membership(slug) {
        Some(member) => Shown::one(&MembershipShape::of(&changed, member)),
        None => Err(crate::commands::look::unknown("member", person.as_str())),
    }
}

async fn remove(desk: &Desk, slug: &OrganizationSlug, person: &PersonArgument) -> Result<Shown, Failure> {
    let (id, actor) = (desk.person(person), desk.operator());
    desk.directory.remove_member(&desk.tenant, actor, slug, id, desk.now).await?;
    Ok(Shown::Done(format!("{id} is no member of {slug} any more")))
}
