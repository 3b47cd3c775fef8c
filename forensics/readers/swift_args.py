"""`args.json`, all arguments of a run as ms-swift (and many a script) writes them beside its checkpoints.

    {"model": "Qwen/Qwen2.5-7B", "train_type": "lora", "learning_rate": 0.0001, "global_world_size": 8,
     "swift_version": "3.8.1", "torch_dtype": "bfloat16"}

ms-swift writes it in `swift/llm/argument/base_args/base_args.py`, `save_args`.
"""

from collections.abc import Iterator

from forensics.errors import MalformedError
from forensics.formats.flatten import flatten
from forensics.model import Artifact, Fact, Setting, Source, Standing
from forensics.plugin import reader
from forensics.readers._environment import damage, load_object, package

VERSIONS = {"swift_version": "ms-swift"}
RENAMED = {"global_world_size": "world_size"}
OF_ONE_PROCESS = frozenset({"rank", "local_rank"})


@reader("args-json", match=(r"(^|/)args\.json$",), tested="built from the source of ms-swift")
def swift_args(artifact: Artifact) -> Iterator[Fact]:
    """`args.json` of ms-swift or a script: every argument of the run, the version of ms-swift."""
    document, found = load_object(artifact)
    if found is None:
        raise MalformedError(f"{artifact.path} holds no JSON object")
    yield from damage(artifact, document, "what stands before was read")
    for name, value in found.items():
        if name in VERSIONS:
            yield from package(VERSIONS[name], str(value), Source(artifact.path, name), Standing.RECORDED)
        elif name not in OF_ONE_PROCESS:
            for dotted, held in flatten(value, RENAMED.get(name, name)):
                yield Setting("setting", dotted, held, Source(artifact.path, name), Standing.RECORDED)
