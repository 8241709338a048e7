//! What attempts read over the network while they run: an address on loopback for each input, that
//! stays the same when the agent is started anew beside them.

use crate::Shared;
use crate::home::{self, HomeError};
use model::{AttemptId, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use transfer::door::{Readings, readings};
use transfer::{Reading, Source};
use wire::RunInput;

/// The addresses and what is read at them.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    readings: Readings,
    of: BTreeMap<AttemptId, Vec<String>>,
    served: Option<Served>,
}

#[derive(Debug)]
struct Served {
    at: SocketAddr,
    note: Note,
    _serving: AbortOnDropHandle<()>,
}

/// What is kept in the agent's directory, for nobody else to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    port: u16,
    /// What the secrets of addresses are made from.
    secret: [u8; 32],
}

impl Addresses {
    /// Lets an attempt read its inputs, from where they are to be read now.
    pub(crate) async fn open(
        &mut self,
        shared: &Shared,
        http: &reqwest::Client,
        attempt: AttemptId,
        inputs: &[RunInput],
    ) -> Result<(), HomeError> {
        if self.served.is_none() {
            self.served = Some(serve(&shared.home, self.readings.clone()).await?);
        }
        // An attempt that was refused is never heard of again, but the next one is.
        self.close_those(|known| known.job == attempt.job && known < attempt);
        for input in inputs {
            let Some(secret) = self.secret(attempt, &input.name) else { continue };
            let begin = || {
                let rate = input.read.as_ref().map(|read| read.rate);
                let (data, store) = (input.data.clone(), shared.store.clone());
                Reading::new(data, store, http.clone(), rate)
            };
            let source = input.read.as_ref().map(|read| Source {
                url: read.url.clone(),
                ticket: read.ticket.clone().unwrap_or_default(),
            });
            self.readings.of(&secret, begin).read_from(source);
            let of = self.of.entry(attempt).or_default();
            if !of.contains(&secret) {
                of.push(secret);
            }
        }
        Ok(())
    }

    /// Where an attempt reads an input; none where it cannot.
    pub(crate) fn of(&self, attempt: AttemptId, input: &str) -> Option<String> {
        let at = self.served.as_ref()?.at;
        Some(format!("http://{at}/{}", self.secret(attempt, input)?))
    }

    /// An attempt is over.
    pub(crate) fn close(&mut self, attempt: AttemptId) {
        self.close_those(|known| known == attempt);
    }

    fn close_those(&mut self, over: impl Fn(AttemptId) -> bool) {
        for (attempt, secrets) in self.of.extract_if(.., |attempt, _| over(*attempt)) {
            for reading in secrets.iter().filter_map(|secret| self.readings.close(secret)) {
                let (data, moved) = (reading.data(), reading.progress().seen().moved);
                tracing::info!(%attempt, %data, %moved, "read over the network");
            }
        }
    }

    fn secret(&self, attempt: AttemptId, input: &str) -> Option<String> {
        let mut text = self.served.as_ref()?.note.secret.to_vec();
        text.extend_from_slice(format!("{attempt} reads {input}").as_bytes());
        Some(format!("{}", Digest::of(&text)))
    }
}

/// Listens where this agent did before, or where there is room.
async fn serve(home: &home::Home, all: Readings) -> Result<Served, HomeError> {
    let path = home.reading();
    let io = |error| HomeError::Io(path.clone(), error);
    let known: Option<Note> = home::read(&path)?;
    let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match &known {
        Some(note) => match on(note.port).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(port = note.port, %error, "attempts that run can read no more");
                on(0).await.map_err(io)?
            }
        },
        None => on(0).await.map_err(io)?,
    };
    let at = listener.local_addr().map_err(io)?;
    let secret = match known {
        Some(note) => note.secret,
        None => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|e| io(std::io::Error::other(e)))?;
            secret
        }
    };
    let note = Note { port: at.port(), secret };
    home::write_secret(&path, &note)?;
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, readings(all)).await {
            tracing::error!(%error, "attempts can read no more over the network");
        }
    });
    Ok(Served { at, note, _serving: AbortOnDropHandle::new(serving) })
}
