//! A UDP socket that says when the kernel saw a packet, with which time to live and class.

use crate::Nanos;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, TimestampingFlag,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Room for stamps, time to live, class and an extended error.
const CONTROL: usize = 512;

/// The largest datagram there is.
pub(crate) const LARGEST: usize = 1 << 16;

/// Whose packets the kernel shall stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamped {
    /// Those that arrive.
    Received,
    /// Those that leave, too.
    Both,
}

#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    control: Vec<u8>,
    /// Holds packets that left, which come back with their stamps; empty if these are not wanted.
    echo: Vec<u8>,
}

/// What the kernel says of a packet that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    pub(crate) from: Option<SocketAddr>,
    /// By the wall clock; None: the kernel gives no stamps.
    pub(crate) stamp: Option<Nanos>,
    /// 255 if unknown, as RFC 8762 §4.3.1 wants.
    pub(crate) ttl: u8,
    /// Class and congestion bits.
    pub(crate) class: u8,
    /// How many packets the socket had no room for since it was opened.
    pub(crate) overrun: u32,
}

impl Socket {
    pub(crate) async fn bind(address: SocketAddr, stamped: Stamped) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let mut flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
        let mut echo = Vec::new();
        if stamped == Stamped::Both {
            flags |= TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE;
            echo = vec![0; LARGEST];
        }
        // Without any of these, moments are read in user space and fields say "unknown".
        let wanted = [
            ("stamps", setsockopt(&socket, sockopt::Timestamping, &flags)),
            ("the time to live", setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)),
            ("the class", setsockopt(&socket, sockopt::IpRecvTos, &true)),
            ("what it drops", setsockopt(&socket, sockopt::RxqOvfl, &1)),
        ];
        let wanted_of_six = [
            ("the hop limit", setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)),
            ("the class", setsockopt(&socket, sockopt::Ipv6RecvTClass, &true)),
        ];
        let six = wanted_of_six.into_iter().filter(|_| address.is_ipv6());
        for (what, done) in wanted.into_iter().chain(six) {
            if let Err(error) = done {
                tracing::debug!(%address, %error, "the kernel does not tell {what}");
            }
        }
        Ok(Self { socket, control: vec![0; CONTROL], echo })
    }

    /// Only packets from and to `remote` from now on, with the largest time to live and this class.
    pub(crate) async fn connect(&self, remote: SocketAddr, class: u8) -> io::Result<()> {
        let class = i32::from(class);
        if remote.is_ipv4() {
            setsockopt(&self.socket, sockopt::Ipv4Tos, &class)?;
            setsockopt(&self.socket, sockopt::Ipv4Ttl, &255)?;
        } else {
            setsockopt(&self.socket, sockopt::Ipv6TClass, &class)?;
            setsockopt(&self.socket, sockopt::Ipv6Ttl, &255)?;
        }
        self.socket.connect(remote).await
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for a packet. Nothing is lost if the wait is given up.
    pub(crate) async fn receive(&mut self, into: &mut [u8]) -> io::Result<Received> {
        loop {
            self.socket.readable().await?;
            let Self { socket, control, .. } = self;
            let receive = || received(socket.as_raw_fd(), into, control);
            match socket.try_io(Interest::READABLE, receive) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// A packet that already waits to be read, whether or not the runtime heard of it.
    pub(crate) fn receive_now(&mut self, into: &mut [u8]) -> io::Result<Received> {
        received(self.socket.as_raw_fd(), into, &mut self.control)
    }

    /// Sends to the connected side.
    pub(crate) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send(bytes).await.map(drop)
    }

    /// Sends to `to`, with this class.
    pub(crate) async fn send_to(&self, bytes: &[u8], to: SocketAddr, class: u8) -> io::Result<()> {
        let six = i32::from(class);
        let control = match to.ip().to_canonical().is_ipv4() {
            true => ControlMessage::Ipv4Tos(&class),
            false => ControlMessage::Ipv6TClass(&six),
        };
        let (bytes, control) = ([IoSlice::new(bytes)], [control]);
        let to = SockaddrStorage::from(to);
        let send = || {
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            sendmsg(fd, &bytes, &control, flags, Some(&to)).map(drop).map_err(io::Error::from)
        };
        self.socket.async_io(Interest::WRITABLE, send).await
    }

    /// The next packet that left, with the moment it was handed to the device by the wall clock.
    /// Of the bytes, the last are the packet's; the kernel puts headers before them.
    pub(crate) fn departed(&mut self) -> Option<(&[u8], Nanos)> {
        if self.echo.is_empty() {
            return None;
        }
        let Self { socket, control, echo } = self;
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let mut slices = [IoSliceMut::new(echo)];
        let message =
            recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(control.as_mut_slice()), flags)
                .ok()?;
        let (bytes, stamp) = (message.bytes, said(&message).stamp?);
        Some((&self.echo[..bytes], stamp))
    }
}

