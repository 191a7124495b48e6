//! The enterprise as a whole, for its owners.
use crate::{
    api::{
        call::{Answer, Call},
        problem::Problem,
        shape::{AuditEntryShape, PlanShape, RestoredShape},
    },
    directory::AuditQuery,
    domain::BatchId,
};

/// Section 4.7: what one batch removed within the last 90 days.
pub async fn restore_batch(call: &Call<'_>) -> Result<Answer, Problem> {
    let batch = call.id("batch", BatchId::parse)?;
    let restored = call.directory.restore_batch(call.tenant, call.actor(), &batch, call.now).await?;
    Ok(Answer::ok(&RestoredShape::of(&restored)))
}

/// What deprovisioning would do, by the last known groups of everybody.
pub async fn plan(call: &Call<'_>) -> Result<Answer, Problem> {
    let settings = call.directory.settings(call.tenant, call.now).await?;
    let preview = call.directory.preview(call.tenant, &settings, call.now).await?;
    Ok(Answer::ok(&PlanShape::of(&preview)))
}

/// What was done in the enterprise, from the oldest entry that is kept on, with the chain that shows whether any is missing.
pub async fn audit(call: &Call<'_>) -> Result<Answer, Problem> {
    let after = call.query.parsed("after", |text| text.parse().ok())?;
    let query = AuditQuery { after, limit: call.query.per_page(), ..AuditQuery::default() };
    let page = call.directory.audit_entries(call.tenant.id, &query).await?;
    let next = (!page.is_end).then(|| page.reached.to_string());
    let shown: Vec<AuditEntryShape> = page.entries.into_iter().map(AuditEntryShape::of).collect();
    Ok(Answer::page(&shown, next))
}
