"""Scenarios: scripted sessions as YAML that people write, read and share.

    title: Left at the crossing
    mode: gta_drive
    actions:
      - {hold: [W], for: 2s}
      - {hold: [W], camera: {yaw: -0.05}, for: 18 frames}
      - mark: corner
      - repeat: 3
        actions:
          - {hold: [W, D], for: 0.5s}
          - {for: 0.5s}
      - random: {for: 4 blocks, seed: 42}

Steps follow one another, the first beginning at video frame 0, the start frame. A second is 25 video frames.
A block is 12 frames, the very first one 9, so steps of whole blocks stay on the blocks of the model. Times
add up exactly: two steps of 0.5s are 25 frames, 13 and 12.
"""

from __future__ import annotations

import logging
from pathlib import Path

from mgdemo.actions import MODES
from mgdemo.paths import SCENARIOS
from mgdemo.scenario.grammar import MAX_BYTES, ScenarioError
from mgdemo.scenario.model import OWN_PICTURE, Mark, Scenario
from mgdemo.scenario.read import load_scenario, parse_scenario
from mgdemo.scenario.schema import json_schema
from mgdemo.scenario.write import bare_yaml, scenario_yaml

__all__ = [
    "MAX_BYTES",
    "OWN_PICTURE",
    "Mark",
    "Scenario",
    "ScenarioError",
    "bare_yaml",
    "json_schema",
    "library",
    "load_scenario",
    "parse_scenario",
    "scenario_yaml",
]


def library(folder: Path = SCENARIOS) -> dict[str, list[Scenario]]:
    """The scenarios `folder`/<mode>/*.yaml by mode, in order of file names; broken ones are logged only."""
    found: dict[str, list[Scenario]] = {mode: [] for mode in MODES}
    for path in sorted(folder.glob("*/*.yaml")):
        try:
            scenario = load_scenario(path)
        except ScenarioError as error:
            logging.getLogger(__name__).warning("Left out of the library: %s", error)
        else:
            found[scenario.mode].append(scenario)
    return found
