"""How large the parts of mgdemo/ are, and whether imports go in circles: `python -m devtools.house [DIR]`.

Prints lines by language, the largest files, the largest classes with their numbers of attributes, and every
circle of imports (those under TYPE_CHECKING and within functions count). DIR is another checkout, to compare.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {"Python": ".py", "JavaScript": ".js", "CSS": ".css", "HTML": ".html"}


@dataclass(frozen=True)
class Class:
    """A class, its lines, and the attributes that it declares or sets on itself."""

    name: str
    lines: int
    attributes: int
    file: str


def files(root: Path) -> Iterator[Path]:
    """The source files of the package, sorted."""
    wanted = set(LANGUAGES.values())
    yield from sorted(path for path in (root / "mgdemo").rglob("*") if path.suffix in wanted)


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def classes(root: Path) -> list[Class]:
    """All classes in Python and JavaScript, the longest first."""
    found = []
    for path in files(root):
        name, text = path.relative_to(root).as_posix(), path.read_text("utf-8")
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                    found.append(Class(node.name, node.end_lineno - first + 1, len(_attributes(node)), name))
        elif path.suffix == ".js":
            for match in re.finditer(r"^(?:export )?class (\w+).*?^\}", text, re.DOTALL | re.MULTILINE):
                fields = set(re.findall(r"\bthis\.(#?\w+) *=(?!=)", match[0]))
                fields |= set(re.findall(r"^  (#?\w+) *(?:=[^=>]|;)", match[0], re.MULTILINE))
                found.append(Class(match[1], match[0].count("\n") + 1, len(fields), name))
    return sorted(found, key=lambda item: -item.lines)


def _attributes(node: ast.ClassDef) -> set[str]:
    """Names set in the body of a class (fields, constants) or on `self` in its methods."""
    names = set()
    for part in node.body:
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    for part in ast.walk(node):
        stored = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if stored and isinstance(part.value, ast.Name) and part.value.id == "self":
            names.add(part.attr)
    return names


def imports(root: Path) -> dict[str, set[str]]:
    """Which module imports which others, under TYPE_CHECKING and within functions, too."""
    modules = {}
    for path in files(root):
        if path.suffix == ".py":
            parts = path.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    arrows: dict[str, set[str]] = {}
    for module, path in modules.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= {name for name in inner if name in modules}
                named |= {node.module} if inner - set(modules) else set()
        arrows[module] = (named & set(modules)) - {module}
    for path in files(root):
        if path.suffix == ".js":
            named = re.findall(r"""(?:from|import) *\(?["'](\.[^"']+)["']""", path.read_text("utf-8"))
            name = path.relative_to(root).as_posix()
            base = path.parent
            arrows[name] = {(base / other).resolve().relative_to(root).as_posix() for other in named}
    return arrows


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all the others (Tarjan's strongly connected components)."""
    index, low, stack, groups = {}, {}, [], []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devtools.house", description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=ROOT, metavar="DIR")
    parser.add_argument("--top", type=int, default=15, metavar="N", help="how many files and classes to list")
    args = parser.parse_args()
    root = args.root.resolve()
    sizes = {path: lines(path) for path in files(root)}
    for language, suffix in LANGUAGES.items():
        print(f"{sum(n for path, n in sizes.items() if path.suffix == suffix):7}  lines of {language}")
    print(f"{sum(sizes.values()):7}  lines together\n\nlargest files")
    for path, n in sorted(sizes.items(), key=lambda item: -item[1])[: args.top]:
        print(f"{n:7}  {path.relative_to(root)}")
    print("\nlargest classes: lines, attributes")
    for item in classes(root)[: args.top]:
        print(f"{item.lines:7} {item.attributes:4}  {item.name} ({item.file})")
    found = circles(imports(root))
    print(f"\ncircles of imports: {len(found)}")
    for group in found:
        print(f"         {' <-> '.join(group)}")


if __name__ == "__main__":
    main()
