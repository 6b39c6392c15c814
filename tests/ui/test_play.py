import av
import pytest
from PIL import Image
from playwright.sync_api import expect

from mgdemo.actions import MODES
from mgdemo.scenario import load_scenario
from tests.support.page_player import EMBEDDED, HEIGHT, REAL, SOCKETS, WIDTH, HeldEvents, Player


@pytest.fixture(scope="module")
def address(serve):
    return serve()


@pytest.fixture(scope="module")
def real_address(serve):
    return serve(REAL)


def frames_of(path):
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


@pytest.mark.parametrize("world", ["stub", *(entry.mode for entry in EMBEDDED)])
def test_a_play_from_start_to_film(world, request, visit, tmp_path):
    player = visit(request.getfixturevalue("address" if world == "stub" else "real_address"))
    mode = MODES["universal" if world == "stub" else world]
    control = mode.control("W")
    player.panel.get_by_text(mode.title, exact=True).click()
    expect(player.pad(control.name)).to_be_visible()
    player.start()
    player.expect("playing")
    player.wait_for_frame(10)
    before = player.root.locator(".screen").screenshot()
    level = player.pixels()[0]

    player.page.keyboard.down("w")
    player.expect_lit(control.name, "held")
    player.expect_lit(control.name, "used")
    player.wait_for_frame(player.frame + 12)
    assert player.root.locator(".screen").screenshot() != before
    if world == "stub":
        assert player.pixels()[0] == pytest.approx(level + 10, abs=3)  # the stub paints the pressed key
    player.page.keyboard.up("w")
    player.expect_lit(control.name, "held", False)
    player.expect_lit(control.name, "used", False)

    player.stop()
    expect(player.results).to_be_visible()
    expect(player.status).to_contain_text("Your film is ready")
    plain = frames_of(player.save("Save film", tmp_path))
    drawn = frames_of(player.save("Save with keys", tmp_path))
    scenario = load_scenario(player.save("Save scenario", tmp_path))
    assert len(plain) == len(drawn) == len(scenario.track) > 24
    assert any((a != b).any() for a, b in zip(plain, drawn, strict=True))
    pressed = scenario.track.keyboard[:, control.keyboard]
    assert 0 < pressed.sum() < len(pressed)
    assert (scenario.mode, scenario.seed) == (mode.name, 0) and scenario.image.startswith("embedded:")
    if world == "stub":
        levels = [float(frame[HEIGHT // 2, WIDTH // 4, 0]) for frame in plain]
        assert levels == pytest.approx([level + 10 * held for held in pressed], abs=4)


REDDISH = """(image) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  canvas.drawImage(image, 0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return red > 2 * green && red > 2 * blue;
}"""


def test_start_can_be_pressed_from_the_moment_when_it_is_seen(address, visit):
    for _ in range(3):
        page = visit(address).page.context.new_page()  # a tab of its own: it gets nobody's session
        page.goto(address, wait_until="commit")
        player = Player(page, page.main_frame, "play")
        player.start()
        player.expect("playing")
        page.close()


def test_start_right_after_another_start_image_was_chosen(address, visit, tmp_path):
    player = visit(address)
    held = HeldEvents(player, 2)
    player.pick("Red")
    held.wait_for(1)
    player.start()
    held.wait_for(2)[1].continue_()
    player.expect("playing")
    held.wait_for(2)[0].continue_()
    player.wait_for_frame(10)
    player.stop()
    assert "red" in load_scenario(player.save("Save scenario", tmp_path)).image
    expect(player.start_image("Red")).to_be_checked()


def test_of_choices_in_quick_succession_the_last_one_counts(address, visit):
    player = visit(address)
    held = HeldEvents(player, 1)
    player.pick("Green")
    (first,) = held.wait_for(1)
    player.pick("Red")
    first.continue_()
    player.scope.wait_for_function(REDDISH, arg=player.root.locator(".poster").element_handle())

    held = HeldEvents(player, 2)
    player.world(MODES["templerun"].title)
    held.wait_for(1)
    player.world(MODES["universal"].title)
    held.wait_for(1)[0].continue_()
    last = held.wait_for(2)[1]
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    last.continue_()
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey world")
    expect(player.pad("forward")).to_be_visible()


def test_start_right_after_another_world_was_chosen(address, visit):
    """What is started then is on its way before the page knows which checkpoints that world has."""
    player = visit(address)
    held = HeldEvents(player, 2)
    player.panel.get_by_text(MODES["templerun"].title, exact=True).click()
    player.start()
    chosen, started = held.wait_for(2)
    chosen.continue_()
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    started.continue_()
    player.expect("playing")
    expect(player.pad("turn_left")).to_be_visible()


def test_combinations_pads_and_lost_key_ups(address, visit):
    player = visit(address)
    player.start()
    player.expect("playing")
    keyboard = player.page.keyboard
    keyboard.down("w")
    keyboard.down("ArrowRight")  # another key of "look right"
    for control in ("forward", "look_right"):
        player.expect_lit(control, "held")
        player.expect_lit(control, "used")
    assert player.page.evaluate("scrollY") == 0
    player.page.evaluate("window.dispatchEvent(new Event('blur'))")
    for control in ("forward", "look_right"):
        player.expect_lit(control, "held", False)
    player.expect_lit("forward", "used", False)

    player.pad("left").hover()
    player.page.mouse.down()
    player.expect_lit("left", "held")
    player.expect_lit("left", "used")
    player.page.mouse.move(0, 0)  # the pad keeps the pointer that pressed it
    player.expect_lit("left", "held")
    player.page.mouse.up()
    player.expect_lit("left", "held", False)

    player.root.get_by_role("button", name="Full screen").click()
    player.page.wait_for_function("document.fullscreenElement")
    keyboard.down("s")
    player.expect_lit("back", "held")
    keyboard.up("s")
    player.page.evaluate("document.exitFullscreen()")

    player.stop()


def test_two_thumbs_on_a_phone(address, visit):
    player = visit(address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert player.page.evaluate("document.documentElement.scrollWidth") <= 360
    player.start()
    player.expect("playing")
    touch = player.page.context.new_cdp_session(player.page)

    def fingers(kind, *controls):
        boxes = [player.pad(control).bounding_box() for control in controls]
        points = [
            {"x": b["x"] + b["width"] / 2, "y": b["y"] + b["height"] / 2, "id": i}
            for i, b in enumerate(boxes)
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", "forward")
    fingers("touchStart", "forward", "look_left")
    for control in ("forward", "look_left"):
        player.expect_lit(control, "held")
        player.expect_lit(control, "used")
    fingers("touchEnd")
    for control in ("forward", "look_left"):
        player.expect_lit(control, "held", False)
    player.stop()


def test_the_queue_and_a_reload_while_others_wait(serve, visit):
    address = serve(sessions=2)
    one, two, three, four = (visit(address) for _ in range(4))
    for player in (one, two):
        player.start()
        player.expect("playing")
    three.start()
    three.expect("queued")
    expect(three.message).to_contain_text("next in the queue")
    four.start()
    expect(four.message).to_contain_text("number 2 in the queue")
    one.page.keyboard.down("w")
    one.expect_lit("forward", "used")
    assert one.pixels()[0] > two.pixels()[0] + 5, "two visitors share a world"
    two.page.reload()
    two.expect("playing")  # its own session, which keeps its place
    three.page.reload()
    expect(three.message).to_contain_text("next in the queue")
    expect(four.message).to_contain_text("number 2 in the queue")
    two.stop()
    three.expect("playing")
    expect(four.message).to_contain_text("next in the queue")
    one.stop()
    four.expect("playing")


def test_a_picture_of_ones_own(address, visit, tmp_path):
    player = visit(address)
    bands = Image.new("RGB", (90, 300), (250, 0, 0))
    bands.paste((0, 0, 250), (0, 100, 90, 200))
    exif = bands.getexif()
    exif[0x0112] = 3  # upside down
    portrait, broken = tmp_path / "portrait.jpg", tmp_path / "broken.png"
    bands.save(portrait, exif=exif)
    broken.write_bytes(b"\x89PNG\r\n\x1a\n not really")
    poster = player.root.locator(".poster")
    first = poster.get_attribute("src")

    player.upload("Use your own picture", portrait)
    expect(poster).not_to_have_attribute("src", first)
    size, middle = poster.evaluate(
        """async (image) => {
          await image.decode();
          const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
          canvas.getContext("2d").drawImage(image, 0, 0);
          const at = (y) => [...canvas.getContext("2d").getImageData(32, y, 1, 1).data.slice(0, 3)];
          return [[image.naturalWidth, image.naturalHeight], [at(2), at(45)]];
        }"""
    )
    assert size == [WIDTH, HEIGHT]
    assert all(pixel[2] > 200 > 50 > pixel[0] for pixel in middle), f"not cropped to the middle: {middle}"
    expect(player.start_image("Your own picture")).to_be_checked()
    hint = player.panel.get_by_text("your picture follows the keys for a moment")
    expect(hint).to_contain_text("python -m mgdemo download --mode universal")

    cropped = poster.get_attribute("src")
    player.upload("Use your own picture", broken)
    expect(player.page.get_by_text("broken.png cannot be used as a start image")).to_be_visible()
    assert poster.get_attribute("src") == cropped
    player.pick("Blue")
    expect(poster).not_to_have_attribute("src", cropped)
    expect(hint).to_be_hidden()


def test_what_cannot_be_played_says_what_to_do(address, visit):
    player = visit(address)
    expect(player.panel.get_by_text("Preview world: grey.")).to_be_visible()
    player.choose("Checkpoint", "Big world (not downloaded)")
    expect(player.message).to_contain_text("python -m mgdemo download --mode universal")
    expect(player.root.locator(".start")).to_be_disabled()
    player.choose("Checkpoint", "Broken world")
    player.start()
    player.expect("error")
    expect(player.message).to_contain_text("missing.safetensors")
    expect(player.root.locator(".start")).to_be_enabled()

    player.panel.get_by_text("Temple Run", exact=True).click()
    expect(player.pad("turn_left")).to_be_visible()
    expect(player.pad("look_up")).to_have_count(0)
    player.start()
    player.expect("playing")
    player.stop()


NO_SOCKET = """
  window.WebSocket = class {
    constructor() { setTimeout(() => this.onclose({ code: 1006 }), 5); }
    close() {}
  };
"""


def test_a_dropped_line_comes_back_and_loses_no_frame(address, visit, tmp_path):
    player = visit(address, script=SOCKETS)
    player.start()
    player.expect("playing")
    player.wait_for_frame(20)
    player.page.evaluate("window.sockets.at(-1).close(4000)")
    player.expect_passing("lost")
    player.expect("playing")
    assert player.page.evaluate("window.sockets.length") == 2
    player.wait_for_frame(player.frame + 20)
    player.stop()
    expect(player.results).to_be_visible()
    frames = frames_of(player.save("Save film", tmp_path))
    stripes = [int(frame[1, :, 1].argmax()) for frame in frames]  # the stub's stripe moves on with each frame
    assert len(frames) > 40 and stripes == [i % WIDTH for i in range(len(frames))]


def test_a_page_that_is_loaded_anew_takes_up_its_play(address, visit, tmp_path):
    """As Gradio does when its own line was lost."""
    player = visit(address)
    player.start()
    player.expect("playing")
    player.wait_for_frame(20)
    player.page.reload()
    player.expect("playing")
    assert player.frame > 20
    player.page.keyboard.down("w")
    player.expect_lit("forward", "used")
    player.stop()
    frames = frames_of(player.save("Save film", tmp_path))
    assert [int(frame[1, :, 1].argmax()) for frame in frames] == [i % WIDTH for i in range(len(frames))]
    player.page.reload()
    player.expect("ended")  # what is over is not taken up, but its film is there
    expect(player.results.locator("video")).to_be_visible()
    expect(player.root.locator(".start")).to_be_enabled()


def test_behind_a_proxy_with_a_path_prefix(serve, visit):
    address = serve(root_path="/demo/world")
    # What such a proxy does: it takes the prefix off.
    script = "window.WebSocket = class extends WebSocket { constructor(url) { super(unprefix(url)); } };"
    unprefix = """
      window.unprefix = (url) => {
        if (!String(url).includes("/demo/world/")) throw new Error(`${url} lacks the prefix`);
        return String(url).replace("/demo/world", "");
      };
    """

    def proxy(route):
        route.continue_(url=route.request.url.replace("/demo/world", "", 1))

    player = visit(f"{address}demo/world/", script=unprefix + script, route=("**/demo/world/**", proxy))
    player.start()
    player.expect("playing")
    player.stop()
    expect(player.results).to_be_visible()


def test_the_engine_starts_while_the_visitor_looks_around(serve, visit):
    player = visit(serve())
    player.wait_for_health(lambda health: health["workers"][0]["running"] and not health["playing"])


def test_stop_before_the_play_is_there(address, visit):
    player = visit(address)
    clicks = "(root) => [root.querySelector('.start'), root.querySelector('.stop')].forEach((b) => b.click())"
    for _ in range(2):  # the second time there is an earlier play that could be stopped by mistake
        player.page.evaluate("passed.length = 0")
        player.root.evaluate(clicks)
        player.expect_passing("saving")
        player.expect("ended")
        assert player.frame == -1
        player.start()
        player.expect("playing")
        player.stop()


def test_a_server_that_says_nothing_is_given_up(address, visit):
    player = visit(address, route=("**/queue/join*", lambda route: None))
    player.page.clock.install()
    player.start()
    player.expect("starting")
    player.page.clock.fast_forward(21_000)
    player.expect("error")
    expect(player.message).to_contain_text("The server isn't responding")
    expect(player.root.locator(".start")).to_be_enabled()


def test_stop_works_without_a_socket(address, visit):
    player = visit(address, script=NO_SOCKET)
    player.start()
    player.expect("lost")
    player.stop()


def test_jpeg_without_webcodecs_in_a_frame_of_another_page(address, visit):
    player = visit(address, script="delete window.VideoDecoder;", framed=True)
    player.start()
    player.expect("playing")
    player.page.keyboard.down("d")
    player.expect_lit("right", "used")
    assert player.pixels()[0] == pytest.approx(60 + 80, abs=6)
    player.stop()


def test_a_slow_machine_slows_evenly_and_says_so(address, visit):
    player = visit(address)
    player.choose("Checkpoint", "Slow world")
    player.start()
    player.expect("playing")
    expect(player.status).to_contain_text("playback is slowed down")
    player.stop()


def test_a_visitor_deletes_the_recording_with_all_copies_of_it(serve, visit, tmp_path):
    address = serve(record_dir=tmp_path / "sessions", keep_hours=72)
    player = visit(address)
    player.start()
    player.expect("playing")
    player.wait_for_frame(20)
    player.stop()
    expect(player.results.get_by_text("It stays on this server for 3 days at most")).to_be_visible()
    (folder,) = (tmp_path / "sessions").glob("*-*-*")
    assert list(folder.glob("*.mp4"))
    player.results.get_by_role("button", name="Delete my recording").click()
    expect(player.results).to_be_hidden()
    assert not folder.exists()
