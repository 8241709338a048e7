//! Copies of packets in a file that tcpdump and Wireshark read.

use crate::WanError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// pcap with times in nanoseconds (draft-ietf-opsawg-pcap, section 4).
const MAGIC: u32 = 0xa1b2_3c4d;
/// Each packet begins with its IP header.
const LINKTYPE_RAW: u32 = 101;
const LONGEST: u32 = 65_535;

/// A capture that is going on. It ends with [`Capture::finish`] or with the last of its network;
/// dropping it does not end it.
#[derive(Debug)]
pub struct Capture(Arc<Sink>);

impl Capture {
    /// Ends the capture and says how many packets are in the file.
    ///
    /// # Errors
    ///
    /// When a packet or the end of the file could not be written, then or before.
    pub fn finish(self) -> Result<u64, WanError> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = match state.file.take() {
            Some(mut file) => file.flush(),
            None => Ok(()),
        };
        let failed = state.failed.take().map_or(flushed, Err);
        failed.map(|()| state.packets).map_err(WanError::io("write", &self.0.path))
    }
}

/// Where the threads of links put packets.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None once the capture has ended.
    file: Option<BufWriter<File>>,
    packets: u64,
    failed: Option<io::Error>,
}

impl Sink {
    /// A capture into a new file; one that is there is overwritten.
    pub(crate) fn create(path: &Path) -> Result<(Arc<Self>, Capture), WanError> {
        let file = File::create(path).map_err(WanError::io("create", path))?;
        let mut file = BufWriter::new(file);
        header(&mut file).map_err(WanError::io("write", path))?;
        let state = Mutex::new(State { file: Some(file), packets: 0, failed: None });
        let sink = Arc::new(Self { path: path.to_owned(), state });
        Ok((Arc::clone(&sink), Capture(sink)))
    }

    /// Writes a packet with the present time. The first failure ends the capture.
    pub(crate) fn put(&self, ip: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &mut state.file else { return };
        match record(file, ip) {
            Ok(()) => state.packets += 1,
            Err(error) => {
                state.file = None;
                state.failed = Some(error);
            }
        }
    }
}

fn header(file: &mut impl Write) -> io::Result<()> {
    file.write_all(&MAGIC.to_ne_bytes())?;
    file.write_all(&2_u16.to_ne_bytes())?;
    file.write_all(&4_u16.to_ne_bytes())?;
    for word in [0, 0, LONGEST, LINKTYPE_RAW] {
        file.write_all(&word.to_ne_bytes())?;
    }
    Ok(())
}

fn record(file: &mut impl Write, ip: &[u8]) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The format's seconds have 32 bits and last until 2106.
    let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let length = u32::try_from(ip.len()).unwrap_or(LONGEST).min(LONGEST);
    for word in [seconds, now.subsec_nanos(), length, length] {
        file.write_all(&word.to_ne_bytes())?;
    }
    file.write_all(&ip[..length as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_ends_whole_and_takes_nothing_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.pcap");
        let (sink, capture) = Sink::create(&path).unwrap();
        sink.put(&[0x45; 84]);
        sink.put(&[0x45; 20]);
        assert_eq!(capture.finish().unwrap(), 2);
        sink.put(&[0x45; 20]);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 24 + 16 + 84 + 16 + 20);
        assert_eq!(bytes[24 + 8..24 + 12], 84_u32.to_ne_bytes());
    }
}
