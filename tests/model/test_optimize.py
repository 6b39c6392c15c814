"""What makes a model faster does not change what it makes; on the CPU, where programs run uncaptured."""

import os
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from devtools.tiny import tiny_image, tiny_model
from mgdemo import world
from mgdemo.config import Optimization
from mgdemo.devices import DeviceError
from mgdemo.model.action import window_rows
from mgdemo.model.optimize import Seat, leaves
from mgdemo.model.transfer import OnDemand
from mgdemo.random_actions import random_actions


def optimised(mode="universal", **options):
    model = tiny_model(mode)
    model.optimize(Optimization(**options))
    return model


def play(one, track):
    return [one.step(track.block(block)) for block in range(one.block, track.blocks)]


def worst(one, other):
    """The largest difference of two plays' frames, in levels of 255."""
    return max(np.abs(a.astype(int) - b.astype(int)).max() for a, b in zip(one, other, strict=True))


@pytest.fixture(params=["universal", "gta_drive", "templerun"])
def mode(request):
    return request.param


def test_an_optimised_model_makes_the_same_frames(mode):
    track = random_actions(mode, 12 * 5 - 3, seed=1)
    plain = play(tiny_model(mode).start(tiny_image(), seed=4), track)
    model = optimised(mode)
    assert worst(play(model.start(tiny_image(), seed=4), track), plain) <= 1
    # The next play sits where the last one sat.
    assert worst(play(model.start(tiny_image(), seed=4), track), plain) <= 1


def test_plays_that_take_turns_keep_their_own_memories(mode):
    tracks = [random_actions(mode, 12 * 5 - 3, seed=seed) for seed in range(3)]
    model = optimised(mode)
    alone = [play(model.start(tiny_image(i), seed=i), track) for i, track in enumerate(tracks)]
    worlds = [model.start(tiny_image(i), seed=i) for i in range(3)]
    together = [[], [], []]
    for turn in (0, 1, 2, 2, 1, 0, 0, 0, 1, 2, 1, 2, 0, 1, 2):
        together[turn].append(worlds[turn].step(tracks[turn].block(worlds[turn].block)))
    for one, other in zip(alone, together, strict=True):
        assert worst(one, other) == 0
    assert worst(alone[0], alone[1]) > 1


def test_going_back_and_regenerating_are_exact(mode):
    track, other = (random_actions(mode, 12 * 5 - 3, seed=seed) for seed in (1, 2))
    model = optimised(mode)
    expected = play(model.start(tiny_image(), seed=4), track)
    one, rival = model.start(tiny_image(), seed=4), model.start(tiny_image(3), seed=5)
    one.step(track.block(0))
    snapshot = one.snapshot()
    rival.step(other.block(0))
    for block in range(1, track.blocks):
        first = one.step(other.block(block))
        again = one.regenerate(track.block(block))
        assert worst([again], [expected[block]]) == 0 and not np.array_equal(first, again)
        if block == 2:
            rival.step(other.block(1))
            assert one.snapshot_bytes == sum(t.nbytes for t in (*one.snapshot().memory,)) + sum(
                t.nbytes for t in one.snapshot().decoder.tensors
            )
    rival.step(other.block(2))
    one.restore(snapshot)
    assert worst(play(one, track), expected[1:]) == 0


def test_going_back_is_possible_until_another_world_is_decoded_where_the_state_was():
    model = optimised()
    track, other = (random_actions("universal", 12 * 5 - 3, seed=seed) for seed in (1, 2))
    expected = play(model.start(tiny_image(), seed=4), track)
    one, rival = model.start(tiny_image(), seed=4), model.start(tiny_image(3), seed=5)
    play(one, track.frames(0, 21))
    one.step(other.block(2))
    assert worst([one.regenerate(track.block(2))], expected[2:3]) == 0
    for block in (0, 1):
        rival.step(other.block(block))
    assert rival.can_regenerate and not one.can_regenerate
    with pytest.raises(ValueError, match="no block to make again"):
        one.regenerate(track.block(2))
    one.step(other.block(3))  # from outside of the seat, where its state stays as it is
    assert one.can_regenerate and not rival.can_regenerate
    rival.step(other.block(2))
    assert one.can_regenerate and rival.can_regenerate
    assert worst([one.regenerate(track.block(3))], expected[3:4]) == 0
    assert worst([one.step(track.block(4))], expected[4:]) == 0


def test_who_leaves_a_seat_takes_what_is_in_it():
    class Tenant:
        def __init__(self, value):
            self.tensors = [torch.full((2,), float(value))]

        def place(self, tensors):
            self.tensors = tensors

    seat, first, second = Seat([torch.zeros(2)]), Tenant(1), Tenant(2)
    seat.take(first)
    seat.tensors[0] += 10
    assert first.tensors[0] is seat.tensors[0]
    seat.take(second)
    assert first.tensors[0].tolist() == [11, 11] and seat.tensors[0].tolist() == [2, 2]
    del second
    assert seat.holder is None
    seat.take(first)
    assert seat.tensors[0].tolist() == [11, 11]


@pytest.mark.parametrize("host", [False, True])
def test_changing_seats_takes_the_memory_of_one_tensor_more(host):
    class Tenant:
        def __init__(self):
            self.place([torch.zeros(2) for _ in range(4)])

        def place(self, tensors):
            self.tensors = list(tensors)
            for tensor in tensors:
                alive.setdefault(id(tensor), weakref.ref(tensor))

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            counts.append(sum(ref() is not None for ref in alive.values()))
            return made

    alive, counts = {}, []
    first, second = Tenant(), Tenant()
    seat = Seat(first.tensors, host)
    seat.adopt(first)
    with Watch():
        seat.take(second)
    # A copy, then a tensor of the second one's brought, and gone before the next copy.
    assert counts[::2] == [8, 7, 6, 5] and len(first.tensors) == 4


