//! What measurements say of promises, and of what a link can be planned at.

use model::quality::{Breach, Delivered, Measured, Sla, Verdict};
use model::{Bytes, Rate, Span};

/// What carriers promise of a path together: round trips and losses add up, and of the bandwidth it
/// delivers what its worst link does. Where one link promises nothing, nothing is promised.
#[must_use]
pub fn promised<'a>(links: impl IntoIterator<Item = &'a Sla>) -> Sla {
    let mut links = links.into_iter();
    let Some(first) = links.next() else { return Sla::default() };
    links.fold(*first, |path, link| Sla {
        round_trip_us: both(path.round_trip_us, link.round_trip_us, u64::saturating_add),
        loss_ppm: both(path.loss_ppm, link.loss_ppm, |a, b| a.saturating_add(b).min(1_000_000)),
        rate_percent: both(path.rate_percent, link.rate_percent, u32::min),
    })
}

fn both<T, R>(a: Option<T>, b: Option<T>, join: impl Fn(T, T) -> R) -> Option<R> {
    Some(join(a?, b?))
}

/// Whether what is promised held by what was measured. A round trip that nothing came back from is
/// not measured; the loss is.
#[must_use]
pub fn judge(promised: &Sla, measured: &Measured) -> Verdict {
    let (mut judged, mut by) = (false, Vec::new());
    let mut check = |breach: Option<Option<Breach>>| {
        judged |= breach.is_some();
        by.extend(breach.flatten());
    };
    match measured {
        Measured::Probed(probed) => {
            let p99 = probed.round_trip.map(|delays| delays.p99_us);
            check(both(promised.round_trip_us, p99, |promised_us, measured_us| {
                let breach = Breach::RoundTrip { promised_us, measured_us };
                (measured_us > promised_us).then_some(breach)
            }));
            check(both(promised.loss_ppm, probed.loss_ppm(), |promised_ppm, measured_ppm| {
                let breach = Breach::Loss { promised_ppm, measured_ppm };
                (measured_ppm > promised_ppm).then_some(breach)
            }));
        }
        Measured::Delivered(delivered) => {
            let percent = percent_of(delivered);
            check(both(promised.rate_percent, percent, |promised_percent, measured_percent| {
                let breach = Breach::Rate { promised_percent, measured_percent };
                (measured_percent < promised_percent).then_some(breach)
            }));
        }
    }
    match (judged, by.is_empty()) {
        (false, _) => Verdict::Unknown,
        (true, true) => Verdict::Held,
        (true, false) => Verdict::Broken { by },
    }
}

/// The share of the planned bytes that came, rounded down; 100 when more came. None when none were
/// planned.
fn percent_of(delivered: &Delivered) -> Option<u32> {
    let came = delivered.delivered.min(delivered.planned);
    let percent = u128::from(came.0) * 100;
    percent.checked_div(delivered.planned.0.into()).and_then(|p| u32::try_from(p).ok())
}

/// What a window of a transfer or a test says of the link it is laid to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// At how much it was planned, on the average.
    planned: Rate,
    /// At how much it came.
    came: Rate,
}

/// A window shorter than this says more of how transfers begin and end than of a link.
const SHORTEST: Span = Span::from_secs(2);
/// A transfer that brings this share of its plan, in percent, is not short: stores take time too, and
/// of two seconds a few tenths pass before the first bytes.
const FULL: u64 = 85;
/// A window tells that a link does what it is rated at when it was planned at this share of it.
const USED: u64 = 80;
/// A link is never rated below this part of its capacity: something must cross it to tell when it
/// is better again.
const LEAST: u64 = 100;

impl Stretch {
    /// Of a window of this length; none when it is too short to say anything.
    #[must_use]
    pub fn of(delivered: &Delivered, lasted: Span) -> Option<Self> {
        let rate = |bytes: Bytes| {
            let bits = u128::from(bytes.0) * 8 * 1_000 / u128::from(lasted.0.max(1));
            Rate(u64::try_from(bits).unwrap_or(u64::MAX))
        };
        let (planned, came) = (rate(delivered.planned), rate(delivered.delivered));
        (lasted >= SHORTEST && planned > Rate::ZERO).then_some(Self { planned, came })
    }

