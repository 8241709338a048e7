//! `portolan transfers`.

use crate::look::Look;
use crate::table::{Column, Table, or_dash};
use wire::view::{Transfer, Transfers};

/// Transfers as a table.
pub(crate) fn table(transfers: &Transfers, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("TRANSFER"),
        Column::new("DATA").least(10),
        Column::new("SIZE").right(),
        Column::new("FROM").least(8).rank(1),
        Column::new("TO").least(8),
        Column::new("RATE").right().rank(2),
        Column::new("ARRIVES"),
        Column::new("PRICE").right().rank(3),
        Column::new("OVER").least(10).rank(4),
    ]);
    for transfer in &transfers.transfers {
        table.row([
            transfer.transfer.into(),
            transfer.dataset.as_str().into(),
            transfer.bytes.into(),
            transfer.from.as_str().into(),
            transfer.to.as_str().into(),
            rate(transfer, look).into(),
            look.when(transfer.arrives_ms).into(),
            transfer.price.into(),
            transfer.hops.join(" ").into(),
        ]);
    }
    table.render(look, "no transfers")
}

/// What is reserved for it now.
fn rate(transfer: &Transfer, look: &Look) -> String {
    let mut steps = transfer.steps.iter();
    let step = steps.find(|step| step.from_ms <= look.now && look.now < step.until_ms);
    or_dash(step.map(|step| step.rate_bps))
}
