//! An answer as tables: figures, then centers, then who gains and who loses.

use crate::look::Look;
use crate::table::{Cell, Column, Table, Tone};
use model::{Bytes, CenterId, Moment, Span, TenantId};
use simulator::whatif::{Answer, CenterFigures, Fidelity, Figures, TenantFigures};
use std::collections::{BTreeMap, BTreeSet};

/// So many tenants, and so many centers, are shown at the most: half of those who fare worse, half
/// of those who fare better.
const SHOWN: usize = 8;

/// A table before it is drawn: titles and rows of text, the last cell of a row with its tone.
pub(super) struct Sheet {
    pub(super) titles: Vec<&'static str>,
    pub(super) rows: Vec<(Vec<String>, Tone)>,
}

/// All that is said of an answer.
pub(super) struct Told {
    pub(super) lines: Vec<String>,
    pub(super) sheets: Vec<Sheet>,
    pub(super) end: Vec<String>,
}

/// An answer as text.
pub(crate) fn text(answer: &Answer, look: &Look) -> String {
    let told = told(answer);
    let mut text = String::new();
    for line in &told.lines {
        text.push_str(&wrapped(line, look));
    }
    for sheet in &told.sheets {
        text.push('\n');
        text.push_str(&sheet.render(look));
    }
    if !told.end.is_empty() {
        text.push('\n');
    }
    for line in &told.end {
        text.push_str(&wrapped(line, look));
    }
    text
}

/// What there is to say of an answer, on whatever it is shown.
pub(super) fn told(answer: &Answer) -> Told {
    let mut sheets = vec![figures(answer), centers(answer), tenants(answer)];
    sheets.retain(|sheet| !sheet.rows.is_empty());
    Told { lines: introduction(answer), sheets, end: conclusion(answer) }
}

fn introduction(answer: &Answer) -> Vec<String> {
    let (from, to) = (second(answer.period.from), second(answer.period.to));
    let load = &answer.load;
    let jobs = |count: u64| if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") };
    let mut lines = vec![if answer.ahead {
        format!("From {from} on, until all has ended: {} that waited.", jobs(load.jobs))
    } else {
        let lasts = answer.period.to.since(answer.period.from);
        format!("Submitted from {from} to {to} ({lasts}): {}.", jobs(load.jobs))
    }];
    if load.running_before + load.waiting_before > 0 {
        let (ran, waited) = (load.running_before, load.waiting_before);
        lines.push(format!("Beside them {ran} ran and {waited} waited when it began."));
    }
    lines.push(match load.estimated {
        0 => "All run times are known from the log.".to_owned(),
        estimated => {
            let known = load.known;
            format!("Run times of {known} are known from the log, of {estimated} estimated.")
        }
    });
    lines.extend(answer.changes.iter().map(|change| match change.strip_prefix("  ") {
        Some(more) => format!("Note: {more}."),
        None => format!("Change: {change}."),
    }));
    lines.extend(answer.notes.iter().map(|note| format!("Note: {note}.")));
    lines
}

fn conclusion(answer: &Answer) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(fidelity) = &answer.fidelity {
        lines.push(trust(fidelity));
    }
    if answer.changed.is_none() {
        lines.push(
            "Nothing was changed. `portolan whatif --help` tells what can be, with examples."
                .to_owned(),
        );
    }
    lines
}

fn trust(fidelity: &Fidelity) -> String {
    let Fidelity { jobs, real_mean_wait_s, simulated_mean_wait_s, .. } = *fidelity;
    format!(
        "How far to trust it: the {jobs} jobs that ran really waited {} on average, and {} when \
         simulated as it was; a job's two waits are {} apart on average. {:.0} % ran in the same \
         center.",
        span(real_mean_wait_s),
        span(simulated_mean_wait_s),
        span(fidelity.mean_wait_apart_s),
        fidelity.same_center * 100.0,
    )
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Time,
    Percent,
    Number,
    Bytes,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Time => span(value),
            Self::Percent => format!("{value:.1} %"),
            Self::Number if value.abs() >= 99.95 => format!("{value:.0}"),
            Self::Number => format!("{value:.2}"),
            Self::Bytes => Bytes(whole(value)).to_string(),
        }
    }
}

