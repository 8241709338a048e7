//! Tenants and what is theirs.

use super::fair::{assert_can_be, class};
use allocation::{Class, Node, Problem, fair};

fn below(of: usize, class: Class) -> Class {
    Class { of: Some(of), ..class }
}

fn check(problem: &Problem, expected: &[f64]) {
    let found = fair(problem).expect("it can be solved");
    assert_can_be(problem, &found);
    for (found, expected) in found.throughputs.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }
}

const PART: Node = Node { parent: None, weight: 1.0 };

#[test]
fn tenants_share_evenly_however_many_jobs_they_have() {
    let wide: &[(f64, &[(usize, f64)])] = &[(1.0, &[(0, 1.0)])];
    let problem = Problem {
        capacities: vec![12.0],
        nodes: vec![PART, PART, Node { weight: 2.0, ..PART }],
        classes: vec![
            below(0, class(30.0, wide)),
            below(1, class(5.0, wide)),
            below(2, class(10.0, wide)),
        ],
    };
    check(&problem, &[0.1, 0.6, 0.6]);
}

#[test]
fn what_a_class_cannot_use_is_its_siblings_before_it_is_anybody_elses() {
    let one: &[(f64, &[(usize, f64)])] = &[(1.0, &[(0, 1.0)])];
    let problem = Problem {
        capacities: vec![8.0],
        nodes: vec![PART, PART],
        classes: vec![
            // The first tenant's part is four: one job can use but one of it.
            below(0, class(1.0, one)),
            below(0, class(12.0, one)),
            below(1, class(40.0, one)),
        ],
    };
    // Thirteen alike jobs share four, forty the other four.
    check(&problem, &[4.0 / 13.0, 4.0 / 13.0, 0.1]);
    let mut small = problem;
    small.classes[0].choices[0].rate = 0.2;
    // The job that comes to 0.2 at most takes a whole chip for it. Both tenants come to 3.6: the
    // first with that and 3.4 more for its others.
    check(&small, &[0.2, 3.4 / 12.0, 3.6 / 40.0]);
}

#[test]
fn a_tenant_that_wants_little_leaves_the_rest_to_others_by_weight() {
    let one: &[(f64, &[(usize, f64)])] = &[(1.0, &[(0, 1.0)])];
    let problem = Problem {
        capacities: vec![10.0],
        nodes: vec![PART, Node { weight: 1.0, ..PART }, Node { weight: 2.0, ..PART }],
        classes: vec![
            below(0, class(1.0, one)),
            below(1, class(100.0, one)),
            below(2, class(100.0, one)),
        ],
    };
    check(&problem, &[1.0, 0.03, 0.06]);
}

#[test]
fn a_tenant_of_a_tenant_shares_what_that_has() {
    let one: &[(f64, &[(usize, f64)])] = &[(1.0, &[(0, 1.0)])];
    let problem = Problem {
        capacities: vec![6.0],
        nodes: vec![
            PART,
            PART,
            Node { parent: Some(0), weight: 1.0 },
            Node { parent: Some(0), weight: 2.0 },
        ],
        classes: vec![
            below(2, class(10.0, one)),
            below(3, class(10.0, one)),
            below(1, class(10.0, one)),
        ],
    };
    check(&problem, &[0.1, 0.2, 0.3]);
}

#[test]
fn who_lends_half_keeps_half() {
    // A pool of ten chips: guests get at most half of it, which is a resource of its own.
    let problem = Problem {
        capacities: vec![10.0, 5.0],
        nodes: vec![PART, Node { weight: 3.0, ..PART }],
        classes: vec![
            below(0, class(100.0, &[(1.0, &[(0, 1.0)])])),
            below(1, class(100.0, &[(1.0, &[(0, 1.0), (1, 1.0)])])),
        ],
    };
    check(&problem, &[0.05, 0.05]);
}
