"""Releases and ranges of them: the plain comparison answers as `packaging` does."""

from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from forensics.rules._versions import _contains

NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
ENDINGS = st.sampled_from(["", "", "", "a0", "rc1", ".post1", ".dev2"])
RELEASES = st.builds("".join, st.tuples(NUMBERS, ENDINGS))
CLAUSES = st.builds("".join, st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), RELEASES))
RANGES = st.lists(CLAUSES, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([",", ", "]).map(lambda by: by.join(parts))
)


@given(RANGES, RELEASES)
def test_a_range_holds_what_packaging_says(affected: str, release: str) -> None:
    expected = SpecifierSet(affected).contains(release, prereleases=True)

    assert _contains(affected, Version(release)) == expected


def test_a_compatible_release_is_asked_of_packaging() -> None:
    assert _contains("~=2.1", Version("2.4"))
    assert not _contains("~=2.1,!=2.4.*", Version("2.4.1"))
