# SPDX-License-Identifier: MIT
"""lsvfio --config: configuration space in a file, raw or as lspci prints it."""

import shutil
import subprocess

import pytest

from lsvfio import LSVFIO, NVME, SOURCE, devices, lsvfio
from made_config import dump, made_config

RAW = NVME / "bus/pci/devices/0000:3b:00.0/config"
EDU = SOURCE / "tests/data/pci/libvfio-edu.txt"
PORT = SOURCE / "tests/data/pci/qemu-root-port.txt"


@pytest.fixture(name="written")
def written_fixture(tmp_path):
    """Writes a file and returns its path."""
    def write(content):
        path = tmp_path / "dump"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
    return write


def test_raw_bytes():
    (dumped,) = devices("--config", RAW)
    (real,) = devices("--sysfs", NVME, "3b:00.0")
    assert dumped["kind"] == "dump" and dumped["device"] == str(RAW)
    assert dumped["string"] is None and dumped["regions"] == [] and dumped["irqs"] == []
    for key in ("id", "class", "subsystem", "revision", "config", "decoded", "problems"):
        assert dumped[key] == real[key], key


@pytest.mark.parametrize("size", [64, 65, 128, 255, 256, 257, 300, 4095, 4096])
def test_raw_bytes_of_any_length(written, size):
    config = made_config("length", 0)[:size]
    (device,) = devices("--config", written(config))
    assert bytes.fromhex(device["config"]) == config
    assert all(r["offset"] < size for r in device["decoded"])


@pytest.mark.parametrize("size", [0, 1, 63, 4097, 100000])
def test_raw_bytes_of_no_length(written, size):
    run = lsvfio("--config", written(bytes(size)))
    assert run.returncode == 1 and "lsvfio: configuration space cannot be shown" in run.stderr
    assert run.stdout == "" if size else True


def test_what_lspci_prints():
    (edu,) = devices("--config", EDU)
    assert (edu["device"], edu["kind"], edu["id"]) == ("00:00.0", "dump", "1234:11e8")
    assert edu["problems"] == []
    (port,) = devices("--config", PORT)
    assert port["device"] == "00:08.0" and len(port["config"]) == 8192


def test_several_devices_in_a_file(written):
    text = EDU.read_text() + "\n" + PORT.read_text() + "\n"
    assert [d["id"] for d in devices("--config", written(text))] == ["1234:11e8", "1b36:000c"]


def test_several_files_and_a_device():
    found = devices("--config", EDU, "--config", RAW, "--sysfs", NVME, "3a:00.0")
    assert [d["kind"] for d in found] == ["dump", "dump", "pci"]


@pytest.mark.skipif(not shutil.which("lspci"), reason="there is no lspci")
@pytest.mark.parametrize("options", [["-x"], ["-xxx"], ["-xxxx"], ["-vvxxxx"], ["-Dxxxx"]])
def test_what_lspci_really_prints(written, options):
    """All that lspci says around the bytes is passed over."""
    text = subprocess.run(["lspci", *options, "-F", str(PORT)], capture_output=True, text=True,
                          timeout=30, check=True).stdout
    (port,) = devices("--config", written(text))
    (real,) = devices("--config", PORT)
    assert port["device"] in ("00:08.0", "0000:00:08.0") and len(port["config"]) >= 128
    assert real["config"].startswith(port["config"])


def test_a_pipe():
    run = subprocess.run([LSVFIO, "--config", "/dev/stdin"], input=EDU.read_bytes(),
                         capture_output=True, timeout=30, check=False)
    assert run.returncode == 0 and b"1234" in run.stdout


def test_carriage_returns(written):
    (device,) = devices("--config", written(EDU.read_bytes().replace(b"\n", b"\r\n")))
    assert device["id"] == "1234:11e8"


