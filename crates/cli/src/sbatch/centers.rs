//! What a job names, held against what the network has.

use super::complaint::Said;
use super::translate::Translation;
use std::collections::BTreeSet;
use wire::view::Center;

/// Says which centers there are not, and that no center has a chip asked for.
pub(crate) fn held_against(told: &Translation, centers: &[Center], said: &mut Said) {
    let (job, options) = (&told.job, &told.options);
    let named = options.get("clusters").or_else(|| options.get("partition"));
    let known: BTreeSet<&str> = centers.iter().map(|center| center.center.as_str()).collect();
    if let Some(given) = named {
        for name in job.centers.iter().filter(|name| !known.contains(name.as_str())) {
            let names = known.iter().copied().collect::<Vec<_>>().join(", ");
            let help = format!(
                "there are {names}; name one of them with --{0}, or none with --{0}=",
                given.option.name
            );
            said.wrong(given.value_place(), format!("there is no center `{name}`"), help);
        }
    }
    let ways = job.variants.iter().filter_map(|way| way.chip.as_deref());
    let chips: BTreeSet<&str> = ways.chain(job.chip.as_deref()).collect();
    let pools = centers.iter().flat_map(|center| &center.pools);
    let there: BTreeSet<&str> =
        pools.filter_map(|pool| Some(pool.chip.as_ref()?.as_str())).collect();
    let asked = ["gpus-per-node", "gres", "gpus-per-task", "gpus"];
    if let Some(given) = asked.iter().find_map(|name| options.get(name))
        && !chips.is_empty()
        && chips.is_disjoint(&there)
    {
        let chips = chips.into_iter().collect::<Vec<_>>().join(" or ");
        let what = format!("no center has {chips} now: the job waits until one has");
        said.note(given.value_place(), what, "`portolan sinfo` shows which chips there are");
    }
}
