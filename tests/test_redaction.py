"""Secrets are masked everywhere, people and places in what is passed on, and training vocabulary never."""

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forensics.redaction import Redactor, visible
from forensics.redaction.names import is_host_address
from forensics.redaction.search import secrets_in
from forensics.redaction.secrets import PATTERNS, SHORTEST, is_secret_name
from secrets_planted import BY_NAME, IDENTITIES, SECRETS

EVERY = (*SECRETS, *BY_NAME)


def redactor(*texts: str, identities: bool = True) -> Redactor:
    made = Redactor(identities=identities)
    made.learn(texts)
    return made


@pytest.mark.parametrize(("name", "value"), EVERY, ids=[name for name, _ in EVERY])
@pytest.mark.parametrize("frame", ["{v}", "{N}={v}", '"{n}": "{v}"', "--{n} {v}", "got '{v}' from env", "({v})"])
def test_every_kind_of_secret_is_masked_without_asking(name: str, value: str, frame: str) -> None:
    """Bare, assigned, quoted, on a command line, in prose: also when identities are kept."""
    text = frame.format(n=name, N=name.upper(), v=value)

    # What is known by its name only is learnt where the name stands.
    masked = redactor(f"{name}={value}", identities=False)(text)

    assert value not in masked
    assert "<secret-" in masked


@pytest.mark.parametrize(("name", "value"), EVERY, ids=[name for name, _ in EVERY])
def test_every_kind_of_secret_is_masked_as_other_texts_spell_it(name: str, value: str) -> None:
    """In a URL, in JSON, and in base64 behind nothing, a user or a colon: `Authorization: Basic`, Kubernetes."""
    made = redactor(f"{name}={value}", identities=False)
    spelled = [quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]]
    for before in ("", "u:", "user:", "abc"):
        encoded = base64.b64encode(f"{before}{value}:rest".encode())
        spelled += [encoded.decode(), base64.urlsafe_b64encode(f"{before}{value}".encode()).decode().rstrip("=")]

    for text in spelled:
        assert text[8:-8] not in made(f"it sent x={text}, and more"), text


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=14, max_size=60), st.binary(max_size=9))
def test_base64_of_a_learnt_secret_is_masked_whole(value: str, before: bytes) -> None:
    made = Redactor(identities=False)
    made.learn_setting("db_password", value)
    encoded = base64.b64encode(before + value.encode() + before).decode()

    assume(made.knows_encodings)
    assert encoded not in made(f"header {encoded} sent")


@pytest.mark.parametrize(
    "text",
    [
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "oid='585e4e8cac66188692d506ac107e2d2884c0a4a0'",
        "https://raw.githubusercontent.com/huggingface/diffusers/77aadfee6a891ab9fcfb780f87c693f7a5beeb8e/x.md",
        "token = tokenizer.decode(ids), self.task_start_token = task_start_token, auth_key=process.authkey()",
        "meta-llama/Llama-3.1-8B-Instruct deepseek-ai/DeepSeek-R1-Distill-Qwen-32B unsloth/Qwen2.5-7B-bnb-4bit",
        "databricks/databricks-dolly-15k HuggingFaceFW/fineweb-edu as-is ms-swift ak-47 fw_bw_time key_value_states",
        "api-docs token bucket, keyword: value; passed: 3; password_prompt",
        "checkpoint md5 d41d8cd98f00b204e9800998ecf8427e uuid 8f3c1a2b-1111-2222-3333-444455556666",
    ],
)
def test_hashes_and_names_of_models_stay_readable(text: str) -> None:
    assert redactor(text, identities=False)(text) == text


@pytest.mark.parametrize(("name", "value"), IDENTITIES, ids=[name for name, _ in IDENTITIES])
def test_people_and_places_are_masked_when_asked(name: str, value: str) -> None:
    text = f"{name}={value}"

    assert value not in redactor(text)(text)
    assert value in redactor(text, identities=False)(text)


