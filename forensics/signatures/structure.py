"""What the build of a last error says of its cause, where no signature and no wording that is listed knows it.

An exception says more than its sentence: which class it is, whose code raised it and where (a check of arguments, a
loader of checkpoints, a reader of data, a compiler, the run's own line), whether training had begun, which number the
system gave it, and what its words are about (a board, a dtype, a name, a release) and do (refuse, miss, differ). Each
row of `BUILDS` joins a few of these; none repeats a program's phrase. What a row says is a guess and counts as one
(`GUESS`, `forensics.diagnosis.reason`).
"""

import re
from collections.abc import Iterator
from functools import cache

from forensics.deferred.patterns import expression
from forensics.deferred.records import dataclass

_PLACE = expression(
    r" \(((?:[^()]|\([^()]{0,400}\)){1,400}?):\d{1,9}(?: in ([^(),]{1,200}))?(?:, called from .{0,600})?\)$"
)
_LIBRARY = expression(r"(?:(?:site|dist)-packages|lib(?:64)?/python\d[\d.]*|<frozen)[/\\ ]([\w-]{1,60})|\.pyx$")
_RAISED = expression(r"((?:[A-Za-z_]\w{0,80}\.){0,12})([A-Z]\w{0,80})(?::|\s|$)")
_NAMED = expression(r"(?:Error|Exception|Exit|Failed|Unsupported|Hit|NotFound|Invalid|Iteration)$")
_OF_ERRORS = expression(r"(?:^|\.)(?:errors?|exceptions?|exc)\.$")
"""Exceptions are called so, or stand in a module that is."""

_NOT = (
    r"\b(?:not|no|none|cannot|unable|fail(?:s|ed|ure)?|invalid|missing|without|incompatible|too (?:old|new)|only|must"
    r"|needs?|requires?d?|should|expect(?:s|ed)?|already|before|un(?:supported|known|recogni[sz]ed|expected|available"
    r"|registered|defined))\b|n't\b"
)
"""Words that refuse, miss or demand something."""
_LOST = r"\b(?:not found|(?:could not|couldn't|unable to|cannot|can't) find|missing|unexpected|no such)\b"
_BOARD = r"\b(?:cpu|cuda|gpu|xpu|npu|mps|hpu|tpu|xla|mlu|musa|hip|privateuseone)s?\b"
_NUMBER_TYPE = (
    r"\bd-?types?\b|scalar[_ ]?types?\b|\bdata ?types?\b|\bisfloatingtype\b"
    r"|\b(?:support\w{0,3}|expect\w{0,3}|got|found|with|from|to|for|and|type)\b[^.,;:]{0,25}\b(?:torch\.)?"
    r"(?:b?float(?:8|16|32|64)\w{0,8}|half\w{0,5}|double|bf16|fp(?:8|16|32)\w{0,8}|u?int(?:8|16|32|64)|complex(?:64|128))\b"
)
_CODE = (
    r"\bcall(?:s|ed|ing)?\b|\bmethods?\b|\bdecorat|\boverrid|\bsubclass|\bwrapped\b|\bself\.|\bfunctions?\b|\binside\b"
    r"|`[\w.]{1,60}\(\)`|\b\w{1,40}\.\w{1,40}\(\)|\bdefined\b|\bsubmodule"
)
"""Words of those who write programs."""
_DAMAGED = (
    r"deseriali[sz]|\bheader|\barchive\b|\bpickle data|\bmagic\b|\bcorrupt|\btruncat|\bincomplete\b|\bconsistency check"
    r"|\bunexpected (?:eof|end)|\bunable to load weights|\bran out of input|\binvalid load key"
    r"|\bfailed (?:locating|finding|reading)\b"
)
_WEIGHTS = r"\.(?:safetensors|bin|pth?|ckpt|distcp|gguf)\b|\bcheckpoint\b|\bweights\b|safetensor"
_PARAMETER = r"['\"][\w./]{0,200}[./](?:weight|bias|scale|gamma|beta|kernel|embedding)s?['\"]"
_KEYS = (
    r"\bcheckpoint\b.{0,60}\b(?:keys?|tensors?)\b"
    r"|\b(?:keys?|tensors?|variables?|param(?:eter)?s?)\b.{0,80}\b(?:checkpoint|scope|state_dict)\b"
)
_CHECKS = (
    r"(?:^|[/\\_. ])(?:args?|arguments?|argparse\w*|options?|config\w*|hparams|settings|parser|validat\w*|connectors?"
    r"|cli|__post_init__|check_\w+|verify_\w+)(?:[/\\_. ]|$)"
)
"""Files and functions in which arguments are looked at."""
_RESTORES = r"checkpoint|ckpt|serializ|state_dict|safetensors|restore|resume|planner|modeling_|file_download"
_READS = (
    r"dataset|data_?load|collat|_utils[/\\]fetch|arrow|tfrecord|webdataset|torchcodec|decord|PIL[/\\]|image_utils"
    r"|audio_utils|video_utils|__getitem__|_transforms?\b"
)
_ROWS = r"\b(?:data ?sets?|num_data|samples?|rows?|features?|targets?|labels?|batch(?:es)?|examples?|images?)\b"
_EMPTY = (
    r"\bempty\b|\bat least (?:one|1)\b|\bonly (?:one|1) (?:unique|class)|> ?\(?0\b|\b(?:not|n't) contain any\b"
    r"|\b(?:no|zero|0) (?:\w{1,20} )?(?:samples?|rows?|features?|batch(?:es)?|examples?|images?|data)\b"
)
"""What data are made of, and how it is said that there are none."""

