"""Settings from the environment."""

import os
import warnings

import pytest

from mgdemo.serving.logins import LoginsError, read_logins
from mgdemo.settings import RENAMED, Settings, SettingsError


def test_settings_come_from_the_environment():
    settings = Settings.from_env(
        {
            "MGDEMO_SESSIONS": "3",
            "MGDEMO_DEVICE": "cuda:0,cuda:1",
            "MGDEMO_IDLE_SECONDS": "12.5",
            "MGDEMO_RECORD_DIR": "kept/here",
            "MGDEMO_QUEUE": "",
            "MGDEMO_REGENERATE": "off",
        }
    )
    assert (settings.sessions, settings.device, settings.idle_seconds) == (3, "cuda:0,cuda:1", 12.5)
    assert (settings.regenerate, Settings.from_env({"MGDEMO_REGENERATE": "1"}).regenerate) == (False, True)
    assert settings.record_dir.parts == ("kept", "here")
    assert settings.queue == Settings().queue


def test_a_wrong_switch_is_named():
    with pytest.raises(SettingsError, match="MGDEMO_REGENERATE is 'maybe': give 1 or 0"):
        Settings.from_env({"MGDEMO_REGENERATE": "maybe"})


def test_what_makes_a_gpu_fast_is_chosen_by_words():
    settings = Settings.from_env({"MGDEMO_OPTIMIZATION": "fp8,no-kernels"})
    assert settings.optimization == "fp8,no-kernels" and settings.regenerates
    assert not Settings(regenerate=False).regenerates
    assert not Settings(optimization="low-vram").regenerates, "then worlds keep nothing to go back to"
    with pytest.raises(
        SettingsError, match='MGDEMO_OPTIMIZATION: "fast" is not an optimization; there are kernels, '
    ):
        Settings.from_env({"MGDEMO_OPTIMIZATION": "fast"})


@pytest.mark.parametrize(
    "variables",
    [
        {"MGDEMO_SESSIONS": "two"},
        {"MGDEMO_SESSIONS": "0"},
        {"MGDEMO_QUEUE": "-1"},
        {"MGDEMO_IDLE_SECONDS": "nan"},
    ],
)
def test_wrong_settings_are_named(variables):
    with pytest.raises(SettingsError, match=f"{next(iter(variables))} is .*: give a number"):
        Settings.from_env(variables)


def test_an_unknown_engine_is_named():
    with pytest.raises(SettingsError, match="MGDEMO_ENGINE is 'steam': give process or ray"):
        Settings.from_env({"MGDEMO_ENGINE": "steam"})


@pytest.mark.parametrize("earlier", RENAMED)
def test_earlier_names_of_settings_work_and_warn(earlier):
    with pytest.warns(FutureWarning, match=f"{earlier} is now called {RENAMED[earlier]}"):
        earlier_one = Settings.from_env({earlier: "1"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Settings.from_env({RENAMED[earlier]: "1", earlier: "7"}) == earlier_one
    assert earlier_one == Settings.from_env({RENAMED[earlier]: "1"}) and earlier_one != Settings(sessions=9)


def test_a_wrong_value_is_told_by_the_name_that_was_set():
    with pytest.warns(FutureWarning), pytest.raises(SettingsError, match="MGDEMO_PLAYS is 'two'"):
        Settings.from_env({"MGDEMO_PLAYS": "two"})


def test_users_of_one_machine_have_folders_of_their_own(monkeypatch):
    mine = Settings().record_dir
    monkeypatch.setattr("os.getuid", lambda: 12345, raising=False)
    assert Settings().record_dir.name == "mgdemo-sessions-12345" and Settings().record_dir != mine


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda0", "mps", "cpu,,cpu", ""])
def test_a_device_that_is_none_is_named_at_the_start(device):
    with pytest.raises(SettingsError, match=r"MGDEMO_DEVICE is '.*': give auto, cpu, cuda"):
        Settings(device=device)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "cuda:0, cuda:1"])
def test_devices_are_one_or_several(device):
    assert Settings(device=device).device == device