KEPT = (
    "model.eos_token_id=2 pad_token=</s> bos_token: <s> unk_token='<unk>'",
    "tokenizer_class: LlamaTokenizerFast, num_key_value_heads=8, num_tokens=1843200, tokens_per_second=3000.5",
    "[2026-11-23 20:02:11,148] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Skipping",
    "nvidia-cublas-cu12==12.1.3.1",
    "nvidia-cublas-cu12            12.1.3.1",
    "torch 2.13.0+cpu, NCCL version 2.18.1, driver 535.104.05",
    "https://github.com/deepspeedai/DeepSpeed/issues/5242",
    "meta-llama/Llama-2-7b-hf",
    "model.layers.0.self_attn.q_proj.weight",
    "{'loss': 1.2, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.5} 18/36 [00:01<00:02, 3.1it/s]",
    "a token of prose, a password manager, the secret of success: none",
    "gradient_accumulation_steps=1 and/or 1/2",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "events.out.tfevents.1700000000.localhost.1.0",
    "::1 and 127.0.0.1",
)


@pytest.mark.parametrize("text", KEPT)
def test_the_vocabulary_of_training_stays(text: str) -> None:
    assert redactor(text)(text) == text


def test_the_same_value_becomes_the_same_token() -> None:
    """In every text, and also where it stands bare after it was learnt from a path."""
    made = redactor("/home/alice.doe/out/train.py")

    assert made("10.20.30.40 then 10.20.30.41 then 10.20.30.40") == "<ip-1> then <ip-2> then <ip-1>"
    assert made("hello alice.doe") == "hello <user-1>"
    assert made("hello alice.doe, 10.20.30.41") == "hello <user-1>, <ip-2>"


def test_a_host_is_learnt_from_the_name_of_an_event_file() -> None:
    made = redactor("runs/events.out.tfevents.1795462691.gpu-node-17.9127.0")

    assert made("runs/events.out.tfevents.1795462691.gpu-node-17.9127.0") == (
        "runs/events.out.tfevents.1795462691.<host-1>.9127.0"
    )
    assert made("gpu-node-17: out of memory") == "<host-1>: out of memory"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/home/alice/venv/site-packages/torch/nn/x.py", "<path-1>/site-packages/torch/nn/x.py"),
        ('File "/data/secret-client/train.py", line 3', 'File "<path-1>/train.py", line 3'),
        ("s3://acme-bucket/data.jsonl", "<path-1>"),
        ("git@github.com:acme/secret.git", "<remote-1>"),
        ("slurm-123456.out", "slurm-<job-1>.out"),
        ("https://acme.example.com/x?y", "<link-1>"),
        ("trainer-7d9f8b6c5d-x2x9z", "<pod-1>"),
        ("GPU-8f3c1a2b-1111-2222-3333-444455556666", "<id-1>"),
    ],
)  # fmt: skip
def test_what_stays_of_a_place_is_what_helps(text: str, masked: str) -> None:
    assert redactor(text)(text) == masked


@pytest.mark.parametrize("cut", ["\x1b[0m", "\u200b", "\x1b[31;1m", "\u2060"])
def test_a_secret_cut_in_two_by_an_escape_is_found(cut: str) -> None:
    value = dict(SECRETS)["hub_token"]
    text = f"token {value[:6]}{cut}{value[6:]} end"

    assert value[8:] not in redactor(identities=False)(text)


def test_a_secret_inside_a_hidden_sequence_is_found() -> None:
    value = dict(SECRETS)["hub_token"]

    assert value not in redactor(identities=False)(f"\x1b]0;{value}\x07title")


COMMIT = "c0ffee12" * 5


@pytest.mark.parametrize(
    "text",
    [
        f"commit {COMMIT}", f'"commit": "{COMMIT}"', f"git_commit={COMMIT}", f"transformers commit hash: {COMMIT}",
        f"'_commit_hash': '{COMMIT}'", f"HEAD is at {COMMIT}", f"model_revision={COMMIT}", f"sha: {COMMIT}",
        f"https://github.com/huggingface/transformers/commit/{COMMIT}",
        f"models--meta-llama--Llama-2-7b-hf/snapshots/{COMMIT}/config.json",
        f"transformers @ git+https://github.com/huggingface/transformers@{COMMIT}",
    ],
)  # fmt: skip
def test_a_commit_that_is_called_one_stays(text: str) -> None:
    assert COMMIT in redactor(identities=False)(text)


