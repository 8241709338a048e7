//! Money: nothing costs less than nothing.

use crate::promise::{Findings, Promise};
use model::{Center, Link, Money};
use std::fmt::Display;

/// Judges one price.
pub(crate) fn judge(what: &dyn Display, price: Money, found: &mut Findings) {
    found.judge(Promise::Money, price.micros >= 0, || {
        format!("{what} is priced at {} millionths of {}", price.micros, price.currency)
    });
}

/// Judges what a center's pools cost.
pub(crate) fn judge_center(center: &Center, found: &mut Findings) {
    for pool in &center.pools {
        judge(&format_args!("{}/{}", center.center, pool.pool), pool.price_per_hour, found);
    }
}

/// Judges what a link costs.
pub(crate) fn judge_link(link: &Link, found: &mut Findings) {
    judge(&link.link, link.price_per_gbps_hour, found);
}
