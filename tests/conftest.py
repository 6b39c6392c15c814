"""Fixtures for all tests, and the marks by which `make check` and `make test` choose them."""

import os
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BROWSER_FIXTURES = {"browser", "visit"}
LIVE = (
    "serving",
    "faults",
    "benchmarks/test_faults.py",
    "benchmarks/test_latency.py",
    "benchmarks/test_load.py",
    "compare/test_exports.py",
    "compare/test_jobs.py",
    "compare/test_report.py",
    "compare/test_runs.py",
    "compare/test_visitors_first.py",
    "test_cli_compare.py",
    "ui/test_api.py",
    "ui/test_compare_routes.py",
    "ui/test_crowd.py",
    "ui/test_login.py",
    "ui/test_mcp_visitors.py",
    "ui/test_serve.py",
)
MODEL = (
    "benchmarks",
    "devtools/test_parity.py",
    "measure/test_",
    "model/test_kernels.py",
    "test_end_to_end.py",
    "test_fine_tunes.py",
    "test_install.py",
    "test_world.py",
    "training",
    "worker/test_suspend.py",
)


def pytest_configure(config):
    """Kernels run on the CPU, in Triton's interpreter, unless a GPU is what is tested (-m gpu)."""
    if config.option.markexpr != "gpu":
        os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined


def pytest_collection_modifyitems(config, items):
    """browser: needs Chromium. live: starts workers and sockets. model: computes with whole models.
    gpu: needs an NVIDIA GPU."""
    alone = pytest.mark.skip(reason="needs an NVIDIA GPU, and runs alone: make test-gpu")
    for item in items:
        if HERE not in item.path.parents:
            continue
        place = item.path.relative_to(HERE).as_posix()
        if place.startswith("gpu/"):
            item.add_marker("gpu")
            if config.option.markexpr != "gpu":
                item.add_marker(alone)
        elif BROWSER_FIXTURES & set(item.fixturenames):
            item.add_marker("browser")
        elif place.startswith(LIVE):
            item.add_marker("live")
        elif place.startswith(MODEL):
            item.add_marker("model")


@pytest.fixture(scope="session")
def tiny():
    """tiny(mode) is a tiny WorldModel with random weights; one per mode, made when first asked for."""
    from devtools.tiny import tiny_model

    return cache(tiny_model)


@pytest.fixture(scope="session", autouse=True)
def worlds_of_this_process(tmp_path_factory):
    """Sessions of one name in different processes of tests keep their latents apart."""
    folder = tmp_path_factory.mktemp("worlds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mgdemo.worker.spool.temporary_folder", lambda name: folder)
        yield
