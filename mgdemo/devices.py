"""Which device a checkpoint runs on and in which precision, and what to say where that does not work.

PyTorch is imported when it is needed, so that the sentences are at hand everywhere.
"""

from __future__ import annotations

import logging
import platform
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo import apart
from mgdemo.errors import UserError, first_line

if TYPE_CHECKING:
    import torch

LARGE = 500_000_000  # parameters of a transformer that only a GPU runs at a bearable speed
BFLOAT16 = (8, 0)  # the first compute capability with bfloat16
OUT_OF_MEMORY = (
    "The GPU ran out of memory. Close other programs or sessions on it, choose a smaller checkpoint, or set "
    "MGDEMO_OPTIMIZATION=low-vram (--optimization low-vram), which needs the least; fp8 needs less, too."
)

log = logging.getLogger(__name__)


DEVICE_ERRORS = (  # how PyTorch and the libraries below it begin to say that a device fails, lower case
    "cuda error",
    "cuda driver",
    "cudnn error",
    "cudnn_status",
    "cublas_status",
    "cusolver error",
    "device-side assert",
    "unspecified launch failure",
    "no cuda gpus are available",
    "hip error",
)


class DeviceError(UserError):
    """A device that cannot be used; the message says why and what to do."""


class DeviceFailure(DeviceError):
    """The device that was asked for does not work, whatever it is to do."""


def choose_device(wanted: str, title: str, parameters: int) -> torch.device:
    """The device for a checkpoint called `title` whose transformer has so many parameters.

    wanted: "auto" takes an NVIDIA GPU if there is one, and a CPU only for small models; "cpu" takes it for
        any; "cuda" or "cuda:1" take that GPU.
    Raises DeviceError. Uses the GPU a first time, so what its memory depends on must have been set.
    """
    import torch

    if wanted == "auto":
        problem = _gpu_problem(torch.device("cuda"))
        if problem is None:
            return torch.device("cuda")
        if parameters > LARGE:
            raise DeviceError(
                f"{title} needs an NVIDIA GPU: on a CPU each half second of video takes minutes. {problem} "
                "Choose an embedded world, or ask for the CPU all the same: MGDEMO_DEVICE=cpu (--device cpu)."
            )
        if _nvidia_hardware():
            log.warning("%s Using the CPU.", problem)
        return torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"There is no device {wanted}: give auto, cpu, cuda, or cuda:1 for the second GPU.")
    if device.type == "mps":
        raise DeviceError(
            "Apple's GPUs (mps) are not supported yet: nobody has verified that they make the "
            "same frames as other devices. Embedded worlds run on the CPU: MGDEMO_DEVICE=cpu (--device cpu)."
        )
    if device.type == "cuda" and (problem := _gpu_problem(device)):
        raise DeviceFailure(
            f"{wanted} cannot be used. {problem} Without it: MGDEMO_DEVICE=cpu (--device cpu)."
        )
    if device.type == "cpu" and parameters > LARGE:
        log.warning(
            "%s on a CPU: each half second of video takes minutes. A server needs "
            "MGDEMO_WORKER_TIMEOUT_SECONDS=0 for it.",
            title,
        )
    return device


def make_current(device: torch.device) -> None:
    """Make a GPU the current one of this thread, which each thread chooses for itself: Triton's kernels and
    events go to the current one, wherever their tensors are."""
    if device.type == "cuda" and device.index is not None:
        import torch

        torch.cuda.set_device(device)


def cpu_instead() -> str:
    """Why "auto" means the CPU although there is an NVIDIA GPU, with the cure; "" if it does not."""
    import torch

    problem = _gpu_problem(torch.device("cuda")) if _nvidia_hardware() else None
    return f"This world runs on the CPU, more slowly than it could. {problem}" if problem else ""


def precision(device: torch.device) -> torch.dtype:
    """What a device computes in: bfloat16 where it does so natively, else float32.

    Not float16: the worlds leave its range, and the picture turns black within a few blocks.
    """
    import torch

    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= BFLOAT16:
            return torch.bfloat16
        log.warning(
            "%s (compute capability %d.%d) has no bfloat16, so it runs in float32: correct, but slow, in "
            "twice the memory (published worlds: 23 GB, 15 with MGDEMO_OPTIMIZATION=low-vram,no-graphs).",
            torch.cuda.get_device_name(device),
            *capability,
        )
        return torch.float32
    return torch.bfloat16 if fast_bfloat16() else torch.float32


