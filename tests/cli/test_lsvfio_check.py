# SPDX-License-Identifier: MIT
"""lsvfio --check and --audit: each finding with its cure, and what the exit status says."""

import json
import os
import shutil
import unicodedata

import pytest

from lsvfio import lsvfio
from machine import Machine

DEVICE = "0000:03:00.0"


@pytest.fixture(name="machine")
def machine_fixture(tmp_path):
    return Machine(tmp_path)


def run(machine, *arguments):
    return lsvfio("--sysfs", machine.sys, *arguments)


def found(machine, *arguments):
    """The exit status, and the findings of the one subject; not that of this process's limit."""
    done = run(machine, "--json", *arguments)
    top = json.loads(done.stdout)
    assert top["lsvfio"] == {"schema": 1}
    (device,) = top["devices"]
    findings = [f for f in device["findings"] if f["topic"] != "memlock"]
    for f in findings:
        assert list(f) == ["verdict", "topic", "code", "what", "remedy"]
        assert f["what"] and (f["remedy"] or f["verdict"] == "pass")
    return done.returncode, device["device"], findings


def the_one(findings):
    (f,) = [f for f in findings if f["verdict"] != "pass"]
    return f["verdict"], f["topic"], f["code"]


# ---- check --------------------------------------------------------------------------------------

def test_all_is_well(machine):
    status, device, findings = found(machine, "--check", DEVICE)
    assert device == DEVICE and all(f["verdict"] == "pass" for f in findings)
    assert status == 0 or os.geteuid()      # others than root may have a small memlock limit
    topics = [f["topic"] for f in findings]
    assert topics == ["device", "iommu", "driver", "group", "node", "node", "holder", "remapping",
                      "hugepages", "taint"]


def test_uio(machine):
    name = f"uio:{machine.sys}/bus/pci/devices/{DEVICE}"
    status, device, findings = found(machine, "--check", name)
    assert (status, device) == (1, name)
    assert the_one(findings) == ("fail", "driver", 111)
    assert "modprobe uio_pci_generic" in findings[0]["remedy"]


def test_the_machine(machine):
    _, device, findings = found(machine, "--check")
    assert device is None
    assert [f["topic"] for f in findings] == ["iommu", "remapping", "kernel", "hugepages", "taint"]
    assert "this machine" in run(machine, "--check").stdout


def test_a_warning(machine):
    machine.write("run/libvfio/taint", "2026-11-20T10:00:00Z uid=0 device=0000:05:00.0\n")
    status, _, findings = found(machine, "--check", DEVICE)
    assert status == 3 and the_one(findings)[:2] == ("warn", "taint")
    assert "0000:05:00.0" in findings[-1]["what"]


def test_a_failure_and_its_cure(machine):
    machine.add("0000:03:00.1", 7, "snd_hda_intel")
    machine.add("0000:03:00.2", 7, "xhci_hcd")
    done = run(machine, "--check", DEVICE)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    failed = [i for i, line in enumerate(lines) if line.startswith("FAIL")]
    assert len(failed) == 2
    for address, driver in (("0000:03:00.1", "snd_hda_intel"), ("0000:03:00.2", "xhci_hcd")):
        (i,) = [i for i in failed if address in lines[i]]
        assert "group" in lines[i] and "VFIO-112" in lines[i] and driver in lines[i]
        assert f"driverctl set-override {address} vfio-pci" in lines[i + 1]


@pytest.mark.parametrize("spoil, verdict", [
    (lambda m: m.set_driver(DEVICE, None) or (m.device(DEVICE) / "vfio-dev/vfio3").rmdir()
     or (m.device(DEVICE) / "vfio-dev").rmdir(), ("fail", "driver", 111)),
    (lambda m: (m.device(DEVICE) / "iommu_group").unlink(), ("fail", "iommu", 113)),
    (lambda m: m.write("proc/interrupts", " 0: 9 IO-APIC timer\n"), ("fail", "remapping", 114)),
    (lambda m: m.link(m.device(DEVICE) / "iommu_group", "../x"), ("fail", "device", 116)),
    (lambda m: m.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n"),
     ("warn", "hugepages", None)),
])
def test_what_is_in_the_way(machine, spoil, verdict):
    spoil(machine)
    status, _, findings = found(machine, "--check", DEVICE)
    assert the_one(findings) == verdict
    assert status == {"fail": 1, "warn": 3}[verdict[0]]