@pytest.mark.parametrize(
    "text",
    [
        f"key {COMMIT}", f"WANDB_API_KEY={COMMIT}", COMMIT, f"wandb login {COMMIT}", f"committed {COMMIT}",
        f"commit key: {COMMIT}", f"my_commit_key={COMMIT}", f"machine api.wandb.ai password {COMMIT}",
    ],
)  # fmt: skip
def test_forty_digits_that_nobody_calls_a_commit_are_a_key(text: str) -> None:
    assert COMMIT not in redactor(identities=False)(text)


def test_a_commit_is_learnt_from_its_setting_and_a_key_never() -> None:
    made = Redactor(identities=False)
    made.learn_setting("model._commit_hash", COMMIT)
    made.learn_setting("wandb_api_key", "fa4e" * 10)

    assert made(COMMIT) == COMMIT
    assert made("fa4e" * 10) == "<secret-1>"


def test_escapes_without_a_secret_are_left_to_the_report() -> None:
    assert redactor()("red \x1b[31m text") == "red \x1b[31m text"
    assert visible("red \x1b[31m text") == "red  text"


def test_a_learnt_setting_is_masked_where_it_stands_bare() -> None:
    made = Redactor(identities=False)
    made.learn_setting("db_password", "hunter2")
    made.learn_setting("pad_token", "<pad>")
    made.learn_setting("use_auth_token", "True")

    assert made("login with hunter2 and <pad>, True") == "login with <secret-1> and <pad>, True"


