//! The chip catalog that is shipped with the program.

use crate::failure::Failure;
use model::file::Catalog;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../catalog/chips"]
#[include = "*.toml"]
struct Shipped;

/// The shipped catalog and these chip files, which may describe a shipped chip anew.
pub(crate) fn with(files: &[(&str, &str)]) -> Result<Catalog, Failure> {
    let own = Catalog::read(files)?;
    let shipped: Vec<(String, String)> = Shipped::iter()
        .filter_map(|name| {
            let text = String::from_utf8_lossy(&Shipped::get(&name)?.data).into_owned();
            Some((name.to_string(), text))
        })
        .collect();
    let shipped: Vec<(&str, &str)> =
        shipped.iter().map(|(name, text)| (&**name, &**text)).collect();
    let shipped = Catalog::read(&shipped)?;
    Ok(shipped.chips().chain(own.chips()).cloned().collect())
}
