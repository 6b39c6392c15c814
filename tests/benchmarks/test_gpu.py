"""The GPU benchmark, whole, on the CPU with a tiny model; its counting and its pacing."""

import json
import subprocess
import sys

import pytest
import torch

from benchmarks import roofline
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import bench, plays, precision
from devtools.tiny import tiny_config
from mgdemo.checkpoints import config_named


@pytest.fixture
def tiny(monkeypatch):
    """Makes every checkpoint a tiny one of its mode, so that parts take seconds."""
    monkeypatch.setattr(bench, "config_named", lambda name: tiny_config(name.removesuffix("-tiny")))


def command(*more):
    return ["--device", "cpu", "--blocks", "3", *more]


def sums(counts):
    """Operations by kind."""
    found = {"linear": 0, "attention": 0, "convolution": 0}
    for product, calls in counts.items():
        found[product.kind] += calls * product.operations
    return found


def test_operations_of_a_tiny_transformer_are_those_counted_by_hand():
    # 2 layers of width 24, the first one acts; 3 frames of 2x3 tokens see 4 of them and the image's 5.
    found, tokens, keys = roofline.count(tiny_config()), 18, 24
    attend = 2 * 2 * tokens * 24 * (keys + 5)  # a layer's queries by keys, and weights by values
    acting = 2 * 2 * 16 * (6 * 3 * 4 + tokens * 4)  # mouse: 6 places of 3 by 4 frames; keyboard: 18 by 4
    time = 2 * 3 * (16 * 24 + 24 * 24 + 24 * 6 * 24)
    layer = 2 * tokens * (6 * 24 * 24 + 2 * 24 * 32)
    mouse = 2 * tokens * (24 * 16 + 16 * 16 + 16 * 48 + 16 * 24)  # what is pressed is encoded once a block
    keyboard = 2 * tokens * (24 * 16 + 16 * 24)
    head, patches = 2 * tokens * 24 * 64, 2 * tokens * 24 * 36 * 4
    assert sums(found["pass"]) == {
        "linear": time + 2 * layer + mouse + keyboard + head,
        "attention": 2 * attend + acting,
        "convolution": patches,
    }
    # The clean pass ends with the last layer's keys and values.
    assert sums(found["clean"])["attention"] == attend + acting
    assert sums(found["clean"])["linear"] == time + layer + mouse + keyboard + 2 * tokens * 2 * 24 * 24


def test_published_sizes_have_the_operations_once_counted_on_the_reference():
    found = roofline.count(config_named("universal"))
    assert sums(found["pass"])["linear"] == pytest.approx(7.44e12, rel=2e-3)
    assert sums(found["pass"])["attention"] == pytest.approx(2.70e12, rel=2e-3)
    assert sums(found["decode"])["convolution"] == pytest.approx(22.8e12, rel=2e-3)


def test_products_know_their_operations_and_bytes():
    linear = roofline.Product("linear", ((5, 3), (4, 3)), (5, 4))
    assert (linear.operations, linear.bytes) == (2 * 5 * 4 * 3, 2 * (15 + 12 + 20))
    shapes = (1, 3, 4, 6, 6), (8, 3, 3, 3, 3)
    convolution = roofline.Product("convolution", shapes, (1, 8, 2, 4, 4), ((1, 1, 1), (0, 0, 0)))
    assert convolution.operations == 2 * (8 * 2 * 4 * 4) * (3 * 27)
    times = roofline.measure(convolution, torch.device("cpu"), torch.float32)
    assert roofline.fastest(times) == min(times.values()) > 0
    assert roofline.fastest({"bfloat16": 2.0, "float8": 1.0}) == 2
    assert roofline.fastest({"bfloat16": 2.0, "float8": 1.0}, float8=True) == 1


def pacing(durations, cost, phases, period=0.48):
    """Lateness in ms, and who was served, where block after block takes so many seconds."""
    now, served, left = [100.0], [], iter(durations)

    def begin(world):
        served.append(world)
        return (now.__setitem__(0, now[0] + next(left)) for _ in range(1))

    def sleep(seconds):
        now[0] += seconds

    rounds = len(durations) // len(phases)
    late = plays.paced(begin, phases, rounds, cost, cost, period, lambda: now[0], sleep)
    return [round(1e3 * seconds) for seconds in late], served


def test_pacing_finds_how_late_blocks_are():
    assert pacing([0.1] * 4, 0.1, [0]) == ([0] * 4, [0] * 4)
    # Begun 15 ms earlier than must be, a block that takes twice as long is 85 ms late; the next is not.
    assert pacing([0.1, 0.2, 0.1], 0.1, [0])[0] == [0, 85, 0]
    # Two worlds due at once take turns.
    assert pacing([0.2] * 6, 0.2, [0, 0]) == ([0] * 6, [0, 1] * 3)
    # Due first is first, whatever its number.
    assert pacing([0.1] * 4, 0.1, [0.5, 0]) == ([0] * 4, [1, 0] * 2)
    # 600 ms of work every 480 ms: each round is 120 ms later than the one before.
    assert pacing([0.3] * 8, 0.3, [0, 0])[0] == [0, 0, 0, 105, 0, 225, 45, 345]


