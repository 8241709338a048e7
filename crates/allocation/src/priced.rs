//! How soon whole runs can be over in the mean, by prices of resources over time.
//!
//! Whatever the prices: if everybody ran where and when that is best for it, counted with what it pays,
//! the sum of that less all that could be earned is no more than the least sum of completions there is
//! without interruption (Lagrange's relaxation of the program over starting times; Dyer and Wolsey,
//! "Formulating the single machine sequencing problem with release dates", 1990, for the program). Better
//! prices make it a better bound: they go up where more is wanted than there is, and down where less is.

/// A job that runs at a stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// When it can begin.
    pub from: f64,
    /// Where it can run.
    pub places: Vec<Place>,
}

/// Where a job can run.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// How long it runs there.
    pub long: f64,
    /// Of which resources it has how much meanwhile, by their numbers.
    pub uses: Vec<(usize, f64)>,
}

/// A bound on the sum of all runs' times from when they can begin to when they are over.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    /// The bound.
    pub completion: f64,
    /// By resource, the price in each stretch of time.
    pub prices: Vec<Vec<f64>>,
}

/// By what part of the first bound the next is hoped to be better, and how that hope changes with what
/// came of the last (the step of Polyak with a target that is not known).
const HOPE: f64 = 0.1;
const ENCOURAGED: f64 = 1.5;
const DISAPPOINTED: f64 = 0.6;

/// Wanted more than so many times what there is counts as so many times.
const MOST_WANTED: f64 = 5.0;

/// The best bound found in so many rounds of prices, in stretches of one length from zero to `until`;
/// later everything is free. Runs that have no place are left out.
///
/// Work is rounds times runs, each looking at as many moments as may be worth waiting for.
#[must_use]
pub fn completion_bound(
    capacities: &[f64],
    runs: &[Run],
    (stretch, until): (f64, f64),
    rounds: u32,
) -> Priced {
    let count = stretches(stretch, until);
    let mut prices = vec![vec![0.0; count]; capacities.len()];
    let mut best = Priced { completion: f64::NEG_INFINITY, prices: prices.clone() };
    let mut at = prices.clone();
    let mut hope = 0.0;
    for round in 0..rounds.max(1) {
        let (completion, used) = at_prices(capacities, runs, &prices, stretch);
        if round == 0 {
            hope = completion * HOPE;
        } else if completion > best.completion {
            hope *= ENCOURAGED;
        } else {
            hope *= DISAPPOINTED;
        }
        if completion > best.completion {
            best = Priced { completion, prices: prices.clone() };
            at = wanted(capacities, &used, stretch);
        } else {
            prices.clone_from(&best.prices);
        }
        move_prices(&mut prices, &at, capacities, (stretch, hope));
    }
    best
}

/// The bound at these prices, and what is used of each resource in each stretch.
fn at_prices(
    capacities: &[f64],
    runs: &[Run],
    prices: &[Vec<f64>],
    stretch: f64,
) -> (f64, Vec<Vec<f64>>) {
    let paid: Vec<Sums<'_>> = prices.iter().map(|prices| Sums::of(prices, stretch)).collect();
    let mut used: Vec<Vec<f64>> = prices.iter().map(|prices| vec![0.0; prices.len()]).collect();
    let mut completion = 0.0;
    for run in runs {
        if let Some((cost, start, place)) = cheapest(run, &paid, stretch) {
            completion += cost;
            book(&mut used, place, start, stretch);
        }
    }
    let earned = capacities.iter().zip(&paid).map(|(there, paid)| there * paid.all());
    (completion - earned.sum::<f64>(), used)
}

/// By how many times what there is more is wanted than there is; negative where less is.
fn wanted(capacities: &[f64], used: &[Vec<f64>], stretch: f64) -> Vec<Vec<f64>> {
    let beyond = |(there, used): (&f64, &Vec<f64>)| {
        let of = |used: &f64| match *there > 0.0 {
            true => (used / (there * stretch)).min(MOST_WANTED) - 1.0,
            false => used.min(MOST_WANTED - 1.0),
        };
        used.iter().map(of).collect()
    };
    capacities.iter().zip(used).map(beyond).collect()
}

