//! Quotas through real servers: raced for by many, killed in between, and never oversold.

use futures::future::join_all;
use model::{Chips, Fact, FlavorId, TenantId};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use whole_system::{Caller, Net, Plan, Records};
use world::World;

const TIMERS: &str = include_str!("../../../catalog/networks/timers.toml");
/// One chip that two tenants borrow from the one they are part of.
const LAST: &str = r#"
[[flavor]]
flavor = "all"
[[tenant]]
tenant = "city"
[[tenant.quota]]
flavor = "all"
nominal = 1
[[tenant]]
tenant = "north"
parent = "city"
[[tenant]]
tenant = "south"
parent = "city"
"#;
const CLIENTS: usize = 50;
const ROUNDS: usize = 1_000;

/// A job of the timer engine that takes a moment.
fn moment(name: &str) -> Value {
    json!({"name": name, "limit": "1m", "on": "cuda", "chips": 1, "command": ["sleep", "0.001"]})
}

/// Submits until it is answered, whatever server answers; the key has it accepted once.
async fn submit(who: &Caller, key: &str) {
    loop {
        let request = who.request(Method::POST, "/v1/jobs").header("Idempotency-Key", key);
        match who.try_send(request.json(&moment("race"))).await {
            Ok(answer) if (200..300).contains(&answer.status) => return,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn ended(net: &Net) -> usize {
    net.jobs().await.iter().filter(|job| job.state == "completed").count()
}

/// At no fact of the log do both tenants together hold more than the one chip.
fn never_oversold(records: &Records) -> usize {
    let mut world = World::default();
    let flavor = FlavorId::new("all").unwrap();
    let tenants = ["north", "south"].map(|name| TenantId::new(name).unwrap());
    let (mut offers, mut most) = (0, Chips::ZERO);
    for record in &records.records {
        let fact = record.fact().unwrap();
        world.fold(record.header.at, &fact).unwrap();
        offers += usize::from(matches!(fact, Fact::JobOffered(_)));
        let held = tenants.iter().filter_map(|tenant| world.held(tenant)?.chips.get(&flavor));
        let held = held.copied().fold(Chips::ZERO, Chips::saturating_add);
        assert!(held <= Chips::ONE, "fact {}: {held} chips are held", record.header.number);
        most = most.max(held);
    }
    assert_eq!(most, Chips::ONE, "what is not counted proves nothing");
    offers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_that_race_for_the_last_quota_never_both_get_it() {
    let network = format!("{TIMERS}{LAST}");
    let mut net = Plan::of(&network).unwatched().start().await;
    let clients = (0..CLIENTS).map(|client| {
        let who = net.tenant(if client % 2 == 0 { "north" } else { "south" }).afresh();
        tokio::spawn(async move {
            for round in 0..ROUNDS / CLIENTS {
                submit(&who, &format!("{client}-{round}")).await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        net.kill_server();
        net.start_server().await;
    }
    join_all(clients).await.into_iter().for_each(|client| client.unwrap());
    let mut last = (0, 0);
    while last.0 < ROUNDS {
        let now = ended(&net).await;
        last = if now > last.0 { (now, 0) } else { (now, last.1 + 1) };
        assert!(last.1 < 60, "nothing ends any more after {now} of {ROUNDS} jobs");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    assert!(never_oversold(&records) >= ROUNDS);
}
