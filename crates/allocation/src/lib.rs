//! Who ought to get how much of which pool, by linear programs.
//!
//! [`fair`] answers for a whole [`Problem`]: classes of alike jobs, the choices each has, the
//! resources these use, and the tree of tenants they are of. It is weighted lexicographic max-min:
//! nobody's throughput can be raised without lowering that of somebody who has no more. With it come
//! the prices of the resources, and the share of time each class gets of each choice. [`even`] is its
//! first level alone.
//!
//! The size of the answer's work is that of classes and resources, not of jobs: alike jobs are one
//! class ([`Gathering`]), and where all differ there are as many classes as jobs and still only as many
//! stages as resources (see [`fair`]).
//!
//! Amounts are plain floats, in the units of whoever asks: shares and prices are advice, never state.
//! Deterministic; one thread.
//!
//! Deliberately absent: jobs, tenants by name, pools and centers. Who asks numbers them.

mod error;
mod fair;
mod gather;
mod linear;
mod load;
mod makespan;
mod price;
mod priced;
mod problem;
mod round;
mod timeline;
mod water;

pub use error::Error;
pub use fair::{Fair, Stage, even, fair, fair_from};
pub use gather::Gathering;
pub use linear::{Program, Row, Solution, Unsolved};
pub use makespan::{Binding, soonest_end};
pub use priced::{Place, Priced, Run, completion_bound};
pub use problem::{Choice, Class, Node, NodeNumber, Problem, ResourceNumber, Uses};
pub use round::{Active, Gavel, Goal, Rounds};
pub use timeline::{Counts, Task, Timeline, moments, timeline};
