"""The headings of bug forms, as of late 2026, and which part of a report answers each.

All from `.github/ISSUE_TEMPLATE/`. transformers, accelerate, trl, peft: bug-report.yml; DeepSpeed: bug_report.md;
LLaMA-Factory and ms-swift: 1-bug-report.yml; axolotl: bug-report.yaml; unsloth: bug---issue.md, whose numbered
questions become headings; MedicalGPT: bug-report.md; Lightning: 1_bug_report.yaml; verl: as its issues are filled in.
The version of each environment is what the run recorded.
"""

from collections.abc import Mapping
from types import MappingProxyType

Form = tuple[tuple[str, tuple[str, ...]], ...]

_HUGGING_FACE: Form = (
    ("System Info", ("environment",)),
    ("Reproduction", ("onset", "findings", "cause", "settings")),
    ("Expected behavior", ("remedies", "experiments")),
)
TEMPLATES: Mapping[str, Form] = MappingProxyType(
    {
        "transformers": _HUGGING_FACE,
        "accelerate": _HUGGING_FACE,
        "peft": _HUGGING_FACE,
        "trl": (
            ("Reproduction", ("onset", "findings", "cause", "settings")),
            ("System Info", ("environment",)),
            ("Expected behavior", ("remedies", "experiments")),
        ),
        "deepspeed": (
            ("Describe the bug", ("onset", "findings", "cause")),
            ("To Reproduce", ("settings", "experiments")),
            ("Expected behavior", ("remedies",)),
            ("ds_report output", ("ds_report",)),
            ("System info", ("environment",)),
        ),
        "llamafactory": (
            ("System Info", ("environment",)),
            ("Reproduction", ("onset", "findings", "cause", "settings")),
            ("Others", ("remedies", "experiments")),
        ),
        "axolotl": (
            ("Expected Behavior", ("remedies",)),
            ("Current behaviour", ("onset", "findings", "cause")),
            ("Steps to reproduce", ("settings", "experiments")),
            ("Python Version", ("environment",)),
        ),
        "unsloth": (
            ("Versions, GPUs", ("environment",)),
            ("Code to reproduce the error", ("settings",)),
            ("What happens", ("onset", "findings", "cause", "remedies", "experiments")),
        ),
        "ms-swift": (
            ("Bug Description / Bug 描述", ("onset", "findings", "cause")),
            ("How to Reproduce / 如何复现", ("environment", "settings", "experiments")),
            ("Additional Information / 补充信息", ("remedies",)),
        ),
        "verl": _HUGGING_FACE,
        "medicalgpt": (
            ("Describe the bug", ("onset", "findings", "cause", "remedies", "experiments", "settings", "environment")),
        ),
        "lightning": (
            ("Bug description", ("onset", "findings", "cause", "remedies")),
            ("How to reproduce the bug", ("settings", "experiments")),
            ("Environment", ("environment",)),
        ),
    }
)
