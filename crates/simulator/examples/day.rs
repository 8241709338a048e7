//! Plays a scenario with the real thing and says what it cost: `day FILE CHIPS_DIR [DATA_DIR]`.

use model::file::Catalog;
use simulator::scenario::{Contender, Scenario, Told};
use std::time::Instant;

/// As in `portolan`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, chips, ..] = words.as_slice() else {
        return Err("usage: day FILE CHIPS_DIR [DATA_DIR]".into());
    };
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(chips)? {
        let path = entry?.path();
        texts.push((path.display().to_string(), std::fs::read_to_string(&path)?));
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (&**n, &**t)).collect();
    let catalog = Catalog::read(&texts).map_err(|wrong| format!("{wrong:?}"))?;
    let told = Told { data: words.get(2).map(Into::into), ..Told::default() };
    let scenario = Scenario::open(file.as_ref(), &told, &catalog)?;
    let case = scenario.case(None, 1)?;
    let (began, mut arrived) = (Instant::now(), 0_u64);
    let mut each = || {
        arrived += 1;
        if arrived.is_multiple_of(20_000) {
            eprintln!("{arrived} jobs, {:.1} s, {} MiB", began.elapsed().as_secs_f64(), mib());
        }
    };
    let played = case.play(Contender::Portolan { aim: None, without: None }, &mut each)?;
    println!(
        "{} jobs in {:.1} s, at most {} MiB",
        case.jobs(),
        began.elapsed().as_secs_f64(),
        mib()
    );
    println!("{:?}\n{:?}", played.counts, played.summary);
    println!("{} violations {:?}", played.violations.len(), played.violations.first());
    for sample in played.samples.iter().step_by(played.samples.len() / 24 + 1) {
        println!("{sample:?}");
    }
    Ok(())
}

/// The most memory this program ever held.
fn mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}
