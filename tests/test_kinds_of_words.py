"""What is asked of last words once for all that differ in their digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import signatures
from forensics.signatures import BY_NAME, SIGNATURES, Signature, kinds, of_last_words
from forensics.signatures.general import in_general

_SAID = [words.anchor for signature in SIGNATURES for words in signature.words]
_NUMBERED = ["Errno 12]", "os error 28", "errno 104", "HTTP code: 503", "code 137", "signal 9", "429 client error"]


def asked_of_all(text: str) -> Signature | None:
    """Return the signature of last words as every signature and row says, one after another."""
    text = text[: signatures.LAST_WORDS]
    exact = next((signature for signature in SIGNATURES if signature.ending and signature.matches(text)), None)
    suited = (BY_NAME[name] for name in in_general(text))
    return exact or next((signature for signature in suited if not signature.excludes(text)), None)


@given(st.lists(st.sampled_from([*_SAID, *_NUMBERED, "worker", "GPU", "failed"]), min_size=1, max_size=3), st.data())
def test_the_kind_rules_out_nothing_that_the_text_says(parts: list[str], data: st.DataObject) -> None:
    """With any digits in the place of its own a text is judged as if every expression had been asked."""
    text = " ".join(parts)
    digits = data.draw(st.lists(st.sampled_from("0123456789"), min_size=len(text), max_size=len(text)))
    other = "".join(digit if letter.isdigit() else letter for letter, digit in zip(text, digits, strict=True))
    for each in (text, other):
        assert of_last_words(each) is asked_of_all(each)


@pytest.mark.parametrize("text", ["OSError: [Errno 28] x", "OSError: [Errno 29] x"])
def test_which_digit_stands_there_matters_where_an_expression_names_it(text: str) -> None:
    assert of_last_words(text) is asked_of_all(text)
    assert (of_last_words(text) is not None) == ("28" in text)


def test_a_kind_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand exceptions that differ in a number cost as many questions as one, but those about the number."""
    asked = 0
    real = kinds.possible

    def counted(kind: str, among: tuple[Signature, ...]) -> kinds.Possible:
        nonlocal asked
        asked += 1
        return real(kind, among)

    monkeypatch.setattr(signatures, "possible", counted)
    signatures._possible.cache_clear()
    for number in range(1_000, 2_000):
        assert of_last_words(f"OddError: widget {number} is odd") is None
    assert asked == 1
