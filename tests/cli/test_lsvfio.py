# SPDX-License-Identifier: MIT
"""lsvfio: its tables, its options, the machine's PCI devices, and the real vfiod."""

import os
import pty
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

from fake_vfiod import fake_fixture  # noqa: F401: the fixture "fake"
from lsvfio import (BUILD, HERE, LSVFIO, NVME, SOURCE, VIRTIO, check_decoded, devices, lines,
                    lsvfio)

VFIOD = BUILD / "vfiod" / "vfiod"


# ---- the machine's PCI devices ----------------------------------------------------------------


def test_list_of_a_virtual_machine():
    run = lsvfio("--sysfs", VIRTIO, "-o", "DEVICE,KIND,ID,CLASS,DRIVER,GROUP,STATE,CLIENT,STRING")
    assert run.returncode == 0 and run.stderr == ""
    assert lines(run.stdout) == [
        "DEVICE       KIND ID        CLASS  DRIVER     GROUP STATE CLIENT STRING",
        "0000:00:00.0 pci  8086:0d57 060000                               0000:00:00.0",
        "0000:00:01.0 pci  1af4:1045 ffff00 virtio-pci                    0000:00:01.0",
        "0000:00:02.0 pci  1af4:1042 018000 virtio-pci                    0000:00:02.0",
        "0000:00:03.0 pci  1af4:1041 020000 virtio-pci                    0000:00:03.0",
        "0000:00:04.0 pci  1af4:1053 ffff00 virtio-pci                    0000:00:04.0",
        "0000:00:05.0 pci  1af4:1044 ffff00 virtio-pci                    0000:00:05.0",
    ]


def test_list_with_groups_and_a_second_domain():
    run = lsvfio("--sysfs", NVME, "-o", "device,id,class,driver,group")
    assert lines(run.stdout) == [
        "DEVICE        ID        CLASS  DRIVER   GROUP",
        "0000:3a:00.0  8086:a340 060400 pcieport    16",
        "0000:3b:00.0  144d:a808 010802 vfio-pci    17",
        "10000:00:02.1 10ec:8139 020000",
    ]


def test_names_come_from_the_id_database():
    (net,) = devices("--sysfs", VIRTIO, "-s", "3.0", "-o", "NAME,CLASSNAME")
    assert net == {"name": "Red Hat, Inc. Virtio 1.0 network device",
                   "classname": "Ethernet controller"}


def test_one_device_in_full():
    run = lsvfio("--sysfs", NVME, "3b:00.0")
    assert run.returncode == 0
    text = lines(run.stdout)
    assert text[:3] == ["0000:3b:00.0: a PCI device of this machine", "kind          pci", "device string 0000:3b:00.0"]
    assert "subsystem     144d:a801" in text
    assert "driver        vfio-pci" in text and "IOMMU group   17" in text
    golden = (HERE / "sysfs" / "nvme.golden").read_text()
    assert "\n".join(text[text.index("REGIONS"):]) + "\n" == golden


def test_one_device_in_full_as_json():
    (nvme,) = devices("--sysfs", NVME, "0000:3b:00.0")
    assert (nvme["id"], nvme["class"], nvme["driver"], nvme["group"], nvme["subsystem"]) == \
        ("144d:a808", "010802", "vfio-pci", 17, "144d:a801")
    assert nvme["vfiod"] is None and nvme["backend"] is None and nvme["problems"] == []
    assert nvme["regions"][0] == {
        "index": 0, "name": "BAR0", "size": 16384, "address": "0xb1000000",
        "flags": ["read", "write", "memory", "64bit"], "areas": []}
    assert [r["name"] for r in nvme["regions"]] == \
        ["BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM", "config"]
    assert nvme["regions"][6]["flags"] == ["read", "memory", "prefetchable"]
    assert [(i["name"], i["count"]) for i in nvme["irqs"]] == \
        [("INTx", 1), ("MSI", 32), ("MSI-X", 33)]
    config = (NVME / "bus/pci/devices/0000:3b:00.0/config").read_bytes()
    assert bytes.fromhex(nvme["config"]) == config
    check_decoded(nvme["decoded"], config)
    assert {(r["structure"], r["id"], r["base"], r["extended"], r["version"])
            for r in nvme["decoded"]} == {
        ("Header", 0, 0, False, None), ("PM", 1, 0x40, False, None), ("MSI", 5, 0x50, False, None),
        ("PCIExpress", 0x10, 0x70, False, None), ("MSI-X", 0x11, 0xb0, False, None),
        ("AER", 1, 0x100, True, 2)}


def test_a_bridge():
    (bridge,) = devices("--sysfs", NVME, "3a:00.0")
    assert bridge["problems"] == []
    values = {(r["register"], f["name"]): f["value"]
              for r in bridge["decoded"] for f in r["fields"]}
    assert (values["HeaderType", "Layout"], values["HeaderType", "MultiFunction"]) == (1, 1)
    assert ("SecondaryBus", "") in values and ("BAR2", "") not in values
    check_decoded(bridge["decoded"], bytes.fromhex(bridge["config"]))