def test_several(machine):
    machine.add("0000:04:00.0", None, None)
    done = run(machine, "--check", DEVICE, "04:00.0", "edu")
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line[:4] not in
            ("PASS", "WARN", "FAIL", "    ", "")] == [DEVICE, "04:00.0", "edu"]
    assert "VFIO-101" in done.stdout


def test_colours(machine):
    text = run(machine, "--check", "--color=always", DEVICE).stdout
    assert "\033[32mPASS\033[0m" in text
    assert "\033" not in run(machine, "--check", DEVICE).stdout


def test_this_machine():
    """Whatever it is: each topic has its line."""
    done = lsvfio("--check", "--json")
    findings = json.loads(done.stdout)["devices"][0]["findings"]
    assert {"iommu", "kernel", "memlock", "hugepages", "taint"} <= {f["topic"] for f in findings}
    worst = [f["verdict"] for f in findings]
    assert done.returncode == (1 if "fail" in worst else 3 if "warn" in worst else 0)


# ---- audit --------------------------------------------------------------------------------------

def test_a_well_behaved_device(machine):
    status, device, findings = found(machine, "--audit", DEVICE)
    assert (status, device) == (0, DEVICE)
    assert [f["topic"] for f in findings] == [
        "answers", "header", "capabilities", "extended", "known", "listed", "bar-pages",
        "msix-place", "msix-apart", "intx", "reset", "power"]
    assert all(f["verdict"] == "pass" for f in findings)


def test_one_that_is_not(machine):
    machine.write(machine.device(DEVICE) / "reset_method", "\n")
    status, _, findings = found(machine, "--audit", DEVICE)
    assert status == 1 and the_one(findings) == ("fail", "reset", 312)


def test_a_bridge(machine):
    machine.add("0000:04:00.0", 8, "pcieport", class_code=0x060400, header=1)
    status, _, findings = found(machine, "--audit", "0000:04:00.0")
    assert status == 1 and the_one(findings) == ("fail", "header", 121)
    status, _, findings = found(machine, "--check", "0000:04:00.0")
    assert status == 1 and the_one(findings) == ("fail", "driver", 121)


def test_devices_of_any_kind(machine):
    status, _, findings = found(machine, "--audit", "edu")
    assert status in (0, 3) and not any(f["verdict"] == "fail" for f in findings)
    status, _, findings = found(machine, "--audit", "unix:/nonexistent/socket")
    assert status == 1 and the_one(findings) == ("fail", "open", 103)


# ---- lies ---------------------------------------------------------------------------------------

SPOILED = ["config", "resource", "reset_method", "class", "driver", "iommu_group", "vfio-dev",
           "proc/interrupts", "dev/vfio/vfio", "dev/iommu", "run/libvfio/taint", "reset",
           "sys/kernel/iommu_groups/7/devices",
           "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"]


def spoil(path, how):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "empty":
        path.write_bytes(b"")
    elif how == "noise":
        path.write_bytes(os.urandom(70000))
    elif how == "ones":
        path.write_bytes(b"\xff" * 4096)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "loop":
        path.symlink_to(path.name)
    elif how == "endless":
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("how", ["gone", "empty", "noise", "ones", "pipe", "folder", "loop",
                                 "endless"])
@pytest.mark.parametrize("name", SPOILED)
def test_a_machine_that_lies(machine, name, how):
    """It ends, with one of its exit codes and without a control character; and opens nothing."""
    spoil(machine.folder / name if "/" in name else machine.device(DEVICE) / name, how)
    for arguments in (["--check", DEVICE], ["--check"], ["--audit", DEVICE],
                      ["--bind", "--dry-run", DEVICE], ["--unbind", "--dry-run", DEVICE]):
        done = run(machine, *arguments)
        assert done.returncode in (0, 1, 3)
        assert not any(unicodedata.category(c) == "Cc" and c != "\n"
                       for c in done.stdout + done.stderr)


# ---- usage --------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [
    ["--audit"], ["--check", "--errors"], ["--check", "-o", "DEVICE"], ["--check", "--hexdump"],
    ["--audit", "--config", "x"], ["--check", "--config-map", "x"],
])
def test_wrong_usage(arguments):
    done = lsvfio(*arguments)
    assert done.returncode == 2 and arguments[0] in done.stderr
