//! `portolan links`, and `portolan link cut`, `mend` and `test`.

use crate::look::Look;
use crate::quality::{held, loss, tested, time, verdict};
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone, or_dash};
use clap::Subcommand;
use model::LinkId;
use wire::view::{Link, LinkTest, Links};

/// Change a link.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Say that a link carries nothing any more: what crosses it is planned anew, over others.
    Cut {
        /// Which.
        link: LinkId,
    },
    /// Have filler go over a link for some seconds, both ways, to learn what it delivers.
    Test {
        /// Which.
        link: LinkId,
    },
    /// Say that a link carries again.
    Mend {
        /// Which.
        link: LinkId,
    },
}

impl Change {
    /// Changes the link.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        match self {
            Self::Cut { link } => {
                client.cut_link(&link).await?;
                note(format!("nothing is planned over {link} any more"));
            }
            Self::Test { link } => {
                let test = client.test_link(&link).await?;
                let LinkTest { from, to, rate_bps, from_ms, until_ms, .. } = &test;
                let lasts = until_ms.since(*from_ms);
                note(format!(
                    "{link} is tested from {from} to {to} at {rate_bps} for {lasts}; `portolan \
                     links` shows what came"
                ));
            }
            Self::Mend { link } => {
                client.mend_link(&link).await?;
                note(format!("{link} carries again"));
            }
        }
        Ok(())
    }
}

/// Links as a table. Booked is what is reserved now, from `a` to `b` and back.
pub(crate) fn table(links: &Links, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("LINK").least(12),
        Column::new("A").least(8).rank(4),
        Column::new("B").least(8).rank(4),
        Column::new("CAPACITY").right(),
        Column::new("PLANNED AT").right(),
        Column::new("BOOKED →").right(),
        Column::new("BOOKED ←").right(),
        Column::new("LATENCY").right().rank(1),
        Column::new("RTT P99").right().rank(3),
        Column::new("LOSS").right().rank(3),
        Column::new("OF PLAN").right().rank(3),
        Column::new("TESTED").least(8).rank(3),
        Column::new("SLA").rank(2),
        Column::new("HELD").right().rank(3),
        Column::new("CARRIER").least(6).rank(3),
        Column::new("GBIT/S·HOUR").right().rank(2),
        Column::new("RISK GROUP").least(8).rank(5),
    ]);
    for link in &links.links {
        table.row([
            link.link.as_str().into(),
            link.a.name.as_str().into(),
            link.b.name.as_str().into(),
            capacity(link),
            planned(link),
            link.booked_forward_bps.into(),
            link.booked_backward_bps.into(),
            time(link.latency_us).into(),
            or_dash(link.quality.round_trip_p99_us.map(time)).into(),
            or_dash(link.quality.loss_ppm.map(loss)).into(),
            or_dash(link.quality.delivered_percent.map(|percent| format!("{percent} %"))).into(),
            tested(link.tested.iter().max_by_key(|tested| tested.at_ms), look).into(),
            verdict(&link.quality),
            held(&link.quality).into(),
            link.carrier.as_str().into(),
            link.price_per_gbps_hour.into(),
            or_dash(link.risk_group.as_ref()).into(),
        ]);
    }
    table.render(look, "no links")
}

fn capacity(link: &Link) -> Cell {
    match link.is_cut {
        true => Cell::new("cut", Tone::Bad),
        false => link.capacity_bps.into(),
    }
}

/// Less than its capacity stands out.
fn planned(link: &Link) -> Cell {
    let tone = if link.planned_bps < link.capacity_bps { Tone::Bad } else { Tone::Plain };
    Cell::new(link.planned_bps.to_string(), tone)
}
