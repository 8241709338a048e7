//! Quotas a second time, from the definitions: everything is worked out anew by walking the whole tree.

/// One tenant with its quota of one flavor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) parent: Option<usize>,
    pub(crate) nominal: i64,
    pub(crate) borrowing_limit: Option<i64>,
    pub(crate) lending_limit: Option<i64>,
    /// What its own jobs use.
    pub(crate) own: i64,
}

/// All tenants' quotas of one flavor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naive(pub(crate) Vec<Node>);

impl Naive {
    fn children(&self, of: usize) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(move |node| self.0[*node].parent == Some(of))
    }

    pub(crate) fn subtree(&self, at: usize) -> i64 {
        let lent = self.children(at).map(|child| self.subtree(child) - self.local(child));
        self.0[at].nominal + lent.sum::<i64>()
    }

    pub(crate) fn local(&self, at: usize) -> i64 {
        self.0[at].lending_limit.map_or(0, |limit| (self.subtree(at) - limit).max(0))
    }

    pub(crate) fn used(&self, at: usize) -> i64 {
        let beyond = self.children(at).map(|child| (self.used(child) - self.local(child)).max(0));
        self.0[at].own + beyond.sum::<i64>()
    }

    /// As the definition has it, from the root down.
    pub(crate) fn available(&self, at: usize) -> i64 {
        let Some(parent) = self.0[at].parent else { return self.subtree(at) - self.used(at) };
        let (local, used) = (self.local(at), self.used(at));
        let mut above = self.available(parent);
        if let Some(limit) = self.0[at].borrowing_limit {
            let seen_above = self.subtree(at) - local;
            let used_above = (used - local).max(0);
            above = above.min(seen_above - used_above + limit);
        }
        (local - used).max(0) + above
    }

    pub(crate) fn potential(&self, at: usize) -> i64 {
        let Some(parent) = self.0[at].parent else { return self.subtree(at) };
        let all = self.local(at) + self.potential(parent);
        self.0[at].borrowing_limit.map_or(all, |limit| all.min(self.subtree(at) + limit))
    }

    /// Whether nobody uses more than allowed: no tenant more than its subtree quota and borrowing limit,
    /// no root more than its subtree quota.
    pub(crate) fn legal(&self) -> bool {
        (0..self.0.len()).all(|at| {
            let limit = match self.0[at].parent {
                None => Some(0),
                Some(_) => self.0[at].borrowing_limit,
            };
            limit.is_none_or(|limit| self.used(at) <= self.subtree(at) + limit)
        })
    }

    /// The most a tenant's own jobs can use more with everything still legal, found by trying.
    pub(crate) fn most_more(&self, at: usize) -> i64 {
        let mut trial = self.clone();
        let mut more = 0;
        loop {
            trial.0[at].own += 1;
            if !trial.legal() {
                return more;
            }
            more += 1;
        }
    }
}
