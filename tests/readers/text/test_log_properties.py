"""One log of everything mixed, mistreated in every way."""

import codecs
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.limits import DEFAULT
from forensics.model import Events, Fact, Samples, Setting, Skip
from forensics.readers._events.phrases import OTHERS, prepare
from forensics.readers.text import stretches
from forensics.readers.text.sniffing import looks_like_log
from readers.text.log_reading import Told, read_log

INFO = "[2025-05-01 10:00:00,123] [INFO] "


def mixed() -> str:
    """Return some 12 KB of all families."""
    parts = [
        f"{INFO}[logging.py:96:log_dist] [Rank 0] DeepSpeed info: version=0.12.5, git-hash=unknown\n",
        f"{INFO}[config.py:983:print]   zero_optimization_stage ...... 2\n",
        f"{INFO}[config.py:969:print_user_config]   json = ",
        '{\n    "bf16": {\n        "enabled": true\n    }\n}\n',
        "***** Running training *****\n  Num Epochs = 1\n  Total optimization steps = 60\n",
    ]
    for step in range(1, 61):
        parts += [
            f"\r{100 * step // 60:3d}%|██▏   | {step}/60 [00:0{step % 10}<00:59,  1.20s/it]",
            "\r" + " " * 30 + "\r",
        ]
        loss = "nan" if step > 40 else f"{3 - step / 50:.4f}"
        parts += [f"{{'loss': {loss}, 'grad_norm': {step / 7!r}, 'learning_rate': 2e-05, 'epoch': {step / 60:.2f}}}\n"]
        parts += [f"\r{100 * step // 60:3d}%|██▏   | {step}/60 [00:0{step % 10}<00:59,  1.20s/it]"]
        if step % 10 == 0:
            parts += [
                "\n",
                f"{INFO}[logging.py:96:log_dist] [Rank 0] step={step}, skipped=1, lr=[2e-05], mom=[0.9]\n",
            ]
            parts += [f"WARNING: tokenization mismatch: {step} vs. 3. (ignored)\n", f"step {step} loss {step}.5\n"]
    trace = 'Traceback (most recent call last):\n  File "/lib/python3.10/site-packages/x.py", line 3, in f\n    g()\n'
    return "".join([*parts, "\n", trace, "ValueError: broken\n"])


MIXED = mixed()
SHAPES = {
    "LF and CR": MIXED.encode(),
    "CRLF": MIXED.replace("\n", "\r\n").encode(),
    "lone CR": MIXED.replace("\n", "\r").encode(),
    "UTF-8 with a mark": MIXED.encode("utf-8-sig"),
    "UTF-16": MIXED.encode("utf-16"),
    "coloured": MIXED.replace("\n", "\x1b[0m\n").encode(),
    "an overlong line": MIXED.encode() + b"x" * 100_000 + b"\n" + MIXED.encode(),
}
LINE = re.compile(r"line \d+")


