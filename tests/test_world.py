import gc
import itertools
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from devtools.tiny import held_tensors, tiny_image, tiny_model
from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import start_images
from mgdemo.config import Optimization
from mgdemo.loading import WARM_BLOCKS, load_world_model, warm_up
from mgdemo.measure.pixels import psnr
from mgdemo.model.action import Actions
from mgdemo.model.noise import seeded_noise
from mgdemo.random_actions import random_actions
from mgdemo.world import World

SHAPE = (1, 16, 3, 4, 6)


def play(world, track, blocks=None):
    """The frames of each block of a track from where the world stands."""
    return [world.step(track.block(world.block)) for _ in range(blocks or track.blocks - world.block)]


def equal(first, second):
    return len(first) == len(second) and all(map(np.array_equal, first, second))


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def test_a_play_gives_nine_frames_then_twelve(tiny, mode):
    world = tiny(mode).start(tiny_image(), seed=1)
    for block, frames in enumerate((9, 12, 12)):
        assert (world.block, world.frames_next) == (block, frames)
        made = world.step(ActionTrack.hold(mode, ["w"], frames=frames))
        assert made.shape == (frames, 32, 48, 3) and made.dtype == np.uint8
        assert set(world.timings) == {"dit", "vae"} and all(ms > 0 for ms in world.timings.values())


def test_the_same_image_seed_and_actions_give_the_same_frames(tiny, mode):
    model, track = tiny(mode), random_actions(mode, 45, seed=3)
    first, second = (play(model.start(tiny_image(), seed=5), track) for _ in range(2))
    assert equal(first, second)


def test_the_image_the_seed_and_the_actions_each_matter(tiny, mode):
    model, track = tiny(mode), random_actions(mode, 21, seed=3)
    plain = play(model.start(tiny_image(), seed=5), track)
    assert not equal(play(model.start(tiny_image(1), seed=5), track), plain)
    assert not equal(play(model.start(tiny_image(), seed=6), track), plain)
    latents = []
    for held in ("w", "s"):
        world = model.start(tiny_image(), seed=5)
        actions = ActionTrack.hold(mode, [held], frames=9)
        latents.append(world.step_latents(Actions.from_track(actions)))
    assert not torch.equal(*latents)


def test_worlds_that_take_turns_do_not_disturb_each_other(tiny):
    model, tracks = tiny("universal"), [random_actions("universal", 45, seed) for seed in range(3)]
    alone = [play(model.start(tiny_image(i), seed=i), track) for i, track in enumerate(tracks)]
    worlds = [model.start(tiny_image(i), seed=i) for i in range(3)]
    together = [[], [], []]
    for i in (0, 1, 1, 2, 0, 2, 1, 0, 2, 2, 0, 1):
        together[i] += play(worlds[i], tracks[i], blocks=1)
    assert all(map(equal, together, alone))


def test_noise_depends_on_seed_block_and_step_alone():
    keys = list(itertools.product((0, 1, 7), (0, 1, 300, 10**6), (0, 1, 2, 3)))
    forward = {key: seeded_noise(key[0], SHAPE)(*key[1:]) for key in keys}
    sources = {seed: seeded_noise(seed, SHAPE) for seed in (0, 1, 7)}
    for seed, block, step in reversed(keys):
        assert torch.equal(sources[seed](block, step), forward[seed, block, step])
    assert len({noise.numpy().tobytes() for noise in forward.values()}) == len(keys)


def test_noise_is_the_same_on_every_machine_and_in_every_version():
    noise = seeded_noise(7, SHAPE)(3, 1).flatten()
    torch.testing.assert_close(noise[:4], torch.tensor([0.00186689, 1.36753047, 0.32851025, -0.12300791]))
    whole = torch.cat([seeded_noise(7, SHAPE)(b, 0) for b in range(20)])
    assert whole.dtype == torch.float32 and abs(whole.mean()) < 0.02 and abs(whole.std() - 1) < 0.02


def test_any_whole_number_is_a_seed():
    seeds = [0, 1, -1, -2, 2**32, 2**53 + 1, 2**53 + 2, 2**63, 2**64 - 3, 10**30]
    draws = {seed: seeded_noise(seed, (4,))(1, 1).numpy().tobytes() for seed in seeds}
    assert len(set(draws.values())) == len(seeds)


