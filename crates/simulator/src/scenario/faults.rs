//! What goes wrong, as a scenario says it.

use super::file::{self, What};
use super::misread;
use crate::Error;
use crate::fault::{Fault, Faults, Mishaps, Planned};
use controller::Declarations;
use model::{CenterId, Span};

/// Faults without an end stop after a day.
const UNTIL: Span = Span::from_secs(86_400);

pub(super) fn read(
    file: &file::Faults,
    network: &Declarations,
    source: &(String, String),
) -> Result<Faults, Error> {
    let event = |event: &toml::Spanned<file::Event>| {
        let fault = fault(event.get_ref(), network)
            .map_err(|(said, help)| misread(source, event.span(), said, Some(help)))?;
        Ok(Planned { after: *event.get_ref().after, fault })
    };
    Ok(Faults {
        planned: file.event.iter().map(event).collect::<Result<_, Error>>()?,
        mishaps: Mishaps {
            lost: file.lost,
            doubled: file.doubled,
            late: file.late,
            latest: file.latest.map_or(Span::ZERO, |latest| *latest),
            not_started: file.not_started,
            cut_short: file.cut_short,
            broken_copies: file.broken_copies,
            damaged_copies: file.damaged_copies,
            drift_ppm: file.drift_ppm,
        },
        until: file.until.map_or(UNTIL, |until| *until),
    })
}

fn fault(event: &file::Event, network: &Declarations) -> Result<Fault, (String, &'static str)> {
    let lasts = || {
        let help = "give `lasts` a span such as \"5min\"";
        event.lasts.as_ref().map(|lasts| **lasts).ok_or(("this lasts a while".to_owned(), help))
    };
    let center = || -> Result<CenterId, (String, &'static str)> {
        let help = "give `center` the name of one of the network's centers";
        let center =
            event.center.clone().ok_or_else(|| ("this befalls a center".to_owned(), help))?;
        let known = network.centers.iter().any(|c| c.center == center);
        if known { Ok(center) } else { Err((format!("there is no center `{center}`"), help)) }
    };
    Ok(match event.what {
        What::AgentDies => Fault::AgentDies { center: center()?, back: lasts()? },
        What::HostsDie => Fault::HostsDie {
            center: center()?,
            back: lasts()?,
            declared: event.declared.map(|after| *after),
            wiped: event.wiped,
        },
        What::Cut => Fault::Cut { center: center()?, lasts: lasts()?, holds: event.holds },
        What::Slow => Fault::Slow { center: center()?, lasts: lasts()? },
        What::Rot => Fault::Rot { center: center()? },
        What::ServerDies => Fault::ServerDies { back: lasts()? },
    })
}
