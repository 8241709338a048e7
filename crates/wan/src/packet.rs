//! What comes out of a TUN device: an IP packet, or with offload one that stands for many.

use tun_rs::{VIRTIO_NET_HDR_LEN, VirtioNetHdr, gso_split};

/// Where a TCP header says how long it is, and a UDP header's length.
const TCP_LENGTH_AT: usize = 12;
const UDP_HEADER: u16 = 8;
const GSO_UDP: u8 = 5;
const GSO_NONE: u8 = 0;

/// One read from a device, to be written to another as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// With offload, a `virtio_net_hdr` and then the IP packet; else the IP packet.
    pub(crate) frame: Vec<u8>,
    /// How many packets it becomes on a wire.
    pub(crate) count: u64,
    /// How many bytes those have, each with its IP header.
    pub(crate) wire_bytes: u64,
}

impl Packet {
    /// What was read from a device that puts a `virtio_net_hdr` first, or not.
    pub(crate) fn new(frame: &[u8], offload: bool) -> Self {
        let header = if offload { large(frame) } else { None };
        let bytes = frame.len() - if offload { VIRTIO_NET_HDR_LEN.min(frame.len()) } else { 0 };
        let count = header.map_or(1, |header| {
            let payload = bytes.saturating_sub(usize::from(header.hdr_len));
            payload.div_ceil(usize::from(header.gso_size)).max(1)
        });
        let repeated = header.map_or(0, |header| usize::from(header.hdr_len)) * (count - 1);
        let wire_bytes = (bytes + repeated) as u64;
        Self { frame: frame.to_vec(), count: count as u64, wire_bytes }
    }

    /// The IP packet alone, as a capture shows it.
    pub(crate) fn ip(frame: &[u8], offload: bool) -> &[u8] {
        if offload { frame.get(VIRTIO_NET_HDR_LEN..).unwrap_or_default() } else { frame }
    }

    /// The packets it becomes on a wire; itself, if it is one or of a kind not known here.
    pub(crate) fn split(mut self) -> Vec<Self> {
        if self.count == 1 {
            return vec![self];
        }
        self.segments().unwrap_or_else(|| vec![self])
    }

    fn segments(&mut self) -> Option<Vec<Self>> {
        let header = large(&self.frame)?;
        let ip = self.frame.get_mut(VIRTIO_NET_HDR_LEN..)?;
        let is_v6 = *ip.first()? >> 4 == 6;
        let room = VIRTIO_NET_HDR_LEN + usize::from(header.hdr_len) + usize::from(header.gso_size);
        let count = usize::try_from(self.count).ok()?;
        // The header stays zero: checksums of the pieces are whole, and none is large.
        let mut frames = vec![vec![0; room]; count];
        let mut sizes = vec![0; count];
        let made =
            gso_split(ip, header, &mut frames, &mut sizes, VIRTIO_NET_HDR_LEN, is_v6).ok()?;
        frames.truncate(made);
        for (frame, size) in frames.iter_mut().zip(&sizes) {
            frame.truncate(VIRTIO_NET_HDR_LEN + size);
        }
        let whole = |frame: Vec<u8>| {
            let wire_bytes = (frame.len() - VIRTIO_NET_HDR_LEN) as u64;
            Self { frame, count: 1, wire_bytes }
        };
        Some(frames.into_iter().map(whole).collect())
    }
}

/// The header of a packet that stands for many, with the length of its IP and transport headers
/// read from those: for packets passed on, the kernel puts something else there.
fn large(frame: &[u8]) -> Option<VirtioNetHdr> {
    let mut header = VirtioNetHdr::decode(frame).ok()?;
    if header.gso_type == GSO_NONE || header.gso_size == 0 {
        return None;
    }
    let transport = if header.gso_type == GSO_UDP {
        UDP_HEADER
    } else {
        let at = VIRTIO_NET_HDR_LEN + usize::from(header.csum_start) + TCP_LENGTH_AT;
        u16::from(frame.get(at)? >> 4) * 4
    };
    header.hdr_len = header.csum_start.checked_add(transport)?;
    Some(header)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A TCP packet of `payload` bytes, to be cut in pieces of `mss`, as the kernel hands it over.
    pub(crate) fn tcp(payload: usize, mss: u16) -> Vec<u8> {
        let header = VirtioNetHdr {
            flags: 1,
            gso_type: 1,
            hdr_len: 40,
            gso_size: mss,
            csum_start: 20,
            csum_offset: 16,
        };
        let mut frame = vec![0; VIRTIO_NET_HDR_LEN + 40 + payload];
        header.encode(&mut frame).unwrap();
        let ip = &mut frame[VIRTIO_NET_HDR_LEN..];
        ip[0] = 0x45;
        let total = u16::try_from(40 + payload).unwrap();
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        ip[9] = 6;
        ip[20 + 12] = 5 << 4;
        for (at, byte) in ip[40..].iter_mut().enumerate() {
            *byte = u8::try_from(at % 251).unwrap();
        }
        frame
    }

    #[test]
    fn a_packet_without_offload_is_one_packet() {
        let packet = Packet::new(&[0x45; 84], false);
        assert_eq!((packet.count, packet.wire_bytes), (1, 84));
        assert_eq!(packet.clone().split(), [packet]);
    }

    #[test]
    fn nonsense_from_the_device_is_one_packet() {
        for frame in [&[][..], &[0; 5], &[1; 12], &[255; 40]] {
            let packet = Packet::new(frame, true);
            assert_eq!(packet.clone().split().len(), 1, "{packet:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_carry_every_byte_once_in_order_and_weigh_what_the_whole_did(
            payload in 1_usize..64_000,
            mss in 500_u16..1_461,
        ) {
            let frame = tcp(payload, mss);
            let whole = Packet::new(&frame, true);
            let pieces = whole.clone().split();
            prop_assert_eq!(pieces.len() as u64, whole.count);
            let weight: u64 = pieces.iter().map(|piece| piece.wire_bytes).sum();
            prop_assert_eq!(weight, whole.wire_bytes);
            let mut carried = Vec::new();
            for piece in &pieces {
                let ip = Packet::ip(&piece.frame, true);
                let sequence = u32::from_be_bytes([ip[24], ip[25], ip[26], ip[27]]);
                prop_assert_eq!(sequence as usize, carried.len());
                carried.extend_from_slice(&ip[40..]);
            }
            prop_assert_eq!(carried, Packet::ip(&frame, true)[40..].to_vec());
        }
    }
}
