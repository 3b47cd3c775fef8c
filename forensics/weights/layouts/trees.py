"""Saves that are trees of folders: nanotron's `STEP/model/.../*.safetensors`, ColossalAI's `modeling` folder.

nanotron `serialize/weights.py` writes one file a parameter and rank, with the tensor under the key `data`, and
`checkpoint_metadata.json` beside the tree. ColossalAI's ColossalChat writes `running_states.json` beside
`modeling/` and `optimizer/`, which are Hugging Face's and torch's own forms.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from forensics.deferred.patterns import expression
from forensics.weights.folders import Folder, Folders, natural, step_of
from forensics.weights.found import Found, safetensors_records

RANKS = expression(r"(?:_pp-rank-(\d+)-of-(\d+))?(?:_tp-rank-(\d+)-of-(\d+))?(?:_exp-rank-\d+-of-\d+)?\.safetensors")
MARK = "checkpoint_metadata.json"


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the save of which this folder is the root."""
    if MARK not in folder.files:
        return
    base = folder.below("model")
    inside = [one for path, one in folders.items() if path == base or path.startswith(f"{base}/")]
    named = int(folder.name) if re.fullmatch(r"\d{1,15}", folder.name) else step_of(folder.name)
    found = Found(folder.path, "nanotron", named, modified=folder.modified)
    for one in sorted(inside, key=lambda each: natural(each.path)):
        _folder(found, one, one.path[len(base) + 1 :].replace("/", "."))
    if not found.records and not found.problems:
        found.incomplete(f"{folder.path} has {MARK} and no weights", folder.path)
    yield found


def _folder(found: Found, folder: Folder, module: str) -> None:
    for name, artifact in folder.files.items():
        if not name.endswith(".safetensors"):
            continue
        match = RANKS.search(name)
        several = match is not None and any(count not in {None, "1"} for count in (match[2], match[4]))
        plain = name[: match.start()] if match is not None else name.removesuffix(".safetensors")
        rank = f"tp{match[3] or 0}pp{match[1] or 0}:" if several and match is not None else ""
        stem = plain.removeprefix("model_")
        full = f"{rank}{module}.{stem}" if module else f"{rank}{stem}"
        records = safetensors_records(found, artifact)
        found.records.extend(
            replace(record, name=full if record.name == "data" else f"{full}.{record.name}") for record in records
        )