/// Whether more of something is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
    Neither,
}

type Line = (String, Unit, Better, Box<dyn Fn(&Figures) -> Option<f64>>);

fn lines(answer: &Answer) -> Vec<Line> {
    use Better::{Less, More, Neither};
    let line = |name: &str, unit, better, of: fn(&Figures) -> f64| -> Line {
        (name.to_owned(), unit, better, Box::new(move |figures| Some(of(figures))))
    };
    // Of nobody there is no time to tell.
    let time = |name: &str, ran: fn(&Figures) -> u64, of: fn(&Figures) -> f64| -> Line {
        let some = move |figures: &Figures| (ran(figures) > 0).then(|| of(figures));
        (name.to_owned(), Unit::Time, Less, Box::new(some))
    };
    let slowdown: Line = {
        let of = |f: &Figures| (f.ended > 0).then_some(f.bounded_slowdown);
        ("bounded slowdown".to_owned(), Unit::Number, Less, Box::new(of))
    };
    let mut lines = vec![
        line("jobs", Unit::Count, Neither, |f| f.jobs as f64),
        line("ran to their end", Unit::Count, More, |f| f.ended as f64),
        line("never ran", Unit::Count, Less, |f| f.never_ran as f64),
        line("withdrawn before", Unit::Count, Less, |f| f.withdrawn as f64),
        time("wait, mean", |f| f.wait.jobs, |f| f.wait.mean_s),
        time("wait, half within", |f| f.wait.jobs, |f| f.wait.p50_s),
        time("wait, 99 % within", |f| f.wait.jobs, |f| f.wait.p99_s),
        time("completion, mean", |f| f.completion.jobs, |f| f.completion.mean_s),
        time("completion, 99 %", |f| f.completion.jobs, |f| f.completion.p99_s),
        slowdown,
        time("all had ended after", |f| f.ended, |f| f.all_ended_s),
        line("chips in use", Unit::Percent, More, |f| f.utilization * 100.0),
        line("chip-hours", Unit::Number, Neither, |f| f.chip_hours),
        line("moved for them", Unit::Bytes, Less, |f| f.wan_bytes as f64),
    ];
    let all = [answer.really.as_ref(), Some(&answer.as_it_was), answer.changed.as_ref()];
    let costs = all.iter().flatten().flat_map(|figures| figures.cost.keys());
    for currency in costs.collect::<BTreeSet<_>>() {
        let currency = *currency;
        let of =
            move |figures: &Figures| Some(figures.cost.get(&currency).copied().unwrap_or_default());
        lines.push((format!("cost, {currency}"), Unit::Number, Less, Box::new(of)));
    }
    let held =
        |f: &Figures| (f.promises > 0).then(|| f.promises_held as f64 / f.promises as f64 * 100.0);
    lines.push(("promises held".to_owned(), Unit::Percent, More, Box::new(held)));
    if !all.iter().flatten().any(|figures| figures.withdrawn > 0) {
        lines.retain(|(name, ..)| name != "withdrawn before");
    }
    lines
}

fn figures(answer: &Answer) -> Sheet {
    let mut titles = vec![""];
    titles.extend(answer.really.as_ref().map(|_| "REALLY"));
    titles.push("AS IT WAS");
    if answer.changed.is_some() {
        titles.extend(["CHANGED", "DIFFERENCE"]);
    }
    let mut sheet = Sheet { titles, rows: Vec::new() };
    for (name, unit, better, of) in lines(answer) {
        let show = |figures: &Figures| of(figures).map_or("-".to_owned(), |v| unit.text(v));
        let mut cells = vec![name];
        cells.extend(answer.really.as_ref().map(show));
        cells.push(show(&answer.as_it_was));
        let mut tone = Tone::Plain;
        if let Some(changed) = &answer.changed {
            cells.push(show(changed));
            let (text, own) = match (of(&answer.as_it_was), of(changed)) {
                (Some(was), Some(is)) => difference(unit, better, was, is),
                _ => (String::new(), Tone::Plain),
            };
            cells.push(text);
            tone = own;
        }
        sheet.rows.push((cells, tone));
    }
    sheet
}

