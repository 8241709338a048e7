//! Documents people write: text in, words or diagnostics out.
