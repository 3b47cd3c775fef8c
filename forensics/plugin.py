"""How readers, documents, detectors and rules are declared and collected.

A declaration is a value in a module; `collect` reads a folder of modules in file-name order. Adding a file
registers it: there is no list to edit and nothing happens at import beyond building the value.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import field
from types import ModuleType
from typing import TypeVar

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.model import (
    Artifact,
    Evidence,
    Experiment,
    Explained,
    Fact,
    Finding,
    Fix,
    Run,
    Seen,
    Skip,
)
from forensics.storage.locations import Unpacked

Declared = TypeVar("Declared")
ReadFunction = Callable[[Artifact], Iterator[Fact]]
SplitFunction = Callable[[Artifact], "Iterator[Piece | Skip]"]
FindFunction = Callable[[Run], Iterator[Finding]]
ReasonFunction = Callable[[Run, Explained], Iterator[Evidence | Fix | Experiment]]
LookFunction = Callable[[Run, Explained], Seen | None]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: which files it takes and how it turns one into facts.

    `match` holds regular expressions searched in the path relative to the run (POSIX separators); `sniff`, when
    given, is asked with the first 64 KiB of a file that no pattern took, or to confirm a pattern. `tested` says what
    wrote the files that it was tried with, or that it was built from the source of what writes them. What a reader
    takes `alone` by its name is offered to no other. The sniff of a reader that is not `binary` is asked of text only.
    """

    name: str
    read: ReadFunction
    match: tuple[re.Pattern[str], ...]
    sniff: Callable[[bytes], bool] | None
    doc: str
    tested: str = ""
    alone: bool = False
    binary: bool = False

    def takes(self, path: str) -> bool:
        return any(pattern.search(path) for pattern in self.match)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document that is read as a file of its own.

    `name` is what it would be called as a file: readers go by it and by the content. `first` is the line of the
    document at which `text` begins; what was cut out of the text is blank lines. `place` says what a line is called
    there ("line {}", "cell 3 line {}"). What is too large to be held is a `file` instead of a text. What is `known` is
    for the readers of its name alone: the code of a cell is no log, whatever it prints.
    """

    name: str
    text: str
    place: str = "line {}"
    first: int = 1
    file: Unpacked | None = None
    known: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A format that holds other formats: which files it is, and how one is taken apart.

    A file is one when its path matches, `sniff` recognises its first 64 KiB and it is no larger than the bound of
    `Limits` that `limit` names; then no reader sees the file itself, and every piece goes to the readers that its
    own name and content call for.
    """

    name: str
    split: SplitFunction
    match: tuple[re.Pattern[str], ...]
    sniff: Callable[[bytes], bool]
    doc: str
    limit: str = "small_file_bytes"
    tested: str = ""

    def takes(self, artifact: Artifact, head: bytes) -> bool:
        named = any(pattern.search(artifact.path) for pattern in self.match)
        return named and artifact.size <= getattr(artifact.limits, self.limit) and self.sniff(head)


@dataclass(frozen=True, slots=True)
class Detector:
    """One symptom: what it needs to be judged at all, and how it is found."""

    name: str
    find: FindFunction
    needs: tuple[str, ...]
    any_of: tuple[str, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A necessary condition: a cause is impossible without it.

    `that` says it as a clause ("several processes train"), which is printed as what would decide where `look` returns
    None: no source of the run states it. Only what a source states makes it false; a line that was not seen does not.
    """

    that: str
    look: LookFunction


@dataclass(frozen=True, slots=True)
class Rule:
    """One cause or mechanism: what it can explain and how it argues, for and against.

    `requires` are its necessary conditions, the only thing that rules it out.

    `explains` names symptoms, or mechanisms that another rule establishes. `mechanism` is true for a link of a
    chain that is not itself a root cause. `benign` is true for an explanation under which nothing is wrong.
    `echo` marks one that tells where to look, not what was wrong: beside a cause that holds it is at most possible.
    `stands_alone` marks a mechanism that is an answer by itself when nothing behind it is known.
    `cases` counts the public reports with this cause, of 171 that were read (issue threads of 60 repositories up to
    2026); it decides the order only between causes for which the run says equally much.
    `helps` names evidence that the rule looks at: what of it was not recorded is listed in the report.
    """

    code: str
    name: str
    reason: ReasonFunction
    explains: tuple[str, ...]
    mechanism: bool
    benign: bool
    needs: tuple[str, ...]
    helps: tuple[str, ...]
    references: tuple[str, ...]
    since: str
    doc: str = field(repr=False)
    stands_alone: bool = False
    cases: int = 0
    requires: tuple[Condition, ...] = ()
    echo: bool = False

    @property
    def title(self) -> str:
        return self.doc.strip().splitlines()[0].rstrip(".")


def _text(function: Callable[..., object]) -> str:
    import inspect

    return inspect.cleandoc(function.__doc__ or "")


def reader(  # noqa: PLR0913  (each is a column of the generated index of formats)
    name: str,
    *,
    match: tuple[str, ...] = (),
    sniff: Callable[[bytes], bool] | None = None,
    tested: str = "",
    alone: bool = False,
    binary: bool = False,
) -> Callable[[ReadFunction], Reader]:
    """Declare a reader; the decorated generator function becomes its `read`."""

    def declare(function: ReadFunction) -> Reader:
        matched = tuple(expression(p) for p in match)
        return Reader(name, function, matched, sniff, _text(function), tested, alone, binary)

    return declare


def document(
    name: str,
    *,
    match: tuple[str, ...],
    sniff: Callable[[bytes], bool],
    limit: str = "small_file_bytes",
    tested: str = "",
) -> Callable[[SplitFunction], Document]:
    """Declare a document; the decorated generator function becomes its `split`."""

    def declare(function: SplitFunction) -> Document:
        return Document(name, function, tuple(expression(p) for p in match), sniff, _text(function), limit, tested)

    return declare


def detector(
    name: str, *, needs: tuple[str, ...] = (), any_of: tuple[str, ...] = ()
) -> Callable[[FindFunction], Detector]:
    """Declare a detector that needs all of `needs` and, when given, at least one of `any_of`."""

    def declare(function: FindFunction) -> Detector:
        return Detector(name, function, needs, any_of, _text(function))

    return declare


def rule(  # noqa: PLR0913  (each is a column of the generated index of rules)
    code: str,
    name: str,
    *,
    explains: tuple[str, ...],
    mechanism: bool = False,
    stands_alone: bool = False,
    benign: bool = False,
    needs: tuple[str, ...] = (),
    helps: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
    since: str = "0.1",
    cases: int = 0,
    requires: tuple[Condition, ...] = (),
) -> Callable[[ReasonFunction], Rule]:
    """Declare a rule; the decorated generator yields `Evidence`, `Fix` and `Experiment`."""

    def declare(function: ReasonFunction) -> Rule:
        return Rule(
            code=code,
            name=name,
            reason=function,
            explains=explains,
            mechanism=mechanism,
            benign=benign,
            needs=needs,
            helps=helps,
            references=references,
            since=since,
            doc=_text(function),
            stands_alone=stands_alone,
            cases=cases,
            requires=requires,
        )

    return declare


def collect(package: ModuleType, kind: type[Declared]) -> tuple[Declared, ...]:
    """Every `kind` declared in `package`, in file-name order; modules with a leading underscore are helpers."""
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, kind))
