"""The lockstep player: JavaScript modules that the page serves and the report holds inside.

`index.js` exports `mountGrid`; its data is a `mgdemo.compare.view.GridView`.
"""

from pathlib import Path

HERE = Path(__file__).parent
CSS = HERE / "player.css"


def modules() -> dict[str, Path]:
    """The modules by file name; they import each other as "./NAME"."""
    return {path.name: path for path in sorted(HERE.glob("*.js"))}
