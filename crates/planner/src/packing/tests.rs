use super::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

fn need(chips: u64, cores: u64) -> Need {
    Need { chips: Chips(chips), cores: Cores(cores), memory: Bytes(0) }
}

fn room(cores: u64, chips: &[u64]) -> Room {
    Room::new(Cores(cores), Bytes(0), chips.iter().copied().map(Chips))
}

fn demand(chips: u64, cores: u64, nodes: u64, on: &[usize]) -> Demand {
    Demand { need: need(chips, cores), nodes, on: on.iter().copied().collect() }
}

/// Places jobs of (chips, cores) one after another on nodes of one kind each, and says on which
/// node and how much of a shared chip was free.
fn check(nodes: &[Room], typical: &[Typical], jobs: &[(u64, u64)], expected: &[&str]) {
    let mut placer = Placer::new(typical.to_vec(), nodes.iter().cloned().enumerate());
    let all = (0..nodes.len()).collect();
    let said = jobs.iter().map(|(chips, cores)| {
        let class = placer.class(need(*chips, *cores), &all);
        match placer.place(class) {
            Some((node, Fit { on: Some(on), .. })) => format!("{node} beside {}", 1_000 - on.0),
            Some((node, _)) => node.to_string(),
            None => "nowhere".to_owned(),
        }
    });
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

#[test]
fn where_nothing_is_typical_the_fullest_node_that_has_room_is_taken() {
    check(
        &[room(9, &[1_000; 4]), room(8, &[1_000; 2]), room(7, &[1_000; 2])],
        &[Typical::default(), Typical::default(), Typical::default()],
        &[(2_000, 1), (500, 1), (500, 1), (300, 1), (2_000, 1), (3_000, 0), (0, 9)],
        &["2", "1 beside 0", "1 beside 500", "1 beside 0", "0", "nowhere", "nowhere"],
    );
}

#[test]
fn a_share_goes_where_what_is_left_is_of_use_to_others() {
    // Best fit would take the chip with 500 free, and leave 100 and 700 that nobody asks for.
    let nodes = [room(9, &[500]), room(9, &[700])];
    let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 1 });
    let typical = typical(&kinds, &[demand(500, 1, 3, &[0, 1]), demand(300, 1, 9, &[0, 1])]);
    check(&nodes, &typical, &[(400, 1), (500, 1)], &["1 beside 300", "0 beside 500"]);
}

#[test]
fn jobs_without_chips_take_cores_that_no_chip_needs() {
    let nodes = [room(16, &[1_000; 4]), room(64, &[1_000; 4])];
    let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 1 });
    let typical = typical(&kinds, &[demand(1_000, 4, 1, &[0, 1])]);
    check(&nodes, &typical, &[(0, 8); 7], &["1", "1", "1", "1", "1", "1", "0"]);
}

#[test]
fn nodes_that_some_jobs_cannot_do_without_are_kept_for_them() {
    let nodes = [room(8, &[1_000; 2]), room(8, &[1_000; 2])];
    let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 10 });
    let typical = typical(&kinds, &[demand(1_000, 1, 5, &[0, 1]), demand(1_000, 2, 5, &[0])]);
    check(&nodes, &typical, &[(1_000, 1); 3], &["1", "1", "0"]);
}

#[test]
fn whole_nodes_are_not_broken_into_while_others_will_do() {
    let nodes = [room(80, &[1_000; 8]), room(80, &[1_000; 8])];
    let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 1 });
    let on = [0, 1];
    let typical = typical(&kinds, &[demand(8_000, 8, 1, &on), demand(1_000, 1, 9, &on)]);
    check(&nodes, &typical, &[(1_000, 1), (250, 1), (8_000, 8)], &["0", "0 beside 0", "1"]);
}

fn made(rng: &mut impl Rng) -> (Vec<NodeKind>, Vec<Demand>) {
    let kind = |rng: &mut _| {
        let chips = vec![1_000; RngExt::random_range(rng, 0..9)];
        NodeKind { empty: room(RngExt::random_range(rng, 0..99), &chips), nodes: 3 }
    };
    let kinds: Vec<NodeKind> = (0..3).map(|_| kind(rng)).collect();
    let class = |rng: &mut _| {
        let chips = match RngExt::random_range(rng, 0..4) {
            0 => 0,
            1 => RngExt::random_range(rng, 1..9) * 1_000,
            _ => RngExt::random_range(rng, 1..1_001),
        };
        let on: Vec<usize> = (0..3).filter(|_| RngExt::random_bool(rng, 0.7)).collect();
        let (cores, nodes) = (RngExt::random_range(rng, 0..30), RngExt::random_range(rng, 0..9));
        demand(chips, cores, nodes, &on)
    };
    let demands = (0..12).map(|_| class(rng)).collect();
    (kinds, demands)
}

#[test]
fn what_is_remembered_changes_no_choice_and_taking_never_adds_worth() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (kinds, demands) = made(&mut rng);
        let typical = typical(&kinds, &demands);
        let mut rooms: Vec<(usize, Room)> =
            (0..9).map(|node| (node % 3, kinds[node % 3].empty.clone())).collect();
        let mut placer = Placer::new(typical.clone(), rooms.clone());
        let classes: Vec<usize> = demands.iter().map(|d| placer.class(d.need, &d.on)).collect();
        for _ in 0..80 {
            let drawn = rng.random_range(0..demands.len());
            let Demand { need, on, .. } = &demands[drawn];
            let fits = (0..rooms.len()).filter(|node| on.contains(&rooms[*node].0));
            let expected =
                fits.filter_map(|n| Some((typical[rooms[n].0].fit(&rooms[n].1, need)?, n))).min();
            let placed = placer.place(classes[drawn]).map(|(node, fit)| (fit, node));
            assert_eq!(placed, expected, "seed {seed}");
            let Some((fit, node)) = placed else { continue };
            let (kind, room) = &mut rooms[node];
            let after = room.after(need, fit.on).unwrap();
            assert!(typical[*kind].worth(&after) <= typical[*kind].worth(room), "seed {seed}");
            assert_eq!(room.chips().0 - after.chips().0, need.milli(), "seed {seed}");
            *room = after;
        }
        assert!(placer.rooms().eq(rooms.iter().map(|(_, room)| room)));
    }
}

#[test]
fn absurd_amounts_are_borne() {
    let most = Need { chips: Chips(u64::MAX), cores: Cores(u64::MAX), memory: Bytes(u64::MAX) };
    let empty = Room::new(Cores(u64::MAX), Bytes(u64::MAX), [Chips(u64::MAX), Chips(0)]);
    let kinds = [NodeKind { empty: empty.clone(), nodes: u64::MAX }];
    let on = BTreeSet::from([0, 7]);
    let demands = [most, need(1, 0), need(1_000, u64::MAX)];
    let demands = demands.map(|need| Demand { need, nodes: u64::MAX, on: on.clone() });
    let typical = typical(&kinds, &demands);
    assert_eq!(typical[0].fit(&empty, &most), None);
    assert!(typical[0].fit(&empty, &need(1, 1)).is_some_and(|fit| fit.lost > 0));
    assert!(super::typical(&[], &demands).is_empty());
}
