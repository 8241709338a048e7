use crate::{chips, lines};
use model::file::network::{self, NetworkFile};
use model::{CarbonIntensity, Currency, Money, Rate, SiteId, Span};

const NETWORK: &str = r#"
[[center]]
center = "north"
owner = "acme"
region = "cn/yrd/shanghai"
latitude = 31.2
longitude = 121.59
time_zone = "Asia/Shanghai"
engine = "slurm"

[[center.pool]]
pool = "main"
chip = "ascend-910c"
nodes = 2
chips_per_node = 8
cores = 96
memory = "1 TiB"
price_per_chip_hour = "9.50 CNY"

[[exchange]]
exchange = "ix"
region = "cn/yrd/shanghai"
latitude = -31.2
longitude = 121.5

[[link]]
link = "north--ix"
a = "north"
b = "ix"
capacity = "25 Gbit/s"
latency = "1.5ms"
carrier = "telecom"
price_per_gbps_hour = "12 CNY"

[[tenant]]
tenant = "city"

[[tenant]]
tenant = "lab"
parent = "city"
home = "north"
classes = ["cann"]
"#;

fn read(document: &str) -> Result<NetworkFile, String> {
    network::read(&[("net.toml", document)], &chips()).map_err(|wrong| lines(&wrong))
}

/// Reads the network with each of `changes` made to it and compares what is wrong with it.
fn check(changes: &[(&str, &str)], expected: &str) {
    let mut document = NETWORK.to_owned();
    for (from, to) in changes {
        assert!(document.contains(from), "{from}");
        document = document.replacen(from, to, 1);
    }
    assert_eq!(read(&document).unwrap_err(), expected.trim());
}

#[test]
fn a_network_says_only_what_is_not_usual() {
    let network = read(NETWORK).unwrap();
    let center = &network.centers[0];
    assert_eq!(center.pue_thousandths, 1_300);
    assert_eq!(center.lend_percent, 100);
    assert_eq!(center.recall_notice, Span::from_secs(1_800));
    assert_eq!((center.store, &center.data_url), (None, &None));
    assert_eq!(center.pools[0].nodes_per_block, 0);
    let price = Money { micros: 9_500_000, currency: Currency::CNY };
    assert_eq!(center.pools[0].price_per_hour, price);
    assert_eq!(center.site().unwrap().longitude_micro, 121_590_000);
    assert_eq!(network.exchanges[0].latitude_micro, -31_200_000);
    let link = &network.links[0];
    assert_eq!((link.capacity, link.latency_us), (Rate(25_000_000_000), 1_500));
    assert_eq!(link.a, SiteId::Center(center.center.clone()));
    assert_eq!(link.b, SiteId::Exchange(network.exchanges[0].exchange.clone()));
    assert_eq!((network.tenants[0].weight, network.tenants[1].classes.len()), (1, 1));
}

