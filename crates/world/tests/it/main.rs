//! The world as stories: facts in, what it makes of them out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing helper fails its test")]

mod promise;
