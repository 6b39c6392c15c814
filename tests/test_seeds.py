import pytest

from mgdemo.seeds import MAX_SEED, SeedError, seed_of


@pytest.mark.parametrize(
    ("value", "seed"), [(None, 0), (7, 7), (7.0, 7), ("42", 42), (" 42 ", 42), (MAX_SEED, MAX_SEED)]
)
def test_whole_numbers_are_seeds(value, seed):
    assert seed_of(value) == seed and type(seed_of(value)) is int


@pytest.mark.parametrize(
    "value",
    [
        -1,
        2**32,
        1.5,
        float("nan"),
        float("inf"),
        -float("inf"),
        "",
        "x",
        "1.5",
        "\u0663",
        "9" * 9999,
        [],
        {},
        True,
    ],
)
def test_anything_else_is_told_in_a_sentence(value):
    with pytest.raises(SeedError, match=r"cannot be a seed: give a whole number from 0 to 4294967295\.$"):
        seed_of(value)
