"""No regular expression of the package takes more than linear time, whatever a stranger's file holds.

When this fails, the message names the pattern, the text that is slow for it, and how the time grows. What helps:

* two repeats side by side that can take the same character (`\\s*[^,]+\\s*`): let one take it all, and begin the next
  with a character that the first cannot take;
* a repeat without a bound after a start that may come again and again (`a=.*b` on `a=a=a=`): give it a bound
  (`.{0,200}`), or forbid the start inside it;
* a search that may begin at every character of a long word (`\\w+=`): let it begin at the first one (`(?<!\\w)\\w+=`).

Atomic groups and possessive repeats would help too, but Python 3.10 does not know them.
"""

import ast
import importlib
import math
import pkgutil
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import pytest

import forensics
from forensics.redaction import Redactor

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
from regular_expressions import Attack, Found, attacks, newer_syntax, parser, patterns

PACKAGE = Path(forensics.__file__).parent
SIZES = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 256, 1024, 4096, 16384)
DEAR = 40
"""A text is looked at longer once it costs so many times what looking for one absent character in it costs."""
STEEP = 1.6
"""Time grows with this power of the size at most; linear is 1, quadratic 2, and a text of mixed parts lies between."""
SETTLED = 1.35
"""At 1,024 characters what grows no faster is linear: of a square the part would be seen by then."""
ENOUGH = 3_000
"""No larger text is tried once one costs so many times the same: then it is slow, if it grows."""


def _issues(key: str) -> Iterable[str]:
    for path in sorted((PACKAGE / "rules" / "known_issues").glob("*.toml")):
        table = tomllib.loads(path.read_text())
        yield from (row[key] for row in table.get("evidence", ()) if key in row)


def _said_of_files() -> Iterable[str]:
    from forensics.rules import ckpt001_truncated_write as rule

    return (*_issues("problem"), rule.LFS, rule.CUT, rule.NOT_CUT)


def _learnt_names() -> Iterable[str]:
    redactor = Redactor(identities=True)
    redactor.learn_secrets(["a1" * 9, "b2-" * 4])
    for name in ("alice", "node-17", "/data/alice/llama"):
        redactor.learn_value("user", name)
    redactor("alice")
    assert redactor._literal_pattern is not None
    return (redactor._literal_pattern.pattern,)


def _learnt_encodings() -> Iterable[str]:
    redactor = Redactor(identities=False)
    redactor.learn_secrets(["tr0ub4dor-and-3-more", "a" * 30 + "0" * 9])
    redactor("x")
    assert redactor._encoded_pattern is not None
    return (redactor._encoded_pattern.pattern,)


def _signatures() -> Iterable[str]:
    import forensics.signatures as package
    from forensics.signatures.signature import Signature

    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            for one in value if isinstance(value, tuple | list) else (value,):
                if isinstance(one, Signature):
                    yield from (text for text in (one.unless, *(words.confirm for words in one.words)) if text)


def _general() -> Iterable[str]:
    from forensics.signatures.general import GENERAL

    yield from (words for _, together in GENERAL for words in together)


def _builds() -> Iterable[str]:
    from forensics.signatures.structure import BUILDS

    return (w for one in BUILDS for w in (one.raised, one.place, one.but, *one.says) if w)


def _said() -> Iterable[str]:
    from forensics.signatures.spoken_meanings import ALONE

    return (words for _, *places in ALONE.values() for words in places if words)


def _spoken() -> Iterable[str]:
    from forensics.signatures.spoken import lexicon

    return (lexicon().pattern,)


def _tried() -> Iterable[str]:
    from forensics.signatures.described import SWITCHES

    return (words for words, _, _ in SWITCHES)


def _ends() -> Iterable[str]:
    from forensics.signatures.spoken_ends import ENDS

    return (words for _, _, words in ENDS)


def _devices() -> Iterable[str]:
    from forensics.signatures.tried import OTHERS

    return OTHERS.values()


