"""The causes that are data: every file is well formed, every branch of its evidence moves the points."""

import re
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from forensics import catalog
from forensics.model import Explained, Finding, Run, Source
from forensics.names import Kind
from forensics.rules._known_issues import LOOKS, OBSERVATIONS, declare, load, look
from forensics.testing import make_checkpoint, make_events, make_run, make_table
from rules.rule_judging import DEAD, FALL, NAN, Judge, broken_file

ISSUES = dict(load())
KEYS = {
    *("code", "name", "title", "explains", "date", "confidence", "checked", "mechanism", "tell", "sources"),
    *("affected", "evidence", "fix", "experiment", "benign", "since"),
}
OWN = {*LOOKS, "is", "set", "above", "below", "matches", "says", "what", "within", "yes", "no", "because", "sign"}
LAST_LINES = (
    "KeyError: 'input_ids'",
    "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn",
    "ZeRORuntimeException: The checkpoint used a DP world size of 32 but the current world size is 48.",
)
KINDS = {value for name, value in vars(Kind).items() if name.isupper()}
BRANCHES = [
    pytest.param(table, id=f"{file}-{i}")
    for file, issue in ISSUES.items()
    for i, table in enumerate(issue.get("evidence", ()))
    if "observation" not in table
]


@pytest.mark.parametrize("file", ISSUES)
def test_a_file_is_well_formed(file: str) -> None:
    """Only keys that mean something, a name equal to the file's, ranges that parse, sources that are links."""
    issue = ISSUES[file]
    evidence = issue.get("evidence", [])

    assert set(issue) <= KEYS
    assert file == issue["name"].replace("-", "_") + ".toml"
    assert all(set(table) <= OWN and set(table) & {"yes", "no"} for table in evidence)
    assert all(sum(subject in table for subject in LOOKS) == 1 for table in evidence)
    assert all(table.get("observation", "sudden") in OBSERVATIONS for table in evidence)
    assert all(table.get("event", "killed") in KINDS for table in evidence)
    assert all(re.compile(table.get("matches", table.get("hardware", ""))) for table in evidence)
    assert all(url.startswith("https://") for url in issue["sources"])
    SpecifierSet(issue.get("affected", {}).get("versions", ""))


def matching(table: dict[str, Any], fits: bool) -> Run:
    """Return a run in which the table's subject fits, or clearly does not."""
    if "event" in table:
        texts = (line for line in LAST_LINES if bool(re.search(table.get("says", ""), line)) is fits)
        kind = table["event"] if fits or "says" in table else Kind.EVALUATED
        return make_run(events=[make_events(kind, text=next(texts, ""))])
    if "metric" in table:
        logged: dict[str, Any] = {table["metric"] if fits else "loss": [1.0]}
        return make_run(**logged)
    if "problem" in table:
        words = {
            "lfs": "a Git LFS pointer",
            "shards": "2 shards are missing",
            "lm_head": "lm_head.weight is not there",
        }
        found = next((text for text in words.values() if re.search(table["problem"], text, re.IGNORECASE)), "443 bytes")
        return make_run(checkpoints=broken_file(found if fits else "something else"))
    if "hardware" in table:
        boards = ("Tesla V100", "Tesla T4", "NVIDIA RTX 4090", "AMD Instinct MI300", "Ascend 910B", "NVIDIA B200")
        hit = [b for b in boards if bool(re.search(table["hardware"], b, re.IGNORECASE)) is fits]
        return make_run(hardware={"gpu": hit[0]})
    if "package" in table:
        version = next(
            v for v in candidates(table["within"]) if SpecifierSet(table["within"]).contains(v, True) is fits
        )
        return make_run(packages={table["package"]: version})
    return make_run(settings={table["setting"]: value(table, fits)})


def candidates(specifier: str) -> list[str]:
    bounds = re.findall(r"[\d][\w.]*", specifier)
    return [*bounds, *(f"{bound}.1" for bound in bounds if bound.replace(".", "").isdigit()), "0.0.1.dev0", "9999"]


def value(table: dict[str, Any], fits: bool) -> Any:
    if "is" in table:
        wanted = table["is"][0]
        return wanted if fits else {True: False, False: True}.get(wanted, "something else")
    if "matches" in table:
        words = (
            "WarmupLR",
            "cosine",
            "adamw_bnb_8bit",
            "flash_attention_2",
            "flash_attention_3",
            "sdpa",
            "k3",
            "chatml",
            "cosine_with_restarts",
        )
        hits = (w for w in (*words, "Yi-6B-base") if re.search(table["matches"], w, re.IGNORECASE))
        return next(hits) if fits else "none of them"
    if "above" in table or "below" in table:
        inside = table.get("above", 0) + 1 if "above" in table else table["below"] / 2
        outside = table["above"] if "above" in table else table["below"] * 2
        return inside if fits else outside
    return "yes" if fits else ""


