//! What centers show of themselves: checks of their engines, and how fast their pools are.

use crate::{Answer, Controller, Rejected};
use model::fact::{CenterChecked, CommandSaid, Fact, PoolMeasured};
use model::{CenterId, Chip, Figure, Pool, Principal, Role, Unit};
use std::sync::Arc;

/// Milli-TFLOPS in operations of one second.
const MILLI_TFLOPS: u64 = 1_000_000_000;
/// By how much of a chip's peak a figure may be above it: makers round.
const ROUNDED_PERCENT: u64 = 5;
/// Precisions that speak for a chip's speed, the better one first.
const SPOKEN_FOR: [&str; 2] = ["bf16", "fp16"];

impl Controller {
    /// Takes in what a check of a center's engine showed. A center that shows less than it declared is
    /// planned with as it is shown.
    pub(crate) fn show_check(
        &mut self,
        by: &Principal,
        mut checked: CenterChecked,
    ) -> Result<Answer, Rejected> {
        may_show(by, &checked.center)?;
        checked.by = by.token;
        let center = &checked.center;
        let missing = || Rejected::NotFound { what: format!("center {center}") };
        let state = self.world.centers.get(center).ok_or_else(missing)?;
        let declared = state.declared();
        if declared.engine != checked.engine {
            let why = format!(
                "a {} engine was checked, center {center} is declared with another: {}",
                checked.engine, declared.engine
            );
            return Err(Rejected::Invalid { why });
        }
        if checked.met > checked.asked {
            let (met, asked) = (checked.met, checked.asked);
            let why = format!("{met} of {asked} requirements cannot have been met");
            return Err(Rejected::Invalid { why });
        }
        if let Some(shown) = checked.pools.iter().find(|shown| declared.pool(&shown.pool).is_none())
        {
            return Err(Rejected::NotFound { what: format!("pool {} of {center}", shown.pool) });
        }
        let shown = state.as_shown(declared, Some(&checked));
        self.still_carries_all(&shown)?;
        self.emit(Fact::CenterChecked(Arc::new(checked)));
        Ok(Answer::Done)
    }

    /// Takes in what was measured of a pool: what a vendor's command says of its chip verifies its speed.
    pub(crate) fn show_bench(
        &mut self,
        by: &Principal,
        mut measured: PoolMeasured,
    ) -> Result<Answer, Rejected> {
        may_show(by, &measured.center)?;
        let (center, pool) = (&measured.center, &measured.pool);
        let state = self.world.centers.get(center);
        let known = state.and_then(|state| state.declared().pool(pool));
        let missing = || Rejected::NotFound { what: format!("pool {pool} of center {center}") };
        let known = known.ok_or_else(missing)?;
        let chip = known.chip.as_ref().and_then(|chip| self.world.chips.get(chip));
        let verified = verified(known, chip.map(Arc::as_ref), &measured.commands)?;
        measured.chip.clone_from(&known.chip);
        (measured.verified, measured.by) = (verified, by.token);
        self.emit(Fact::PoolMeasured(Arc::new(measured)));
        Ok(Answer::Done)
    }
}

/// What a center is like only itself and operators say.
fn may_show(by: &Principal, center: &CenterId) -> Result<(), Rejected> {
    if by.role == Role::Operator || by.role == Role::Center(center.clone()) {
        return Ok(());
    }
    let why = format!("only {center} itself or an operator says what it shows");
    Err(Rejected::Forbidden { why })
}

/// What a chip of the pool does by what was said of it, in milli-TFLOPS; none where nothing was.
fn verified(
    pool: &Pool,
    chip: Option<&Chip>,
    said: &[CommandSaid],
) -> Result<Option<u64>, Rejected> {
    let of_pool = |said: &&CommandSaid| said.chip.is_some() && said.chip == pool.chip;
    let others = said.iter().filter(|said| said.figure.is_some() && !of_pool(said));
    if let Some(chip) = others.filter_map(|said| said.chip.as_ref()).next() {
        let has = pool.chip.as_ref().map_or("no chip", |chip| chip.as_str());
        let why = format!("{chip} was measured, pool {} has {has}", pool.pool);
        return Err(Rejected::Invalid { why });
    }
    let counts = |figure: &&Figure| figure.unit == Unit::FlopPerSecond;
    let found = SPOKEN_FOR.iter().find_map(|precision| {
        let mut said = said.iter().filter(of_pool).filter(|said| said.precision == *precision);
        said.find_map(|said| said.figure.as_ref().filter(counts))
    });
    let Some(speed) = found.map(|figure| figure.median() / MILLI_TFLOPS) else { return Ok(None) };
    let peak = chip.and_then(|chip| {
        let peak = &chip.peak_milli_tflops;
        SPOKEN_FOR.iter().find_map(|precision| peak.get(*precision)).copied()
    });
    match peak {
        Some(peak) if speed > peak + peak * ROUNDED_PERCENT / 100 => {
            let said = |speed: u64| Unit::FlopPerSecond.say(speed.saturating_mul(MILLI_TFLOPS));
            let why = format!(
                "{} was read for one chip, more than its peak of {}: say how many chips the command keeps \
                 busy (`chips`), and leave out what counts zeros (sparsity)",
                said(speed),
                said(peak)
            );
            Err(Rejected::Invalid { why })
        }
        _ if speed == 0 => {
            let why = "less than 1 GFLOPS was read for one chip; is the unit right?".to_owned();
            Err(Rejected::Invalid { why })
        }
        _ => Ok(Some(speed)),
    }
}
