"""Links and dropped files: what a visitor takes along opens again, on another page, as it was."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from mgdemo.actions import ActionTrack
from mgdemo.replay import film_tags, open_replay
from mgdemo.scenario import scenario_yaml
from mgdemo.ui.links import OWN_PICTURE
from mgdemo.ui.share import Shared, fragment
from mgdemo.video.mp4 import read_frames, write_mp4
from tests.support.page_player import HEIGHT, WIDTH, Player

TRACK = ActionTrack.concat(
    [ActionTrack.hold("templerun", ["jump"], None, 45), ActionTrack.hold("templerun", ["A"], None, 24)]
)
CLIPBOARD = """
  window.copied = [];
  const writeText = async (text) => window.copied.push(text);
  Object.defineProperty(navigator, "clipboard", { value: { writeText } });
"""
NO_CLIPBOARD = """
  const writeText = async () => { throw new Error("not here"); };
  Object.defineProperty(navigator, "clipboard", { value: { writeText } });
"""
DROP = """
  async (files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, url] of files) {
      const blob = await (await fetch(url)).blob();
      dataTransfer.items.add(new File([blob], name, { type: "" }));
    }
    const tell = (type) => document.body.dispatchEvent(
      new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    tell("dragenter");
    const cue = document.querySelector(".drop-cue");
    const shown = getComputedStyle(cue).display !== "none";
    tell("drop");
    return shown && getComputedStyle(cue).display === "none";
  }
