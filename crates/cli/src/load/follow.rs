//! Following what becomes of jobs by the log's facts.

use client::{Client, Error, Events};
use model::fact::{AttemptEnded, JobEnded, JobOffered};
use model::{CenterId, Chips, JobEnd, JobId, Moment, PoolId, Span};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use wire::view::Event;

/// How soon a stream that broke off is opened again.
const AGAIN: Duration = Duration::from_millis(250);

/// A pool, by center and name.
pub(super) type Place = (CenterId, PoolId);

/// Something that happened to a job, by the server's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// To which.
    pub(super) job: JobId,
    /// When.
    pub(super) at: Moment,
    /// What.
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// It was accepted.
    Submitted,
    /// It was given so many chips of a pool.
    Offered(Place, Chips),
    /// Its attempt started.
    Started,
    /// Its attempt is over, and ran for so long.
    Over(Span),
    /// It ended.
    Ended(JobEnd),
}

/// Tells all that happens to jobs, until nobody listens, or with the error that ended it: what the
/// stream misses while it is broken off is told once it is open again. A server that does not answer
/// for as long as `patience` ends it too.
pub(super) async fn follow(
    client: Client,
    mut events: Events,
    news: UnboundedSender<Result<News, Error>>,
    patience: Duration,
) {
    // Where no number was seen yet, none is missed only by reading the log from its first fact.
    let mut after = 0;
    loop {
        let broken = loop {
            let told = match events.next_of::<Option<Box<RawValue>>>().await {
                Ok(event) => {
                    after = event.number;
                    read(&event).transpose()
                }
                Err(error) => break error,
            };
            if told.is_some_and(|told| news.send(told).is_err()) {
                return;
            }
        };
        let reopened = match broken.is_transient() {
            true => reopen(&client, after, broken, patience).await,
            false => Err(broken),
        };
        match reopened {
            Ok(stream) => events = stream,
            Err(error) => {
                // Nobody may be listening any more.
                let _ = news.send(Err(error));
                return;
            }
        }
    }
}

async fn reopen(
    client: &Client,
    after: u64,
    mut why: Error,
    patience: Duration,
) -> Result<Events, Error> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        tokio::time::sleep(AGAIN).await;
        match client.events(Some(after)).await {
            Ok(events) => return Ok(events),
            Err(error) if error.is_transient() => why = error,
            Err(error) => return Err(error),
        }
    }
    Err(why)
}

/// What a fact says of a job; nothing where it is about something else.
fn read(event: &Event<Option<Box<RawValue>>>) -> Result<Option<News>, Error> {
    let Some(job) = event.subjects.first().and_then(|subject| subject.parse().ok()) else {
        return Ok(None);
    };
    let what = match &*event.kind {
        "job-submitted" => What::Submitted,
        "job-offered" => offered(&content::<JobOffered>(event)?),
        "attempt-started" => What::Started,
        "attempt-ended" => What::Over(content::<AttemptEnded>(event)?.ended.ran),
        "job-ended" => What::Ended(content::<JobEnded>(event)?.end),
        _ => return Ok(None),
    };
    Ok(Some(News { job, at: event.at_ms, what }))
}

fn offered(offer: &JobOffered) -> What {
    let parts = &offer.placement.parts;
    let slots = parts.iter().flat_map(|part| &part.nodes);
    let chips = slots.map(|slots| slots.share.times(slots.chips.len() as u64));
    let chips = chips.fold(Chips::ZERO, Chips::saturating_add);
    let first = parts.first().expect("a placement has at least one part");
    What::Offered((first.center.clone(), first.pool.clone()), chips)
}

fn content<'a, C: Deserialize<'a>>(event: &'a Event<Option<Box<RawValue>>>) -> Result<C, Error> {
    let unreadable =
        |why: String| Error::Unreadable { why: format!("fact {}: {why}", event.number) };
    // The field is optional in the API, and content may be withheld.
    let content = event.content.as_ref().and_then(Option::as_ref);
    let content = content.ok_or_else(|| unreadable("its content is withheld".to_owned()))?;
    serde_json::from_str(content.get()).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(kind: &str, content: &Value, expected: Option<What>) {
        let event = json!({"number": 9, "kind": kind, "at_ms": 500, "subjects": ["job-7"],
            "content": content});
        let event = serde_json::from_value(event).expect("an event");
        let news = read(&event).expect("it can be read");
        let expected = expected.map(|what| News { job: JobId::new(7), at: Moment(500), what });
        assert_eq!(news, expected, "{kind}");
    }

    #[test]
    fn facts_say_what_happened_to_a_job() {
        check("job-submitted", &json!({"anything": 1}), Some(What::Submitted));
        let slots = json!({"node": 0, "chips": [1, 2], "share": 1_000, "cores": 1, "memory": 1});
        let part = json!({"center": "lingang", "pool": "a100", "variant": 0, "nodes": [slots]});
        let placement = json!({"plan": 1, "parts": [part], "start": 1, "until": 2, "finish": 2,
            "price": {"micros": 1, "currency": "CNY"}, "inputs": [], "awaits": []});
        let place = (CenterId::new("lingang").unwrap(), PoolId::new("a100").unwrap());
        let offer = json!({"attempt": "job-7.1", "placement": placement});
        check("job-offered", &offer, Some(What::Offered(place, Chips(2_000))));
        check("attempt-started", &json!({"attempt": "job-7.1"}), Some(What::Started));
        let ended = json!({"outcome": {"exited": {"code": 0}}, "ran": 250, "cpu": 0, "memory": 0});
        let over = json!({"attempt": "job-7.1", "ended": ended});
        check("attempt-ended", &over, Some(What::Over(Span(250))));
        let ended = json!({"job": 7, "end": "completed"});
        check("job-ended", &ended, Some(What::Ended(JobEnd::Completed)));
        check("attempt-accepted", &json!({"attempt": "job-7.1"}), None);
    }

    #[test]
    fn content_that_is_withheld_is_an_error_that_says_so() {
        let event = json!({"number": 9, "kind": "job-ended", "at_ms": 5, "subjects": ["job-7"],
            "content": null});
        let event = serde_json::from_value(event).expect("an event");
        let error = read(&event).expect_err("there is nothing to read").to_string();
        assert!(error.contains("fact 9: its content is withheld"), "{error}");
    }
}
