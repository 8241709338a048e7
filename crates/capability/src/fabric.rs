//! The way to another host: what several TCP streams carry at once, and how long a word takes there and
//! back.
//!
//! The client says in one byte what a stream is for, and the listener does that: gives back what comes,
//! swallows it and says how much came in which time, or sends for as long as it is read.

use crate::Error;
use crate::pace::{Pace, rate};
use model::{Figure, Unit};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The figure of round trips.
pub(crate) const ROUND_TRIP: &str = "fabric-round-trip";
/// The figure of the way there.
pub(crate) const SEND: &str = "fabric-send";
/// The figure of the way back.
pub(crate) const RECEIVE: &str = "fabric-receive";

const ECHO: u8 = b'e';
const SWALLOW: u8 = b's';
const POUR: u8 = b'p';

/// Streams at once: one alone may be bound by one core.
const STREAMS: usize = 4;
/// Round trips of one repeat.
const TRIPS: u32 = 200;
/// How much is handed to a stream at once.
const PIECE: usize = 256 << 10;
/// For how long the other side may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Streams a listener serves at once.
const MOST_STREAMS: usize = 64;
/// How long a listener serves one stream at the most.
const MOST_TIME: Duration = Duration::from_secs(60);

/// The other end of a fabric. Whoever can reach it may use it, as with other programs that measure
/// networks: it is to be there only for as long as something is measured.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// One at this address.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind(address)
            .map_err(|source| Error::Listen { address: address.to_string(), source })?;
        Ok(Self { listener })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub fn serve(&self) {
        let streams = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for stream in self.listener.incoming().flatten() {
                if streams.fetch_add(1, Ordering::Relaxed) >= MOST_STREAMS {
                    streams.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let streams = &streams;
                scope.spawn(move || {
                    // Whoever goes away in the middle of it has measured enough.
                    let _over = serve(stream);
                    streams.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    prepare(&stream)?;
    let (began, mut piece) = (Instant::now(), vec![0; PIECE]);
    stream.read_exact(&mut piece[..1])?;
    match piece[0] {
        ECHO => loop {
            let read = stream.read(&mut piece)?;
            if read == 0 || began.elapsed() > MOST_TIME {
                return Ok(());
            }
            stream.write_all(&piece[..read])?;
        },
        SWALLOW => {
            let (mut bytes, began) = (0_u64, Instant::now());
            loop {
                let read = stream.read(&mut piece)?;
                bytes += read as u64;
                if read == 0 || began.elapsed() > MOST_TIME {
                    break;
                }
            }
            let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            stream.write_all(&bytes.to_le_bytes())?;
            stream.write_all(&nanos.to_le_bytes())
        }
        POUR => {
            while began.elapsed() < MOST_TIME {
                stream.write_all(&piece)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// A stream to the other host that is for this.
fn open(peer: &str, purpose: u8) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in peer.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE / 2) {
            Ok(mut stream) => {
                prepare(&stream)?;
                stream.write_all(&[purpose])?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// How long eight bytes take there and back, one after the other over one stream: a sample is the mean of
/// many.
pub(crate) fn round_trip(peer: &str, pace: Pace) -> Result<Figure, Error> {
    let failed = |source| Error::Peer { peer: peer.to_owned(), source };
    let mut stream = open(peer, ECHO).map_err(failed)?;
    let mut word = [7; 8];
    let samples = pace.repeat(|| {
        let began = Instant::now();
        for _ in 0..TRIPS {
            stream.write_all(&word).map_err(failed)?;
            stream.read_exact(&mut word).map_err(failed)?;
        }
        let each = began.elapsed() / TRIPS;
        Ok::<u64, Error>(u64::try_from(each.as_nanos()).unwrap_or(u64::MAX))
    })?;
    let how = format!("8 bytes there and back over TCP to {peer}, the mean of {TRIPS}");
    Ok(Figure { name: ROUND_TRIP.to_owned(), unit: Unit::Nanoseconds, samples, how })
}

/// What the streams carry there, as the other host counts it.
pub(crate) fn send(peer: &str, pace: Pace) -> Result<Figure, Error> {
    carried(SEND, (peer, "to"), pace, |peer| {
        let (mut stream, piece) = (open(peer, SWALLOW)?, vec![7; PIECE]);
        let began = Instant::now();
        while began.elapsed() < pace.window {
            stream.write_all(&piece)?;
        }
        stream.shutdown(Shutdown::Write)?;
        let (mut bytes, mut nanos) = ([0; 8], [0; 8]);
        stream.read_exact(&mut bytes)?;
        stream.read_exact(&mut nanos)?;
        let took = Duration::from_nanos(u64::from_le_bytes(nanos));
        Ok((u64::from_le_bytes(bytes), took))
    })
}

/// What the streams carry back.
pub(crate) fn receive(peer: &str, pace: Pace) -> Result<Figure, Error> {
    carried(RECEIVE, (peer, "from"), pace, |peer| {
        let (mut stream, mut piece) = (open(peer, POUR)?, vec![0; PIECE]);
        let (began, mut bytes) = (Instant::now(), 0_u64);
        while began.elapsed() < pace.window {
            match stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => bytes += read as u64,
            }
        }
        Ok((bytes, began.elapsed()))
    })
}

/// What all streams carry together, each as `one` counts it in bytes and time.
fn carried(
    name: &str,
    (peer, way): (&str, &str),
    pace: Pace,
    one: impl Fn(&str) -> io::Result<(u64, Duration)> + Sync,
) -> Result<Figure, Error> {
    let failed = |source| Error::Peer { peer: peer.to_owned(), source };
    let samples = pace.repeat(|| {
        let all: io::Result<Vec<(u64, Duration)>> = std::thread::scope(|scope| {
            let streams: Vec<_> = (0..STREAMS).map(|_| scope.spawn(|| one(peer))).collect();
            let ended = |result: std::thread::Result<_>| {
                result.unwrap_or_else(|_| Err(io::Error::other("a stream's thread ended early")))
            };
            streams.into_iter().map(|stream| ended(stream.join())).collect()
        });
        let all = all.map_err(failed)?;
        Ok::<u64, Error>(all.into_iter().map(|(bytes, took)| rate(bytes * 8, took)).sum())
    })?;
    let how = format!("{STREAMS} TCP streams at once {way} {peer}");
    Ok(Figure { name: name.to_owned(), unit: Unit::BitsPerSecond, samples, how })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_measure_what_lies_between_them() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = listener.address().unwrap().to_string();
        std::thread::spawn(move || listener.serve());
        let pace = Pace { repeats: 2, ..Pace::new(true) };
        for figure in [round_trip(&peer, pace), send(&peer, pace), receive(&peer, pace)] {
            let figure = figure.unwrap();
            assert!(figure.median() > 0 && figure.samples.len() == 2, "{figure:?}");
        }
    }

    #[test]
    fn a_host_that_does_not_listen_is_told_what_to_do() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let error = round_trip(&nobody, Pace::new(true)).unwrap_err().in_full();
        assert!(error.contains("center bench --listen") && error.contains("refused"), "{error}");
    }
}
