"""Read every file of a folder under hard limits of memory and processor time, and print what was said.

Run as a script by `test_hostile_torch.py`: a reader that hangs or swallows memory takes only this process down.
"""

import json
import resource
import sys
from pathlib import Path

from forensics.errors import ForensicsError
from forensics.formats.npz import read_numpy
from forensics.formats.torch_file import named_tensors, plain, read_torch, walk
from forensics.limits import Limits
from forensics.storage.file import File

ADDRESS_SPACE = 1 << 30
PROCESSOR_SECONDS = 120
# A sixth of the usual budgets: the cases stay as bad and the test stays short.
LIMITS = Limits(pickle_opcodes=2_000_000, pickle_cost_bytes=100 << 20)


def read(path: Path) -> dict[str, object]:
    try:
        with File(path) as file:
            if path.suffix in {".npy", ".npz"}:
                found = read_numpy(file, LIMITS)
                return {"said": [*found.problems, *found.unread], "tensors": len(found.arrays)}
            saved = read_torch(file, LIMITS)
    except ForensicsError as error:
        return {"said": [str(error)], "tensors": None}
    for _ in walk(saved.value):
        pass
    named = sum(1 for _ in named_tensors(saved.value))
    json.dumps(plain(saved.value))
    intact = sum(tensor.problem is None for tensor in saved.tensors)
    return {"said": [*saved.problems, *saved.dangerous], "tensors": intact, "named": named}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    for path in sorted(Path(sys.argv[1]).iterdir()):
        sys.stdout.write(json.dumps({"name": path.stem, **read(path)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