"""


@pytest.fixture(scope="module")
def address(serve):
    return serve()


def drop(player, path, name=None, others=()):
    """Drops a file on the middle of the page, and others with it."""
    files = [(name or path.name, path), *((other.name, other) for other in others)]
    bodies = [path.read_bytes() for _, path in files]
    player.page.route(
        "**/dropped-*", lambda route: route.fulfill(body=bodies[int(route.request.url.rpartition("-")[2])])
    )
    given = [[name, f"/dropped-{i}"] for i, (name, _) in enumerate(files)]
    assert player.page.evaluate(DROP, given), "no cue, or it stays"
    player.page.unroute("**/dropped-*")


def copied(player, button):
    button.click()
    player.page.wait_for_function("window.copied.length")
    return player.page.evaluate("window.copied.pop()")


def follow(player, link, route=None):
    """The Scenarios tab of another page, which the link should open."""
    page = player.page.context.new_page()
    if route:
        page.route(*route)
    page.goto(link)
    return Player(page, page.main_frame, "scenarios")


def said(player, text):
    expect(player.page.get_by_text(text)).to_be_visible()


def test_a_link_opens_the_same_choices_on_another_page(address, visit):
    one = visit(f"{address}?__theme=dark&__sign=secret", script=CLIPBOARD)
    one.choose("Checkpoint", "Slow world")
    expect(one.panel.get_by_text("Preview world: grey.")).to_be_hidden()
    one.pick("Green")
    one.panel.get_by_label("Seed").fill("77")
    expect(one.start_image("Green")).to_be_checked()
    link = copied(one, one.panel.get_by_role("button", name="Copy link to these settings"))
    said(one, "Link copied.")
    assert link.startswith(f"{address}#play=")  # the page's own query may hold a token

    two = visit(link)
    expect(two.panel.get_by_label("Checkpoint")).to_have_value("Slow world")
    expect(two.panel.get_by_label("Seed")).to_have_value("77")
    expect(two.start_image("Green")).to_be_checked()
    expect(two.root.locator(".poster")).to_have_attribute(
        "src", one.root.locator(".poster").get_attribute("src")
    )
    two.start()
    two.expect("playing")
    two.stop()


def test_a_link_to_a_play_replays_it(address, visit, tmp_path):
    one = visit(address, script=CLIPBOARD)
    one.panel.get_by_text("Temple Run", exact=True).click()
    expect(one.pad("turn_left")).to_be_visible()
    one.panel.get_by_label("Seed").fill("5")
    one.start()
    one.expect("playing")
    one.page.keyboard.down("a")
    one.expect_lit("left", "used")
    one.page.keyboard.up("a")
    one.stop()
    link = copied(one, one.results.get_by_role("button", name="Copy link"))
    first = one.save("Save film", tmp_path)

    it = follow(one, link)
    expect(it.pad("turn_left")).to_be_visible()
    expect(it.panel.get_by_label("Seed")).to_have_value("5")
    expect(it.scenario(re.compile("A session of .* \\(yours\\)"))).to_be_checked()
    expect(it.panel.locator(".start-image")).to_have_count(3)  # its start image is one of those that ship
    it.start()
    it.expect("ended")
    (tmp_path / "again").mkdir()
    second = it.save("Save film", tmp_path / "again")
    one_track, two_track = (open_replay(path).scenario.track for path in (first, second))
    assert one_track == two_track
    frames = [np.stack(list(read_frames(path))).astype(int) for path in (first, second)]
    assert np.abs(frames[0] - frames[1]).max() < 30  # key frames may lie elsewhere


def test_a_link_to_a_play_that_began_with_ones_own_picture_opens_without_it(address, visit, tmp_path):
    mine = tmp_path / "mine.png"
    Image.new("RGB", (90, 60), (90, 20, 20)).save(mine)
    one = visit(address, script=CLIPBOARD)
    one.upload("Use your own picture", mine)
    expect(one.panel.locator(".start-image")).to_have_count(4)
    one.start()
    one.wait_for_frame(20)
    one.stop()
    link = copied(one, one.results.get_by_role("button", name="Copy link"))
    said(one, OWN_PICTURE)
    it = follow(one, link)
    expect(it.scenario(re.compile("A session of .* \\(yours\\)"))).to_be_checked()
    it.start()
    it.expect("ended")


def test_a_link_with_a_path_prefix_and_no_clipboard(serve, visit):
    address = serve(root_path="/demo/world")

    def proxy(route):
        route.continue_(url=route.request.url.replace("/demo/world", "", 1))

    page = {"script": NO_CLIPBOARD, "route": ("**/demo/world/**", proxy)}
    player = visit(f"{address}demo/world/", "scenarios", **page)
    player.panel.get_by_role("button", name="Copy link to these settings").click()
    said(player, "Copy this link:")
    link = player.page.get_by_label("The link").input_value()
    assert link.startswith(f"{address}demo/world/#replay=")
    it = follow(player, link, page["route"])
    expect(it.scenario("There and round (yours)")).to_be_checked()


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("play=eNqrVkrOz0lRslIqLU4t", "This link is incomplete, so the page opened with its defaults."),
        (fragment(Shared("gta_drive", "gta_drive", None, 1)), "This link's world isn't available here"),
        (
            fragment(Shared("universal", "gone", "embedded:gone", 1)),
            "This link's checkpoint, gone, isn't available here. Using Grey world",
        ),
    ],
)
def test_a_link_that_cannot_be_followed_says_so_gently(address, visit, link, text):
    player = visit(f"{address}#{link}")
    said(player, text)
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey world")
    expect(player.root.locator(".start")).to_be_enabled()


def test_a_dropped_film_opens_ready_to_replay_from_its_own_picture(address, visit, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    tags = film_tags("templerun", picture) | {"scenario": scenario_yaml(TRACK, title="A <i>film</i>", seed=9)}
    film = tmp_path / "film.mp4"
    write_mp4(film, [noise] * 5, 25, tags)
    player = visit(address)
    drop(player, film)
    it = Player(player.page, player.scope, "scenarios")
    expect(it.panel.get_by_role("heading", name="A <i>film</i>")).to_be_visible()
    expect(it.panel.get_by_label("Seed")).to_have_value("9")
    expect(it.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    expect(it.start_image("Your own picture")).to_be_checked()
    it.start()
    it.expect("ended")
    replay = open_replay(it.save("Save film", tmp_path))
    assert replay.scenario.track == TRACK and replay.checkpoint == "templerun"
    assert (np.asarray(replay.image) == noise).all()


def test_a_dropped_scenario_and_a_dropped_picture(address, visit, tmp_path):
    player = visit(address)
    it = Player(player.page, player.scope, "scenarios")
    red, text = tmp_path / "red.png", tmp_path / "jump.yml"
    Image.new("RGB", (80, 60), (250, 0, 0)).save(red)
    text.write_text(scenario_yaml(TRACK, title="Jump", seed=3))
    poster = player.root.locator(".poster")
    before = poster.get_attribute("src")
    drop(player, red)
    expect(poster).not_to_have_attribute("src", before)
    expect(player.start_image("Your own picture")).to_be_checked()
    expect(it.root).to_be_hidden()  # a picture stays on the tab that is open
    drop(player, text)
    expect(it.panel.get_by_role("heading", name="Jump")).to_be_visible()
    drop(player, red)
    expect(it.start_image("Your own picture")).to_be_checked()


def test_a_scenario_without_its_picture_waits_for_it(address, visit, tmp_path):
    player = visit(address)
    it = Player(player.page, player.scope, "scenarios")
    crossing, text, odd = (tmp_path / name for name in ("crossing.png", "walk.yaml", "odd.yaml"))
    Image.new("RGB", (80, 60), (250, 0, 0)).save(crossing)
    text.write_text(scenario_yaml(TRACK, title="Walk", image="crossing.png"))
    odd.write_text(scenario_yaml(TRACK, title="Odd", image="odd.yaml"))
    for path, name in ((text, "crossing.png"), (odd, "odd.yaml")):
        drop(player, path)
        expect(it.message).to_contain_text(f"This scenario starts from {name}: choose it.")
        expect(it.root.locator(".start")).to_be_disabled()
        images = it.panel.get_by_role("radiogroup", name="Start image")
        expect(images.get_by_role("radio", checked=True)).to_have_count(0)
    player.page.reload()  # it is asked for again, not replaced
    expect(it.message).to_contain_text("This scenario starts from odd.yaml: choose it.")
    expect(it.root.locator(".start")).to_be_disabled()
    it.upload("Use your own picture", crossing)
    expect(it.root.locator(".start")).to_be_enabled()
    expect(it.start_image("Your own picture")).to_be_checked()

    other = visit(address)
    it = Player(other.page, other.scope, "scenarios")
    drop(other, text, others=[crossing])  # both at once
    expect(it.start_image("Your own picture")).to_be_checked()
    expect(it.root.locator(".start")).to_be_enabled()


def test_of_several_files_the_others_are_named(address, visit, tmp_path):
    player = visit(address)
    paths = [tmp_path / name for name in ("one.jfif", "two.png", "notes.txt")]
    for path in paths[:2]:
        Image.new("RGB", (80, 60), (250, 0, 0)).save(path, "JPEG")
    paths[2].write_text("notes")
    drop(player, paths[0], others=paths[1:])
    expect(player.start_image("Your own picture")).to_be_checked()
    said(player, "Not opened: two.png, notes.txt.")


def test_a_film_larger_than_the_page_takes_opens_by_its_tags(serve, visit, tmp_path, monkeypatch):
    film, most = tmp_path / "long.mp4", 400_000
    monkeypatch.setattr("mgdemo.ui.serve.MAX_UPLOAD_BYTES", most)
    tags = {"checkpoint": "my-finetune", "scenario": scenario_yaml(TRACK, title="Long", seed=4)}
    write_mp4(film, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3, 25, tags)
    with film.open("ab") as file:  # a box of free space: its size is in front
        file.write((2 * most).to_bytes(4) + b"free" + bytes(2 * most - 8))
    player = visit(serve())
    it = Player(player.page, player.scope, "scenarios")
    drop(player, film)
    expect(it.panel.get_by_role("heading", name="Long")).to_be_visible()
    expect(it.panel.get_by_label("Seed")).to_have_value("4")
    said(player, "This film's checkpoint, my-finetune, isn't available here. Using Grey run instead.")
    it.upload("Use your own file", film)
    expect(it.panel.get_by_role("heading", name="Long")).to_be_visible()


def test_what_opens_on_one_tab_leaves_the_other_as_it_was(address, visit, tmp_path):
    picture = tmp_path / "red.png"
    Image.new("RGB", (80, 60), (250, 0, 0)).save(picture)
    for bring in (
        lambda player: drop(player, picture),
        lambda player: player.page.evaluate("window.location.hash = 'play=broken'"),
        lambda player: player.page.evaluate("window.location.hash = 'replay=broken'"),
        lambda player: drop(player, picture, "broken.mp4"),
    ):
        player = visit(address)
        bring(player)
        expect(player.page.locator(".toast-body").first).to_be_visible()
        player.page.get_by_role("tab", name="Scenarios").click()
        it = Player(player.page, player.scope, "scenarios")
        expect(it.pad("forward")).to_be_visible()
        expect(it.scenario("There and round")).to_be_checked()
        expect(it.panel.locator(".start-image")).to_have_count(3)


def test_files_of_no_use_say_what_would_be(address, visit, tmp_path):
    player = visit(address)
    plain, broken, other, wrong = (tmp_path / n for n in ("plain.mp4", "broken.mp4", "tax.pdf", "wrong.yaml"))
    write_mp4(plain, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3, 25)
    broken.write_bytes(b"not a film")
    other.write_bytes(b"%PDF")
    wrong.write_text("title: x\nmode: universal\nactions:\n  - {hold: [Q], for: 1s}\n")
    for path, text in (
        (plain, "plain.mp4 has no scenario inside"),
        (broken, "broken.mp4 cannot be read as a video; give an mp4"),
        (other, "tax.pdf cannot be opened here: drop a film or a scenario"),
        (wrong, "wrong.yaml, line 4"),
    ):
        drop(player, path)
        said(player, text)
    drop(player, broken, "broken.png")
    said(player, "broken.png cannot be used as a start image")
    broken.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    drop(player, broken, "photo.heic")
    said(player, re.compile(r"photo\.heic .*(HEIC|cannot be used)"))
    expect(player.root).to_be_visible()
    expect(player.root.locator(".start")).to_be_enabled()


def test_the_shown_picture_is_saved_and_begins_the_next_play(address, visit, tmp_path):
    player = visit(address)
    player.start()
    player.expect("playing")
    player.wait_for_frame(20)
    player.root.get_by_label("Picture", exact=True).click()
    with player.page.expect_download() as download:
        player.root.get_by_role("button", name="Save picture").click()
    path = tmp_path / "picture.png"
    download.value.save_as(path)
    assert re.fullmatch(r"picture-\d+\.png", download.value.suggested_filename)
    with Image.open(path) as image:
        assert image.size == (WIDTH, HEIGHT) and image.format == "PNG"
    player.root.get_by_label("Picture", exact=True).click()
    player.root.get_by_role("button", name="Start from this picture").click()
    said(player, "This picture is the start image now.")
    player.expect("playing")  # the play goes on
    player.root.get_by_role("button", name="Stop").click()
    player.expect("ended")
    expect(player.start_image("Your own picture")).to_be_checked()
    expect(player.player).to_have_attribute("data-picture", "poster")
