"""The lockstep player: all films on one frame, whatever is done with it."""

import pytest

from tests.support.grid_views import FRAMES, cell_view, grid_view

EXPECTED = [FRAMES] * 5 + [FRAMES - 40]


@pytest.fixture
def six(mount, films):
    """six(**context) -> a page with six films that are all open."""

    def open_page(**context):
        cells = [cell_view(str(i), film, EXPECTED[i]) for i, film in enumerate(films)]
        page = mount(grid_view(cells), **context)
        page.wait_for_function("numbers().length === 6 && numbers().every((n) => n === 0)")
        return page

    return open_page


def together(seen, apart=0):
    """Whether all films were on one frame each time, as far as they reach."""
    for numbers in seen:
        most = max(numbers)
        due = [min(most, length - 1) for length in EXPECTED]
        assert -1 not in numbers, f"a picture is missing: {numbers}"
        assert max(abs(n - d) for n, d in zip(numbers, due, strict=True)) <= apart, f"not in step: {numbers}"
    return [max(numbers) for numbers in seen]


def test_playing(six):
    page = six()
    page.get_by_role("button", name="Play").click()
    shown = together(page.evaluate("watch(3000)"))
    assert shown == sorted(shown) and len(set(shown)) > 20
