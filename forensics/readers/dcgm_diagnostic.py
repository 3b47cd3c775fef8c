"""What `dcgmi diag` found: its table and its JSON form (`-j`).

    | Memory                    | Fail - GPU: 2                                  |     DCGM 3
    | memory                    | Fail                                           |     DCGM 4
    |                           | GPU2: Fail                                     |
    | Error                     | GPU 3 has uncorrectable memory errors and row  |     before any test
    |                           |  remappings are pending                        |

    {"DCGM Diagnostic": {"test_categories": [{"category": "Hardware", "tests": [{"name": "memory", "results":
    [{"entity_id": 2, "status": "Fail", "warnings": [..]}]}]}]}}

Captures: NVIDIA/DCGM issues 253 and 272, NVIDIA/go-dcgm issue 52, NVIDIA/NVSentinel pull request 772,
stas00/ml-engineering `compute/accelerator/nvidia/debug.md`; the JSON form: NVIDIA/DCGM `nvvs/src/JsonOutput.h`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import parse
from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._events.rows import events
from forensics.readers._events.scan import of_lines
from forensics.storage.file import File

MOST_BYTES = 8 << 20
_TABLE = expression(rb"\|\s*Diagnostic\s+\|\s*Result\s+\|")
_JSON = expression(rb'"DCGM (?:GPU )?Diagnostic"\s*:')
_ROW = expression(r"\|([^|]{0,80})\|(.{0,240})\|\s*")
FAILED = " failed"
_FAILED = expression(r"^Fail(?: - (?:GPUs?: ?)?(.{1,80}))?$|^(GPU ?\d+): Fail", re.IGNORECASE)


def looks_like_diagnostic(head: bytes) -> bool:
    """Tell whether a file holds the table or the JSON of a diagnostic."""
    return _TABLE.search(head) is not None or (head.lstrip().startswith(b"{") and _JSON.search(head) is not None)


@reader(
    "dcgm-diagnostic",
    sniff=looks_like_diagnostic,
    tested="written after captures of four public threads and the source of DCGM 4",
)
def dcgm_diagnostic(artifact: Artifact) -> Iterator[Fact]:
    """`dcgmi diag`: the tests that failed, on which board."""
    with File(artifact.location) as file:
        data = file.head(MOST_BYTES)
    told = _of_json(parse(data).value) if data.lstrip().startswith(b"{") else _of_table(data.decode("utf-8", "replace"))
    text = "\n".join(f"GPU health: dcgmi diag, {name}{what}" for name, what in dict.fromkeys(told))
    yield from events(of_lines(text.encode()), artifact.path, "failed test {}")


def _of_table(text: str) -> Iterator[tuple[str, str]]:
    """Yield each test that failed and the board; DCGM 4 lists the boards below the test, errors go on below."""
    name = ""
    pending = ""
    error: list[str] = []
    for line in [*text.splitlines(), "| | |"]:
        row = _ROW.match(line)
        test, result = (row[1].strip(), row[2].strip()) if row else ("", "")
        failed = _FAILED.match(result)
        if error and (test or not result):
            yield "error: ", " ".join(error)
            error = []
        if test:
            if pending:
                yield pending, FAILED
            name, pending = test, ""
        if name == "Error" and result:
            error.append(result)
        if failed is None:
            continue
        board = failed[1] or failed[2]
        if board:
            yield name, f"{FAILED} on {board if board.upper().startswith('GPU') else f'GPU {board}'}"
            pending = ""
        else:
            pending = name
    if pending:
        yield pending, FAILED


def _of_json(tree: object) -> Iterator[tuple[str, str]]:
    """Yield the same of every `tests` list that the tree holds, whatever the version nests it in."""
    if isinstance(tree, Mapping):
        tests = tree.get("tests")
        for test in tests if isinstance(tests, list) else []:
            yield from _of_test(test)
        for name, below in tree.items():
            if name != "tests":
                yield from _of_json(below)
    elif isinstance(tree, list):
        for below in tree:
            yield from _of_json(below)


def _of_test(test: object) -> Iterator[tuple[str, str]]:
    results = test.get("results") if isinstance(test, Mapping) else None
    for result in results if isinstance(results, list) else []:
        if isinstance(result, Mapping) and str(result.get("status", "")).lower() == "fail":
            yield str(test.get("name", "a test")), FAILED + _board(result)  # type: ignore[attr-defined]  # a mapping, as above


def _board(result: Mapping[str, Any]) -> str:
    board = result.get("entity_id", result.get("gpu_id", result.get("gpu_ids")))
    return "" if board is None else f" on GPU {board}"
