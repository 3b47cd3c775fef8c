"""Why a file is not read, and what is said of a place where nothing could be."""

import re
from collections.abc import Sequence

from forensics.deferred.patterns import expression
from forensics.discovery.discover import Discovery
from forensics.errors import ForensicsError
from forensics.formats.text import redact
from forensics.model import Artifact, Skip
from forensics.storage.file import File
from forensics.storage.locations import Place

LAST_BYTES = 4 << 10
SHOWN = 200
"""How much of a text that nobody reads is looked at, and shown."""
TOLD_REASONS = 3
UNKNOWN_FILE = "no reader knows what this is"
YAML_NAMES = (".yaml", ".yml")
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00")
"""gzip, zstd, bzip2, xz."""
NOISE = expression(
    r"(?:^|/)(?:tokenizer[^/]*|vocab[^/]*|merges\.txt|special_tokens_map\.json|added_tokens\.json|chat_template[^/]*"
    r"|preprocessor_config\.json|[^/]*\.(?:py|png|jpg|svg|ipynb|md|gitattributes|gitignore)|latest|LICENSE[^/]*)$"
)
"""Files that belong to a run and say nothing about what became of it."""
OF_A_CLIENT = expression(
    r"(?:^|/)(?:wandb|run-\d{8}_\d{6}-[\w-]+)/(?:(?:logs|debug)/)?debug[\w-]*\.log$|^logs/debug(?:-internal|-core)?\.log$"
)
"""What a tracker's own client logs: its errors (no network, a missing extra) are not those of the run."""
HOLLOW_BYTES, HOLLOW_SHARE = 64 << 30, 1 / 64
"""A file of this size and less than this share on disk is not read."""


def untouched(artifact: Artifact) -> str:
    """Say why a file is not even opened, "" where it is."""
    if not artifact.size:
        return "the file is empty"
    return "the log of the tracker's own client" if OF_A_CLIENT.search(artifact.path) else ""


def held_back(artifact: Artifact, head: bytes, *, opened: bool) -> str:
    """Say why no reader is given a file whose first bytes are `head`, "" where one is.

    It is compressed and nothing has `opened` it, or larger than any log and hardly more than holes, which would be
    read for an hour.
    """
    if not opened and head.startswith(COMPRESSED) and not artifact.path.endswith((".pt", ".bin", ".ckpt")):
        return "compressed; unpack it, or name it alone"
    if artifact.size < HOLLOW_BYTES:
        return ""
    try:
        with File(artifact.location) as file:
            held = file.held_bytes()
    except ForensicsError:
        return ""  # Its reader tells it.
    if held >= artifact.size * HOLLOW_SHARE:
        return ""
    return f"is sparse: {artifact.size / 1e9:,.0f} GB declared, {held / 1e3:,.0f} KB on disk; it was not read"


def unknown(artifact: Artifact) -> Skip | None:
    """Say why no reader took a file: YAML made to exhaust a parser is named, all else is not known.

    None where the file is one that tells nothing in any run.
    """
    if NOISE.search(artifact.path):
        return None
    if artifact.path.endswith(YAML_NAMES):
        from forensics.formats.safe_yaml import parse as parse_yaml

        try:
            with File(artifact.location) as file:
                parse_yaml(file.head(artifact.limits.yaml_bytes + 1), artifact.limits)
        except ForensicsError as error:
            return Skip(artifact.path, str(error))
    return Skip(artifact.path, UNKNOWN_FILE)


def nothing_in(path: Place, found: Discovery, skips: Sequence[Skip]) -> str:
    """Say in one line that nothing in a place is readable, and why."""
    reasons = [f"{skip.what}: {skip.reason}" for skip in skips]
    if reasons:
        more = f"; and {len(reasons) - TOLD_REASONS} more" if len(reasons) > TOLD_REASONS else ""
        return f"nothing readable in {path}: {'; '.join(reasons[:TOLD_REASONS])}{more}"
    if not found.artifacts:
        return f"{path} holds no files"
    return (
        f"nothing readable in {path}: none of its {len(found.artifacts)} files is a log, event file, trainer"
        " state, configuration or checkpoint that medforensics knows (`medforensics formats` lists them)"
        f"{_last_words(found.artifacts)}"
    )


def _last_words(artifacts: Sequence[Artifact]) -> str:
    """Return what the only text of a folder ends with: who has no more than that may know the words."""
    if len(artifacts) != 1:
        return ""
    with File(artifacts[0].location) as file:
        end = file.read(max(0, file.size - LAST_BYTES), min(file.size, LAST_BYTES))
    lines = [line.strip() for line in end.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or not re.search(r"[A-Za-z]{3}", lines[-1]) or not lines[-1].isprintable() or "\ufffd" in lines[-1]:
        return ""
    return f"; {artifacts[0].path} ends with \u201c{redact(lines[-1])[:SHOWN]}\u201d"
