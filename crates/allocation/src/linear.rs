//! Linear programs, as clarabel solves them.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus,
    SupportedConeT, ZeroConeT,
};

/// The program was not solved: it has no solution, or no precise one was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a linear program of {columns} columns and {rows} rows was not solved: {status}")]
pub struct Unsolved {
    /// Its unknowns.
    pub columns: usize,
    /// Its rows.
    pub rows: usize,
    /// In the solver's word.
    pub status: String,
}

/// What a row's sum has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    AtMost,
    Exactly,
}

/// A row of a program, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row(usize);

/// Minimize a sum over unknowns that are zero or more, under rows of sums.
#[derive(Debug, Clone, Default)]
pub struct Program {
    costs: Vec<f64>,
    columns: Vec<Vec<(usize, f64)>>,
    rows: Vec<(Sense, f64)>,
}

/// The least sum, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The sum.
    pub cost: f64,
    /// The unknowns, in order.
    pub values: Vec<f64>,
    /// By how much the sum falls for one more on the right of a row, in the order of rows.
    pub prices: Vec<f64>,
}

impl Solution {
    /// By how much the sum falls for one more on the right of this row.
    #[must_use]
    pub fn price(&self, Row(row): Row) -> f64 {
        self.prices[row]
    }
}

/// How far from the least a solution may be, of its size; where that is not to be had, the next.
const PRECISION: [f64; 3] = [1e-10, 1e-8, 1e-6];

impl Program {
    /// A row whose sum is at most so much.
    pub fn at_most(&mut self, most: f64) -> Row {
        self.rows.push((Sense::AtMost, most));
        Row(self.rows.len() - 1)
    }

    /// A row whose sum is exactly so much.
    pub fn exactly(&mut self, sum: f64) -> Row {
        self.rows.push((Sense::Exactly, sum));
        Row(self.rows.len() - 1)
    }

    /// An unknown with its cost and what one of it adds to rows; says its place.
    pub fn unknown(&mut self, cost: f64, adds: impl IntoIterator<Item = (Row, f64)>) -> usize {
        let adds = adds.into_iter().filter(|(_, by)| *by != 0.0);
        self.columns.push(adds.map(|(Row(row), by)| (row, by)).collect());
        self.costs.push(cost);
        self.costs.len() - 1
    }

    /// How many unknowns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.costs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.costs.is_empty()
    }

    /// The least sum.
    ///
    /// # Errors
    ///
    /// When there is none: no unknowns satisfy the rows, or the sum has no least.
    pub fn least(&self) -> Result<Solution, Unsolved> {
        let unsolved =
            |status: String| Unsolved { columns: self.costs.len(), rows: self.rows.len(), status };
        // The solver wants rows of one sense together: sums that are given first, then those that
        // have a most, then that each unknown is zero or more.
        let exact = self.rows.iter().filter(|(sense, _)| *sense == Sense::Exactly).count();
        let (mut next_exact, mut next_most) = (0, exact);
        let mut places = Vec::with_capacity(self.rows.len());
        for (sense, _) in &self.rows {
            let next = if *sense == Sense::Exactly { &mut next_exact } else { &mut next_most };
            places.push(*next);
            *next += 1;
        }
        let (columns, rows) = (self.costs.len(), self.rows.len());
        let mut right = vec![0.0; rows + columns];
        for (place, (_, most)) in places.iter().zip(&self.rows) {
            right[*place] = *most;
        }
        let matrix = self.matrix(&places);
        let square = CscMatrix::zeros((columns, columns));
        let cones: [SupportedConeT<f64>; 2] =
            [ZeroConeT(exact), NonnegativeConeT(rows - exact + columns)];
        let mut status = SolverStatus::Unsolved;
        for precision in PRECISION {
            let settings = DefaultSettingsBuilder::default()
                .verbose(false)
                .tol_gap_abs(precision)
                .tol_gap_rel(precision)
                .tol_feas(precision)
                .presolve_enable(false)
                .build()
                .expect("these settings are the solver's own");
            let solver =
                DefaultSolver::new(&square, &self.costs, &matrix, &right, &cones, settings);
            let mut solver = solver.map_err(|said| unsolved(format!("{said:?}")))?;
            solver.solve();
            let found = &solver.solution;
            status = found.status;
            if matches!(status, SolverStatus::Solved | SolverStatus::AlmostSolved) {
                return Ok(Solution {
                    cost: found.obj_val,
                    values: found.x.iter().map(|x| x.max(0.0)).collect(),
                    prices: places.iter().map(|place| found.z[*place]).collect(),
                });
            }
        }
        Err(unsolved(format!("{status:?}")))
    }

    fn matrix(&self, places: &[usize]) -> CscMatrix<f64> {
        let (columns, rows) = (self.costs.len(), self.rows.len());
        let mut starts = Vec::with_capacity(columns + 1);
        let (mut at, mut by) = (Vec::new(), Vec::new());
        let mut column: Vec<(usize, f64)> = Vec::new();
        starts.push(0);
        for (nth, adds) in self.columns.iter().enumerate() {
            column.clear();
            column.extend(adds.iter().map(|(row, by)| (places[*row], *by)));
            column.sort_unstable_by_key(|(row, _)| *row);
            column.push((rows + nth, -1.0));
            for (row, amount) in &column {
                at.push(*row);
                by.push(*amount);
            }
            starts.push(at.len());
        }
        CscMatrix::new(rows + columns, columns, starts, at, by)
    }
}
