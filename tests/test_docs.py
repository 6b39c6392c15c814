"""What the documents say is true: commands, settings, messages, paths, links."""

import importlib.util
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from mgdemo import messages
from mgdemo.checkpoints import configs
from mgdemo.cli import parser
from mgdemo.scenario import parse_scenario
from mgdemo.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("training/*.md"),
]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def block(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def table(text: str) -> dict[str, list[str]]:
    """The rows of all tables by the code that their first cell is."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", text, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in rows}


def test_the_readme_is_a_front_page_that_begins_with_two_commands():
    text = read("README.md")
    assert len(text.splitlines()) <= 120
    first = block(text, "sh")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_are_understood_and_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for command in re.findall(r"^python -m mgdemo (.*?)\s*(?:#.*)?$", text, re.MULTILINE):
        if "PATH" not in command:
            parser().parse_args(shlex.split(command))
    for module in re.findall(r"python -m ((?:mgdemo|benchmarks|training|devtools)\.\w+(?:\.\w+)*)", text):
        assert importlib.util.find_spec(module), module
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / link).exists(), link


def test_the_readme_shows_every_command():
    commands = set(re.findall(r"^python -m mgdemo (\w+)", read("README.md"), re.MULTILINE))
    assert commands == set(next(iter(parser()._subparsers._group_actions)).choices)


def test_hosting_lists_the_settings_with_their_defaults():
    rows = {name: cells[0].strip("`") for name, cells in table(read("docs/hosting.md")).items()}
    assert rows.pop("MGDEMO_CHECKPOINTS") and rows.pop("MGDEMO_RECORD_DIR")
    assert rows.pop("MGDEMO_SETTINGS") == ""
    values = {f"MGDEMO_{field.name.upper()}": getattr(Settings(), field.name) for field in fields(Settings)}
    del values["MGDEMO_RECORD_DIR"]
    texts = {name: str(int(v) if isinstance(v, bool) else v) for name, v in values.items()}
    assert {name: text.removesuffix(".0") for name, text in texts.items()} == rows


def test_the_protocol_page_lists_every_message_and_field():
    rows = table(read("docs/protocol.md"))
    kinds = [*get_args(get_args(messages.ClientMessage)[0]), *get_args(get_args(messages.ServerMessage)[0])]
    named = {kind.model_fields["type"].default: set(kind.model_fields) - {"type"} for kind in kinds}
    assert {name: set(re.findall(r"`(\w+)`", cells[0])) for name, cells in rows.items()} == named
    text = read("docs/protocol.md")
    assert f"Version {messages.VERSION}." in text
    phases = re.search(r"Phases of `status`: (.*?)\.\n", text, re.DOTALL)[1]
    assert re.findall(r"`(\w+)`", phases) == list(get_args(messages.Phase))


def test_scenarios_of_the_documents_can_be_played():
    texts = [text for page in PAGES for text in block(page.read_text("utf-8"), "yaml") if "actions:" in text]
    assert len(texts) >= 2
    for text in texts:
        assert len(parse_scenario(text).track) > 100


def test_published_weights_lie_where_the_documents_say():
    text = read("docs/weights.md")
    for config in (config for config in configs() if not config.embedded):
        files = config.files
        names = (files.transformer, files.vae, files.image_encoder, f"{config.mode}/model.safetensors")
        for name in names:
            assert f"checkpoints/{name}" in text
