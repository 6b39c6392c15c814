from devtools import house

PYTHON = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from mgdemo.b import B

@decorated
class A:
    size: int = 3
    def __init__(self, b: B):
        self.b, self.c = b, 1
    def later(self):
        self.d: int = 2
        self.c += other.e
"""
SCRIPT = """
import { two } from "./two.js";
export class Player {
  #secret = 1;
  state;
  constructor() {
    this.state = "new";
    this.frames = 0;
    if (this.frames === 1) two();
  }
}
"""


def package(root, **files):
    (root / "mgdemo").mkdir()
    for name, text in files.items():
        (root / "mgdemo" / name.replace("_py", ".py").replace("_js", ".js")).write_text(text)
    return root


def test_classes_are_measured(tmp_path):
    root = package(tmp_path, a_py=PYTHON, one_js=SCRIPT, two_js="")
    found = {item.name: (item.lines, item.attributes) for item in house.classes(root)}
    assert found == {"A": (8, 4), "Player": (9, 3)}


def test_circles_are_found_wherever_the_imports_stand(tmp_path):
    late = "def f():\n    from mgdemo import a\n"
    root = package(tmp_path, a_py=PYTHON, b_py=late, c_py="import mgdemo.a\n", __init___py="")
    assert house.circles(house.imports(root)) == [["mgdemo.a", "mgdemo.b"]]


def test_circles_of_scripts_are_found_in_their_types_too(tmp_path):
    typed = "/** @param {import('./one.js').Player} player */\nexport function two(player) {}\n"
    root = package(tmp_path, one_js=SCRIPT, two_js=typed)
    assert house.circles(house.imports(root)) == [["mgdemo/one.js", "mgdemo/two.js"]]


def test_no_imports_go_in_circles():
    assert house.circles(house.imports(house.ROOT)) == []


def test_files_and_classes_fit_a_head():
    def limit(path):
        return 400 if "fast" in path.parts else 300  # of lines; kernels are longer

    assert not [path for path in house.files(house.ROOT) if house.lines(path) > limit(path)]
    assert not [item for item in house.classes(house.ROOT) if item.lines > 200]
