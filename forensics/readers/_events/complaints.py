"""What a program says of itself: that something of the state of training is not as it should be.

Signatures know the words of libraries; a loop of one's own has words that nobody else wrote. Three things together make
a complaint: the level that its writer gave the line (WARNING and above), something that training is made of (weights, a
checkpoint, gradients, ranks), and a word for what is wrong with it. Libraries warn of what is usual all the time, in
words such as these; what they say counts only where a sign or a signature knows it. So does the title of an account:
whoever writes one above a log says what it is about.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from forensics.deferred.patterns import expression
from forensics.model import Integers
from forensics.readers._events.leads import quotes

LEVELS = (b"WARNING", b"WARN ", b"WARN]", b"WARN:", b"ERROR", b"CRITICAL", b"Warning: ")
KEYS = b"keys"
UNEXPECTED = (b"xpected", b"XPECTED")
_CATEGORY = LEVELS[-1]
_HEADER, _LINE = 160, 600
_OUTLINE = bytes.maketrans(b"23456789", b"11111111")
"""Nothing here asks which digit stands somewhere, but whether it is zero."""
_LEVEL = expression(rb"(?<![A-Za-z_.])(?:WARN(?:ING)?|ERROR|CRITICAL|Warning)(?![A-Za-z_])")
_OF_A_LIBRARY = expression(
    rb"\[(?:WARN(?:ING)?|ERROR)\s{0,4}\||\[\w{1,40}\.py:\d|site-packages|[A-Za-z]Warning\b|\bpy\.warnings\b|\bwandb\b"
    rb"|(?<![\w.])(?:transformers|torch|torchvision|tensorflow|absl|datasets|accelerate|deepspeed|tokenizers|diffusers"
    rb"|huggingface_hub|numba|matplotlib|urllib3|jax|ray|vllm|asyncio|filelock|mlflow|comet_ml|PIL|sklearn|lightning"
    rb"|pytorch_lightning|nemo_logging|xformers|triton|bitsandbytes|peft|trl)(?:[.:\]/]|\s{1,4}-)"
    rb"|\.(?:cc|cpp|cu|h)[:(]\d"
)
_PART = expression(
    rb"(?i)(?<![A-Za-z])(?:checkpoints?|ckpts?|weights?|param(?:eter)?s?|grad(?:ient)?s?|grad_?norm|loss(?:es)?"
    rb"|optimi[sz]er|scheduler|learning[ _]rate|lr|state(?:_?dict)?|ranks?|replicas?|worlds?|layers?|labels?"
    rb"|embeddings?"
    rb"|logits?|activations?|adapters?|teacher|ema|rewards?|policy|kl|buffers?|backbone|encoder|decoder|head|masks?"
    rb"|updates?)(?![A-Za-z])"
)
_WRONG = expression(
    rb"(?i)(?<![A-Za-z])(?:not (?:found|loaded|initiali[sz]ed|restored|match(?:ing)?|synchroni[sz]ed|in sync|finite"
    rb"|updat(?:ed|ing)|a number|trained|training|learning|chang(?:ed|ing)|moving|receiv(?:ed|ing))|found no"
    rb"|no (?:checkpoint|ckpt|grad(?:ient)?s?|trainable|labels?|weights?)|missing|unexpected"
    rb"|mismatch(?:e[sd])?|differs?"
    rb"|inconsistent|diverg(?:ed|es|ing|ence)|out of (?:sync|range)|desync\w{0,10}|non-?finite|nan|inf|infinite"
    rb"|overflow(?:ed)?|all zeros?|zero grad\w{0,6}|(?:is|are) (?:all )?(?:0|zero)|stuck|corrupt(?:ed)?"
    rb"|damaged|truncated"
    rb"|fail(?:ed|ure)|cannot|could not|couldn't|unable|from scratch|random(?:ly)?[ -]init\w{0,12}"
    rb"|initial weights|lost"
    rb"|explod(?:ed|ing)|vanish(?:ed|ing)|collaps(?:ed|ing)|won't learn|does not learn|unchanged|stale|dead"
    rb"|too (?:large|high|low|small))(?![A-Za-z])"
)
_QUOTED = expression(rb"(?<=[\s:=(\[])(?:'[^']{0,300}'|\"[^\"]{0,300}\")")
"""Samples, names and paths that a line quotes."""
_DENIED = expression(
    rb"(?i)(?<![A-Za-z])(?:if|retry(?:ing)?|deprecated|in future"
    rb"|will be removed|no (?:nans?|errors?)|0 (?:missing|nan))(?![A-Za-z])"
)
_BOTH = expression(rb"(?i)(?<![\d.])[1-9]\d{0,6} missing(?: \w{1,12})?,? (?:keys,? )?(?:and )?[1-9]\d{0,6} unexpected")
"""Keys that are missing and others that are too many: the names are those of another model."""
_TITLE = expression(
    rb"(?i)^#{1,3} .{0,200}?(?<![A-Za-z])(?:nan|inf|errors?|time(?:d )?-?outs?|hangs?|hanging|hung|stuck"
    rb"|fail(?:s|ed|ure)?|crash(?:es|ed|ing)?|oom|out of memory|deadlocks?|diverg\w{1,5}|explod\w{1,5}|killed"
    rb"|bug|wrong|collaps\w{1,5}"
    rb"|(?:not|never|n't) (?:decreas|converg|learn|work|improv|chang)\w{0,5})(?![A-Za-z])"
)


def complains(line: bytes) -> bool:
    """Tell whether a line is a complaint of its own program."""
    return _complains(line[:_LINE].translate(_OUTLINE))


@lru_cache(maxsize=1 << 12)
def _complains(line: bytes) -> bool:
    """Judge an outline once: warnings come in thousands that differ in their numbers only."""
    if any(word in line for word in UNEXPECTED) and _BOTH.search(line):
        return True
    level = _LEVEL.search(line, 0, _HEADER)
    if level is None or _OF_A_LIBRARY.search(line) or _DENIED.search(line, level.end()):
        return False
    said = _QUOTED.sub(b"", line[level.end() :])
    return not quotes(line[: level.start()]) and _PART.search(said) is not None and _WRONG.search(said) is not None


def may_complain(data: bytes, places: Integers, starts: Integers, unexpected: Integers) -> NDArray[np.bool_]:
    """Tell which places of a level need a look at their lines, `starts` where those begin (both int64, shape (n,)).

    What stands behind a letter is the name of a category (`UserWarning: `): no level, and its line a library's, unless
    it holds one of the words of `UNEXPECTED`, which stand in the lines that begin at `unexpected` (ascending).
    """
    text = np.frombuffer(data, dtype=np.uint8)
    letter = ((text[places - 1] | np.uint8(0x20)) - np.uint8(ord("a"))) < np.uint8(26)
    titled = text[places + 1] == ord("a")
    inside = (places > starts) & (places - starts < _LINE - len(_CATEGORY))
    kept: NDArray[np.bool_] = ~(letter & titled & inside)
    if len(unexpected):
        kept |= unexpected.take(np.searchsorted(unexpected, starts), mode="clip") == starts
    return kept


def title(text: bytes) -> bytes | None:
    """Return the first line of a text where it is a heading that names a fault, else None."""
    first = text[:_LINE].partition(b"\n")[0].rstrip()
    return first if _TITLE.match(first) else None
