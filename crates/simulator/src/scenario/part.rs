//! Parts of planning that can be left out, to see what each earns.

use controller::Settings;

/// A part of what the real thing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What chips cost all others counts, where jobs are to be over soon in the mean.
    Prices,
    /// Runs are expected by what was learned from jobs that are over, not by limits alone.
    Lessons,
    /// Data and chips are decided on together; without, a job goes to where its data can be soonest.
    JointData,
    /// Jobs take the place of others: of lower priority, or of guests where their tenant is at home.
    Preemption,
    /// What tenants are entitled to orders the queue, and has preemptible jobs make room at boundaries.
    Entitlements,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Prices, Self::Lessons, Self::JointData, Self::Preemption, Self::Entitlements];

    /// Its name in scenarios and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prices => "prices",
            Self::Lessons => "lessons",
            Self::JointData => "joint-data",
            Self::Preemption => "preemption",
            Self::Entitlements => "entitlements",
        }
    }

    /// Leaves it out.
    pub(super) fn leave_out(self, settings: &mut Settings) {
        let policy = &mut settings.policy;
        match self {
            Self::Prices => policy.prices = false,
            Self::Lessons => policy.lessons = false,
            Self::JointData => policy.joint_data = false,
            Self::Preemption => policy.preempting = None,
            Self::Entitlements => policy.round = None,
        }
    }
}
