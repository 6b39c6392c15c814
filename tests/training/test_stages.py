"""The stages of training, small: each learns, keeps what it made, and trains what a session computes."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import resolve
from mgdemo.config import CONFIGS, CheckpointConfig, load_config
from mgdemo.loading import load_world_model
from mgdemo.model.action import Actions, window_rows
from mgdemo.model.flow import Schedule
from mgdemo.model.noise import seeded_noise
from mgdemo.world import WorldModel
from training import clips, decoder, dit, finish, latents, publish, vae
from training.optim import Optimizer, Step, train_for

HEIGHT, WIDTH = 48, 64
LEVELS = Schedule.from_config(dit.SAMPLING).sigmas
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


def small_dit(mode="universal", window=6):
    transformer, image = dit.tiny_config(MODES[mode])
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


def test_the_optimizer_learns_and_keeps_the_average():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.SiLU(), torch.nn.Linear(32, 2))
    x = torch.randn(256, 20)
    y = torch.stack((x[:, 0] * x[:, 1], x[:, 2].abs()), 1)

    def error(x, y):
        return (net(x) - y).square().mean()

    optimizer = Optimizer(net, muon=0.02, ema=0.9)
    assert optimizer.groups == [(1, 32, 20)]  # the last layer is too narrow
    before, last = error(x, y).item(), {}
    run = Step(error, optimizer)

    def step(index, done):
        value = run(x=x, y=y)
        last.update(index=index, done=done, weights=[p.clone() for p in net.parameters()])
        return value

    kept = []
    count = train_for("net", optimizer, step, steps=200, every=0, keep=lambda: kept.append(error(x, y)))
    assert count == len(kept) == 200 and last["index"] == 199
    assert error(x, y) < 0.1 * before
    assert error(x, y) == kept[-1], "what is kept last is what the training leaves"
    assert not torch.equal(net[0].weight, last["weights"][0]), "the average, not the last step's weights"


@pytest.mark.parametrize("bad", (math.inf, math.nan))
@pytest.mark.parametrize("before", (0, 5))
def test_one_bad_step_changes_nothing(bad, before):
    net = torch.nn.Linear(16, 16)
    optimizer = Optimizer(net, muon=0.02)
    run = Step(lambda x: net(x).square().mean(), optimizer)

    def everything():
        state = [t for t in vars(optimizer).values() if isinstance(t, torch.Tensor)]
        return torch.cat([t.detach().flatten() for t in (*net.parameters(), *state)])

    for _ in range(before):
        run(x=torch.ones(1, 16))
    known = everything()
    run(x=torch.cat((torch.ones(1, 15), torch.tensor([[bad]])), dim=1))
    assert torch.equal(everything(), known)
    run(x=torch.ones(1, 16))
    assert everything().isfinite().all() and not torch.equal(everything(), known)


def test_what_is_no_matrix_is_optimized_by_adam():
    torch.manual_seed(0)
    nets = [torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.LayerNorm(16)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    ours = Optimizer(nets[0], muon=0.0, adam=1e-3)
    theirs = torch.optim.Adam([p for p in nets[1].parameters() if p.ndim < 2], lr=1e-3, betas=Optimizer.BETAS)
    x, y = torch.randn(2, 8, 16)
    for net, optimizer in zip(nets, (ours, theirs), strict=True):
        for _ in range(10):
            optimizer.zero_grad()
            (net(x) - y).square().mean().backward()
            optimizer.step()
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


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
    assert torch.allclose(data.gray[:, :, 0], data.latents[:, :, 0], atol=2e-3)
    assert (data.gray[:, :, -1] - data.latents[:, :, -1]).abs().max() > 0.05

    data.save(tmp_path / "a.safetensors")
    alone.save(tmp_path / "b.safetensors")
    both = latents.Latents.load([tmp_path / "a.safetensors", tmp_path / "b.safetensors"], "cpu")
    for name, tensor in both._asdict().items():
        assert torch.equal(tensor, torch.cat((getattr(data, name), getattr(alone, name)))), name


@pytest.mark.parametrize("mode", MODES)
def test_blank_latents_are_like_encoded_ones(small_vae, mode):
    frames = torch.zeros(1, latents.FRAMES, 3, vae.HEIGHT, vae.WIDTH, dtype=torch.uint8)
    actions = (torch.zeros(1, latents.FRAMES, n) for n in (MODES[mode].keyboard_dim, 2))
    encoded = latents.encode(small_vae, clips.Clips(frames, *actions))
    for blank, like in zip(latents.Latents.blank(1, mode, "cpu"), encoded, strict=True):
        assert blank.shape == like.shape and blank.dtype == like.dtype


def test_clips_are_long_enough_to_end_in_the_steady_condition():
    steady = vae.VAE(vae.tiny_config()).encoder.look_back // 4 + 1
    assert steady <= (latents.FRAMES - 1) // 4


def test_the_transformer_learns(small_vae, made, monkeypatch):
    losses = recorded(monkeypatch, dit, "flow_loss")
    model = small_dit()
    frozen = model.image_encoder.head.clone()
    assert dit.train(model, latents.encode(small_vae, made), steps=16, batch=2, resample_from=0.8) == 16
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4]), losses
    assert torch.equal(model.image_encoder.head, frozen)


def test_another_mode_s_weights_are_taken_over_where_they_fit(tmp_path):
    walker = small_dit()
    dit.save(walker, tmp_path)
    for mode, lost in (("gta_drive", "keyboard_embed"), ("templerun", "keyboard_embed"), ("universal", None)):
        torch.manual_seed(1)
        transformer, image = dit.tiny_config(MODES[mode])
        transformer.num_layers, transformer.action_config.blocks, image.image_size = 2, [0], 28
        other = dit.Model(transformer, image)
        left = other.load(tmp_path)
        assert all(lost in name for name in left) and bool(left) == bool(lost), left
        for name, weight in other.named_parameters():
            if name.partition(".")[2] not in left:
                assert torch.allclose(weight, walker.get_parameter(name), atol=2e-3), name


def test_contexts_of_the_model_s_own_making_are_what_it_makes_of_the_veiled_truth(
    small_vae, made, monkeypatch
):
    model, data = small_dit().eval(), latents.encode(small_vae, made)
    rows = window_rows(model.transformer.config.action_config, 3)
    batch = dit.draw_batch(data, torch.arange(3), rows, LEVELS)
    contexts, flows = [], dit.flows
    monkeypatch.setattr(dit, "flows", lambda *args: (contexts.append((args[2], args[3])), flows(*args))[1])
    dit.flow_loss(model, batch, resample=True)
    (truth, veiled), (given, _) = contexts
    own = batch.own.flatten()
    assert 0 < (own > 0).sum() < len(own)
    assert torch.equal(given[own == 0], truth[own == 0])
    expected = veiled - dit.per_block(batch.own) * flows(model, batch, truth, veiled, batch.own)
    assert torch.allclose(given[own > 0], expected[own > 0], atol=1e-5)


def test_the_first_block_of_a_play_weighs_more_and_far_into_one_nothing(small_vae, made):
    rows = window_rows(small_dit().transformer.config.action_config, 3)
    batch = dit.draw_batch(latents.encode(small_vae, made), torch.arange(32) % 3, rows, LEVELS)
    begins = batch.condition[:, 0, 0, 0, 0] == 1
    assert 0 < begins.sum() < 32
    assert (batch.weight[begins, 0] == dit.FIRST).all() and (batch.weight[~begins, 0] == 0).all()
    assert dit.FIRST > 1 and (batch.weight[:, 1:] == 1).all()


def test_the_critic_tells_soft_from_true_and_which_way_is_better(small_vae, made):
    data, critic = latents.encode(small_vae, made), finish.critic_of(small_dit())
    game = finish.Finish(small_dit(), critic, Schedule.from_config(dit.SAMPLING))
    optimizer, rows = Optimizer(critic, muon=0.01), window_rows(critic.transformer.config.action_config, 3)
    run = Step(game.critic_loss, optimizer)

    def inputs():
        batch = dit.draw_batch(data, torch.randint(3, (2,)), rows, LEVELS)
        soft = 0.4 * dit.stack_blocks(batch.latents, BLOCKS)
        return batch, soft, torch.rand(2, BLOCKS) * 0.5, torch.randn(2, *soft.shape)

    losses = []
    for _ in range(20):
        batch, soft, judged, veils = inputs()
        losses.append(run(made=soft, judged=judged, veils=veils, **batch._asdict()))
    assert losses[0] == pytest.approx(math.log(2), abs=0.05) and sum(losses[-4:]) / 4 < 0.5, losses
    batch, soft, judged, veils = inputs()
    soft.requires_grad_()
    game.logits(batch, soft, veils, judged).mean().backward()
    true = dit.stack_blocks(batch.latents, BLOCKS)
    assert (soft.grad * (true - soft)).sum() > 0, "more contrast should look likelier"


def test_the_finish_trains_on_what_the_model_made(small_vae, made, monkeypatch):
    data, model = latents.encode(small_vae, made), small_dit()
    weights, seen, loss = model.transformer.head.head.weight.clone(), [], finish.Finish.model_loss
    monkeypatch.setattr(
        finish.Finish, "model_loss", lambda *args, **inputs: (seen.append(inputs), loss(*args, **inputs))[1]
    )
    assert finish.train(model, data, steps=6, batch=4, at_once=4, visits=4, rate=0.01) == 6
    assert not torch.equal(model.transformer.head.head.weight, weights)
    assert all(p.isfinite().all() for p in model.parameters())

    def true_blocks(inputs):
        same = (inputs["played"] == inputs["latents"]).unflatten(2, (BLOCKS, 3))
        return same.all(5).all(4).all(3).all(1)

    new = [int(true_blocks(inputs).all(1).sum()) for inputs in seen]
    assert new == [4, 1, 1, 1, 1, 1], "sessions begin with the truth and continue from what was made"
    draw = finish.draw_batch
    far = torch.tensor([0.0, 1, 1])[:BLOCKS]
    monkeypatch.setattr(finish, "draw_batch", lambda *args: draw(*args)._replace(weight=far.repeat(4, 1)))
    seen.clear()
    finish.train(model, data, steps=2, batch=4, at_once=4, visits=9)
    assert true_blocks(seen[1]).tolist() == [[True, False, False]] * 4, "what is made of nothing is not kept"


@pytest.mark.parametrize("mode, window", [("universal", 6), ("gta_drive", 4), ("templerun", 6)])
def test_training_computes_what_plays_compute(small_vae, made, mode, window):
    """Two real sessions of three blocks; then training gets everything that their passes got, at once."""
    model = small_dit(mode, window).eval().requires_grad_(False)
    made = made._replace(keyboard=torch.rand(3, made.frames.shape[1], MODES[mode].keyboard_dim))
    data = latents.encode(small_vae, made)
    passes = []  # of the transformer: latents in, flow out
    model.transformer.register_forward_hook(lambda _, args, flow: passes.append((args[0], flow)))
    config = CheckpointConfig(name=mode, title=mode, mode=mode, height=HEIGHT, width=WIDTH)
    config.transformer, config.vae, config.sampling = model.transformer.config, small_vae.config, dit.SAMPLING
    world_model = WorldModel(config, model.transformer, small_vae, model.image_encoder)
    sigmas = Schedule.from_config(dit.SAMPLING).sigmas
    sigma = sigmas[-1]

    plays = []
    for clip in range(2):
        one = latents.Latents(*(t[clip : clip + 1] for t in data))
        drawn = dit.draw_batch(one, torch.zeros(8, dtype=torch.int64), world_model.window_rows, sigmas)
        begins = int(
            drawn.condition[:, 0, 0, 0, 0].argmax()
        )  # one that does not pretend to be far into a session
        passes.clear()
        finished = []
        world = world_model.start(Image.fromarray(made.frames[clip, 0].permute(1, 2, 0).numpy()), seed=clip)
        for block in range(BLOCKS):
            rows = slice(12 * block - 3 if block else 0, 12 * block + 9)
            mouse = made.mouse[clip : clip + 1, rows] if MODES[mode].has_mouse else None
            finished.append(world.step_latents(Actions(made.keyboard[clip : clip + 1, rows], mouse)))
        condition = torch.cat([world.condition.block(3 * block) for block in range(BLOCKS)], 2)
        assert torch.allclose(drawn.condition[begins], condition[0], atol=2e-3)  # float16 on its way
        noisy, flow = map(torch.cat, zip(*passes[len(sigmas) - 1 :: len(sigmas)], strict=True))
        clean = torch.cat(finished)
        noise = (noisy - (1 - sigma) * clean) / sigma
        given = (condition[0], drawn.image[begins], drawn.keyboard[begins], drawn.mouse[begins])
        plays.append((join_blocks(clean), join_blocks(noise), *given, flow))

    clean, noise, condition, image, keyboard, mouse_rows, flows = map(torch.stack, zip(*plays, strict=True))
    sigma = torch.stack((torch.zeros(2, BLOCKS), sigma.expand(2, BLOCKS)))
    batch = dit.Batch(
        clean, condition, image, keyboard, mouse_rows, torch.zeros(2, dtype=torch.int64),
        torch.stack((noise, noise)), sigma, 0 * sigma[1], torch.ones(2, BLOCKS),
    )  # fmt: skip
    passes.clear()
    loss = dit.flow_loss(model, batch)
    flow = passes[0][1].view(2, *flows.shape)[1]  # of the noisy copies
    assert flow.std() > 0.1
    assert (flow - flows).abs().max() < 1e-4
    target = torch.stack([t.unflatten(1, (BLOCKS, 3)).transpose(0, 1) for t in noise - clean])
    assert loss == pytest.approx(float(sigma[1, 0, 0] * (flow - target).square().mean()), rel=1e-3)

    # Sampling all blocks at once, each after the one before, makes the same blocks again.
    world = world_model.start(Image.new("RGB", (WIDTH, HEIGHT)), seed=0)
    shape = world.noise.draw(0, 0).shape
    noises = [[seeded_noise(play, shape)(b, i) for play in range(2) for b in range(BLOCKS)]
              for i in range(len(sigmas))]  # fmt: skip
    stacked = dit.stack_blocks(clean, BLOCKS)
    last = torch.full((2, BLOCKS), len(sigmas) - 1)
    noises = torch.stack([torch.cat(row) for row in noises])
    for again in finish.sample(model, batch, stacked, noises, last, world_model.schedule):
        assert (again - stacked).abs().max() < 1e-3
    # Left at the first step, a block is its guess; what is finished stays the same.
    left, finished = finish.sample(model, batch, stacked, noises, 0 * last, world_model.schedule)
    at_once = torch.full((2, BLOCKS), float(sigmas[0]))
    guess = noises[0] - sigmas[0] * dit.flows(model, batch, stacked, noises[0], at_once)
    assert (left - guess).abs().max() < 1e-4 and (finished - stacked).abs().max() < 1e-3


def join_blocks(blocks):
    """[n, 16, 3, h, w] -> [16, 3n, h, w]."""
    return blocks.transpose(0, 1).flatten(1, 2)


def test_a_window_of_more_than_two_blocks_is_refused():
    with pytest.raises(ValueError, match="9 latent frames"):
        dit.teacher_forcing(small_dit(window=9).transformer, torch.zeros(1, 5, 64), 1, BLOCKS)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_published_can_be_played(mode, tmp_path):
    torch.manual_seed(0)
    vae.save(vae.VAE(vae.tiny_config()), {}, tmp_path / "vae")
    dit.save(dit.Model(*dit.tiny_config(MODES[mode])), tmp_path / "dit")
    publish.publish([tmp_path / "vae"], tmp_path / "dit", tmp_path, mode, starts=1)

    config = load_config(tmp_path / "configs" / f"{mode}-tiny.yaml")
    folder = tmp_path / config.files.folder
    (start,) = folder.glob("start/*.png")
    located = resolve(folder, config=config)
    assert located.vae.resolve() == (tmp_path / "worlds" / mode / "vae.safetensors").resolve()
    model = load_world_model(located, device="cpu")
    world = model.start(Image.open(start))
    first = MODES[mode].controls[0].name
    frames = world.step(ActionTrack.hold(mode, [first], frames=world.frames_next))
    assert frames.shape == (9, 144, 256, 3) and frames.std() > 1


@pytest.mark.parametrize(("since", "of_first"), [("trained", 0.75), ("older", 1.0)])
def test_published_weights_can_go_part_of_the_way_from_others_to_others(tmp_path, since, of_first):
    folders = {name: tmp_path / name for name in ("trained", "finished", "older")}
    for seed, folder in enumerate(folders.values()):
        torch.manual_seed(seed)
        dit.save(dit.Model(*dit.tiny_config(MODES["universal"])), folder)
    blend = folders[since], folders["finished"], 0.25
    publish.publish([latents.PUBLISHED], folders["trained"], tmp_path, blend=blend)
    folders["published"] = tmp_path / "worlds" / "universal"
    for name in ("transformer.safetensors", "image_encoder.safetensors"):
        weights = {of: load_file(folder / name) for of, folder in folders.items()}
        for key, value in weights["published"].items():
            trained, finished, older = (weights[of][key].float() for of in ("trained", "finished", "older"))
            expected = of_first * trained + 0.25 * finished - (0.25 * older if since == "older" else 0)
            assert torch.allclose(value.float(), expected, atol=2e-3), key


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*-tiny.yaml")), ids=lambda path: path.stem)
def test_the_shipped_configurations_are_what_training_publishes(path):
    shipped = load_config(path)
    assert publish.configuration(shipped.vae, shipped.mode, shipped.sampling) == shipped
    assert vae.config_of(latents.PUBLISHED) == shipped.vae, "what ships can be trained on"


def test_of_several_vaes_the_average_is_published(tmp_path):
    parts = [tmp_path / "vae", tmp_path / "other"]
    for seed, part in enumerate(parts):
        torch.manual_seed(seed)
        vae.save(vae.VAE(vae.tiny_config()), {}, part)
    dit.save(dit.Model(*dit.tiny_config(MODES["templerun"])), tmp_path / "dit")
    publish.publish(parts, tmp_path / "dit", tmp_path, "templerun")
    first, second = (load_file(part / "vae.safetensors") for part in parts)
    for key, value in load_file(tmp_path / "worlds" / "templerun" / "vae.safetensors").items():
        assert torch.allclose(value.float(), (first[key].float() + second[key].float()) / 2, atol=1e-3), key


def test_a_finished_decoder_leaves_the_latents_as_they_are(made, small_vae):
    before = {name: t.clone() for name, t in small_vae.state_dict().items()}
    steps = decoder.train(small_vae, steps=4, pool=made.frames, batch=2, crop=(13, 32, 32))
    moved = {name for name, t in small_vae.state_dict().items() if not torch.equal(t, before[name])}
    assert steps == 4 and moved
    assert all(name.startswith(("decoder.", "conv2.")) for name in moved)


def test_the_adversary_pulls_by_its_share_of_the_error(made, small_vae):
    """Without it the gradient is that of the reconstruction alone; with it the two add up."""
    video = decoder.Crops(made.frames, 13, 32, 32, torch.Generator().manual_seed(0)).draw(2)
    given = {"video": video, "noise": torch.zeros(2, 16, 4, 4, 4), "jitter": torch.zeros(2)}
    small_vae.decoder.requires_grad_(True)
    torch.manual_seed(0)
    critic = decoder.PatchCritic()

    def pulled(share):
        small_vae.zero_grad()
        loss = decoder.Game(small_vae, critic, share).decoder_loss(**given)
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in small_vae.decoder.parameters()])

    error, alone = pulled(0.0)
    small_vae.zero_grad()
    loss = vae.reconstruction(small_vae.decode_raw(small_vae.moments(video, vae.State())[0]), video)
    loss.backward()
    plain = torch.cat([p.grad.flatten() for p in small_vae.decoder.parameters()])
    assert error == pytest.approx(loss.item(), rel=1e-4)
    assert torch.allclose(alone, plain, rtol=1e-3, atol=1e-5)
    once, twice = (pulled(share)[1] - alone for share in (0.5, 1.0))
    assert once.norm() > 0 and torch.allclose(twice, 2 * once, rtol=1e-2, atol=1e-4)


def test_a_sharp_picture_keeps_more_detail(made):
    class Keeps:
        def __init__(self, change):
            self.encode, self.decode = (lambda video: video), change

    def blurred(video):
        return torch.nn.functional.avg_pool3d(video, (1, 3, 3), 1, (0, 1, 1))

    assert decoder.sharpness(Keeps(lambda video: video), made.frames) == pytest.approx(1, abs=0.02)
    assert decoder.sharpness(Keeps(blurred), made.frames) < 0.5


def test_the_adversary_sees_the_first_frame_by_itself_and_three_in_a_row_of_the_others():
    video = torch.arange(7.0).view(1, 1, 7, 1, 1).expand(2, 3, 7, 4, 4)
    rows = decoder.in_rows(video)[:, :3, 0, 0]
    assert rows.tolist() == 2 * [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
