//! What transfers carried on the wire.

use super::exact;
use super::hands::Place;
use anyhow::{Context, Result, ensure};

/// A packet of IPv4 on Ethernet's usual 1,500 bytes, and the data in it beside 20 bytes of IP's
/// headers and 32 of TCP's, time stamps included (RFC 791, RFC 9293, RFC 7323).
const PACKET: f64 = 1_500.0;
const DATA: f64 = 1_448.0;

/// The bytes that left through the transfers' classes of a device, as the kernel counts them.
pub(crate) fn sent(place: Place<'_>, device: &str) -> Result<u64> {
    let shown = place("tc").args(["-s", "class", "show", "dev", device]).output();
    let shown = shown.context("cannot run tc; apt-get install iproute2")?;
    ensure!(shown.status.success(), "tc: {}", String::from_utf8_lossy(&shown.stderr));
    let (text, mut all, mut transfer) = (String::from_utf8(shown.stdout)?, 0, false);
    for line in text.lines() {
        if let Some(class) = line.strip_prefix("class htb ") {
            // 50:1 is everybody else, and 50:ffff all together.
            transfer = !class.starts_with("50:1 ") && !class.starts_with("50:ffff ");
        } else if let Some(sent) = line.trim_start().strip_prefix("Sent ").filter(|_| transfer) {
            all += sent.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(all)
}

/// What so much data is on the wire where nobody counts it.
pub(crate) fn with_headers(data: u64) -> f64 {
    exact(data) * PACKET / DATA
}