def _packages() -> Iterable[str]:
    from forensics.signatures.tried import PACKAGES

    return PACKAGES


def _stated() -> Iterable[str]:
    stated = importlib.import_module("forensics.analysis.endings.stated")  # the package names a function so
    return (stated.STATED_STEP, *(words for _, words in stated.STATES))


def _settings(table: str) -> Iterable[bytes]:
    patterns_of: Iterable[bytes] = vars(importlib.import_module("forensics.readers.text.printed_settings"))[table]
    return patterns_of


def _of_any_digits() -> Iterable[str]:
    """The expressions of signatures to which any digit is as good as those that they name."""
    from forensics.signatures.kinds import _of_any_digits as loose

    return [text for words in (*_signatures(), *_general()) if (text := loose(words))]


BUILT: dict[str, tuple[str, Callable[[], Iterable[str | bytes]]]] = {
    "forensics/analysis/endings/stated.py:stated": ("search", _stated),
    "forensics/readers/_events/scan.py:_expression": ("search", _signatures),
    "forensics/readers/_events/scan.py:_sign": ("search", lambda: (rb"\| *MISSING *\|",)),
    "forensics/readers/_events/leads.py:alike": ("match", lambda: (rb"\d+-\d+\ rank\d+:\ ",)),
    "forensics/signatures/signature.py:matches": ("search", _signatures),
    "forensics/signatures/signature.py:excludes": ("search", _signatures),
    "forensics/signatures/general.py:general": ("search", _general),
    "forensics/signatures/kinds.py:_for_zeros": ("search", _of_any_digits),
    "forensics/signatures/reported.py:_alone": ("search", _said),
    "forensics/signatures/spoken.py:lexicon": ("search", _spoken),
    "forensics/signatures/described.py:settings_in": ("search", _tried),
    "forensics/signatures/spoken_ends.py:_words": ("search", _ends),
    "forensics/signatures/tried.py:_devices": ("search", _devices),
    "forensics/signatures/tried.py:_canonical": ("fullmatch", _packages),
    "forensics/signatures/structure.py:_compiled": ("search", _builds),
    "forensics/readers/text/printed_settings.py:_training_block": ("search", lambda: _settings("_BLOCK")),
    "forensics/readers/text/printed_settings.py:_unsloth": ("search", lambda: _settings("_UNSLOTH")),
    "forensics/redaction/redactor.py:_known": ("search", _learnt_names),
    "forensics/redaction/redactor.py:_base64": ("search", _learnt_encodings),
    "forensics/rules/_known_issues.py:_hardware": ("search", lambda: _issues("hardware")),
    "forensics/rules/_known_issues.py:_event": ("search", lambda: _issues("says")),
    "forensics/rules/_known_issues.py:_bounded": ("search", lambda: _issues("matches")),
    "forensics/rules/_setup.py:setting_matches": ("search", lambda: ("restart",)),
    "forensics/rules/_setup.py:attention_matches": ("search", lambda: ("flash|^fa2$", "^sdpa$")),
    "forensics/rules/_tensors.py:problem_matches": ("search", _said_of_files),
    "forensics/weights/inspection.py:_as_named": ("search", lambda: (r"(?<![\w/.-])data/runs/a\.b(?![\w.-])",)),
}
"""Functions that build a pattern while they run, with its use and patterns as they build them."""


@pytest.fixture(scope="module")
def collected() -> dict[tuple[str | bytes, int, frozenset[str]], Found]:
    found = {}
    for one in patterns():
        if one.text is not None:
            found[one.text, one.flags, one.uses] = one
            continue
        assert one.where in BUILT, (
            f"{one.where} builds a pattern while it runs: give examples in BUILT, or compile it once"
        )
        use, examples = BUILT[one.where]
        made = [Found(one.where, text, 0, frozenset({use})) for text in examples()]
        assert made
        found.update({(each.text, 0, each.uses): each for each in made if each.text is not None})
    return found


