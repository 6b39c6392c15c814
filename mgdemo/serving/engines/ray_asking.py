"""Questions to a node of a Ray cluster: a function, called in a process of its own there."""

from __future__ import annotations

import os
from collections.abc import Callable

from mgdemo.apart import ApartError, apart
from mgdemo.errors import UserError
from mgdemo.serving.engines import T
from mgdemo.serving.engines.ray_shares import Share

BESIDE = 30.0  # seconds that Ray may take besides


def ask_there(share: Share, work: Callable[[str], T], patience: float) -> T:
    """What a function gives, called with the share's device on its node. Raises as `apart`."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(share.key, soft=False)
    # It reserves nothing, or it would wait for the worker that has the device.
    task = ray.remote(num_cpus=0, max_retries=0)(_ask).options(scheduling_strategy=there)
    try:
        answer = ray.get(task.remote(work, share.wanted, patience), timeout=patience + BESIDE)
    except (RayError, TimeoutError) as error:
        raise ApartError(f"{share.device} does not answer: {error}") from error
    if isinstance(answer, Exception):
        raise answer
    return answer


def _ask(work: Callable[[str], T], device: str, patience: float) -> T | Exception:
    """On the node. Errors come back as values, since Ray would wrap them."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # by which Ray hides GPUs from those who have reserved none
    try:
        return apart(work, device, patience=patience, once=True)
    except (UserError, OSError, ValueError) as error:
        return error
