"""A checkpoint was cut short while it was written."""

from collections.abc import Iterator

from forensics.deferred.patterns import expression
from forensics.model import Evidence, Experiment, Explained, Fix, Run
from forensics.names import Kind
from forensics.plugin import Condition, rule
from forensics.rules._seen import Seen, fails, first, held, holds, weigh, weigh_yes
from forensics.rules._tensors import damaged, problem_matches
from forensics.rules._told import happened, said

CUT = r"\bcut\b|short|truncat|past the end|beyond|\bends?\b|too few|not in the file|not fully covered|never written"
_CUT_SHORT = (
    r"MetadataIncompleteBuffer|failed finding central directory|unexpected EOF|file is truncated"
    r"|not fully covered|DATA_LOSS"
    r"|invalid header or archive is corrupted|truncated file: eof|file read failed|not a zip file"
)
REFUSED = expression(f"{_CUT_SHORT}|Ran out of input|pickle data was truncated")
"""How safetensors, torch (both of its formats), pickle and HDF5 refuse a file that is cut short."""
REFUSED_FOR_CERTAIN = expression(_CUT_SHORT)
OF_A_CHILD = expression(r"(?:Ran out of input|pickle data was truncated).{0,400}multiprocessing")
"""What a spawned process says whose parent could not send it all that it needs (CPython `multiprocessing/spawn.py`)."""
LFS = r"\blfs\b|pointer"
NOT_CUT = r"\bCRC mismatch\b|\bis an HTML page\b"


def too_short(run: Run) -> Seen | None:
    """Tell whether a file ends before its header says; a pointer and other bytes are another matter."""
    pointer, cut, other = (problem_matches(run, words) for words in (LFS, CUT, NOT_CUT))
    if holds(pointer) or (holds(other) and not holds(cut)):
        seen = pointer if holds(pointer) else other
        assert seen is not None
        return Seen(False, seen.statement, seen.source, seen.key)
    whole = damaged(run)
    return whole if fails(whole) else held(cut)


def refused(run: Run) -> Seen | None:
    """Tell whether a checkpoint was refused as cut short."""
    a_child_did = holds(said(run, Kind.TRACEBACK, OF_A_CHILD))
    return said(run, Kind.CHECKPOINT_REFUSED, REFUSED_FOR_CERTAIN if a_child_did else REFUSED)


def _newest(run: Run) -> Seen | None:
    bad = [c for c in run.checkpoints if any(p.kind == "damaged" for p in c.problems)]
    if not bad or len(run.checkpoints) < 2:
        return None
    last = run.checkpoints[-1]
    said = f"{bad[-1].path} is {'' if bad[-1] is last else 'not '}the last checkpoint of the run"
    return Seen(bad[-1] is last, said, None, "position of the damage")


@rule(
    "CKPT001",
    "truncated-write",
    explains=("checkpoint-damaged", "checkpoint-incomplete", "crash-exception"),
    helps=("checkpoints", "events"),
    references=(
        "https://github.com/lyogavin/airllm/issues/137",
        "https://github.com/openpsi-project/ReaLHF/issues/44",
        "https://github.com/bghira/SimpleTuner/issues/2613",
        "https://github.com/lyogavin/airllm/issues/93",
    ),
    requires=(
        Condition("a file ends before its header says", lambda run, _: first(held(refused(run)), too_short(run))),
    ),
)
def truncated_write(run: Run, explained: Explained) -> Iterator[Evidence | Fix | Experiment]:
    """A checkpoint file is cut short: the process died or the disk was full while it was written.

    ## What happens
    Checkpoints are written in place. A kill, a time limit or a full disk leaves a file that is shorter than
    its header says; kill -9 leaves no line in the log at all.

    ## How to tell
    The header of a safetensors file (8 bytes + JSON + data) promises more bytes than there are; a torch file
    has no central directory at its end. Usually it is the last checkpoint, and trainer_state.json, which is
    written last, is missing beside it.

    ## What to do
    Resume from the checkpoint before. Do not resume from this one, even if some files of it open.

    ## Sources
    safetensors `MetadataIncompleteBuffer` and `HeaderTooLarge`; airllm issue 137, ReaLHF issue 44,
    SimpleTuner 2613.
    """
    if explained.name == "crash-exception" and not holds(refused(run)):
        return
    yield from weigh_yes(refused(run), 7, "the header promises more bytes than the file has")
    yield from weigh_yes(too_short(run), 7, "it ends too early")
    yield from weigh_yes(damaged(run), 1)
    yield from weigh(_newest(run), 1, -1)
    yield from weigh_yes(happened(run, Kind.KILLED), 1)
    yield from weigh_yes(happened(run, Kind.SIGNAL), 1)
    yield from weigh_yes(happened(run, Kind.TIME_LIMIT), 1)
    yield from weigh_yes(happened(run, Kind.DISK_FULL), -1, "the full disk is the closer cause")
    good = run.last_good_checkpoint
    where = f"from {good.path}" if good is not None else "from an earlier checkpoint"
    yield Fix(f"Resume {where}, and delete the damaged one so that no automatic resume picks it.")
    yield Experiment("Compare the size of the file with what its header promises.", "it is smaller", 1)
