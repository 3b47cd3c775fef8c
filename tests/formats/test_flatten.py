"""Dotted names, plain values, no secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import LimitError
from forensics.formats.flatten import REDACTED, flatten, is_secret, scalar


def test_names_are_dotted_in_the_order_of_the_document() -> None:
    """Mappings nest names, lists of mappings number them, lists of plain values become one text."""
    nested = {
        "zero_optimization": {"stage": 2, "offload_param": {"device": "none"}, "empty": {}},
        "betas": [0.9, 0.999],
        "groups": [{"lr": 0.1}, {"lr": 0.2}],
        "fsdp": [],
        "none": None,
    }
    assert list(flatten(nested, "model")) == [
        ("model.zero_optimization.stage", 2),
        ("model.zero_optimization.offload_param.device", "none"),
        ("model.betas", "0.9, 0.999"),
        ("model.groups.0.lr", 0.1),
        ("model.groups.1.lr", 0.2),
        ("model.fsdp", ""),
        ("model.none", None),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "hub_token",
        "WANDB_API_KEY",
        "HF_TOKEN",
        "aws-secret",
        "db.password",
        "push_to_hub_token",
        "model.hub_token",
    ],
)
def test_secret_names_are_redacted(name: str) -> None:
    """The value of a name that ends in a secret's word is dropped."""
    assert is_secret(name)
    assert scalar(name, "abc123") == REDACTED
    assert scalar(name, f"<{name.rpartition('.')[2].upper()}>") is None


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer",
        "pad_token",
        "model.eos_token",
        "pad_token_id",
        "max_new_tokens",
        "num_key_value_heads",
        "text_key",
    ],
)
def test_settings_of_tokenizers_and_columns_are_kept(name: str) -> None:
    """Names that only look like secrets keep their values."""
    assert scalar(name, "abc123") == "abc123"


def test_secret_values_are_redacted_whatever_the_name() -> None:
    """A token within another text, and a password within an address, are cut out."""
    assert scalar("command", "login hf_" + "a" * 30 + " now") == f"login {REDACTED} now"
    assert scalar("proxy", "http://me:hunter2@host:80/") == f"http://{REDACTED}@host:80/"


def test_values_are_bounded_and_encodable() -> None:
    """Long texts are cut, lone surrogates replaced, long lists counted or cut."""
    assert len(str(scalar("prompt", "x" * 9999))) == 1000
    assert str(scalar("text", "\ud800")).encode() == b"?"
    assert list(flatten({"id2label": {str(i): "x" for i in range(3000)}})) == [("id2label", "<3,000 entries>")]
    assert str(scalar("list", list(range(100)))).endswith("63, ...")


def test_depth_and_number_are_bounded() -> None:
    """Nesting and fan-out past the limits raise LimitError."""
    deep: object = 1
    for _ in range(50):
        deep = {"a": deep}
    wide = {str(i): {str(j): 0 for j in range(1000)} for i in range(30)}
    for value in (deep, wide):
        with pytest.raises(LimitError):
            list(flatten(value))


@given(st.recursive(st.none() | st.floats() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_any_value_flattens_to_plain_values(value: object) -> None:
    """Only scalars come out, and all of them can be written."""
    for name, held in flatten(value):
        assert held is None or isinstance(held, (bool, int, float, str))
        f"{name}{held}".encode()
