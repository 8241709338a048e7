//! Products of matrices (GEMM), by a library that uses the processor's vector units.

use crate::Error;
use crate::crew::{cores, together};
use crate::pace::Pace;
use model::{Figure, Unit};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, LinalgScalar};
use std::hint::black_box;

/// The figure of single precision.
pub(crate) const SINGLE: &str = "gemm-f32";
/// The figure of double precision.
pub(crate) const DOUBLE: &str = "gemm-f64";

/// Rows and columns of each matrix: large enough that nearly all time goes into multiplying.
const SIDE: usize = 768;

/// Factors and product of one core.
struct Task<T> {
    a: Array2<T>,
    b: Array2<T>,
    product: Array2<T>,
}

/// Products in single precision.
pub(crate) fn single(pace: Pace) -> Result<Figure, Error> {
    of::<f32>(SINGLE, (1.5, 0.25), pace)
}

/// Products in double precision.
pub(crate) fn double(pace: Pace) -> Result<Figure, Error> {
    of::<f64>(DOUBLE, (1.5, 0.25), pace)
}

fn of<T>(name: &str, (a, b): (T, T), pace: Pace) -> Result<Figure, Error>
where
    T: LinalgScalar + Send + Sync + Into<f64>,
{
    let cores = cores();
    let full = |value| Array2::from_elem((SIDE, SIDE), value);
    let task = || Task { a: full(a), b: full(b), product: full(T::zero()) };
    let mut tasks: Vec<Task<T>> = (0..cores).map(|_| task()).collect();
    // A product is a multiplication and an addition for each of so many triples.
    let operations = 2 * (SIDE as u64).pow(3);
    let multiply = |task: &mut Task<T>| {
        general_mat_mul(T::one(), &task.a, &task.b, T::zero(), &mut task.product);
        black_box(&task.product);
    };
    let samples = pace.repeat(|| {
        let rate = together(&mut tasks, (pace.window, operations), multiply);
        let right = a.into() * b.into() * SIDE as f64;
        let all = tasks.iter().flat_map(|task| task.product.iter());
        match all.map(|found| (*found).into()).find(|found: &f64| (found - right).abs() > 1e-3) {
            Some(found) => Err(Error::Miscalculated { right, found }),
            None => Ok(rate),
        }
    })?;
    let how = format!(
        "{SIDE} x {SIDE} matrices, one product a core on {cores} cores at once, by the library \
         matrixmultiply"
    );
    Ok(Figure { name: name.to_owned(), unit: Unit::FlopPerSecond, samples, how })
}