def comparable(fact: Fact) -> object:
    """Return a fact as plain values that compare equal, NaN with NaN."""
    if isinstance(fact, Samples | Events):
        columns = (fact.steps, fact.values, fact.records)
        return (type(fact).__name__, fact.name if isinstance(fact, Samples) else fact.kind, fact.rank,
                *(repr(column.tolist()) for column in columns))  # fmt: skip
    if isinstance(fact, Setting):
        return ("Setting", fact.group, fact.name, repr(fact.value), fact.standing, fact.source.record)
    assert isinstance(fact, Skip)
    return ("Skip", fact.reason)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Read stretches one after the other, without the processes that would read them."""

    def scanned(reading: stretches.Reading, parts: list[stretches.Stretch], _: int) -> Iterator[stretches.Scanned]:
        yield from (stretches.scan_stretch(reading, part) for part in parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "_scanned", scanned)
        yield


def compared(told: Told) -> list[object]:
    return sorted(map(comparable, told.facts), key=repr)


@pytest.fixture(scope="module")
def whole() -> list[object]:
    facts = compared(read_log(MIXED))
    assert len(facts) > 12
    return facts


def test_the_mixture_is_read() -> None:
    """All families are found in one file, in their order."""
    told = read_log(MIXED)

    assert told.samples("grad_norm").steps.tolist() == list(range(1, 61))
    assert told.samples("skipped_steps").steps.tolist() == list(range(10, 61, 10))
    assert len(told.events("tokenization-mismatch")) == 6
    assert told.events("traceback").text == "ValueError: broken (/lib/python3.10/site-packages/x.py:3 in f)"
    assert told.settings()["setting:zero_optimization.stage"] == 2


@settings(max_examples=25, deadline=None)
@given(chunk_bytes=st.integers(1, 5000), ahead=st.integers(2000, 9000))
def test_chunk_boundaries_change_nothing(whole: list[object], chunk_bytes: int, ahead: int) -> None:
    """Wherever chunks and windows are cut, the facts are the same."""
    assert compared(read_log(MIXED, chunk_bytes=max(chunk_bytes, 50), ahead=ahead)) == whole


def test_processes_change_nothing(whole: list[object]) -> None:
    """Two processes find what one finds, each in stretches of its own."""
    assert compared(read_log(MIXED, chunk_bytes=3000, ahead=4000, processes=2, stretch_bytes=2500)) == whole


@settings(max_examples=60, deadline=None)
@given(text=st.sampled_from(sorted(SHAPES)), stretch_bytes=st.integers(1, 9000), chunk_bytes=st.integers(50, 5000))
def test_stretches_change_nothing(text: str, stretch_bytes: int, chunk_bytes: int) -> None:
    """Wherever a file is cut into stretches, in whatever encoding and line ends, the facts are the same."""
    data = SHAPES[text]
    with in_this_process():
        cut = read_log(data, chunk_bytes=chunk_bytes, ahead=9000, processes=2, stretch_bytes=stretch_bytes)

    assert compared(read_log(data, ahead=9000)) == compared(cut)


def test_a_killed_process_costs_nothing(whole: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process was to read that the kernel killed is read by the process that waits for it."""
    parent, scan = os.getpid(), stretches.scan_stretch

    def killed(reading: stretches.Reading, stretch: stretches.Stretch) -> stretches.Scanned:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return scan(reading, stretch)

    monkeypatch.setattr(stretches, "scan_stretch", killed)
    # Pickled by its name, as the function that it stands for.
    killed.__module__, killed.__qualname__ = stretches.__name__, "scan_stretch"

    assert compared(read_log(MIXED, processes=2, stretch_bytes=2500)) == whole


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig"])
def test_encodings_change_nothing(whole: list[object], encoding: str) -> None:
    """UTF-16 with its mark (PowerShell) and UTF-8 with a mark give the same facts, at any chunk size."""
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    data = marks.get(encoding, b"") + MIXED.encode(encoding)

    assert compared(read_log(data)) == whole
    assert compared(read_log(data, chunk_bytes=777, ahead=4000)) == whole


def test_crlf_changes_nothing(whole: list[object]) -> None:
    """Windows line ends give the same facts and the same line numbers."""
    assert compared(read_log(MIXED.replace("\n", "\r\n"))) == whole


def test_lone_cr_gives_the_same_values() -> None:
    """With CR as the only line end everything stands on line 1, and is read all the same."""
    told, expected = read_log(MIXED.replace("\n", "\r")), read_log(MIXED)

    assert told.points("grad_norm") == expected.points("grad_norm")
    assert told.kinds() == expected.kinds()
    assert told.settings() == expected.settings()
    assert set(told.samples("grad_norm").records.tolist()) == {1}


def test_redrawn_bars_on_lines_of_their_own() -> None:
    """Copies from the web have LF in place of CR: steps stay, lines move."""
    assert read_log(MIXED.replace("\r", "\n")).points("grad_norm") == read_log(MIXED).points("grad_norm")


