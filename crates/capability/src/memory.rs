//! How fast memory is read and written, as the STREAM benchmark's triad counts it.

use crate::crew::{cores, together};
use crate::pace::Pace;
use crate::{Error, host};
use model::{Bytes, Figure, Unit};
use std::hint::black_box;

/// The figure.
pub(crate) const TRIAD: &str = "memory-triad";

/// The least of one array, of all cores together.
const LEAST: u64 = 64 << 20;
/// The most of one: writing it for the first time takes longer than measuring.
const MOST: u64 = 512 << 20;
/// How many times the largest cache an array is, so that little of it is found there.
const TIMES_CACHE: u64 = 4;

/// What one core goes over.
struct Arrays {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
}

/// `a = b + 3 c` over arrays that no cache holds, all cores at once.
pub(crate) fn triad(pace: Pace) -> Result<Figure, Error> {
    let (cores, free) = (cores(), host::free_memory());
    let cache = host::largest_cache().unwrap_or(0);
    let most = if pace.is_quick { LEAST } else { MOST };
    let wanted = (cache * TIMES_CACHE).clamp(LEAST, most);
    // Others use the machine too.
    let array = wanted.min(free / 12);
    if array < LEAST {
        return Err(Error::NoMemory { free, needed: 12 * LEAST });
    }
    let each = usize::try_from(array / 8 / cores as u64).unwrap_or(usize::MAX);
    let mut crew: Vec<Arrays> = Vec::new();
    std::thread::scope(|scope| {
        // Memory is near the core that first writes it.
        let made = || Arrays { a: vec![1.0; each], b: vec![2.0; each], c: vec![0.5; each] };
        let made: Vec<_> = (0..cores).map(|_| scope.spawn(made)).collect();
        crew.extend(made.into_iter().filter_map(|made| made.join().ok()));
    });
    let bytes = each as u64 * 3 * 8;
    let samples = pace.repeat(|| {
        Ok::<u64, Error>(together(&mut crew, (pace.window, bytes), |arrays| {
            let Arrays { a, b, c } = arrays;
            for ((a, b), c) in a.iter_mut().zip(&*b).zip(&*c) {
                *a = *b + 3.0 * *c;
            }
            black_box(&*a);
        }))
    })?;
    let caches = match cache {
        0 => "the size of the caches is not known".to_owned(),
        cache if array >= cache * TIMES_CACHE => format!("{TIMES_CACHE} times the largest cache"),
        cache => format!("the largest cache has {}: some may have been found there", Bytes(cache)),
    };
    let how = format!(
        "STREAM triad on {cores} cores, 3 arrays of {} in all ({caches}); 24 bytes an element",
        Bytes(array)
    );
    Ok(Figure { name: TRIAD.to_owned(), unit: Unit::BytesPerSecond, samples, how })
}
