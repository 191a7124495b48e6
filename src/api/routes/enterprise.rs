//! The enterprise as a whole, for its owners.
use crate::{
    api::{
        call::{Answer, Call},
        problem::Problem,
        shape::{AuditEntryShape, PlanShape, RestoredShape},
    },
    directory::{AuditFilter, AuditQuery},
    domain::{BatchId, Timestamp},
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

/// What was done in the enterprise, with the chain that shows whether any of it is missing.
pub async fn audit(call: &Call<'_>) -> Result<Answer, Problem> {
    let text = |name| call.query.text(name).map(str::to_owned);
    let time = |name| call.query.parsed(name, |text| text.parse::<Timestamp>().ok());
    let query = AuditQuery {
        filter: AuditFilter {
            action: text("action"),
            user: text("person"),
            actor: text("actor"),
            // Account names are compared in any letter case.
            organization: text("org").map(|org| org.to_ascii_lowercase()),
            trigger: text("trigger"),
            since: time("since")?,
            until: time("until")?,
        },
        after: call.query.parsed("after", |text| text.parse().ok())?,
        newest_first: call.query.text("order") == Some("newest"),
        limit: call.query.per_page(),
    };
    let page = call.directory.audit_entries(call.tenant.id, &query).await?;
    let next = (!page.is_end).then(|| page.reached.to_string());
    let shown: Vec<AuditEntryShape> = page.entries.into_iter().map(AuditEntryShape::of).collect();
    Ok(Answer::page(&shown, next))
}
