//! The caller's own.
use crate::api::{
    call::{Answer, Call},
    problem::Problem,
    shape::User,
};

pub async fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    Ok(Answer::ok(&User::of(call.caller, call.tenant.slug.as_str())))
}
