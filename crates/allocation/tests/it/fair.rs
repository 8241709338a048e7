//! Exact, on small problems of every sort.

use allocation::{Choice, Class, Problem, Program, Row, even, fair, fair_from};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use smallvec::SmallVec;

/// A class whose members weigh one: the rate and use of each choice.
pub(crate) fn class(count: f64, choices: &[(f64, &[(usize, f64)])]) -> Class {
    let choices = choices.iter();
    let choices =
        choices.map(|(rate, uses)| Choice { rate: *rate, uses: SmallVec::from_slice(uses) });
    Class { count, of: None, weight: 1.0, choices: choices.collect() }
}

/// The lexicographic max-min vector the slow way: raise all that can rise as far as they can together,
/// then ask of each by itself whether it can go on.
fn slow(problem: &Problem) -> Vec<f64> {
    let count = problem.classes.len();
    let mut stays: Vec<Option<f64>> = vec![None; count];
    let mut level = 0.0;
    while stays.iter().any(Option::is_none) {
        let rising: Vec<usize> = (0..count).filter(|at| stays[*at].is_none()).collect();
        level = most(problem, &stays, level, &rising);
        for at in rising {
            let alone = most(problem, &stays, level, &[at]);
            if alone <= level * (1.0 + 3e-5) {
                stays[at] = Some(level * problem.classes[at].weight);
            }
        }
    }
    stays.into_iter().map(|level| level.expect("the loop is over")).collect()
}

/// How high these can rise together while those that stay have what they have and all others at least
/// the level.
fn most(problem: &Problem, stays: &[Option<f64>], level: f64, rising: &[usize]) -> f64 {
    let mut program = Program::default();
    let rows: Vec<Row> = problem.capacities.iter().map(|has| program.at_most(*has)).collect();
    let mut top = Vec::new();
    let mut shares: Vec<(f64, Vec<(Row, f64)>)> = Vec::new();
    for (at, class) in problem.classes.iter().enumerate() {
        let time = program.at_most(class.count);
        let least = stays[at].unwrap_or(level * class.weight);
        // What was found before is asked for again with a little less, for it was rounded.
        let has = program.at_most(-class.count * least * (1.0 - 1e-7));
        let rises = rising.contains(&at).then(|| program.at_most(0.0));
        if let Some(rises) = rises {
            top.push((rises, class.count * class.weight));
        }
        for choice in &class.choices {
            let mut adds = vec![(time, 1.0), (has, -choice.rate)];
            adds.extend(rises.map(|row| (row, -choice.rate)));
            adds.extend(choice.uses.iter().map(|(resource, by)| (rows[*resource], *by)));
            shares.push((0.0, adds));
        }
    }
    program.unknown(-1.0, top);
    for (cost, adds) in shares {
        program.unknown(cost, adds);
    }
    -program.least().expect("nothing at all is a solution").cost
}

fn uses() -> impl Strategy<Value = Vec<(usize, f64)>> {
    (0..4_usize, 0..4_usize, 1..9_u8, any::<bool>()).prop_map(|(a, b, by, both)| {
        let by = f64::from(by);
        if both && a != b { vec![(a, by), (b, 1.0)] } else { vec![(a, by)] }
    })
}

fn problems() -> impl Strategy<Value = Problem> {
    let choice = (100..1_000_u32, uses()).prop_map(|(rate, uses)| Choice {
        rate: f64::from(rate) / 100.0,
        uses: uses.into_iter().collect(),
    });
    let class = (1..4_u8, 1..4_u8, prop::collection::vec(choice, 1..5)).prop_map(
        |(count, weight, choices)| Class {
            count: f64::from(count),
            of: None,
            weight: f64::from(weight),
            choices,
        },
    );
    let capacities = prop::collection::vec(1..20_u8, 4..5);
    (capacities, prop::collection::vec(class, 1..7)).prop_map(|(capacities, classes)| Problem {
        capacities: capacities.into_iter().map(f64::from).collect(),
        nodes: Vec::new(),
        classes,
    })
}

