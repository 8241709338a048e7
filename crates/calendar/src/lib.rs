//! Free capacity over time: one structure for nodes, bytes and bandwidth.
//!
//! A [`Profile`] says how much of one thing is free at every moment from now on. Its questions are
//! the planner's: what is free then, when is this much free for this long, how fast can this volume
//! pour through. Its two changes are `take` and `give`, and a change that does not fit is an answer
//! that leaves everything as it was. A clone costs nothing until one of the two is changed, so a
//! what-if is a clone. Every search counts what it did in a [`Work`], which is how planning is
//! bounded without a clock.
//!
//! Deliberately absent: who holds what (the world knows), what the amounts are (nodes, bytes, bits
//! per second: the caller knows), and less than nothing free: a calendar cannot be overcommitted.
//!
//! Intervals are half-open, `[from, until)`. One that ends at [`model::Moment::MAX`] never ends.

mod block;
mod pour;
mod profile;
mod work;

pub use pour::{Pouring, pour};
pub use profile::{Misfit, Profile, Segment};
pub use work::Work;
