//! What may follow the base of a packet: extensions of RFC 8972 §4.

/// Flags, type and length.
pub(super) const HEADER: usize = 4;

/// Extra Padding (RFC 8972 §4.1), the one type that is understood here.
const EXTRA_PADDING: u8 = 1;

/// Not understood. A sender sets it, a reflector that understands clears it (RFC 8972 §4).
const UNRECOGNIZED: u8 = 1 << 7;

/// The length leads beyond the packet's end.
const MALFORMED: u8 = 1 << 6;

/// The three flags that have a meaning; the others are passed on as they came.
const KNOWN_FLAGS: u8 = 0b1110_0000;

/// Fills `rest` with one TLV of padding. Fewer bytes than a header needs are left zero.
pub(super) fn pad(rest: &mut [u8]) {
    rest.fill(0);
    let Some((header, value)) = rest.split_first_chunk_mut::<HEADER>() else { return };
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    *header = [UNRECOGNIZED, EXTRA_PADDING, high, low];
}

/// Sets each TLV's flags as a reflector must: what is no padding is marked as not understood, and
/// the first that is longer than what is left as malformed, after which nothing is looked at.
///
/// Lengths and values stay as they came. Fewer bytes than a header needs are plain padding, as
/// senders of TWAMP Light append it.
pub(super) fn reflect(mut rest: &mut [u8]) {
    while let Some((header, after)) = rest.split_first_chunk_mut::<HEADER>() {
        let [flags, kind, high, low] = header;
        *flags &= !KNOWN_FLAGS;
        if *kind != EXTRA_PADDING {
            *flags |= UNRECOGNIZED;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((_, next)) = after.split_at_mut_checked(length) else {
            *flags |= MALFORMED;
            return;
        };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &[u8], after: &[u8]) {
        let mut bytes = before.to_vec();
        reflect(&mut bytes);
        assert_eq!(bytes, after);
    }

    #[test]
    fn padding_is_understood_and_other_types_are_not() {
        check(&[0x80, 1, 0, 2, 7, 7], &[0, 1, 0, 2, 7, 7]);
        check(&[0x00, 9, 0, 1, 7, 0x80, 1, 0, 0], &[0x80, 9, 0, 1, 7, 0, 1, 0, 0]);
    }

    #[test]
    fn a_tlv_longer_than_the_packet_is_malformed_and_the_last_one_looked_at() {
        check(&[0x80, 1, 0, 3, 7, 7], &[0x40, 1, 0, 3, 7, 7]);
        check(&[0x80, 9, 0xff, 0xff, 0x80, 1, 0, 0], &[0xc0, 9, 0xff, 0xff, 0x80, 1, 0, 0]);
    }

    #[test]
    fn a_stub_is_left_alone() {
        check(&[0x80, 1, 0], &[0x80, 1, 0]);
        check(&[], &[]);
    }
}
