//! Watches that the server's log only ever grows: not even its operator rewrites history unseen.

use crate::Shared;
use crate::home::Seen;
use crate::session::Line;
use model::Digest;
use model::fact::{Head, extend};
use std::sync::Arc;

/// How many header digests are asked for at once.
const AT_ONCE: usize = 8_192;

/// Checks now and then that the newest head extends the one seen before, header by header.
pub(crate) async fn watch(shared: Arc<Shared>, line: Arc<Line>) {
    loop {
        tokio::time::sleep(shared.settings.witness_every).await;
        let joined = line.joined().await;
        let seen = match shared.home.seen() {
            Ok(Some(seen)) if seen.network == joined.network => seen.head,
            Ok(_) => Head::EMPTY,
            Err(error) => {
                tracing::warn!(%error, "the head seen before cannot be read");
                continue;
            }
        };
        match follow(&shared, seen).await {
            Ok(Some(head)) if head != seen => {
                let seen = Seen { network: joined.network, head };
                if let Err(error) = shared.home.see(&seen) {
                    tracing::warn!(%error, "the head seen cannot be remembered");
                }
            }
            Ok(_) => {}
            Err(what) => {
                tracing::error!(what, "ALARM: the server's log does not extend what it was");
                if let Err(error) = shared.home.alarm(&what) {
                    tracing::error!(%error, "the alarm could not be written down");
                }
            }
        }
    }
}

/// The server's head, if its log leads there from the head seen before; `None` when it could not
/// be asked.
async fn follow(shared: &Shared, seen: Head) -> Result<Option<Head>, String> {
    let mut at = seen;
    loop {
        let Ok((digests, head)) = shared.client.log_heads(at.number, AT_ONCE).await else {
            return Ok(None);
        };
        if head.number < at.number {
            return Err(format!(
                "it ends at fact {} and was seen to reach fact {}",
                head.number, at.number
            ));
        }
        at = advance(at, &digests, head)?;
        if at.number >= head.number || digests.is_empty() {
            return Ok(Some(at));
        }
    }
}

/// The head after `digests`, checked against the server's where it is reached.
fn advance(from: Head, digests: &[Digest], claimed: Head) -> Result<Head, String> {
    let mut at = from;
    if at.number == claimed.number && at.digest != claimed.digest {
        return Err(format!("fact {} or one before it was changed", at.number));
    }
    for digest in digests {
        at = Head { number: at.number + 1, digest: extend(&at.digest, digest) };
        if at.number == claimed.number && at.digest != claimed.digest {
            return Err(format!("fact {} or one before it was changed", from.number));
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fact::GENESIS;

    fn head(digests: &[Digest]) -> Head {
        let digest = digests.iter().fold(GENESIS, |head, d| extend(&head, d));
        Head { number: digests.len() as u64, digest }
    }

    #[test]
    fn a_log_that_was_rewritten_does_not_lead_to_its_head() {
        let honest: Vec<Digest> = (0..6_u8).map(|n| Digest::of(&[n])).collect();
        let mut rewritten = honest.clone();
        rewritten[1] = Digest::of(b"other");
        let seen = head(&honest[..3]);
        assert_eq!(advance(seen, &honest[3..], head(&honest)), Ok(head(&honest)));
        assert!(advance(seen, &rewritten[3..], head(&rewritten)).is_err());
        assert!(advance(seen, &[], head(&rewritten[..3])).is_err());
    }
}