def cost(pattern: re.Pattern[str] | re.Pattern[bytes], uses: Iterable[str], text: str) -> int:
    """Return the time that the uses of a pattern take on a text, in ns of this thread."""
    given: str | bytes = text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text
    started = time.thread_time_ns()
    if "search" in uses:
        for _ in pattern.finditer(given):  # type: ignore[arg-type]  # both are text, or both bytes
            pass
    if "match" in uses:
        pattern.match(given)  # type: ignore[arg-type]  # the same
    if "fullmatch" in uses:
        pattern.fullmatch(given)  # type: ignore[arg-type]  # the same
    return time.thread_time_ns() - started


def growth(found: Found, attack: Attack) -> tuple[float, int]:
    """Return the power of the size with which the time grows where it is dear, and that size; 0.0 where it is not."""
    assert found.text is not None
    pattern = re.compile(found.text, found.flags)
    before, power, reached = (0, 0), 0.0, 0
    for size in SIZES:
        text = attack.of(size)
        spent = cost(pattern, found.uses, text)
        unit = UNIT * max(size, 256) / 1024
        if spent < DEAR * unit:
            if size >= 1024:
                return 0.0, 0
        elif len(text) > before[0] > 0:
            spent = min(spent, *(cost(pattern, found.uses, text) for _ in range(2)))
            power = math.log(max(spent, 1) / before[1]) / math.log(len(text) / before[0])
            reached = len(text)
            if spent > ENOUGH * unit or (size >= 1024 and power < SETTLED):
                break
        before = len(text), max(spent, 1)
    return power, reached


UNIT = max(min(cost(re.compile("[^\x01]*\x01"), {"match"}, "a" * 1024) for _ in range(50)), 500)
"""What one look through 1,024 characters costs on this machine."""


class TooLongError(BaseException):
    """A pattern takes so long that not even its growth can be measured. No `Exception`: nothing may catch it."""


def slowest(found: Found) -> str:
    """Describe the text for which a pattern is slow; empty when there is none."""
    assert found.text is not None

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLongError

    attack = Attack("", "", "")
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1e7 * UNIT / 1e9)
    try:
        for attack in attacks(found.text, found.flags):
            power, size = growth(found, attack)
            if power > STEEP and min(growth(found, attack)[0] for _ in range(3)) > STEEP:
                return f"{found.where}: time grows with the power {power:.1f} (at {size}) on {attack}: {found.text!r}"
    except TooLongError:
        return f"{found.where}: does not end on {attack}: {found.text!r}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return ""


def test_every_pattern_is_linear(collected: dict[tuple[str | bytes, int, frozenset[str]], Found]) -> None:
    assert len(collected) > 300
    slow = [told for found in collected.values() if (told := slowest(found))]
    assert not slow, "\n".join([__doc__ or "", *slow])


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        (rb"'a'\s*:\s*([^,]+)\s*,", {"match"}),
        (r"(\w+)=", {"search"}),
        (r"<[^>]*>x", {"search"}),
        (r"(?:a|b|ab)*c", {"match"}),
        (r"(?:\d+\s?)+:", {"fullmatch"}),
        (r"key=.*;end", {"search"}),
    ],
)
def test_a_slow_pattern_is_seen(text: str | bytes, uses: set[str]) -> None:
    assert slowest(Found("here", text, 0, frozenset(uses)))


def test_python_3_10_knows_every_pattern(collected: dict[tuple[str | bytes, int, frozenset[str]], Found]) -> None:
    for found in collected.values():
        assert not newer_syntax(parser.parse(found.text, found.flags)), f"{found.where}: {found.text!r}"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older versions refuse them by themselves")
@pytest.mark.parametrize("text", ["a++b", "(?>a*)b", "(?:x(?=(?>a)))"])
def test_newer_syntax_is_seen(text: str) -> None:
    assert newer_syntax(parser.parse(text))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_python_3_10_parses_the_package(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 10))