    /// Whether clearly less came than was planned.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.came < percent(self.planned, FULL)
    }

    /// At how much it came.
    #[must_use]
    pub const fn came(&self) -> Rate {
        self.came
    }
}

/// What a link is planned at from here on, by the newest two windows that told of it; none when that
/// stays as it is, `Some(None)` when it is its capacity again.
///
/// Two windows in a row that are short: at the better of what came. Two in a row that are not, and
/// used most of what the link is rated at: at a quarter more. One bad or good window changes nothing,
/// so that a rating does not flap.
#[must_use]
pub fn rating(
    capacity: Rate,
    rated: Option<Rate>,
    before: &Stretch,
    newest: &Stretch,
) -> Option<Option<Rate>> {
    let now = rated.unwrap_or(capacity);
    if before.is_short() && newest.is_short() {
        let came = before.came.max(newest.came).max(Rate((capacity.0 / LEAST).max(1)));
        return (came < percent(now, FULL)).then_some(Some(came));
    }
    let uses = |stretch: &Stretch| !stretch.is_short() && stretch.planned >= percent(now, USED);
    if rated.is_some() && uses(before) && uses(newest) {
        let more = Rate(now.0.saturating_add((now.0 / 4).max(1)));
        return Some((more < capacity).then_some(more));
    }
    None
}

