"""torch Distributed Checkpoint (DCP): `.metadata` and `__RANK_NUMBER.distcp`.

Written by FSDP sharded states (accelerate, Trainer: `pytorch_model_fsdp_0`, `optimizer_0`), torchtitan (`step-N`),
Megatron's `torch_dist` format (with `common.pt`) and Lightning. `.metadata` is a plain pickle (torch 2.13
`distributed/checkpoint/metadata.py`), written last; a data file is one `torch.save` blob after another
(`distributed/checkpoint/filesystem.py`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import field, replace

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass
from forensics.errors import ForensicsError, MalformedError
from forensics.formats.pickle_values import Record, StoredTensor
from forensics.formats.torch_file import TorchFile, read_elements, read_pickle, read_torch
from forensics.model import Artifact, OptimizerState, Piece
from forensics.storage.file import File
from forensics.weights.folders import Folder, Folders, step_of
from forensics.weights.found import Found, grepable, open_torch, report_error, tell_unsafe
from forensics.weights.layouts._chunks import Chunk, ChunksError, assembled
from forensics.weights.layouts._names import named_by_key
from forensics.weights.optimizer import checked_steps, real, record_state, whole

DATA = expression(r"__(\d+)_\d+\.distcp")
PARTS = expression(r"(?:pytorch_model_fsdp|optimizer)_\d+")
"""Folders of accelerate's `utils/fsdp_utils.py` (`FSDP_MODEL_NAME`, `OPTIMIZER_NAME`), parts of one save."""
SETTINGS = frozenset({"lr", "betas", "eps", "weight_decay", "step"})
"""Last words of the keys under `param_groups.` that hold the numbers of a group of the optimizer."""
GROUP = expression(r"(\d{1,9})\.")
MOST_SETTINGS = 64
MOST_STEPS = 64


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where one blob lies: a file of the folder, a window in it."""

    file: str
    offset: int
    length: int
    offsets: tuple[int, ...] = ()


@dataclass(slots=True)
class _Metadata:
    """What `.metadata` says: shapes of tensors, the other entries, the path in the saved dict, the places."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    paths: dict[str, tuple[object, ...]] = field(default_factory=dict)
    places: dict[str, list[_Stored]] = field(default_factory=lambda: defaultdict(list))


def recognise(folder: Folder, folders: Folders) -> Iterator[Found]:
    """Yield the checkpoint in this folder, if it holds `.metadata` or `.distcp` files."""
    del folders
    data = [artifact for _, artifact in folder.matching(DATA)]
    metadata = folder.files.get(".metadata")
    if not data and (metadata is None or not _is_dcp(metadata)):
        return
    kind = "megatron-dist" if "common.pt" in folder.files else "dcp"
    found = Found(folder.path, kind, step_of(folder.name), modified=folder.modified)
    if PARTS.fullmatch(folder.name):
        found.part_of_parent = True
    ranks = {int(match[1]) for match, _ in folder.matching(DATA)}
    found.world_size = len(ranks) or None
    if metadata is None:
        found.incomplete(
            f"{folder.path} has data files and no .metadata, which is written last: the save was interrupted",
            folder.path,
        )
    else:
        _read(found, folder, metadata)
    if "common.pt" in folder.files:
        _common(found, folder.files["common.pt"])
    yield found


def _is_dcp(artifact: Artifact) -> bool:
    try:
        with File(artifact.location) as file:
            return b"torch.distributed.checkpoint" in file.head(256)
    except ForensicsError:
        return False


def _read(found: Found, folder: Folder, artifact: Artifact) -> None:
    try:
        with File(artifact.location) as file:
            read = read_pickle(file, artifact.limits)
    except ForensicsError as error:
        report_error(found, artifact, error)
        return
    found.files.append(artifact.path)
    tell_unsafe(found, artifact, read.dangerous)
    if read.partial:
        found.damaged(f"{artifact.path} is cut off or corrupt: {'; '.join(read.problems[:3])}", artifact.path)
    try:
        metadata = _metadata(read)
    except ForensicsError as error:
        report_error(found, artifact, error)
        return
    missing = sorted({s.file for stored in metadata.places.values() for s in stored} - set(folder.files))
    if missing:
        shown = ", ".join(name[:60] for name in missing[:3])
        found.incomplete(f"{len(missing)} data files are missing: {shown}", artifact.path)
    _tensors(found, folder, metadata)
    _settings(found, folder, metadata)


def _metadata(read: TorchFile) -> _Metadata:
    made = _Metadata()
    state = record_state(read.value)
    entries, planned, stored = (state.get(name) for name in ("state_dict_metadata", "planner_data", "storage_data"))
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        size = record_state(entry).get("size")
        if isinstance(size, tuple):
            made.shapes[str(name)] = _counts(size)
        else:
            made.others.append(str(name))
    for name, path in planned.items() if isinstance(planned, Mapping) else ():
        if isinstance(path, tuple):
            made.paths[str(name)] = path
    for index, place in _pairs(stored):
        key, where = record_state(index), record_state(place)
        file, offset, length = where.get("relative_path"), whole(where.get("offset")), whole(where.get("length"))
        begins = key.get("offset")
        if isinstance(file, str) and offset is not None and length is not None:
            offsets = _counts(begins) if isinstance(begins, tuple) else ()
            made.places[str(key.get("fqn"))].append(_Stored(file, offset, length, offsets))
    return made


