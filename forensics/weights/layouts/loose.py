"""Weight files that no framework's layout claims: any safetensors, torch or numpy file on its own."""

import re

from forensics.errors import ForensicsError
from forensics.model import Artifact, Piece, Skip, TensorRecord
from forensics.storage.file import File
from forensics.weights.folders import step_of
from forensics.weights.found import TOLD, Found, grepable, is_hollow, open_torch, report_error, safetensors_records
from forensics.weights.layouts._saved import saved_records

TORCH_ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar", ".joblib")
NO_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state|random_states).*")
"""Files that stand beside weights and hold none."""


def recognise(artifact: Artifact) -> Found | None:
    """Return the file as a checkpoint of its own, or None when its name is not one of a weight file."""
    name = artifact.path.rpartition("/")[2]
    if NO_WEIGHTS.fullmatch(name):
        return None
    found = Found(artifact.path, "file", step_of(name.rpartition(".")[0]), modified=artifact.modified)
    if name.endswith(".safetensors"):
        found.records.extend(safetensors_records(found, artifact))
    elif name.endswith(TORCH_ENDINGS):
        read = open_torch(found, artifact)
        if read is not None:
            saved_records(found, artifact, read)
    elif name.endswith((".npz", ".npy")):
        found.records.extend(_numpy(found, artifact))
    else:
        return None
    return found


def _numpy(found: Found, artifact: Artifact) -> list[TensorRecord]:
    from forensics.formats.npz import read_numpy

    try:
        with File(artifact.location) as file:
            read = read_numpy(file, artifact.limits)
            if is_hollow(found, artifact, file):
                return []
    except ForensicsError as error:
        report_error(found, artifact, error)
        return []
    if read.problems:
        told = "; ".join(grepable(problem) for problem in read.problems[:TOLD])
        (found.suspicious if read.arrays else found.damaged)(f"{artifact.path}: {told}", artifact.path)
    if read.unread:
        told = "; ".join(grepable(reason) for reason in read.unread[:TOLD])
        more = f"; and {len(read.unread) - TOLD:,} more" if len(read.unread) > TOLD else ""
        found.skips.append(Skip(artifact.path, f"{told}{more}"))
    return [
        TensorRecord(a.name, "weight", a.dtype, a.shape, (Piece(artifact.path, a.offset, a.nbytes),))
        for a in read.arrays
    ]
