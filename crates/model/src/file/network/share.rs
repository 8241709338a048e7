//! Reading flavors, and what tenants may use of them.

use super::Entry;
use crate::file::section::{Section, choice, figure, text, whole};
use crate::quota::{BorrowWithinCohort, Flavor, Preemption, Quota, ReclaimWithinCohort, WithinQueue};
use crate::{CenterId, ChipClass, ChipId, Chips, FlavorId, Region};
use std::collections::BTreeMap;

const WITHIN_QUEUE: [(&str, WithinQueue); 3] = [
    ("never", WithinQueue::Never),
    ("lower-priority", WithinQueue::LowerPriority),
    ("lower-or-newer-equal", WithinQueue::LowerOrNewerEqual),
];

const RECLAIM: [(&str, ReclaimWithinCohort); 3] = [
    ("never", ReclaimWithinCohort::Never),
    ("lower-priority", ReclaimWithinCohort::LowerPriority),
    ("any", ReclaimWithinCohort::Any),
];

/// That a tenant never preempts while it borrows, or those of which priority.
const BORROW: [(&str, bool); 2] = [("never", false), ("lower-priority", true)];

pub(super) fn flavor(mut section: Section<'_>) -> Entry<'_, FlavorId, Flavor> {
    let id = section.need("flavor", text::<FlavorId>);
    let chips = section.list("chips", text::<ChipId>);
    let classes = section.list("classes", text::<ChipClass>);
    let centers = section.list("centers", text::<CenterId>);
    let regions = section.list("regions", text::<Region>);
    section.unknown();
    let value = id.clone().map(|flavor| Flavor { flavor, chips, classes, centers, regions });
    Entry { id, value, section }
}

/// A tenant's quotas with their sections, for what is found wrong with them later.
pub(super) fn quotas<'a>(
    tenant: &mut Section<'a>,
) -> (BTreeMap<FlavorId, Quota>, Vec<(FlavorId, Section<'a>)>) {
    let (mut quotas, mut sections) = (BTreeMap::new(), Vec::new());
    for mut section in tenant.sections("quota") {
        let flavor = section.need("flavor", text::<FlavorId>);
        let nominal = section.need("nominal", figure::<Chips>);
        let borrowing_limit = section.maybe("borrowing_limit", figure::<Chips>);
        let lending_limit = section.maybe("lending_limit", figure::<Chips>);
        section.unknown();
        let (Some(flavor), Some(nominal)) = (flavor, nominal) else { continue };
        let quota = Quota { nominal, borrowing_limit, lending_limit };
        if quotas.insert(flavor.clone(), quota).is_some() {
            let said = format!("a second quota of `{flavor}`");
            section.report("flavor", said, "one quota of each flavor");
        }
        sections.push((flavor, section));
    }
    (quotas, sections)
}

/// A tenant's policies; none where it says nothing of them.
pub(super) fn preemption(tenant: &mut Section<'_>) -> Option<Preemption> {
    let within_queue = tenant.maybe("within_queue", choice(&WITHIN_QUEUE));
    let reclaim = tenant.maybe("reclaim_within_cohort", choice(&RECLAIM));
    let borrow = tenant.maybe("borrow_within_cohort", choice(&BORROW));
    let max_priority = tenant.maybe("borrow_within_cohort_max_priority", whole(i32::MIN, i32::MAX));
    let reclaims = matches!(
        reclaim,
        Some(ReclaimWithinCohort::LowerPriority | ReclaimWithinCohort::Any)
    );
    if borrow == Some(true) && !reclaims {
        tenant.report(
            "borrow_within_cohort",
            "preempts while it borrows, but never reclaims",
            "`reclaim_within_cohort` of `lower-priority` or `any` besides",
        );
    }
    if max_priority.is_some() && borrow != Some(true) {
        tenant.report(
            "borrow_within_cohort_max_priority",
            "limits what is never done",
            "`borrow_within_cohort = \"lower-priority\"` besides",
        );
    }
    if within_queue.is_none() && reclaim.is_none() && borrow.is_none() {
        return None;
    }
    Some(Preemption {
        within_queue: within_queue.unwrap_or_default(),
        reclaim_within_cohort: reclaim.unwrap_or_default(),
        borrow_within_cohort: (borrow == Some(true)).then_some(BorrowWithinCohort { max_priority }),
    })
}
