//! Agents that wait for orders, and questions that wait for agents.

use api::gate::{LogError, LogQuery, Reply};
use controller::Rejected;
use model::CenterId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{Answer, Ask, LogPiece, Orders, Poll, Question};

/// How long an agent has to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A poll that has not been answered.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) poll: Poll,
    pub(crate) until: Instant,
    pub(crate) reply: Reply<Result<Orders, Rejected>>,
}

type LogReply = Reply<Result<LogPiece, LogError>>;

/// All of them, by center.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    waiting: BTreeMap<CenterId, Waiting>,
    asks: BTreeMap<CenterId, Vec<Ask>>,
    answers: BTreeMap<u64, (CenterId, Instant, LogReply)>,
    next_ask: u64,
}

impl Polls {
    /// Lets a poll wait; the one it takes the place of is returned.
    pub(crate) fn wait(&mut self, center: CenterId, waiting: Waiting) -> Option<Waiting> {
        self.waiting.insert(center, waiting)
    }

    /// Takes the poll of a center that something has come up for.
    pub(crate) fn take(&mut self, center: &CenterId) -> Option<Waiting> {
        self.waiting.remove(center)
    }

    /// Whether a center has a question to answer.
    pub(crate) fn has_asks(&self, center: &CenterId) -> bool {
        self.asks.get(center).is_some_and(|asks| !asks.is_empty())
    }

    /// Takes a center's questions.
    pub(crate) fn take_asks(&mut self, center: &CenterId) -> Vec<Ask> {
        self.asks.remove(center).unwrap_or_default()
    }

    /// Centers whose poll has waited long enough.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<CenterId> {
        let overdue = self.waiting.iter().filter(|(_, w)| w.until <= now);
        overdue.map(|(center, _)| center.clone()).collect()
    }

    /// Puts a question to a center's agent.
    pub(crate) fn ask(&mut self, query: LogQuery, reply: LogReply, now: Instant) {
        self.next_ask += 1;
        let LogQuery { attempt, center, stderr, offset, max } = query;
        let question = Question::Log { attempt, stderr, offset, max };
        let ask = Ask { ask: self.next_ask, question };
        self.asks.entry(center.clone()).or_default().push(ask);
        self.answers.insert(self.next_ask, (center, now + ANSWER_WITHIN, reply));
    }

    /// Passes on what an agent answered.
    pub(crate) fn answered(&mut self, from: &CenterId, answers: Vec<Answer>) {
        for answer in answers {
            let asked = self.answers.get(&answer.ask).is_some_and(|(center, ..)| center == from);
            if let (true, Some((_, _, reply))) = (asked, self.answers.remove(&answer.ask)) {
                // Whoever asked may have gone away.
                let _ = reply.send(answer.log.map_err(LogError::Gone));
            }
        }
    }

    /// Gives up on questions nobody answers.
    pub(crate) fn give_up(&mut self, now: Instant) {
        let late: Vec<u64> =
            self.answers.iter().filter(|(_, (_, at, _))| *at <= now).map(|(n, _)| *n).collect();
        for ask in late {
            if let Some((center, _, reply)) = self.answers.remove(&ask) {
                if let Some(asks) = self.asks.get_mut(&center) {
                    asks.retain(|a| a.ask != ask);
                }
                let _ = reply.send(Err(LogError::Silent(center)));
            }
        }
    }
}
