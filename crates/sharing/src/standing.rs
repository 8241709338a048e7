//! Whose turn it is: decayed use against weights, level by level.

mod account;
mod decay;
mod kept;
mod turn;

pub use turn::{Level, Round, Turn};

use crate::Error;
use crate::sheet::Sheet;
use crate::tree::{Number, Tree};
use account::Account;
use decay::Decay;
use model::{Bytes, ChipTime, Chips, Cores, Moment, Rate, Span, Tenant, TenantId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

const RESOURCES: usize = 4;

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Chips, normalised by their capability.
    Chips,
    /// Processor cores.
    Cores,
    /// Memory.
    Memory,
    /// Reserved bandwidth.
    Bandwidth,
}

impl Resource {
    const ALL: [Self; RESOURCES] = [Self::Chips, Self::Cores, Self::Memory, Self::Bandwidth];
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chips => "chips",
            Self::Cores => "cores",
            Self::Memory => "memory",
            Self::Bandwidth => "bandwidth",
        })
    }
}

/// What a job draws while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw {
    /// Its chips as they are, for the record.
    pub chips: Chips,
    /// Its chips in those of a reference chip, for standing: see [`Draw::normalised`].
    pub standard: Chips,
    /// Its cores.
    pub cores: Cores,
    /// Its memory.
    pub memory: Bytes,
    /// What is reserved for it on links.
    pub bandwidth: Rate,
}

impl Draw {
    /// So many chips, each with so many thousandths of a reference chip's capability; rounded down.
    #[must_use]
    pub fn normalised(chips: Chips, capability_milli: u64) -> Self {
        let standard = u128::from(chips.0) * u128::from(capability_milli) / 1_000;
        let standard = Chips(u64::try_from(standard).unwrap_or(u64::MAX));
        Self { chips, standard, ..Self::default() }
    }

    fn amounts(&self) -> [u128; RESOURCES] {
        [self.standard.0, self.cores.0, self.memory.0, self.bandwidth.0].map(u128::from)
    }
}

/// All there is in the network, of which use is a share. What is zero is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Chips in those of the reference chip.
    pub standard: Chips,
    /// Cores.
    pub cores: Cores,
    /// Memory.
    pub memory: Bytes,
    /// Bandwidth that can be reserved.
    pub bandwidth: Rate,
}

/// A share of the network's total, in parts of [`Share::ONE`], rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(pub u64);

impl Share {
    /// All of the network at all times.
    pub const ONE: Self = Self(1 << 40);

    /// In parts per billion, rounded to the nearest.
    #[must_use]
    pub fn ppb(self) -> u64 {
        let ppb = (u128::from(self.0) * 1_000_000_000 + (1 << 39)) >> 40;
        u64::try_from(ppb).unwrap_or(u64::MAX)
    }

    fn of(used: u128, total: u64, whole: u128) -> Self {
        let all = u128::from(total) * whole;
        // Of more than fits, the lowest bits of both are left out.
        let excess = (128 - used.leading_zeros() + 40).saturating_sub(127);
        let share = ((used >> excess) << 40) / (all >> excess).max(1);
        Self(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Share {
    /// In percent with two decimals, rounded to the nearest; of less than that, with two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut decimals: usize = 2;
        let mut unit: u128 = 100;
        let parts = |unit: u128| (u128::from(self.0) * 100 * unit + (1 << 39)) >> 40;
        while self.0 > 0 && decimals < 10 && parts(unit) < 10 {
            (decimals, unit) = (decimals + 1, unit * 10);
        }
        let parts = parts(unit);
        write!(f, "{}.{:0decimals$}%", parts / unit, parts % unit)
    }
}

/// How a tenant stands among those of its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub tenant: TenantId,
    /// Its weight beside its siblings.
    pub weight: u32,
    /// Of what it uses the largest share of all there is.
    pub dominant: Resource,
    /// That share: its decayed use against all of the network used as long and decayed alike.
    pub share: Share,
    /// Chips held over time since the beginning, as they are: neither decayed nor normalised.
    pub card_time: ChipTime,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, weight, dominant, share, .. } = self;
        write!(f, "`{tenant}` with {share} of all {dominant} at weight {weight}")
    }
}

/// A tenant's use: that of its own jobs, and with that of all below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seat {
    own: Account,
    all: Account,
}

/// The tree with its weights.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    tree: Tree,
    weights: Vec<u32>,
}

/// What all tenants used and draw, decayed, against their weights.
///
/// All sums are of integers: the same use gives the same standing to the last bit, in whatever order and
/// pieces it is reported. Changes cost O(depth); a clone costs nothing, and the first write after
/// it copies a few pointers per 32 tenants. A running job costs nothing as time passes: what it draws
/// is counted when it is read.
///
/// A tenant with children that also runs jobs is, among them, like one more child of weight 1.
///
/// Written down and read again it is the same, bit for bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "kept::Kept", try_from = "kept::Kept")]
pub struct Standings {
    shape: Arc<Shape>,
    decay: Decay,
    seats: Sheet<Arc<Seat>>,
    /// The last moment reported; nothing is read as of an earlier one.
    latest: Moment,
}

