"""What went wrong, as a short name that two runs share when the same went wrong: no paths, no numbers."""

import hashlib
import json

from forensics.diagnosis.judgement import leading_cause
from forensics.model import Report, Run

LENGTH = 12
SWITCHES = (
    "bf16",
    "fp16",
    "bf16.enabled",
    "fp16.enabled",
    "zero_optimization.overlap_comm",
    "gradient_checkpointing",
    "logging_nan_inf_filter",
)
"""Settings that are on or off."""
KINDS = ("zero_optimization.stage", "model.model_type", "adapter.peft_type", "attn_implementation")
"""Settings that name one of a few kinds."""


def fingerprint_of(report: Report) -> str:
    """Return the fingerprint of what is wrong with a run; empty when nothing is."""
    symptoms = sorted({f.symptom for f in report.findings if f.severity != "notice"})
    if not symptoms:
        return ""
    top = leading_cause(report.hypotheses)
    told = {
        "symptoms": symptoms,
        "cause": None if top is None else top.cause,
        "mechanisms": sorted(m.cause for m in report.mechanisms if m.holds),
        "frameworks": sorted(report.run.frameworks),
        "settings": _settings(report.run),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:LENGTH]


def _settings(run: Run) -> dict[str, str]:
    switches = {name: run.environment.flag(name) for name in SWITCHES}
    kinds = {name: run.environment.value(name) for name in KINDS}
    known = {**switches, **kinds}
    return {name: str(value).lower() for name, value in known.items() if value is not None}