#[test]
fn a_network_may_stand_in_several_files() {
    let at = NETWORK.find("[[link]]").unwrap();
    let (sites, rest) = NETWORK.split_at(at);
    let network = network::read(&[("sites.toml", sites), ("rest.toml", rest)], &chips()).unwrap();
    assert_eq!(Ok(network), read(NETWORK));
    let wrong = network::read(&[("a.toml", NETWORK), ("b.toml", NETWORK)], &chips()).unwrap_err();
    assert_eq!(lines(&wrong), r#"
b.toml:3:10: center[0].center: `north` is declared twice; first at a.toml:3; expected a name nothing else of the kind has
b.toml:21:12: exchange[0].exchange: `ix` is declared twice; first at a.toml:21; expected a name nothing else of the kind has
b.toml:27:8: link[0].link: `north--ix` is declared twice; first at a.toml:27; expected a name nothing else of the kind has
b.toml:36:10: tenant[0].tenant: `city` is declared twice; first at a.toml:36; expected a name nothing else of the kind has
b.toml:39:10: tenant[1].tenant: `lab` is declared twice; first at a.toml:39; expected a name nothing else of the kind has
"#.trim());
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    check(
        &[
            ("chips_per_node", "chip_per_node"),
            ("[[exchange]]\n", "[[exchange]]\nowner = \"x\"\n"),
            ("[[tenant]]\ntenant = \"city\"", "[[tennant]]\ntenant = \"city\""),
        ],
        r#"
net.toml:11:1: center[0].pool[0].chips_per_node: missing; expected a whole number from 1 to 1024
net.toml:15:1: center[0].pool[0]: unknown key `chip_per_node`; did you mean `chips_per_node`?
net.toml:21:1: exchange[0]: unknown key `owner`; expected one of `exchange`, `region`, `latitude`, `longitude`
net.toml:36:3: unknown key `tennant`; did you mean `tenant`?
net.toml:41:10: tenant[0].parent: no tenant is named `city`; expected a tenant of this network
"#,
    );
}

#[test]
fn amounts_without_a_unit_are_refused() {
    check(
        &[
            ("\"25 Gbit/s\"", "25"),
            ("\"1.5ms\"", "\"1500\""),
            ("\"1 TiB\"", "\"1024\""),
            ("\"12 CNY\"", "12.0"),
            ("engine = \"slurm\"", "engine = \"slurm\"\nrecall_notice = 600\nstore = \"1 Pb\""),
        ],
        r#"
net.toml:10:17: center[0].recall_notice: found `600`; expected a length of time with its unit, such as `90s`, `2h` or `1d 12h`
net.toml:11:9: center[0].store: found `1 Pb`; expected an amount of data with its unit, such as `512 MiB` or `40 GB`
net.toml:19:10: center[0].pool[0].memory: found `1024`; expected an amount of data with its unit, such as `512 MiB` or `40 GB`
net.toml:32:12: link[0].capacity: found `25`; expected a rate of data with its unit, such as `10 Gbit/s`
net.toml:33:11: link[0].latency: found `1500`; expected a one-way latency with its unit, such as `967us` or `1.5ms`
net.toml:35:23: link[0].price_per_gbps_hour: found `12.0`; expected an amount of money with its currency, such as `12.50 CNY`
"#,
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    check(
        &[
            ("nodes = 2", "nodes = 0"),
            ("chips_per_node = 8", "chips_per_node = 99999999999999999999999"),
            ("cores = 96", "cores = -1"),
            ("latitude = 31.2", "latitude = 91"),
            ("longitude = 121.59", "longitude = nan"),
            ("\"25 Gbit/s\"", "\"0 bit/s\""),
            ("engine = \"slurm\"", "engine = \"slurn\"\npue = 0.9\nlend_percent = 101"),
            ("tenant = \"city\"", "tenant = \"city\"\nweight = -3"),
        ],
        r#"
net.toml:6:12: center[0].latitude: found `91`; expected degrees between -90 and 90 with at most six decimals
net.toml:7:13: center[0].longitude: found `nan`; expected degrees between -180 and 180 with at most six decimals
net.toml:9:10: center[0].engine: found `slurn` (did you mean `slurm`?); expected one of `process`, `timer`, `slurm`, `task-spooler`, `kubernetes`, `ray`, `portolan`
net.toml:10:7: center[0].pue: found `0.9`; expected a power usage effectiveness such as 1.25, from 1 to 10
net.toml:11:16: center[0].lend_percent: found `101`; expected a whole number from 0 to 100
net.toml:16:9: center[0].pool[0].nodes: found `0`; expected a whole number from 1 to 1000000
net.toml:17:18: center[0].pool[0].chips_per_node: found `99999999999999999999999`; expected a whole number from 1 to 1024
net.toml:18:9: center[0].pool[0].cores: found `-1`; expected a number of cores with at most three decimals, such as `4` or `0.5`
net.toml:32:12: link[0].capacity: found a link that carries nothing; expected a capacity above zero
net.toml:39:10: tenant[0].weight: found `-3`; expected a whole number from 1 to 1000000
"#,
    );
}

#[test]
fn electricity_is_that_of_the_smallest_region_unless_a_center_says_its_own() {
    let hours = |grams: u32| (0..24).map(|_| grams.to_string()).collect::<Vec<_>>().join(", ");
    let grids = |with: &str| {
        let grid = |region: &str, carbon: &str| {
            format!("[[grid]]\nregion = \"{region}\"\ncarbon = {carbon}\n")
        };
        let (china, city) =
            (grid("cn", "540"), grid("cn/yrd/shanghai", &format!("[{}]", hours(580))));
        let far = grid("cn/yrd/shanghai/elsewhere", "1");
        read(&format!(
            "{}{china}{city}{far}",
            NETWORK.replacen("engine", &format!("{with}engine"), 1)
        ))
    };
    let of_first = |network: NetworkFile| network.centers[0].carbon.grams().to_vec();
    assert_eq!(of_first(grids("").unwrap()), vec![580; 24]);
    assert_eq!(of_first(grids("carbon = 30\n").unwrap()), [30]);
    assert_eq!(of_first(read(NETWORK).unwrap()), [CarbonIntensity::AVERAGE]);
    let wrong = grids(&format!("carbon = [{}, 1]\n", hours(500))).unwrap_err();
    assert!(
        wrong.contains("center[0].carbon: found a list; expected grams of CO2 a kWh"),
        "{wrong}"
    );
}

#[test]
fn references_must_lead_somewhere() {
    check(
        &[
            ("b = \"ix\"", "b = \"iy\""),
            ("ascend-910c", "ascend-910d"),
            ("parent = \"city\"", "parent = \"town\""),
            ("home = \"north\"", "home = \"ix\""),
            ("[\"cann\"]", "[\"cuda\", \"can\"]"),
            ("engine = \"slurm\"", "engine = \"slurm\"\nonly_tenants = [\"lab\", \"labs\"]"),
        ],
        r#"
net.toml:10:24: center[0].only_tenants[1]: no tenant is named `labs` (did you mean `lab`?); expected a tenant of this network
net.toml:14:8: center[0].pool[0].chip: no chip of the catalog is named `ascend-910d` (did you mean `ascend-910a`?); expected a chip of the catalog
net.toml:30:5: link[0].b: no center or exchange is named `iy` (did you mean `ix`?); expected a center or an exchange of this network
net.toml:41:10: tenant[1].parent: no tenant is named `town`; expected a tenant of this network
net.toml:42:8: tenant[1].home: no center is named `ix`; expected a center of this network
net.toml:43:20: tenant[1].classes[1]: no chip of the catalog is of class `can` (did you mean `cann`?); expected a class of the chip catalog
"#,
    );
}

#[test]
fn names_are_given_once_and_the_first_is_named() {
    let again = "exchange = \"north\"\nregion = \"cn\"\nlatitude = 1\nlongitude = 1\n";
    check(
        &[
            ("[[link]]", &format!("[[exchange]]\n{again}\n[[link]]")),
            ("tenant = \"lab\"", "tenant = \"city\""),
        ],
        r#"
net.toml:27:12: exchange[1].exchange: `north` is declared twice; first at net.toml:3; expected a name nothing else of the kind has
net.toml:45:10: tenant[1].tenant: `city` is declared twice; first at net.toml:42; expected a name nothing else of the kind has
"#,
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    check(
        &[
            ("b = \"ix\"", "b = \"north\""),
            ("chips_per_node = 8", "chips_per_node = 7"),
            ("tenant = \"city\"\n", "tenant = \"city\"\nparent = \"lab\"\n"),
        ],
        r#"
net.toml:15:18: center[0].pool[0].chips_per_node: found `7`; expected a multiple of 2, for ascend-910c is handed out 2 at a time
net.toml:29:5: link[0].b: both ends are at `north`; expected another center or exchange than `a`
net.toml:37:10: tenant[0].parent: `city` is part of itself; expected a tenant that is not below this one
net.toml:41:10: tenant[1].parent: `lab` is part of itself; expected a tenant that is not below this one
"#,
    );
}

#[test]
fn a_center_needs_a_pool_and_an_entry_its_keys() {
    let pool = NETWORK.find("[[center.pool]]").unwrap()..NETWORK.find("[[exchange]]").unwrap();
    check(
        &[(&NETWORK[pool], ""), ("carrier = \"telecom\"\n", ""), ("tenant = \"city\"", "")],
        r#"
net.toml:2:1: center[0]: has no pools; expected at least one `[[center.pool]]`
net.toml:17:1: link[0].carrier: missing; expected an owner name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)
net.toml:25:1: tenant[0].tenant: missing; expected a tenant name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)
net.toml:30:10: tenant[1].parent: no tenant is named `city`; expected a tenant of this network
"#,
    );
}

#[test]
fn a_pool_without_chips_is_priced_by_the_node() {
    check(
        &[("chip = \"ascend-910c\"\n", "")],
        "net.toml:11:1: center[0].pool[0].chip: missing; expected a chip name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)",
    );
    let document = NETWORK
        .replace("chip = \"ascend-910c\"\n", "")
        .replace("chips_per_node = 8\n", "")
        .replace("per_chip_hour", "per_node_hour");
    assert_eq!(read(&document).unwrap().centers[0].pools[0].chips_per_node, 0);
}

#[test]
fn text_that_is_no_toml_says_where() {
    check(
        &[("owner = \"acme\"", "owner = acme")],
        "net.toml:4:9: string values must be quoted; expected literal string",
    );
    check(&[("owner = \"acme\"", "center = \"acme\"")], "net.toml:4:1: duplicate key");
    check(
        &[("[[exchange]]", "[exchange]")],
        r#"
net.toml:20:1: exchange: found a table; expected tables, each under `[[exchange]]`
net.toml:29:5: link[0].b: no center or exchange is named `ix`; expected a center or an exchange of this network
"#,
    );
    assert_eq!(read(""), Ok(NetworkFile::default()));
}

#[test]
fn a_relay_lends_a_part_of_a_store() {
    let with = |text: &str| {
        let engine = "engine = \"slurm\"";
        assert!(NETWORK.contains(engine));
        read(&NETWORK.replacen(engine, &format!("{engine}\n{text}"), 1))
    };
    let network = with("store = \"2 TiB\"\nrelay = \"500 GiB\"").unwrap();
    assert_eq!(network.centers[0].relay, Some(model::Bytes(500 << 30)));
    for (text, said) in [
        ("relay = \"1 GiB\"", "is a part of a store there is none of; expected `store` besides"),
        ("store = \"1 GiB\"\nrelay = \"2 GiB\"", "found 2 GiB, more than the store's 1 GiB"),
        ("store = \"1 GiB\"\nrelay = \"0 B\"", "found a relay of nothing"),
        ("store = \"1 GiB\"\nrelay = 7", "found `7`; expected an amount of data"),
    ] {
        let wrong = with(text).unwrap_err();
        assert!(wrong.contains("center[0].relay: ") && wrong.contains(said), "{text}: {wrong}");
    }
}
