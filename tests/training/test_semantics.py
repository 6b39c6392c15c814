"""What is where in a picture, as the renderer names it."""

import pytest
import torch

from mgdemo.actions import MODES
from training.motion import sample_start, sample_worlds
from training.places import make_world, objects_at
from training.renderer import render_frames
from training.semantics import CLASSES, name_rays
from training.shapes import NAMES
from training.themes import THEMES


def share(named, name):
    return named[:, CLASSES.index(name)]


@pytest.mark.parametrize("mode", MODES)
def test_every_pixel_is_something_and_the_sky_is_above(mode):
    generator = torch.Generator().manual_seed(4)
    world = sample_worlds(3, generator, mode=mode)
    named = name_rays(world, sample_start(world, generator), 36, 64)
    assert named.sum(1).allclose(torch.ones(3, 36, 64))
    assert share(named, "sky")[:, 0].mean() > 0.5 and share(named, "sky")[:, -1].mean() == 0


def test_a_car_stands_on_its_way_between_pavements():
    generator = torch.Generator().manual_seed(4)
    world = sample_worlds(4, generator, mode="gta_drive")
    named = name_rays(world, sample_start(world, generator), 36, 64)
    assert (share(named, "car")[:, 24:33, 28:36].mean((1, 2)) > 0.9).all()
    assert share(named, "car")[:, :18].max() == 0
    assert (share(named, "way")[:, -3:, 8:20].mean((1, 2)) > 0.5).all()
    assert (share(named, "pavement").mean((1, 2)) > 0).all()


def test_a_runner_is_on_a_causeway_in_the_sea():
    generator = torch.Generator().manual_seed(4)
    world = sample_worlds(4, generator, mode="templerun")
    named = name_rays(world, sample_start(world, generator), 36, 64)
    assert (share(named, "way")[:, -4:, 30:34].mean((1, 2)) > 0.9).all()
    assert (share(named, "sea").mean((1, 2)) > 0.02).all()


def test_a_thing_straight_ahead_is_called_by_its_name():
    theme = THEMES["universal"][0]
    world = make_world(torch.tensor([9]), torch.tensor([0]))
    cells = torch.arange(-30, 30, dtype=torch.int32)
    there = objects_at(world, cells.repeat(60)[None], cells.repeat_interleave(60)[None])
    for what in {kind.what for kind in theme.kinds}:
        of = [i for i, kind in enumerate(theme.kinds) if kind.what == what]
        known = (there.size[0] > 0) & torch.isin(there.kind[0], torch.tensor(of))
        seen = []
        for i in torch.nonzero(known)[:4, 0]:
            x, z = float(there.x[0, i]), float(there.z[0, i])
            pose = torch.tensor([[x, z - float(there.reach[0, i]) - 0.8, 0.0, 0.0, 0.5]])
            seen.append(float(share(name_rays(world, pose, 18, 32), what)[:, 8:11, 14:18].mean()))
        assert max(seen) > 0.9, (what, seen)


def test_what_glows_red_is_lava():
    """The names belong to the pixels of the picture."""
    generator = torch.Generator().manual_seed(4)
    world = sample_worlds(2, generator, mode="templerun", themes=("lava",))
    poses = sample_start(world, generator)
    picture, named = render_frames(world, poses, 36, 64), name_rays(world, poses, 36, 64)
    red = (picture[:, 0] - picture[:, 2]).clamp(min=0)
    sea, way = (share(named, name) > 0.99 for name in ("sea", "way"))
    assert red[sea].mean() > 0.35 > 0.15 > red[way].mean()


def test_every_kind_has_a_name():
    for themes in THEMES.values():
        assert {kind.what for theme in themes for kind in theme.kinds} <= set(NAMES)
    assert len(set(CLASSES)) == len(CLASSES)