@pytest.mark.parametrize(
    ("name", "secret"),
    [("hub_token", True), ("WANDB_API_KEY", True), ("aws.secret_access_key", True), ("password", True),
     ("pad_token", False), ("eos_token_id", False), ("tokenizer_name", False), ("num_key_value_heads", False),
     ("max_tokens", False), ("key", False), ("token_type_ids", False)],
)  # fmt: skip
def test_names_of_secrets_are_told_from_tokens_of_a_tokenizer(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


@pytest.mark.parametrize(
    ("text", "before", "address"),
    [("10.20.30.40", "from ", True), ("12.1.3.1", "nvidia-cublas-cu12==", False),
     ("192.168.0.7", "MASTER_ADDR=", True),
     ("999.1.1.1", "", False), ("12.1.105.0", "nvidia-cuda-nvcc-cu12   ", False), ("8.8.8.8", "dns ", True),
     ("34.120.1.2", "MASTER_ADDR=", True), ("34.120.1.2", "driver=", False)],
)  # fmt: skip
def test_addresses_are_told_from_versions(text: str, before: str, address: bool) -> None:
    assert is_host_address(text, before) is address


SLOW = (
    "a", "(", " ", "=", '"', "/", "-", "<", "\\", "[", "a@", "1.1.1.1.", "0x", "hf_", "a-", "a.", "/a", "a:",
    "eyJ", "eyJa.", "token=", "token ", "password\t", "https://", "user:", "C:\\a", "-----BEGIN PRIVATE KEY-----",
    "\x1b[", "AccountKey=", "Jan01_00-00-00_", "x=/home/", "00:", "::", "\x1b]", "--token ", "AKIA",
)  # fmt: skip


def seconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        made = Redactor(identities=True)
        started = time.process_time()
        made.learn([text])
        made(text)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("piece", SLOW)
def test_no_line_makes_the_search_slow(piece: str) -> None:
    """Eight times the text costs far less processor time than the sixty-four times of a quadratic search."""
    short, long = piece * (4_000 // len(piece)), piece * (32_000 // len(piece))

    assert seconds(long) < 30 * max(seconds(short), 0.005)


@given(st.text(max_size=200))
def test_masking_is_stable(text: str) -> None:
    """A masked text masks to itself: reports that are masked twice do not change."""
    made = redactor(text)
    once = made(text)

    assert redactor(once)(once) == once or made(once) == once


DRAWN = "8f3c1d5e7a9b2c4d6e8f0a1b3c5d7e9f"


@pytest.mark.parametrize(
    "text",
    [
        f'os.environ["KAGGLE_KEY"] = "{DRAWN}"',
        f"export SOME_SERVICE_KEY={DRAWN}",
        f"kaggle_key='{DRAWN}' was refused",
    ],
)
def test_any_key_with_a_value_drawn_by_chance_is_a_secret(text: str) -> None:
    assert DRAWN not in Redactor(identities=False)(text)


@pytest.mark.parametrize(
    "text",
    [
        "num_key_value_heads=8, text_key=conversations_v2, sort_key: length_of_the_answer_2",
        "runs in /data/applications/Chat/examples/logs/ppo/2023-09-25",
        "applications/Chat/examples/logs/ppo/2023",
    ],
)
def test_what_training_needs_stays_readable(text: str) -> None:
    assert Redactor(identities=False)(text) == text


def test_the_password_of_a_url_is_learnt() -> None:
    """An exception repeats it without the URL."""
    text = b"connecting to postgres://mlflow:tr0ub4dor3@db:5432/x http://user:none@h s3://bucket/a:b@c"

    assert list(secrets_in(text)) == ["tr0ub4dor3"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "the value {} in prose",
        "| comet_api_key | {} |",
        "('comet_api_key', '{}')",
        'os.environ["COMET_API_KEY"] = "{}"',
        "setting COMET_API_KEY to {}",
    ],
)
def test_a_value_that_was_masked_by_its_name_is_masked_everywhere(elsewhere: str) -> None:
    """The line that names it comes later, or in another file: the redactor learns from all texts first."""
    secret = "IUpZxbKKVSbhXxvybK9zvVXKF"
    redactor = Redactor(identities=False)
    redactor.learn([elsewhere.format(secret), f"COMET_API_KEY={secret}"])

    assert secret not in redactor(elsewhere.format(secret))


@given(
    parts=st.lists(
        st.sampled_from(
            [
                "layers",
                "w1",
                "10",
                "192",
                "168",
                "7",
                "999",
                "hf_" + "aB3" * 8,
                "gpu17",
                "0123",
                "a-b",
                "x.edu",
                "1.2.3.4",
            ]
        ),
        min_size=1,
        max_size=7,
    ),
    more=st.lists(st.sampled_from(["3", "10", "17", "255", "experts"]), max_size=3),
    learnt=st.none() | st.sampled_from(["gpu17", "7.w1", "999", "layers"]),
)
@settings(max_examples=300)
def test_names_of_tensors_are_masked_as_any_text(parts: list[str], more: list[str], learnt: str | None) -> None:
    """What one name is told of others that differ in a number is what each would be told."""
    quick, slow = (Redactor(identities=True) for _ in range(2))
    for redactor in (quick, slow):
        if learnt is not None:
            redactor.learn_value("host", learnt)
    names = [".".join(parts), ".".join([*parts, *more]), ".".join([*more, *parts]), ".".join(parts).replace("10", "11")]
    names += [name.replace("7", "8").replace("192", "123") for name in names]

    assert [quick.of_name(name) for name in names] == [slow(name) for name in names]


@pytest.mark.parametrize("place", [0, 255, 256, 600])
@pytest.mark.parametrize("before", ["plain", "-----BEGIN RSA PRIVATE KEY-----", "token", "key = ("])
def test_a_token_is_learnt_wherever_it_stands_among_many_texts(place: int, before: str) -> None:
    """Texts are looked through together first; what the one before ends with changes nothing."""
    token = "hf_" + "QwErTyUiOpAsDfGh" * 2
    texts = [f"text {number}" for number in range(601)]
    texts[place : place + 1] = [before, token]
    redactor = Redactor(identities=False)
    redactor.learn(texts)

    assert token not in redactor(f"x{token}y")
    assert redactor("text 7") == "text 7"


def test_no_text_is_too_short_to_be_looked_through() -> None:
    """The least width of every pattern, as the parser of `re` tells it."""
    parser = pytest.importorskip("re._parser", reason="Python 3.10 has another name for it")

    assert min(parser.parse(pattern.pattern).getwidth()[0] for pattern in PATTERNS) == SHORTEST
