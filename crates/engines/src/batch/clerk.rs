//! Who enters attempts and asks what has become of them.

use super::desk::Desk;
use super::known::Left;
use super::wanted::ToEnter;
use super::{Entry, Open, Queue};
use crate::process::blocking;
use crate::{Error, Launch};
use model::AttemptId;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// How many attempts are entered at once.
pub(super) const AT_ONCE: usize = 4;
/// How many are looked after meanwhile: while the files of some are written, others are entered.
const CLERKS: usize = 6;
/// How often notes of supervisors are looked for.
const NOTES_EVERY: Duration = Duration::from_millis(50);
/// What enters `wanted` and looks after what was entered, until it is dropped.
pub(super) fn begin<Q: Queue>(
    desk: &Arc<Desk<Q>>,
    wanted: mpsc::UnboundedReceiver<ToEnter>,
    ask_every: Duration,
) -> JoinSet<()> {
    let mut clerks = JoinSet::new();
    let wanted = Arc::new(Mutex::new(wanted));
    for _ in 0..CLERKS {
        clerks.spawn(enter_all(Arc::downgrade(desk), Arc::clone(&wanted)));
    }
    clerks.spawn(read_notes(Arc::downgrade(desk)));
    clerks.spawn(look_around(Arc::downgrade(desk), ask_every));
    clerks
}

async fn enter_all<Q: Queue>(
    desk: Weak<Desk<Q>>,
    wanted: Arc<Mutex<mpsc::UnboundedReceiver<ToEnter>>>,
) {
    loop {
        let Some(one) = wanted.lock().await.recv().await else { return };
        let Some(desk) = desk.upgrade() else { return };
        enter(&desk, one).await;
    }
}

/// Enters an attempt, once: where an answer was lost, it is looked for first. One that cannot be entered now
/// keeps no other waiting.
async fn enter<Q: Queue>(desk: &Arc<Desk<Q>>, mut one: ToEnter) {
    let attempt = one.attempt;
    if let Err(error) = try_to_enter(desk, attempt, one.fresh.take()).await {
        tracing::warn!(%attempt, %error, "it could not be entered, or ended, yet");
        desk.put_off(attempt, &error);
        let desk = Arc::downgrade(desk);
        tokio::spawn(async move {
            tokio::time::sleep(one.pause).await;
            if let Some(desk) = desk.upgrade() {
                desk.enter_later(one.again());
            }
        });
    }
}

async fn try_to_enter<Q: Queue>(
    desk: &Arc<Desk<Q>>,
    attempt: AttemptId,
    fresh: Option<Launch>,
) -> Result<(), Error> {
    let at = Arc::clone(desk);
    let may_be_there = fresh.is_none();
    let wanted = blocking(move || at.to_enter(attempt, fresh)).await?;
    let Some(wanted) = wanted else { return end_what_waits(desk, attempt).await };
    let ticket = wanted.ticket();
    let entered = async {
        if may_be_there
            && let Some(entry) = desk.queue.entered(&ticket).await?.into_iter().next_back()
        {
            return Ok(Some(entry));
        }
        if wanted.is_claimed {
            return Ok(None);
        }
        let _turn = desk.turns.acquire().await;
        desk.queue.submit(&ticket).await.map(Some)
    };
    match entered.await {
        Ok(Some(entry)) => {
            let noted = desk.entered(attempt, entry.clone());
            if desk.knows(attempt) {
                return noted;
            }
            // It was forgotten meanwhile.
            cancel(desk, entry).await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error @ Error::Rejected { .. }) => {
            desk.none_waits(attempt);
            desk.refused(attempt, error.in_full())
        }
        Err(error) => Err(error),
    }
}

async fn read_notes<Q: Queue>(desk: Weak<Desk<Q>>) {
    let mut ticks = tokio::time::interval(NOTES_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(desk) = desk.upgrade() else { return };
        // Fails only while the runtime shuts down.
        let _ = blocking(move || {
            desk.read_changes();
            Ok(())
        })
        .await;
    }
}

async fn look_around<Q: Queue>(desk: Weak<Desk<Q>>, every: Duration) {
    let mut is_first = true;
    loop {
        let ring = {
            let Some(desk) = desk.upgrade() else { return };
            match look(&desk, is_first).await {
                Ok(()) => {
                    is_first = false;
                    desk.answered(None);
                }
                Err(error) => {
                    tracing::warn!(%error, "it is unknown what became of the attempts");
                    desk.answered(Some(&error));
                }
            }
            Arc::clone(&desk.ring)
        };
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = ring.notified() => {}
        }
    }
}

/// Asks about all attempts that have no result, and ends what is to be ended; the first time also what
/// an earlier engine left.
async fn look<Q: Queue>(desk: &Arc<Desk<Q>>, is_first: bool) -> Result<(), Error> {
    for entry in desk.to_cancel() {
        cancel(desk, entry).await;
    }
    let at = Arc::clone(desk);
    let open = blocking(move || Ok(at.open())).await?;
    if open.is_empty() && !is_first {
        return Ok(());
    }
    let asked: Vec<Open> = open.iter().map(|(_, open)| open.clone()).collect();
    let seen = match is_first {
        true => desk.queue.look_over(&desk.shelf.prefix(), &asked).await?,
        false => desk.queue.look(&desk.shelf.prefix(), &asked).await?,
    };
    let mut entries: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in seen.entries {
        entries.entry(entry.name.clone()).or_default().push(entry);
    }
    for (attempt, Open { name, .. }) in open {
        if seen.unasked.contains(&name) {
            continue;
        }
        for entry in desk.heard(attempt, entries.remove(&name).unwrap_or_default())? {
            cancel(desk, entry).await;
        }
    }
    if is_first {
        for entry in desk.left_over(entries.into_values().flatten()) {
            cancel(desk, entry).await;
        }
    }
    Ok(())
}

/// Ends what an attempt that is over without having run left waiting.
pub(super) async fn end_what_waits<Q: Queue>(
    desk: &Arc<Desk<Q>>,
    attempt: AttemptId,
) -> Result<(), Error> {
    let at = Arc::clone(desk);
    let entries = match blocking(move || at.left_waiting(attempt)).await? {
        Left::Nothing => Vec::new(),
        Left::Entry(entry) => vec![entry],
        Left::Perhaps => may_wait(desk, attempt).await?,
    };
    for entry in entries {
        desk.queue.cancel(&entry).await?;
        desk.canceled(&entry);
    }
    desk.none_waits(attempt);
    Ok(())
}

/// What there is of an attempt of which it is not known whether it was entered.
async fn may_wait<Q: Queue>(desk: &Arc<Desk<Q>>, attempt: AttemptId) -> Result<Vec<Entry>, Error> {
    let at = Arc::clone(desk);
    let Some(wanted) = blocking(move || at.ordered(attempt)).await? else { return Ok(Vec::new()) };
    match desk.queue.entered(&wanted.ticket()).await {
        Ok(found) => Ok(found.into_iter().filter(|entry| entry.phase.is_active()).collect()),
        // It will never be taken.
        Err(Error::Rejected { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Asks for an entry's end; again at the next look where that cannot be asked for now.
pub(super) async fn cancel<Q: Queue>(desk: &Desk<Q>, entry: Entry) {
    match desk.queue.cancel(&entry).await {
        Ok(()) => desk.canceled(&entry),
        Err(error) => {
            tracing::warn!(entry = entry.name, %error, "its end could not be asked for yet");
            desk.cancel_later(entry);
        }
    }
}
