//! What packets meet on their way.

use crate::{pair, start};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use wan::{Loss, Options, Site, Wan};

/// Three sites in a ring, the way around by far the longer.
const RING: &str = "[[site]]\nname = \"east\"\n[[site]]\nname = \"west\"\n[[site]]\nname = \"hub\"\n\
    [[link]]\nbetween = [\"east\", \"west\"]\n\
    [[link]]\nbetween = [\"east\", \"hub\"]\ndelay = \"1ms\"\n\
    [[link]]\nbetween = [\"hub\", \"west\"]\ndelay = \"1ms\"\n";

fn udp(site: Site<'_>) -> UdpSocket {
    let socket = site.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("it binds");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("it has timeouts");
    socket
}

/// A datagram from one socket to the other and back, and how long that took.
fn echo(from: &UdpSocket, to: &UdpSocket, address: Ipv4Addr) -> io::Result<Duration> {
    let mut buffer = [0; 64];
    let sent = Instant::now();
    from.send_to(b"there", (address, to.local_addr()?.port()))?;
    let (length, back) = to.recv_from(&mut buffer)?;
    to.send_to(&buffer[..length], back)?;
    from.recv_from(&mut buffer)?;
    Ok(sent.elapsed())
}

/// Packets that ended somehow on the way from east to west.
fn ended(wan: &Wan) -> u64 {
    let counters = wan.direction("east", "west").expect("it is there").counters();
    counters.packets + counters.dropped_by_loss + counters.dropped_by_queue
}

#[test]
fn a_packet_takes_at_least_the_delay_of_each_direction_and_shows_its_site() {
    let Some(wan) = pair("delay = [\"20ms\", \"5ms\"]") else { return };
    let (east, west) = (wan.site("east").unwrap(), wan.site("west").unwrap());
    let (one, other) = (udp(east), udp(west));
    let took = echo(&one, &other, west.address()).unwrap();
    assert!(took >= Duration::from_millis(25), "{took:?}");
    one.send_to(b"who", SocketAddr::new(west.address().into(), other.local_addr().unwrap().port()))
        .unwrap();
    let (_, from) = other.recv_from(&mut [0; 64]).unwrap();
    assert_eq!(from.ip(), east.address());
}

#[test]
fn a_cut_link_is_gone_around_and_taken_again_once_mended() {
    let Some(wan) = start(RING, Options::default()) else { return };
    let west = wan.site("west").unwrap();
    let (one, other) = (udp(wan.site("east").unwrap()), udp(west));
    let around = || wan.direction("east", "hub").unwrap().counters().packets;
    echo(&one, &other, west.address()).unwrap();
    assert_eq!(around(), 0);
    wan.link("west", "east").unwrap().cut().unwrap();
    let took = echo(&one, &other, west.address()).unwrap();
    assert!(took >= Duration::from_millis(4), "{took:?}");
    assert_eq!(around(), 1);
    wan.link("east", "west").unwrap().mend().unwrap();
    echo(&one, &other, west.address()).unwrap();
    assert_eq!(around(), 1);
}

#[test]
fn a_site_that_is_cut_off_has_no_route_and_comes_back() {
    let Some(wan) = pair("") else { return };
    let west = wan.site("west").unwrap();
    let (one, other) = (udp(wan.site("east").unwrap()), udp(west));
    let link = wan.link("east", "west").unwrap();
    link.cut().unwrap();
    assert!(link.is_cut());
    let refused = one.send_to(b"there", (west.address(), 9)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::NetworkUnreachable);
    link.mend().unwrap();
    echo(&one, &other, west.address()).unwrap();
}

