"""Which GPUs a host has, by its setting and by nvidia-smi."""

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from tests.fakes.runner import FakeHost, FakeRunner
from worker.runners import gpus
from worker.runners.gpus import ask_nvidia_smi, cdi_gpus, find_gpus, gpus_of


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner(host=FakeHost(gpus=("GPU-found",)))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", ("GPU-found",)),
        (" , ", ("GPU-found",)),
        ("none", ()),
        ("0", ("0",)),
        ("GPU-a, nvidia.com/gpu=1,", ("GPU-a", "nvidia.com/gpu=1")),
    ],
)
def test_the_operator_s_word_goes_before_what_is_found(
    runner: FakeRunner, setting: str, expected: tuple[str, ...]
) -> None:
    assert gpus_of(setting, runner) == expected


@pytest.mark.parametrize("setting", ["0,1,0", "none,0"])
def test_a_gpu_named_twice_or_beside_none_is_refused_by_the_setting_s_name(runner: FakeRunner, setting: str) -> None:
    with pytest.raises(ConfigurationError, match="RETRAIN_GPUS"):
        gpus_of(setting, runner)


def test_each_line_of_nvidia_smi_is_a_gpu() -> None:
    assert find_gpus(lambda _command: "GPU-a\nGPU-b\n\n") == ("GPU-a", "GPU-b")


def tool(folder: Path, script: str) -> Sequence[str]:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/usr/bin/env python3\n{script}\n")  # sys.executable may have a space in it
    path.chmod(stat.S_IRWXU)
    return [str(path)]


def test_a_tool_that_prints_is_heard(tmp_path: Path) -> None:
    command = tool(tmp_path, "print('GPU-a')")
    assert find_gpus(lambda _command: ask_nvidia_smi(command)) == ("GPU-a",)


@pytest.mark.parametrize(
    "script",
    [
        "raise SystemExit('could not communicate with the NVIDIA driver')",
        "import time; time.sleep(60)",
        "import sys; sys.stdout.buffer.write(bytes([255]))",
    ],
    ids=["fails", "hangs", "prints no text"],
)
def test_a_tool_that_is_no_use_means_no_gpus_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: str
) -> None:
    monkeypatch.setattr(gpus, "TIMEOUT_SECONDS", 1)
    command = tool(tmp_path, script)
    assert find_gpus(lambda _command: ask_nvidia_smi(command)) == ()
    assert "nvidia-smi failed" in caplog.text


def test_a_machine_without_the_tool_cannot_tell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_gpus(lambda _command: ask_nvidia_smi([str(tmp_path / "nvidia-smi")])) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (["nvidia.com/gpu=0", "nvidia.com/gpu=all", "nvidia.com/gpu=1"], ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        (["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-a"], ["nvidia.com/gpu=0"]),
        (["nvidia.com/gpu=GPU-a", "nvidia.com/gpu=all", "vendor.com/net=0"], ["nvidia.com/gpu=GPU-a"]),
        (["nvidia.com/gpu=0:1"], ["nvidia.com/gpu=0:1"]),
        ([], []),
    ],
)
def test_of_what_an_engine_discovered_each_gpu_counts_once(devices: list[str], expected: list[str]) -> None:
    assert cdi_gpus(devices) == tuple(expected)
