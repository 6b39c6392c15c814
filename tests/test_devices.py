"""What is told about devices. There is no GPU here: each is pretended."""

import logging
import types

import pytest
import torch

from devtools.tiny import tiny_image, tiny_model
from mgdemo import devices, loading
from mgdemo.checkpoints import catalog
from mgdemo.devices import LARGE, DeviceError, choose_device, out_of_memory, precision
from mgdemo.loading import load_world_model
from mgdemo.worker.failures import sentence
from mgdemo.world import WorldModel

TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"
TITLE = "Matrix-Game 2.0, universal"


@pytest.fixture
def machine(monkeypatch):
    """A machine with a GPU; `problem` is what its first use raises."""
    here = types.SimpleNamespace(problem=None, hardware=True, count=1, capability=(9, 0))

    def first_use():
        if here.problem is not None:
            raise here.problem

    monkeypatch.setattr(torch.cuda, "init", first_use)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: here.count)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: here.capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(devices, "_nvidia_hardware", lambda: here.hardware)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *shape, device=None, **how: ones(*shape, **how))
    return here


def test_auto_takes_a_gpu_that_works(machine):
    assert choose_device("auto", TITLE, LARGE + 1) == torch.device("cuda")
    assert choose_device("cuda:0", TITLE, 1) == torch.device("cuda:0")


def test_a_driver_that_is_too_old_is_told_with_the_cure(machine, caplog):
    machine.problem = RuntimeError(TOO_OLD)
    for wanted in ("auto", "cuda"):
        with pytest.raises(
            DeviceError, match=r"is too old \(found version 11040\).*update the NVIDIA driver"
        ):
            choose_device(wanted, TITLE, LARGE + 1)
    assert choose_device("auto", "Small places", 1_000_000).type == "cpu"
    assert "too old" in caplog.text and "Using the CPU" in caplog.text


def test_a_world_that_falls_back_to_the_cpu_says_why_and_the_cure(machine):
    machine.problem = RuntimeError(TOO_OLD)
    name = next(entry.name for entry in catalog() if entry.embedded)
    notice = load_world_model(name, device="auto").notice
    assert "runs on the CPU" in notice and "(found version 11040)" in notice
    assert (
        "update the NVIDIA driver" in notice and "Please" not in notice
    )  # PyTorch's own advice, with addresses
    assert load_world_model(name, device="cpu").notice == ""  # as it was asked for
    machine.hardware = False
    assert load_world_model(name, device="auto").notice == ""


def test_a_pytorch_without_cuda_is_told_where_there_is_a_gpu(machine, monkeypatch, caplog):
    machine.problem = AssertionError("Torch not compiled with CUDA enabled")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="built without CUDA: install the build that"):
        choose_device("auto", TITLE, LARGE + 1)
    machine.hardware = False
    caplog.clear()
    assert choose_device("auto", "Small places", 1).type == "cpu"
    assert not caplog.text  # nothing to say where there is no GPU


def test_a_full_gpu_and_one_that_is_not_there_are_told(machine):
    with pytest.raises(DeviceError, match=r"cuda:1 cannot be used\. The last GPU here is cuda:0\."):
        choose_device("cuda:1", TITLE, 1)
    machine.problem = torch.OutOfMemoryError("full")
    with pytest.raises(DeviceError, match=r"have taken all of the GPU's memory.*nvidia-smi"):
        choose_device("cuda", TITLE, 1)


def test_a_large_model_runs_on_a_cpu_only_when_asked(machine, caplog):
    machine.problem, machine.hardware = RuntimeError("Found no NVIDIA driver on your system."), False
    said = rf"{TITLE} needs an NVIDIA GPU.* no NVIDIA GPU here\. Choose an embedded .*MGDEMO_DEVICE=cpu"
    with pytest.raises(DeviceError, match=said):
        choose_device("auto", TITLE, LARGE + 1)
    assert choose_device("cpu", TITLE, LARGE + 1).type == "cpu"
    assert "takes minutes" in caplog.text and "MGDEMO_WORKER_TIMEOUT_SECONDS=0" in caplog.text


@pytest.mark.parametrize(("wanted", "current"), [("cuda:1", "cuda:1"), ("cuda", None), ("cpu", None)])
def test_a_gpu_is_the_current_one_before_anything_is_put_on_it(machine, monkeypatch, wanted, current):
    machine.count, seen = 2, []
    made = pretend_current(monkeypatch)

    def load(*_, **__):
        seen.append(made[:])
        return tiny_model()

    monkeypatch.setattr(loading, "_load", load)
    monkeypatch.setattr(loading, "warm_up", lambda *_: None)
    load_world_model("universal-tiny", device=wanted, optimization="none")
    monkeypatch.setattr(devices, "_tflops", lambda device: seen.append(made[1:]))
    devices.describe(wanted)
    assert seen == [[torch.device(current)] if current else []] * (1 if wanted == "cpu" else 2)


def test_a_gpu_is_the_current_one_of_the_thread_that_begins_a_world(monkeypatch):
    """Another one than that which has loaded the model."""
    model, made = tiny_model(), pretend_current(monkeypatch)
    monkeypatch.setattr(WorldModel, "device", torch.device("cuda:1"))
    with pytest.raises((AssertionError, RuntimeError)):  # there is no GPU here
        model.start(tiny_image())
    assert made == [torch.device("cuda:1")]


def pretend_current(monkeypatch):
    """The GPUs that are made current."""
    made = []
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    return made


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("mps", "Apple's GPUs"), ("gpu", "There is no device gpu: give"), ("xpu", "no device xpu")],
)
def test_other_devices_are_refused_with_a_reason(wanted, said):
    with pytest.raises(DeviceError, match=said):
        choose_device(wanted, TITLE, 1)


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 0), torch.float32), ((7, 5), torch.float32), ((8, 0), torch.bfloat16)]
)
def test_gpus_without_bfloat16_compute_in_float32_and_say_so(machine, caplog, capability, dtype):
    machine.capability = capability
    with caplog.at_level(logging.WARNING):
        assert precision(torch.device("cuda")) == dtype
    assert ("Tesla T4 (compute capability 7." in caplog.text) == (dtype == torch.float32)


def test_memory_that_ran_out_names_what_needs_less():
    for error in (torch.OutOfMemoryError("CUDA out of memory"), MemoryError()):
        assert sentence(error) == out_of_memory(error)
    assert "low-vram" in out_of_memory(torch.OutOfMemoryError("")) and "fp8" in out_of_memory(
        torch.OutOfMemoryError("")
    )
    assert out_of_memory(RuntimeError("else")) is None


def test_the_kind_of_a_device_says_what_frames_depend_on():
    assert devices.describe("cpu") in (("cpu float32", None, None), ("cpu bfloat16", None, None))
    with pytest.raises(devices.DeviceError):
        devices.describe("abacus")
