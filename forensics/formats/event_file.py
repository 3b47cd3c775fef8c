"""TensorBoard event files: every point, every checksum, block by block.

A record is believed only as far as its checksums go. When the length of a record fails its CRC there is no sync
marker to find the next one by, so reading ends there; when only the payload fails, the record is left out and
reading goes on behind it. Both are told, as are torn tails, zeros and records over the limit.
"""

from collections import Counter
from dataclasses import field

import numpy as np

from forensics.deferred.records import dataclass
from forensics.errors import ChangedError, MalformedError
from forensics.formats.crc32c import Bytes
from forensics.formats.event_columns import Columns, Point, Points, decode_tag
from forensics.formats.event_frames import FRAME_BYTES, HEADER_BYTES, length_at
from forensics.formats.event_proto import Event, Value, decode_event
from forensics.formats.event_walk import Walk, Walked
from forensics.limits import DEFAULT, Limits
from forensics.storage.file import File

BLOCK_BYTES = 1 << 20
USUAL_BYTES = 48
ROOM = 1 << 21
"""Room is made for so many points at first: one for each record of ordinary size, two million at the most."""
TOLD = 3
"""So many damaged records are named one by one; the others are counted."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A text, or the content of the hparams plugin, with the record it came in, counted from 1."""

    tag: str
    value: Value
    record: int


@dataclass(frozen=True, slots=True)
class Announced:
    """A `SessionLog` with the record it came in; status 1 is START, 2 STOP, 3 CHECKPOINT."""

    status: int
    checkpoint: str
    step: int
    record: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What one event file holds.

    `records` counts whole records, `events` those that say more than the version at the start of a file.
    `passed_over` counts by kind the values that are neither scalar nor text. `damage` tells what could not be
    read, with byte offsets, in the order of the file.
    """

    records: int
    events: int
    points: tuple[Points, ...]
    texts: tuple[Stated, ...]
    hparams: tuple[Stated, ...]
    sessions: tuple[Announced, ...]
    passed_over: dict[str, int]
    damage: tuple[str, ...]


def read_events(file: File, limits: Limits = DEFAULT) -> Contents:
    """Read an event file to its end, or to where it can no longer be believed. Damage is told and never raised."""
    collected = _Collected(limits, columns=Columns(min(file.size // USUAL_BYTES, ROOM)))
    try:
        _walk_blocks(file, collected)
    except ChangedError as error:
        collected.damage.append(str(error))
    return collected.contents()


def _walk_blocks(file: File, collected: "_Collected") -> None:
    buffer = np.empty(min(BLOCK_BYTES, file.size), np.uint8)
    offset, window = 0, len(buffer)
    while offset < file.size:
        window = min(window, file.size - offset)
        block = (buffer if window <= len(buffer) else np.empty(window, np.uint8))[:window]
        file.read_into(offset, block.data)
        walked = collected.walk.walk(block)
        collected.add(walked, offset, block)
        offset += walked.consumed
        window = len(buffer)
        if walked.corrupt:
            collected.damage.append(_corrupt(file, offset, collected.records + 1))
            return
        if not walked.consumed:
            offset, window = _beyond_block(file, offset, block, collected)


def _beyond_block(file: File, offset: int, block: Bytes, collected: "_Collected") -> tuple[int, int]:
    """Return offset and size of the next window, where the record at `offset` is longer than the block."""
    length = length_at(block)
    left = file.size - offset
    if length is None or length > left - FRAME_BYTES:
        record = collected.records + 1
        collected.damage.append(
            f"is cut off inside record {record}: only {left} bytes of it, from byte {offset} on, are there"
        )
        return file.size, 0
    whole = length + FRAME_BYTES
    if whole > collected.limits.event_record_bytes:
        collected.records += 1
        collected.damage.append(f"record {collected.records} at byte {offset}: {length} bytes are more than is read")
        return offset + whole, BLOCK_BYTES
    return offset, whole


def _corrupt(file: File, offset: int, record: int) -> str:
    left = file.size - offset
    if not any(file.read(offset, min(left, BLOCK_BYTES))):
        return f"holds zeros from byte {offset} on ({left} bytes): what was written there never reached the disk"
    return f"the length of record {record} at byte {offset} fails its CRC: {left} bytes could not be read"


@dataclass(slots=True)
class _Collected:
    """What has been read so far."""

    limits: Limits
    walk: Walk = field(default_factory=Walk)
    records: int = 0
    events: int = 0
    columns: Columns = field(default_factory=Columns)
    plugins: dict[bytes, str] = field(default_factory=dict)
    texts: list[Stated] = field(default_factory=list)
    hparams: list[Stated] = field(default_factory=list)
    sessions: list[Announced] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    text_size: int = 0

    def add(self, walked: Walked, offset: int, block: Bytes) -> None:
        first = self.records + 1
        self.columns.add(walked, first)
        failed = [
            (first + record, f"record {first + record} at byte {offset + start} fails its CRC")
            for record, start in walked.failed.tolist()
        ]
        self.events += walked.records - len(walked.others) - len(failed)
        for record, begin, end in walked.others.tolist():
            try:
                event = decode_event(block[begin:end].data, self.plugins)
            except MalformedError as error:
                at = offset + begin - HEADER_BYTES
                failed.append((first + record, f"record {first + record} at byte {at} is no valid protobuf: {error}"))
                continue
            self._add_event(event, first + record)
        self.failed += sorted(failed)
        self.records += walked.records

    def _add_event(self, event: Event, record: int) -> None:
        if not event.version:
            self.events += 1
        if event.session is not None:
            self.sessions.append(Announced(event.session.status, event.session.checkpoint, event.step, record))
        for value in event.values:
            if value.kind == "scalar":
                point = Point(event.step, value.number, event.wall_time, record, value.precision)
                self.columns.unusual.setdefault(value.tag, []).append(point)
            elif value.kind in {"text", "hparams"}:
                self._add_text(value, record)
            else:
                self.passed_over[value.kind] += 1

    def _add_text(self, value: Value, record: int) -> None:
        self.text_size += len(value.text) + len(value.content)
        if self.text_size > self.limits.small_file_bytes:
            self.passed_over[value.kind] += 1
            return
        kept = self.texts if value.kind == "text" else self.hparams
        kept.append(Stated(decode_tag(value.tag), value, record))

    def contents(self) -> Contents:
        told = [text for _, text in self.failed[:TOLD]]
        if len(self.failed) > TOLD:
            told.append(f"{len(self.failed) - TOLD} more records are damaged")
        return Contents(
            records=self.records,
            events=self.events,
            points=tuple(self.columns.points(self.walk.tags)),
            texts=tuple(self.texts),
            hparams=tuple(self.hparams),
            sessions=tuple(self.sessions),
            passed_over=dict(self.passed_over),
            damage=(*told, *self.damage),
        )