def test_64_bytes_of_configuration_space():
    (card,) = devices("--sysfs", NVME, "10000:00:02.1")
    assert len(card["config"]) == 128
    assert "run lsvfio as root" in card["problems"][0] and len(card["problems"]) == 1
    assert [(i["name"], i["count"]) for i in card["irqs"]] == [("INTx", 1)]
    assert card["regions"][0]["flags"] == ["read", "write", "io"]


@pytest.mark.parametrize("args, found", [
    (["-s", "02.0"], ["0000:00:02.0"]),
    (["-s", ".0", "-d", "1af4:1041"], ["0000:00:03.0"]),
    (["-d", "8086:"], ["0000:00:00.0"]),
    (["-d", "::0180"], ["0000:00:02.0"]),
    (["-s", "ff:00.0"], []),
])
def test_selectors(args, found):
    assert [d["device"] for d in devices("--sysfs", VIRTIO, *args)] == found


# ---- the table --------------------------------------------------------------------------------


def columns():
    rows = lsvfio("--list-columns", "--noheadings").stdout.splitlines()
    return {row.split()[0]: row.split()[1] for row in rows}


def test_every_column_has_its_type_in_json(fake):
    fake.answer(client={"pid": 4712, "uid": 1000, "gid": 100},
                tainted={"time": "2026-11-20T18:00:00Z", "uid": 0})
    types = {"string": str, "number": int, "object": dict}
    rows = devices("--sysfs", NVME, "-o", ",".join(columns()), "--control", fake.path)
    assert len(rows) == 4 and len(columns()) >= 17
    for name, kind in columns().items():
        values = [row[name.lower()] for row in rows if row[name.lower()] is not None]
        assert values, f"{name} never has a value"
        assert all(type(value) is types[kind] for value in values), name


def test_columns_are_chosen_and_added():
    first = lsvfio("--sysfs", NVME).stdout.splitlines()[0].split()
    more = lsvfio("--sysfs", NVME, "-o", "+CLASS,MODE").stdout.splitlines()[0].split()
    assert more == first + ["CLASS", "MODE"]
    assert lsvfio("--sysfs", NVME, "--raw", "-n", "-o", "GROUP,DEVICE").stdout == \
        "16 0000:3a:00.0\n17 0000:3b:00.0\n 10000:00:02.1\n"


@pytest.mark.parametrize("args, says", [
    (["-o", "DEVICE,FROB"], "FROB"),
    (["-o", ""], "no column"),
    (["-o", "DEVICE,,ID"], "no column"),
    (["-o", ",".join(["ID"] * 65)], "more than 64"),
    (["-s", "zz"], "zz"),
    (["-d", "12345:1"], "12345:1"),
    (["--color=red"], "--color"),
    (["--json", "--raw"], "--json"),
    (["--control", "/x", "--no-vfiod"], "--no-vfiod"),
    (["--sysfs", "/x", "--no-pci"], "--no-pci"),
    (["-o", "ID", "3b:00.0"], "--output"),
    (["--frob"], "--frob"),
])
def test_wrong_usage(args, says):
    run = lsvfio(*args)
    assert run.returncode == 2 and run.stdout == "" and says in run.stderr


def test_an_unknown_column_is_answered_with_the_list():
    text = lsvfio("-o", "FROB").stderr
    assert all(name in text for name in columns())


def test_help_and_version():
    assert lsvfio("--help").stdout.startswith("Usage: lsvfio")
    assert re.fullmatch(r"lsvfio \(libvfio\) \d+\.\d+\.\d+\n", lsvfio("-V").stdout)


def test_the_manual_has_every_option_and_column():
    manual = (SOURCE / "man" / "lsvfio.8.rst").read_text()
    for option in re.findall(r"--[a-z-]+", lsvfio("--help").stdout):
        assert option in manual
    for name, kind in columns().items():
        assert re.search(rf"^{name} \({kind}\)$", manual, re.MULTILINE), name


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="ascii") as full:
        run = subprocess.run([LSVFIO, "--list-columns"], stdout=full, stderr=subprocess.PIPE,
                             check=False, timeout=30)
    assert run.returncode == 1 and b"cannot be written" in run.stderr


# ---- colours ----------------------------------------------------------------------------------


