"""Test packets of STAMP by codecs that are not ours.

    python3 stamp.py write > stamp.txt    # makes the packets that our tests decode
    python3 stamp.py read < packets       # decodes ours: lines `kind hex` in, `kind field=value …` out

Unauthenticated packets are scapy's (scapy.contrib.stamp, seen with 2.8.0). Where it differs from the RFCs:

* It has no authenticated mode (RFC 8762 §4.2.2, §4.3.2). Those packets are made here with `struct` and
  `hmac`, by our own reading of the RFC: a second codec, but no independent one.
* It shows a PTP timestamp as one number of 64 bits, not as seconds and nanoseconds (RFC 8186 §2.1). The
  bits on the wire are the same.
* It has the flags of a TLV in reversed order: what it calls U is the lowest bit, while RFC 8972 §4 has U in the
  highest. Flags are numbers here, so that the bits on the wire are right.
* It does not fill in a TLV's length, nor sets U in what a sender sends, as it must (RFC 8972 §4). Both are given
  here.
* An error estimate's multiplier of zero is not refused (RFC 4656 §4.1.2).
"""

import hashlib
import hmac
import struct
import sys

SECRET = b"a secret of the golden packets"


def scapy_stamp():
    import scapy.contrib.stamp as stamp

    return stamp


def seal(base):
    assert len(base) == 96
    return base + hmac.new(SECRET, base, hashlib.sha256).digest()[:16]


def write():
    stamp = scapy_stamp()
    # 2026-03-01 12:00:00.5 UTC, by NTP and by PTP (whose seconds are TAI), and 1.25 s later.
    ntp, ntp_later = 0xED4EA8C080000000, 0xED4EA8C1C0000000
    ptp, ptp_later = (1772366437 << 32) | 500000000, (1772366438 << 32) | 750000000

    def error(s, z, scale, multiplier):
        return stamp.ErrorEstimate(S=s, Z=z, scale=scale, multiplier=multiplier)

    def raw(packet, at, moment):
        """Puts a timestamp's bits: scapy's own field would go through a rounded number."""
        data = bytearray(bytes(packet))
        data[at : at + 8] = struct.pack("!Q", moment)
        return bytes(data)

    def sender(seq, moment, estimate, ssid, tlvs=()):
        packet = stamp.STAMPSessionSenderTestUnauthenticated(
            seq=seq, err_estimate=estimate, ssid=ssid, tlv_objects=list(tlvs)
        )
        return raw(packet, 4, moment)

    padding = stamp.STAMPTestTLV(flags=0x80, type=1, len=6, value=b"\x00" * 6)
    strange = stamp.STAMPTestTLV(flags=0x80, type=200, len=3, value=b"abc")
    yield "sender", sender(1, ntp, error(0, 0, 0, 1), 1)
    yield "sender", sender(0xFFFFFFFF, ntp, error(1, 0, 17, 200), 0xBEEF)
    yield "sender", sender(7, ptp, error(1, 1, 22, 3), 0)
    yield "sender", sender(8, ntp, error(0, 0, 63, 255), 9, [padding])
    yield "sender", sender(9, ntp, error(0, 0, 63, 255), 9, [strange, padding])

    def reflector(seq, z, sent, received, ttl, tlvs=()):
        packet = stamp.STAMPSessionReflectorTestUnauthenticated(
            seq=seq,
            err_estimate=error(1, z, 20, 5),
            ssid=0x1234,
            seq_sender=41,
            err_estimate_sender=error(0, 0, 63, 255),
            ttl_sender=ttl,
            tlv_objects=list(tlvs),
        )
        return raw(raw(raw(packet, 4, sent), 16, received), 28, ntp)

    yield "reflector", reflector(40, 0, ntp_later, ntp, 64)
    yield "reflector", reflector(41, 1, ptp_later, ptp, 255, [padding])

    yield "sealed-sender", seal(struct.pack("!I12xQHH68x", 5, ntp, 0x8000 | 17 << 8 | 200, 0xBEEF))
    yield "sealed-reflector", seal(
        struct.pack(
            "!I12xQHH4xQ8xI12xQH6xB15x",
            6, ntp_later, 0x8000 | 20 << 8 | 5, 0xBEEF, ntp, 5, ntp, 0x8000 | 17 << 8 | 200, 63,
        )
    )


def read(lines):
    stamp = scapy_stamp()
    kinds = {
        "sender": stamp.STAMPSessionSenderTestUnauthenticated,
        "reflector": stamp.STAMPSessionReflectorTestUnauthenticated,
    }

    def bits(data, at):
        return struct.unpack_from("!Q", data, at)[0]

    def estimate(packet):
        return packet.S << 15 | packet.Z << 14 | packet.scale << 8 | packet.multiplier

    for line in lines:
        kind, digits = line.split()
        data = bytes.fromhex(digits)
        packet = kinds[kind](data)
        # What scapy makes of the bytes, made into bytes again, has to be what it was.
        assert bytes(packet) == data, f"{kind}: {bytes(packet).hex()}"
        fields = [f"seq={packet.seq} error={estimate(packet.err_estimate)} ssid={packet.ssid}"]
        if kind == "reflector":
            fields.append(f"seq_sender={packet.seq_sender} ttl={packet.ttl_sender}")
            fields.append(f"error_sender={estimate(packet.err_estimate_sender)}")
        tlvs = [f"{int(tlv.flags)}:{tlv.type}:{tlv.len}" for tlv in packet.tlv_objects]
        yield f"{kind} {' '.join(fields)} tlvs={','.join(tlvs)}"


if __name__ == "__main__":
    if sys.argv[1] == "write":
        print("# Made by `python3 stamp.py write`: kind, bytes.")
        for kind, data in write():
            print(kind, data.hex())
    else:
        print("\n".join(read(sys.stdin)))