fn percent(rate: Rate, of: u64) -> Rate {
    Rate(u64::try_from(u128::from(rate.0) * u128::from(of) / 100).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TransferId;
    use model::quality::{Delays, Probed};
    use proptest::prelude::*;

    fn delivered(planned: u64, came: u64) -> Delivered {
        let transfer = TransferId::new(1);
        let (planned, delivered) = (Bytes(planned), Bytes(came));
        Delivered { transfer, planned, delivered, narrowest: None, tested: false }
    }

    fn stretch(planned: u64, came: u64) -> Stretch {
        Stretch { planned: Rate(planned), came: Rate(came) }
    }

    fn probed(sent: u32, lost: u32, p99_us: Option<u64>) -> Measured {
        let delays = |p99_us| Delays { min_us: 0, p50_us: 0, p90_us: 0, p99_us };
        let round_trip = p99_us.map(delays);
        let (reordered, jitter_us, there, back) = (0, 0, None, None);
        Measured::Probed(Probed { sent, lost, reordered, round_trip, jitter_us, there, back })
    }

    #[test]
    fn a_window_names_every_promise_it_breaks() {
        let sla = Sla { round_trip_us: Some(4_000), loss_ppm: Some(100), rate_percent: Some(95) };
        assert_eq!(judge(&sla, &probed(1_200, 0, Some(4_000))), Verdict::Held);
        let slow = Breach::RoundTrip { promised_us: 4_000, measured_us: 4_001 };
        let lossy = Breach::Loss { promised_ppm: 100, measured_ppm: 833 };
        let broken = Verdict::Broken { by: vec![slow, lossy] };
        assert_eq!(judge(&sla, &probed(1_200, 1, Some(4_001))), broken);
        let thin = Breach::Rate { promised_percent: 95, measured_percent: 50 };
        let half = Measured::Delivered(delivered(1_000, 509));
        assert_eq!(judge(&sla, &half), Verdict::Broken { by: vec![thin] });
    }

    #[test]
    fn nothing_back_breaks_what_is_promised_of_losses_only() {
        let sla = Sla { round_trip_us: Some(1), ..Sla::default() };
        assert_eq!(judge(&sla, &probed(10, 10, None)), Verdict::Unknown);
        let sla = Sla { loss_ppm: Some(999_999), ..sla };
        assert!(matches!(judge(&sla, &probed(10, 10, None)), Verdict::Broken { .. }));
        assert_eq!(judge(&sla, &probed(0, 0, None)), Verdict::Unknown);
    }

    #[test]
    fn a_link_that_delivers_half_twice_is_planned_at_half_and_comes_back_by_quarters() {
        let capacity = Rate(1_000);
        let (short, full) = (stretch(1_000, 500), stretch(1_000, 1_000));
        assert_eq!(rating(capacity, None, &full, &short), None);
        assert_eq!(rating(capacity, None, &short, &short), Some(Some(Rate(500))));
        let (mut rated, mut seen) = (Some(Rate(500)), Vec::new());
        while let Some(now) = rated {
            let held = stretch(now.0, now.0);
            assert_eq!(rating(capacity, rated, &stretch(now.0 / 2, now.0 / 2), &held), None);
            rated = rating(capacity, rated, &held, &held).unwrap();
            seen.extend(rated);
        }
        assert_eq!(seen, [625, 781, 976].map(Rate));
    }

    #[test]
    fn a_window_of_a_moment_says_nothing() {
        assert_eq!(Stretch::of(&delivered(1_000_000, 0), Span(1_999)), None);
        assert_eq!(Stretch::of(&delivered(0, 0), Span(9_000)), None);
        assert!(Stretch::of(&delivered(1_000_000, 849_000), Span(9_000)).unwrap().is_short());
        assert!(!Stretch::of(&delivered(1_000_000, 851_000), Span(9_000)).unwrap().is_short());
    }

    fn sla() -> impl Strategy<Value = Sla> {
        let bound = || proptest::option::of(0u32..50);
        (bound(), bound(), bound()).prop_map(|(round_trip, loss_ppm, rate_percent)| Sla {
            round_trip_us: round_trip.map(u64::from),
            loss_ppm,
            rate_percent,
        })
    }

    proptest! {
        #[test]
        fn a_verdict_is_unknown_just_where_nothing_is_promised_and_measured(
            sla in sla(), sent in 0u32..9, p99 in proptest::option::of(0u64..60),
        ) {
            let verdict = judge(&sla, &probed(sent, 0, p99));
            let judged = (sla.round_trip_us.is_some() && p99.is_some())
                || (sla.loss_ppm.is_some() && sent > 0);
            prop_assert_eq!(verdict == Verdict::Unknown, !judged);
        }

        #[test]
        fn a_promise_given_up_breaks_nothing_more(
            sla in sla(), sent in 1u32..9, p99 in proptest::option::of(0u64..60),
        ) {
            let breaches = |sla: &Sla| match judge(sla, &probed(sent, 1, p99)) {
                Verdict::Broken { by } => by.len(),
                Verdict::Held | Verdict::Unknown => 0,
            };
            let given_up = Sla { loss_ppm: None, ..sla };
            prop_assert!(breaches(&given_up) <= breaches(&sla));
        }

        #[test]
        fn a_path_promises_no_more_than_any_of_its_links(one in sla(), other in sla()) {
            let path = promised([&one, &other]);
            prop_assert_eq!(path, promised([&other, &one]));
            prop_assert!(path.round_trip_us.is_none_or(|us| Some(us) >= one.round_trip_us));
            prop_assert!(path.rate_percent.is_none_or(|p| Some(p) <= one.rate_percent));
            prop_assert_eq!(promised([&one]), one);
        }

        #[test]
        fn a_rating_stays_between_a_hundredth_and_the_capacity(
            capacity in 1_000u64..1_000_000, rated in proptest::option::of(10u64..1_000),
            shares in [0u64..1_200, 0..1_200, 0..1_200, 0..1_200],
        ) {
            let of = |permille: u64| capacity * permille / 1_000;
            let [p1, c1, p2, c2] = shares.map(of);
            let rated = rated.map(|share| Rate(of(share)));
            if let Some(Some(rate)) =
                rating(Rate(capacity), rated, &stretch(p1, c1), &stretch(p2, c2))
            {
                prop_assert!(Rate(capacity / 100) <= rate && rate < Rate(capacity));
            }
        }
    }
}
