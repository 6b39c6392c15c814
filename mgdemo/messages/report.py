"""What a scenario's session has cost, as its engine counted it."""

from __future__ import annotations

from mgdemo.messages.browser import Message


class Report(Message):
    """None: not known, or it does not apply.

    fps: frames a second of the blocks after the first, each timed alone. stages: milliseconds of a block, by
    stage (dit, vae, encode), the mean of the same blocks. load_seconds: of the checkpoint, None if it was in
    memory; start_seconds: of the world; first_block_seconds: of the first block, which warms the device up.
    peak_bytes: the most memory on the GPU, or of the worker's process. joules: of the GPU while blocks were
    made, None if it did something else meanwhile. versions, hardware: names and what they are.
    """

    fps: float | None = None
    stages: dict[str, float] = {}
    load_seconds: float | None = None
    start_seconds: float | None = None
    first_block_seconds: float | None = None
    peak_bytes: int | None = None
    joules: float | None = None
    versions: dict[str, str] = {}
    hardware: dict[str, str] = {}