def test_a_blocks_first_frames_come_before_the_others(tiny, mode):
    track = random_actions(mode, 21, seed=1)
    whole = play(tiny(mode).start(tiny_image(), seed=5), track)
    world, pieces = tiny(mode).start(tiny_image(), seed=5), []
    for block in range(2):
        stream = world.stream(track.block(block))
        pieces.append(list(stream))
    assert [[len(piece) for piece in pieces[block]] for block in range(2)] == [[1, 8], [4, 8]]
    assert equal([np.concatenate(block) for block in pieces], whole)
    assert world.timings["dit"] > 0 and world.timings["vae"] > 0
    with pytest.raises(ValueError, match="Block 2 takes"):
        world.stream(track.block(0))  # at once, not when the first piece is taken


@pytest.fixture(params=["plain", "optimized"])
def model(request):
    model = tiny_model()
    if request.param == "optimized":
        model.optimize(Optimization())
    return model


def test_blocks_may_be_asked_for_before_the_frames_of_those_before_are_taken(model):
    track = random_actions("universal", 12 * 5 - 3, seed=1)
    expected = play(model.start(tiny_image(), seed=4), track)
    rival = play(model.start(tiny_image(1), seed=5), track)
    worlds = model.start(tiny_image(), seed=4), model.start(tiny_image(1), seed=5)
    streams = [[world.stream(track.block(block)) for world in worlds] for block in range(5)]
    assert worlds[0].block == 5 and not worlds[0].timings
    taken = [[np.concatenate(list(stream)) for stream in of] for of in zip(*streams, strict=True)]
    assert equal(taken[0], expected) and equal(taken[1], rival)
    assert all(ms > 0 for ms in worlds[0].timings.values())


def test_nothing_that_is_asked_of_a_world_changes_frames_not_taken_yet(model):
    track, other = (random_actions("universal", 12 * 5 - 3, seed=seed) for seed in (1, 2))
    expected = play(model.start(tiny_image(), seed=4), track)
    world = model.start(tiny_image(), seed=4)
    world.stream(track.block(0))  # never taken
    first = world.stream(track.block(1))
    size, snapshot = world.snapshot_bytes, world.snapshot()
    assert size == sum(tensor.nbytes for tensor in (*snapshot.memory, *snapshot.decoder.values()))
    second = world.stream(other.block(2))
    part = next(second)
    again = world.regenerate(track.block(2))
    third = world.stream(other.block(3))
    world.restore(snapshot)
    assert equal(play(world, track), expected[2:])
    assert equal([np.concatenate(list(first)), again], expected[1:3])
    assert not np.array_equal(np.concatenate([part, *second]), again)
    assert sum(map(len, third)) == 12


def resting(track, blocks):
    """The track, with nothing held in some blocks."""
    begins, held = [0, *range(9, len(track), 12), len(track)], np.ones((len(track), 1), np.float32)
    for block in blocks:
        held[begins[block] : begins[block + 1]] = 0
    return ActionTrack(track.mode, track.keyboard * held, track.mouse * held)


def test_blocks_that_show_nothing_new_are_not_remembered_and_all_else_is_as_exact_as_ever(model):
    track = resting(random_actions("universal", 12 * 9 - 3, seed=1), (2, 3, 4, 6, 7, 8))
    all_remembered = play(model.start(tiny_image(), seed=4), track)
    model.config.sampling.still = 1e3  # whatever may stand does
    world = model.start(tiny_image(), seed=4)
    expected, snapshots, latents = [], [], []
    for block in range(track.blocks):
        snapshots.append(world.snapshot())
        if block and world.can_regenerate:
            world.step(ActionTrack.hold("universal", ["s"], frames=12))
            expected.append(world.regenerate(track.block(block)))
        else:
            expected.append(world.step(track.block(block)))
        latents.append(world.latents)
    positions = [snapshot.moment.position for snapshot in snapshots]
    assert positions[:4] == [0, 1, 2, 3] and 3 < positions[-1] < len(positions) - 1
    assert not equal(expected, all_remembered)

    assert equal(play(model.start(tiny_image(), seed=4), track), expected)
    for start in (2, 5):
        world.restore(snapshots[start])
        assert equal(play(world, track), expected[start:])
    again = model.start(tiny_image(), seed=4)
    followed = [again.repeat(track.block(block), each, shown=True) for block, each in enumerate(latents)]
    assert equal(followed, expected) and again.snapshot().moment.position == world.snapshot().moment.position


@pytest.mark.parametrize(("part", "column", "value"), [("keyboard", 0, 1), ("mouse", 1, -0.01)])
def test_what_moves_is_remembered_however_slowly(model, part, column, value):
    model.config.sampling.still = 1e3
    rows = {"keyboard": np.zeros((33, 4), np.float32), "mouse": np.zeros((33, 2), np.float32)}
    rows[part][:, column] = value
    world, track = model.start(tiny_image(), seed=4), ActionTrack("universal", **rows)
    play(world, track)
    assert world.snapshot().moment.position == 3


