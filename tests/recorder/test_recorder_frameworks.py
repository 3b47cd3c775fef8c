"""The recorder in real frameworks, in the environments of the fixtures (A2, A3, A4, A11, A13, A16).

Skipped where these are not installed: `MEDFORENSICS_VENVS` names the folder that `fixtures/generators/make.py --venvs`
filled, the user's cache when it is not set.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.recorder_records import HERE, ROOT, Opened, free_port, records

torch = pytest.importorskip("torch")

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "medforensics-fixtures"
VENVS = Path(os.environ.get("MEDFORENSICS_VENVS", CACHE))
UP, LLAMA_UP = "layers.1.up.weight", "model.layers.1.mlp.up_proj.weight"
OFFLOADED = [f"engine-zero{stage}-offload{kind}" for stage in (1, 2, 3) for kind in ("", "-nan", "-reduction")]
ENGINES = {
    "v5": [
        *OFFLOADED,
        *(f"engine-zero{stage}{kind}" for stage in (1, 2, 3) for kind in ("", "-2", "-nan", "-reduction", "-bf16-nan")),
        "engine-zero0", "engine-zero0-nan", "engine-zero2-fp16", "engine-zero2-stop", "engine-zero2-without",
    ],
    "old": [*OFFLOADED, *(f"engine-zero{stage}{kind}" for stage in (1, 2, 3) for kind in ("", "-nan", "-reduction"))],
}  # fmt: skip
TRAINERS = {
    "single": (1, ["hf", "hf-without", "hf-nan", "hf-stop", "hf-lora"]),
    "lightning": (1, ["lightning", "lightning-nan"]),
    "ddp": (2, ["hf-ddp-nan", "hf-ddp-stop"]),
    "zero2": (2, ["hf-zero2-nan"]),
    "zero3": (2, ["hf-zero3-nan"]),
    "accelerate": (2, ["accelerate", "accelerate-nan"]),
}


def run(family: str, ranks: int, out: Path, cases: list[str]) -> str:
    """Train the cases by the environment of a family; return what its ranks wrote to stderr."""
    home = VENVS / family
    if not (home / "complete").exists():
        pytest.skip(f"the environment {family} is not there: fixtures/generators/make.py makes it")
    shim = [str(ROOT / "fixtures" / "generators" / "old_deepspeed")] if family == "old" else []
    common = {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": ":".join([str(ROOT), str(ROOT / "tests"), *shim]),
        "DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1", "LOCAL_SIZE": str(ranks), "OMP_NUM_THREADS": "1",
        "TORCH_EXTENSIONS_DIR": str(home / "torch_extensions"), "TRITON_CACHE_DIR": str(home / "triton"),
    }  # fmt: skip
    port = str(free_port())
    processes = []
    for rank in range(ranks):
        several = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
        place = several | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} if ranks > 1 else {}
        command = [str(home / "bin" / "python"), str(HERE / "recorder_frameworks.py"), str(out), *cases]
        processes.append(
            subprocess.Popen(
                command, env=os.environ | common | place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        )
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * ranks, said[-1][-3000:]
    return "\n".join(said)


@pytest.fixture(scope="module", params=list(ENGINES))
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    out = tmp_path_factory.mktemp(request.param)
    return request.param, out, run(request.param, 2, out, ENGINES[request.param])


def bad(record: Opened, step: int, column: int) -> list[str]:
    row = record.rows[record.rows["step"] == step][0]
    return [record.names[i] for i in record.meta["backward_order"] if not np.isfinite(row["x"][i, column])]


def of(engines: tuple[str, Path, str], name: str) -> list[Opened]:
    return records(engines[1] / name / "blackbox")


def test_every_stage_measures_the_gradients_made_by_hand(engines: tuple[str, Path, str]) -> None:
    family, out, _ = engines
    for stage in (1, 2, 3):
        found = of(engines, f"engine-zero{stage}")
        whole = np.zeros(26)
        for record in found:
            truth = torch.load(out / f"engine-zero{stage}" / f"truth.{record.meta['rank']}.pt", weights_only=True)[
                "truth"
            ]
            local = [float(torch.linalg.vector_norm(truth["local"][name])) for name in record.names]
            np.testing.assert_allclose(record.rows["x"][0, :, 0], local, rtol=1e-6)
            whole += np.square(record.rows["x"][0, :, 2], dtype=np.float64)
            reduced = [float(torch.linalg.vector_norm(truth["reduced"][name])) for name in record.names]
        if (family, stage) != ("old", 1):  # which reduces nothing on a CPU
            np.testing.assert_allclose(np.sqrt(whole), reduced, rtol=1e-6)


def test_gradients_that_are_offloaded_are_read_on_the_host(engines: tuple[str, Path, str]) -> None:
    family, out, said = engines
    for stage in (1, 2, 3):
        name = f"engine-zero{stage}-offload"
        found = of(engines, name)
        whole = sum(np.square(record.rows["x"][0, :, 2], dtype=np.float64) for record in found)
        truth = torch.load(out / name / "truth.0.pt", weights_only=True)["truth"]["reduced"]
        by_hand = [float(torch.linalg.vector_norm(truth[tensor])) for tensor in found[0].names]

        np.testing.assert_allclose(np.sqrt(whole), by_hand, rtol=1e-6)
        assert all((record.column("update_l2") > 0).all() for record in found), (family, stage)
    assert "not seen here" not in said


def test_a_nan_is_named_on_its_rank_before_the_reduction(engines: tuple[str, Path, str]) -> None:
    for name in (name for name in ENGINES[engines[0]] if name.endswith("-nan")):
        found = of(engines, name)
        assert [bad(record, 7, 1) for record in found] == [[], [UP]], name
        reduced = {tensor for record in found for tensor in bad(record, 7, 3)}
        # Stage 1 of 0.12.5 reduces nothing: the rank that owns the tensor never hears of the NaN.
        assert reduced == (set() if (engines[0], name) == ("old", "engine-zero1-nan") else {UP}), name


def test_a_bad_reduction_is_told_from_a_bad_gradient(engines: tuple[str, Path, str]) -> None:
    for name in (name for name in ENGINES[engines[0]] if name.endswith("-reduction")):
        found = of(engines, name)
        assert [bad(record, 7, 1) for record in found] == [[], []]
        assert [len(bad(record, 7, 3)) for record in found] == [0, 1]


def test_stage_1_of_deepspeed_0_12_5_reduces_nothing_on_a_cpu(engines: tuple[str, Path, str]) -> None:
    from forensics.investigate import investigate

    report = investigate(engines[1] / "engine-zero1" / "blackbox")
    told = "reduction-did-nothing" in {finding.symptom for finding in report.findings}

    assert told == (engines[0] == "old")
    assert "reduction-did-nothing" not in {
        finding.symptom for finding in investigate(engines[1] / "engine-zero2" / "blackbox").findings
    }


def test_the_engine_is_as_it_would_be_without(engines: tuple[str, Path, str]) -> None:
    if engines[0] == "old":
        pytest.skip("asked of one release")
    made: list[dict[str, Any]] = [
        torch.load(engines[1] / name / "truth.0.pt", weights_only=True)
        for name in ("engine-zero2", "engine-zero2-without")
    ]

    assert made[0]["losses"] == made[1]["losses"]
    assert made[0]["calls"] == made[1]["calls"] > 0


def test_ranks_of_an_engine_stop_together(engines: tuple[str, Path, str]) -> None:
    if engines[0] == "old":
        pytest.skip("asked of one release")

    assert [record.rows["step"].tolist() for record in of(engines, "engine-zero2-stop")] == [list(range(1, 9))] * 2
    assert f"stopping, step 7: the gradient of {UP} is not finite on rank 1, before the reduction" in engines[2]


@pytest.mark.parametrize("group", TRAINERS)
def test_trainers(tmp_path: Path, group: str) -> None:
    ranks, cases = TRAINERS[group]
    said = run("v5", ranks, tmp_path, cases)

    for name in cases:
        if name.endswith("without"):
            continue
        found = records(tmp_path / name / "blackbox")
        assert len(found) == ranks
        assert {len(record.rows) for record in found} == {8 if name.endswith("stop") else 10}
        if name.endswith(("nan", "stop")):
            hit = [[tensor.removeprefix("net.") for tensor in bad(record, 7, 1)] for record in found]
            assert hit == [[]] * (ranks - 1) + [[LLAMA_UP]], name
    assert said.count("stopping, step 7") == sum(name.endswith("stop") for name in cases)
    if group == "single":
        with_box, without = (
            torch.load(tmp_path / name / "truth.0.pt", weights_only=True) for name in ("hf", "hf-without")
        )
        assert with_box["losses"] == without["losses"]
        assert all(torch.equal(with_box["weights"][n], without["weights"][n]) for n in without["weights"])
        (adapter,) = records(tmp_path / "hf-lora" / "blackbox")
        assert all("lora_" in name for name in adapter.names)
