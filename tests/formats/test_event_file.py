"""Event files: every point, many at once as one by one, every damage told."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_records import VERSION, event, frame, message, scalar, tensor, varint
from forensics.formats import event_file, event_frames, event_walk
from forensics.formats.crc32c import crc32c, mask
from forensics.formats.event_file import Contents, read_events
from forensics.limits import Limits
from forensics.model import Precision
from forensics.storage.file import File

HISTOGRAM = message(1, b"weights") + message(5, b"\x09" + bytes(8))
TEXT = tensor("args/text_summary", b"\x08\x07" + message(8, b"{}"), "text")


def read(data: bytes, *, limits: Limits | None = None) -> Contents:
    return read_events(File.of_bytes(data, Path("events")), limits or Limits())


def told(contents: Contents) -> dict[str, list[tuple[int, int, str, str]]]:
    """Return record, step, value and wall time of every point, by tag; exact, and with NaN equal to NaN."""
    return {
        p.tag: [
            (record, step, value.hex(), wall.hex())
            for record, step, value, wall in zip(
                p.records.tolist(), p.steps.tolist(), p.values.tolist(), p.wall_times.tolist(), strict=True
            )
        ]
        for p in contents.points
    }


def everything(contents: Contents) -> tuple[object, ...]:
    rest = (contents.records, contents.events, contents.texts, contents.hparams, contents.sessions)
    return told(contents), *rest, contents.passed_over, contents.damage


tags = st.sampled_from([b"train/loss", b"train/grad_norm", b"a", b"\xff\xfe", b"x" * 200])
numbers = st.floats(width=32)
values = st.one_of(
    st.builds(scalar, tags, numbers),
    st.builds(lambda number: tensor("new/style", b"\x08\x01\x2d" + struct.pack("<f", number)), numbers),
    st.sampled_from([HISTOGRAM, TEXT, message(1, b"nothing"), b"", b"\x0a\xff"]),
)
steps = st.integers(-(2**63), 2**63 - 1)
walls = st.floats(allow_nan=False, width=64)
usual = st.builds(lambda tag, number, step, wall: event([scalar(tag, number)], step, wall), tags, numbers, steps, walls)


def lying(payload: bytes, at: int, byte: int, extra: bytes) -> bytes:
    """Return a payload whose lengths or keys no longer agree; its frame will have a good checksum."""
    at %= len(payload)
    return payload[:at] + bytes([byte]) + extra + payload[at + 1 :]


payloads = st.one_of(
    usual,
    st.builds(lying, usual, st.integers(0, 60), st.integers(0, 255), st.binary(max_size=2)),
    st.builds(event, st.lists(values, max_size=4), steps, walls, st.sampled_from([b"", b"\x78\x01", b"\x10\x07"])),
    st.binary(max_size=40),
)
files = st.lists(payloads, max_size=12).map(lambda made: b"".join(map(frame, made)))


def one_by_one(data: bytes) -> tuple[object, ...]:
    """Return what the strict decoder reads in every record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_walk, "MANY", 1 << 40)
        return everything(read(data))


@settings(deadline=None)
@given(files, st.integers(1, 8), st.integers(1, 40), st.data())
def test_many_at_once_as_one_by_one(data: bytes, times: int, common: int, draw: st.DataObject) -> None:
    """Records read many at once say what the strict decoder reads in each, whole or with a byte changed."""
    data *= times
    if data and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    data = data[: draw.draw(st.integers(0, len(data)))]
    expected = one_by_one(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_walk, "MANY", 1)
        patch.setattr(event_walk, "COMMON", common)
        patch.setattr(event_frames, "LEARN", 4)

        assert expected == everything(read(data))


def test_lengths_that_lie() -> None:
    """Any byte of a payload changed, its checksum renewed, reads as the strict decoder reads it."""
    for values in ([scalar("loss", 1.5)], [scalar("loss", 1.5), scalar("b", 2)]):
        payload = event(values, 300, 1.0)
        for at in range(len(payload)):
            made = [payload[:at] + bytes([byte]) + payload[at + 1 :] for byte in (payload[at], *range(256))]
            data = b"".join(map(frame, made))

            assert one_by_one(data) == everything(read(data))


