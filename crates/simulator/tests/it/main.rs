//! Whole runs: the same twice, whatever goes wrong, and noticed when a bug is planted.

mod fault;
mod scenario;