@pytest.mark.parametrize("text, says", [
    ("hello\n", "line 1: it is neither"),
    ("00: 01 02\n", "line 1: bytes come before any device"),
    ("00:00.0 a\n10: 00\n", "line 2: its bytes do not follow"),
    ("00:00.0 a\n00: 00\n00: 00\n", "line 3: its bytes do not follow"),
    ("00:00.0 a\n00: 0\n", "line 2: these are not bytes"),
    ("00:00.0 a\n00: 00 0g\n", "line 2: these are not bytes"),
    ("00:00.0 a\n00: 00 011\n", "line 2: these are not bytes"),
    ("00:00.0 a\n00:" + 4097 * " 00" + "\n", "line 2: configuration space has no more"),
    ("\n\t\n", "names no device"),
    ("00:20.0 a\n", "line 1: it is neither"),
])
def test_text_that_makes_no_sense(written, text, says):
    run = lsvfio("--config", written(text))
    assert run.returncode == 1 and says in run.stderr and run.stdout == ""


def test_what_came_before_nonsense_is_shown(written):
    run = lsvfio("--config", written(EDU.read_text() + "00:01.0 b\n00: zz\n"))
    assert run.returncode == 1 and "line 19" in run.stderr
    assert "1234" in run.stdout and "00:01.0" not in run.stdout


def test_a_device_without_bytes(written):
    (device,) = devices("--config", written("00:00.0 a\n"))
    assert "too few for a header" in device["problems"][0]


@pytest.mark.parametrize("path", ["/nonexistent", "/", "/dev/zero"])
def test_files_that_cannot_be_read(path):
    run = lsvfio("--config", path)
    assert run.returncode == 1 and f"from '{path}'" in run.stderr
    assert lsvfio("--config", path, "--config", EDU).returncode == 64


@pytest.mark.parametrize("args, says", [
    (["--config", EDU, "-o", "ID"], "--output"), (["--config", EDU, "-s", "1.0"], "--slot"),
    (["--config"], "--config"), (["--config", EDU, "--json", "--raw"], "--"),
])
def test_wrong_usage(args, says):
    run = lsvfio(*args)
    assert run.returncode == 2 and run.stdout == "" and says in run.stderr


def test_text_on_the_screen():
    text = lsvfio("--config", PORT).stdout
    assert "PCIExpress [54]" in text and "AER [100 v2]" in text and "(all 23)" in text


def test_hostile_extended_lists(written):
    config = bytearray(made_config("hostile", 0))
    config[0x100:0x104] = (0x1 | 1 << 16 | 0x100 << 20).to_bytes(4, "little")
    (device,) = devices("--config", written(dump(config)))
    assert device["problems"] == ["the extended capability list loops: at 0x100, back to 0x100"]


# ---- as lspci prints it -----------------------------------------------------------------------

def test_hexdump_is_read_again(written):
    """What has a PCI address keeps it; the rest is numbered, 32 to a bus."""
    text = lsvfio("--hexdump", *["--config", EDU] * 34, "--sysfs", NVME, "3b:00.0").stdout
    found = devices("--config", written(text))
    assert [d["device"] for d in found[:2] + found[31:]] == [
        "00:00.0", "00:01.0", "00:1f.0", "01:00.0", "01:01.0", "0000:3b:00.0"]
    (edu,), (real,) = devices("--config", EDU), devices("--sysfs", NVME, "3b:00.0")
    assert {d["config"] for d in found[:34]} == {edu["config"]}
    assert found[34]["config"] == real["config"]


@pytest.mark.skipif(not shutil.which("lspci"), reason="there is no lspci")
def test_lspci_reads_the_hexdump(written):
    text = lsvfio("-x", "--config", PORT).stdout
    printed = subprocess.run(["lspci", "-xxxx", "-F", written(text)], capture_output=True,
                             text=True, timeout=30, check=True).stdout
    assert text.splitlines()[1:] == printed.splitlines()[1:]


def test_nothing_to_dump(written):
    assert lsvfio("-x", "--config", written("00:00.0 a\n")).stdout == ""
