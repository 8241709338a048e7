//! How good links and paths are, and what is near.

use model::{CenterId, Moment, Rate, Region, TransferId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was measured of a link or a path. Figures nobody measured are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Quality {
    /// When the newest window of test packets was reported.
    #[schema(value_type = Option<u64>)]
    pub probed_ms: Option<Moment>,
    /// The median round trip in it, in microseconds.
    pub round_trip_p50_us: Option<u64>,
    /// 99 of 100 round trips took no more, in microseconds.
    pub round_trip_p99_us: Option<u64>,
    /// Smoothed variation of the round trip (RFC 3550), in microseconds.
    pub jitter_us: Option<u64>,
    /// Of a million test packets so many were lost.
    pub loss_ppm: Option<u32>,
    /// The median way there, in microseconds; absent where clocks cannot tell.
    pub there_p50_us: Option<u64>,
    /// The median way back, in microseconds; absent where clocks cannot tell.
    pub back_p50_us: Option<u64>,
    /// When the newest window of a transfer was reported.
    #[schema(value_type = Option<u64>)]
    pub delivered_ms: Option<Moment>,
    /// The rate at which it brought data.
    #[schema(value_type = Option<u64>)]
    pub delivered_bps: Option<Rate>,
    /// The share of its planned rate, in percent. As much as planned: it may be able to do more.
    pub delivered_percent: Option<u64>,
    /// The newest window of a test.
    pub tested: Option<Tested>,
    /// What the newest window says of what is promised: `held`, `broken` or `unknown`.
    pub verdict: Option<String>,
    /// What did not hold in it, for people.
    pub broken_by: Vec<String>,
    /// In how many windows all that was promised and measured held.
    pub windows_held: u64,
    /// In how many anything was both promised and measured.
    pub windows_judged: u64,
}

/// What a test of a link showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tested {
    /// From whose door filler came.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// To whose agent.
    #[schema(value_type = String)]
    pub to: CenterId,
    /// When it was reported.
    #[schema(value_type = u64)]
    pub at_ms: Moment,
    /// The rate it was planned at.
    #[schema(value_type = u64)]
    pub planned_bps: Rate,
    /// The rate at which it came.
    #[schema(value_type = u64)]
    pub came_bps: Rate,
}

/// A test of a link that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkTest {
    /// Its number, among those of transfers.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "transfer-3")]
    pub transfer: TransferId,
    /// From whose door filler comes.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// To whose agent.
    #[schema(value_type = String)]
    pub to: CenterId,
    /// The links crossed, in order, each with its direction: `>` from its first end, `<` back.
    pub hops: Vec<String>,
    /// From when.
    #[schema(value_type = u64)]
    pub from_ms: Moment,
    /// Until when.
    #[schema(value_type = u64)]
    pub until_ms: Moment,
    /// The bandwidth reserved for it, headers included.
    #[schema(value_type = u64)]
    pub rate_bps: Rate,
}

/// What a carrier promises. What is absent is not promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sla {
    /// 99 of 100 round trips take no more, in microseconds.
    pub round_trip_us: Option<u64>,
    /// Of a million packets no more than so many are lost.
    pub loss_ppm: Option<u32>,
    /// Of its planned rate a transfer gets so many percent at least.
    pub rate_percent: Option<u32>,
}

/// What was measured between two centers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Path {
    /// Who sent.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// To whom.
    #[schema(value_type = String)]
    pub to: CenterId,
    /// The links crossed, in order, each with its direction: `>` from its first end, `<` back.
    pub hops: Vec<String>,
    /// One-way latency of these links as declared, in microseconds; absent without a path.
    pub declared_us: Option<u64>,
    /// What was measured.
    pub quality: Quality,
}

/// Paths, by the names of their ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paths {
    /// All that were measured.
    pub paths: Vec<Path>,
}

/// The circles around one city.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct City {
    /// The region: three names deep, such as `cn/yrd/shanghai`, or as deep as its centers say.
    #[schema(value_type = String)]
    pub city: Region,
    /// 1, 3, 5 and 20 ms one way.
    pub circles: Vec<Circle>,
    /// All centers that links lead to, nearest first.
    pub centers: Vec<Near>,
}

/// What is within a one-way latency of a city.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Circle {
    /// One way, in microseconds.
    pub one_way_us: u64,
    /// How many centers.
    pub centers: usize,
    /// For how many of them that was measured, or they are in the city itself.
    pub measured: usize,
    /// Their chips.
    pub chips: u64,
    /// Of all chips of the network, in thousandths.
    pub chips_permille: u64,
    /// Their speed at bf16, dense, in milli-TFLOPS: verified, else declared, else the chip's peak.
    pub milli_tflops: u64,
    /// Of the speed of the whole network, in thousandths.
    pub speed_permille: u64,
}

/// How near a center is to a city.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Near {
    /// Which center.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// From the city's nearest center, one way, in microseconds.
    pub one_way_us: u64,
    /// Whence that is known: `here` (it is in the city), `one-way` (measured), `round-trip` (half of
    /// a measured median) or `declared` (the links' own figures).
    pub basis: String,
}

/// The circles around every city that has a center, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Circles {
    /// All of them.
    pub cities: Vec<City>,
}