@pytest.mark.parametrize("proxies", ["nginx", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.1,PODS"])
def test_a_proxy_that_is_none_is_named_at_the_start(proxies):
    with pytest.raises(SettingsError, match=r"MGDEMO_TRUSTED_PROXIES has '.*': give addresses or networks"):
        Settings(trusted_proxies=proxies)


@pytest.mark.parametrize("proxies", ["", "*", "10.0.0.7", "10.0.0.0/8, ::1", "fd00::/8,"])
def test_proxies_are_addresses_and_networks(proxies):
    assert Settings(trusted_proxies=proxies).trusted_proxies == proxies


def test_flags_come_before_the_environment_and_the_environment_before_the_file(tmp_path):
    file = tmp_path / "hosting.yaml"
    file.write_text(
        "sessions: 2\nqueue: 7\nregenerate: false\ndevice: [cpu, cpu]\noperator_token: ${oc.env:HOME}\n"
    )
    environment = {"MGDEMO_SETTINGS": str(file), "MGDEMO_SESSIONS": "3", "MGDEMO_QUEUE": "8"}
    settings = Settings.from_env(environment, given={"sessions": "4"})
    assert (settings.sessions, settings.queue, settings.regenerate) == (4, 8, False)
    assert settings.device == "cpu,cpu" and settings.operator_token == os.environ["HOME"]
    other = tmp_path / "other.yaml"
    other.write_text("queue: 9\n")
    assert Settings.from_env({"MGDEMO_SETTINGS": str(file)}, other).queue == 9
    assert Settings.from_env({"MGDEMO_SETTINGS": str(file)}, other).sessions == 1


def test_variables_of_gradio_work_between_the_file_and_our_own(tmp_path):
    file = tmp_path / "hosting.yaml"
    file.write_text("host: 10.0.0.1\nport: 1\nroot_path: /file\nshare: false\n")
    variables = {
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": "8080",
        "GRADIO_ROOT_PATH": "/worlds",
        "GRADIO_SHARE": "True",
    }

    def where(environment, **given):
        settings = Settings.from_env(environment, file, given)
        return settings.host, settings.port, settings.root_path, settings.share

    assert where({}) == ("10.0.0.1", 1, "/file", False)
    assert where(variables) == ("0.0.0.0", 8080, "/worlds", True)
    assert where(variables | {"MGDEMO_PORT": "9"}, host="::1", share="0") == ("::1", 9, "/worlds", False)
    with pytest.raises(SettingsError, match="GRADIO_SERVER_PORT is '80x': give a number"):
        Settings.from_env({"GRADIO_SERVER_PORT": "80x"})
    with pytest.raises(SettingsError, match="MGDEMO_PORT is 70000: give 65535 at most"):
        Settings(port=70_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sessions: two", r"sessions in .*hosting.yaml is 'two': give a number like 1"),
        ("sesions: 2", r"sesions in .*hosting.yaml: there is no such setting; did you mean sessions\?"),
        ("- 2", r"is not a settings file: write lines like `sessions: 2`"),
        ("a: [", r"is not a settings file \(.*\): write lines like"),
        ("queue: ${oc.env:MGDEMO_NOT_THERE}", r"is not a settings file \(.*MGDEMO_NOT_THERE.*\): write"),
        (None, r"cannot be read \(No such file or directory\): give another settings file"),
    ],
)
def test_a_wrong_file_is_told_with_its_cure(tmp_path, text, words):
    file = tmp_path / "hosting.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        Settings.from_env({}, file)


def test_a_wrong_flag_is_told_as_a_flag():
    with pytest.raises(SettingsError, match="queue on the command line is 'many': give a number like 20"):
        Settings.from_env({}, given={"queue": "many"})


def test_logins_are_lines_of_a_file(tmp_path):
    file = tmp_path / "logins.txt"
    file.write_text("# for the demo\nann:a:b c\n\nbob:2\n")
    assert read_logins(file) == [("ann", "a:b c"), ("bob", "2")]
    for text, words in {
        "ann": "Line 1 of .* is not a login: write NAME:PASSWORD",
        "#": "has no logins",
    }.items():
        file.write_text(text)
        with pytest.raises(LoginsError, match=words):
            read_logins(file)
    with pytest.raises(LoginsError, match="cannot be read"):
        read_logins(tmp_path / "none.txt")
