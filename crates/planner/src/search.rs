//! Best first: choices of a class in the order of what they might be worth, opened only until
//! nothing left can be better.
//!
//! Within a plan calendars only fill up, so what a choice was worth once is a bound on what it is
//! worth later, and most choices are never opened at all. Only a copy of data that an earlier job
//! brings along can make a choice better: then it is put in once more.

use crate::candidate::{Asked, Candidate, Rank, Reach, Scene};
use crate::staging::Soonest;
use calendar::Work;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A choice, by its number, and a rank it does not beat.
type Entry = Reverse<(Rank, u32)>;

/// A choice with its bound; none when it will never do.
fn entry(
    scene: &Scene<'_>,
    asked: Asked<'_>,
    i: usize,
    inputs: Option<&[Soonest<'_>]>,
) -> Option<Entry> {
    let number = u32::try_from(i).expect("choices are fewer than four billion");
    Some(Reverse((scene.bound(asked, &asked.options.choices[i], inputs?)?, number)))
}

/// What is left of a class's choices.
#[derive(Debug)]
pub(crate) struct Search {
    reach: Reach,
    left: BinaryHeap<Entry>,
    /// How many of the copies that are planned were taken into account.
    copies: usize,
    /// How many choices were opened.
    pub(crate) opened: u64,
}

impl Search {
    /// All choices of the class, or only those `numbered`.
    pub(crate) fn new(
        scene: &Scene<'_>,
        asked: Asked<'_>,
        reach: Reach,
        numbered: impl Iterator<Item = usize>,
        work: &mut Work,
    ) -> Self {
        let inputs = scene.soonest(asked.spec);
        let bound = |i: usize| entry(scene, asked, i, inputs.as_deref());
        let left: Vec<Entry> = numbered.filter_map(bound).collect();
        work.count(1 + left.len() as u64 / 16);
        Self { reach, left: left.into(), copies: scene.coming.len(), opened: 0 }
    }

    /// How far ahead it looks.
    pub(crate) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Takes into account the copies of inputs that were planned meanwhile: what they come to may
    /// be better than it was.
    pub(crate) fn catch_up(&mut self, scene: &Scene<'_>, asked: Asked<'_>) {
        if !asked.spec.inputs.is_empty() && self.copies < scene.coming.len() {
            let inputs = scene.soonest(asked.spec);
            for center in scene.coming.since(self.copies, scene.world, asked.spec) {
                for pool in scene.view.roster.pools_of(center) {
                    for i in asked.options.in_pool(pool) {
                        self.left.extend(entry(scene, asked, i, inputs.as_deref()));
                    }
                }
            }
        }
        self.copies = scene.coming.len();
    }

    /// The best choice there is now; it stays among those left.
    pub(crate) fn best(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        work: &mut Work,
    ) -> Option<(Rank, Candidate)> {
        let mut opened: Vec<Entry> = Vec::new();
        let mut best: Option<((Rank, u32), Candidate)> = None;
        while let Some(Reverse((bound, number))) = self.left.pop() {
            if best.as_ref().is_some_and(|(best, _)| *best < (bound, number)) {
                opened.push(Reverse((bound, number)));
                break;
            }
            self.opened += 1;
            let choice = &asked.options.choices[number as usize];
            let Ok(found) = scene.open(asked, choice, self.reach, work) else {
                if work.is_spent() {
                    break;
                }
                continue;
            };
            let seat = scene.view.roster.seat(choice.pool);
            let rank = scene.rank(asked, seat, choice, found.finish, found.price.micros);
            // What its transfers cost may fall when they have to take another path.
            let floor = scene.rank(asked, seat, choice, found.finish, choice.price);
            opened.push(Reverse((floor, number)));
            if best.as_ref().is_none_or(|(best, _)| (rank, number) < *best) {
                best = Some(((rank, number), found));
            }
        }
        self.left.extend(opened);
        best.map(|((rank, _), found)| (rank, found))
    }
}
