"""`scan` and `diff` of URLs: what they print is what they print of the same files here."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

from forensics.cli import main
from forensics.limits import DEFAULT
from forensics.model import TensorTable
from forensics.storage.locations import Place, place_of
from forensics.weights import ahead, inspection
from forensics.weights.series import examine_series
from range_server import serving
from weights.checkpoint_files import FIXTURES

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.storage.remote_http.PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def saved(folder: Path, seed: int, tensors: int = 6, elements: int = 40_000, name: str = "model.safetensors") -> Path:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    values = {f"layer.{i}.weight": generator.standard_normal((40, elements // 40), np.float32) for i in range(tensors)}
    save_file(values, folder / name)
    return folder / name


def sharded(folder: Path, shards: int = 3) -> Path:
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    mapping = {}
    for number, name in enumerate(names):
        save_file({f"layer.{number}.weight": np.full((8, 8), number, np.float32)}, folder / name)
        mapping[f"layer.{number}.weight"] = name
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapping}))
    return folder / "model.safetensors.index.json"


def stored(folder: Path, name: str) -> str:
    memory = fsspec.filesystem("memory")
    if not memory.exists(f"/{name}"):
        memory.put(str(folder), f"/{name}", recursive=True)
    return f"memory://{name}"


@pytest.mark.parametrize("form", ["json", "table"])
@pytest.mark.parametrize("case", sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir()))
def test_a_store_gives_the_report_of_this_machine(case: str, form: str) -> None:
    """Every layout, found by listing the store."""
    folder = (FIXTURES / case / "save").absolute()
    url = stored(folder, case)
    here = run("scan", str(folder), "--format", form, "--top", "0")
    there = run("scan", url, "--format", form, "--top", "0")

    assert here.stdout.replace(folder.as_posix(), url) == there.stdout
    assert here.exit_code == there.exit_code


def test_a_file_url_is_a_path_of_this_machine() -> None:
    folder = (FIXTURES / "zero1" / "save").absolute()

    assert run("scan", str(folder)).stdout == run("scan", f"file://{folder}").stdout


def test_diff_takes_urls_and_paths_together(tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a", 1), saved(tmp_path / "b", 2)
    with serving(tmp_path) as server:
        here = run("diff", str(first), str(second), "--top", "0", "--format", "json")
        there = run("diff", str(first), f"{server.url}/b/model.safetensors", "--top", "0", "--format", "json")

        assert here.stdout.replace(str(second), f"{server.url}/b/model.safetensors") == there.stdout
    assert here.exit_code == there.exit_code == 0


def test_shards_of_an_index_are_fetched_beside_it(tmp_path: Path) -> None:
    """And a shard that the server has not is missing, as it is in a folder."""
    sharded(tmp_path)
    with serving(tmp_path) as server:
        whole = run("scan", f"{server.url}/model.safetensors.index.json?key=abcdefghij", "--format", "json")
        assert server.queries == {"key=abcdefghij"}
        (tmp_path / "model-00002-of-00003.safetensors").unlink()
        cut = run("scan", f"{server.url}/model.safetensors.index.json", "--format", "json")

    (checkpoint,) = json.loads(whole.stdout)["checkpoints"]
    assert (checkpoint["status"], len(checkpoint["tensors"])) == ("clean", 3)
    assert "abcdefghij" not in whole.stdout + whole.stderr
    (checkpoint,) = json.loads(cut.stdout)["checkpoints"]
    assert (checkpoint["status"], len(checkpoint["tensors"])) == ("incomplete", 2)
    assert "1 of 3 shards are missing" in checkpoint["problems"][0]


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "http://127.0.0.1:9/x", "a/../../b", "x?y"])
def test_an_index_leads_nowhere_else(tmp_path: Path, shard: str) -> None:
    """Only names below the folder of the index are asked for."""
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": shard}}))
    with serving(tmp_path) as server:
        run("scan", f"{server.url}/model.safetensors.index.json")

        assert {path for path, _ in server.asked} == {"/model.safetensors.index.json"}


def test_a_header_costs_no_download(tmp_path: Path) -> None:
    """Checkpoints are found after a page of each shard; the whole scan then reads each byte once."""
    path = saved(tmp_path, 3, tensors=40)
    with serving(tmp_path) as server:
        place: Place = place_of(f"{server.url}/model.safetensors")
        inspection.scan(place, depth="off")
        for_header = server.sent["/model.safetensors"]
        inspection.scan(place)
        for_all = server.sent["/model.safetensors"] - for_header

    assert path.stat().st_size > 6_000_000
    assert for_header < 300_000
    assert path.stat().st_size <= for_all < path.stat().st_size + 600_000


def test_what_is_asked_for_is_several_mebibytes(tmp_path: Path) -> None:
    """Small tensors that lie together are one request, though they are looked at in blocks of 1 MiB."""
    saved(tmp_path, 4, tensors=150)
    with serving(tmp_path) as server:
        inspection.scan(place_of(f"{server.url}/model.safetensors"))
        large = [text.removeprefix("bytes=").split("-") for _, text in server.asked]

    sizes = sorted(int(last) - int(first) + 1 for first, last in large)
    assert sizes[-2] > 4 << 20
    assert len(sizes) < 12


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("held", [ahead.HELD_BYTES, 1])
def test_tables_are_equal_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: bool, held: int) -> None:
    """Large tensors of two checkpoints, whatever is held ahead and whoever reads."""
    monkeypatch.setattr(ahead, "HELD_BYTES", held)
    paths = [saved(tmp_path / str(seed), seed, 3, 4_000_000) for seed in range(2)]
    url = stored(tmp_path, f"bits-{kernels}-{held}")
    found = []
    for places in (list(paths), [place_of(f"{url}/{seed}/model.safetensors") for seed in range(2)]):
        each = [inspection._held(place, DEFAULT) for place in places]
        root = inspection._joined(each)
        found.append(examine_series(root, [one.checkpoints[0].records for one in each], kernels=kernels).tables)

    for here, there in zip(*found, strict=True):
        assert_same_bits(here, there)


def assert_same_bits(one: TensorTable, other: TensorTable) -> None:
    for name in ("nan", "zero", "minimum", "maximum", "mean", "l2", "dead_rows", "same", "change_l2", "change_max"):
        here, there = getattr(one, name), getattr(other, name)
        assert repr(here.tolist()) == repr(there.tolist()), name


def test_a_shard_that_cannot_be_read_costs_itself_only(tmp_path: Path) -> None:
    """Its server refuses it after the headers were read."""
    sharded(tmp_path)
    with serving(tmp_path) as server:
        held = inspection._held(place_of(f"{server.url}/model.safetensors.index.json"), DEFAULT)
        (tmp_path / "model-00002-of-00003.safetensors").unlink()
        found = examine_series(held.root, [held.checkpoints[0].records])

    assert found.tables[0].nan.tolist() == [0, None, 0]
    (told,) = found.failures.values()
    assert "404" in told


def test_a_file_replaced_during_the_scan_is_no_evidence(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    with serving(tmp_path) as server:
        held = inspection._held(place_of(f"{server.url}/model.safetensors"), DEFAULT)

        def replaced(_done: int, _total: int) -> None:
            server.fault = "new mark"

        found = examine_series(held.root, [held.checkpoints[0].records], progress=replaced)

    assert set(found.tables[0].nan.tolist()) == {None}
    assert all("changed" in why for why in found.failures.values())


@pytest.mark.parametrize("fault", ["status 404", "status 403", "cut"])
def test_a_url_that_gives_nothing_is_one_line(tmp_path: Path, fault: str) -> None:
    saved(tmp_path, 6)
    with serving(tmp_path, fault) as server:
        done = run("scan", f"{server.url.replace('//', '//me:hunter22@')}/model.safetensors?token=abcdefgh1234")

    assert (done.exit_code, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert "hunter22" not in done.stderr
    assert "abcdefgh1234" not in done.stderr


def test_an_empty_folder_of_a_store_is_one_line() -> None:
    done = run("scan", "memory://never/was/here")

    assert done.exit_code == 3
    assert len(done.stderr.splitlines()) == 1


def test_a_command_that_takes_no_url_says_so() -> None:
    done = run("compare", "s3://bucket/good", "s3://bucket/run")

    assert done.exit_code == 2
    assert done.stderr.startswith("medforensics: compare reads files of this machine; analyze, triage, timeline, env, ")
    assert len(done.stderr.splitlines()) == 1


def test_torch_is_not_asked_about_a_url() -> None:
    done = run("scan", "s3://bucket/run", "--verify-with-torch")

    assert done.exit_code == 2
    assert "download" in done.stderr
