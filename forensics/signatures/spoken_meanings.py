"""Which symptom a quantity and what became of it make: the table behind `forensics.signatures.reported`."""

from collections.abc import Mapping

MEANS: Mapping[str, Mapping[str, str]] = {
    "loss": {
        "nan": "loss-nan",
        "zero": "loss-to-zero",
        "grows": "loss-divergence",
        "collapses": "loss-divergence",
        "spikes": "loss-spike",
        "erratic": "loss-erratic",
        "constant": "loss-constant",
        "flat": "loss-plateau",
        "hangs": "loss-plateau",
        "huge": "loss-above-uniform",
        "low": "suspiciously-low-loss",
    },
    "eval": {
        "nan": "eval-nan",
        "grows": "eval-gap",
        "spikes": "eval-gap",
        "huge": "eval-gap",
        "constant": "loss-plateau",
    },
    "norm": {
        "nan": "grad-norm-nan",
        "zero": "grad-norm-zero",
        "grows": "grad-norm-explosion",
        "spikes": "grad-norm-explosion",
        "huge": "grad-norm-explosion",
    },
    "reward": {
        "nan": "metric-nan",
        "zero": "reward-collapse",
        "falls": "reward-collapse",
        "collapses": "reward-collapse",
        "constant": "reward-collapse",
        "flat": "reward-collapse",
        "hangs": "reward-collapse",
        "crashes": "reward-collapse",
    },
    "accuracy": {"nan": "metric-nan", "zero": "loss-plateau", "constant": "loss-plateau", "hangs": "loss-plateau"},
    "kl": {"nan": "metric-nan", "grows": "kl-explosion", "spikes": "kl-explosion", "huge": "kl-explosion"},
    "entropy": {
        "nan": "metric-nan",
        "zero": "diversity-collapse",
        "collapses": "diversity-collapse",
        "constant": "diversity-collapse",
    },
    "output": {"nan": "metric-nan"},
    "scale": {"zero": "loss-scale-collapse", "falls": "loss-scale-collapse"},
    "rate": {"zero": "lr-zero"},
    "weights": {"nan": "weights-nan", "zero": "weights-zero", "constant": "weights-unchanged"},
    "speed": {"slower": "throughput-drop"},
    "model": {
        "nan": "metric-nan",
        "grows": "loss-divergence",
        "collapses": "reward-collapse",
        "overfits": "eval-gap",
        "flat": "loss-plateau",
    },
    "train": {
        "nan": "loss-nan",
        "flat": "loss-plateau",
        "hangs": "run-hung",
        "stops": "run-cut-off",
        "killed": "crash-killed",
        "waits": "crash-nccl",
        "oom": "crash-oom",
        "faults": "crash-signal",
        "crashes": "crash-exception",
        "collapses": "reward-collapse",
        "erratic": "loss-divergence",
        "slower": "throughput-drop",
        "overfits": "eval-gap",
    },
}
"""What a quantity and its predicate together are a symptom of; a pair that is not here states nothing."""
DENIED: Mapping[str, Mapping[str, str]] = {
    "loss": {"falls": "loss-plateau", "changes": "loss-plateau"},
    "eval": {"falls": "loss-plateau", "changes": "loss-plateau"},
    "reward": {"grows": "reward-collapse", "falls": "reward-collapse", "changes": "reward-collapse"},
    "accuracy": {"grows": "loss-plateau", "falls": "loss-plateau", "changes": "loss-plateau"},
    "model": {"falls": "loss-plateau", "learns": "loss-plateau"},
    "train": {"falls": "loss-plateau"},
    "weights": {"changes": "weights-unchanged", "learns": "weights-unchanged"},
}
"""The same where it is the denial that states something: "the loss does not decrease", "the weights do not change"."""
ALONE = {
    "nan": (
        "loss-nan",
        (
            r"\b(?:get(?:s|ting)?|got|produc(?:es?|ed|ing)|found|finds?|gives?|encounter\w{0,3}|hit)\b[^,;]{0,12}$"
            r"|(?:出现|出現|变成|变为)\W{0,3}$"
        ),
        r" (?:bugs?|issues?|errors?|problems?)\b",
    ),
    "overfits": ("eval-gap", "", ""),
    "killed": ("crash-killed", "", ""),
    "waits": ("crash-nccl", "", ""),
    "faults": ("crash-signal", "", ""),
    "oom": (
        "crash-oom",
        (
            r"\b(?:get(?:s|ting)?|got|hit(?:s|ting)?|throws?|raises?|cause[sd]?|fails? with|goes|went|face|see"
            r"|encounter\w{0,3}|appears?|shows?|displays?|reports?|prints?|says?|causing"
            r"|leads? to|results? in|(?:exit|end|stop|die|crash)\w{0,3} with)\b[^,;]{0,20}$"
            r"|error\W{1,3}$|(?:出现|遇到|发生|报|会|就|直接|显示|导致)(?:了|超过|超出)?\W{0,3}$"
        ),
        r"['\u2019]? ?(?:at|after|on|during|errors?|issues?|problems?|when|happen\w{0,3}|occurs?)\b",
    ),
    "hangs": (
        "run-hung",
        "[\u4e00-\u9fff] ?$",
        (
            r" ?(?:at|on|after|during|before|when|while|for ?ever|here|there|for|indefinitely"
            r"|in (?:the )?(?:middle|first|epoch))\b|[\u4e00-\u9fff]"
        ),
    ),
}
"""What needs no quantity: its symptom, and what must stand before it or behind it (either, where both are given)."""
DATED = frozenset(
    {
        "loss-nan",
        "grad-norm-nan",
        "loss-to-zero",
        "loss-spike",
        "loss-divergence",
        "grad-norm-explosion",
        "grad-norm-zero",
        "reward-collapse",
        "kl-explosion",
        "diversity-collapse",
        "metric-nan",
        "eval-nan",
        "weights-nan",
        "loss-scale-collapse",
        "run-hung",
        "run-cut-off",
        "crash-killed",
        "crash-oom",
        "crash-signal",
        "crash-nccl",
        "crash-exception",
        "crash-memory",
        "crash-disk",
        "crash-device",
        "throughput-drop",
        "eval-gap",
    }
)
"""What begins at some time; a loss that does not fall does so from its start on."""
