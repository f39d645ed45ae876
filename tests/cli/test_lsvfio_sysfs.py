# SPDX-License-Identifier: MIT
"""lsvfio over copies of sysfs that lie."""

import os
import shutil

import pytest

from lsvfio import NVME, devices, lsvfio


@pytest.fixture(name="tree")
def tree_fixture(tmp_path):
    """A copy of the hand-made tree to spoil; the NVMe function's folder."""
    shutil.copytree(NVME, tmp_path / "sys", symlinks=True)
    return tmp_path / "sys" / "bus/pci/devices/0000:3b:00.0"


def spoiled(tree):
    (row,) = [d for d in devices("--sysfs", tree.parents[3], "-o", "DEVICE,ID,DRIVER,GROUP")
              if d["device"] == tree.name]
    (full,) = devices("--sysfs", tree.parents[3], tree.name)
    lsvfio("--sysfs", tree.parents[3], tree.name)
    return row, full


@pytest.mark.parametrize("name", ["vendor", "device", "class", "revision", "subsystem_vendor",
                                  "config", "resource"])
@pytest.mark.parametrize("spoil", ["gone", "empty", "huge", "noise", "pipe", "folder", "loop"])
def test_a_file_that_lies(tree, name, spoil):
    (tree / name).unlink()
    if spoil == "empty":
        (tree / name).write_bytes(b"")
    elif spoil == "huge":
        with open(tree / name, "wb") as file:
            file.truncate(1 << 40)
    elif spoil == "noise":
        (tree / name).write_bytes(os.urandom(5000))
    elif spoil == "pipe":
        os.mkfifo(tree / name)
    elif spoil == "folder":
        (tree / name).mkdir()
    elif spoil == "loop":
        (tree / name).symlink_to(name)
    row, full = spoiled(tree)
    assert row["driver"] == "vfio-pci" and row["group"] == 17
    if name in ("vendor", "device"):
        assert row["id"] is None and full["id"] == "144d:a808"
    else:
        assert row["id"] == "144d:a808"
    if name in ("config", "resource") and spoil in ("gone", "empty", "pipe", "folder", "loop"):
        assert full["problems"]


def test_a_resource_of_the_whole_address_space(tree):
    (tree / "resource").write_text("0x0000000000000000 0xffffffffffffffff 0x200\n"
                                   "0x0000000000002000 0x0000000000001000 0x200\n")
    _, full = spoiled(tree)
    assert [r["size"] for r in full["regions"][:2]] == [0, 0]
    assert "BAR0" in full["problems"][0] and "BAR1" in full["problems"][1]


@pytest.mark.parametrize("at, value, says", [
    (0x40, [1, 0x40], "loops"), (0x34, [0x10], "header"),
    (0x0e, [2], "CardBus"), (0x0e, [0x55], "unknown header"),
    (0x00, [0xff] * 64, "all ones"),
])
def test_configuration_space_that_lies(tree, at, value, says):
    config = bytearray((tree / "config").read_bytes())
    config[at:at + len(value)] = value
    (tree / "config").write_bytes(config)
    _, full = spoiled(tree)
    assert any(says in problem for problem in full["problems"]), full["problems"]


def test_configuration_space_that_ends_early(tree):
    with open(tree / "config", "r+b") as file:
        file.truncate(0x80)
    _, full = spoiled(tree)
    assert any("past the bytes" in problem for problem in full["problems"])
    assert [i["name"] for i in full["irqs"]] == ["INTx"]


def test_a_device_that_is_switched_off(tree):
    """To look wakes nobody."""
    (tree / "power_state").write_text("D3cold\n")
    _, full = spoiled(tree)
    assert full["config"] == "" and any("D3cold" in problem for problem in full["problems"])
    (tree / "power_state").write_text("D3hot\n")
    _, full = spoiled(tree)
    assert full["config"] and not full["problems"]


def test_strange_links_and_folders(tree):
    (tree / "iommu_group").unlink()
    (tree / "iommu_group").symlink_to("../99999999999999999999")
    (tree / "driver").unlink()
    (tree / "driver").symlink_to("../evil\033[31m\n")
    row, _ = spoiled(tree)
    assert row["group"] is None and row["driver"] == "evil\\033[31m\\012"
    for name in ("0000:zz:00.0", "README", "0000:00:00.9", "-1:00:00.0"):
        (tree.parent / name).mkdir()
    (tree.parent / "0000:00:1f.0").symlink_to("0000:00:1f.0")
    run = lsvfio("--sysfs", tree.parents[3], "-n", "-o", "DEVICE")
    assert run.returncode == 0
    assert run.stdout.split() == ["0000:3a:00.0", "0000:3b:00.0", "10000:00:02.1"]
    assert "0000:00:1f.0 is left out" in run.stderr


@pytest.mark.parametrize("name", ["0000:3a:00.0", "0000:3b:00.0", "10000:00:02.1"])
def test_the_observer_sees_the_same(name):
    """The library's, by the path of the device's folder; and it says how to reset it."""
    (own,) = devices("--sysfs", NVME, name)
    (seen,) = devices(f"sysfs:{NVME}/bus/pci/devices/{name}")
    assert seen["backend"] == "sysfs" and seen["reset"] is not None
    for key in ("config", "decoded", "id"):
        assert seen[key] == own[key]
    sizes = {r["name"]: r["size"] for r in own["regions"]}
    assert {r["name"]: r["size"] for r in seen["regions"]} == {**sizes, "VGA": 0}
    counts = {i["name"]: i["count"] for i in own["irqs"]}
    assert {i["name"]: i["count"] for i in seen["irqs"]}.items() >= counts.items()


@pytest.mark.parametrize("name, isolation", [
    ("vfio-noiommu\n", "none"), ("vfio-noiommu", None), ("vfio-noiommu\n\n", None), ("", None),
    ("other\n", None)])
def test_a_group_that_the_kernel_has_invented(tree, name, isolation):
    """Its number is no promise."""
    group = tree.parents[3] / "kernel" / "iommu_groups" / "5"
    group.mkdir(parents=True)
    (group / "name").write_text(name)
    (tree / "iommu_group").unlink()
    (tree / "iommu_group").symlink_to(group)
    args = ("--no-vfiod", "--sysfs", tree.parents[3])
    listed = {d["device"]: d for d in devices(*args, "-o", "DEVICE,GROUP,ISOLATION")}
    assert listed[tree.name] == {"device": tree.name, "group": 5, "isolation": isolation}
    assert all(d["isolation"] is None for d in listed.values() if d["device"] != tree.name)
    (device,) = devices(*args, tree.name)
    assert device["isolation"] == (isolation and {"dma": "none", "interrupts": "none"})
    assert ("invented" in lsvfio(*args, tree.name).stdout) == (isolation is not None)


def test_the_observer_refuses_lies(tree):
    (tree / "resource").write_text("noise\n")
    run = lsvfio(f"sysfs:{tree}")
    assert run.returncode == 1
    assert "VFIO-116" in run.stderr and f"{tree}/resource" in run.stderr


def test_no_tree_at_all(tmp_path):
    run = lsvfio("--sysfs", tmp_path)
    assert run.returncode == 1 and "bus/pci/devices" in run.stderr
