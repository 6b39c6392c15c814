"""The stages of training, small: each learns, keeps what it made, and trains what a play computes."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.checkpoints import resolve
from mgdemo.config import CONFIGS, CheckpointConfig, load_config
from mgdemo.model.flow import Schedule
from mgdemo.world import WorldModel, load_world_model
from training import clips, dit, latents, publish, vae
from training.optim import Optimiser, Step, train_for

HEIGHT, WIDTH = 48, 64
BLOCKS = 3


@pytest.fixture(scope="module")
def made():
    """Three clips of three blocks."""
    return clips.Source("cpu", HEIGHT, WIDTH).clips(3, 12 * BLOCKS - 3, seed=1)


@pytest.fixture
def small_vae():
    torch.manual_seed(0)
    config = vae.tiny_config()
    config.dim = 8
    return vae.VAE(config).eval().requires_grad_(False)


def small_dit(keyboard_dim=4, mouse=True, window=6):
    transformer, image = dit.tiny_config(keyboard_dim, mouse)
    transformer.num_layers, transformer.local_attn_size = 2, window
    transformer.action_config.blocks = [0]
    image.image_size = 28
    torch.manual_seed(0)
    return dit.Model(transformer, image)


def recorded(monkeypatch, module, name):
    """The values that a loss function returns from now on."""
    losses, loss = [], getattr(module, name)

    def record(*args, **inputs):
        value = loss(*args, **inputs)
        losses.append(value.item())
        return value

    monkeypatch.setattr(module, name, record)
    return losses


def test_the_optimiser_learns_and_keeps_the_average():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.SiLU(), torch.nn.Linear(32, 2))
    x = torch.randn(256, 20)
    y = torch.stack((x[:, 0] * x[:, 1], x[:, 2].abs()), 1)

    def error(x, y):
        return (net(x) - y).square().mean()

    optimiser = Optimiser(net, muon=0.02, ema=0.9)
    assert sum(len(group) for group in optimiser.groups.values()) == 1  # the last layer is too narrow
    before, last = error(x, y).item(), {}
    run = Step(error, optimiser)

    def step(index):
        value = run(x=x, y=y)
        last.update(index=index, weights=[p.clone() for p in net.parameters()])
        return value

    kept = []
    count = train_for("net", optimiser, step, steps=200, every=0, keep=lambda: kept.append(error(x, y)))
    assert count == len(kept) == 200 and last["index"] == 199
    assert error(x, y) < 0.1 * before
    assert error(x, y) == kept[-1], "what is kept last is what the training leaves"
    assert not torch.equal(net[0].weight, last["weights"][0]), "the average, not the last step's weights"


def test_one_bad_step_changes_nothing_for_good():
    net = torch.nn.Linear(16, 16)
    optimiser = Optimiser(net, muon=0.02)
    run = Step(lambda x: net(x).square().mean(), optimiser)
    run(x=torch.full((1, 16), math.inf))
    assert all(p.isfinite().all() for p in net.parameters())
    before = run(x=torch.ones(1, 16))
    for _ in range(20):
        after = run(x=torch.ones(1, 16))
    assert after < before


def test_the_vae_learns(made, monkeypatch, tmp_path):
    losses = recorded(monkeypatch, vae, "vae_loss")
    config = vae.tiny_config()
    config.dim = 8
    options = {"batch": 2, "crop": (9, 32, 32), "long": 13}
    trained, figures = vae.train(
        config, "cpu", steps=24, pool=made.frames, held_out=made.frames[:1], **options
    )
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6]), losses
    assert figures["steps"] == 24

    vae.save(trained, figures, tmp_path)
    loaded = vae.load(tmp_path, "cpu")
    assert asdict(loaded.config) == asdict(config)
    assert vae.quality(loaded, made.frames[:1])["psnr"] == pytest.approx(figures["psnr"], abs=0.05)


def test_a_silenced_channel_is_not_blown_up(small_vae, made):
    small_vae.conv1.weight[0], small_vae.conv1.bias[0] = 0, 3.0
    small_vae.conv1.weight[1] *= 1e3
    mean, std = vae.statistics(small_vae, made.frames[:2, :9])
    assert mean[0] == pytest.approx(3.0) and std[0] == pytest.approx(vae.STD_FLOOR)
    assert std[1] > 1
    small_vae.config.latent_mean, small_vae.config.latent_std = mean, std
    video = clips.to_float(made.frames[:2, :9]).transpose(1, 2)
    assert small_vae.encode(video)[:, 1].std() == pytest.approx(1, rel=1e-3)


def test_latents_survive_their_file(small_vae, made, tmp_path):
    data = latents.encode(small_vae, made, chunk=2)
    assert data.latents.shape == (3, 16, 3 * BLOCKS, HEIGHT // 8, WIDTH // 8)
    alone = latents.encode(small_vae, clips.Clips(*(t[2:] for t in made)))
    assert torch.allclose(data.latents[2:], alone.latents, atol=2e-3)
    # The first latent knows the first frame only, so the condition begins like the clip and then differs.
    assert torch.allclose(data.grey[:, :, 0], data.latents[:, :, 0], atol=2e-3)
    assert (data.grey[:, :, -1] - data.latents[:, :, -1]).abs().max() > 0.05

    data.save(tmp_path / "a.safetensors")
    alone.save(tmp_path / "b.safetensors")
    both = latents.Latents.load([tmp_path / "a.safetensors", tmp_path / "b.safetensors"], "cpu")
    for name, tensor in both._asdict().items():
        assert torch.equal(tensor, torch.cat((getattr(data, name), getattr(alone, name)))), name


def test_clips_are_long_enough_to_end_in_the_steady_condition():
    steady = vae.VAE(vae.tiny_config()).encoder.look_back // 4 + 1
    assert steady <= (latents.FRAMES - 1) // 4


def test_the_transformer_learns(small_vae, made, monkeypatch):
    losses = recorded(monkeypatch, dit, "flow_loss")
    model = small_dit()
    frozen = model.image_encoder.head.clone()
    assert dit.train(model, latents.encode(small_vae, made), steps=16, batch=2) == 16
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4]), losses
    assert torch.equal(model.image_encoder.head, frozen)


@pytest.mark.parametrize(
    "mode, keyboard_dim, mouse, window",
    [("universal", 4, True, 6), ("gta_drive", 2, True, 4), ("templerun", 7, False, 6)],
)
def test_training_computes_what_plays_compute(small_vae, made, mode, keyboard_dim, mouse, window):
    """Two real plays of three blocks; then training is given all that their passes were given, at once."""
    model = small_dit(keyboard_dim, mouse, window).eval().requires_grad_(False)
    made = made._replace(keyboard=torch.rand(3, made.frames.shape[1], keyboard_dim))
    data = latents.encode(small_vae, made)
    passes = []  # of the transformer: latents in, flow out
    model.transformer.register_forward_hook(lambda _, args, flow: passes.append((args[0], flow)))
    config = CheckpointConfig(name=mode, title=mode, mode=mode, height=HEIGHT, width=WIDTH)
    config.transformer, config.vae, config.sampling = model.transformer.config, small_vae.config, dit.SAMPLING
    world_model = WorldModel(config, model.transformer, small_vae, model.image_encoder)
    sigmas = Schedule.of(dit.SAMPLING).sigmas
    steps, sigma = len(sigmas) + 1, sigmas[-1]

    plays = []
    for clip in range(2):
        one = latents.Latents(*(t[clip : clip + 1] for t in data))
        drawn = dit.draw_batch(one, 8, world_model.window_rows, sigmas)
        begins = int(
            drawn.condition[:, 0, 0, 0, 0].argmax()
        )  # one that does not pretend to be far into a play
        passes.clear()
        world = world_model.start(Image.fromarray(made.frames[clip, 0].permute(1, 2, 0).numpy()), seed=clip)
        for block in range(BLOCKS):
            rows = slice(12 * block - 3 if block else 0, 12 * block + 9)
            world.step_latents(made.keyboard[clip, rows], made.mouse[clip, rows] if mouse else None)
        condition = torch.cat([world.condition.block(3 * block, 3) for block in range(BLOCKS)], 2)
        assert torch.allclose(drawn.condition[begins], condition[0], atol=2e-3)  # float16 on its way
        (noisy, flow), (clean, clean_flow) = (
            map(torch.cat, zip(*passes[first::steps], strict=True)) for first in (steps - 2, steps - 1)
        )
        noise = (noisy - (1 - sigma) * clean) / sigma
        given = (condition[0], drawn.image[begins], drawn.keyboard[begins], drawn.mouse[begins])
        plays.append((join_blocks(clean), join_blocks(noise), *given, torch.stack((clean_flow, flow))))

    clean, noise, condition, image, keyboard, mouse_rows, flows = map(torch.stack, zip(*plays, strict=True))
    sigma = torch.stack((torch.zeros(2, BLOCKS), sigma.expand(2, BLOCKS)))
    batch = dit.Batch(
        clean, condition, image, keyboard, mouse_rows, torch.zeros(2, dtype=torch.int64),
        torch.stack((noise, noise)), sigma, torch.ones(2, BLOCKS),
    )  # fmt: skip
    passes.clear()
    loss = dit.flow_loss(model, batch)
    flow = passes[0][1].view(2, 2, BLOCKS, *flows.shape[3:])
    assert flow.std() > 0.1
    assert (flow - flows.transpose(0, 1)).abs().max() < 1e-4
    target = torch.stack([t.unflatten(1, (BLOCKS, 3)).transpose(0, 1) for t in noise - clean])
    assert loss == pytest.approx(float(sigma[1, 0, 0] * (flow[1] - target).square().mean()), rel=1e-3)


def join_blocks(blocks):
    """[n, 16, 3, h, w] -> [16, 3n, h, w]."""
    return blocks.transpose(0, 1).flatten(1, 2)


def test_a_window_of_more_than_two_blocks_is_refused():
    with pytest.raises(ValueError, match="9 latent frames"):
        dit.teacher_forcing(small_dit(window=9).transformer, torch.zeros(1, 5, 64), 1, BLOCKS)


def test_what_is_published_can_be_played(tmp_path):
    torch.manual_seed(0)
    vae.save(vae.VAE(vae.tiny_config()), {}, tmp_path / "vae")
    dit.save(dit.Model(*dit.tiny_config()), tmp_path / "dit")
    publish.publish(tmp_path / "vae", tmp_path / "dit", tmp_path, starts=1)

    config = load_config(tmp_path / "configs" / "universal-tiny.yaml")
    folder = tmp_path / config.files.folder
    (start,) = folder.glob("start/*.png")
    located = resolve(folder, config=config)
    assert located.vae.parent == folder
    model = load_world_model(located, device="cpu")
    world = model.start(Image.open(start))
    frames = world.step(ActionTrack.hold("universal", ["forward"], frames=world.frames_next))
    assert frames.shape == (9, 144, 256, 3) and frames.std() > 1


def test_the_shipped_configuration_is_what_training_publishes():
    shipped = load_config(CONFIGS / "universal-tiny.yaml")
    assert publish.configuration(asdict(shipped.vae)) == shipped