@pytest.mark.parametrize("tags", [1, 3, 7, 300])
def test_repeating_tags_and_growing_steps(tags: int) -> None:
    """A long log with one rhythm is read as record by record, also where the steps grow and the rhythm breaks."""
    made = [event([scalar(f"tag{i % tags}", i)], 100 + i // tags, 1.0 + i) for i in range(1500)]
    made[700:700] = [event([scalar("eval/loss", 2.0)], 7), event([TEXT], 7)]
    made[900] = event([scalar("a\0", 2.0), scalar("a\0", 3.0)], 8)
    data = b"".join(map(frame, made))
    broken = bytearray(data)
    broken[len(data) // 2] ^= 1

    assert one_by_one(data) == everything(read(data))
    assert one_by_one(bytes(broken)) == everything(read(bytes(broken)))


def test_checksums_are_checked_many_at_once() -> None:
    """A number, a time, a step or a tag that was changed behind its checksum fails it, among thousands that do not."""
    size = len(frame(event([scalar("loss", 1.0)], 200, 3.0)))
    data = b"".join(frame(event([scalar("loss", i)], 200 + i, 3.0 + i)) for i in range(2000))
    for at in range(12, size):
        broken = bytearray(data)
        broken[size * 1000 + at] ^= 0x04
        contents = read(bytes(broken))

        assert [f"record 1001 at byte {size * 1000} fails its CRC"] == list(contents.damage)
        assert sum(len(points.values) for points in contents.points) == 1999


@pytest.mark.parametrize("block", [16, 40, 64, 100])
def test_any_block_size(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that straddle blocks, or are longer than one, are read as if the file were one block."""
    made = [event([scalar("a" * (1 + i % 50), i)], i, 1.0 + i) for i in range(60)]
    data = b"".join(map(frame, [VERSION, *made, event([HISTOGRAM, TEXT], 7)]))
    expected = everything(read(data))
    monkeypatch.setattr(event_file, "BLOCK_BYTES", block)

    assert expected == everything(read(data))
    assert expected[1] == 62


def test_values_are_kept_bit_for_bit() -> None:
    """NaN, infinities, minus zero, subnormal and negative steps come back as they were written."""
    wanted = [float("nan"), float("inf"), float("-inf"), -0.0, 1e-45, 2e-05]
    data = b"".join(frame(event([scalar("loss", v)], step=i - 2, wall_time=i + 0.5)) for i, v in enumerate(wanted))
    (points,) = read(data).points

    np.testing.assert_array_equal(np.array(wanted, np.float32).astype(np.float64), points.values)
    assert bool(np.signbit(points.values[3]))
    assert points.steps.tolist() == [-2, -1, 0, 1, 2, 3]
    assert points.wall_times.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert points.records.tolist() == [1, 2, 3, 4, 5, 6]
    assert points.precision is Precision.SINGLE


def test_signalling_nan() -> None:
    """A signalling NaN, which stray bytes may spell, is a NaN and raises no warning on its way."""
    usual_form = message(1, b"loss") + b"\x15\x01\x00\x80\x7f"
    in_tensors = [tensor("loss", FORMS["half_val as bf16"][0]), tensor("loss", b"\x08\x01\x2d\x01\x00\x80\x7f")]
    (points,) = read(b"".join(frame(event([v])) for v in (usual_form, *in_tensors))).points

    assert np.isnan(points.values).tolist() == [True, True, True]


def test_any_prefix() -> None:
    """Of a file cut anywhere, the whole records are read, and a cut within one is told with its byte."""
    records = [frame(event([scalar("loss", i)], i)) for i in range(1, 4)]
    data = b"".join(records)
    ends = np.cumsum([len(r) for r in records]).tolist()
    for size in range(len(data)):
        contents = read(data[:size])
        whole = sum(end <= size for end in ends)
        start = ends[whole - 1] if whole else 0
        reason = (
            f"is cut off inside record {whole + 1}: only {size - start} bytes of it, from byte {start} on, are there"
        )

        assert [1.0, 2.0, 3.0][:whole] == [v for p in contents.points for v in p.values.tolist()]
        assert ((reason,) if size > start else ()) == contents.damage


def test_any_changed_byte() -> None:
    """A changed byte costs its record, or what follows when it hit the length; it is always told."""
    records = [frame(event([scalar("loss", i)], i)) for i in range(1, 4)]
    data = b"".join(records)
    size = len(records[0])
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        hit, offset = divmod(at, size)
        contents = read(changed)
        kept = [1.0, 2.0, 3.0][:hit] if offset < 12 else [v for v in (1.0, 2.0, 3.0) if v != hit + 1]

        assert kept == [v for p in contents.points for v in p.values.tolist()]
        assert len(contents.damage) == 1
        assert f"record {hit + 1} at byte {hit * size}" in contents.damage[0]


def test_tail_of_zeros() -> None:
    """Zeros that a crash left behind the last record are told as such."""
    data = frame(VERSION) + bytes(100)

    assert (
        f"holds zeros from byte {len(data) - 100} on (100 bytes): what was written there never reached the disk",
    ) == (read(data).damage)


def test_impossible_length_with_a_good_checksum() -> None:
    """A length of 2^63 is not believed, checksum or not."""
    length = struct.pack("<Q", 1 << 63)
    data = frame(VERSION) + length + frame(b"")[8:12] + bytes(20)
    good = frame(VERSION) + length + struct.pack("<I", mask(crc32c(length))) + bytes(20)

    assert "fails its CRC" in read(data).damage[0]
    assert "is cut off inside record 2" in read(good).damage[0]


def test_record_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record longer than the limit is passed over and told; what follows is read."""
    monkeypatch.setattr(event_file, "BLOCK_BYTES", 64)
    data = (
        frame(VERSION)
        + frame(event([message(1, b"image") + message(4, bytes(500))]))
        + frame(event([scalar("loss", 2)], 5))
    )
    contents = read(data, limits=Limits(event_record_bytes=400))

    assert len(contents.damage) == 1
    assert "record 2 at byte" in contents.damage[0]
    assert {"loss": [(3, 5, (2.0).hex(), (0.0).hex())]} == told(contents)


SHAPE_ONE = message(2, message(2, b"\x08\x01"))
FORMS = {
    "float_val": (b"\x08\x01" + b"\x2d" + struct.pack("<f", 1.5), 1.5, Precision.SINGLE),
    "float_val, packed": (b"\x08\x01" + message(5, struct.pack("<f", 1.5)), 1.5, Precision.SINGLE),
    "double_val, packed": (b"\x08\x02" + message(6, struct.pack("<d", 0.1)), 0.1, Precision.DOUBLE),
    "tensor_content": (b"\x08\x01" + SHAPE_ONE + message(4, struct.pack("<f", -2.5)), -2.5, Precision.SINGLE),
    "tensor_content, double": (b"\x08\x02" + message(4, struct.pack("<d", 1e-300)), 1e-300, Precision.DOUBLE),
    "tensor_content, bf16": (b"\x08\x0e" + message(4, b"\xc0\x3f"), 1.5, Precision.SINGLE),
    "half_val": (b"\x08\x13" + message(13, varint(0x3E00)), 1.5, Precision.SINGLE),
    "half_val as bf16": (b"\x08\x0e" + message(13, varint(0x7FC0)), float("nan"), Precision.SINGLE),
    "int_val": (b"\x08\x03" + message(7, varint(-5)), -5.0, Precision.SINGLE),
    "int64_val, not packed": (b"\x08\x09" + b"\x50" + varint(1 << 40), float(1 << 40), Precision.SINGLE),
    "bool_val": (b"\x08\x0a" + message(11, b"\x01"), 1.0, Precision.SINGLE),
    "uint64_val": (b"\x08\x17" + message(17, varint(-1)), float((1 << 64) - 1), Precision.SINGLE),
}


@pytest.mark.parametrize("form", FORMS)
def test_scalars_in_tensors(form: str) -> None:
    """A scalar is read from whichever field of a tensor holds it, with the precision of its data type."""
    content, number, precision = FORMS[form]
    (points,) = read(frame(event([tensor("loss", content)], 3))).points

    np.testing.assert_equal(number, points.values[0])
    assert precision is points.precision


def test_plugin_stated_once() -> None:
    """A tag whose first event names a plugin keeps it: a later tensor of it is no scalar by chance."""
    one = b"\x08\x01" + message(5, struct.pack("<f", 1.5))
    data = frame(event([tensor("pr", one, "pr_curves")])) + frame(event([tensor("pr", one, "")]))
    contents = read(data)

    assert (contents.points, contents.passed_over) == ((), {"tensor": 2})


def test_what_is_not_scalar_is_counted() -> None:
    """Histograms, images and tensors of several elements are counted by kind and cost nothing else."""
    several = tensor("h", b"\x08\x01" + message(2, message(2, b"\x08\x03")) + message(5, bytes(12)))
    made = event([HISTOGRAM, several, message(1, b"image") + message(4, bytes(50)), scalar("loss", 1)])
    contents = read(frame(made))

    assert contents.passed_over == {"histogram": 1, "tensor": 1, "image": 1}
    assert [points.tag for points in contents.points] == ["loss"]


def test_file_that_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file cut short while it is read gives what was read before, and says so."""
    path = tmp_path / "events.out.tfevents.1.a"
    path.write_bytes(b"".join(frame(event([scalar("loss", i)], i)) for i in range(20)))
    monkeypatch.setattr(event_file, "BLOCK_BYTES", 100)
    with File(path) as file:
        path.write_bytes(path.read_bytes()[:150])
        contents = read_events(file)

    assert contents.damage == ("events.out.tfevents.1.a became shorter while it was read",)
    assert contents.points
