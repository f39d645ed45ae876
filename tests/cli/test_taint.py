# SPDX-License-Identifier: MIT
"""lsvfio: the record of devices that were used with nothing to isolate them."""

import json
import os
import random

import pytest

from fake_vfiod import EDU, fake_fixture  # noqa: F401: the fixture "fake"
from lsvfio import NVME, devices, lines, lsvfio

FIRST = "2026-11-20T18:00:00Z"
GOOD = (f"{FIRST} uid=0 pid=123 program=vfio-nvme device=0000:03:00.0 backend=unsafe-noiommu\n"
        "2026-11-21T00:00:00Z uid=7 pid=0 program=x device=0000:03:00.0 backend=uio\n"
        "2026-11-22T00:00:00Z uid=4294967295 pid=1 program=x device=0000:04:00.0 backend=uio\n")


@pytest.fixture(name="record")
def make_record(tmp_path):
    """Writes a record; returns the options to read it."""
    def maker(text):
        path = tmp_path / "taint"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return "--taint", path, "--no-vfiod"
    return maker


def taint(*args):
    run = lsvfio("--json", *args)
    assert run.returncode == 0 and run.stderr == ""
    return json.loads(run.stdout)["taint"]


def an_address():
    """A device of the copy of sysfs that the tests have."""
    return devices("--no-vfiod", "--sysfs", NVME, "-o", "DEVICE")[0]["device"]


def test_a_record(record):
    assert taint(*record(GOOD), "--no-pci") == {"uses": 3, "nonsense": 0, "marks": [
        {"time": FIRST, "uid": 0, "pid": 123, "program": "vfio-nvme", "device": "0000:03:00.0",
         "backend": "unsafe-noiommu"},
        {"time": "2026-11-21T00:00:00Z", "uid": 7, "pid": 0, "program": "x",
         "device": "0000:03:00.0", "backend": "uio"},
        {"time": "2026-11-22T00:00:00Z", "uid": (1 << 32) - 1, "pid": 1, "program": "x",
         "device": "0000:04:00.0", "backend": "uio"}]}


def test_the_line_below_a_list(record):
    last = lines(lsvfio(*record(GOOD), "--no-pci").stdout)[-2:]
    assert last == ["", f"tainted since {FIRST}: devices were used 3 times without isolation, "
                        "0000:03:00.0 first, by user 0"]
    for plain in ("--raw", "--noheadings"):
        assert "tainted" not in lsvfio(*record(GOOD), "--no-pci", plain).stdout
    assert "tainted" not in lsvfio(*record(""), "--no-pci").stdout


def test_a_device_of_the_record(record):
    """It is known by its address; others are not told of."""
    address = an_address()
    args = (*record(GOOD.replace("0000:03:00.0", address)), "--sysfs", NVME)
    listed = {d["device"]: d["tainted"] for d in devices(*args, "-o", "DEVICE,TAINTED")}
    assert listed.pop(address) == FIRST and listed and set(listed.values()) == {None}
    (device,) = devices(*args, address)
    assert device["tainted"] == {"time": FIRST, "uid": 0}
    text = [t.split(maxsplit=1)[1] for t in lines(lsvfio(*args, address).stdout)
            if t.startswith("tainted ")]
    assert text == [f"since {FIRST}, by user 0: nothing isolated the device"]
    (other, *_) = listed
    (device,) = devices(*args, other)
    assert device["tainted"] is None


def test_a_copy_of_sysfs_has_no_record_of_its_own():
    assert taint("--no-vfiod", "--sysfs", NVME) == {"uses": 0, "nonsense": 0, "marks": []}


