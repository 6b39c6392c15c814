import re

import av
import pytest
from playwright.sync_api import expect

from mgdemo.actions import ActionTrack
from mgdemo.scenario import scenario_yaml
from mgdemo.ui.start_images import name_of
from mgdemo.video.mp4 import metadata
from tests.support.page_player import EMBEDDED, HEIGHT, REAL, WIDTH, HeldEvents


@pytest.fixture(scope="module")
def address(serve):
    return serve()


@pytest.mark.parametrize("world", ["stub", *(entry.name for entry in EMBEDDED[:1])])
def test_a_scenario_from_the_library_to_its_films(world, serve, address, visit, tmp_path):
    title, frames = ("There and round", 105) if world == "stub" else ("Circling a place", 309)
    scenarios = visit(address if world == "stub" else serve(REAL), "scenarios")
    if world != "stub":  # the first scenario's own start image is chosen with it
        wanted = REAL.start_image(REAL.scenarios()["universal"][0])
        expect(scenarios.start_image(name_of(wanted))).to_be_checked()
    scenarios.choose_scenario(title)
    expect(scenarios.panel.get_by_role("heading", name=title)).to_be_visible()
    scenarios.start()
    scenarios.expect_passed("state", "^playing$")  # the stub's is over after four seconds
    scenarios.expect_passed("status", rf"^[1-9]\d* of {frames} frames generated")
    scenarios.expect_passed("used", "^left$")
    scenarios.expect_passed("used", "^look_right$")
    scenarios.expect_passed("progress", r"^0\.\d*[1-9]")
    assert scenarios.pad("left").is_disabled()
    if world != "stub":
        return scenarios.stop()
    expect(scenarios.results).to_be_visible()
    scenarios.expect("ended")
    assert scenarios.frame == frames - 1
    for button in ("Save film", "Save with keys"):
        path = scenarios.save(button, tmp_path)
        with av.open(str(path)) as film:
            assert sum(1 for _ in film.decode(video=0)) == frames
        assert title in metadata(path).get("scenario", title)
    return None


def test_a_scenario_chosen_while_another_one_is_on_its_way_is_opened(serve, visit):
    scenarios, (_, second, third, *_) = visit(serve(REAL), "scenarios"), REAL.scenarios()["universal"]
    expect(scenarios.panel.locator(".cm-content")).to_be_attached()  # which the editor has asked for
    held = HeldEvents(scenarios, 1)
    scenarios.choose_scenario(second.title)
    (first,) = held.wait_for(1)
    scenarios.choose_scenario(third.title)
    first.continue_()
    expect(scenarios.panel.get_by_role("heading", name=third.title)).to_be_visible()


def test_a_file_of_ones_own(address, visit, tmp_path):
    scenarios = visit(address, "scenarios")
    wrong, right = tmp_path / "wrong.yaml", tmp_path / "right.yaml"
    wrong.write_text("title: Wrong\nmode: universal\nactions:\n  - {hold: [Q], for: 1s}\n")
    track = ActionTrack.concat(
        [ActionTrack.hold("templerun", ["jump"], None, 45), ActionTrack.hold("templerun", ["A"], None, 24)]
    )
    right.write_text(scenario_yaml(track, title="Jump & <b>away", seed=77))

    scenarios.upload("Use your own file", wrong)
    problem = scenarios.panel.get_by_role("alert")
    expect(problem).to_contain_text("line 4")
    expect(problem).to_contain_text("use one of W, S, A, D")

    scenarios.upload("Use your own file", right)
    expect(scenarios.panel.get_by_role("heading", name="Jump & <b>away")).to_be_visible()
    expect(problem).to_have_count(0)
    expect(scenarios.panel.get_by_label("Temple Run")).to_be_checked()
    expect(scenarios.panel.get_by_label("Seed")).to_have_value("77")
    expect(scenarios.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    scenarios.upload("Use your own file", wrong)
    expect(problem).to_be_visible()
    expect(scenarios.panel.get_by_role("heading", name="Jump & <b>away")).to_be_visible()  # it stays chosen
    scenarios.start()
    scenarios.expect("ended")
    scenarios.expect_passed("used", "^jump$")
    assert scenarios.frame == 68
    assert scenarios.pixels()[0] == pytest.approx(60, abs=4)  # entry 5 of the vector is not painted

    scenarios.panel.get_by_text("Universal", exact=True).click()
    expect(scenarios.panel.get_by_label("Checkpoint")).to_have_value("Grey world")
    expect(scenarios.pad("look_up")).to_be_visible()
    expect(scenarios.panel.locator(".chosen .timeline [role=img]")).to_have_attribute(
        "aria-label", re.compile("Timeline of 4.2 s")
    )


def test_seed_and_picture_of_one_scenario_do_not_stick_to_the_next(address, visit, tmp_path):
    scenarios = visit(address, "scenarios")
    own, plain = tmp_path / "own.yaml", tmp_path / "plain.yaml"
    track = ActionTrack.hold("universal", ["W"], None, 21)
    own.write_text(scenario_yaml(track, title="Own", seed=42, image="embedded:red"))
    plain.write_text(scenario_yaml(track, title="Plain"))
    scenarios.upload("Use your own file", own)
    expect(scenarios.panel.get_by_label("Seed")).to_have_value("42")
    expect(scenarios.start_image("Red")).to_be_checked()
    scenarios.upload("Use your own file", plain)
    expect(scenarios.panel.get_by_role("heading", name="Plain")).to_be_visible()
    expect(scenarios.panel.get_by_label("Seed")).to_have_value("0")
    expect(scenarios.start_image("Blue")).to_be_checked()
    scenarios.upload("Use your own file", own)
    expect(scenarios.start_image("Red")).to_be_checked()
    scenarios.choose_scenario("There and round")
    expect(scenarios.panel.get_by_label("Seed")).to_have_value("0")
    expect(scenarios.start_image("Blue")).to_be_checked()


def test_stopping_a_scenario_keeps_what_was_made(serve, visit, tmp_path):
    scenarios = visit(serve(), "scenarios")
    scenarios.choose("Checkpoint", "Hanging world")  # it is not over before it is stopped
    scenarios.start()
    scenarios.wait_for_frame(12)
    scenarios.stop()
    with av.open(str(scenarios.save("Save film", tmp_path))) as film:
        frames = list(film.decode(video=0))
    assert 12 < len(frames) < 105
    assert (frames[0].width, frames[0].height) == (WIDTH, HEIGHT)
