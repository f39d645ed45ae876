# SPDX-License-Identifier: MIT
"""lsvfio --bind and --unbind over a machine of files, in which a preloaded write() is the kernel."""

import os

import pytest

from lsvfio import BUILD, lsvfio
from machine import Machine

DEVICE = "0000:05:00.0"
FAKE = BUILD / "tests/cli/fake_kernel.so"
OVERRIDE = f"devices/{DEVICE}/driver_override"


@pytest.fixture(name="machine")
def machine_fixture(tmp_path):
    machine = Machine(tmp_path)
    add(machine, DEVICE, 9, "nvme")
    machine.write("sys/bus/pci/drivers_probe", "")
    return machine


def add(machine, address, group, driver):
    machine.write(machine.add(address, group, driver) / "driver_override", "(null)\n")
    machine.write(machine.device(address) / "natural", f"{driver}\n")
    for name in (driver, "vfio-pci"):
        machine.write(f"sys/bus/pci/drivers/{name}/unbind", "")


def run(machine, *arguments, **environment):
    log = machine.folder / "log"
    log.unlink(missing_ok=True)
    done = lsvfio("--sysfs", machine.sys, *arguments,
                  env={"LD_PRELOAD": str(FAKE), "FAKE_SYS": str(machine.sys), "FAKE_LOG": str(log),
                       # what is preloaded comes before the sanitizer's library
                       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                                       ":verify_asan_link_order=0", **environment})
    return done, log.read_text().splitlines() if log.exists() else []


def driver(machine, address=DEVICE):
    link = machine.device(address) / "driver"
    return os.path.basename(os.readlink(link)) if link.is_symlink() else None


def override(machine):
    return (machine.device(DEVICE) / "driver_override").read_text().strip()


def behind(machine, kind, name, files=(), address=DEVICE):
    """Something that the kernel made of the device, as sysfs has it."""
    folder = machine.device(address) / kind / name
    folder.mkdir(parents=True)
    for file, contents in dict(files).items():
        machine.write(folder / file, contents)
    machine.link(machine.sys / "class" / kind / name, folder)
    return folder


# ---- what is done -------------------------------------------------------------------------------

def test_bind(machine):
    done, log = run(machine, "--bind", DEVICE)
    assert done.returncode == 0, done.stderr
    assert log == [f"{OVERRIDE} vfio-pci", f"drivers/nvme/unbind {DEVICE}", f"drivers_probe {DEVICE}"]
    assert driver(machine) == "vfio-pci" and override(machine) == "vfio-pci"
    assert f"driverctl set-override {DEVICE} vfio-pci" in done.stdout
    done, log = run(machine, "--bind", DEVICE)
    assert (done.returncode, log) == (0, []) and "already" in done.stdout


def test_unbind(machine):
    run(machine, "--bind", DEVICE)
    done, log = run(machine, "--unbind", DEVICE)
    assert done.returncode == 0, done.stderr
    assert log == [f"{OVERRIDE} ", f"drivers/vfio-pci/unbind {DEVICE}", f"drivers_probe {DEVICE}"]
    assert driver(machine) == "nvme" and override(machine) == ""
    assert "the driver nvme now" in done.stdout
    done, log = run(machine, "--unbind", DEVICE)
    assert (done.returncode, log) == (0, []) and "none for users" in done.stdout


def test_a_device_without_a_driver(machine):
    machine.set_driver(DEVICE, None)
    done, log = run(machine, "--bind", "05:00.0")
    assert done.returncode == 0 and len(log) == 2 and driver(machine) == "vfio-pci"
    machine.write(machine.device(DEVICE) / "natural", "")
    done, _ = run(machine, "--unbind", DEVICE)
    assert done.returncode == 0 and driver(machine) is None and "no driver now" in done.stdout


def test_another_driver(machine):
    machine.write("sys/bus/pci/drivers/pci-stub/unbind", "")
    done, _ = run(machine, "--bind", "--driver=pci-stub", DEVICE)
    assert done.returncode == 0 and driver(machine) == "pci-stub"
    for name in ("absent", "../nvme"):
        done, log = run(machine, "--bind", "--driver", name, DEVICE)
        assert (done.returncode, log) == (1, []) and f"modprobe {name}" in done.stderr


def test_nothing_is_done(machine):
    done, log = run(machine, "--bind", "--dry-run", DEVICE)
    assert (done.returncode, log) == (0, []) and driver(machine) == "nvme"
    steps = [line for line in done.stdout.splitlines() if line.startswith("echo ")]
    assert steps == [f"echo vfio-pci > {machine.sys}/bus/pci/{OVERRIDE}",
                     f"echo {DEVICE} > {machine.sys}/bus/pci/drivers/nvme/unbind",
                     f"echo {DEVICE} > {machine.sys}/bus/pci/drivers_probe"]
    run(machine, "--bind", DEVICE)
    done, log = run(machine, "--unbind", "--dry-run", DEVICE)
    assert (done.returncode, log) == (0, []) and driver(machine) == "vfio-pci"


# ---- what fails is undone -----------------------------------------------------------------------

