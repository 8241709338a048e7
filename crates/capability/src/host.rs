//! What Linux says of the machine.

use std::fs::read_to_string;
use wire::view::Host;

/// The machine this runs on.
#[must_use]
pub fn of_this_machine() -> Host {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let cpu = value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = u32::try_from(crate::crew::cores()).unwrap_or(u32::MAX);
    Host { name, cpu, cores, memory_bytes: kibibytes("MemTotal") }
}

/// What of memory can be had without taking it from others, in bytes.
pub(crate) fn free_memory() -> u64 {
    kibibytes("MemAvailable")
}

/// The largest cache of the first core, in bytes.
pub(crate) fn largest_cache() -> Option<u64> {
    let size = |nth: u32| {
        let text = read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{nth}/size"));
        let text = text.ok()?;
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let scale = match &text[digits.len()..] {
            "K" => 1 << 10,
            "M" => 1 << 20,
            _ => 1,
        };
        Some(digits.parse::<u64>().ok()? * scale)
    };
    (0..8).filter_map(size).max()
}

fn kibibytes(key: &str) -> u64 {
    let text = value("/proc/meminfo", key).unwrap_or_default();
    text.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1_024
}

/// What stands behind the first `key:` of a file.
fn value(file: &str, key: &str) -> Option<String> {
    let text = read_to_string(file).ok()?;
    let pair = |line: &str| line.split_once(':').map(|(k, v)| (k.trim().to_owned(), v.to_owned()));
    let found = text.lines().filter_map(pair).find(|(k, _)| k == key);
    found.map(|(_, value)| value.trim().to_owned())
}
