//! Other policies, in a lean simulation of their own.