def test_warming_up_uses_all_that_a_session_will(model, monkeypatch):
    remembered, remember = [], model.transformer.remember
    monkeypatch.setattr(
        model.transformer, "remember", lambda *all: (remembered.append(1), remember(*all)), raising=False
    )
    model.config.sampling.still = 1e3
    warm_up(model)
    assert len(remembered) == WARM_BLOCKS


@pytest.mark.parametrize("checkpoint", ["universal-tiny", "gta_drive-tiny"])
def test_an_embedded_world_in_which_nothing_is_held_stands(checkpoint):
    """Without `still` it is at 20 dB by then."""
    model = load_world_model(checkpoint, device="cpu")
    world = model.start(Image.open(start_images(checkpoint)[0]), seed=1)
    idle = ActionTrack.hold(model.mode, [], frames=12 * 25 - 3)
    frames = np.concatenate(play(world, idle))
    assert min(psnr(frame, frames[25]) for frame in frames[26::40]) > 35


def test_a_world_that_nobody_wants_is_gone_at_once(model):
    """Its caches, and its place where programs look, are for the next one."""
    track = random_actions("universal", 21, seed=1)
    gc.disable()
    try:
        world = model.start(tiny_image())
        play(world, track)
        gone = weakref.ref(world)
        del world
        assert gone() is None
    finally:
        gc.enable()


def test_the_start_condition_takes_the_memory_of_one_latent_at_a_time(tiny, monkeypatch):
    model, encoded = tiny("universal"), []
    encode = model.vae.encode
    monkeypatch.setattr(
        model.vae, "encode", lambda video, state: encoded.append(video) or encode(video, state)
    )
    world = model.start(tiny_image())
    play(world, random_actions("universal", 12 * 5 - 3, seed=0))
    assert [video.shape[2] for video in encoded] == [1] + [4] * world.condition.steady


def test_a_world_draws_each_block_and_step_once(tiny):
    model, drawn = tiny("universal"), []

    def noise(block, step):
        drawn.append((block, step))
        return seeded_noise(0, SHAPE)(block, step)

    with torch.inference_mode():
        world = World(model, torch.zeros(1, 3, 1, 32, 48), noise)
    play(world, random_actions("universal", 33, seed=0))
    assert drawn == list(itertools.product(range(3), range(len(model.schedule.sigmas))))


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_snapshot_leads_back_exactly_and_often(tiny, mode, after):
    model, track = tiny(mode), random_actions(mode, 12 * 6 - 3, seed=1)
    other = ActionTrack.concat(
        [track.frames(0, 12 * after), random_actions(mode, 12 * 6 - 3 - 12 * after, seed=2)]
    )
    world = model.start(tiny_image(), seed=4)
    if after:
        play(world, track, after)
    snapshot = world.snapshot()
    first = play(world, track)
    world.restore(snapshot)
    assert world.block == after
    branch = play(world, other)
    assert not equal(branch, first)
    for _ in range(2):
        world.restore(snapshot)
        assert equal(play(world, track), first)
    # It is good for another world of the same image and seed, too.
    twin = model.start(tiny_image(), seed=4)
    twin.restore(snapshot)
    assert equal(play(twin, track), first)


def test_a_block_made_again_is_as_if_made_so_at_first(tiny, mode):
    model, track = tiny(mode), random_actions(mode, 12 * 6 - 3, seed=1)
    other = random_actions(mode, 12 * 6 - 3, seed=2)
    world = model.start(tiny_image(), seed=4)
    for block in range(track.blocks):
        first = world.step(other.block(block))
        with pytest.raises(ValueError, match=f"Block {block} takes"):
            world.regenerate(ActionTrack.hold(mode, [], frames=10))
        world.regenerate(ActionTrack.hold(mode, ["w"], frames=len(first)))
        again = world.regenerate(track.block(block))
        assert not np.array_equal(again, first)
        if block == 0:
            assert world.block == 1
            plain = model.start(tiny_image(), seed=4)
        assert np.array_equal(again, plain.step(track.block(block)))
    plain.restore(world.snapshot())
    for one in (plain, model.start(tiny_image())):
        with pytest.raises(ValueError, match="no block to regenerate"):
            one.regenerate(track.block(0))


