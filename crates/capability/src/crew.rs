//! All cores at work on the same thing at once.

use crate::pace::rate;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How many cores may be used: of the machine, or as many as affinity and cgroups leave.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What all workers did in a second: each does its `work` again and again for as long as a window lasts,
/// all beginning at once, and `amount` is what one time of it counts as. What ends after the window counts
/// with the time it took.
pub(crate) fn together<W: Send>(
    workers: &mut [W],
    (window, amount): (Duration, u64),
    work: impl Fn(&mut W) + Sync,
) -> u64 {
    let (start, work) = (&Barrier::new(workers.len()), &work);
    std::thread::scope(|scope| {
        let begun: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(move || {
                    start.wait();
                    let began = Instant::now();
                    let mut times = 0;
                    while began.elapsed() < window {
                        work(worker);
                        times += 1;
                    }
                    rate(amount * times, began.elapsed())
                })
            })
            .collect();
        begun.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    })
}
