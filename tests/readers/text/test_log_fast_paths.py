"""What is sought in bulk, against a plain reading of the same text that tries every expression everywhere."""

import re
import struct
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.formats.text import Window, fragment_end, fragment_start
from forensics.formats.text.places import SLICE_BYTES
from forensics.limits import DEFAULT
from forensics.model import Artifact, Skip
from forensics.readers._events import phrases
from forensics.readers._events import scan as events
from forensics.readers._events.phrases import LONGEST, Positions
from forensics.readers.text import bulk, columns, engine_config, entries, printed_settings, scan, stretches
from forensics.readers.text.columns import MARGIN
from forensics.readers.text.lines import WORDS, Lines
from forensics.readers.text_log import read_text
from readers.text.log_reading import Told, read_log
from readers.text.test_log_properties import compared

FIXTURES = Path(__file__).parents[3] / "fixtures"
LOGS = sorted(path for ending in ("log", "out", "txt") for path in FIXTURES.rglob(f"*.{ending}"))
INFO = "[2025-05-01 10:00:00,123] [INFO] "
MISMATCH = "WARNING: tokenization mismatch: 512 vs. 514. #turn = 3. (ignored)"
FRAGMENTS = (
    "{'loss': 2.5, 'grad_norm': 1.25, 'learning_rate': 2e-05, 'epoch': 0.01}",
    "{'loss': 2.25, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.02}",
    "{'loss': 2_5, 'grad_norm': 1.25, 'learning_rate': 2e-05, 'epoch': 0.03}",
    "{'loss': '2.125', 'grad_norm': '1_0', 'learning_rate': '2e-05', 'epoch': '0.04'}",
    "{'loss': 2.5, 'grad_norm': tensor(1.5, device='cuda:0'), 'learning_rate': 2e-05, 'epoch': 0.05}",
    "{'eval_loss': 1.5, 'eval_runtime': 3.5, 'epoch': 0.06}",
    '{"loss": 3.5, "step": 17}',
    "{'a': {'loss': 1.0, 'epoch': 1}}",
    "{'",
    " 17%|█▋   | 1/6 [00:01<00:05,  1.20s/it]",
    " 33%|███  | 2/6 [00:02<00:04,  1.20s/it, loss=1.5, grad_norm=0.5]",
    "100%|█████| 3/3 [00:02<00:00,  1.20it/s]{'loss': 1.5, 'epoch': 0.07}",
    f"{INFO}[logging.py:96:log_dist] [Rank 0] step=10, skipped=1, lr=[2e-05, 1e-05], mom=[0.9]",
    f"{INFO}[logging.py:96:log_dist] [Rank 0] step=20, skipped=x, lr=[2e-05], mom=[0.9]",
    f"[default3]:{INFO}[logging.py:96:log_dist] [Rank 0] step=30, skipped=2, lr=[2e-05], mom=[0.9] skipped=3",
    f"{INFO}[timer.py:199:stop] epoch=0/micro_step=40/global_step=10, RunningAvgSamplesPerSec=4.5, CurrSamplesPerSec=4",
    f"{INFO}[a.py:1:f] [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768",
    MISMATCH,
    "----- arguments -----\n  lr ....... 0.5\n----- end of arguments -----",
    " iteration 10/ 100 | elapsed time per iteration (ms): 10.5 | lm loss: 1.5E+00 | grad norm: 0.5 |",
    " [2025-05-01 10:00:00] iteration 11/ 100 | elapsed time per iteration (ms): 10.5 | lm loss: 2.5 | grad norm: 1 |",
    " iteration 12/ 100 | elapsed time per iteration (ms): 10.5 | grad norm: 1_0 |",
    " iteration 13/ 100 | elapsed time per iteration (ms): 10.5 | grad norm: 0.5 | ",
    " iteration 14/ 100 | elapsed time per iteration (ms): 10,5 | grad norm: 0.5% x | ",
    " iteration 15/ 100 | elapsed time per iteration (ms): 10.5 | grad norm: 0.5.1 | ",
    " iteration 16/ 100 | elapsed time per iteration (ms): 10.5 | lm loss: nan | grad norm: inf | ",
    "samples/sec: 53.7 | iteration 17/ 100 | elapsed time per iteration (ms): 10.5 | grad norm: 0.5 | a: b | ",
    "samples/sec: 53.7 | iteration 18/ 100 | elapsed time per iteration (ms): 10.5 | grad norm: 0.5 | lm loss: 2 | ",
    "step 10 loss 2.5 grad_norm=1.5 grad norm: 2",
    "step: 11 loss_scale 5 train/loss_a: 1.5K",
    "steploss loss\tss= rm: =1] =-]",
    "CUDA out of memory. Killed process RunningAvgSamplesPerSec=",
    "Killed",
    "a.py:3: UserWarning: weights not loaded from 17",
    "a.py:3: UserWarning: 3 missing, 5 Unexpected",
    "Warning: loss is nan at step 17",
    "ERROR gradients of layer 3 missing",
    "Caused by UserWarning: Warning: labels missing",
)
CHATTER = (
    "GET /v1/health 200 OK 0.3ms client=10.0.0.7",
    "/opt/conda/lib/python3.10/site-packages/torch/utils/data/dataloader.py:557: UserWarning: this is slow",
    "Loaded 0 of 17 files",
    "  adapter_config=LoraConfig(",
    "Step  Loss  Accuracy",
    "  17  2.5  0.91",
)


