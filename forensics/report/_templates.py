"""The headings of bug forms, as of late 2026, and which part of a report answers each.

transformers, accelerate, trl, peft: `.github/ISSUE_TEMPLATE/bug-report.yml`; DeepSpeed:
`.github/ISSUE_TEMPLATE/bug_report.md`. The version of each environment is what the run recorded.
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
    }
)
