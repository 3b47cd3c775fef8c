"""Sentences of an account that tell how its author's training was set up: precision, kernels, boards."""

from collections import defaultdict
from collections.abc import Iterator

from forensics.formats.flatten import scalar
from forensics.formats.plain_scalar import plain
from forensics.model import Artifact, Fact, Group, Setting, Standing
from forensics.plugin import reader
from forensics.readers._environment import LINE, read_lines
from forensics.signatures.described import Mention
from forensics.signatures.reported import BETWEEN
from forensics.signatures.tried import described_in, trials_in

NAMES = {"several ranks": "multi_gpu"}
"""What configurations call a setting that sentences tell."""


@reader("described", match=(r"/described\.account$",), alone=True, tested="bodies of public issues")
def described(artifact: Artifact) -> Iterator[Fact]:
    """Sentences of an issue that name what its author trains with: half precision, a kernel, a board, several of them.

    It counts where nothing better is on file, and contradicts nothing. Of a setting with two values the one counts
    that is said to fail, else none.
    """
    told: dict[tuple[str, str], dict[str, tuple[int, bool, Mention]]] = defaultdict(dict)
    for line in read_lines(artifact):
        for sentence in line.text.split(BETWEEN) if line.text.strip() else ():
            failing = {trial[1:3] for trial in trials_in(sentence) if not trial.works}
            for mention in described_in(sentence):
                values = told[(mention.group, mention.name)]
                fails = (mention.name, mention.value) in failing
                if fails or mention.value not in values:
                    values[mention.value] = (line.number, fails, mention)
    both = {name for _, name in told} & {"bf16", "fp16"}
    for (group, name), values in told.items():
        chosen = [one for one in values.values() if one[1]] if len(values) > 1 else [*values.values()]
        if len(chosen) == 1 and not (name == "mixed_precision" and both):
            number, _, mention = chosen[0]
            kind: Group = "hardware" if group == "hardware" else "setting"
            value = mention.value if kind == "hardware" else scalar(mention.name, plain(mention.value))
            yield Setting(kind, NAMES.get(name, name), value, artifact.at(LINE, number), Standing.INFERRED)