@contextmanager
def read_plainly() -> Iterator[None]:
    """Take every short cut away: no vector operations, no memory of the lines before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "relevant", _relevant)
        patch.setattr(entries, "FEW", 1 << 40)
        patch.setattr(bulk, "OFTEN", 1 << 40)
        patch.setattr(bulk, "MANY", 1 << 40)
        patch.setattr(scan, "find_phrases", _phrases)
        patch.setattr(entries, "MOST_OUTLINES", -1)
        patch.setattr(entries, "MOST_LEARNT", 1 << 40)
        patch.setattr(events, "MANY", 1 << 40)
        yield


@contextmanager
def read_eagerly() -> Iterator[None]:
    """Compile every shape at once, and use it at once, in short texts too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "FEW", 2)
        for name in ("OFTEN", "MANY", "FEWEST", "LEAST"):
            patch.setattr(bulk, name, 1)
        patch.setattr(events, "MANY", 1)
        patch.setattr(phrases, "MANY", 1)
        yield


def _relevant(window: Window, *_: object, rare: bool = False, **__: object) -> Lines:
    anywhere = re.compile(b"|".join(map(re.escape, WORDS)), re.IGNORECASE)
    starts: list[int] = []
    patterns = (re.compile(rb"[0-9]"),) if rare else (anywhere,)
    places = [
        found.start() for pattern in patterns for found in pattern.finditer(window.data, window.begin, window.end)
    ]
    for place in sorted(places):
        start = fragment_start(window.data, place, window.floor(place))
        if start not in starts[-1:] and start >= window.begin:
            starts.append(start)
    ends = [fragment_end(window.data, start) for start in starts]
    return Lines(np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))


def _phrases(window: Window, *_: object) -> Positions:
    families = (events, engine_config)
    sought = {*printed_settings.READERS, *(anchor for family in families for anchor in family.ANCHORS)}
    longest_first = sorted(sought, key=lambda phrase: (-len(phrase), phrase))
    anywhere = re.compile(b"(?=(" + b"|".join(map(re.escape, longest_first)) + b"))")
    found: dict[bytes, list[int]] = defaultdict(list)
    for match in anywhere.finditer(window.data, window.begin, min(len(window.data), window.end + LONGEST)):
        if match.start() < window.end:
            found[match[1]].append(match.start())
    return {phrase: np.array(places) for phrase, places in found.items()}


def test_the_logs_of_the_fixtures() -> None:
    """Every log among the fixtures gives the same facts read either way."""

    def told(path: Path, *sizes: int) -> Told:
        return Told(list(read_text(Artifact(path.parent, path.name, path.stat().st_size, 0.0), *sizes)))

    assert len(LOGS) > 50
    for path in LOGS:
        quickly = compared(told(path, 4 << 20, 1))
        with read_eagerly():
            assert compared(told(path, 1 << 14, 1, 1 << 16)) == quickly, path
        with read_plainly():
            assert compared(told(path, 4 << 20, 1)) == quickly, path