@pytest.mark.parametrize("table", BRANCHES)
@pytest.mark.parametrize("fits", [True, False])
def test_each_branch_sees_what_it_names(table: dict[str, Any], fits: bool) -> None:
    """A table holds where its subject fits and does not where it clearly differs."""
    finding = Finding("loss-to-zero", "error", "loss is 0", Source("log"), 5, (4, 5))
    seen = look(table, matching(table, fits), Explained("loss-to-zero", finding))

    assert seen is not None
    assert seen.holds is fits


@pytest.mark.parametrize("file", [file for file in ISSUES if "affected" in ISSUES[file]])
def test_an_unknown_version_is_never_affected(judge: Judge, file: str) -> None:
    """A version that cannot be parsed gives no point for or against; the first fixed one counts against."""
    issue = ISSUES[file]
    rule, package = declare(issue), issue["affected"]["package"]
    key = f"version of {package}"
    odd = judge(rule, make_run(packages={package: "unknown"}), "loss-to-zero")
    versions = [v for v in candidates(issue["affected"]["versions"]) if inside(issue, v)]
    bad = judge(rule, make_run(packages={package: versions[0]}), "loss-to-zero")

    assert key not in {e.key for e in odd.evidence}
    assert [e.points for e in bad.evidence if e.key == key] == [issue["affected"]["yes"]]


def inside(issue: dict[str, Any], version: str) -> bool:
    return SpecifierSet(issue["affected"]["versions"]).contains(version, prereleases=True)


def test_a_shared_sign_counts_only_beside_something_of_its_own(judge: Judge) -> None:
    """NaN norms alone do not speak for a ROCm kernel; on an AMD board they do."""
    rule = catalog.find_rule("rocm-kernel")
    alone = judge(rule, make_run(**DEAD), "loss-to-zero", step=5)
    beside = judge(rule, make_run(**DEAD, hardware={"gpu": "AMD Instinct MI300X"}), "loss-to-zero", step=5)

    assert (alone.score, beside.score) == (0, 4)


