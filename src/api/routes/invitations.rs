//! Offers of membership: listed, made, sent again and withdrawn.
use serde::Deserialize;

use super::{cut, members::RoleWord};
use crate::{
    api::{
        call::{Answer, Call},
        problem::Problem,
        shape::InvitationShape,
    },
    directory::{Cause, InvitationPage, InvitationState, Invite},
    domain::{InvitationId, InvitationReference, InvitationSource, Role},
    telemetry::Trigger,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    email: String,
    #[serde(default)]
    role: Option<RoleWord>,
}

pub async fn pending(call: &Call<'_>) -> Result<Answer, Problem> {
    list(call, InvitationState::Pending).await
}

pub async fn failed(call: &Call<'_>) -> Result<Answer, Problem> {
    list(call, InvitationState::Failed).await
}

async fn list(call: &Call<'_>, state: InvitationState) -> Result<Answer, Problem> {
    let after = call.query.parsed("after", InvitationReference::parse)?;
    let (organization, per_page) = (call.organization()?, call.query.per_page());
    let wanted = InvitationPage { state, after, limit: per_page + 1 };
    let found = call.directory.invitations(call.tenant.id, organization, wanted, call.now);
    let (mut found, reached) = found.await?;
    let next = match cut(&mut found, per_page) {
        true => found.last().map(|(reference, _)| *reference),
        false => reached,
    };
    let next = next.map(|reference| reference.to_string());
    let shown: Vec<InvitationShape> =
        found.iter().map(|(_, invitation)| InvitationShape::of(invitation, call.now)).collect();
    Ok(Answer::page(&shown, next))
}

pub async fn create(call: &Call<'_>) -> Result<Answer, Problem> {
    let New { email, role } = call.read()?;
    let invite = Invite {
        organization: call.organization()?,
        email: &email,
        role: role.map_or(Role::Member, Role::from),
        source: InvitationSource::Manual,
        person: None,
    };
    let made = call.directory.invite(call.tenant, &invite, by_owner(call), call.now).await;
    let made = made.map_err(|error| call.invite_problem(error))?;
    Ok(Answer::created(&InvitationShape::of(&made, call.now)))
}

pub async fn resend(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, id) = (call.organization()?, call.id("invitation", InvitationId::parse)?);
    let sent =
        call.directory.resend_invitation(call.tenant, organization, id, by_owner(call), call.now).await;
    let sent = sent.map_err(|error| call.invite_problem(error))?;
    Ok(Answer::ok(&InvitationShape::of(&sent, call.now)))
}

pub async fn cancel(call: &Call<'_>) -> Result<Answer, Problem> {
    let (organization, id) = (call.organization()?, call.id("invitation", InvitationId::parse)?);
    let cancelled =
        call.directory.cancel_invitation(call.tenant, organization, id, by_owner(call), call.now).await;
    cancelled.map_err(|error| call.invite_problem(error))?;
    Ok(Answer::done())
}

fn by_owner<'a>(call: &Call<'a>) -> Cause<'a> {
    Cause::by(Trigger::Owner, Some((call.caller.person, &call.caller.user)), call.request_id)
}