/// Moves prices towards what is wanted, as far as it takes for the bound to be better by `hope` if it
/// went on as it begins.
fn move_prices(
    prices: &mut [Vec<f64>],
    wanted: &[Vec<f64>],
    capacities: &[f64],
    (stretch, hope): (f64, f64),
) {
    let mut slope = 0.0;
    for ((prices, wanted), there) in prices.iter().zip(wanted).zip(capacities) {
        let moves = prices.iter().zip(wanted).filter(|(price, by)| **price > 0.0 || **by > 0.0);
        slope += moves.map(|(_, by)| by * by).sum::<f64>() * there.max(1.0) * stretch;
    }
    if slope <= 0.0 {
        return;
    }
    let step = hope / slope;
    for (price, by) in prices.iter_mut().flatten().zip(wanted.iter().flatten()) {
        *price = (*price + step * by).max(0.0);
    }
}

/// How many stretches there are.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a small count")]
fn stretches(stretch: f64, until: f64) -> usize {
    (until / stretch).ceil().clamp(1.0, 1e6) as usize
}

/// What a price comes to from zero until a moment.
struct Sums<'a> {
    prices: &'a [f64],
    sums: Vec<f64>,
    stretch: f64,
}

impl<'a> Sums<'a> {
    fn of(prices: &'a [f64], stretch: f64) -> Self {
        let mut sum = 0.0;
        let before = prices.iter().map(|price| {
            let before = sum;
            sum += price * stretch;
            before
        });
        let mut sums: Vec<f64> = before.collect();
        sums.push(sum);
        Self { prices, sums, stretch }
    }

    fn all(&self) -> f64 {
        self.sums.last().copied().unwrap_or_default()
    }

    fn until(&self, moment: f64) -> f64 {
        let nth = place_of(moment, self.stretch);
        match self.prices.get(nth) {
            Some(price) => self.sums[nth] + price * (moment - nth as f64 * self.stretch),
            None => self.all(),
        }
    }
}

/// Which stretch a moment is in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no moment is negative"
)]
fn place_of(moment: f64, stretch: f64) -> usize {
    (moment / stretch).floor().max(0.0) as usize
}

/// What a run comes to where and when that is least: its time from when it can begin, and what it pays.
/// That is linear between moments at which it begins or ends with a stretch, so only these are looked
/// at, and none so late that waiting alone is more than what was found.
fn cheapest<'r>(run: &'r Run, paid: &[Sums<'_>], stretch: f64) -> Option<(f64, f64, &'r Place)> {
    let mut best: Option<(f64, f64, &Place)> = None;
    for place in &run.places {
        let cost = |start: f64| {
            let end = start + place.long;
            let pays = place.uses.iter().map(|(resource, by)| {
                by * (paid[*resource].until(end) - paid[*resource].until(start))
            });
            end - run.from + pays.sum::<f64>()
        };
        let mut look = |start: f64| {
            let waits = start - run.from + place.long;
            if best.is_some_and(|(least, ..)| waits >= least) {
                return false;
            }
            let cost = cost(start);
            if best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, start, place));
            }
            true
        };
        if !look(run.from) {
            continue;
        }
        let mut begins = (place_of(run.from, stretch) + 1) as f64 * stretch;
        let mut ends = (place_of(run.from + place.long, stretch) + 1) as f64 * stretch - place.long;
        loop {
            let next = begins.min(ends);
            if !look(next) {
                break;
            }
            // When everything is free nothing is won by waiting any longer.
            if paid.iter().all(|paid| next >= paid.prices.len() as f64 * stretch) {
                break;
            }
            if begins <= next {
                begins += stretch;
            }
            if ends <= next {
                ends += stretch;
            }
        }
    }
    best
}

/// Adds what a run has to what is used in each stretch.
fn book(used: &mut [Vec<f64>], place: &Place, start: f64, stretch: f64) {
    let end = start + place.long;
    for (resource, by) in &place.uses {
        let mut nth = place_of(start, stretch);
        while let Some(used) = used[*resource].get_mut(nth) {
            let (begins, ends) = (nth as f64 * stretch, (nth + 1) as f64 * stretch);
            if begins >= end {
                break;
            }
            *used += by * (end.min(ends) - start.max(begins));
            nth += 1;
        }
    }
}
