"""The same runs through other log linters, where they are installed: how loud each is, and what it says."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60
NAMES = ("trainproof", "runmedic", "trainspotter", "losslint")
SAYS = {
    "loss-to-zero": ("zero",),
    "loss-zero-transient": ("zero",),
    "loss-nan": ("nan",),
    "grad-norm-nan": ("nan", "finite"),
    "grad-norm-zero": ("zero",),
    "lr-zero": ("learning rate", "lr-zero", "zero-lr", "lr is"),
    "loss-divergence": ("diverg", "explod"),
    "weights-nan": ("nan",),
    "loss-scale-wrong": ("scale", "accumulation"),
    "loss-scale-collapse": ("scale", "overflow"),
    "loss-uniform": ("uniform", "random", "chance", "plateau", "stagn"),
    "loss-spike": ("spike",),
    "grad-norm-explosion": ("grad",),
    "grad-norm-sentinel": ("grad",),
    "lr-constant": ("learning rate", "lr"),
    "lr-jump": ("learning rate", "lr"),
    "eval-gap": ("overfit",),
    "eval-nan": ("nan", "finite"),
    "crash-oom": ("memory",),
    "crash-nccl": ("nccl", "timeout", "collective"),
    "crash-killed": ("kill",),
    "crash-disk": ("disk", "space"),
    "crash-exception": ("exception", "traceback", "error:"),
    "tokenization-mismatch-warnings": ("mismatch",),
}
"""Words of which one must occur in what is said, for the symptom to count as named."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a linter said of a run: "error", "warning" or "" (nothing, or only information), and its words."""

    level: str
    words: str

    def names(self, symptom: str) -> bool:
        """Tell whether an alarm was raised that names the symptom."""
        return bool(self.level) and any(word in self.words for word in SAYS.get(symptom, (symptom,)))


def installed(folder: Path | None) -> dict[str, str]:
    """Return the linters that can be run, by name; looked for in `folder` and on the path."""
    found = {}
    for name in NAMES:
        program = shutil.which(name, path=str(folder)) if folder else shutil.which(name)
        if program:
            found[name] = program
    return found


def ask(name: str, program: str, run: Path) -> Heard:
    """Run a linter on a run directory, with the input that it takes."""
    state = run / "trainer_state.json"
    one = state if state.exists() else next((p for p in sorted(run.glob("*.log"))), run)
    commands = {
        "trainproof": [program, "doctor", str(one), "--json"],
        "runmedic": [program, "diagnose", str(one), "--json"],
        "trainspotter": [program, "analyze", str(one), "--output", "json"],
        "losslint": [program, "check", str(one), "--format", "json"],
    }
    try:
        done = subprocess.run(commands[name], capture_output=True, text=True, timeout=SECONDS, check=False)
        tree = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return Heard("", "")
    findings = list(_findings(tree))
    levels = {str(f.get("level") or f.get("severity") or "").lower() for f in findings}
    words = " ".join(json.dumps({k: v for k, v in f.items() if k != "source"}) for f in findings).lower()
    if levels & {"fail", "error", "critical"}:
        return Heard("error", words)
    return Heard("warning" if levels & {"warn", "warning"} else "", words)


def _findings(tree: object) -> "list[dict[str, object]]":
    """Return the lists called "findings", wherever they stand."""
    if isinstance(tree, list):
        return [f for item in tree for f in _findings(item)]
    if not isinstance(tree, dict):
        return []
    listed = tree.get("findings")
    found = [f for f in listed if isinstance(f, dict)] if isinstance(listed, list) else []
    return found + [f for key, value in tree.items() if key != "findings" for f in _findings(value)]