def test_a_driver_that_does_not_take_it(machine):
    done, log = run(machine, "--bind", DEVICE, FAKE_BROKEN="vfio-pci")
    assert done.returncode == 1 and "has not taken it" in done.stderr
    assert driver(machine) == "nvme" and override(machine) == ""
    assert log[3:] == [f"{OVERRIDE} ", f"drivers_probe {DEVICE}"]


def test_what_was_there_before_comes_back(machine):
    """An override of somebody else's, too."""
    machine.write(machine.device(DEVICE) / "driver_override", "nvme\n")
    done, _ = run(machine, "--bind", DEVICE, FAKE_BROKEN="vfio-pci")
    assert done.returncode == 1 and (driver(machine), override(machine)) == ("nvme", "nvme")


def test_a_driver_that_does_not_let_go(machine):
    done, _ = run(machine, "--bind", DEVICE, FAKE_STUCK="1")
    assert done.returncode == 1 and "No such device" in done.stderr
    assert (driver(machine), override(machine)) == ("nvme", "")


# ---- what is in use -----------------------------------------------------------------------------

def mounts(machine, *lines):
    machine.write("proc/self/mountinfo", "".join(
        f"2{i} 1 {line}\n" for i, line in enumerate(lines)))


def interface(machine, flags, carrier, route, address=DEVICE):
    behind(machine, "net", "eth7", {"flags": f"{flags}\n", "carrier": f"{carrier}\n"}, address)
    machine.write("proc/net/route", "Iface\tDestination\n" + ("eth7\t00000000\n" if route else ""))


def disk(machine, name="nvme0n1", number="259:0"):
    return behind(machine, "block", name, {"dev": f"{number}\n"})


def holders(machine):
    (disk(machine) / "holders/dm-0").mkdir(parents=True)


def console(machine):
    behind(machine, "tty", "ttyS4")
    machine.write("sys/class/tty/console/active", "tty0 ttyS4\n")


IN_USE = [
    ("a route", "eth7 is up, with a route", lambda m: interface(m, "0x1003", 0, True)),
    ("a carrier", "eth7 is up, and connected", lambda m: interface(m, "0x1003", 1, False)),
    ("a mount", "nvme0n1p2 is mounted at /srv",
     lambda m: (disk(m), disk(m, "nvme0n1p2", "259:2"),
                mounts(m, "259:2 / /srv rw shared:1 - ext4 /dev/root rw"))),
    ("btrfs", "nvme0n1p2 is mounted at /", lambda m: (
        disk(m, "nvme0n1p2", "259:2"), mounts(m, "0:31 /root / rw - btrfs /dev/nvme0n1p2 rw"))),
    ("several paths", "nvme0n1 is mounted at /", lambda m: (
        disk(m, "nvme0c3n1"), mounts(m, "259:9 / / rw - ext4 /dev/nvme0n1p1 rw"))),
    ("a partition of sda", "sda is mounted at /mnt", lambda m: (
        disk(m, "sda", "8:0"), mounts(m, "0:31 / /mnt rw - btrfs /dev/sda1 rw"))),
    ("swap", "nvme0n1p3 is swapped to", lambda m: (
        disk(m, "nvme0n1p3"), m.write("proc/swaps", "Filename Type\n/dev/nvme0n1p3 partition\n"))),
    ("a holder", "nvme0n1 is a part of dm-0", holders),
    ("the console", "ttyS4 is the console", console),
    ("another namespace", "in another network namespace",
     lambda m: (m.device(DEVICE) / "virtio2/net").mkdir(parents=True)),
    ("virtual functions", "it has virtual functions: 4",
     lambda m: m.write(m.device(DEVICE) / "sriov_numvfs", "4\n")),
    ("the display", "the display", lambda m: m.write(m.device(DEVICE) / "boot_vga", "1\n")),
]


@pytest.mark.parametrize("says, make", [row[1:] for row in IN_USE], ids=[row[0] for row in IN_USE])
def test_what_is_in_use(machine, says, make):
    make(machine)
    done, log = run(machine, "--bind", DEVICE)
    assert (done.returncode, log) == (1, []) and driver(machine) == "nvme"
    assert says in done.stderr and "--force" in done.stderr
    done, log = run(machine, "--bind", "--force", DEVICE)
    assert done.returncode == 0 and says in done.stderr and driver(machine) == "vfio-pci"


def test_a_neighbour_that_is_in_use(machine):
    add(machine, "0000:05:00.1", 9, "e1000e")
    interface(machine, "0x1003", 1, True, "0000:05:00.1")
    done, log = run(machine, "--bind", DEVICE)
    assert (done.returncode, log) == (1, [])
    assert "0000:05:00.1 (of the same IOMMU group): its network interface eth7" in done.stderr


