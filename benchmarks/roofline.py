"""What a block costs at least: its products counted, and each timed by itself, done in the fastest known way.

A product is a matrix product, a convolution or an attention. They are counted on the meta device, in the
plain model, for a block with full caches. Then each is timed in a CUDA graph, so that neither Python nor
launches count, with random inputs that take turns, so that the cache of the GPU does not hold them. Their
sum is the floor: as if all else were free. Ways are those of the libraries, and our own kernels in Triton
("ours") where the libraries do needless work: in attention to a handful of tokens, where they are slow, and
in a convolution after doubling, which sees each pixel four times. The decoder's kernel in CUDA C++ is not
yet among them, so on Hopper GPUs decoding is faster than the floor that is given for it. Beside the floor
stands the time to copy the least bytes, those that the products read and write.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from mgdemo.blocks import LATENTS_PER_BLOCK
from mgdemo.config import CheckpointConfig
from mgdemo.model.action import Actions, window_rows
from mgdemo.model.fast.library_convolutions import ONEDNN
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE

KINDS = {
    F.linear: "linear",
    F.scaled_dot_product_attention: "attention",
    F.conv2d: "convolution",
    F.conv3d: "convolution",
}
BACKENDS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
FEW = 16  # keys
FAR = 2**27  # bytes: inputs that together exceed this do not stay in the cache of the GPU

Way = tuple[Callable[..., Tensor], Callable[[], list[Tensor]]]  # a function, and what makes its inputs


class Clock:
    """Marks in the work of a device, and the milliseconds between them."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"

    def mark(self) -> torch.cuda.Event | float:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def ms(self, begin: torch.cuda.Event | float, end: torch.cuda.Event | float) -> float:
        if not self.cuda:
            return 1e3 * (end - begin)
        end.synchronize()
        return begin.elapsed_time(end)


@dataclass(frozen=True)
class Product:
    """`shapes` are those of input and weight, or of query, key and value [B, H, L, D]; `settings` are a
    convolution's stride and padding. Biases are free."""

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]
    settings: tuple = ()

    def __str__(self) -> str:
        return " ".join((self.kind, *("x".join(map(str, shape)) for shape in self.shapes)))

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        second = self.shapes[1]
        return 2 * prod(self.out) * (2 * second[-2] if self.kind == "attention" else prod(second[1:]))

    @property
    def bytes(self) -> int:
        """Read and written at least, with 16 bits an element."""
        return 2 * (sum(map(prod, self.shapes)) + prod(self.out))


class Products(TorchFunctionMode):
    """Counts the products that are called within it."""

    def __init__(self):
        super().__init__()
        self.counts: Counter[Product] = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if kind := KINDS.get(func):
            tensors = [*args[: 3 if kind == "attention" else 2], out]
            if kind == "linear":  # how its rows are arranged does not matter
                tensors = [tensor.flatten(0, -2) for tensor in tensors]
            *shapes, result = (tuple(tensor.shape) for tensor in tensors)
            settings = tuple(args[3:5]) if kind == "convolution" else ()
            self.counts[Product(kind, tuple(shapes), result, settings)] += 1
        return out


