use crate::{chip_files, chips, lines, text};
use miette::Diagnostic as _;
use model::file::{Catalog, chip, network};
use model::{Bytes, ChipId, Chips};

#[test]
fn every_chip_file_reads_and_is_named_after_its_chip() {
    let files = chip_files();
    assert_eq!(files.len(), 59);
    for (name, text) in files {
        let chip = chip::read(&name, &text).unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
        assert_eq!(format!("{}.toml", chip.chip), name);
    }
}

#[test]
fn a_chip_of_the_catalog_says_what_is_known_of_it_and_no_more() {
    let catalog = chips();
    let chip = |name: &str| catalog.get(&ChipId::new(name).unwrap()).unwrap().clone();
    let a100 = chip("nvidia-a100-sxm4-80");
    assert_eq!(a100.memory, Some(Bytes(80 << 30)));
    assert_eq!(a100.memory_bandwidth, Some(Bytes(2_039_000_000_000)));
    assert_eq!(a100.peak_milli_tflops["fp32"], 19_500);
    assert_eq!(a100.peak_milli_tflops.get("fp8"), None);
    assert_eq!(a100.visible_devices, "CUDA_VISIBLE_DEVICES");
    assert_eq!(chip("ascend-910c").allocation_unit, 2);
    assert_eq!(chip("cambricon-mlu590").memory, None);
}

#[test]
fn the_laptop_network_reads() {
    let laptop = network::read(&[("laptop.toml", &text("networks/laptop.toml"))], &chips());
    let laptop = laptop.unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
    let slots: u64 = laptop.centers.iter().flat_map(|c| &c.pools).map(|p| p.chips().0).sum();
    assert_eq!(Chips(slots), Chips::whole(24));
    assert!(laptop.centers.iter().flat_map(|c| &c.pools).any(|p| p.nodes * 8 == 16));
    assert_eq!((laptop.links.len(), laptop.exchanges.len(), laptop.tenants.len()), (3, 1, 3));
}

#[test]
fn the_delta_network_reads() {
    let delta = network::read(&[("delta.toml", &text("networks/delta.toml"))], &chips());
    let delta = delta.unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
    let slots: u64 = delta.centers.iter().flat_map(|c| &c.pools).map(|p| p.chips().0).sum();
    assert_eq!(Chips(slots), Chips::whole(37_476));
    assert_eq!(delta.centers.iter().map(|c| c.pools.len()).sum::<usize>(), 27);
    assert_eq!((delta.links.len(), delta.exchanges.len(), delta.tenants.len()), (32, 5, 24));
    assert_eq!(delta.links[0].latency_us, 967);
}

#[test]
fn recorded_loads_and_data_are_whole() {
    let load = text("loads/philly-2017-10-23.csv");
    assert_eq!(load.lines().count(), 501);
    assert!(load.lines().nth(1).unwrap().starts_with("2017-10-23 00:"));
    assert_eq!(text("data/openb_node_list_gpu_node.csv").lines().count(), 1_214);
}

/// Reads `document` as a chip file and compares what is wrong with it.
fn check(document: &str, expected: &str) {
    assert_eq!(lines(&chip::read("chip.toml", document).unwrap_err()), expected.trim());
}

const CHIP: &str = r#"
chip = "acme-1"
vendor = "Acme"
model = "One"
class = "acme"
stack = "ACME"
memory = "64 GiB"
memory_bandwidth = "1600 GB/s"
power_watts = 350
visible_devices = "ACME_VISIBLE_DEVICES"
undisclosed = ["fp64", "fp8"]
unsupported = ["int8"]
confidence = "B"
source = "a leaflet"
peak_tflops = { fp16 = 100, fp32 = 12.5 }
"#;

#[test]
fn a_chip_file_must_not_be_silent_about_a_figure() {
    assert!(chip::read("chip.toml", CHIP).is_ok());
    check(
        &CHIP.replace("memory = \"64 GiB\"\n", "").replace("\"fp64\", ", ""),
        r#"
chip.toml:1:1: says nothing about `memory`; expected the figure, or its name under `undisclosed` or `unsupported`
chip.toml:1:1: says nothing about `fp64`; expected the figure, or its name under `undisclosed` or `unsupported`
"#,
    );
}

#[test]
fn a_chip_file_is_told_all_that_is_wrong_in_it() {
    check(
        &CHIP
            .replace("acme-1", "Acme One")
            .replace("1600 GB/s", "1600")
            .replace("350", "-1")
            .replace("12.5", "nan")
            .replace("ACME_VISIBLE", "ACME VISIBLE")
            .replace("vendor", "vender")
            .replace("[\"int8\"]", "[\"int9\"]")
            .replace("\"B\"", "\"D\""),
        r#"
chip.toml:1:1: vendor: missing; expected text of 1 to 128 characters, in quotes
chip.toml:1:1: says nothing about `int8`; expected the figure, or its name under `undisclosed` or `unsupported`
chip.toml:2:8: chip: found `Acme One`; expected a chip name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)
chip.toml:3:1: unknown key `vender`; did you mean `vendor`?
chip.toml:8:20: memory_bandwidth: found `1600`; expected an amount of data a second, such as `1600 GB/s`
chip.toml:9:15: power_watts: found `-1`; expected a whole number from 1 to 100000
chip.toml:10:19: visible_devices: found `ACME VISIBLE_DEVICES`; expected an environment variable's name
chip.toml:12:16: unsupported[0]: found `int9` (did you mean `int8`?); expected one of `memory`, `memory_bandwidth`, `power_watts`, `bf16`, `fp32`, `fp64`, `int8`, `fp8`
chip.toml:13:14: confidence: found `D`; expected one of `A`, `B`, `C`
chip.toml:15:36: peak_tflops.fp32: found `nan`; expected a speed in TFLOPS (TOPS for integers) above 0, at most three decimals
"#,
    );
}

#[test]
fn a_chip_is_described_once() {
    let wrong = Catalog::read(&[("a.toml", CHIP), ("b.toml", CHIP)]).unwrap_err();
    assert_eq!(
        lines(&wrong),
        "b.toml:2:8: chip: this chip is already described in a.toml; expected one file for each chip"
    );
}

#[test]
fn a_diagnostic_shows_the_place_and_what_was_expected() {
    let wrong = chip::read("chip.toml", &CHIP.replace("350", "\"350 W\"")).unwrap_err();
    let (label, source) = (wrong[0].labels().unwrap().next().unwrap(), wrong[0].source_code());
    let span = source.unwrap().read_span(label.inner(), 0, 0).unwrap();
    assert_eq!(span.name(), Some("chip.toml"));
    assert_eq!(std::str::from_utf8(span.data()).unwrap(), "\"350 W\"");
    assert_eq!(wrong[0].help().unwrap().to_string(), "expected a whole number from 1 to 100000");
}