_CODES = {
    "launch-error": ((2, 8, 17, 20, 21, 36, 40, 48, 98, 99), (2, 3, 87, 126, 127, 182, 193, 1114, 10013, 10048)),
    "permission-denied": ((1, 13), (5, 32, 33, 740, 1314)),
    "file-system-fault": ((5, 16, 26, 27, 30, 38, 70, 71, 95, 107, 108, 116, 117, 121), (21, 59, 64, 433, 1117)),
    "disk-full": ((28, 122), (39, 112)),
    "host-memory-exhausted": ((12,), (8, 14, 1450, 1455)),
    "too-many-open-files": ((23, 24), (4,)),
    "too-many-processes": ((11, 35), ()),
    "remote-service-failed": ((101, 103, 104, 110, 111, 113), (10053, 10054, 10060, 10061, 11001)),
}
"""What an errno of Linux or macOS (errno.h) and an error of Windows (winerror.h) mean for a run."""


@dataclass(frozen=True, slots=True)
class LastError:
    """A last error taken apart: its class, what it says, the file and function that raised it.

    `place` is "" where no frame is on file; `library` tells that the frame is no code of the run itself. `begun` tells
    whether training had logged anything, None where that is not known.
    """

    raised: str
    says: str
    place: str = ""
    library: bool = False
    begun: bool | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """One row: a cause, and what must all be so of an error that suits it.

    `because` says what was seen. `raised` is an expression for the name of the class, `place` one for the file and
    function, `says` are expressions that must all be found in its words, `but` is one that must not (letters of
    any case). `by` is "own", "library" or "" (whoever raised it); `begun` is None where it does not matter.
    """

    cause: str
    because: str
    raised: str = ""
    says: tuple[str, ...] = ()
    but: str = ""
    place: str = ""
    by: str = ""
    begun: bool | None = None

    def suits(self, error: LastError) -> bool:
        """Tell whether an error is built so."""
        if self.begun not in {None, error.begun} or self.by not in {"", _whose(error)}:
            return False
        return (
            (not self.raised or _compiled(self.raised).search(error.raised) is not None)
            and (not self.place or _compiled(self.place).search(error.place) is not None)
            and all(_compiled(words).search(error.says) for words in self.says)
            and not (self.but and _compiled(self.but).search(error.says))
        )


def _whose(error: LastError) -> str:
    if not error.place:
        return "nobody"
    return "library" if error.library else "own"


def _numbered() -> Iterator[Build]:
    for cause, (posix, windows) in _CODES.items():
        codes = rf"(?:errno|os error)\W{{1,3}}(?:{'|'.join(map(str, posix))})\b"
        if windows:
            codes += rf"|(?:winerror|error code:?) ?<?(?:{'|'.join(map(str, windows))})\b"
        yield Build(cause, "the number of the error says so", says=(codes,))


