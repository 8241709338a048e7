//! Which secrets open, remembered so that a request need not wait for the loop.

use crate::gate::{Gate, Stopping};
use model::{Digest, Moment, Principal, Token};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long what is known of tokens may be used. A revoked token opens no longer than this.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// The valid tokens as they were a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: RwLock<Option<Arc<Known>>>,
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    tokens: BTreeMap<Digest, Arc<Token>>,
    now: Moment,
    at: Instant,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH_FOR
    }

    fn now(&self) -> Moment {
        let since = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now + model::Span(since)
    }
}

impl Tokens {
    /// The holder of `secret`, if it opens.
    pub(crate) async fn holder(
        &self,
        gate: &Gate,
        secret: &str,
    ) -> Result<Option<Principal>, Stopping> {
        let known = self.known(gate).await?;
        let token = known.tokens.get(&Digest::of(secret.as_bytes()));
        let valid = token.filter(|t| t.expires.is_none_or(|expires| known.now() < expires));
        Ok(valid.map(|t| Principal { role: t.role.clone(), token: t.token }))
    }

    /// The server's time, as nearly as requests need it.
    pub(crate) async fn now(&self, gate: &Gate) -> Result<Moment, Stopping> {
        Ok(self.known(gate).await?.now())
    }

    /// To be called when a token was created or revoked.
    pub(crate) fn forget(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn fresh(&self) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone().filter(|known| known.is_fresh())
    }

    async fn known(&self, gate: &Gate) -> Result<Arc<Known>, Stopping> {
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        // One request reads; those that come meanwhile wait for it.
        let _reading = self.reading.lock().await;
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        let at = Instant::now();
        let (tokens, now) = gate.look(|c| (c.world().tokens.clone(), c.now())).await?;
        let known = Arc::new(Known { tokens, now, at });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }
}