fn received(fd: i32, into: &mut [u8], control: &mut [u8]) -> io::Result<Received> {
    let mut slices = [IoSliceMut::new(into)];
    let message =
        recvmsg::<SockaddrStorage>(fd, &mut slices, Some(control), MsgFlags::MSG_DONTWAIT)?;
    let from = message.address.and_then(|from| {
        let four = from.as_sockaddr_in().map(|four| SocketAddr::V4((*four).into()));
        four.or_else(|| from.as_sockaddr_in6().map(|six| SocketAddr::V6((*six).into())))
    });
    Ok(Received { from, ..said(&message) })
}

fn said<S>(message: &RecvMsg<'_, '_, S>) -> Received {
    let mut said = Received {
        bytes: message.bytes,
        from: None,
        stamp: None,
        ttl: u8::MAX,
        class: 0,
        overrun: 0,
    };
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => {
                let (seconds, nanos) = (stamps.system.tv_sec(), stamps.system.tv_nsec());
                let stamp = Nanos(seconds.saturating_mul(1_000_000_000)) + Nanos(nanos);
                said.stamp = (stamp > Nanos::ZERO).then_some(stamp);
            }
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                said.ttl = u8::try_from(ttl).unwrap_or(u8::MAX);
            }
            ControlMessageOwned::RxqOvfl(packets) => said.overrun = packets,
            ControlMessageOwned::Ipv4Tos(class) => said.class = class,
            ControlMessageOwned::Ipv6TClass(class) => {
                said.class = u8::try_from(class).unwrap_or(0);
            }
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// Class 46, expedited forwarding.
    const EXPEDITED: u8 = 46 << 2;

    async fn there_and_back(at: SocketAddr) {
        let mut asks = Socket::bind(at, Stamped::Both).await.unwrap();
        let mut answers = Socket::bind(at, Stamped::Received).await.unwrap();
        asks.connect(answers.local_addr().unwrap(), EXPEDITED).await.unwrap();
        let mut buffer = [0; 100];
        asks.send(b"question").await.unwrap();
        let question = answers.receive(&mut buffer).await.unwrap();
        assert_eq!((question.bytes, question.ttl, question.class), (8, 255, EXPEDITED));
        let from = question.from.unwrap();
        assert_eq!(from, asks.local_addr().unwrap());
        answers.send_to(b"reply", from, question.class).await.unwrap();
        let reply = asks.receive(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..reply.bytes], reply.class), (&b"reply"[..], EXPEDITED));
        let (Some(arrived), Some((left, departed))) = (question.stamp, asks.departed()) else {
            println!("skipped: this kernel does not stamp packets on loopback");
            return;
        };
        assert!(left.ends_with(b"question") && departed <= arrived, "{departed:?} {arrived:?}");
        assert!(asks.departed().is_none());
    }

    #[tokio::test]
    async fn the_kernel_tells_when_from_how_far_and_in_which_class_packets_come() {
        there_and_back(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    }

    #[tokio::test]
    async fn over_ipv6_it_tells_as_much() {
        let at = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        if UdpSocket::bind(at).await.is_err() {
            println!("skipped: this machine has no IPv6");
            return;
        }
        there_and_back(at).await;
    }

    #[tokio::test]
    async fn what_a_full_buffer_drops_is_told_with_the_next_packet() {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sends = Socket::bind(at, Stamped::Received).await.unwrap();
        let mut reads = Socket::bind(at, Stamped::Received).await.unwrap();
        sends.connect(reads.local_addr().unwrap(), 0).await.unwrap();
        let mut buffer = vec![0; LARGEST];
        let sent = 1_000;
        for _ in 0..sent {
            sends.send(&[0; 8_000]).await.unwrap();
        }
        let read = std::iter::from_fn(|| reads.receive_now(&mut buffer).ok()).count();
        sends.send(b"one more").await.unwrap();
        let last = reads.receive(&mut buffer).await.unwrap();
        assert!(read < sent);
        assert_eq!(u32::try_from(sent - read), Ok(last.overrun));
    }
}
