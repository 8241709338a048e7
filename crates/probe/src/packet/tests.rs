//! Packets of any content come back as they were, and nothing else is taken for one.

use super::*;
use crate::Nanos;
use proptest::prelude::*;

fn key() -> Key {
    Key::new(b"sixteen bytes or more").unwrap()
}

fn keys() -> impl Strategy<Value = Option<Key>> {
    prop_oneof![Just(None), Just(Some(key()))]
}

fn errors() -> impl Strategy<Value = ErrorEstimate> {
    any::<u16>().prop_filter_map("a multiplier of zero", ErrorEstimate::from_bits)
}

prop_compose! {
    fn questions()(sequence: u32, stamp: u64, error in errors(), session: u16) -> SenderPacket {
        SenderPacket { sequence, timestamp: Timestamp(stamp), error, session }
    }
}

prop_compose! {
    fn answers()(
        question in questions(), sequence: u32, sent: u64, received: u64, error in errors(),
        sender_ttl: u8,
    ) -> ReflectorPacket {
        ReflectorPacket {
            sequence,
            timestamp: Timestamp(sent),
            error,
            session: question.session,
            received: Timestamp(received),
            sender_sequence: question.sequence,
            sender_timestamp: question.timestamp,
            sender_error: question.error,
            sender_ttl,
        }
    }
}

proptest! {
    #[test]
    fn a_question_comes_back_as_it_was(
        question in questions(), key in keys(), padding in 0usize..200,
    ) {
        let mut bytes = vec![0xaa; base(key.as_ref()) + padding];
        question.encode(key.as_ref(), &mut bytes).unwrap();
        prop_assert_eq!(SenderPacket::decode(&bytes, key.as_ref()), Ok(question));
    }

    #[test]
    fn an_answer_comes_back_as_it_was(
        answer in answers(), key in keys(), question in proptest::collection::vec(any::<u8>(), 112..300),
    ) {
        let mut bytes = question;
        answer.encode(key.as_ref(), &mut bytes).unwrap();
        prop_assert_eq!(ReflectorPacket::decode(&bytes, key.as_ref()), Ok(answer));
    }

    #[test]
    fn any_bytes_are_a_packet_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), key in keys(), answer in answers(),
    ) {
        let _ = SenderPacket::decode(&bytes, key.as_ref());
        let _ = ReflectorPacket::decode(&bytes, key.as_ref());
        let mut onto = bytes.clone();
        let done = answer.encode(key.as_ref(), &mut onto);
        prop_assert_eq!(done.is_ok(), bytes.len() >= base(key.as_ref()));
        prop_assert_eq!(onto.len(), bytes.len());
    }

    #[test]
    fn a_flipped_bit_under_a_key_is_refused(answer in answers(), bit in 0usize..112 * 8) {
        let mut bytes = [0; 112];
        answer.encode(Some(&key()), &mut bytes).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(ReflectorPacket::decode(&bytes, Some(&key())), Err(Refused::Tag));
    }
}

#[test]
fn another_key_and_no_tag_are_refused() {
    let error = ErrorEstimate::synchronized(Nanos::MILLISECOND, Format::Ntp);
    let question = SenderPacket { sequence: 7, timestamp: Timestamp(1), error, session: 2 };
    let mut bytes = [0; 112];
    question.encode(Some(&key()), &mut bytes).unwrap();
    let other = Key::new(b"another key of some length").unwrap();
    assert_eq!(SenderPacket::decode(&bytes, Some(&other)), Err(Refused::Tag));
    question.encode(None, &mut bytes).unwrap();
    assert_eq!(SenderPacket::decode(&bytes, Some(&key())), Err(Refused::Tag));
    let short = Refused::Short { found: 44, wanted: 112 };
    assert_eq!(SenderPacket::decode(&bytes[..44], Some(&key())), Err(short));
}

#[test]
fn a_key_is_long_enough_and_never_shown() {
    let refused = Key::new(b"short").unwrap_err().to_string();
    assert_eq!(refused, "the key is 5 bytes long: give it 16 random bytes or more");
    assert_eq!(format!("{:?}", key()), "Key(…)");
}

#[test]
fn sizes_between_the_base_and_a_whole_tlv_are_not_possible() {
    let sizes: Vec<_> = (40..52).filter(|size| possible(*size, None)).collect();
    assert_eq!(sizes, [44, 48, 49, 50, 51]);
    assert!(possible(112, Some(&key())) && !possible(115, Some(&key())));
}
