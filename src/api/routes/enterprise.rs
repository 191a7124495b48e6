//! The enterprise as a whole, for its owners.
use crate::{
    api::{
        call::{Answer, Call},
        problem::Problem,
        shape::{AuditEntryShape, PlanShape, RestoredShape},
    },
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
    let after = call.query.parsed("after", |text| text.parse().ok())?.unwrap_or(0);
    let per_page = call.query.per_page();
    let mut entries = call.directory.audit_entries(call.tenant.id, after, per_page + 1).await?;
    let more = super::cut(&mut entries, per_page);
    let next = entries.last().filter(|_| more).map(|entry| entry.sequence.to_string());
    let shown: Vec<AuditEntryShape> = entries.iter().map(AuditEntryShape::of).collect();
    Ok(Answer::page(&shown, next))
}
