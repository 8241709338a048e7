//! Copies put into external stores, and what lies there in plans.

use crate::{Stage, center, job};
use controller::{Answer, Command, Rejected};
use model::{
    Bytes, DatasetId, DatasetRef, DatasetVersion, Digest, ExternalStore, Lies, Rate, Span, StoreId,
    TenantId, Tier,
};
use wire::{Order, Report};

const MINUTE: Span = Span::from_secs(60);

fn corpus() -> DatasetVersion {
    let dataset = DatasetId::new("corpus").unwrap();
    DatasetVersion { dataset, version: Digest::of(b"corpus") }
}

fn newest() -> DatasetRef {
    DatasetRef { dataset: corpus().dataset, version: None }
}

fn tape() -> StoreId {
    "tape".parse().unwrap()
}

fn store(name: &str, takes: bool) -> ExternalStore {
    ExternalStore {
        store: name.parse().unwrap(),
        kind: "fs".into(),
        tier: Tier::Cold,
        recall: MINUTE,
        capacity: Some(Bytes(3 << 30)),
        takes,
    }
}

fn put(lies: Option<Lies>, also_own: bool) -> Report {
    Report::Put { data: corpus(), bytes: Bytes(1 << 30), files: 3, lies, also_own }
}

fn on_tape() -> Lies {
    let rate = Some(Rate(1 << 30));
    Lies { store: tape(), tier: Tier::Cold, recall: MINUTE, rate, archived: true }
}

/// A gibibyte in lingang, whose agent told of two stores.
fn stage() -> Stage {
    let mut stage = Stage::laptop();
    stage.join_with("lingang", vec![store("tape", true), store("web", false)]);
    stage.command(Command::PutDataset {
        data: corpus(),
        bytes: Bytes(1 << 30),
        files: 3,
        center: center("lingang"),
        tenant: TenantId::new("lab").unwrap(),
        residency: vec![],
    });
    stage.report("lingang", put(None, false));
    stage
}

fn archive(stage: &mut Stage, to: &str) -> Answer {
    let (center, store) = (center("lingang"), to.parse().unwrap());
    stage.command(Command::Archive { data: newest(), center, store })
}

fn orders_to_archive(stage: &mut Stage) -> usize {
    let orders = stage.orders("lingang");
    let is_it = |order: &&Order| matches!(order, Order::Archive { data, store } if *data == corpus() && *store == tape());
    orders.iter().filter(is_it).count()
}

#[test]
fn a_copy_is_archived_and_then_its_room_in_the_centers_own_store_can_be_freed() {
    let mut stage = stage();
    let evict = || Command::Evict { data: newest(), center: center("lingang") };
    let last = stage.command(evict());
    assert!(matches!(&last, Answer::Rejected(Rejected::Conflict { .. })), "{last:?}");
    assert!(matches!(archive(&mut stage, "tape"), Answer::Archive(plan) if !plan.is_there));
    assert_eq!(orders_to_archive(&mut stage), 1);
    stage.restart();
    stage.join_with("lingang", vec![store("tape", true)]);
    assert_eq!(orders_to_archive(&mut stage), 1, "a restart of the server forgets nothing");
    stage.report("lingang", put(Some(on_tape()), true));
    assert_eq!(orders_to_archive(&mut stage), 0);
    assert!(matches!(archive(&mut stage, "tape"), Answer::Archive(plan) if plan.is_there));
    stage.command(evict());
    let orders = stage.orders("lingang");
    let removal = Order::Remove { data: corpus(), keep_in_place: true };
    assert!(orders.contains(&removal), "{orders:?}");
    stage.report("lingang", Report::Removed { data: corpus() });
    stage.report("lingang", put(Some(on_tape()), false));
    let version = stage.controller.world().exact(&corpus()).unwrap();
    assert!(version.replicas.contains_key(&center("lingang")), "it still counts");
    assert!(!version.takes_room_at(&center("lingang")));
    stage.audit();
}

