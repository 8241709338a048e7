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
    let mut said =
        Received { bytes: message.bytes, from: None, stamp: None, ttl: u8::MAX, class: 0 };
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
            ControlMessageOwned::Ipv4Tos(class) => said.class = class,
            ControlMessageOwned::Ipv6TClass(class) => {
                said.class = u8::try_from(class).unwrap_or(0);
            }
            _ => {}
        }
    }
    said
}
