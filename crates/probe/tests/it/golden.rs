//! Packets that scapy made, and what scapy makes of ours.

use probe::packet::{
    ErrorEstimate, Format, Key, ReflectorPacket, Refused, SenderPacket, Timestamp, base,
};
use probe::{Nanos, ProbeError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// 2026-03-01 12:00:00.5 UTC.
const NOON: Nanos = Nanos(1_772_366_400_500_000_000);

/// 1.25 s later.
const LATER: Nanos = Nanos(1_772_366_401_750_000_000);

fn key() -> Result<Key, ProbeError> {
    Key::new(b"a secret of the golden packets")
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The packets of one kind, in the order of the file.
fn golden(kind: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(directory().join("stamp.txt")).unwrap();
    let packets = text.lines().filter_map(|line| line.split_once(' '));
    packets.filter(|(found, _)| *found == kind).map(|(_, hex)| bytes(hex)).collect()
}

fn error(bits: u16) -> ErrorEstimate {
    ErrorEstimate::from_bits(bits).unwrap()
}

fn question(sequence: u32, format: Format, bits: u16, session: u16) -> SenderPacket {
    let timestamp = Timestamp::of(NOON, format);
    SenderPacket { sequence, timestamp, error: error(bits), session }
}

#[test]
fn questions_by_scapy_are_read_and_written_alike() {
    let expected = [
        question(1, Format::Ntp, 0x0001, 1),
        question(u32::MAX, Format::Ntp, 0x91c8, 0xbeef),
        question(7, Format::Ptp, 0xd603, 0),
        question(8, Format::Ntp, 0x3fff, 9),
        question(9, Format::Ntp, 0x3fff, 9),
    ];
    let found = golden("sender");
    assert_eq!(found.len(), expected.len());
    for (bytes, expected) in found.iter().zip(expected) {
        assert_eq!(SenderPacket::decode(bytes, None), Ok(expected));
        assert_eq!(expected.timestamp.wall(expected.error.format()), NOON);
        let mut ours = vec![0; bytes.len()];
        expected.encode(None, &mut ours).unwrap();
        // The last packet has a TLV that is not of ours to send.
        assert_eq!(hex(&ours) == hex(bytes), expected.sequence != 9);
    }
}

#[test]
fn answers_by_scapy_are_read() {
    let found = golden("reflector");
    let seen: Vec<_> =
        found.iter().map(|bytes| ReflectorPacket::decode(bytes, None).unwrap()).collect();
    for (packet, (sequence, format, ttl)) in
        seen.iter().zip([(40, Format::Ntp, 64), (41, Format::Ptp, 255)])
    {
        assert_eq!((packet.sequence, packet.sender_ttl, packet.session), (sequence, ttl, 0x1234));
        assert_eq!(packet.error.format(), format);
        assert_eq!(packet.received.wall(format), NOON);
        assert_eq!(packet.timestamp.wall(format), LATER);
        assert_eq!(packet.sender_sequence, 41);
        assert_eq!(packet.sender_timestamp.wall(packet.sender_error.format()), NOON);
        assert_eq!(packet.sender_error, error(0x3fff));
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn sealed_packets_are_read_and_written_alike() {
    let key = key().unwrap();
    let asked = question(5, Format::Ntp, 0x91c8, 0xbeef);
    let answer = ReflectorPacket {
        sequence: 6,
        timestamp: Timestamp::of(LATER, Format::Ntp),
        error: error(0x9405),
        session: 0xbeef,
        received: Timestamp::of(NOON, Format::Ntp),
        sender_sequence: 5,
        sender_timestamp: asked.timestamp,
        sender_error: asked.error,
        sender_ttl: 63,
    };
    let (question, reply) =
        (golden("sealed-sender").remove(0), golden("sealed-reflector").remove(0));
    let mut ours = [0; 112];
    asked.encode(Some(&key), &mut ours).unwrap();
    assert_eq!(hex(&ours), hex(&question));
    assert_eq!(SenderPacket::decode(&question, Some(&key)), Ok(asked));
    answer.encode(Some(&key), &mut ours).unwrap();
    assert_eq!(hex(&ours), hex(&reply));
    assert_eq!(ReflectorPacket::decode(&reply, Some(&key)), Ok(answer));
    let unsealed = golden("sender").remove(0);
    assert!(matches!(SenderPacket::decode(&unsealed, Some(&key)), Err(Refused::Short { .. })));
}

/// Lets `stamp.py read` decode these lines. None, with the reason printed, if there is no scapy.
fn scapy(lines: &str) -> Option<Output> {
    let packages = tempfile::tempdir().unwrap();
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let import = || python(&["-c", "import scapy.contrib.stamp"]).output();
    let mut path = std::env::var_os("PYTHONPATH").unwrap_or_default();
    if !import().is_ok_and(|done| done.status.success()) {
        let into = packages.path().to_str().unwrap();
        let install = [
            "-m",
            "pip",
            "install",
            "-q",
            "--retries",
            "0",
            "--timeout",
            "10",
            "--target",
            into,
            "scapy>=2.6",
        ];
        match python(&install).output() {
            Ok(done) if done.status.success() => path = into.into(),
            failed => {
                println!("skipped: scapy is not there and cannot be installed: {failed:?}");
                return None;
            }
        }
    }
    let script = directory().join("stamp.py");
    let mut child = python(&[script.to_str().unwrap(), "read"])
        .env("PYTHONPATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn scapy_reads_what_we_write() {
    let asked = question(77, Format::Ntp, 0x91c8, 0xbeef);
    let mut padded = vec![0; base(None) + 60];
    asked.encode(None, &mut padded).unwrap();
    let (short, mut reply) = (padded[..base(None)].to_vec(), padded.clone());
    let answer = ReflectorPacket {
        sequence: 3,
        timestamp: Timestamp::of(LATER, Format::Ptp),
        error: error(0xd603),
        session: 0xbeef,
        received: Timestamp::of(NOON, Format::Ptp),
        sender_sequence: 77,
        sender_timestamp: asked.timestamp,
        sender_error: asked.error,
        sender_ttl: 61,
    };
    answer.encode(None, &mut reply).unwrap();
    let lines =
        format!("sender {}\nsender {}\nreflector {}\n", hex(&short), hex(&padded), hex(&reply));
    let Some(seen) = scapy(&lines) else { return };
    let complaint = String::from_utf8_lossy(&seen.stderr);
    let expected = "sender seq=77 error=37320 ssid=48879 tlvs=\n\
                    sender seq=77 error=37320 ssid=48879 tlvs=128:1:56\n\
                    reflector seq=3 error=54787 ssid=48879 seq_sender=77 ttl=61 error_sender=37320 tlvs=0:1:56\n";
    assert_eq!(String::from_utf8_lossy(&seen.stdout), expected, "{complaint}");
}
