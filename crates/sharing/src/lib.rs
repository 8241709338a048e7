//! Quotas, reclaim and fair share between tenants, as arithmetic.
//!
//! Three doors:
//!
//! * [`Usage`] (under [`Quotas`]) says who may use how much: what a tenant has left and what bounds
//!   it ([`Usage::room`]), and whether more would do ([`Usage::admits`]). Words and semantics are
//!   Kueue's, see [`Quotas`].
//! * [`reclaim()`] says who has to go so that a job fits, and [`choose`] in which of several flavors it
//!   should go.
//! * [`Standings`] says whose turn it is: decayed use against weights, level by level from the root.
//!
//! `Usage` and `Standings` are values that the caller keeps true change by change. A clone of either
//! costs next to nothing until it is written to, so a what-if is a clone.
//!
//! Deliberately absent: clocks, jobs' states and queues (the world knows), what of a pool is free
//! (the calendars know), which pools are lent to whom and when (a center's own rule), and money.

mod denied;
mod error;
mod fungibility;
mod quota;
mod reclaim;
mod room;
mod sheet;
mod standing;
mod tree;
mod usage;

pub use denied::{Bound, Denied, Limit};
pub use error::Error;
pub use fungibility::{Choice, Fungibility, Verdict, WhenCanBorrow, WhenCanPreempt, choose};
pub use quota::Quotas;
pub use reclaim::{Asking, Holder, NotReclaimed, Reclaim, Victim, Why, reclaim};
pub use room::{Account, Borrowed, Room};
pub use standing::{Draw, Level, Resource, Round, Share, Standing, Standings, Totals, Turn};
pub use usage::{Claim, Count, Usage};
