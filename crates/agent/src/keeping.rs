//! Taking a completed attempt's outputs into the store.

use crate::Shared;
use crate::home;
use engines::{AnyEngine, Engine};
use model::AttemptId;
use std::path::Path;
use wire::{MadeOutput, RunOutput};

/// Where an output is below the attempt's work directory.
pub(crate) fn output_dir(name: &str) -> std::path::PathBuf {
    Path::new("outputs").join(name)
}

/// Moves the attempt's outputs into the store. May be repeated: what a try before a crash moved is
/// noted down first, and found again.
pub(crate) fn keep(
    shared: &Shared,
    engine: &AnyEngine,
    attempt: AttemptId,
    outputs: &[RunOutput],
) -> Result<Vec<MadeOutput>, String> {
    let note = shared.home.kept(attempt);
    let noted: Option<Vec<MadeOutput>> = home::read(&note).map_err(|e| e.to_string())?;
    let work = engine.workdir(attempt).ok_or("the engine keeps no work directory")?;
    let made = match noted {
        Some(made) => made,
        None => {
            let made = outputs
                .iter()
                .map(|output| survey(&work, output))
                .collect::<Result<Vec<_>, _>>()?;
            home::write(&note, &made).map_err(|e| e.to_string())?;
            made
        }
    };
    for output in &made {
        if !shared.store.has(&output.data) {
            let dir = work.join(output_dir(&output.name));
            let dataset = &output.data.dataset;
            shared.store.adopt(dataset, &dir).map_err(|e| told(&output.name, &e))?;
        }
    }
    Ok(made)
}

fn survey(work: &Path, output: &RunOutput) -> Result<MadeOutput, String> {
    let dir = work.join(output_dir(&output.name));
    let manifest = transfer::survey(&dir).map_err(|e| told(&output.name, &e))?;
    let dataset = output.dataset.clone();
    Ok(MadeOutput {
        name: output.name.clone(),
        data: model::DatasetVersion { dataset, version: manifest.version() },
        bytes: manifest.bytes(),
        files: manifest.files.len() as u64,
    })
}

fn told(name: &str, error: &transfer::TransferError) -> String {
    format!("output `{name}`: {error}")
}
