"""What makes a model faster does not change what it makes; on the CPU, where graphs run uncaptured."""

import os
import subprocess
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from devtools.tiny import tiny_image, tiny_model
from mgdemo import loading
from mgdemo.config import Optimization
from mgdemo.devices import DeviceError
from mgdemo.model.action import Actions, window_rows
from mgdemo.model.fast.graphs import StaticBuffers
from mgdemo.model.fast.kernels import OptimizationError
from mgdemo.model.fast.offload import Offloaded
from mgdemo.random_actions import random_actions
from mgdemo.world import WorldModel
from tests.support.plays import play, worst


def optimized(mode="universal", **options):
    model = tiny_model(mode)
    model.optimize(Optimization(**options))
    return model


@pytest.fixture(params=["universal", "gta_drive", "templerun"])
def mode(request):
    return request.param


def test_an_optimized_model_makes_the_same_frames(mode):
    track = random_actions(mode, 12 * 5 - 3, seed=1)
    plain = play(tiny_model(mode).start(tiny_image(), seed=4), track)
    model = optimized(mode)
    assert worst(play(model.start(tiny_image(), seed=4), track), plain) <= 1
    # The next session uses the static buffers of the last one.
    assert worst(play(model.start(tiny_image(), seed=4), track), plain) <= 1


def test_plays_that_take_turns_keep_their_own_memories(mode):
    tracks = [random_actions(mode, 12 * 5 - 3, seed=seed) for seed in range(3)]
    model = optimized(mode)
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
    model = optimized(mode)
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
                t.nbytes for t in one.snapshot().decoder.values()
            )
    rival.step(other.block(2))
    one.restore(snapshot)
    assert worst(play(one, track), expected[1:]) == 0


def test_going_back_is_possible_until_another_world_is_decoded_where_the_state_was():
    model = optimized()
    track, other = (random_actions("universal", 12 * 5 - 3, seed=seed) for seed in (1, 2))
    expected = play(model.start(tiny_image(), seed=4), track)
    one, rival = model.start(tiny_image(), seed=4), model.start(tiny_image(3), seed=5)
    play(one, track.frames(0, 21))
    one.step(other.block(2))
    assert worst([one.regenerate(track.block(2))], expected[2:3]) == 0
    for block in (0, 1):
        rival.step(other.block(block))
    assert rival.can_regenerate and not one.can_regenerate
    with pytest.raises(ValueError, match="no block to regenerate"):
        one.regenerate(track.block(2))
    one.step(other.block(3))  # from the host, where its state stays as it is
    assert one.can_regenerate and not rival.can_regenerate
    rival.step(other.block(2))
    assert one.can_regenerate and rival.can_regenerate
    assert worst([one.regenerate(track.block(3))], expected[3:4]) == 0
    assert worst([one.step(track.block(4))], expected[4:]) == 0


class Owner:
    def __init__(self, *values):
        self.tensors = [torch.full((2,), float(value)) for value in values]


def static(tensors, **options):
    return StaticBuffers(
        tensors, lambda one: one.tensors, lambda one, t: setattr(one, "tensors", t), **options
    )


def test_an_owner_that_is_replaced_takes_its_values_along():
    first, second = Owner(1), Owner(2)
    buffers = static([torch.zeros(2)])
    buffers.load(first)
    buffers.tensors[0] += 10
    assert first.tensors[0] is buffers.tensors[0]
    buffers.load(second)
    assert first.tensors[0].tolist() == [11, 11] and buffers.tensors[0].tolist() == [2, 2]
    del second
    assert buffers.owner is None
    buffers.load(first)
    assert buffers.tensors[0].tolist() == [11, 11]


@pytest.mark.parametrize("host", [False, True])
def test_changing_owners_takes_the_memory_of_one_tensor_more(host):
    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            counts.append(sum(ref() is not None for ref in alive.values()))
            return made

    counts = []
    first, second = Owner(1, 2, 3, 4), Owner(5, 6, 7, 8)
    alive = {id(tensor): weakref.ref(tensor) for tensor in (*first.tensors, *second.tensors)}
    buffers = static(list(first.tensors), spill_to_host=host)
    buffers.bind(first)
    with Watch():
        buffers.load(second)
    # A copy, then a tensor of the second one's brought, and gone before the next copy.
    assert counts[::2] == [8, 7, 6, 5] and len(first.tensors) == 4