STAGE3 = {"zero_optimization.stage": 3}
LORA_B = "layers.0.q.lora_B.weight"
WHOLE_CASES: list[tuple[str, dict[str, Any], str]] = [
    (
        "ds-zeropp-hpz-bug",
        {
            "loss": FALL,
            "settings": {**STAGE3, "zero_optimization.zero_hpz_partition_size": 8},
            "packages": {"deepspeed": "0.13.2"},
        },
        "likely",
    ),
    ("ds-zeropp-hpz-bug", {"settings": STAGE3}, "ruled out"),
    (
        "ds-zero0-bf16-gradient-bug",
        {"settings": {"zero_optimization.stage": 0, "bf16.enabled": True}, "packages": {"deepspeed": "0.18.0"}},
        "likely",
    ),
    (
        "ds-pipeline-loss-display",
        {"settings": {"pipeline.stages": 2, "bf16.enabled": True}, "packages": {"deepspeed": "0.12.2"}},
        "likely",
    ),
    (
        "ds-cpu-offload-gradients",
        {
            "settings": {"zero_optimization.stage": 2, "zero_optimization.offload_optimizer.device": "cpu"},
            "packages": {"deepspeed": "0.16.9"},
        },
        "likely",
    ),
    (
        "ds-zero2-gradient-regression",
        {
            "settings": {"zero_optimization.stage": 2, "gradient_accumulation_steps": 8},
            "packages": {"deepspeed": "0.18.3"},
        },
        "likely",
    ),
    (
        "ds-scheduler-config",
        {"settings": {"scheduler.type": "WarmupLR", "lr_scheduler_type": "cosine"}},
        "likely",
    ),
    ("ds-scheduler-config", {"settings": {"scheduler.type": "WarmupDecayLR"}}, "unlikely"),
    (
        "fsdp-uninitialised-params",
        {"settings": {"fsdp": "full_shard", "fsdp_config.sync_module_states": False, "world_size": 4}},
        "likely",
    ),
    ("launch-dataparallel", {"events": [make_events(Kind.DATA_PARALLEL)]}, "likely"),
    (
        "bnb-8bit-optimizer-bug",
        {"settings": {"optim": "paged_adamw_8bit"}, "packages": {"bitsandbytes": "0.41.0"}},
        "likely",
    ),
    (
        "bnb-8bit-optimizer-bug",
        {"settings": {"optim": "paged_adamw_8bit"}, "packages": {"bitsandbytes": "0.41.1"}},
        "ruled out",
    ),
    ("int8-hardware", {"settings": {"load_in_8bit": True}, "hardware": {"gpu": "Tesla V100"}}, "likely"),
    ("liger-kernel", {"settings": {"use_liger_kernel": True}}, "likely"),
    (
        "fully-masked-attention-row",
        {
            "settings": {"padding_side": "left", "per_device_train_batch_size": 4},
            "packages": {"torch": "2.3.0+cu121"},
        },
        "likely",
    ),
    (
        "fully-masked-attention-row",
        {"settings": {"padding_side": "left"}, "packages": {"torch": "2.13.0"}},
        "ruled out",
    ),
    ("out-of-memory", {"events": [make_events(Kind.OUT_OF_MEMORY)]}, "established"),
    ("collective-timeout", {"events": [make_events(Kind.NCCL_TIMEOUT)]}, "likely"),
    (
        "collective-timeout",
        {"events": [make_events(Kind.NCCL_TIMEOUT), make_events(Kind.OUT_OF_MEMORY)]},
        "unlikely",
    ),
    ("host-kill", {"events": [make_events(Kind.OOM_KILL_RECORD)]}, "established"),
    ("host-kill", {"events": [make_events(Kind.KILLED)]}, "possible"),
    ("disk-full", {"events": [make_events(Kind.DISK_FULL)]}, "established"),
    ("data-loader-failure", {"events": [make_events(Kind.DATA_LOADER)]}, "likely"),
    (
        "gradient-checkpointing-no-input-grad",
        {"grad_norm": [0.0] * 7, "events": [make_events(Kind.NO_INPUT_REQUIRES_GRAD)]},
        "likely",
    ),
    (
        "gradient-checkpointing-no-input-grad",
        {"grad_norm": [0.7, 0.8] * 4, "events": [make_events(Kind.NO_INPUT_REQUIRES_GRAD)]},
        "ruled out",
    ),
    (
        "adapter-not-trained",
        {"checkpoints": [make_checkpoint(6, make_table([LORA_B], zero={LORA_B: 64}))]},
        "likely",
    ),
    ("adapter-not-trained", {"checkpoints": [make_checkpoint(6, make_table([LORA_B]))]}, "ruled out"),
    (
        "tied-weights",
        {
            "settings": {"model.tie_word_embeddings": True},
            "checkpoints": broken_file("lm_head.weight is missing", "incomplete"),
        },
        "likely",
    ),
    ("tied-weights", {"settings": {"model.tie_word_embeddings": False}}, "ruled out"),
    ("lfs-pointer", {"checkpoints": broken_file("a Git LFS pointer, not safetensors")}, "established"),
    ("missing-shard", {"checkpoints": broken_file("1 of 3 shards are missing: a", "incomplete")}, "likely"),
    (
        "grad-norm-reporting-only",
        {"onset": 1, "loss": [3.0, 2.8, 2.4, 2.0, 1.6, 1.2, 1.0], "grad_norm": [0.0] * 7},
        "likely",
    ),
    ("grad-norm-reporting-only", {"loss": [0.0] * 7, "grad_norm": [0.0] * 7}, "ruled out"),
    ("rl-kl-overflow", {**DEAD, "kl": [0.1] * 7, "settings": {"kl_loss_type": "low_var_kl"}}, "likely"),
    (
        "weights-not-loaded",
        {"onset": 1, "loss": [10.37] * 5, "events": [make_events(Kind.NEWLY_INITIALIZED)]},
        "likely",
    ),
    ("torch-compile", {**DEAD, "settings": {"torch_compile": True}}, "possible"),
    ("pcie-p2p-corruption", {**DEAD, "settings": {"world_size": 1}}, "ruled out"),
    ("quantized-compute-dtype", {"settings": {"bf16": False, "fp16": False}, "loss": [NAN] * 5}, "unlikely"),
]


@pytest.mark.parametrize(("name", "facts", "verdict"), WHOLE_CASES)
def test_a_known_issue_is_judged(judge: Judge, name: str, facts: dict[str, Any], verdict: str) -> None:
    """The whole pattern speaks for the cause, its contradiction against it."""
    run = make_run(**{key: given for key, given in facts.items() if key != "onset"})

    assert judge(catalog.find_rule(name), run, "loss-to-zero", step=facts.get("onset", 5)).verdict == verdict