impl Standings {
    /// Nothing used yet. After `half_life` use counts half.
    ///
    /// # Errors
    ///
    /// Two tenants of one name, an unknown parent, a circle, or [`Error::HalfLife`].
    pub fn new<'a>(
        tenants: impl IntoIterator<Item = &'a Tenant>,
        half_life: Span,
    ) -> Result<Self, Error> {
        Self::empty(tenants, Decay::new(half_life).ok_or(Error::HalfLife)?)
    }

    fn empty<'a>(
        tenants: impl IntoIterator<Item = &'a Tenant>,
        decay: Decay,
    ) -> Result<Self, Error> {
        let tenants: Vec<_> = tenants.into_iter().collect();
        let tree = Tree::new(tenants.iter().map(|t| (&t.tenant, t.parent.as_ref())))?;
        let mut weights = vec![0; tree.len()];
        for tenant in tenants {
            let at = tree.number(&tenant.tenant).expect("all given are in the tree");
            weights[at] = tenant.weight;
        }
        let seats = Sheet::new(tree.len());
        let shape = Arc::new(Shape { tree, weights });
        Ok(Self { shape, decay, seats, latest: Moment(0) })
    }

    /// The same use with other tenants, parents and weights: each brings what its own jobs used. Costs
    /// O(tenants × depth × eras). Use of who is no longer there is forgotten.
    ///
    /// # Errors
    ///
    /// As [`Standings::new`], and [`Error::StillUsed`] when a tenant that draws is no longer there.
    pub fn under<'a>(&self, tenants: impl IntoIterator<Item = &'a Tenant>) -> Result<Self, Error> {
        let mut new = Self::empty(tenants, self.decay)?;
        new.latest = self.latest;
        for (number, tenant) in self.shape.tree.ids().iter().enumerate() {
            let own = &self.seats.get(number).own;
            match new.shape.tree.number(tenant) {
                None if own.is_idle() => {}
                None => return Err(Error::StillUsed { tenant: tenant.clone() }),
                Some(at) => {
                    let decay = self.decay;
                    new.change(at, |account| account.merge(decay, own));
                }
            }
        }
        Ok(new)
    }

    /// A job of a tenant draws so much from a moment on, which may be past.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn start(&mut self, tenant: &TenantId, draw: &Draw, at: Moment) -> Result<(), Error> {
        let (number, decay) = (self.number(tenant)?, self.decay);
        self.change(number, |account| account.start(decay, draw, at));
        self.latest = self.latest.max(at);
        Ok(())
    }

    /// It no longer does from a moment on, which may be past but is not before it began to.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`], and [`Error::NotHeld`] where its jobs do not draw as much.
    pub fn stop(&mut self, tenant: &TenantId, draw: &Draw, at: Moment) -> Result<(), Error> {
        let (number, decay) = (self.number(tenant)?, self.decay);
        if !self.seats.get(number).own.draws(draw) {
            let (tenant, what) = (tenant.clone(), "of what its jobs draw".to_owned());
            return Err(Error::NotHeld { tenant, what });
        }
        self.change(number, |account| account.stop(decay, draw, at));
        self.latest = self.latest.max(at);
        Ok(())
    }

    /// A job of a tenant drew so much in `[from, until)`, which is over.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn used(
        &mut self,
        tenant: &TenantId,
        draw: &Draw,
        from: Moment,
        until: Moment,
    ) -> Result<(), Error> {
        let (number, decay) = (self.number(tenant)?, self.decay);
        let chips = u128::from(draw.chips.0);
        self.change(number, |account| account.charge(decay, draw.amounts(), chips, from, until));
        self.latest = self.latest.max(until);
        Ok(())
    }

    /// How a tenant stands, with all below it; not before the last moment reported. `None` for an
    /// unknown one. Costs O(half-lives it was active in, at most 64).
    #[must_use]
    pub fn standing(&self, tenant: &TenantId, now: Moment, totals: &Totals) -> Option<Standing> {
        let at = self.shape.tree.number(tenant)?;
        let account = &self.seats.get(at).all;
        Some(self.read(account, tenant, self.shape.weights[at], now, totals))
    }

    /// The chips a tenant's jobs and those of all below it draw at present, in those of the reference chip;
    /// none for an unknown one.
    #[must_use]
    pub fn drawn(&self, tenant: &TenantId) -> Chips {
        let at = self.shape.tree.number(tenant);
        at.map_or(Chips::ZERO, |at| Chips(self.seats.get(at).all.drawn()))
    }

    fn read(
        &self,
        account: &Account,
        tenant: &TenantId,
        weight: u32,
        now: Moment,
        totals: &Totals,
    ) -> Standing {
        let now = now.max(self.latest);
        let (used, whole) = (account.decayed(self.decay, now), self.decay.whole(now));
        let totals = [totals.standard.0, totals.cores.0, totals.memory.0, totals.bandwidth.0];
        let (mut dominant, mut share) = (Resource::Chips, Share::default());
        for (resource, (used, total)) in Resource::ALL.into_iter().zip(used.into_iter().zip(totals))
        {
            let of = if total > 0 && used > 0 {
                Share::of(used, total, whole)
            } else {
                Share::default()
            };
            if of > share {
                (dominant, share) = (resource, of);
            }
        }
        let card_time = account.card_time(now);
        Standing { tenant: tenant.clone(), weight, dominant, share, card_time }
    }

    fn number(&self, tenant: &TenantId) -> Result<Number, Error> {
        let unknown = || Error::UnknownTenant { tenant: tenant.clone() };
        self.shape.tree.number(tenant).ok_or_else(unknown)
    }

    fn change(&mut self, at: Number, change: impl Fn(&mut Account)) {
        let shape = Arc::clone(&self.shape);
        change(&mut Arc::make_mut(self.seats.get_mut(at)).own);
        for node in shape.tree.path(at) {
            change(&mut Arc::make_mut(self.seats.get_mut(node)).all);
        }
    }
}