def on_a_terminal(*args, **env):
    """What lsvfio prints on a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([LSVFIO, *map(str, args)], stdout=slave, stderr=slave,
                          env={"TERM": "xterm", "VFIOD_RUNTIME_DIR": "/nonexistent", **env}):
        os.close(slave)
        text = b""
        try:
            while chunk := os.read(master, 65536):
                text += chunk
        except OSError:
            pass
    os.close(master)
    return text.decode()


def test_colours():
    show = ("--sysfs", NVME, "3b:00.0")
    assert "\033[1mREGIONS" in lsvfio("--color=always", *show).stdout
    assert "\033" not in lsvfio(*show).stdout
    assert "\033[1mREGIONS" in on_a_terminal(*show)
    assert "\033" not in on_a_terminal("--color=never", *show)
    assert "\033" not in on_a_terminal(*show, NO_COLOR="1")
    assert "\033" not in on_a_terminal(*show, TERM="dumb")
    assert "\033" not in lsvfio("--json", "--color=always", *show).stdout


# ---- the real ones ----------------------------------------------------------------------------


@pytest.fixture(name="vfiod")
def vfiod_fixture(tmp_path):
    if not VFIOD.exists():
        pytest.skip("vfiod is not built")
    runtime = tmp_path / "run"
    runtime.mkdir()
    env = dict(os.environ, VFIOD_RUNTIME_DIR=str(runtime))
    path = tmp_path / "edu.sock"
    with subprocess.Popen([str(VFIOD), "--device", "edu", "--socket-path", str(path)], env=env,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: "ready" in lsvfio("--no-pci", "-n", "-o", "STATE",
                                                 env={"VFIOD_RUNTIME_DIR": str(runtime)}).stdout)
            yield {"VFIOD_RUNTIME_DIR": str(runtime)}, path
        finally:
            process.send_signal(signal.SIGTERM)


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_real_vfiod(vfiod):
    env, path = vfiod
    (row,) = devices("--no-pci", "-o", "DEVICE,ID,STATE,STRING,CLIENT", env=env)
    assert row == {"device": "edu", "id": "1234:11e8", "state": "ready",
                   "string": f"unix:{path}", "client": None}
    (edu,) = devices("edu", env=env)
    assert edu["kind"] == "vfiod" and edu["problems"] == []
    check_edu(edu)


def test_the_real_vfiod_as_its_client(vfiod):
    env, path = vfiod
    (edu,) = devices(f"unix:{path}", env=env)
    assert edu["kind"] == "opened" and edu["backend"] == "socket" and edu["vfiod"] is None
    (asked,) = devices("edu", env=env)
    for key in ("flags", "regions", "irqs", "config", "decoded", "problems"):
        assert edu[key] == asked[key], key


def connect(path):
    """Become the client of a vfio-user server: the version message and its reply."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    body = struct.pack("<HH", 0, 1) + b"{}\0"
    client.sendall(struct.pack("<HHIII", 1, 1, 16 + len(body), 0, 0) + body)
    assert struct.unpack("<HHIII", client.recv(16, socket.MSG_WAITALL))[3] == 1
    return client


def test_the_real_vfiod_while_it_has_a_client(vfiod):
    env, path = vfiod
    with connect(path):
        wait_until(lambda: devices("edu", env=env)[0]["vfiod"]["client"])
        (edu,) = devices("edu", env=env)
        assert edu["vfiod"]["client"] == {"pid": os.getpid(), "uid": os.geteuid(),
                                          "gid": os.getegid()}
        check_edu(edu)
        run = lsvfio(f"unix:{path}")
        assert run.returncode == 1 and "VFIO-105" in run.stderr
    wait_until(lambda: not devices("edu", env=env)[0]["vfiod"]["client"])


def test_a_socket_that_is_handed_down(vfiod):
    _, path = vfiod
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        (edu,) = devices(f"fd:{client.fileno()}", pass_fds=[client.fileno()])
    assert edu["kind"] == "opened" and edu["backend"] == "socket"
    check_edu(edu)


def check_edu(edu):
    assert edu["id"] == "1234:11e8" and "reset" in edu["flags"]
    assert edu["regions"][0]["name"] == "BAR0" and edu["regions"][0]["size"] == 1 << 20
    assert {"INTx": 1, "MSI": 1}.items() <= {i["name"]: i["count"] for i in edu["irqs"]}.items()
    check_decoded(edu["decoded"], bytes.fromhex(edu["config"]))


def test_a_device_in_process():
    if not os.environ.get("VFIO_DEVICE_PATH"):
        pytest.skip("VFIO_DEVICE_PATH is not set")
    (edu,) = devices("edu")
    assert edu["kind"] == "opened" and edu["backend"] == "inprocess" and edu["problems"] == []
    check_edu(edu)
    assert "BAR0" in lsvfio("edu").stdout


def test_a_device_that_is_silent(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "silent.sock"))
        listener.listen()
        begin = time.monotonic()
        run = lsvfio(f"unix:{tmp_path}/silent.sock")
        assert run.returncode == 1 and "VFIO-201" in run.stderr
        assert time.monotonic() - begin < 10


def test_a_socket_that_is_not_there():
    run = lsvfio("unix:/nonexistent/edu.sock")
    assert run.returncode == 1 and "VFIO-103" in run.stderr