def test_a_block_begins_before_the_frames_of_the_one_before_are_taken():
    log = []

    class Play:
        def __init__(self, name):
            self.name = name

        def begin(self):
            log.append(f"begin {self.name}")
            return (log.append(f"take {self.name}") for _ in range(1))

    assert len(plays.rolling([Play("a"), Play("b")], 2)) == 2
    turns = ["begin b", "begin a", "take b", "begin b", "take a", "begin a", "take b", "take a"]
    assert log == turns
    log.clear()
    plays.paced(lambda i: Play(i).begin(), [0, 0, 0], 1, 0, 0, 1e-3, lambda: 100.0)
    assert log == ["begin 0", "begin 1", "take 0", "begin 2", "take 1", "take 2"], "two at most"


def test_the_whole_command_writes_every_part(tiny, tmp_path, capsys):
    json_file, text_file = tmp_path / "gpu.json", tmp_path / "profile.txt"
    more = ["--modes", "universal-tiny", "--blocks-long", "4", "--sessions", "1", "2"]
    parts = ["--parts", *(part for part in gpu.PARTS if part not in gpu.ASKED)]
    files = ["--profile", str(text_file), "--json", str(json_file)]
    assert gpu.main(command(*more, *parts, *files)) == 0
    written = json.loads(json_file.read_text())
    assert written["environment"]["copy_gb_per_s"] > 0 and written["environment"]["torch"]
    run = written["runs"]["universal-tiny"]
    assert [part for part in gpu.PARTS if part not in run] == ["environment", "reference"]
    speed = run["speed"]
    start = "process_s weights_gb optimize_s warm_up_s ready_s very_first_start_ms start_ms warm_gb peak_gb"
    block = "block_ms block_p95_ms frames_per_second first_frames_ms dit_ms pass_ms clean_ms decode_ms"
    assert set(speed) == {*start.split(), *block.split(), "plays_per_card"}
    assert all(value > 0 for value in speed.values())
    assert run["sessions"]["same_frames"] is True
    assert [row["worlds"] for row in run["sessions"]["turns"]] == [1, 2]
    assert run["sessions"]["most_in_real_time"] in (0, run["sessions"]["paced"][-1]["worlds"])
    assert run["endurance"]["blocks"] == 4 and run["endurance"]["first_ms"] > 0
    errors = {(row["model"], row["against"]): row["relative_error"] for row in run["precision"]["worst"]}
    assert errors["plain", "float32"] == 0  # that is what the CPU plays in
    assert 0 <= errors["universal-tiny", "float32"] < 1e-4
    stages = {row["stage"]: row for row in run["roofline"]["stages"]}
    assert set(stages) == {"pass", "clean", "decode"} and stages["pass"]["measured_ms"] == speed["pass_ms"]
    floor = 2 * stages["pass"]["floor_ms"] + stages["clean"]["floor_ms"] + stages["decode"]["floor_ms"]
    assert run["roofline"]["block_floor_ms"] == pytest.approx(floor) and floor > 0
    assert run["roofline"]["products_not_measured"] == 0
    assert run["profile"]["launches"] > 100 and "aten::" in text_file.read_text()
    printed = capsys.readouterr().out
    assert all(f"universal-tiny: {part}" in printed for part in run)


def test_a_part_that_fails_is_written_down_and_stops_no_other(tiny, tmp_path, monkeypatch):
    def fail(_bench):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setitem(gpu.PARTS, "sessions", fail)
    file = tmp_path / "gpu.json"
    options = command("--json", str(file), "--modes", "universal-tiny+none", "--blocks-long", "2")
    assert gpu.main([*options, "--parts", "endurance", "sessions"]) == 1
    run = json.loads(file.read_text())["runs"]["universal-tiny+none"]
    assert run["sessions"] == {"error": "RuntimeError: CUDA out of memory"}
    assert run["endurance"]["blocks"] == 2
    # A later command with --append keeps what the file holds, one without begins anew.
    assert gpu.main([*options, "--parts", "environment", "--append"]) == 0
    assert set(json.loads(file.read_text())["runs"]["universal-tiny+none"]) == {"sessions", "endurance"}
    assert gpu.main([*options, "--parts", "environment"]) == 0
    assert json.loads(file.read_text())["runs"] == {}


@pytest.mark.usefixtures("tiny")
def test_precision_sees_what_bfloat16_loses():
    tiny = bench.Bench("universal-tiny+none", gpu.parse(command()), {"runs": {}})
    tiny.dtype = torch.bfloat16
    worst = {(row["model"], row["against"]): row for row in precision.precision(tiny)["worst"]}
    against = worst["plain", "float32"]
    assert 1e-4 < against["relative_error"] < 0.1 and 20 < against["psnr_db"] < 80
    assert worst["universal-tiny+none", "plain"]["relative_error"] == 0


def test_several_modes_have_processes_of_their_own_and_one_file(tmp_path):
    file = tmp_path / "gpu.json"
    modes = ["--modes", "universal-tiny+none", "templerun-tiny+none", "--parts", "roofline"]
    program = [sys.executable, "-m", "benchmarks.gpu", *command(*modes, "--json", str(file))]
    subprocess.run(program, check=True, capture_output=True)
    written = json.loads(file.read_text())
    assert set(written["runs"]) == {"universal-tiny+none", "templerun-tiny+none"}
    measured = {row["product"] for run in written["runs"].values() for row in run["roofline"]["products"]}
    (ceilings,) = written["ceilings"].values()
    assert set(ceilings) == measured
