//! Money: always an amount and a currency.

use crate::unit::{Decimal, NotAnAmount, split_unit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An ISO 4217 currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The renminbi.
    pub const CNY: Self = Self(*b"CNY");
}

impl TryFrom<String> for Currency {
    type Error = NotAnAmount;

    fn try_from(text: String) -> Result<Self, NotAnAmount> {
        match *text.as_bytes() {
            [a, b, c] if text.bytes().all(|b| b.is_ascii_uppercase()) => Ok(Self([a, b, c])),
            _ => Err(NotAnAmount { expected: "an ISO 4217 code such as `CNY`", found: text }),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}

/// An amount of money: micro-units of a currency. Amounts of two currencies are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Millionths of the currency's unit.
    pub micros: i64,
    /// Which currency.
    pub currency: Currency,
}

impl Money {
    /// No money.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { micros: 0, currency }
    }

    /// The sum; `None` for two currencies or where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let same = self.currency == other.currency;
        let micros = same.then(|| self.micros.checked_add(other.micros))??;
        Some(Self { micros, currency: self.currency })
    }
}

impl fmt::Display for Money {
    /// Two decimals, rounded half away from zero: `12.50 CNY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (i128::from(self.micros).abs() + 5_000) / 10_000;
        let sign = if self.micros < 0 && hundredths > 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}.{:02} {}", hundredths / 100, hundredths % 100, self.currency))
    }
}

impl FromStr for Money {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let parse = || {
            let (number, unit) = split_unit(text);
            let currency = Currency::try_from(unit.to_owned()).ok()?;
            let micros = Decimal::parse(number)?.times(1_000_000)?;
            Some(Self { micros: i64::try_from(micros).ok()?, currency })
        };
        parse().ok_or_else(|| NotAnAmount {
            expected: "an amount of money with its currency, such as `12.50 CNY`",
            found: text.to_owned(),
        })
    }
}
