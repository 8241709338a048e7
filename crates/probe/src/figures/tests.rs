//! Windows as text: one packet a word, and what they come to.

use super::*;
use proptest::prelude::*;

const MICRO: i64 = 1_000;

/// The reflector's clock is this far from the sender's, in microseconds.
const APART: i64 = 1_000_000_000;

/// Packets sent a millisecond apart. Each word is `-` for no answer, else `there+stay+back` in
/// microseconds, with `*N` for N more answers.
fn probes(text: &str) -> Vec<Probe> {
    let probe = |(sent, word): (i64, &str)| {
        let sent = sent * 1_000;
        let (times, more) = word.split_once('*').unwrap_or((word, "0"));
        let times: Vec<i64> = times.split('+').filter_map(|time| time.parse().ok()).collect();
        let reply = (times.len() == 3).then(|| Reply {
            reflector_received: Nanos((APART + sent + times[0]) * MICRO),
            reflector_sent: Nanos((APART + sent + times[0] + times[1]) * MICRO),
            reflector_error: Some(Nanos(10 * MICRO)),
            received: Nanos((sent + times.iter().sum::<i64>()) * MICRO),
        });
        Probe { sent: Nanos(sent * MICRO), reply, duplicates: more.parse().unwrap() }
    };
    (0..).zip(text.split_whitespace()).map(probe).collect()
}

fn synchronized(error_micros: i64) -> OwnClock {
    let (ahead, error) = (Nanos(APART * MICRO), Nanos(error_micros * MICRO));
    OwnClock::Synchronized { ahead, error }
}

/// With a patience of 50 ms.
fn figures(text: &str, own: OwnClock) -> Figures {
    Figures::of(&probes(text), Nanos(50_000 * MICRO), own, &mut Running::default())
}

fn micros(spread: Option<Spread>) -> [i64; 3] {
    let spread = spread.expect("something to spread");
    [spread.min, spread.p50, spread.max].map(|nanos| nanos.0 / MICRO)
}

#[test]
fn the_reflectors_stay_and_clock_are_no_part_of_the_round_trip() {
    let seen = figures("200+5+300 200+9000+310 200+0+290", OwnClock::Free);
    assert_eq!(micros(seen.round_trip), [490, 500, 510]);
    assert_eq!(micros(seen.stay), [0, 5, 9_000]);
    assert_eq!((seen.sent, seen.lost, seen.unusable), (3, 0, 0));
}

#[test]
fn losses_come_in_runs_and_a_late_answer_is_a_loss() {
    let seen = figures("1+0+1 - - 1+0+50000 1+0+1 - 1+0+1 -", OwnClock::Free);
    assert_eq!((seen.sent, seen.lost, seen.late), (8, 5, 1));
    assert_eq!(seen.loss_runs, LossRuns { count: 3, longest: 3 });
    assert_eq!(seen.loss_ppm(), Some(625_000));
    assert_eq!(micros(seen.round_trip), [2, 2, 2]);
}

#[test]
fn nothing_sent_is_no_loss_and_nothing_answered_no_delay() {
    let nothing = figures("", OwnClock::Free);
    assert_eq!((nothing.sent, nothing.loss_ppm(), nothing.round_trip), (0, None, None));
    let silent = figures("- -", synchronized(1));
    assert_eq!((silent.lost, silent.round_trip), (2, None));
    assert_eq!(silent.there.delay, OneWay::Unknown(WhyUnknown::NoReply));
}

#[test]
fn duplicates_are_counted_and_measure_nothing() {
    let seen = figures("5+0+5*2 5+0+5 - 5+0+5*1", OwnClock::Free);
    assert_eq!((seen.duplicates, seen.lost, seen.reordered), (3, 1, 0));
    assert_eq!(micros(seen.round_trip), [10, 10, 10]);
}

#[test]
fn an_answer_after_that_to_a_later_packet_is_reordered() {
    // Arrivals at 3.5, 1.1, 2.1, 3.1 ms: only the first one's answer comes after later ones'.
    assert_eq!(figures("1000+0+2500 50+0+50 50+0+50 50+0+50", OwnClock::Free).reordered, 1);
    // Arrivals at 9, 8, 7 ms: two come after a later one's.
    assert_eq!(figures("9000+0+0 7000+0+0 5000+0+0", OwnClock::Free).reordered, 2);
}

