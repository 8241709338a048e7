//! Who got what, and where it ran: a run by line of work and by region.

use crate::measure::{Fate, Finished, hours};
use controller::Declarations;
use model::{Center, Chips, Tenant};
use serde::Serialize;
use std::collections::BTreeMap;

/// What those of one line of work, or at home in one region, got.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Got {
    /// Jobs that anybody could run.
    pub jobs: u64,
    /// Chips they held, over time.
    pub chip_hours: f64,
    /// How long they waited from submission to start, on average.
    pub waited_h: f64,
    /// From submission to end, on average.
    pub completion_h: f64,
    /// What chips and links cost them.
    pub yuan: f64,
}

/// What the centers of a region did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gave {
    /// Chips there are.
    pub chips: f64,
    /// Chips that jobs held, over time, whoever they were of.
    pub chip_hours: f64,
    /// Of these, chip-hours of jobs at home in other regions.
    pub for_others: f64,
    /// Energy of these chips and their cooling.
    pub mwh: f64,
    /// Tonnes of carbon dioxide that came with.
    pub co2_t: f64,
}

/// A run by line of work and by region.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Accounts {
    /// What tenants got, by their line of work.
    pub industries: BTreeMap<String, Got>,
    /// The same, by the region of the center they are at home in.
    pub homes: BTreeMap<String, Got>,
    /// What centers gave, by region.
    pub regions: BTreeMap<String, Gave>,
}

/// What stands for the line of work or the region of those who say none.
const UNSAID: &str = "other";

impl Accounts {
    /// Of these jobs on this network.
    #[must_use]
    pub fn of(finished: &[Finished], network: &Declarations) -> Self {
        let tenants: BTreeMap<_, &Tenant> =
            network.tenants.iter().map(|tenant| (&tenant.tenant, tenant)).collect();
        let centers: BTreeMap<_, &Center> =
            network.centers.iter().map(|center| (&center.center, center)).collect();
        let region = |center: Option<&&Center>| {
            let site = center.and_then(|center| center.site());
            site.map_or_else(|| UNSAID.to_owned(), |site| site.region.to_string())
        };
        let mut all = Self::default();
        for center in &network.centers {
            let chips =
                center.pools.iter().fold(Chips::ZERO, |sum, p| sum.saturating_add(p.chips()));
            all.regions.entry(region(Some(&center))).or_default().chips += chips.0 as f64 / 1e3;
        }
        for job in finished.iter().filter(|job| job.fate != Fate::Refused) {
            let tenant = tenants.get(&job.tenant);
            let industry = tenant.and_then(|tenant| tenant.industry.clone());
            let home = tenant.and_then(|tenant| centers.get(tenant.home.as_ref()?));
            let home = region(home);
            all.industries
                .entry(industry.unwrap_or_else(|| UNSAID.to_owned()))
                .or_default()
                .add(job);
            all.homes.entry(home.clone()).or_default().add(job);
            if let Some(center) = job.center.as_ref().and_then(|center| centers.get(center)) {
                let at = region(Some(center));
                let held = job.held.0 as f64 / 3.6e6;
                let is_guest = at != home;
                let gave = all.regions.entry(at).or_default();
                gave.chip_hours += held;
                gave.for_others += if is_guest { held } else { 0.0 };
                gave.mwh += job.energy_mwh as f64 / 1e9;
                gave.co2_t += job.carbon_mg as f64 / 1e9;
            }
        }
        all
    }
}

impl Got {
    fn add(&mut self, job: &Finished) {
        let before = self.jobs as f64;
        self.jobs += 1;
        let mean = |of: f64, value: f64| (of * before + value) / (before + 1.0);
        self.waited_h = mean(self.waited_h, hours(job.waited()));
        self.completion_h = mean(self.completion_h, hours(job.ended.saturating_sub(job.submitted)));
        self.chip_hours += job.held.0 as f64 / 3.6e6;
        self.yuan += job.price_micros as f64 / 1e6;
    }
}