@pytest.mark.parametrize("make", [
    lambda m: interface(m, "0x1002", 0, False),
    lambda m: interface(m, "0x1003", 0, False),
    lambda m: (disk(m), mounts(m, "259:1 / / rw - ext4 /dev/nvme1n1 rw", "8:0 broken", "")),
    lambda m: (disk(m), mounts(m, "0:3 / / rw - ext4 /dev/nvme0n11 rw")),
    lambda m: m.write(m.device(DEVICE) / "boot_vga", "0\n"),
    lambda m: m.write(m.device(DEVICE) / "sriov_numvfs", "0\n"),
    lambda m: (m.device(DEVICE) / "network").mkdir(),
])
def test_what_is_not_in_use(machine, make):
    make(machine)
    done, _ = run(machine, "--bind", DEVICE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [
    {"header": 1}, {"class_code": 0x060000}, {"class_code": 0x060100},
])
def test_a_bridge(machine, kind):
    machine.add("0000:06:00.0", 10, "pcieport", **kind)
    done, log = run(machine, "--bind", "--force", "0000:06:00.0")
    assert (done.returncode, log) == (1, []) and "bridge" in done.stderr


def test_a_device_that_a_program_has(machine):
    """The kernel would wait for it."""
    run(machine, "--bind", DEVICE)
    (machine.folder / "proc/42/fd").mkdir(parents=True)
    machine.link(machine.folder / "proc/42/fd/5", machine.folder / "dev/vfio/9")
    machine.write("sys/bus/pci/drivers/pci-stub/unbind", "")
    for arguments in (["--unbind"], ["--bind", "--driver=pci-stub"]):
        done, log = run(machine, *arguments, DEVICE)
        assert (done.returncode, log) == (1, []) and "process 42" in done.stderr
    done, log = run(machine, "--unbind", "--force", DEVICE)
    assert done.returncode == 0 and driver(machine) == "nvme"


def test_a_device_that_a_program_has_without_an_iommu(machine):
    run(machine, "--bind", DEVICE)
    machine.write("sys/kernel/iommu_groups/9/name", "vfio-noiommu\n")
    (machine.folder / "proc/42/fd").mkdir(parents=True)
    machine.link(machine.folder / "proc/42/fd/5", machine.folder / "dev/vfio/noiommu-9")
    done, log = run(machine, "--unbind", DEVICE)
    assert (done.returncode, log) == (1, []) and "process 42" in done.stderr


def test_a_device_of_uio(machine):
    machine.write("sys/bus/pci/drivers/uio_pci_generic/unbind", "")
    done, _ = run(machine, "--bind", "--driver=uio_pci_generic", DEVICE)
    assert done.returncode == 0 and driver(machine) == "uio_pci_generic"
    (machine.device(DEVICE) / "uio/uio0").mkdir(parents=True)
    (machine.folder / "proc/42/fd").mkdir(parents=True)
    machine.link(machine.folder / "proc/42/fd/5", machine.folder / "dev/uio0")
    for option in ("--bind", "--unbind"):
        done, log = run(machine, option, DEVICE)
        assert (done.returncode, log) == (1, []) and "process 42" in done.stderr
    (machine.folder / "proc/42/fd/5").unlink()
    done, _ = run(machine, "--unbind", DEVICE)
    assert done.returncode == 0 and driver(machine) == "nvme"


def test_virtual_functions_of_a_user(machine):
    run(machine, "--bind", DEVICE)
    machine.write(machine.device(DEVICE) / "sriov_numvfs", "2\n")
    done, log = run(machine, "--unbind", DEVICE)
    assert (done.returncode, log) == (1, []) and "it has virtual functions: 2" in done.stderr
    done, log = run(machine, "--unbind", "--force", DEVICE)
    assert done.returncode == 0 and driver(machine) == "nvme"


# ---- what is asked for --------------------------------------------------------------------------

def test_no_such_device(machine):
    done, log = run(machine, "--bind", "0000:09:00.0")
    assert (done.returncode, log) == (1, []) and "no such PCI device" in done.stderr
    done, log = run(machine, "--bind", "edu")
    assert (done.returncode, log) == (2, []) and "edu" in done.stderr


def test_files_that_are_none(machine):
    """Nothing is written to what the kernel did not make."""
    probe = machine.sys / "bus/pci/drivers_probe"
    probe.unlink()
    os.mkfifo(probe)
    done, _ = run(machine, "--bind", DEVICE)
    assert done.returncode == 1
    target = machine.write("target", "untouched")
    (machine.device(DEVICE) / "driver_override").unlink()
    machine.link(machine.device(DEVICE) / "driver_override", target)
    done, _ = run(machine, "--bind", DEVICE)
    assert done.returncode == 1 and target.read_text() == "untouched"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_without_privilege(machine):
    (machine.sys / "bus/pci/drivers_probe").chmod(0o444)
    done, log = run(machine, "--bind", DEVICE)
    assert (done.returncode, log) == (1, [])
    assert f"as root: lsvfio --bind {DEVICE}" in done.stderr


@pytest.mark.parametrize("arguments", [
    ["--bind"], ["--unbind"], ["--force", DEVICE], ["--dry-run"], ["--driver=x", "--unbind", DEVICE],
    ["--bind", "--json", DEVICE], ["--bind", "--unbind", DEVICE], ["--bind", "--errors", DEVICE],
])
def test_wrong_usage(arguments):
    assert lsvfio(*arguments).returncode == 2
