"""Who gets a place: visitors first, and runs of a comparison where nobody else wants to be."""

from mgdemo.serving.sharing import Applicant, Holder, Move, next_move

ALONE = [0]


def run(token, engine=None):
    return Applicant(token, True, engine)


def on(token, *engines):
    return Move(token, frozenset(engines))


def test_visitors_get_free_places_in_order():
    waiting = [Applicant("a"), Applicant("b")]
    assert next_move([Holder("x", 0)], waiting, 2, [0, 1]) == on("a", 0, 1)
    assert next_move([Holder("x", 0)], waiting, 1, ALONE) is None


def test_runs_take_what_visitors_leave_and_one_place_on_each_device():
    assert next_move([], [run("r")], 8, [0, 1]) == on("r", 0, 1)
    assert next_move([Holder("q", 0, True)], [run("r")], 8, [0, 1]) == on("r", 1)
    assert next_move([Holder("q", 0, True)], [run("r")], 8, ALONE) is None
    assert next_move([Holder("x", 0)], [run("r"), Applicant("v")], 2, ALONE) == on("v", 0)
    assert next_move([Holder("x", 0)], [run("r")], 2, ALONE) == on("r", 0)


def test_a_visitor_takes_the_place_of_the_run_that_began_last():
    held = [Holder("old", 0, True, 1.0), Holder("new", 1, True, 2.0)]
    assert next_move(held, [Applicant("v")], 2, [0, 1]) == Move("new", frozenset())
    assert next_move(held[:1], [Applicant("v"), run("new", 1)], 2, [0, 1]) == on("v", 0, 1)
    visitors = [Holder("x", 0)]
    assert next_move(visitors, [Applicant("v")], 1, ALONE) is None, "visitors never give way"


def test_with_a_place_to_spare_no_run_gives_way():
    assert next_move([Holder("r", 0, True)], [Applicant("v")], 2, ALONE) == on("v", 0)


def test_a_run_that_gave_way_continues_where_its_world_is():
    assert next_move([Holder("x", 1)], [run("r", engine=1)], 2, [0, 1]) == on("r", 1)
    held = [Holder("q", 1, True)]
    assert next_move(held, [run("r", engine=1), run("s")], 4, [0, 1]) == on("s", 0)


def test_where_no_device_works_nobody_moves():
    assert next_move([Holder("r", None, True)], [Applicant("v")], 1, []) is None
    assert next_move([], [run("r", engine=1)], 2, [0]) is None, "it waits for its own device"


def test_an_engine_takes_only_so_many():
    held = [Holder("x", 0), Holder("y", 0), Holder("z", 1)]
    assert next_move(held, [Applicant("v")], 9, [0, 1], each=2) == on("v", 1)
    assert next_move([*held, Holder("w", 1)], [Applicant("v")], 9, [0, 1], each=2) is None
    run_there = [*held, Holder("r", 1, True)]
    assert next_move(run_there, [Applicant("v")], 9, [0, 1], each=2) == Move("r", frozenset())
    assert next_move(held, [run("s")], 9, [0, 1], each=2) == on("s", 1)