@torch.inference_mode()
def count(config: CheckpointConfig) -> dict[str, Counter[Product]]:
    """The products of one denoising `pass`, of the `clean` pass and of the `decode` of a block."""
    net, vae, encoder, actions = (
        config.transformer,
        config.vae,
        config.image_encoder,
        config.transformer.action_config,
    )
    frames, start = LATENTS_PER_BLOCK, LATENTS_PER_BLOCK * net.local_attn_size
    grid = (frames, config.height // vae.spatial_factor, config.width // vae.spatial_factor)
    rows, tokens = window_rows(actions, frames), 1 + (encoder.image_size // encoder.patch_size) ** 2
    with torch.device("meta"):
        transformer, decoder, state = Transformer(net), VAE(vae), {}
        latents, condition = (torch.empty(1, n, *grid) for n in (vae.z_dim, net.in_dim - vae.z_dim))
        keyboard, mouse = (torch.empty(1, rows, n) for n in (actions.keyboard_dim_in, actions.mouse_dim_in))
        inputs = transformer.block_inputs(start, condition, Actions(keyboard, mouse))
        memory = transformer.memory(torch.empty(1, tokens, net.img_dim), *grid[1:])
        memory.begin_block(start, frames)
        with Products() as denoise:
            transformer(latents, torch.empty(1, frames), inputs, memory)
        with Products() as clean:
            transformer.remember(latents, inputs, memory)
        decoder.decode(latents, state)  # the first latent of a stream is another matter
        with Products() as decode:
            decoder.decode(latents, state)
    return {"pass": denoise.counts, "clean": clean.counts, "decode": decode.counts}


def timed(calls: list[Callable[[], object]], device: torch.device) -> float:
    """Median milliseconds of a call, of several that take turns."""
    clock = Clock(device)
    calls = calls * max(1, 16 // len(calls) if clock.cuda else 1)

    def run() -> None:
        for call in calls:
            call()

    run()
    if clock.cuda:
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        run = graph.replay
        run()
    marks = []
    for _ in range(5):
        begin = clock.mark()
        run()
        marks.append((begin, clock.mark()))
    return statistics.median(clock.ms(*pair) for pair in marks) / len(calls)


def ways(product: Product, device: torch.device, dtype: torch.dtype) -> Iterator[tuple[str, Way]]:
    """How the libraries may do a product, by name."""
    cuda = device.type == "cuda"

    def inputs(dtype: torch.dtype = dtype) -> list[Tensor]:
        made = [torch.randn(shape, device=device, dtype=dtype) for shape in product.shapes]
        if product.kind == "attention":  # lies as [B, L, H, D]
            return [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in made]
        if product.kind == "convolution":
            layout = torch.channels_last if len(product.out) == 4 else torch.channels_last_3d
            return [tensor.to(memory_format=layout) for tensor in made]
        return made

    def attend(backend: SDPBackend, *qkv: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(*qkv)

    name = str(dtype).removeprefix("torch.")
    if product.kind == "linear":
        yield name, (F.linear, inputs)
        if cuda and not any(side % 16 for shape in product.shapes for side in shape):
            one = torch.ones((), device=device)
            yield (
                "float8",
                (
                    lambda x, w: torch._scaled_mm(x, w.t(), one, one, out_dtype=dtype, use_fast_accum=True),
                    lambda: [tensor.to(torch.float8_e4m3fn) for tensor in inputs()],
                ),
            )
    elif product.kind == "convolution":
        stride, padding = product.settings
        if cuda and follows_doubling(product):
            yield "ours", ours_after_doubling(product, inputs)
        convolve = F.conv2d if len(product.out) == 4 else F.conv3d
        yield name, (lambda x, w: convolve(x, w, None, stride, padding), inputs)
        if cuda:
            yield (
                "float16",
                (lambda x, w: convolve(x, w, None, stride, padding), lambda: inputs(torch.float16)),
            )
        elif dtype in ONEDNN:
            ones = (1,) * len(stride)
            yield (
                "onednn",
                (lambda x, w: torch.mkldnn_convolution(x, w, None, padding, stride, ones, 1), inputs),
            )
    else:
        if cuda and product.shapes[1][2] <= FEW:
            yield "ours", ours_of_few(product, device, dtype)
        for name, backend in BACKENDS.items():
            yield name, (lambda *qkv, backend=backend: attend(backend, *qkv), inputs)
        try:
            from flash_attn import flash_attn_func
        except ImportError:
            return
        yield "flash-attn", (lambda *qkv: flash_attn_func(*(t.transpose(1, 2) for t in qkv)), inputs)


def follows_doubling(product: Product) -> bool:
    """Of the decoder's convolutions in space, all but those of one pixel."""
    weight = product.shapes[1]
    return len(weight) == 4 and weight[2] == 3 and product.settings[0] in (1, (1, 1))


def ours_after_doubling(product: Product, inputs: Callable[[], list[Tensor]]) -> Way:
    from mgdemo.model.fast.convolution import Kernel, convolve

    frames, channels, height, width = product.shapes[0]

    def made() -> list:
        x, weight = inputs()
        small = x.new_zeros(frames, height // 2 + 2, width // 2 + 2, channels)
        small[:, 1:-1, 1:-1].normal_()
        return [small, Kernel.from_upsample(weight.contiguous(), weight.new_zeros(len(weight)))]

    return lambda x, kernel: convolve(x, None, kernel, shape="larger"), made


def ours_of_few(product: Product, device: torch.device, dtype: torch.dtype) -> Way:
    """Attention of all tokens to one ring, or of each token to its own; the norms and rotations included."""
    from mgdemo.model.fast.attention_rows import attend_few

    (rings, heads, queries, dim), (_, _, window, _) = product.shapes[:2]
    frames = LATENTS_PER_BLOCK

    def made() -> list[Tensor]:
        q = torch.randn(rings * queries, heads * dim, device=device, dtype=dtype)
        k, v = (torch.randn(rings * frames, heads * dim, device=device, dtype=dtype) for _ in range(2))
        turn = torch.zeros(2, frames, dim // 2, device=device)
        both = torch.randn(2, rings, window, heads, dim, device=device, dtype=dtype)
        return [q, k, v, *turn, torch.arange(frames, device=device), *both]

    return lambda *given: attend_few(*given, window, norm=True), made


@torch.inference_mode()
def measure(product: Product, device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Milliseconds by every way; what a library declines to do is left out."""
    copies, found = min(8, 1 + FAR // product.bytes) if device.type == "cuda" else 1, {}
    with warnings.catch_warnings(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
        warnings.simplefilter("ignore")  # backends say at length why they decline
        for name, (function, inputs) in ways(product, device, dtype):
            try:
                sets = [inputs() for _ in range(copies)]
                found[name] = timed([lambda own=own, f=function: f(*own) for own in sets], device)
            except RuntimeError:
                continue
    return found


def fastest(times: dict[str, float], float8: bool = False) -> float:
    """Milliseconds of the best way, in 8 bits only if wanted; 0 where there is none."""
    return min((ms for way, ms in times.items() if float8 or way != "float8"), default=0.0)


def floors(
    config: CheckpointConfig, device: torch.device, dtype: torch.dtype, ceilings: dict[str, dict[str, float]]
) -> dict[str, list[dict]]:
    """What products, kinds of them and stages cost. `ceilings` holds what was measured, and gets the rest."""
    rows = []
    for stage, counts in count(config).items():
        for product, calls in counts.items():
            if str(product) not in ceilings:
                ceilings[str(product)] = measure(product, device, dtype)
            times = ceilings[str(product)]
            ms, row = fastest(times), {"stage": stage, "kind": product.kind, "product": str(product)}
            row |= {"calls": calls, "tflop": calls * product.operations / 1e12}
            row |= {"least_gb": calls * product.bytes / 1e9, "floor_ms": calls * ms}
            row |= {"floor_fp8_ms": calls * fastest(times, float8=True)}
            row["tflop_per_s"] = product.operations / 1e9 / ms if ms else None
            rows.append(row | {"by": min(times, key=times.get, default=None)})
    rows.sort(key=lambda row: -row["floor_ms"])
    return {"products": rows, "kinds": totals(rows, "stage", "kind"), "stages": totals(rows, "stage")}


def totals(rows: list[dict], *keys: str) -> list[dict]:
    """A row for all those that agree in the keys."""
    found: dict[tuple, dict] = {}
    for row in rows:
        total = found.setdefault(tuple(row[key] for key in keys), {key: row[key] for key in keys})
        for what in ("calls", "tflop", "least_gb", "floor_ms", "floor_fp8_ms"):
            total[what] = total.get(what, 0) + row[what]
    return list(found.values())
