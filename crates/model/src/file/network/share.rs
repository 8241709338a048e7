//! Reading flavors, and what tenants may use of them.

use super::Entry;
use crate::file::section::{Section, choice, figure, text, whole, words};
use crate::quota::{
    BorrowWithinCohort, Flavor, Preemption, Quota, ReclaimWithinCohort, WithinQueue,
};
use crate::{
    CenterId, ChipClass, ChipId, Chips, FlavorId, Guests, Lending, PriorityClass, PriorityClassId,
    Region, Relation, Span, TenantId, Window,
};
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

const RELATIONS: [(&str, Relation); 3] = [
    ("internal", Relation::Internal),
    ("partner", Relation::Partner),
    ("outside", Relation::Outside),
];

pub(super) fn priority_class(
    mut section: Section<'_>,
) -> Entry<'_, PriorityClassId, PriorityClass> {
    let id = section.need("priority_class", text::<PriorityClassId>);
    let value = section.need("value", whole(i32::MIN, i32::MAX));
    let tenants = section.list("tenants", text::<TenantId>);
    section.unknown();
    let assemble = || Some(PriorityClass { priority_class: id.clone()?, value: value?, tenants });
    Entry { value: assemble(), id, section }
}

/// What a table says of lending; what it does not say is as it is elsewhere.
#[derive(Default)]
pub(super) struct Said {
    percent: Option<u8>,
    notice: Option<Span>,
    to: Option<Guests>,
    windows: Option<Vec<Window>>,
}

impl Said {
    /// The `lending` table of a center or a pool, if there is one.
    pub(super) fn read(of: &mut Section<'_>, is_pool: bool) -> Option<Self> {
        let mut section = of.table("lending")?;
        let (mut percent, mut notice) = (None, None);
        if is_pool {
            percent = section.maybe("percent", whole(0, 100));
            notice = section.maybe("notice", text::<Span>);
        }
        let names = ["organizations", "industries", "regions", "relations"];
        let says_who = names.iter().any(|key| section.has(key));
        let organizations = section.list("organizations", text::<TenantId>);
        let industries = section.list("industries", words(128));
        let regions = section.list("regions", text::<Region>);
        let relations = section.list("relations", choice(&RELATIONS));
        let says_when = section.has("windows");
        let windows = section.list("windows", text::<Window>);
        section.unknown();
        Some(Self {
            percent,
            notice,
            to: says_who.then_some(Guests { organizations, industries, regions, relations }),
            windows: says_when.then_some(windows),
        })
    }

    /// To whom and when; to everyone and at all times where nothing is said.
    pub(super) fn of_center(self) -> (Guests, Vec<Window>) {
        (self.to.unwrap_or_default(), self.windows.unwrap_or_default())
    }

    /// A pool's rules: what it does not say is as its center says.
    pub(super) fn of_pool(self, center: &Lending) -> Lending {
        Lending {
            percent: self.percent.unwrap_or(center.percent),
            notice: self.notice.unwrap_or(center.notice),
            to: self.to.unwrap_or_else(|| center.to.clone()),
            windows: self.windows.unwrap_or_else(|| center.windows.clone()),
        }
    }
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
    let reclaims =
        matches!(reclaim, Some(ReclaimWithinCohort::LowerPriority | ReclaimWithinCohort::Any));
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