def test_colours_change_nothing(whole: list[object]) -> None:
    """Terminal codes between words do not hide anything."""
    coloured = re.sub(r"(?<=[a-z]) (?=[a-z])", "\x1b[0m \x1b[1;31m", MIXED).replace("\n", "\x1b[39m\n")

    assert compared(read_log(coloured)) == whole


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(MIXED.encode())))
def test_any_prefix_is_read(size: int) -> None:
    """A log cut anywhere gives the beginning of every series of the whole, and never an error."""
    told, expected = read_log(MIXED.encode()[:size]), read_log(MIXED)
    if "learning_rate" in told.names():
        found, full = told.samples("learning_rate"), expected.samples("learning_rate")
        count = len(found.values)
        assert np.array_equal(found.values, full.values[:count])
        # A last entry whose bar was cut off may lack its step; what is told is true.
        known = found.steps != -1
        assert np.array_equal(found.steps[known], full.steps[:count][known])
        assert count - known.sum() <= 1 or size < 3000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, len(MIXED)))
def test_garbage_costs_itself_only(garbage: bytes, position: int) -> None:
    """Any bytes anywhere: no error."""
    data = MIXED.encode()
    read_log(data[:position] + garbage + data[position:])


def test_an_endless_line_is_told(whole: list[object]) -> None:
    """A line over the limit costs its own rest, and is reported."""
    limits = replace(DEFAULT, text_line_bytes=2000)
    told = read_log(MIXED.encode() + b"x" * 300_000 + b"\n", limits, chunk_bytes=4096)

    assert [skip.reason for skip in told.skips()] == ["1 lines were read up to byte 2,000 of the line only"]
    assert [fact for fact in compared(told) if fact[0] != "Skip"] == whole  # type: ignore[index]  # tuples, see above


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=400))
def test_interleaved_ranks_are_one(order: list[int]) -> None:
    """Four ranks that print the same lines, however interleaved, are told once, as rank 0."""
    lines = [line for line in re.split(r"[\r\n]+", MIXED) if line.startswith("{'loss'")][:20]
    left = {rank: list(lines) for rank in range(4)}
    queue = [*order, *(rank for rank in range(4) for _ in lines)]
    text = "".join(f"[default{rank}]:{left[rank].pop(0)}\n" for rank in queue if left[rank])
    told = read_log(text)

    assert told.samples("grad_norm", 0).values.tolist() == [(n + 1) / 7 for n in range(20)]
    assert not [fact for fact in told.facts if isinstance(fact, Samples) and fact.rank != 0]


def test_empty_files_and_files_without_anything() -> None:
    """Nothing in, nothing out."""
    assert read_log(b"").facts == []
    assert read_log(b"\0" * 5000).facts == []
    assert read_log("hello\nworld").facts == []


@pytest.mark.parametrize(
    ("head", "is_log"),
    [
        (MIXED.encode()[:65536], True),
        (codecs.BOM_UTF16_LE + MIXED.encode("utf-16-le")[:4001], True),
        (b"step 1 loss 2.5\n", True),
        (b"2025-05-01 10:00:00 starting\n", True),
        (b"torch==2.5.1\nnumpy==1.26.4\n", False),
        (
            b"Collecting environment information...\nPyTorch version: 2.5.1\nIs debug build: False\nWarning: x\n",
            False,
        ),
        (b"import torch\nfrom x import y\ndef main():\n    print('Warning: x')\nclass A:\n", False),
        (b"the\nof\nand\n", False),
        (b"\0" * 4096 + b"Killed\n", False),
        (b"", False),
    ],
)
def test_sniffing(head: bytes, is_log: bool) -> None:
    """Logs are told from requirement lists, environment captures, source code and binary files."""
    assert looks_like_log(head) is is_log


def test_skips_are_text() -> None:
    """A skip names the file and gives a reason."""
    told = read_log(b"x" * 100_000 + b"\n")

    assert told.facts == [Skip("train.log", "1 lines were read up to byte 65,536 of the line only")]


def test_phrases_must_be_quick_to_find() -> None:
    """A phrase that begins with a frequent letter is refused when the module is imported, not slow later."""
    with pytest.raises(ValueError, match="cannot be sought"):
        prepare([b"epoch"])
    assert prepare([OTHERS[:1] + b"xyz", b"Axyz"]).begins.sum() == 2