BUILDS = (
    *_numbered(),
    Build(
        "extension-of-another-torch",
        "a compiled part of a library lacks what is looked for in it",
        says=(r"_OpNamespace|\bsymbols?\b|\bABI\b|torch\.ops\b|attribute '_?C'|\boperators? \w{1,60}::\w", _NOT),
    ),
    Build("truncated-write", "a file of weights or states is not whole", says=(_DAMAGED,), place=_RESTORES),
    Build("truncated-write", "a file of weights or states is not whole", says=(_DAMAGED, _WEIGHTS)),
    Build(
        "kernel-for-another-architecture",
        "a kernel does not know the board, its generation or its backend",
        raised="^(?!KeyError|ValidationError|AttributeError)",
        says=(
            (
                r"\barch(?:itecture)?s?\b|\bcapability\b|\bsm_?\d\d|\bkernel image\b|\bPTX\b|\bISA\b|\bgfx\d"
                r"|\bop(?:erator|kernel)?s?\b.{0,80}(?:backend|devices?)\b|\bdevices? of\b"
            ),
            _NOT + "|<",
        ),
        but=r"\bmodel (?:type|architectures?)\b|\barchitectures? .{0,60}\bmodel\b",
    ),
    Build(
        "kernel-for-another-architecture",
        "a library of kernels does not support what it was asked for",
        says=(r"\bcu(?:dnn|blas|solver|fft|sparse)|\bmiopen|\bkernels?\b", r"\bno\b|\bnot\b|n't\b", r"\bsupport"),
    ),
    Build(
        "kernel-needs-too-much",
        "a kernel serves smaller sizes only",
        says=(
            r"\bonly supports?\b|\bat most\b|\bup to\b|\bmaximum\b",
            r"attention|\bkernel|\bhead|\bblock size|\bshared memory",
            r"\d",
        ),
        by="library",
    ),
    Build("cuda-in-a-forked-worker", "a forked process uses the board", says=(_BOARD, r"\bfork|\bspawn")),
    Build(
        "compiler-failed",
        "it was raised while code was compiled",
        raised="Compil|Codegen|GPUError|Lowering|PTXAS",
    ),
    Build("script-error", "a traced function does what only a plain one can", says=(r"\btrace[rd]\b|\btracing\b",)),
    Build(
        "state-dict-of-another-model",
        "the name of a parameter was looked for and is not there",
        raised="^(?!AttributeError|TypeError)",
        says=(rf"{_PARAMETER}|{_KEYS}", rf"{_LOST}|^'"),
    ),
    Build(
        "state-dict-of-another-model",
        "a key was looked for where checkpoints are restored",
        raised="^KeyError$",
        place=_RESTORES + "|optimizer",
    ),
    Build(
        "shape-mismatch",
        "one board was expected and another one came",
        says=(
            _BOARD,
            r"\bdevices?\b|\bgenerator\b|\bon (?:the )?[cg]pus?\b",
            r"\b(?:but|different|expected)\b|\bgot .{1,40}\binstead\b",
        ),
        but=r"\bone of\b",
    ),
    Build(
        "dtypes-do-not-fit",
        "one type of numbers was expected and another one came",
        raised="^(?!AttributeError|KeyError|ImportError)",
        says=(_NUMBER_TYPE, _NOT + r"|\bmatch|\bconver|\bcast\b|\bpromot"),
    ),
    Build(
        "shape-mismatch",
        "another number of dimensions was expected",
        says=(
            r"\b\d ?-?d(?:im(?:ension)?s?|imensional)?\b|\b\w{1,9}-dimensional\b",
            r"\bmust\b|\bexpect|\bshould\b|\bgot\b",
        ),
    ),
    Build(
        "releases-do-not-fit",
        "it works from another release on",
        says=(
            r"\b(?:starting (?:from|with)|since|from|on|requires?|needs?)\b.{0,12}\b(?:mac ?os|version|v)? ?\d+\.\d",
            r"\b(?:supported|available)\b",
        ),
    ),
    Build("data-set-empty", "there are no data, or none of a kind", says=(_ROWS, _EMPTY)),
    Build(
        "argument-of-another-release",
        "a function was given an argument that it does not take in this form",
        raised="^(?:Type|Value)Error$|Misconfiguration",
        says=(
            r"\barguments?\b|\bkeywords?\b|\b\w*kwargs?\b",
            (
                r"\bunexpected\b|\bnot an? valid\b|\bun(?:recogni[sz]ed|known)\b|\bmust be \w+, not\b|\bmissing\b"
                r"|\bnot used\b"
            ),
        ),
    ),
    Build(
        "argument-of-another-release",
        "a library says that something is gone or has another name now",
        raised="^(?!ImportError|ModuleNotFoundError)",
        says=(r"\bdeprecated\b|\b(?:been|was|were) removed\b|\brenamed\b|\bno longer (?:support|available|accept)",),
    ),
    Build(
        "releases-do-not-fit",
        "a library asks an object or a module for what it does not have",
        raised="^AttributeError$",
        says=(r"(?:'_?[A-Z]\w+' object|module '[\w.]+'|class '[\w.]+'|type object '\w+') has no attribute",),
        by="library",
    ),
    Build(
        "bad-data-sample",
        "it was raised where data is read, after other batches had been",
        place=_READS,
        begun=True,
    ),
    Build(
        "ds-config-refused",
        "DeepSpeed does not take what its configuration asks for",
        raised="^(?:NotImplemented|Value|Assertion)Error$|Config",
        says=(_NOT,),
        place=r"deepspeed[/\\]",
    ),
    Build(
        "script-error",
        "a library was called in a way that it does not allow",
        raised="^(?!.{0,60}NotFound)",
        says=(_CODE, _NOT),
        by="library",
    ),
    Build(
        "script-error",
        "a library was given what it does not take",
        raised="^(?:Value|Type|Attribute|Assertion|NotImplemented)Error$",
        says=(_NOT,),
        by="library",
        begun=True,
    ),
    Build(
        "launch-error",
        "something that is asked for by its name is not there",
        raised="NotFound|Unregistered|DoesNotExist|Missing",
    ),
    Build("launch-error", "a library refused it before the first step", says=(_NOT,), by="library", begun=False),
    Build("launch-error", "it was refused where arguments are checked", place=_CHECKS, begun=False),
    Build(
        "launch-error",
        "something that the start needs is not there",
        says=(
            (
                r"\b(?:installed|compiled with|built with|initiali[sz]ed|configured|enabled|registered|backend|driver"
                r"|environment variable|uid|device (?:type|string)|could not be loaded|dependenc(?:y|ies))\b"
            ),
            _NOT,
        ),
    ),
    Build("script-error", "a condition that the code itself sets does not hold", raised="^AssertionError$"),
    Build(
        "script-error",
        "the run's own code raised it",
        raised="^(?:Type|Attribute|Key|Index|Value|ZeroDivision|UnboundLocal|NotImplemented)Error$|^StopIteration$",
        by="own",
    ),
    Build(
        "script-error",
        "a function was called with what it cannot use",
        raised="^(?:Type|Index|Overflow|ZeroDivision)Error$|Misconfiguration",
    ),
)
"""The first row that suits counts."""