def _counts(parts: tuple[object, ...]) -> tuple[int, ...]:
    """Return sizes or offsets; raises `MalformedError` where one is no whole number from 0 on."""
    counts = tuple(part for part in parts if isinstance(part, int) and not isinstance(part, bool) and part >= 0)
    if len(counts) < len(parts):
        raise MalformedError("a size or an offset of a tensor is no whole number")
    return counts


def _pairs(value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, Record):
        yield from value.pairs or ()


def _tensors(found: Found, folder: Folder, metadata: _Metadata) -> None:
    steps: list[int] = []
    lost: dict[str, str] = {}
    with _Blobs(folder) as blobs:
        for key, shape in metadata.shapes.items():
            named = named_by_key(key, metadata.paths.get(key))
            places = metadata.places.get(key, [])
            if named.role is None:
                if named.entry == "step" and len(steps) < MOST_STEPS:
                    steps.extend(blobs.numbers(places))
                continue
            try:
                chunks = [blobs.chunk(place, shape) for place in places]
                found.records.extend(assembled(named.name, named.role, shape, chunks))
            except (ChunksError, ForensicsError) as error:
                lost[key] = str(error)
        found.files.extend(blobs.paths)
    if lost:
        name, reason = next(iter(lost.items()))
        found.damaged(
            f"{len(lost)} of {len(metadata.shapes)} tensors of {folder.path} cannot be read, first {name}: "
            f"{grepable(reason)}",
            folder.path,
        )
    if steps:
        found.optimizer = replace(found.optimizer or OptimizerState(), step=checked_steps(found, steps))


class _Blobs:
    """The data files of a folder, opened when a blob of theirs is needed."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._open: dict[str, File] = {}
        self.paths: list[str] = []

    def __enter__(self) -> "_Blobs":  # noqa: PYI034  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def read(self, place: _Stored) -> TorchFile:
        artifact = self._folder.files.get(place.file)
        if artifact is None:
            raise ChunksError(f"{place.file[:80]} is missing")
        if place.file not in self._open:
            self._open[place.file] = File(artifact.location)
            self.paths.append(artifact.path)
        return read_torch(self._open[place.file].window(place.offset, place.length), artifact.limits)

    def chunk(self, place: _Stored, shape: tuple[int, ...]) -> Chunk:
        read = self.read(place)
        if not isinstance(read.value, StoredTensor):
            raise ChunksError(f"the blob at byte {place.offset} of {place.file} is no tensor")
        tensor = read.value
        if tensor.problem is not None:
            raise ChunksError(tensor.problem)
        if not tensor.contiguous:
            raise ChunksError("a part of it is not contiguous")
        offsets = place.offsets if len(place.offsets) == len(tensor.shape) else (0,) * len(shape)
        path = self._folder.files[place.file].path
        return Chunk(offsets, tensor.shape, tensor.dtype, Piece(path, tensor.offset, tensor.nbytes))

    def numbers(self, places: list[_Stored]) -> Iterator[int]:
        for place in places:
            try:
                tensor = self.read(place).value
                if isinstance(tensor, StoredTensor) and tensor.elements == 1:
                    yield int(float(read_elements(self._open[place.file], tensor, 64).reshape(-1)[0]))
            except (ChunksError, ForensicsError, ValueError, OverflowError):
                continue


def _settings(found: Found, folder: Folder, metadata: _Metadata) -> None:
    """Read the numbers of the optimizer's parameter groups, each of which is a blob of its own."""
    values: dict[str, dict[str, object]] = {}
    with _Blobs(folder) as blobs:
        for key in metadata.others:
            _, found_there, rest = key.rpartition("param_groups.")
            around, _, setting = key.rpartition(".")
            if not found_there or setting not in SETTINGS or len(values) >= MOST_SETTINGS:
                continue
            numbered = GROUP.match(rest)
            group = numbered[1] if numbered else around
            for place in metadata.places.get(key, []):
                try:
                    values.setdefault(group, {})[setting] = blobs.read(place).value
                except (ChunksError, ForensicsError):
                    continue
    groups = list(values.values())
    if not groups:
        return
    first = groups[0]
    betas = first.get("betas")
    pair = betas if isinstance(betas, tuple | list) and len(betas) == 2 else (None, None)
    found.optimizer = replace(
        found.optimizer or OptimizerState(),
        learning_rates=tuple(dict.fromkeys(v for g in groups if (v := real(g.get("lr"))) is not None)),
        weight_decays=tuple(dict.fromkeys(v for g in groups if (v := real(g.get("weight_decay"))) is not None)),
        beta1=real(pair[0]),
        beta2=real(pair[1]),
        epsilon=real(first.get("eps")),
        kind="adam" if "betas" in first else "",
    )


def _common(found: Found, artifact: Artifact) -> None:
    read = open_torch(found, artifact)
    if read is not None and isinstance(read.value, Mapping):
        iteration = whole(read.value.get("iteration"))
        found.step = found.step if found.step is not None else iteration
        if iteration is not None and found.step != iteration:
            found.suspicious(f"the folder says step {found.step}, common.pt iteration {iteration}", artifact.path)
