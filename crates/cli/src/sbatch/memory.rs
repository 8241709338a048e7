//! Memory as Slurm writes it: whole numbers of megabytes, or with a letter for another unit.

use model::Bytes;

/// The forms of memory, for messages.
pub(crate) const FORMS: &str =
    "write a whole number of megabytes, or with K, M, G or T such as `16G`";

/// Reads an amount of memory. As in Slurm, units are powers of 1024, and kilobytes are rounded up to
/// megabytes. None where it is no amount.
pub(crate) fn memory(text: &str) -> Option<Bytes> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (figure, unit) = text.split_at(end);
    let figure: u64 = figure.parse().ok()?;
    let unit = unit.strip_suffix(['b', 'B']).filter(|unit| !unit.is_empty()).unwrap_or(unit);
    let mebibytes = match unit {
        "k" | "K" => Some(figure.div_ceil(1_024)),
        "" | "m" | "M" => Some(figure),
        "g" | "G" => figure.checked_mul(1 << 10),
        "t" | "T" => figure.checked_mul(1 << 20),
        _ => None,
    };
    mebibytes?.checked_mul(1 << 20).map(Bytes)
}

/// An amount as a job file has it.
pub(crate) fn written(memory: Bytes) -> String {
    let Bytes(bytes) = memory;
    match bytes {
        whole if whole % (1 << 30) == 0 => format!("{} GiB", whole >> 30),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_with_every_unit_that_slurm_takes() {
        for (text, expected) in [
            ("4096", "4 GiB"),
            ("500", "500 MiB"),
            ("4G", "4 GiB"),
            ("4GB", "4 GiB"),
            ("4gb", "4 GiB"),
            ("1T", "1024 GiB"),
            ("300k", "1 MiB"),
            ("1536M", "1536 MiB"),
            ("0", "0 GiB"),
        ] {
            assert_eq!(memory(text).map(written).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "G", "1.5G", "4GiB", "10x", "-5", "4 G", "B", "4B", "99999999999999999999"]
        {
            assert_eq!(memory(text), None, "{text}");
        }
    }
}
