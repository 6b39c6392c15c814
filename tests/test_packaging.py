import ast
import re
import stat
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
MODULES = {
    "spaces": None,  # an extra; on ZeroGPU it is there
    "av": "av",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "pydantic_core": "pydantic",
    "yaml": "PyYAML",
    "flash_attn": None,
    "triton": None,
    "ray": None,
}  # None: used only where installed


def requirements(lines: list[str]) -> dict[str, Requirement]:
    parsed = (Requirement(line) for line in lines if line and line[0] not in "#-")
    return {requirement.name: requirement for requirement in parsed}


def listed(name: str) -> dict[str, Requirement]:
    return requirements((ROOT / name).read_text().splitlines())


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def card() -> tuple[dict, str]:
    _, front, text = (ROOT / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_space_card_is_valid():
    front, _ = card()
    assert front["sdk"] == "gradio"
    assert (ROOT / front["app_file"]).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert isinstance(front["python_version"], str) and isinstance(front["sdk_version"], str)
    assert (
        re.fullmatch(r"\d+m", front["startup_duration_timeout"])
        and front["suggested_hardware"] == "cpu-basic"
    )
    assert front["tags"] and all(isinstance(tag, str) for tag in front["tags"])
    assert front["title"] and front["emoji"] and not front["emoji"].isascii()
    assert 0 < len(front["short_description"]) <= 60
    assert front["license"] == "mit" and (ROOT / "LICENSE").read_text().startswith("MIT License")


def test_versions_agree():
    front, _ = card()
    assert str(listed("constraints.txt")["gradio"].specifier) == f"=={front['sdk_version']}"
    assert front["python_version"] == "3.12.12", "one of those that ZeroGPU has"
    assert SpecifierSet(project()["requires-python"]).contains(front["python_version"])


def test_requirements_are_the_same_everywhere_and_the_tested_versions_are_among_them():
    assert requirements(project()["dependencies"]) == listed("requirements.txt")
    extras = {name: requirements(lines) for name, lines in project()["optional-dependencies"].items()}
    assert extras["dev"] == listed("requirements-dev.txt")
    tested = listed("constraints.txt")
    # A CUDA build of torch wants the one triton that it was made with.
    assert set(tested) == set(listed("requirements.txt") | extras["dev"]) - {"triton"}
    for name, requirement in (listed("requirements.txt") | extras["dev"]).items():
        assert name == "triton" or requirement.specifier.contains(str(tested[name].specifier)[2:]), name
    for name, pin in tested.items():
        assert str(pin.specifier).startswith("=="), name


def test_requirements_name_every_package_that_the_program_imports():
    files = [ROOT / "app.py", *(ROOT / "mgdemo").rglob("*.py")]
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"mgdemo"}
    with_gradio = {"anyio", "httpx", "starlette", "uvicorn"}
    names = {MODULES.get(module, module) for module in foreign} - {None} - with_gradio
    assert "gradio" in names and names <= set(listed("requirements.txt"))


def test_ci_calls_make_test_and_nothing_else():
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & stat.S_IXUSR
    assert run.read_text().splitlines()[-1] == "make test"