GUESS = 3
"""Points of a row: a possible cause and no more."""


def taken_apart(text: str, *, begun: bool | None = None) -> LastError | None:
    """Return the parts of a last error, with its place in brackets as readers write it; None for no exception.

    >>> taken_apart("flax.errors.ScopeParamNotFoundError: no 'latents' (m/site-packages/flax/core/scope.py:9 in f)")
    LastError(raised='ScopeParamNotFoundError', says="no 'latents'", place='site-packages/flax/core/scope.py f', \
library=True, begun=None)
    """
    found = _PLACE.search(text)
    told = text[: found.start()] if found else text
    raised = _RAISED.match(told)
    if raised is None or not (_NAMED.search(raised[2]) or _OF_ERRORS.search(raised[1])):
        return None
    path, function = (found[1], found[2] or "") if found else ("", "")
    library = _LIBRARY.search(path)
    # Folders of the user's own say nothing: /data/sets/train.py reads no data.
    place = path[library.start() :] if library else "/".join(re.split(r"[/\\]", path)[-2:])
    return LastError(
        raised=raised[2],
        says=told[raised.end() :].strip(),
        place=f"{place} {function}".strip(),
        library=library is not None,
        begun=begun,
    )


def built_as(error: LastError) -> Build | None:
    """Return the row that an error suits."""
    return next((build for build in BUILDS if build.suits(error)), None)


@cache
def _compiled(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)
