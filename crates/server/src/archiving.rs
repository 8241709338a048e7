//! Ended jobs on their way into the archive, and out of it for those who ask.

use api::gate::{ArchiveQuery, Reply};
use model::JobId;
use model::job::Job;
use std::sync::Arc;
use store::archive::{Archive, ArchivedJob, Filter};

/// How many are written out at a time: each with its own copy of what an array has once in memory.
const AT_ONCE: usize = 1_000;

/// Puts ended jobs into the archive. Where that fails, those before have been put there already, and may
/// be put there again.
pub(crate) async fn put(
    archive: &Archive,
    jobs: &[Arc<Job>],
    cursor: u64,
) -> Result<(), store::Error> {
    for part in jobs.chunks(AT_ONCE) {
        let rows: Vec<ArchivedJob> = part.iter().map(|job| row(job)).collect();
        archive.put(&rows, cursor).await?;
    }
    Ok(())
}

fn row(job: &Job) -> ArchivedJob {
    let ended = match &job.phase {
        model::Phase::Ended { at, .. } => at.0,
        _ => 0,
    };
    ArchivedJob {
        job: job.job.number(),
        tenant: job.spec.tenant.to_string(),
        name: job.spec.name.clone(),
        state: job.word().to_owned(),
        submitted: job.submitted.0,
        ended,
        doc: serde_json::to_vec(job).expect("a job has only text keys"),
    }
}

/// Answers what is asked of it.
pub(crate) async fn look_up(
    archive: Archive,
    query: ArchiveQuery,
    reply: Reply<Result<Vec<Arc<Job>>, String>>,
) {
    let rows = match query {
        ArchiveQuery::Job(job) => {
            archive.get(job.number()).await.map(|row| row.into_iter().collect::<Vec<_>>())
        }
        ArchiveQuery::List { tenant, state, name, before, limit } => {
            let filter = Filter {
                tenant: tenant.map(|t| t.to_string()),
                state,
                name,
                before: before.map(JobId::number),
            };
            archive.list(&filter, u32::try_from(limit).unwrap_or(u32::MAX)).await
        }
    };
    let jobs = rows.map_err(|e| e.to_string()).and_then(|rows| {
        let read = |row: ArchivedJob| serde_json::from_slice::<Job>(&row.doc).map(Arc::new);
        rows.into_iter().map(read).collect::<Result<_, _>>().map_err(|e| e.to_string())
    });
    let _ = reply.send(jobs);
}
