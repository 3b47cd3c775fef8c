"""Weight files that no framework's layout claims: any safetensors, torch or numpy file on its own.

Data lie beside a run in the same formats: token files (nanoGPT's `train.bin`), arrays of features with NaN for what is
missing, caches of datasets. In the folder of a run a file is a checkpoint when it shows that it is one: it is called
so, holds an optimizer, or its tensors are named as weights are. A file that was asked for by name needs not.
"""

import re

from forensics.deferred.patterns import expression
from forensics.errors import ForensicsError
from forensics.formats.placeholder import HEAD_BYTES
from forensics.formats.torch_file import begins_as_torch
from forensics.model import Artifact, Piece, Skip, TensorRecord
from forensics.storage.file import File
from forensics.weights.folders import step_of
from forensics.weights.found import TOLD, Found, grepable, is_hollow, open_torch, report_error, safetensors_records
from forensics.weights.layouts._saved import saved_records

TORCH_ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar", ".joblib")
NO_WEIGHTS = expression(r"(training_args|optimizer|scheduler|scaler|rng_state|random_states).*")
"""Files that stand beside weights and hold none."""
_STRONG = r"models?|ckpts?|checkpoints?|weights?|params?|parameters|state_?dict|pytorch"
_WEAK = (
    r"state|net(?:work)?|best|last|latest|final|epoch|step|iter(?:ation)?|ema|lora|adapter|snapshot|policy|actor|critic"
    r"|net[gd]|generator|discriminator|encoder|decoder|unet|vae|backbone|llm"
)
CALLED_SO = expression(rf"(?<![a-z])(?:{_STRONG}|{_WEAK})(?![a-z])", re.IGNORECASE)
"""What people call a checkpoint or the folder of checkpoints."""
SURELY_CALLED_SO = expression(rf"(?<![a-z])(?:{_STRONG})(?![a-z])", re.IGNORECASE)
"""The same for formats that hold data more often than weights: `best_predictions.npy` is no checkpoint."""
OF_DATA = (".npz", ".npy", ".bin", ".pkl", ".joblib")
NAMED_AS_WEIGHTS = expression(
    r"(?:^|[./_])(?:weight|bias|kernel|gamma|beta|embeddings?|lora_[AB]|running_(?:mean|var)|scale|wte|wpe|codebook)$"
    r"|^(?:exp_avg|optimizer\.)|\.layers?\.\d|\blayers?_\d",
)
"""How torch, flax and Keras call the tensors of a layer."""
DATA = "no tensor is named as a weight is: taken for data (name the file alone to have it examined)"


def recognise(artifact: Artifact, *, asked: bool = False) -> Found | Skip | None:
    """Return the file as a checkpoint of its own, or None when its name is not one of a weight file.

    Unless it was `asked` for by name, a file that does not show that it is a checkpoint is left out, with a reason.
    """
    known = asked or artifact.path.endswith(".safetensors") or _called_so(artifact.path)
    if artifact.path.endswith(TORCH_ENDINGS) and not known and not _begins_as_torch(artifact):
        return Skip(artifact.path, "no torch file, and not called a checkpoint: taken for data")
    found = _look(artifact)
    if found is None or known or not found.records or _shows(found):
        return found
    return Skip(artifact.path, DATA)


def _called_so(path: str) -> bool:
    pattern = SURELY_CALLED_SO if path.endswith(OF_DATA) else CALLED_SO
    return pattern.search(path) is not None


def _shows(found: Found) -> bool:
    state = found.optimizer is not None or not found.records.tensors.roles.among({"weight"}).all()
    return state or any(map(NAMED_AS_WEIGHTS.search, found.records.tensors.names.kinds[0]))


def _begins_as_torch(artifact: Artifact) -> bool:
    try:
        with File(artifact.location) as file:
            return begins_as_torch(file.head(HEAD_BYTES))
    except ForensicsError:
        return True  # What keeps it from being read is told where it is read.


def _look(artifact: Artifact) -> Found | None:
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
