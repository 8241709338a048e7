//! Bounds beside the best of all plans: every job in every order at every place, in worlds small enough.

use super::*;

/// Jobs of a world, each in a place by the number of its choice, one after the other.
type Picks = Vec<(JobId, usize)>;

/// So few plans are looked at one by one.
const MOST: usize = 10_000;

struct Plans<'a> {
    world: &'a World,
    view: &'a View,
    at: &'a Situation,
    policy: &'a Policy,
    /// Places there are for each job that waits.
    places: Vec<(JobId, usize)>,
    /// The least that all ends come to, counted from now in milliseconds.
    least: Option<u64>,
}

impl<'a> Plans<'a> {
    fn of(world: &'a World, view: &'a View, at: &'a Situation, policy: &'a Policy) -> Option<Self> {
        let places = |job| {
            let class = view.lines.class(class_of(&world.job(job)?.spec))?;
            Some((job, class.options(world, &view.roster, policy).choices.len()))
        };
        let places: Vec<_> = world.waiting().map(places).collect::<Option<_>>()?;
        let orders: usize = (1..=places.len()).product();
        let all = places.iter().try_fold(orders, |all, (_, places)| all.checked_mul(*places))?;
        let is_small = places.len() > 1 && (1..MOST).contains(&all);
        is_small.then_some(Self { world, view, at, policy, places, least: None })
    }

    /// Looks at all plans that go on from these picks.
    fn look(&mut self, picks: &mut Picks) {
        if picks.len() == self.places.len() {
            if let Some(ends) = self.ends(picks) {
                self.least = Some(self.least.map_or(ends, |least| least.min(ends)));
            }
            return;
        }
        for (job, places) in self.places.clone() {
            if picks.iter().any(|(picked, _)| *picked == job) {
                continue;
            }
            for place in 0..places {
                picks.push((job, place));
                self.look(picks);
                picks.pop();
            }
        }
    }

    /// What the ends come to where each job starts in its place as soon as those before it let it; none
    /// where one never does.
    fn ends(&self, picks: &Picks) -> Option<u64> {
        let mut walk = plan::Walk::new(self.world, self.view, self.at, self.policy, u64::MAX);
        let turns = std::iter::empty();
        walk.queue =
            crate::queue::Queue::new((self.world, self.view, self.policy), self.at.now, turns);
        let mut ends = 0;
        for (job, place) in picks {
            let id = class_of(&self.world.job(*job)?.spec);
            let class = self.view.lines.class(id)?;
            let options = class.options(self.world, &self.view.roster, self.policy);
            let asked = Asked { class: id, spec: &class.spec, options: &options };
            let choice = &options.choices[*place];
            let mut work = Work::unbounded();
            let found = walk.scene().open(asked, choice, (Reach::Ever, None), &mut work).ok()?;
            let rank = walk.scene().rank_found(asked, choice, &found);
            ends += found.finish.since(self.at.now).0;
            walk.settle(*job, id, class, Some((rank, found)));
        }
        Some(ends)
    }
}

#[test]
fn no_plan_is_better_than_the_bound() {
    let (mut judged, mut together, mut beaten) = (0, 0, 0);
    check(10_000..13_000, 6, &mut |seed, small, board, at, policy| {
        let policy = Policy { reservations: 8, ..policy.clone() };
        let found = plan(&small.world, board.view(), at, &policy);
        let Some(gap) = found.gap else { return };
        let Some(mut plans) = Plans::of(&small.world, board.view(), at, &policy) else { return };
        // Bounds are of those jobs that the plan gives a start.
        if gap.jobs < plans.places.len() {
            return;
        }
        plans.look(&mut Vec::new());
        let least = plans.least.expect("the plan found is one of them") / gap.jobs as u64;
        assert!(gap.bound.0 <= least + 1, "seed {seed}: {gap:?} beside {least} ms");
        judged += 1;
        together += usize::from(gap.by == Bounding::AllChips);
        beaten += usize::from(least + 1 < gap.value.0);
    });
    assert!(judged > 100 && together > 10 && beaten > 10, "{judged} {together} {beaten}");
}