#[test]
fn what_cannot_be_archived_is_refused_and_what_failed_there_is_kept_until_it_is_asked_again() {
    let mut stage = stage();
    for (to, says) in [
        ("disk", "external store disk of center lingang: it has tape, web"),
        ("web", "web of lingang is only read"),
    ] {
        let answer = archive(&mut stage, to);
        let Answer::Rejected(why) = answer else { panic!("{to}: {answer:?}") };
        assert!(why.to_string().contains(says), "{why}");
    }
    archive(&mut stage, "tape");
    let why = "its disk is on fire".to_owned();
    stage.report("lingang", Report::NotArchived { data: corpus(), store: tape(), why });
    assert_eq!(orders_to_archive(&mut stage), 0);
    let failed = |stage: &Stage| {
        let version = stage.controller.world().exact(&corpus()).unwrap();
        version.archiving[&center("lingang")].failed.clone()
    };
    assert_eq!(failed(&stage).as_deref(), Some("its disk is on fire"));
    archive(&mut stage, "tape");
    assert_eq!((failed(&stage), orders_to_archive(&mut stage)), (None, 1));
    let mut small = store("tape", true);
    small.capacity = Some(Bytes(1 << 20));
    stage.join_with("kunshan", vec![small]);
    stage.report("kunshan", put(None, false));
    let to_kunshan = Command::Archive { data: newest(), center: center("kunshan"), store: tape() };
    let answer = stage.command(to_kunshan);
    let Answer::Rejected(why) = answer else { panic!("{answer:?}") };
    assert!(why.to_string().contains("has 1 MiB of 1 MiB left"), "{why}");
    stage.audit();
}

#[test]
fn a_job_elsewhere_begins_to_read_what_is_archived_once_it_is_recalled_and_no_faster_than_it_comes()
{
    let mut stage = stage();
    stage.report("lingang", put(Some(on_tape()), false));
    let reads = "on = \"cann\"\nchips = 1\n[[input]]\nname = \"corpus\"\ndataset = \"corpus\"";
    let id = stage.submit(job(reads));
    assert_eq!(stage.state(id), "offered at zhangjiang/ascend");
    let now = stage.now;
    let staging = stage.controller.world().transfers.values().next().unwrap().clone();
    let first = staging.steps.iter().find(|step| step.rate.0 > 0).unwrap();
    assert_eq!(first.from, now + MINUTE);
    let most = staging.steps.iter().map(|step| step.rate.0).max().unwrap();
    assert!(most <= Rate(1 << 30).on_wire().0, "{most}");
    assert!(staging.arrives >= now + MINUTE + Bytes(1 << 30).time_at(Rate(1 << 30)).unwrap());
    stage.audit();
}

#[test]
fn a_job_in_the_center_itself_starts_once_what_lies_in_place_is_recalled_and_read() {
    let mut stage = stage();
    stage.report("lingang", put(Some(on_tape()), false));
    let reads = "on = \"cuda\"\nchips = 1\ncenters = [\"lingang\"]\n[[input]]\nname = \"corpus\"\n\
                 dataset = \"corpus\"";
    let id = stage.submit(job(reads));
    let attempt = stage.controller.world().job(id).unwrap().phase.attempt().unwrap().clone();
    assert_eq!(attempt.placement.start, stage.now + MINUTE + Span::from_secs(8));
    assert!(attempt.placement.awaits.is_empty());
    stage.audit();
}

#[test]
fn a_copy_in_a_centers_own_store_is_read_rather_than_one_that_is_to_be_recalled_first() {
    let mut stage = stage();
    stage.report("lingang", put(Some(on_tape()), false));
    stage.report("kunshan", put(None, false));
    let reads = "on = \"cann\"\nchips = 1\n[[input]]\nname = \"corpus\"\ndataset = \"corpus\"";
    stage.submit(job(reads));
    let from: Vec<_> = stage.controller.world().transfers.values().map(|t| &t.from).collect();
    assert_eq!(from, [&center("kunshan")]);
}