def test_other_sizes_ask_for_other_graphs():
    model = optimized()
    other = tiny_model(size=(48, 64))
    other.transformer, other.vae, other.decoding = model.transformer, model.vae, model.decoding
    track = random_actions("universal", 33, seed=1)
    for one, plain in ((model, tiny_model()), (other, tiny_model(size=(48, 64))), (model, tiny_model())):
        played = play(one.start(tiny_image(), seed=4), track)
        assert worst(played, play(plain.start(tiny_image(), seed=4), track)) <= 1


def test_passes_take_what_they_are_given_in_any_order(mode):
    """Inputs of several blocks and memories, used in turns."""
    plain, graphed = tiny_model(mode).transformer, optimized(mode).transformer
    config, generator = plain.config.action_config, torch.manual_seed(0)
    rows, tokens, cases = window_rows(config, 3), torch.randn(1, 5, 16, generator=generator), []
    for start in (0, 3, 3000):
        keyboard = torch.randn(1, rows, config.keyboard_dim_in, generator=generator)
        actions = Actions(keyboard, torch.randn(1, rows, 2, generator=generator))
        condition = torch.randn(1, 20, 3, 4, 6, generator=generator)
        case = []
        for net in (plain, graphed):
            memory = net.memory(tokens, 4, 6)
            memory.begin_block(start, 3)
            case.append((net, net.block_inputs(start, condition, actions), memory))
        cases.append(case)
    x, timestep = torch.randn(1, 16, 3, 4, 6, generator=generator), torch.full((1, 3), 500.0)
    for index in (2, 0, 1, 1, 0, 2):
        expected, made = (net(x, timestep, inputs, memory) for net, inputs, memory in cases[index])
        torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_a_printed_model_shows_what_was_replaced():
    plain, model = str(tiny_model()), str(optimized(low_vram=True))
    for module in ("GraphedTransformer", "GraphedDecoder", "Offloaded"):
        assert module in model and module not in plain


def test_fp8_where_there_is_none_is_explained():
    with pytest.raises(OptimizationError, match=r"NVIDIA GPU.*leave out fp8"):
        optimized(fp8=True)


def test_with_low_vram_the_nets_of_the_start_wait_elsewhere_and_worlds_are_the_same(monkeypatch):
    track = random_actions("universal", 12 * 5 - 3, seed=1)
    plain, model = tiny_model(), tiny_model()
    expected = play(plain.start(tiny_image(), seed=4), track)
    present, encoded = [], []
    encoder, image_encoder = model.vae.encoder, model.image_encoder
    for net in (encoder, image_encoder):
        net.register_forward_pre_hook(lambda net, _: encoded.append((net, list(present))))
    model.optimize(Optimization(low_vram=True))
    monkeypatch.setattr(Offloaded, "_bring", lambda self: present.append(self.net))
    monkeypatch.setattr(Offloaded, "_release", lambda self: present.remove(self.net))
    one = model.start(tiny_image(), seed=4)
    at_start = len(encoded)
    assert at_start > 2
    assert encoded[-1] == (image_encoder, [image_encoder]), "the largest is there alone"
    assert all(each == (encoder, [encoder]) for each in encoded[:-1]) and not present
    assert worst(play(one, track), expected) <= 1
    assert len(encoded) == at_start, "nothing is left to encode while playing"
    with pytest.raises(ValueError, match="no block to regenerate"):
        one.regenerate(track.block(4))


ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")


@pytest.fixture
def unset(monkeypatch):
    """No allocator is chosen; afterwards the environment is as before."""
    for name in ALLOCATOR:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_no_import_changes_the_environment():
    imports = "import mgdemo.loading, mgdemo.worker, mgdemo.cli"
    program = f"import os; before = dict(os.environ); {imports}; assert os.environ == before"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.usefixtures("unset")