@settings(max_examples=250, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(["\n", "\r", "\n\r", "", " "])), max_size=30))
def test_mixtures(fragments: list[tuple[str, str]]) -> None:
    """Lines of all families, glued, redrawn and broken in any order, give the same facts read either way."""
    text = " " * MARGIN + "\n" + "".join(fragment + end for fragment, end in fragments) + " " * MARGIN
    quickly = compared(read_log(text))
    with read_plainly():
        plainly = compared(read_log(text))
    with read_eagerly():
        eagerly = compared(read_log(text))

    assert plainly == quickly == eagerly


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.floats(0, 100).map("{:.4f}".format),
    st.floats(-1e9, 1e9).map("{:.6E}".format),
    st.integers(0, 10**19).map(str),
    st.integers(0, 10**9).map("{:,}".format),
    st.sampled_from(["nan", "NaN", "-nan", ".5", "5.", "+1", "1e400", "1e-400", "00012", "0.00000000000000000001"]),
)
LAYOUTS = (
    "step {:>7} | loss {:>12} | norm {}",
    "{{'loss': {1}, 'grad_norm': '{2}', 'step': {0}}}",
    "2025-05-01 10:00:{0:.2} iter {0}: loss={1} lr={2}ms",
    "Epoch [{0}/{1}] eta 1:{0}:00 loss: {2}",
    "loss:{1},{2} step:{0}",
    "step {0}-{1} loss {2}%",
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LAYOUTS), NUMBERS, NUMBERS, NUMBERS), min_size=3, max_size=12))
def test_random_logs(lines: list[tuple[str, str, str, str]]) -> None:
    """Any numbers in any layout give the same facts by templates and line by line."""
    text = "x" * MARGIN + "\n" + "\n".join(layout.format(*numbers) for layout, *numbers in lines) + "\n" + "x" * MARGIN
    with read_plainly():
        plainly = compared(read_log(text))
    with read_eagerly():
        assert compared(read_log(text)) == plainly


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FRAGMENTS + CHATTER), st.sampled_from(["\n", "\r"])), min_size=3, max_size=9))
def test_lines_that_come_again_with_other_digits(lines: list[tuple[str, str]]) -> None:
    """What was learnt in one window reads the next ones: nothing is sought in such lines any more."""
    text = "".join(line + end for line, end in lines)
    digits = [str.maketrans("0123456789", "0123456789"[turn:] + "0123456789"[:turn]) for turn in range(7)]
    whole = "".join(text.translate(digits[turn % 7]) + "\n" for turn in range(1 + 15000 // len(text)))
    with read_plainly():
        plainly = compared(read_log(whole, chunk_bytes=1500, ahead=9000))
    with read_eagerly():
        assert compared(read_log(whole, chunk_bytes=1500, ahead=9000)) == plainly


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=40), st.booleans())
def test_numbers_of_columns_are_those_of_float(texts: list[str], extended: bool) -> None:
    """Bit for bit, with 80-bit numbers and without; what is not known is told."""
    data = (" " * MARGIN + "|" + "|".join(texts) + "|" + " " * MARGIN).encode()
    at = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("|"))[:-1] + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "EXTENDED", columns.EXTENDED and extended)
        values, ends, good = columns.numbers(columns.Buffer(data), at, wanted=True)

    for text, place, value, end, known in zip(texts, at, values, ends, good, strict=True):
        if known:
            expected = text.replace(",", "") if end == place + len(text) else text[: end - place]
            assert struct.pack("d", value) == struct.pack("d", float(expected)) or (np.isnan(value) and text == "nan")
    plain = [good[i] for i, text in enumerate(texts) if re.fullmatch(r"-?\d{1,3}\.\d{1,4}|nan", text)]
    assert all(plain)


@pytest.mark.parametrize("filler", ["\n", "x"])
@pytest.mark.parametrize("moved", range(0, 120, 3))
def test_slices_of_vector_operations(moved: int, filler: str) -> None:
    """An anchor that lies across the border of two slices is found."""
    text = f"\n{filler * (SLICE_BYTES - moved)}\nstep 10 grad_norm=1.5\nstep 11 loss 2.5\n{MISMATCH}\nstep 12 loss 3\n"
    told = read_log(text, replace(DEFAULT, text_line_bytes=1 << 20))

    assert told.points("loss") == [(11, 2.5), (12, 3.0)]
    assert told.points("grad_norm") == [(10, 1.5)]
    assert len(told.events("tokenization-mismatch")) == 1


def test_memory_does_not_grow_with_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of 64 MB without an end is read in a few chunks of memory, and costs no line but itself."""
    monkeypatch.setattr(stretches, "KEPT_BYTES", 1 << 30)  # a block that is let go untouched counts here
    path = tmp_path / "train.log"
    with path.open("wb") as file:
        file.write(b"step 1 loss 2.5\n")
        file.truncate(64 << 20)  # sparse
        file.seek(0, 2)
        file.write(b"\nstep 2 loss 1.5\n")
    limits = replace(DEFAULT, text_line_bytes=4096)
    artifact = Artifact(tmp_path, path.name, path.stat().st_size, 0.0, limits)
    tracemalloc.start()
    try:
        told = Told(list(read_text(artifact, processes=1)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert told.points("loss") == [(1, 2.5), (2, 1.5)]
    assert told.skips() == [Skip("train.log", "1 lines were read up to byte 4,096 of the line only")]
    assert peak < 12 << 20


def test_of_too_many_shapes_those_count_that_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text in which nearly every line has a form of its own costs no more than its lines."""
    monkeypatch.setattr(entries, "MOST_LEARNT", 20)
    words = [f"{first}{second}" for first in "abcdf" for second in "ghijk"]
    prose = [f"{one} {other} loss 2.5" for one in words for other in words]
    told = read_log("\n".join([*prose, *(f"step {n} | loss {n / 8:.3f}" for n in range(1, 9)), "{'train_loss': 2.5}"]))

    assert told.points("loss") == [(n, n / 8) for n in range(2, 9)]
    assert told.samples("train_loss").values.tolist() == [2.5]
    passed = [skip.reason for skip in told.skips() if "passed over" in skip.reason]
    assert passed == ["606 lines were passed over: too many come once in their form"]


@given(st.lists(st.tuples(st.sampled_from(events.ANCHORS), st.integers(1, 90)), min_size=1, max_size=8))
def test_phrases_that_break_off(parts: list[tuple[bytes, int]]) -> None:
    """Of a phrase that has been compared as a whole no part is taken for it, at the end of a text neither."""
    data = b"\n".join(phrase[:size] for phrase, size in parts)
    window = Window(data, 0, len(data), 0, 1)

    with read_eagerly():
        found = phrases.find_phrases(window, scan._PHRASES)

    expected = _phrases(window)
    assert {phrase: places.tolist() for phrase, places in found.items()} == {
        phrase: places.tolist() for phrase, places in expected.items()
    }