def fast_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 natively (about 1.5 times the frames of float32)."""
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def describe(wanted: str) -> tuple[str, tuple[int, int] | None, float | None]:
    """What frames and their speed depend on of a device: its kind ("cpu float32", or a GPU's name), a GPU's
    compute capability, and its speed (`_tflops`). wanted: as for `choose_device`. Raises DeviceError."""
    import torch

    device = choose_device(wanted, "A comparison", 0)
    if device.type != "cuda":
        return f"{device.type} {str(precision(device)).removeprefix('torch.')}", None, None
    make_current(device)
    return torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device), _tflops(device)


def _tflops(device: torch.device) -> float | None:
    """How quickly a GPU multiplies large matrices in its precision, in 10^12 operations a second; None where
    its memory is taken."""
    import torch

    size, times = 4096, 20
    try:
        a = torch.ones(size, size, device=device, dtype=precision(device))
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        for _ in range(2):  # the first one warms it up
            begin.record()
            for _ in range(times):
                torch.mm(a, a)
            end.record()
            end.synchronize()
    except torch.OutOfMemoryError:
        return None
    return 2 * size**3 * times / begin.elapsed_time(end) / 1e9


def tell_at_start(wanted: str) -> None:
    """Let a process of its own say on stderr what is wrong with the devices of a server, joined by commas.

    The server itself does without PyTorch, and its workers start when somebody comes.
    """
    if "cuda" in wanted or ("auto" in wanted and _nvidia_hardware()):
        command = [sys.executable, "-m", "mgdemo.devices", wanted]
        options = {"env": apart.environment(), "stdin": subprocess.DEVNULL}
        threading.Thread(target=subprocess.run, args=(command,), kwargs=options, daemon=True).start()


def out_of_memory(error: BaseException) -> str | None:
    """What to say about an error, if it means that memory ran out."""
    if type(error).__name__ == "OutOfMemoryError":  # PyTorch's, for a GPU
        return OUT_OF_MEMORY
    if isinstance(error, MemoryError):
        return "This machine ran out of memory. Close other programs, or choose a smaller checkpoint."
    return None


def device_failed(error: BaseException) -> str | None:
    """What to say about an error, if it means that the device itself fails: then nothing works on it any more
    in this process. Memory that ran out is no such error."""
    if isinstance(error, DeviceFailure):
        return str(error)
    known = any(words in str(error).lower() for words in DEVICE_ERRORS)
    if out_of_memory(error) or not (type(error).__name__ == "AcceleratorError" or known):
        return None
    reason = first_line(error)[:200]
    return (
        f"The device failed ({reason}). Press Start to try again; if it fails again, whoever runs this "
        "server has to look at it."
    )


def _gpu_problem(device: torch.device) -> str | None:
    """Why an NVIDIA GPU cannot be used, in a sentence or two; None if it can."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exceptions say the same
            torch.cuda.init()
            if (device.index or 0) >= torch.cuda.device_count():
                last = torch.cuda.device_count() - 1
                return f"The last GPU here is cuda:{last}."
            torch.ones(1, device=device).add_(1).item()
        return None
    except torch.OutOfMemoryError:
        return "Other programs have taken all of the GPU's memory: `nvidia-smi` names them."
    except (RuntimeError, AssertionError, AttributeError) as error:
        reason = first_line(error).split(". ")[0]
    if not _nvidia_hardware():
        return "There is no NVIDIA GPU here."
    if torch.version.cuda is None:
        return (
            "There is an NVIDIA GPU, but the PyTorch installed here is built without CUDA: install the build "
            "that pytorch.org names for your system."
        )
    return (
        f"There is an NVIDIA GPU, but PyTorch {torch.__version__} cannot use it ({reason}): update the "
        "NVIDIA driver, or install the PyTorch build for the CUDA version that `nvidia-smi` shows."
    )


def _nvidia_hardware() -> bool:
    if platform.system() == "Linux":
        return any(Path(path).exists() for path in ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg"))
    return shutil.which("nvidia-smi") is not None


if __name__ == "__main__":
    for name in sys.argv[1].split(","):
        try:
            precision(choose_device(name.strip(), "", 0))
        except DeviceError as error:
            print(f"mgdemo: {error}", file=sys.stderr)
