//! What chips cost others.

use super::NOW;
use crate::toll::Tolls;
use crate::{Aim, Board, Policy};
use model::fact::{Fact, JobSubmitted, NetworkCreated};
use model::file::chip::Catalog;
use model::file::job::Format;
use model::{ChipId, Chips, Moment, NetworkUid, Span, TenantId, TokenId};
use std::sync::Arc;
use world::World;

const HOUR: Span = Span::from_secs(3_600);

/// Sixteen fast chips, of which their owner lends four, and sixty-four that take twice as long; so many
/// jobs of two hours on four fast chips came, one every half hour, and wait.
fn came(tenant: &str, jobs: u64) -> (World, Board) {
    let catalog = Catalog::read(&super::CHIPS).unwrap();
    let center = |name: &str, chip: &str, nodes: u32, lends: u32| {
        format!(
            "[[center]]\ncenter = \"{name}\"\nowner = \"{name}\"\nregion = \"cn\"\nlatitude = 30\n\
             longitude = 120\ntime_zone = \"Asia/Shanghai\"\nengine = \"timer\"\n\
             lend_percent = {lends}\n[[center.pool]]\npool = \"p\"\nchip = \"{chip}\"\n\
             nodes = {nodes}\nchips_per_node = 8\ncores = 64\nmemory = \"512 GiB\"\n\
             price_per_chip_hour = \"1 CNY\"\n"
        )
    };
    let text = "[[tenant]]\ntenant = \"guest\"\n[[tenant]]\ntenant = \"own\"\nhome = \"fast\"\n"
        .to_owned()
        + &center("fast", "nvidia-a100-sxm4-80", 2, 25)
        + &center("slow", "nvidia-h20", 8, 100);
    let file = model::file::network::read(&[("n.toml", &text)], &catalog).unwrap();
    let mut world = World::default();
    let tell = |at: Moment, fact: Fact, world: &mut World| world.fold(at, &fact).unwrap();
    let network = NetworkUid::from_bytes([1; 8]);
    tell(Moment(1), Fact::NetworkCreated(NetworkCreated { network }), &mut world);
    for chip in catalog.chips() {
        tell(Moment(1), Fact::ChipDeclared(Arc::new(chip.clone())), &mut world);
    }
    for center in file.centers {
        tell(Moment(1), Fact::CenterDeclared(Arc::new(center)), &mut world);
    }
    for tenant in file.tenants {
        tell(Moment(1), Fact::TenantDeclared(Arc::new(tenant)), &mut world);
    }
    let text = "name = \"j\"\ncommand = [\"true\"]\nlimit = \"4h\"\n[[variant]]\n\
                chip = \"nvidia-a100-sxm4-80\"\nspeed = 2.0\nchips = 4\n[[variant]]\n\
                chip = \"nvidia-h20\"\nspeed = 1.0\nchips = 4\n";
    let file = || model::file::job::read("job.toml", text, Format::Toml).unwrap();
    for nth in 0..jobs {
        let at = Moment(2 + nth * 1_800_000);
        let spec = Arc::new(file().spec(TenantId::new(tenant).unwrap(), at).unwrap());
        let (job, by) = (world.next.job, TokenId::new(1));
        let fact = JobSubmitted { job, spec, by, key: None };
        tell(at, Fact::JobSubmitted(Arc::new(fact)), &mut world);
    }
    let board = Board::of(&world, Moment(2 + jobs * 1_800_000));
    (world, board)
}

/// What an hour of a chip costs guests, and who is at home where it is, after these jobs.
fn tolls(tenant: &str, jobs: u64, chip: &str) -> (u64, u64) {
    let (world, board) = came(tenant, jobs);
    let (view, policy) = (board.view(), Policy::default().towards(Aim::MeanCompletion));
    let now = Moment(NOW.0.max(2 + jobs * 1_800_000));
    let tolls = Tolls::renewed(&world, view, &policy, now).unwrap();
    let chip = ChipId::new(chip).unwrap();
    let is_it = |seat: &&crate::roster::Seat| seat.chip.as_ref().is_some_and(|c| c.chip == chip);
    let family = view.roster.seats().map(|(_, seat)| seat).find(is_it).unwrap().bands.start;
    let of = |is_lent| tolls.of((family, is_lent), Chips::whole(1), HOUR);
    (of(true), of(false))
}

#[test]
fn fast_chips_cost_what_they_save_where_not_all_can_have_them() {
    // Four chips are lent, and each job saves two hours of four chips of two.
    let (lent, own) = tolls("guest", 10, "nvidia-a100-sxm4-80");
    assert!(lent.abs_diff(HOUR.0 / 4) < HOUR.0 / 100, "{lent}");
    assert!(own < HOUR.0 / 100, "nobody wants those that are not lent: {own}");
    assert_eq!(tolls("guest", 2, "nvidia-h20"), (0, 0), "there is room for all");
}

#[test]
fn who_is_at_home_does_not_pay_for_what_is_lent() {
    let (lent, own) = tolls("own", 10, "nvidia-a100-sxm4-80");
    assert!(own > HOUR.0 / 10, "{own}");
    assert!(lent.abs_diff(own) < HOUR.0 / 100, "no guest is there: {lent} beside {own}");
}

#[test]
fn prices_rise_with_what_waits() {
    let slow = |jobs| tolls("guest", jobs, "nvidia-h20").0;
    assert!(slow(10) < slow(400), "{} {}", slow(10), slow(400));
}

#[test]
fn prices_are_for_those_who_want_the_mean_only() {
    let (world, board) = came("guest", 10);
    let renewed = |aim| {
        Tolls::renewed(&world, board.view(), &Policy::default().towards(aim), Moment(18_000_000))
    };
    for aim in Aim::ALL {
        assert_eq!(renewed(aim).is_some(), aim == Aim::MeanCompletion, "{aim}");
    }
}
