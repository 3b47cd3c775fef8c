"""The fuzzer sees what it is there to see, and its mutants repeat by their seed."""

import random
from pathlib import Path

import pytest

from fuzz.harness import apart, kept
from fuzz.mutations import LARGEST, mutated
from fuzz.targets import TARGETS, Target


def target(feed: object) -> Target:
    return Target("made", lambda: iter([b"{'loss': 1.0}\n" * 20]), feed)  # type: ignore[arg-type]


def raising(_content: bytes, _folder: Path) -> None:
    raise KeyError("x")


def running(_content: bytes, _folder: Path) -> None:
    import subprocess

    subprocess.run(["true"], check=True)


def holding(content: bytes, _folder: Path) -> None:
    _ = bytes(200 << 20) + content


def dying(_content: bytes, _folder: Path) -> None:
    import os

    os._exit(3)


@pytest.mark.parametrize(
    ("feed", "word"), [(raising, "KeyError"), (running, "subprocess.Popen"), (holding, "memory"), (dying, "died")]
)
def test_what_no_parser_may_do_is_a_fault(feed: object, word: str, tmp_path: Path) -> None:
    seen = apart(target(feed), 0.05, 0)

    assert any(what.startswith(word) for what, _ in seen.faults)
    assert list(kept(seen, tmp_path))


def test_a_parser_that_behaves_has_no_fault(tmp_path: Path) -> None:
    seen = apart(target(lambda content, _folder: content.decode("latin-1")), 0.05, 0)

    assert seen.tried
    assert not list(kept(seen, tmp_path))


def test_mutants_repeat_by_their_seed_and_stay_small() -> None:
    source = bytes(range(256)) * 40
    first, again = ([mutated(source, [source], random.Random(seed)) for seed in range(200)] for _ in range(2))

    assert first == again
    assert len(set(first)) > 150
    assert max(map(len, first)) <= LARGEST


def test_every_target_has_a_name_and_seeds() -> None:
    assert len({one.name for one in TARGETS}) == len(TARGETS)
    for one in TARGETS:
        seeds = [content for content in one.seeds() if content]
        assert seeds, one.name