#[test]
fn without_rerouting_a_cut_link_swallows_what_is_sent() {
    let options = Options { reroute: false, ..Options::default() };
    let Some(wan) = start(RING, options) else { return };
    let one = udp(wan.site("east").unwrap());
    wan.link("east", "west").unwrap().cut().unwrap();
    one.send_to(b"there", (wan.site("west").unwrap().address(), 9)).unwrap();
    let way = wan.direction("east", "west").unwrap();
    while way.counters().dropped_by_cut == 0 {
        std::thread::yield_now();
    }
    assert_eq!(way.counters().packets, 0);
}

#[test]
fn the_wanted_share_of_packets_is_lost_and_every_one_is_counted() {
    let Some(wan) = pair("packets = \"single\"\nloss = \"1 %\"") else { return };
    let (one, other) = (udp(wan.site("east").unwrap()), udp(wan.site("west").unwrap()));
    let to = (wan.site("west").unwrap().address(), other.local_addr().unwrap().port());
    for batch in 1..=20 {
        for _ in 0..1_000 {
            one.send_to(&[0; 100], to).unwrap();
        }
        while ended(&wan) < batch * 1_000 {
            std::thread::yield_now();
        }
    }
    let counters = wan.direction("east", "west").unwrap().counters();
    assert_eq!(counters.packets + counters.dropped_by_loss, 20_000);
    assert_eq!(counters.bytes, counters.packets * 128);
    // The standard deviation is 14.
    assert!((130..=270).contains(&counters.dropped_by_loss), "{counters:?}");
}

#[test]
fn a_stream_arrives_whole_over_large_packets_of_which_segments_are_lost_or_find_no_room() {
    let keys = "rate = \"200 Mbit/s\"\ndelay = \"1ms\"\nloss = \"0.5 %\"\nqueue = \"40 kB\"";
    let Some(wan) = pair(keys) else { return };
    let (east, west) = (wan.site("east").unwrap(), wan.site("west").unwrap());
    let listener = west.inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let to = (west.address(), listener.local_addr().unwrap().port());
    let sent: Vec<u8> =
        (0..4_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = east.inside(|| TcpStream::connect(to)).unwrap();
            stream.write_all(&sent).unwrap();
        });
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
    });
    assert!(received == sent, "{} of {} bytes, or others", received.len(), sent.len());
    let counters = wan.direction("east", "west").unwrap().counters();
    assert!(counters.packets >= 4_000_000 / 1_460, "counted as on a wire: {counters:?}");
    assert!(counters.dropped_by_loss > 0, "{counters:?}");
}

#[test]
fn a_changed_link_is_as_it_was_changed() {
    let Some(wan) = pair("") else { return };
    let west = wan.site("west").unwrap();
    let (one, other) = (udp(wan.site("east").unwrap()), udp(west));
    let way = wan.direction("east", "west").unwrap();
    let mut quality = way.quality();
    quality.set("delay", "30ms").unwrap();
    way.set(quality);
    assert_eq!(way.quality(), quality);
    assert!(echo(&one, &other, west.address()).unwrap() >= Duration::from_millis(30));
    quality.loss = Loss::of_a_million(1_000_000);
    way.set(quality);
    one.send_to(b"there", (west.address(), 9)).unwrap();
    while way.counters().dropped_by_loss == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn captures_hold_what_passed_a_link_and_what_a_site_saw() {
    let Some(wan) = start(RING, Options::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let link = wan.link("east", "west").unwrap().capture(&file("link.pcap")).unwrap();
    let hub = wan.site("hub").unwrap().capture(&file("hub.pcap")).unwrap();
    let west = wan.site("west").unwrap();
    let (one, other) = (udp(wan.site("east").unwrap()), udp(west));
    echo(&one, &other, west.address()).unwrap();
    assert_eq!(hub.finish().unwrap(), 0);
    assert_eq!(link.finish().unwrap(), 2);
    let bytes = std::fs::read(file("link.pcap")).unwrap();
    let found = bytes.windows(5).filter(|window| window == b"there").count();
    assert_eq!(found, 2);
    assert_eq!(std::fs::read(file("hub.pcap")).unwrap().len(), 24);
}