/// That the shares give the throughputs and use no more than there is.
pub(crate) fn assert_can_be(problem: &Problem, found: &allocation::Fair) {
    let mut used = vec![0.0; problem.capacities.len()];
    for ((class, shares), has) in problem.classes.iter().zip(&found.shares).zip(&found.throughputs)
    {
        assert!(shares.iter().sum::<f64>() <= 1.0 + 1e-6, "{shares:?}");
        let rates = class.choices.iter().zip(shares).map(|(choice, time)| choice.rate * time);
        let had: f64 = rates.sum();
        assert!((had - has).abs() <= 1e-6 * has.max(1e-3), "{had} instead of {has}");
        for (choice, time) in class.choices.iter().zip(shares) {
            for (resource, by) in &choice.uses {
                used[*resource] += class.count * time * by;
            }
        }
    }
    for (used, has) in used.iter().zip(&problem.capacities) {
        assert!(*used <= has * (1.0 + 3e-6), "{used} of {has}");
    }
}

fn assert_same(found: &[f64], expected: &[f64], problem: &Problem) {
    for (found, expected) in found.iter().zip(expected) {
        let far = (found - expected).abs() > 5e-3 * expected.max(1e-3);
        assert!(!far, "{found} instead of {expected}: {problem:#?}");
    }
}

/// The same problem with each resource as three that are used alike, so that there are too many for
/// cutting planes.
fn tripled(problem: &Problem) -> Problem {
    let mut tripled = problem.clone();
    let few = problem.capacities.len();
    tripled.capacities = problem.capacities.repeat(3);
    for choice in tripled.classes.iter_mut().flat_map(|class| &mut class.choices) {
        let uses = choice.uses.clone();
        for copy in 1..3 {
            choice.uses.extend(uses.iter().map(|(resource, by)| (resource + copy * few, *by)));
        }
    }
    tripled
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(6), ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_the_slow_way_finds(problem in problems()) {
        let found = fair(&problem).unwrap();
        assert_can_be(&problem, &found);
        assert_same(&found.throughputs, &slow(&problem), &problem);
    }

    #[test]
    fn one_program_finds_what_cutting_planes_find(problem in problems()) {
        let planes = fair(&problem).unwrap();
        let program = fair(&tripled(&problem)).unwrap();
        assert_can_be(&tripled(&problem), &program);
        assert_same(&program.throughputs, &planes.throughputs, &problem);
    }

    #[test]
    fn starting_from_what_was_found_changes_nothing(problem in problems()) {
        let cold = fair(&problem).unwrap();
        let warm = fair_from(&problem, &cold.stages).unwrap();
        assert_same(&warm.throughputs, &cold.throughputs, &problem);
        let even = even(&problem, &cold.stages).unwrap().level;
        let least = cold.throughputs.iter().zip(&problem.classes);
        let least = least.map(|(has, class)| has / class.weight).fold(f64::INFINITY, f64::min);
        prop_assert!((even - least).abs() <= 1e-6 * least.max(1e-3), "{} {}", even, least);
    }
}

#[test]
fn who_can_run_nowhere_has_nothing_and_holds_nobody_back() {
    let problem = Problem {
        capacities: vec![4.0, 0.0],
        nodes: Vec::new(),
        classes: vec![
            class(1.0, &[]),
            class(1.0, &[(5.0, &[(1, 1.0)])]),
            class(2.0, &[(1.0, &[(0, 1.0)])]),
        ],
    };
    assert_eq!(fair(&problem).unwrap().throughputs, [0.0, 0.0, 1.0]);
    assert!((even(&problem, &[]).unwrap().level - 1.0).abs() < 1e-9);
}

#[test]
fn numbers_that_cannot_be_meant_are_named() {
    let check = |problem: Problem, said: &str| {
        assert_eq!(fair(&problem).unwrap_err().to_string(), said);
    };
    let one = |class| Problem { capacities: vec![1.0], nodes: Vec::new(), classes: vec![class] };
    check(
        one(class(1.0, &[(f64::NAN, &[])])),
        "a rate of class 0 is NaN; it has to be zero or more",
    );
    check(one(class(0.0, &[])), "the count of class 0 is 0; it has to be a number above zero");
    check(
        one(class(1.0, &[(1.0, &[(3, 1.0)])])),
        "class 0, a resource names number 3, but there are only 1, counted from 0",
    );
}
