"""The procedural world: the same on every run, moved by the keys the right way, with solid things in it."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.controllability import free
from benchmarks.runs import Starts
from mgdemo.actions import MODES
from mgdemo.checkpoints import ORDER, start_images
from training.ground import DASHES
from training.motion import (
    CLEARANCE,
    PITCH_LIMIT,
    TOP_SPEED,
    integrate,
    sample_actions,
    sample_start,
    sample_worlds,
)
from training.places import CELL, is_held_out, make_world, objects_at
from training.renderer import render, render_frames
from training.themes import THEMES


def drive(world, start, keys=(0, 0, 0, 0), mouse=(0.0, 0.0), frames=11):
    batch = len(start)
    keyboard = torch.tensor(keys, dtype=torch.float32).expand(batch, frames, 4)
    return integrate(world, start, keyboard, torch.tensor(mouse).expand(batch, frames, 2))


@pytest.fixture
def place():
    """A held-out place and a start with room on all sides."""
    starts = Starts.draw("universal", 8)
    ways = [[(name,)] * 2 for name in ("forward", "back", "left", "right")]
    index = next(i for i in range(8) if all(free(starts, i, way) for way in ways))
    return starts.world.take(slice(index, index + 1)), starts.poses[index : index + 1]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_draws_the_same_bytes(mode):
    def draw():
        generator = torch.Generator().manual_seed(5)
        world = sample_worlds(2, generator, mode=mode)
        keyboard, mouse = sample_actions(2, 3, generator, mode)
        return render(world, integrate(world, sample_start(world, generator), keyboard, mouse), 36, 64)

    first = draw()
    assert first.shape == (2, 3, 3, 36, 64) and first.dtype == torch.uint8
    assert torch.equal(first, draw())
    assert first[0].float().std() > 20, "a picture with nothing in it"


def moments(mode, count, frame=30):
    """Places and poses in the middle of sessions."""
    generator = torch.Generator().manual_seed(2)
    world = sample_worlds(count, generator, mode=mode)
    actions = sample_actions(count, frame + 1, generator, mode)
    return world, integrate(world, sample_start(world, generator), *actions)[:, -1]


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_draws_what_its_places_draw_alone(mode):
    world, poses = moments(mode, 3)
    together = render_frames(world, poses, 36, 64)
    for i in range(3):
        alone = render_frames(world.take(slice(i, i + 1)), poses[i : i + 1], 36, 64)
        assert (together[i] - alone[0]).abs().max() < 2 / 255


def test_drawing_can_be_compiled_as_one_graph():
    world, poses = moments("templerun", 2)  # the mode with most to draw
    graph = torch.compile(render_frames, backend="eager", fullgraph=True, dynamic=False)
    assert (graph(world, poses, 18, 32) - render_frames(world, poses, 18, 32)).abs().max() < 2 / 255


def test_the_parts_of_a_cut_clip_are_drawn_in_order():
    generator = torch.Generator().manual_seed(1)
    world = sample_worlds(2, generator)
    poses = drive(world, sample_start(world, generator), mouse=(0.0, 0.1), frames=3)
    assert torch.equal(render(world, poses, 18, 32, chunk=4), render(world, poses, 18, 32, chunk=1))


@pytest.mark.parametrize(
    "keys, ahead, aside",
    [
        ((1, 0, 0, 0), 1, 0),
        ((0, 1, 0, 0), -1, 0),
        ((0, 0, 1, 0), 0, -1),
        ((0, 0, 0, 1), 0, 1),
        ((1, 0, 0, 1), math.sqrt(0.5), math.sqrt(0.5)),
        ((1, 1, 0, 0), 0, 0),
    ],
)
def test_keys_move_the_camera_in_its_own_directions(place, keys, ahead, aside):
    world, start = place
    x, z, yaw, pitch, eye = (drive(world, start, keys)[0, -1] - start[0]).tolist()
    sin, cos = start[0, 2].sin().item(), start[0, 2].cos().item()
    assert x * sin + z * cos == pytest.approx(ahead, abs=1e-3)  # ten frames of 0.1
    assert x * cos - z * sin == pytest.approx(aside, abs=1e-3)
    assert yaw == pitch == eye == 0


def test_the_mouse_turns_and_tilts_and_the_tilt_ends(place):
    world, start = place
    moved = drive(world, start, mouse=(0.1, -0.1))[0, -1] - start[0]
    assert moved.tolist() == pytest.approx([0, 0, math.radians(-15), math.radians(15), 0], abs=1e-5)
    assert drive(world, start, mouse=(-0.1, 0.0), frames=40)[0, -1, 3] == pytest.approx(-PITCH_LIMIT)


def test_the_last_row_of_actions_moves_nothing(place):
    world, start = place
    poses = drive(world, start, (1, 0, 0, 0), frames=2)
    assert poses.shape == (1, 2, 5)
    assert torch.equal(poses[:, 0], start) and not torch.equal(poses[:, 1], start)


def test_solid_things_push_the_camera_out_and_let_it_slide():
    world = make_world(torch.full((400,), 9), torch.zeros(400, dtype=torch.int64))
    cells = torch.arange(400, dtype=torch.int32)[:, None]
    there = objects_at(world, cells, cells)
    index = torch.nonzero(there.size[:, 0] > 0)[:, 0]
    world, x, z, solid = (world.take(index), there.x[index, 0], there.z[index, 0], there.solid[index, 0])
    assert len(index) > 100
    # Head for a point a little beside each object, from three units away.
    start = torch.stack([x + 0.2, z - 3, 0 * x, 0 * x, 0 * x + 1], 1)
    poses = drive(world, start, (1, 0, 0, 0), frames=80)
    away = torch.hypot(poses[:, :, 0] - x[:, None], poses[:, :, 1] - z[:, None]).amin(1)
    assert (away > solid + CLEARANCE - 0.05).float().mean() > 0.97
    assert (poses[:, -1, 1] > z + 1).float().mean() > 0.9, "stuck instead of sliding past"


def test_objects_stay_inside_their_cells_and_off_the_paths():
    world = make_world(torch.tensor([21]), torch.tensor([1]))
    cells = torch.arange(-20, 20, dtype=torch.int32)
    there = objects_at(world, cells.repeat(40)[None], cells.repeat_interleave(40)[None])
    full = there.size > 0
    assert 0.2 < full.float().mean() < 0.8
    offset = torch.stack([there.x, there.z]) / CELL % 1 - 0.5
    assert ((offset.abs().amax(0) * CELL + there.reach)[full] < CELL / 2).all()


def test_held_out_places_are_never_trained_on():
    generator = torch.Generator().manual_seed(0)
    assert not is_held_out(sample_worlds(2000, generator).seed).any()
    assert is_held_out(sample_worlds(2000, generator, held_out=True).seed).all()
    with pytest.raises(ValueError, match="meadow"):
        sample_worlds(1, generator, themes=("moon",))


@pytest.mark.parametrize("mode", MODES)
def test_the_start_images_that_ship_are_of_places_never_trained_on(mode):
    paths = start_images(f"{mode}-tiny")
    rows = json.loads(paths[0].with_name(ORDER).read_text())
    assert [row["image"] for row in rows] == [path.name for path in paths] and len(rows) >= 8
    seeds = torch.tensor([row["seed"] for row in rows])
    assert is_held_out(seeds).all() and len(seeds.unique()) == len(rows)
    themes = [theme.name for theme in THEMES[mode]]
    assert {row["theme"] for row in rows} == set(themes)
    for theme in themes:
        row, path = next((row, path) for row, path in zip(rows, paths, strict=True) if row["theme"] == theme)
        world = make_world(torch.tensor([row["seed"]]), torch.tensor([themes.index(theme)]), mode)
        shipped = np.asarray(Image.open(path).convert("RGB"), np.float32)
        drawn = render(world, torch.tensor([[row["pose"]]]), *shipped.shape[:2])[0, 0].permute(1, 2, 0)
        away = np.abs(drawn.numpy() - shipped).mean()
        assert away < 0.02, f"{path.name} does not show the place that starts.json says: draw them again"


def test_sampled_actions_hold_controls_and_mostly_change_with_the_blocks():
    keyboard, mouse = sample_actions(600, 81, torch.Generator().manual_seed(3))
    rows = torch.cat([keyboard, mouse], 2)
    change = (rows[:, 1:] != rows[:, :-1]).any(2)  # [clip, frame - 1]
    frames = torch.arange(1, 81)
    on_block = (frames >= 9) & ((frames - 9) % 12 == 0)
    aligned = ~(change & ~on_block).any(1)
    assert 0.66 < aligned.float().mean() < 0.78
    for clip in change[:100]:
        gaps = torch.nonzero(clip)[:, 0].diff()
        assert (gaps >= 4).all()
    idle = (rows == 0).all(2).float().mean()
    assert 0.11 < idle < 0.20
    held = mouse.abs().isclose(torch.tensor(0.1)) | (mouse == 0)
    assert 0.90 < held.float().mean() < 0.99, "now and then it moves as a real mouse does"
    assert mouse[~held].abs().min() >= 0.03 and mouse.abs().max() <= 0.2
    assert (keyboard.mean((0, 1)) > 0.1).all()


def test_a_road_that_moves_never_looks_like_one_that_stands():
    """After a block at full speed its dashes are where the gaps were."""
    driven = 12 * TOP_SPEED / DASHES
    assert 0.3 < driven % 1 < 0.7
