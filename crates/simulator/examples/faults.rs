//! Goes through seeds of faulty networks: `faults FIRST COUNT [BUG]` prints those that fail;
//! `faults FIRST 0` prints the log of one.

use simulator::fault::{Sabotage, sabotaged_run};
use simulator::log::{Nowhere, Sink};

struct Aloud;

impl Sink for Aloud {
    fn take(&mut self, records: &[model::Record]) {
        for record in records {
            let payload = String::from_utf8_lossy(&record.payload);
            let (at, kind) = (record.header.at, &record.header.kind);
            println!("{} {at} {kind} {payload:.700}", record.header.number);
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(or);
    let (first, count) = (number(0, 0), number(1, 100));
    let bug = words.get(2).and_then(|w| {
        Sabotage::ALL.into_iter().find(|bug| format!("{bug:?}").eq_ignore_ascii_case(w))
    });
    if count == 0 {
        let verdict = sabotaged_run(first, bug, &mut Aloud);
        println!("{verdict}\n{:#?}", verdict.violations);
        return;
    }
    let began = std::time::Instant::now();
    let (mut failed, mut jobs, mut offers, mut preempted, mut crashes) = (0, 0, 0, 0, 0);
    for seed in first..first + count {
        let verdict = sabotaged_run(seed, bug, &mut Nowhere);
        jobs += verdict.jobs;
        offers += verdict.counts.offers;
        preempted += verdict.counts.preemptions;
        crashes += verdict.counts.crashes;
        if !verdict.holds() {
            failed += 1;
            println!("{verdict}");
        }
    }
    let took = began.elapsed();
    println!(
        "{count} seeds, {failed} failed, {jobs} jobs, {offers} offers, {preempted} preempted, \
         {crashes} crashes, {took:?}"
    );
}