def test_other_sizes_ask_for_other_programs():
    model = optimised()
    other = tiny_model(size=(48, 64))
    other.transformer, other.vae = model.transformer, model.vae  # one net, two sizes of picture
    track = random_actions("universal", 33, seed=1)
    for one, plain in ((model, tiny_model()), (other, tiny_model(size=(48, 64))), (model, tiny_model())):
        played = play(one.start(tiny_image(), seed=4), track)
        assert worst(played, play(plain.start(tiny_image(), seed=4), track)) <= 1


def test_what_passes_share_is_made_in_one_place(mode):
    plain, net = tiny_model(mode).transformer, optimised(mode).transformer
    config = plain.config.action_config
    rows = window_rows(config, 3)
    addresses = set()
    for start in (0, 3, 3000):
        given = [torch.randn(1, rows, config.keyboard_dim_in), torch.randn(1, rows, 2)]
        given = [torch.randn(1, 20, 3, 4, 6), given[0], given[1] if config.enable_mouse else None]
        made = list(leaves(net.block_inputs(start, *given)))
        for mine, theirs in zip(made, leaves(plain.block_inputs(start, *given)), strict=True):
            assert torch.equal(mine, theirs)
        addresses.add(tuple(tensor.data_ptr() for tensor in made))
    assert len(addresses) == 1
    other = plain.block_inputs(0, *given)
    with pytest.raises(ValueError, match="what block_inputs gave last"):
        net(torch.randn(1, 16, 3, 4, 6), torch.zeros(1, 3), other, None)


def test_fp8_where_there_is_none_is_explained():
    with pytest.raises(ValueError, match=r"NVIDIA GPU.*leave fp8 out"):
        optimised(fp8=True)


def test_with_low_vram_the_nets_of_the_start_wait_elsewhere_and_plays_are_the_same(monkeypatch):
    track = random_actions("universal", 12 * 5 - 3, seed=1)
    plain, model = tiny_model(), tiny_model()
    expected = play(plain.start(tiny_image(), seed=4), track)
    present, encoded = [], []
    monkeypatch.setattr(OnDemand, "__enter__", present.append)
    monkeypatch.setattr(OnDemand, "__exit__", lambda demand, *_: demand in present and present.remove(demand))

    def watch(net):
        forward = net.forward
        net.forward = lambda *args: (encoded.append((net, len(present))), forward(*args))[1]

    watch(model.vae.encoder)
    watch(model.image_encoder)
    model.optimize(Optimization(low_vram=True))
    one = model.start(tiny_image(), seed=4)
    at_start = len(encoded)
    assert at_start > 2
    assert encoded[-1] == (model.image_encoder, 1), "the largest is there alone"
    assert set(encoded[:-1]) == {(model.vae.encoder, 2)} and not present
    assert worst(play(one, track), expected) <= 1
    assert len(encoded) == at_start, "nothing is left to encode while playing"
    with pytest.raises(ValueError, match="no block to make again"):
        one.regenerate(track.block(4))


@pytest.mark.parametrize("words, given, expected", [
    ("low-vram", None, "expandable_segments:True"),
    ("low-vram", "max_split_size_mb:64", "max_split_size_mb:64"),
    ("", None, None),
])  # fmt: skip
def test_a_nearly_full_card_is_reserved_without_gaps_before_anything_is_on_it(
    monkeypatch, words, given, expected
):
    name, found = "PYTORCH_CUDA_ALLOC_CONF", []
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)

    def load(*_args, **_options):
        found.append(os.environ.get(name))
        raise InterruptedError

    pretend_gpu(monkeypatch)
    monkeypatch.setattr(world, "_load", load)
    with pytest.raises(InterruptedError):
        world.load_world_model("universal-tiny", device="cuda", optimization=words)
    assert found == [expected]


def test_a_net_on_demand_is_on_its_device_only_while_it_is_wanted():
    net = torch.nn.Linear(3, 3)
    weight, kept = net.weight, net.weight.detach().clone()
    demand = OnDemand(net)
    waiting = net.weight.data_ptr()
    with demand:
        assert net.weight is weight and torch.equal(weight, kept)
    assert net.weight.data_ptr() == waiting and torch.equal(weight, kept)


def pretend_gpu(monkeypatch):
    monkeypatch.setattr(world, "choose_device", lambda *_: torch.device("cuda"))
    monkeypatch.setattr(world, "precision", lambda _: torch.bfloat16)


@pytest.mark.parametrize("error", [RuntimeError("no compiler here"), torch.OutOfMemoryError("full")])
def test_where_a_model_cannot_be_made_fast_it_plays_as_it_is(monkeypatch, caplog, error):
    """On a pretended GPU."""
    plain, told = tiny_model(), []

    def fails(self, progress=None):
        raise error

    pretend_gpu(monkeypatch)
    monkeypatch.setattr(world, "resolve", lambda _: SimpleNamespace(config=plain.config))
    monkeypatch.setattr(world, "_load", lambda *_, **__: tiny_model())
    monkeypatch.setattr(world.WorldModel, "warm_up", fails)
    if isinstance(error, torch.OutOfMemoryError):
        with pytest.raises(DeviceError, match=r"low-vram .* fp8"):
            world.load_world_model("universal", device="cuda")
        return
    model = world.load_world_model("universal", device="cuda", progress=lambda *args: told.append(args))
    assert "MGDEMO_OPTIMIZATION" in caplog.text and "no compiler here" in caplog.text
    track = random_actions("universal", 21, seed=1)
    assert worst(play(model.start(tiny_image(), 4), track), play(plain.start(tiny_image(), 4), track)) == 0
