//! What one direction of a link is like.

use crate::{Delay, Loss, WanError};
use model::{Bytes, NotAnAmount, Rate};
use std::str::FromStr;

/// The largest IP packet that goes over a link whole.
pub(crate) const MTU: u64 = 1_500;

/// What one direction of a link does to packets. Rates and queues count bytes of IP packets,
/// without anything around them on a real wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quality {
    /// How fast packets go on the line; none: as fast as this machine can.
    pub rate: Option<Rate>,
    /// How long each packet is under way once it is on the line.
    pub delay: Delay,
    /// How much longer a packet may take, each its own time between none and this, all equally
    /// likely. No packet overtakes the one before, so packets close behind one another take the
    /// longest time of those before them.
    pub jitter: Delay,
    /// How much may wait for the line; none: see [`Quality::room`].
    pub queue: Option<Bytes>,
    /// The share of packets that is lost on the line, each by chance of its own.
    pub loss: Loss,
}

impl Quality {
    /// How much may wait for the line: what `queue` says, else what fits on the way there and back
    /// (rate times twice the delay), but at least 64 packets of 1,500 bytes.
    #[must_use]
    pub fn room(&self) -> Bytes {
        self.queue.unwrap_or_else(|| {
            let rate = u128::from(self.rate.map_or(0, |rate| rate.0));
            let product = rate * u128::from(self.delay.nanos()) * 2 / 8 / 1_000_000_000;
            Bytes(u64::try_from(product).unwrap_or(u64::MAX).max(64 * MTU))
        })
    }

    /// Sets one key from text, as in `rate=500M`: keys and amounts as in a topology file; a rate may
    /// be as short as `500M`, and `rate=unlimited` takes the limit away.
    ///
    /// # Errors
    ///
    /// When the key is unknown or the text no amount of its kind; nothing is changed then.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), WanError> {
        match key {
            "rate" if text == "unlimited" => self.rate = None,
            "rate" => self.rate = Some(rate(text)?),
            "delay" => self.delay = amount(text)?,
            "jitter" => self.jitter = amount(text)?,
            "queue" => self.queue = Some(amount(text)?),
            "loss" => self.loss = amount(text)?,
            _ => {
                return Err(WanError::Setting {
                    said: format!("`{key}` is nothing a link has"),
                    expected: "one of `rate`, `delay`, `jitter`, `queue`, `loss`".to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn amount<T: FromStr<Err = NotAnAmount>>(text: &str) -> Result<T, WanError> {
    text.parse().map_err(WanError::amount)
}

/// A rate above zero, its unit perhaps shortened to its prefix.
fn rate(text: &str) -> Result<Rate, WanError> {
    let rate = text.parse().or_else(|wrong| format!("{text}bit/s").parse().map_err(|_| wrong));
    positive(rate.map_err(WanError::amount)?).map_err(WanError::amount)
}

/// A line without speed would hold its packets for ever; that is what cutting is for.
pub(crate) fn positive(rate: Rate) -> Result<Rate, NotAnAmount> {
    if rate == Rate::ZERO {
        return Err(NotAnAmount {
            expected: "a rate above zero; cut the link where nothing shall pass",
            found: rate.to_string(),
        });
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_holds_what_fits_on_the_way_there_and_back_and_never_too_little() {
        let mut quality = Quality::default();
        assert_eq!(quality.room(), Bytes(96_000));
        quality.set("rate", "1 Gbit/s").unwrap();
        quality.set("delay", "2.5ms").unwrap();
        assert_eq!(quality.room(), Bytes(625_000));
        quality.set("queue", "12.5 MB").unwrap();
        assert_eq!(quality.room(), Bytes(12_500_000));
    }

    #[test]
    fn keys_are_set_from_short_text_and_what_is_wrong_changes_nothing() {
        let mut quality = Quality::default();
        for (key, text) in [("rate", "500M"), ("loss", "1%"), ("jitter", "1ms")] {
            quality.set(key, text).unwrap();
        }
        assert_eq!(quality.rate, Some(Rate(500_000_000)));
        let before = quality;
        for (key, text) in [("rate", "fast"), ("rate", "0"), ("rate", "0M"), ("speed", "1 Mbit/s")]
        {
            let wrong = quality.set(key, text).unwrap_err().to_string();
            assert!(wrong.contains("expected"), "{wrong}");
        }
        assert_eq!(quality, before);
        quality.set("rate", "unlimited").unwrap();
        assert_eq!(quality.rate, None);
    }
}