/// How much more or less, in its unit and, where that says something, in percent.
fn difference(unit: Unit, better: Better, was: f64, is: f64) -> (String, Tone) {
    let more = is - was;
    let shown = unit.text(more.abs());
    if shown == unit.text(0.0) {
        return ("=".to_owned(), Tone::Quiet);
    }
    let sign = if more < 0.0 { "-" } else { "+" };
    let relative = more / was * 100.0;
    let text = match unit {
        Unit::Percent => format!("{sign}{:.1} points", more.abs()),
        _ if was <= 0.0 || relative.abs() >= 1_000.0 => format!("{sign}{shown}"),
        _ => format!("{sign}{shown} ({sign}{:.0} %)", relative.abs()),
    };
    let tone = match better {
        Better::More if more > 0.0 => Tone::Good,
        Better::Less if more < 0.0 => Tone::Good,
        Better::Neither => Tone::Plain,
        Better::More | Better::Less => Tone::Bad,
    };
    (text, tone)
}

fn centers(answer: &Answer) -> Sheet {
    let (was, changed) = (&answer.as_it_was.centers, answer.changed.as_ref().map(|f| &f.centers));
    let all = was.keys().chain(changed.into_iter().flat_map(BTreeMap::keys));
    let mut names: Vec<_> = all.collect::<BTreeSet<_>>().into_iter().collect();
    let used = |name: &CenterId, of: &BTreeMap<CenterId, CenterFigures>| {
        of.get(name).map_or(0.0, |center| center.utilization)
    };
    pick(&mut names, |name| {
        changed.map_or(-used(name, was), |changed| used(name, changed) - used(name, was))
    });
    let titles = match changed {
        Some(_) => vec!["CENTER", "CHIPS", "JOBS", "CHANGED", "IN USE", "CHANGED"],
        None => vec!["CENTER", "CHIPS", "JOBS", "IN USE"],
    };
    let mut sheet = Sheet { titles, rows: Vec::new() };
    for name in names {
        let (was, is) = (was.get(name), changed.map(|changed| changed.get(name)));
        let chips = is.flatten().or(was).map_or(0.0, |center| center.chips);
        let show = |center: Option<&CenterFigures>, of: fn(&CenterFigures) -> String| {
            center.map_or("-".to_owned(), of)
        };
        let mut cells = vec![name.to_string(), format!("{chips}")];
        for of in [(|center| center.jobs.to_string()) as fn(&CenterFigures) -> String, |center| {
            Unit::Percent.text(center.utilization * 100.0)
        }] {
            cells.push(show(was, of));
            cells.extend(is.map(|is| show(is, of)));
        }
        sheet.rows.push((cells, Tone::Plain));
    }
    sheet
}