def test_a_snapshot_tells_its_size(tiny, mode):
    world = tiny(mode).start(tiny_image())
    assert world.snapshot_bytes == 0
    sizes = []
    for _ in range(4):
        world.step(ActionTrack.hold(mode, [], frames=world.frames_next))
        snapshot = world.snapshot()
        sizes.append(sum(tensor.nbytes for tensor in (*snapshot.memory, *snapshot.decoder.values())))
        assert world.snapshot_bytes == sizes[-1]
    assert 0 < sizes[0] < sizes[1] == sizes[2] == sizes[3]


@pytest.mark.parametrize("rows", [0, 8, 10, 12])
def test_a_wrong_number_of_actions_is_refused(tiny, rows):
    world = tiny("universal").start(tiny_image())
    with pytest.raises(ValueError, match=f"Block 0 takes 9 rows of universal actions, not {rows} of"):
        world.step(ActionTrack.hold("universal", [], frames=rows))
    assert world.block == 0
    world.step(ActionTrack.hold("universal", [], frames=9))
    with pytest.raises(ValueError, match="Block 1 takes 12 rows"):
        world.step(ActionTrack.hold("universal", [], frames=9))


def test_actions_of_another_mode_are_refused(tiny):
    world = tiny("universal").start(tiny_image())
    for other in ("gta_drive", "templerun"):
        with pytest.raises(ValueError, match=f"universal actions, not 9 of {other}"):
            world.step(ActionTrack.hold(other, [], frames=9))


def test_a_block_that_failed_can_be_made_again(tiny):
    track = random_actions("universal", 45, seed=1)
    expected = play(tiny("universal").start(tiny_image()), track)
    world = tiny("universal").start(tiny_image())
    made, draw, failures = play(world, track, 2), world.noise.draw, [RuntimeError("out of memory")]

    def failing(block, step):
        if step and failures:
            raise failures.pop()
        return draw(block, step)

    world.noise.draw = failing
    with pytest.raises(RuntimeError):
        world.step(track.block(2))
    assert equal(made + play(world, track), expected)


def test_everything_happens_on_the_models_device():
    """On the meta device, which refuses to mix with the host as a GPU does."""
    model = tiny_model()
    for net in (model.transformer, model.vae, model.image_encoder):
        net.to("meta")
    with torch.inference_mode():
        world = World(model, torch.zeros(1, 3, 1, 32, 48, device="meta"), seeded_noise(0, SHAPE))
    for rows in (9, 12, 12):
        latents = world.step_latents(Actions(torch.zeros(1, rows, 4), torch.zeros(1, rows, 2)))
        assert latents.device.type == world.frames.video(latents).device.type == "meta"
    host = [tensor for tensor in held_tensors(world) if tensor.device.type == "cpu"]
    assert len(host) == 2 and all(tensor.numel() < 200 for tensor in host)  # the action rows


@pytest.mark.filterwarnings("error")
def test_a_play_in_bfloat16(mode):
    track, plain = random_actions(mode, 21, seed=1), tiny_model(mode)
    low = tiny_model(mode)
    for net in (low.transformer, low.vae, low.image_encoder):
        net.bfloat16()
    frames = [np.concatenate(play(m.start(tiny_image(), 2), track)).astype(float) for m in (plain, low)]
    assert 0 < np.abs(frames[0] - frames[1]).mean() < 4


class Operations(TorchDispatchMode):
    """Writes down every tensor operation with its sizes."""

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.done.append((str(func), tuple(out.shape) if isinstance(out, torch.Tensor) else None))
        return out


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_play_has_no_end():
    """3,000 blocks: what a world holds and what a block takes are the same at the end as at the start."""
    model = tiny_model(steps=(1000,), size=(16, 32), layers=1, res_blocks=0)
    world, held, operations, resident = model.start(tiny_image(), seed=1), {}, {}, {}
    looks = [ActionTrack.hold("universal", ["w", key], frames=12) for key in ("j", "l")]
    world.step(looks[0].frames(0, 9))
    settled = world.condition.steady // 3 + 2  # the first block whose condition is there already
    for block in range(1, 3000):
        if block in (settled, 100, 2999):
            with Operations() as recorder:
                frames = world.step(looks[block // 7 % 2])
            operations[block], resident[block] = recorder.done, resident_bytes()
        else:
            frames = world.step(looks[block // 7 % 2])
        if block >= settled and block % 100 in (0, 1, 99):
            held[block] = sorted(tuple(tensor.shape) for tensor in held_tensors(world))
    assert len(operations[settled]) > 100
    assert operations[settled] == operations[100] == operations[2999]
    assert all(shapes == held[100] for shapes in held.values())
    assert resident[2999] - resident[100] < 8e6
    assert frames.std() > 1 and not np.array_equal(frames[0], frames[-1])