#[test]
fn variation_is_told_for_each_direction_without_any_clock_being_right() {
    let seen = figures("100+0+100 130+0+100 110+0+100 - 900+0+100", OwnClock::Free);
    assert_eq!(micros(seen.there.variation.ipdv), [-20, -20, 30]);
    assert_eq!(micros(seen.back.variation.ipdv), [0, 0, 0]);
    assert_eq!(seen.back.variation.jitter, Nanos::ZERO);
    assert!(seen.there.variation.jitter > Nanos(50 * MICRO));
    assert_eq!(micros(seen.variation.ipdv), [-20, -20, 30]);
    assert_eq!(figures("1+0+1 - 1+0+1", OwnClock::Free).variation.ipdv, None);
}

#[test]
fn jitter_goes_on_from_window_to_window() {
    let mut running = Running::default();
    let window = probes("10+0+10 26+0+10");
    let mut jitter = || {
        let seen = Figures::of(&window, Nanos::MAX, OwnClock::Free, &mut running);
        seen.there.variation.jitter
    };
    assert_eq!(jitter(), Nanos(MICRO));
    assert!(jitter() > Nanos(2 * MICRO));
}

#[test]
fn one_way_delays_are_known_if_both_clocks_are_good_enough() {
    let seen = figures("200+5+300 210+5+300", synchronized(20));
    let OneWay::Known { delay, error } = seen.there.delay else { panic!("{:?}", seen.there) };
    assert_eq!((micros(Some(delay)), error), ([200, 200, 210], Nanos(30 * MICRO)));
    let OneWay::Known { delay, .. } = seen.back.delay else { panic!("{:?}", seen.back) };
    assert_eq!(micros(Some(delay)), [300, 300, 300]);
}

#[track_caller]
fn unknown(seen: &Figures, why: WhyUnknown) {
    assert_eq!(seen.there.delay, OneWay::Unknown(why));
    assert_eq!(seen.back.delay, OneWay::Unknown(why));
}

#[test]
fn one_way_delays_are_unknown_with_the_reason_else() {
    let text = "200+5+300 210+5+300";
    unknown(&figures(text, OwnClock::Free), WhyUnknown::OwnClock);
    unknown(&figures(text, OwnClock::Set), WhyUnknown::OwnClockSet);
    let error = WhyUnknown::Error(Nanos(250 * MICRO));
    unknown(&figures(text, synchronized(240)), error);
    let mut free = probes(text);
    free[1].reply.as_mut().unwrap().reflector_error = None;
    let seen = Figures::of(&free, Nanos::MAX, synchronized(20), &mut Running::default());
    unknown(&seen, WhyUnknown::ReflectorsClock);
}

#[test]
fn a_clock_that_contradicts_its_owners_word_tells_no_one_way_delay() {
    let wrong = |micros| {
        let (ahead, error) = (Nanos((APART + micros) * MICRO), Nanos(20 * MICRO));
        OwnClock::Synchronized { ahead, error }
    };
    for micros in [231, -331, 37_000_000] {
        unknown(&figures("200+5+300", wrong(micros)), WhyUnknown::Contradiction);
    }
}

#[test]
fn a_reflector_whose_clock_was_set_between_makes_no_round_trip() {
    let seen = figures("200+5+300 200+-900+900 200+5+300", OwnClock::Free);
    assert_eq!((seen.unusable, seen.lost), (1, 0));
    assert_eq!(micros(seen.round_trip), [500, 500, 500]);
}

/// Sent, arrived there, left there, arrived here; whether it did; what the other clock claims.
type Moments = (i64, i64, i64, i64, bool, Option<i64>);

proptest! {
    #[test]
    fn any_moments_add_up(
        moments in proptest::collection::vec(any::<Moments>(), 0..40),
        ahead: i64, patience: i64,
    ) {
        let probe = |(sent, there, leaves, received, came, error): Moments| Probe {
            sent: Nanos(sent),
            reply: came.then_some(Reply {
                reflector_received: Nanos(there),
                reflector_sent: Nanos(leaves),
                reflector_error: error.map(Nanos),
                received: Nanos(received),
            }),
            duplicates: 1,
        };
        let window: Vec<_> = moments.into_iter().map(probe).collect();
        let own = OwnClock::Synchronized { ahead: Nanos(ahead), error: Nanos::ZERO };
        let seen = Figures::of(&window, Nanos(patience), own, &mut Running::default());
        prop_assert!(seen.lost + seen.unusable <= seen.sent);
        prop_assert!(seen.late <= seen.lost && seen.loss_runs.longest <= seen.lost);
        prop_assert!(seen.round_trip.is_none_or(|round| round.min >= Nanos::ZERO));
        let measured = seen.sent - seen.lost - seen.unusable;
        prop_assert_eq!(seen.round_trip.is_some(), measured > 0);
    }
}
