//! What tenants are entitled to where data may not be everywhere.

use super::*;
use crate::Entitlements;
use model::{Chips, Span};

fn center(name: &str, region: &str, chips: u32) -> String {
    format!(
        "[[center]]\ncenter = \"{name}\"\nowner = \"{name}\"\nregion = \"{region}\"\nlatitude = 30\n\
         longitude = 120\ntime_zone = \"Asia/Shanghai\"\nengine = \"timer\"\nstore = \"1 TiB\"\n\
         [[center.pool]]\npool = \"p\"\nchip = \"nvidia-h20\"\nnodes = 1\n\
         chips_per_node = {chips}\ncores = 64\nmemory = \"512 GiB\"\nprice_per_chip_hour = \"1 CNY\"\n"
    )
}

/// What two tenants are entitled to who want all there is: four chips in the east, two of them in its
/// city, and twelve in the west. The data of the first may be in these regions only.
fn entitled(residency: &[&str]) -> [Chips; 2] {
    let catalog = Catalog::read(&CHIPS).unwrap();
    let text = "[[tenant]]\ntenant = \"bound\"\n[[tenant]]\ntenant = \"free\"\n".to_owned()
        + &center("city", "cn/east/city", 2)
        + &center("land", "cn/east/land", 2)
        + &center("west", "cn/west", 12);
    let file = model::file::network::read(&[("n.toml", &text)], &catalog).unwrap();
    let mut world = World::default();
    let tell = |world: &mut World, fact: Fact| world.fold(NOW, &fact).unwrap();
    let network = NetworkUid::from_bytes([1; 8]);
    tell(&mut world, Fact::NetworkCreated(NetworkCreated { network }));
    catalog.chips().for_each(|c| tell(&mut world, Fact::ChipDeclared(Arc::new(c.clone()))));
    file.centers.into_iter().for_each(|c| tell(&mut world, Fact::CenterDeclared(Arc::new(c))));
    file.tenants.into_iter().for_each(|t| tell(&mut world, Fact::TenantDeclared(Arc::new(t))));
    let tenant = |name: &str| TenantId::new(name).unwrap();
    let dataset = DatasetId::new("d").unwrap();
    let registered = DatasetRegistered {
        data: DatasetVersion { dataset, version: Digest::of(&[1]) },
        bytes: Bytes(1),
        files: 1,
        residency: residency.iter().map(|region| region.parse().unwrap()).collect(),
        tenant: tenant("bound"),
        made_by: None,
    };
    tell(&mut world, Fact::DatasetRegistered(Arc::new(registered)));
    for (name, input) in [("bound", "[[input]]\nname = \"in\"\ndataset = \"d\"\n"), ("free", "")] {
        let text = format!(
            "name = \"j\"\ncommand = [\"true\"]\nlimit = \"4h\"\n[[variant]]\n\
             chip = \"nvidia-h20\"\nspeed = 1.0\nchips = 1\n{input}"
        );
        let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
        let spec = Arc::new(file.spec(tenant(name), NOW).unwrap());
        for _ in 0..16 {
            let (job, by, spec) = (world.next.job, TokenId::new(1), Arc::clone(&spec));
            let fact = JobSubmitted { job, spec, by, key: None };
            tell(&mut world, Fact::JobSubmitted(Arc::new(fact)));
        }
    }
    let board = Board::of(&world, NOW);
    let policy = Policy { round: Some(Span::from_secs(600)), ..Policy::default() };
    let found = Entitlements::renewed(&world, board.view(), &policy, NOW).unwrap();
    ["bound", "free"].map(|name| found.of(&tenant(name)).map_or(Chips::ZERO, |of| of.to))
}

#[test]
fn who_may_not_go_everywhere_is_entitled_to_no_more_than_there_is_where_it_may() {
    let chips = |each: [u64; 2]| each.map(Chips::whole);
    assert_eq!(entitled(&[]), chips([8, 8]));
    assert_eq!(entitled(&["cn/east"]), chips([4, 12]));
    assert_eq!(entitled(&["cn/east/city"]), chips([2, 14]));
    assert_eq!(entitled(&["cn/west", "cn/east/land"]), chips([8, 8]));
    assert_eq!(entitled(&["cn/north"]), chips([0, 16]));
}
