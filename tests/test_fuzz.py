"""The fuzzer sees what it is there to see, and its mutants repeat by their seed."""

import os
import random
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from fuzz.corpora import judged
from fuzz.foreign import Input, Repository, inputs
from fuzz.harness import apart, kept
from fuzz.hostile import inputs as hostile_inputs
from fuzz.hostile import watch
from fuzz.hostile.__main__ import table
from fuzz.hostile.case import Payload
from fuzz.hostile.every import every
from fuzz.hostile.inputs import written
from fuzz.hostile.watch import Tried
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


SOURCE = """
import os, subprocess as sub
class Malicious1:
    def __reduce__(self):
        return os.system, ("id",)
class Fine:
    def __reduce__(self):
        return self.made, ()
def test_told():
    pickled = Pickled([op.Proto.create(4), op.ShortBinUnicode("pty"), op.ShortBinUnicode("spawn"), op.StackGlobal(),
        op.ShortBinUnicode("id"), op.TupleOne(), op.Reduce(), op.Stop()])
    assertGreater(check(pickled).severity, Severity.LIKELY_SAFE)
def test_each(name):
    assertGreater(check(Pickled([op.Global(name), op.Stop()])).severity, Severity.LIKELY_SAFE)
BYTES = b"\\x80\\x04csubprocess\\nrun\\n)R."
DECODED = b64decode("gAJjb3MKc3lzdGVtCi4=")
scan("evil.pkl", [Global("sub", "run", SafetyLevel.Dangerous), Global("collections", "Counter", Level.Suspicious)])
"""


def test_what_a_test_module_writes_down_is_put_together_without_running_it(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(SOURCE)
    (tmp_path / "tests" / "evil.pkl").write_bytes(b"csub\nrun\n)R.")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    found = list(inputs(Repository("made", "", commit, ("tests",)), tmp_path))
    asked = {one.name: (one.asks, one.hostile) for one in found}

    assert asked["Malicious1-0.pkl"] == (("os.system",), True)
    assert asked["evil.pkl"] == (("sub.run",), True)
    assert {one.content for one in found if one.name.startswith("Malicious1")} == {
        b"cos\nsystem\n(Vid\ntR.",
        b"\x80\x02cos\nsystem\n(Vid\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93(Vid\ntR.",
    }
    assert [one.hostile for one in found if one.name == "0.pkl"] == [True, False]  # a name that is filled in is none
    assert b"\x80\x04csubprocess\nrun\n)R." in {one.content for one in found}
    assert b"\x80\x02cos\nsystem\n." in {one.content for one in found}
    assert not any("Fine" in one.name for one in found)


@pytest.mark.parametrize(
    ("content", "asks", "answer"),
    [
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", ("os.system",), "named"),
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", ("pty.spawn",), "silent"),
        (b"7z\xbc\xaf\x27\x1c rest of an archive", ("os.system",), "refused"),
        (b"\x80\x02}.", ("os.system",), "silent"),
    ],
)
def test_what_is_said_of_a_hostile_file_is_judged(
    tmp_path: Path, content: bytes, asks: tuple[str, ...], answer: str
) -> None:
    assert judged(Input("there", "one.pkl", content, asks, hostile=True), tmp_path).answer == answer


def hostile(run: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, group: str = "made") -> Tried:
    """Try an input on commands that all do what `run` does."""
    monkeypatch.setattr("forensics.cli.main", run)
    monkeypatch.setattr(watch, "MEMORY", 60_000_000)
    return watch.tried(hostile_inputs.Input(group, "one", written(b"x", "a.bin")), tmp_path, tmp_path / "executed")


def _writes(words: list[str]) -> None:
    (Path(words[1]) / "left.txt").write_text("x")


def _runs(_words: list[str]) -> None:
    subprocess.run(["true"], check=True)


def _ends_with_4(_words: list[str]) -> None:
    raise SystemExit(4)


def _raises(_words: list[str]) -> None:
    raise KeyError("x")


def _speaks(_words: list[str]) -> None:
    os.write(1, b"\x1b[31mred")


def _leaves(_words: list[str]) -> None:
    tempfile.mkdtemp()


def _takes(_words: list[str]) -> None:
    held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    _ = bytearray((200 << 20) + held)  # more than the tests before may have left free


def _works(_words: list[str]) -> None:
    until = time.process_time() + 2.2
    while time.process_time() < until:
        pass


def _is_killed(_words: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _executes(words: list[str]) -> None:
    (Path(words[1]).parent / "executed").touch()


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (_writes, "written into the run"),
        (_runs, "FORBIDDEN: subprocess.Popen"),
        (_ends_with_4, "exit code 4"),
        (_raises, "Traceback: KeyError"),
        (_speaks, "control characters"),
        (_leaves, "LEFT: "),
        (_takes, " MB for "),
        (_works, " s for "),
        (_is_killed, "signal 9"),
        (_executes, "payload was executed"),
        (lambda _words: None, "the log beside it is not told"),
    ],
)
def test_what_no_command_may_do_with_a_hostile_input(
    run: object, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert any(word in fault for fault in hostile(run, monkeypatch, tmp_path).faults)


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watch, "HANGS", 0.05)
    monkeypatch.setattr(watch, "COMMANDS", watch.COMMANDS[:1])

    assert any("hangs" in fault for fault in hostile(lambda _: time.sleep(60), monkeypatch, tmp_path).faults)


def test_hostile_inputs_have_names_and_a_table(tmp_path: Path) -> None:
    """Every class is there; the commands themselves survive one input of it that is quickly made."""
    inputs = list(every(Payload(str(tmp_path / "executed"))))
    names = [(one.group, one.name) for one in inputs]

    assert len(set(names)) == len(names) > 380
    assert {"pickle", "log", "folder", "1 TB of holes", "changing", "archive"} <= {group for group, _ in names}
    chosen = [one for one in inputs if (one.group, one.name) in {("folder", "FIFOs"), ("pickle", "system_protocol_2")}]
    seen = [watch.tried(one, tmp_path / "place", tmp_path / "executed") for one in chosen]
    assert [one.faults for one in seen if not one.left_out] == [[], []]
    assert "| folder | 1 | 1 |" in table(seen, "made")
