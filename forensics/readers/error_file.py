"""The error file of torch elastic: what the first rank that failed raised.

`{"message": {"message": "ValueError: x", "extraInfo": {"py_callstack": "Traceback ...", "timestamp": "17"}}}`, or the
text alone under `message`. Source: torch 2.13 `distributed/elastic/multiprocessing/errors/error_handler.py`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from forensics.deferred.patterns import expression
from forensics.formats.lenient_json import load
from forensics.model import Artifact, Fact
from forensics.plugin import reader
from forensics.readers._events.rows import events
from forensics.readers._events.scan import of_lines
from forensics.storage.file import File

_SIGN = expression(
    rb'\A\s*\{\s*"message"\s*:\s*(?:\{\s*"message"\s*:|").{0,4000}"?(?:extraInfo|py_callstack)"?', re.DOTALL
)


@reader(
    "error-file",
    match=(r"(^|/)(?:error|reply|torchelastic_error)[^/]*\.json$",),
    sniff=lambda head: bool(_SIGN.match(head)),
)
def error_file(artifact: Artifact) -> Iterator[Fact]:
    """Torch elastic's `error.json`: the exception of the rank that failed first."""
    with File(artifact.location) as file:
        tree: Any = load(file, artifact.limits).value
    message = tree.get("message") if isinstance(tree, Mapping) else None
    extra = message.get("extraInfo") if isinstance(message, Mapping) else None
    stack = extra.get("py_callstack") if isinstance(extra, Mapping) else None
    text = stack or (message.get("message") if isinstance(message, Mapping) else message)
    if isinstance(text, str):
        yield from events(of_lines(text.encode()), artifact.path, "py_callstack line {}")
