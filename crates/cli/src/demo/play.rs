//! The demo's load: who submits what, and how it is foreseen to end.

use anyhow::Context;
use client::{Client, Submission};
use model::file::job::JobFile;
use model::{JobId, TenantId};
use serde::Deserialize;

const JOBS: &str = include_str!("../../../../catalog/demo/jobs.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    play: Vec<Play>,
}

/// Some alike jobs of a tenant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Play {
    tenant: TenantId,
    expect: String,
    #[serde(default = "one")]
    count: u32,
    job: JobFile,
}

const fn one() -> u32 {
    1
}

/// A job of the demo.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Its number.
    pub job: JobId,
    /// The state it is foreseen to come to.
    pub expect: String,
}

/// Submits all of it for its tenants, the alike ones together.
pub(crate) async fn submit(operator: &Client) -> anyhow::Result<Vec<Part>> {
    let script: Script = toml::from_str(JOBS).context("the demo's jobs cannot be read")?;
    let mut parts = Vec::new();
    for play in script.play {
        let jobs = vec![play.job; play.count as usize];
        let submission = Submission { jobs, tenant: Some(play.tenant), key: None };
        let submitted = operator.submit(&submission).await?;
        let mut job = submitted.first;
        for _ in 0..submitted.count {
            parts.push(Part { job, expect: play.expect.clone() });
            job = job.next();
        }
    }
    Ok(parts)
}