fn tenants(answer: &Answer) -> Sheet {
    let (was, changed) = (&answer.as_it_was.tenants, answer.changed.as_ref().map(|f| &f.tenants));
    let nobody = TenantFigures::default();
    let mut names: Vec<_> = was.keys().collect();
    // Who cannot run at all loses most.
    let worse = |name: &&TenantId| {
        let Some(is) = changed.and_then(|changed| changed.get(*name)) else { return 0.0 };
        let was = was.get(*name).unwrap_or(&nobody);
        let lost = is.never_ran as f64 - was.never_ran as f64;
        -(lost * 1e9 + is.mean_completion_s - was.mean_completion_s)
    };
    pick(&mut names, |name| worse(&name));
    let titles = match changed {
        Some(_) => {
            vec![
                "TENANT",
                "JOBS",
                "WAIT",
                "CHANGED",
                "COMPLETION",
                "CHANGED",
                "COST",
                "CHANGED",
                "",
            ]
        }
        None => vec!["TENANT", "JOBS", "WAIT", "COMPLETION", "COST", ""],
    };
    let mut sheet = Sheet { titles, rows: Vec::new() };
    for name in names {
        let was = was.get(name).unwrap_or(&nobody);
        let is = changed.map(|changed| changed.get(name).unwrap_or(&nobody));
        let mut cells = vec![name.to_string(), was.jobs.to_string()];
        for of in [
            (|t| ran(t, t.mean_wait_s)) as fn(&TenantFigures) -> String,
            |t| ran(t, t.mean_completion_s),
            |t| t.cost.values().next().map_or("-".to_owned(), |cost| Unit::Number.text(*cost)),
        ] {
            cells.push(of(was));
            cells.extend(is.map(of));
        }
        let (word, tone) = verdict(was, is);
        cells.push(word);
        sheet.rows.push((cells, tone));
    }
    sheet
}

/// A tenant's time, if any of its jobs ran.
fn ran(tenant: &TenantFigures, seconds: f64) -> String {
    if tenant.never_ran < tenant.jobs { span(seconds) } else { "-".to_owned() }
}

/// Whether a tenant gains or loses, and how many of its jobs never run.
fn verdict(was: &TenantFigures, is: Option<&TenantFigures>) -> (String, Tone) {
    let stuck = is.unwrap_or(was).never_ran;
    if stuck > was.never_ran || (is.is_none() && stuck > 0) {
        return (format!("{stuck} never run"), Tone::Bad);
    }
    let Some(is) = is else { return (String::new(), Tone::Plain) };
    let more = is.mean_completion_s - was.mean_completion_s;
    match () {
        () if is.never_ran < was.never_ran => ("gains".to_owned(), Tone::Good),
        () if more.abs() < 0.01 * was.mean_completion_s.max(1.0) => ("=".to_owned(), Tone::Quiet),
        () if more < 0.0 => ("gains".to_owned(), Tone::Good),
        () => ("loses".to_owned(), Tone::Bad),
    }
}

/// Puts them in order of `by`, and leaves only the ends of a long list.
fn pick<T: Copy + Ord>(all: &mut Vec<T>, by: impl Fn(T) -> f64) {
    all.sort_by(|a, b| by(*a).total_cmp(&by(*b)).then(a.cmp(b)));
    if all.len() > SHOWN {
        all.drain(SHOWN / 2..all.len() - SHOWN / 2);
    }
}

impl Sheet {
    fn render(&self, look: &Look) -> String {
        let last = self.titles.len() - 1;
        let columns = self.titles.iter().enumerate().map(|(at, title)| {
            let column = Column::new(title);
            match at {
                0 => column.least(12),
                _ if at == last && title.is_empty() => column,
                _ => column.right(),
            }
        });
        let mut table = Table::new(columns);
        for (cells, tone) in &self.rows {
            let own = |at| if at == last { *tone } else { Tone::Plain };
            table.row(cells.iter().enumerate().map(|(at, cell)| Cell::new(cell.clone(), own(at))));
        }
        table.render(look, "")
    }
}

/// A line cut between words to what the screen holds.
fn wrapped(line: &str, look: &Look) -> String {
    let width = look.width.map_or(usize::MAX, usize::from);
    let (mut text, mut used) = (String::new(), 0);
    for word in line.split(' ') {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > width {
            text.push_str("\n  ");
            used = 2;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += long;
    }
    text.push('\n');
    text
}

fn second(at: Moment) -> String {
    let text = at.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn span(seconds: f64) -> String {
    Span(whole(seconds * 1e3)).to_string()
}

/// The nearest whole number; nothing below zero occurs.
fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = value.round() as u64;
    whole
}
