"""What is generated for the browser."""

import subprocess

from mgdemo import messages as m
from mgdemo.ui.protocol_js import TARGET, generate
from tests.support.node import node


def test_the_constants_and_types_of_the_browser_are_fresh():
    assert TARGET.read_text(encoding="utf-8") == generate(), "run: python -m mgdemo.ui.protocol_js"


def test_the_browser_reads_them():
    code = f"import('{TARGET.as_uri()}').then((m) => console.log(m.VERSION, m.CLOSE.REPLACED, m.CODECS.jpeg))"
    run = subprocess.run([node(), "-e", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(m.VERSION), str(m.REPLACED), str(m.CODECS["jpeg"])]


def test_what_the_server_always_sends_is_typed_as_always_there():
    text = generate()
    assert "@property {Phase} phase\n" in text
    assert "@property {number | null} position\n" in text
    assert "@property {number} [input_seq]\n" in text and "@property {number} input_seq\n" in text
