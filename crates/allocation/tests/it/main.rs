//! Fair shares against a slow, obvious way to the same, and against hand-made answers.

mod fair;
mod time;
mod tree;
