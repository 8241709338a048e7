//! What the greenest place is depends on the hour.

use super::*;
use crate::{Behind, trial};

/// A center that needs little cooling on coal, and one that needs much where the sun shines from six to
/// six.
const NETWORK: &str = r#"
[[center]]
center = "coal"
owner = "a"
region = "cn/east"
latitude = 30
longitude = 120
time_zone = "Asia/Shanghai"
engine = "timer"
pue = 1.1
carbon = 600
[[center.pool]]
pool = "p"
chip = "nvidia-h20"
nodes = 1
chips_per_node = 8
cores = 64
memory = "512 GiB"
price_per_chip_hour = "1 CNY"

[[center]]
center = "sun"
owner = "b"
region = "cn/west"
latitude = 40
longitude = 110
time_zone = "Asia/Shanghai"
engine = "timer"
pue = 1.5
carbon = [800, 800, 800, 800, 800, 800, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 800, 800, 800, 800, 800, 800]
[[center.pool]]
pool = "p"
chip = "nvidia-h20"
nodes = 1
chips_per_node = 8
cores = 64
memory = "512 GiB"
price_per_chip_hour = "1 CNY"

[[tenant]]
tenant = "t0"
"#;

/// Where a job of four hours at most on eight chips goes that comes at a moment, for how many hours, and
/// what the other place is worse by.
fn greenest(network: &str, chips: &[(&str, &str)], at: &str) -> (String, f64, Option<Behind>) {
    let catalog = Catalog::read(chips).unwrap();
    let file = model::file::network::read(&[("n.toml", network)], &catalog).unwrap();
    let now: Moment = at.parse().unwrap();
    let mut world = World::default();
    let mut tell = |fact: Fact| world.fold(now, &fact).unwrap();
    tell(Fact::NetworkCreated(NetworkCreated { network: NetworkUid::from_bytes([1; 8]) }));
    catalog.chips().for_each(|chip| tell(Fact::ChipDeclared(Arc::new(chip.clone()))));
    file.centers.into_iter().for_each(|center| {
        let joined = AgentJoined {
            center: center.center.clone(),
            agent: NetworkUid::from_bytes([2; 8]),
            engine: EngineKind::Timer,
            engine_version: String::new(),
            enforcement: String::new(),
            data_url: None,
            probe_address: None,
            version: String::new(),
        };
        tell(Fact::CenterDeclared(Arc::new(center)));
        tell(Fact::AgentJoined(Arc::new(joined)));
    });
    file.tenants.into_iter().for_each(|tenant| tell(Fact::TenantDeclared(Arc::new(tenant))));
    let text = "name = \"j\"\ncommand = [\"true\"]\nlimit = \"4h\"\nobjective = \"greenest\"\n\
                [[variant]]\non = \"cuda\"\nchips = 8\n";
    let file = model::file::job::read("job.toml", text, Format::Toml).unwrap();
    let spec = Arc::new(file.spec(TenantId::new("t0").unwrap(), now).unwrap());
    let board = Board::of(&world, now);
    let situation = Situation { now, silent: BTreeMap::new() };
    let all = trial(&world, board.view(), &situation, &Policy::default(), &spec);
    assert_eq!(all.candidates.len(), 2);
    let hours = all.terms[0].run.0 as f64 / 3.6e6;
    (all.candidates[0].center.to_string(), hours, all.terms[1].behind)
}

#[test]
fn chips_of_unknown_power_are_the_last_of_green_places() {
    let mut unknown = CHIPS;
    let silent = CHIPS[0].1.replace("power_watts = 400", "undisclosed = [\"power_watts\"]");
    unknown[0].1 = &silent;
    let network = NETWORK.replacen("nvidia-h20", "nvidia-a100-sxm4-80", 1);
    let (place, _, behind) = greenest(&network, &unknown, "2026-11-29T20:00:00+08:00");
    assert_eq!((place.as_str(), behind), ("sun", Some(Behind::UndisclosedPower)));
}

#[test]
fn a_green_job_runs_where_the_sun_shines_by_day_and_where_less_is_cooled_by_night() {
    let check = |hour: &str, place: &str, more_grams: f64| {
        let at = format!("2026-11-29T{hour}:00+08:00");
        let (found, hours, behind) = greenest(NETWORK, &CHIPS, &at);
        // Eight chips of 400 W.
        let kwh = 3.2 * hours;
        let Some(Behind::Carbon(more)) = behind else { panic!("{behind:?}") };
        assert_eq!(found, place, "{hour}");
        assert!((more as f64 / 1e3 / kwh - more_grams).abs() < 0.1, "{hour}: {more} mg");
    };
    check("10", "sun", 1.1 * 600.0 - 1.5 * 100.0);
    check("20", "coal", 1.5 * 800.0 - 1.1 * 600.0);
}
