"""The lockstep player: JavaScript modules that the page serves and the report holds inside.

`index.js` exports `mountGrid`; its data is a `mgdemo.compare.view.GridView`.
"""

import base64
import re
from pathlib import Path

HERE = Path(__file__).parent
CSS = HERE / "player.css"
NAME = "lockstep/"  # before the names of modules in an import map
SIBLING = re.compile(r'(from|import) "\./(\w+\.js)"')


def modules() -> dict[str, Path]:
    """The modules by file name; they import each other as "./NAME"."""
    return {path.name: path for path in sorted(HERE.glob("*.js"))}


def import_map() -> dict:
    """An import map that holds all modules itself, for a page without a server: "lockstep/index.js".

    (A page that was opened from a disk may import nothing from there.)
    """
    imports = {}
    for name, path in modules().items():
        text = SIBLING.sub(rf'\1 "{NAME}\2"', path.read_text("utf-8"))
        imports[NAME + name] = "data:text/javascript;base64," + base64.b64encode(text.encode()).decode()
    return {"imports": imports}