def test_memory_without_gaps_is_asked_for_before_anything_is_on_the_gpu(monkeypatch):
    found = []

    def load(*_args, **_options):
        found.append([os.environ.get(name) for name in ALLOCATOR])
        raise InterruptedError

    pretend_gpu(monkeypatch)
    monkeypatch.setattr(loading, "_load", load)
    with pytest.raises(InterruptedError):
        loading.load_world_model("universal-tiny", device="cuda")
    assert found == [["expandable_segments:True"] * 2]


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("name", ALLOCATOR)
def test_a_users_own_allocator_stays(monkeypatch, name):
    monkeypatch.setenv(name, "max_split_size_mb:64")
    before = dict(os.environ)
    loading.use_expandable_segments()
    assert os.environ == before


def test_an_offloaded_net_is_on_its_device_only_while_it_is_wanted():
    net = torch.nn.Linear(3, 3)
    weight, kept = net.weight, net.weight.detach().clone()
    demand = Offloaded(net)
    waiting = net.weight.data_ptr()
    with demand:
        assert net.weight is weight and torch.equal(weight, kept)
    assert net.weight.data_ptr() == waiting and torch.equal(weight, kept)


def pretend_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(loading, "choose_device", lambda *_: torch.device("cuda"))
    monkeypatch.setattr(loading, "precision", lambda _: torch.bfloat16)


@pytest.mark.parametrize(
    ("words", "capability", "dtype"),
    [
        ("fp8", (8, 6), torch.bfloat16),
        ("fp8", (7, 5), torch.float32),
        ("int8", (7, 5), torch.float32),
        ("fp8", None, torch.float32),
        ("int8", None, torch.float32),
    ],
)
def test_8_bits_that_cannot_be_are_refused_instead_of_something_else_played(
    monkeypatch, words, capability, dtype
):
    """On a pretended GPU, or the CPU: a column of a comparison must not be called fp8 and show bf16."""
    if capability:
        pretend_gpu(monkeypatch)
        monkeypatch.setattr(loading, "precision", lambda _: dtype)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    with pytest.raises(OptimizationError, match=f"leave out {words}"):
        loading.load_world_model("universal-tiny", device="cuda" if capability else "cpu", optimization=words)


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (
            RuntimeError("no compiler here.\nThe rest"),
            OptimizationError,
            r"\(no compiler here\): leave out fp8",
        ),
        (RuntimeError("CUDA error: unspecified"), RuntimeError, "CUDA error"),
    ],
)
def test_where_8_bits_fail_nothing_else_takes_their_place(monkeypatch, error, raised, said):
    """On a pretended GPU. What says that the device fails stays as it is."""

    def fails(model, options, pictures):
        raise error

    pretend_gpu(monkeypatch)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(loading, "_load", lambda *_, **__: tiny_model())
    monkeypatch.setattr(WorldModel, "optimize", fails)
    with pytest.raises(raised, match=said):
        loading.load_world_model("universal-tiny", device="cuda", optimization="fp8")


@pytest.mark.parametrize("error", [RuntimeError("no compiler here"), torch.OutOfMemoryError("full")])
def test_where_a_model_cannot_be_made_fast_it_plays_as_it_is(monkeypatch, caplog, error):
    """On a pretended GPU."""
    plain, told = tiny_model(), []

    def fails(model, progress=None):
        raise error

    pretend_gpu(monkeypatch)
    monkeypatch.setattr(loading, "resolve", lambda _: SimpleNamespace(config=plain.config))
    monkeypatch.setattr(loading, "_load", lambda *_, **__: tiny_model())
    monkeypatch.setattr(loading, "warm_up", fails)
    if isinstance(error, torch.OutOfMemoryError):
        with pytest.raises(DeviceError, match=r"low-vram .* fp8"):
            loading.load_world_model("universal", device="cuda")
        return
    model = loading.load_world_model("universal", device="cuda", progress=lambda *args: told.append(args))
    assert "MGDEMO_OPTIMIZATION" in caplog.text and "no compiler here" in caplog.text
    track = random_actions("universal", 21, seed=1)
    assert worst(play(model.start(tiny_image(), 4), track), play(plain.start(tiny_image(), 4), track)) == 0
