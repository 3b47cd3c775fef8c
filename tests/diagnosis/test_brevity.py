"""A sentence cut to a line keeps what matters, and never half of a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.diagnosis.brevity import brief, stopped


@pytest.mark.parametrize(
    ("text", "most", "said"),
    [
        ("short.", 20, "short"),
        ("first; second", 8, "first"),
        ("a word (an aside) at the end", 20, "a word at the end"),
        ("an aside that was cut (at the", 22, "an aside that was cut"),
        ("ln(64) is told here (as known), and the rest", 22, "ln(64) is told here"),
        ("one, two, three, four, five", 16, "one, two, three"),
        ("quoted \u201cwords, in here, that go on\u201d, then more", 24, "quoted \u201cwords...\u201d"),
        ("the run ended in an exception: a.b.ZeroError: two ranks", 26, "ZeroError: two ranks"),
        ("RuntimeError: a message that is rather long", 24, "RuntimeError..."),
        ("halve the batch and double the accumulation", 30, "halve the batch and double..."),
        ("halve the batch size, and double accumulation", 28, "halve the batch size"),
        ("compare the tokenizer with the embedding", 29, "compare the tokenizer..."),
        (
            "it says \u201c/home/a/train.py:105: UserWarning: no key\u201d",
            36,
            "it says \u201cUserWarning: no key\u201d",
        ),
        ("it says \u201c[../gloo/pair.cc:82] Timed out waiting\u201d", 30, "it says \u201cTimed out waiting\u201d"),
        ("it says \u201cdeepspeed.utils.ZeroError: two ranks\u201d", 31, "it says \u201cZeroError: two ranks\u201d"),
        ("see models/llama.py and its config", 26, "see models/llama.py..."),
        ("the job was cancelled: slurmstepd: error: *** STEP 7", 40, "the job was cancelled"),
        ("the job was cancelled: by its user: at noon", 40, "the job was cancelled: by its user"),
        ("see /home/someone/project/file.py there", 20, "see..."),
        ("x" * 30, 10, "xxxxxxx..."),
    ],
)
def test_what_goes_first(text: str, most: int, said: str) -> None:
    assert brief(text, most) == said


@given(st.text(max_size=300), st.integers(min_value=8, max_value=120))
def test_no_line_is_longer_than_asked(text: str, most: int) -> None:
    assert len(brief(text, most)) <= most


@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=2, max_size=30))
def test_no_word_is_cut_in_two(words: list[str]) -> None:
    """Half a path or half a key would not be recognised by what masks it."""
    kept = brief(" ".join(words), 30).removesuffix("...").split()

    assert kept == words[: len(kept)] or len(words[0]) > 26


def test_a_full_stop_is_set_once() -> None:
    assert [stopped(said) for said in ("it broke", "it broke.", "it...")] == ["it broke.", "it broke.", "it..."]
