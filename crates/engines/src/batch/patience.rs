//! How long people say that something may take.

use model::Span;
use serde::{Deserialize, Deserializer, de};

/// Reads a span as people write it, such as `10m`.
pub(crate) fn span<'de, D: Deserializer<'de>>(text: D) -> Result<Span, D::Error> {
    let text = String::deserialize(text)?;
    text.parse().map_err(|error| de::Error::custom(format!("`{text}`: {error}")))
}
