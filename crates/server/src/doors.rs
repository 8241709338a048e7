//! Keys and tickets of centers' stores.

use model::{AttemptId, CenterId, DatasetVersion, Digest, Moment, Span};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use transfer::ticket::{Ticket, Verb, filler, issue};
use transfer::{Flow, Leave};
use wire::{Order, PaceStep, RunInput, Stage};

/// How long a ticket opens a store: time for a long transfer to be begun again by another agent.
const VALID: Span = Span::from_secs(12 * 3_600);

/// Makes the key of each center's store from one secret that never enters the log.
#[derive(Clone)]
pub(crate) struct Doors {
    secret: [u8; 32],
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doors")
    }
}

impl Doors {
    /// The doors whose secret is in `dir/doors.secret`; it is made if it is not there.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("doors.secret");
        let mut secret = [0; 32];
        match std::fs::File::open(&path) {
            Ok(mut file) => file.read_exact(&mut secret)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                getrandom::fill(&mut secret).map_err(io::Error::other)?;
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
                file.write_all(&secret)?;
                file.sync_all()?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self { secret })
    }

    /// The key of a center's store, for its agent and nobody else.
    #[must_use]
    pub(crate) fn key(&self, center: &CenterId) -> Digest {
        let mut text = self.secret.to_vec();
        text.extend_from_slice(b"door of ");
        text.extend_from_slice(center.as_str().as_bytes());
        Digest::of(&text)
    }

    /// Adds to an order for a center the secrets that deciding does not know.
    pub(crate) fn fill_in(&self, order: &mut Order, center: &CenterId, now: Moment) {
        match order {
            Order::Stage(stage) if stage.sent => {}
            Order::Stage(stage) => self.open_for(stage, now),
            Order::Send(send) => {
                let pace = Leave::new(send.transfer, now, std::mem::take(&mut send.steps));
                send.steps = pace.steps.clone();
                let ticket = self.issue(&send.to, &send.data, Verb::Write, Some(pace), now);
                send.ticket = Some(ticket);
            }
            Order::Test(test) => {
                let pace = Leave::new(test.transfer, now, std::mem::take(&mut test.steps));
                test.steps = pace.steps.clone();
                let ticket = self.issue(&test.from, &filler(), Verb::Fill, Some(pace), now);
                test.ticket = Some(ticket);
            }
            Order::Measure(measure) => {
                for peer in &mut measure.peers {
                    peer.key = Some(self.pair(center, &peer.center));
                }
            }
            Order::Run(run) => {
                let attempt = run.attempt;
                for input in &mut run.inputs {
                    self.open_to(attempt, input, now);
                }
            }
            Order::Stop { .. }
            | Order::Drop { .. }
            | Order::Verify { .. }
            | Order::Archive { .. }
            | Order::Remove { .. } => {}
        }
    }

    /// The secret of the test packets between two centers, for their agents and nobody else.
    #[must_use]
    pub(crate) fn pair(&self, one: &CenterId, other: &CenterId) -> Digest {
        let (lesser, greater) = if one < other { (one, other) } else { (other, one) };
        let mut text = self.secret.to_vec();
        // No name has a space, so that no two pairs have one text.
        text.extend_from_slice(format!("way of {lesser} {greater}").as_bytes());
        Digest::of(&text)
    }

    /// A ticket that opens a center's store for one dataset version.
    #[must_use]
    pub(crate) fn ticket(
        &self,
        center: &CenterId,
        data: &DatasetVersion,
        write: bool,
        now: Moment,
    ) -> String {
        let verb = if write { Verb::Write } else { Verb::Read };
        self.issue(center, data, verb, None, now)
    }

    /// Puts tickets into the order that let its transfer be read no faster than planned from each
    /// source. Both ends keep the same steps.
    fn open_for(&self, stage: &mut Stage, now: Moment) {
        let Stage { transfer, data, sources, .. } = stage;
        for source in sources {
            let pace = Leave::new(*transfer, now, std::mem::take(&mut source.steps));
            source.steps = pace.steps.clone();
            let ticket = self.issue(&source.from, data, Verb::Read, Some(pace), now);
            source.ticket = Some(ticket);
        }
    }

    /// Puts a ticket into an input that lets an attempt read it as fast as was reserved for it, for as
    /// long as it may run.
    fn open_to(&self, attempt: AttemptId, input: &mut RunInput, now: Moment) {
        let Some(read) = &mut input.read else { return };
        let step = PaceStep { after: Span::ZERO, lasts: read.lasts, rate: read.rate };
        let flow = Flow::Stream { attempt, input: input.name.clone() };
        let pace = Leave::new(flow, now, vec![step]);
        let valid = read.lasts.saturating_add(VALID);
        read.ticket =
            Some(self.issue_for(&read.from, &input.data, Verb::Read, Some(pace), (now, valid)));
    }

    fn issue(
        &self,
        center: &CenterId,
        data: &DatasetVersion,
        verb: Verb,
        pace: Option<Leave>,
        now: Moment,
    ) -> String {
        self.issue_for(center, data, verb, pace, (now, VALID))
    }

    fn issue_for(
        &self,
        center: &CenterId,
        data: &DatasetVersion,
        verb: Verb,
        pace: Option<Leave>,
        (now, valid): (Moment, Span),
    ) -> String {
        let (center, data) = (center.clone(), data.clone());
        let key = self.key(&center);
        let ticket = Ticket { center, data, verb, expires: now + valid, pace };
        issue(key.as_bytes(), &ticket)
    }
}