@pytest.mark.parametrize("line", [
    "x", " ", "=", f"{FIRST}", f"{FIRST} ", f"{FIRST} uid=0 pid=0", f"{FIRST} device=",
    f"{FIRST} device=a uid=-1", f"{FIRST} device=a uid=4294967296", f"{FIRST} device=a uid=",
    f"{FIRST} device=a uid=99999999999999999999999999", f"{FIRST} device=a device=b",
    f"{FIRST} device=a pid=0x1", f"{FIRST} device=a word", f"{FIRST}  device=a",
    f"{FIRST} device={'a' * 122}", "2026-11-20 18:00:00 device=a", f"{FIRST}Z device=a",
    f"device=a {FIRST}", "2O26-11-20T18:00:00Z device=a", "\0" * 100])
def test_lines_that_make_no_sense(record, line):
    assert taint(*record(line + "\n" + GOOD), "--no-pci")["nonsense"] == 1
    assert taint(*record(GOOD + line), "--no-pci")["uses"] == 3
    assert "tainted: 1 line of the record makes no sense" in \
        lsvfio(*record(line + "\n"), "--no-pci").stdout


def test_what_a_later_version_adds(record):
    assert taint(*record(f"{FIRST} device=a colour=red"), "--no-pci")["marks"] == [
        {"time": FIRST, "uid": 0, "pid": 0, "program": None, "device": "a", "backend": None}]


def test_nothing_of_it_reaches_the_terminal_raw(record):
    text = f"{FIRST} device=a\x1b[31m\u202eb program=\xff\r"
    run = lsvfio(*record(text.encode("latin-1", "replace")), "--no-pci")
    assert "\x1b" not in run.stdout and "\r" not in run.stdout and "\\033[31m" in run.stdout


def test_a_long_record(record):
    """The first thousand are told, the others counted; and not more is read than the library writes."""
    line = f"{FIRST} device=a\n"
    told = taint(*record(line * 2000), "--no-pci")
    assert (told["uses"], len(told["marks"]), told["nonsense"]) == (2000, 1000, 0)
    told = taint(*record(line * 100000), "--no-pci")
    assert told["uses"] == (128 << 10) // len(line) and told["nonsense"] == 1


def test_noise(record):
    noise = random.Random(13)
    for _ in range(30):
        told = taint(*record(noise.randbytes(noise.randrange(5000))), "--no-pci")
        assert told["uses"] == 0


def test_no_record(record, tmp_path):
    """One that was named must be there; and be a file, which is opened without waiting."""
    args = ("--no-vfiod", "--no-pci", "--taint")
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Invalid argument")):
        run = lsvfio(*args, path)
        assert run.returncode == 1 and why in run.stderr and str(path) in run.stderr
    os.mkfifo(tmp_path / "pipe")
    assert lsvfio(*args, tmp_path / "pipe").returncode == 1
    (tmp_path / "link").symlink_to(record(GOOD)[1])
    assert lsvfio(*args, tmp_path / "link").returncode == 1
    assert lsvfio("--taint", tmp_path / "none", "--no-vfiod", "edu").returncode == 64


def test_what_a_vfiod_says_of_its_devices(fake, record):
    """It goes before the record, which may be of another time."""
    _, path, _ = record(GOOD.replace("0000:03:00.0", EDU["device"]))
    args = ("--no-pci", "--taint", path, "--control", fake.path)
    fake.answer(tainted={"time": "2026-11-19T00:00:00Z", "uid": 5})
    assert devices(*args, "-o", "DEVICE,TAINTED") == [
        {"device": "edu0", "tainted": "2026-11-19T00:00:00Z"}]
    (edu,) = devices(*args, "edu0")
    assert edu["tainted"] == {"time": "2026-11-19T00:00:00Z", "uid": 5}
    assert edu["vfiod"]["unsafe"] is True
    text = lines(lsvfio(*args, "edu0").stdout)
    assert "unsafe         yes: only user 0 with CAP_SYS_RAWIO may use it" in text
    fake.answer(tainted=None)
    (edu,) = devices(*args, "edu0")
    assert edu["tainted"] == {"time": FIRST, "uid": 0}
