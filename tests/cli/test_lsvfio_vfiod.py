# SPDX-License-Identifier: MIT
"""lsvfio over fake vfiods: honest, silent, confused and hostile ones."""

import copy
import json
import os
import pathlib
import shutil
import socket
import tempfile
import time

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from fake_vfiod import CONFIG_MAP, DESCRIPTION, EDU, EDU_CONFIG, FakeVfiod
from fake_vfiod import fake_fixture  # noqa: F401: the fixture "fake"
from lsvfio import NVME, check_decoded, devices, lines, lsvfio

# The vfiod of fake_vfiod.py is a thread of this process.
TITLE = f"edu0: served by vfiod {os.getpid()}, unix:/run/vfiod/edu0.sock"


def test_list_of_a_vfiod(fake):
    fake.answer(client={"pid": 4712, "uid": 1000, "gid": 100})
    run = lsvfio("--no-pci", "--control", fake.path, "-o",
                 "DEVICE,KIND,ID,STATE,CLIENT,STRING,OWNER,GROUPNAME,MODE,PID,RESTARTS,MODEL")
    assert run.returncode == 0 and run.stderr == ""
    assert lines(run.stdout)[1].split() == [
        "edu0", "vfiod", "1234:11e8", "ready", "4712/1000", "unix:/run/vfiod/edu0.sock", "root",
        "users", "0660", "4711", "2", "edu,dma_mask=0xffff"]


def test_a_device_that_no_list_names_is_called_what_it_is(fake):
    config = bytearray(EDU_CONFIG)
    config[:4] = bytes.fromhex("3f3f0100")
    fake.answer(description={**DESCRIPTION, "config": config.hex()})
    device, = devices("--no-pci", "--control", fake.path, "-o", "NAME")
    assert device == {"name": "edu,dma_mask=0xffff"}


def test_columns_that_need_no_description_ask_for_none(fake):
    fake.answer()
    devices("--no-pci", "--control", fake.path, "-o", "DEVICE,STATE")
    assert [r["method"] for r in fake.requests] == ["list"]


def test_selecting_vfiods_devices(fake):
    fake.answer()
    args = ("--no-pci", "--control", fake.path, "-o", "DEVICE")
    assert devices(*args, "-d", "1234:") == [{"device": "edu0"}]
    assert devices(*args, "-d", "1235:") == []
    assert devices(*args, "-s", "0.0") == []


def test_a_device_of_a_vfiod_in_full(fake):
    fake.answer(client={"pid": 4712, "uid": 1000, "gid": 100})
    (edu,) = devices("--control", fake.path, "edu0")
    assert {key: edu[key] for key in DESCRIPTION if key != "regions"} == \
        {key: DESCRIPTION[key] for key in DESCRIPTION if key != "regions"}
    assert edu["regions"] == [dict(r, address=None) for r in DESCRIPTION["regions"]]
    assert edu["vfiod"] == dict(EDU, control=str(fake.path),
                                client={"pid": 4712, "uid": 1000, "gid": 100})
    assert (edu["kind"], edu["id"], edu["subsystem"]) == ("vfiod", "1234:11e8", "1af4:1100")
    check_decoded(edu["decoded"], EDU_CONFIG)
    text = lines(lsvfio("--control", fake.path, "edu0").stdout)
    assert text[0] == TITLE
    assert "client         process 4712, user 1000, group 100" in text
    assert "last fault     write of 4096 bytes at 0xfffffffffffff000: EFAULT (Bad address); " \
        "3 in all" in text
    assert "isolation      software; of interrupts none" in text
    assert "DMA maps       302 of 1000 granted, 1048576 advertised" in text
    assert "DMA memory     1208K of 64M" in text
    maps = text.index("DMA MAPS")
    assert [line.split() for line in text[maps + 1:maps + 7]] == [
        ["IOVA", "SIZE", "BYTES", "DIRECTION", "ACCESS"],
        ["0x0-0xfff", "4K", "4096", "read", "in-place"],
        ["0x10000-0x12fff", "12K", "12288", "read,write", "by-file"],
        ["0x20000-0x20fff", "4K", "4096", "write", "by-process"],
        ["0xfffffffffffff000-0xffffffffffffffff", "4K", "4096", "read", "by-message"],
        ["(298", "more)"]]
    assert "    0 BAR0     1M 1048576 read,write,mmap 0x1000+8K,0x80000+4K" in text
    irqs = [" ".join(t.split()[2:]) for t in text if t.startswith(("    0 INTx", "    1 MSI"))]
    assert irqs == [
        "1 eventfd,maskable,automasked", "8, 3 granted eventfd 0-2,7,2047"]
    assert [t.split(maxsplit=1)[1] for t in text if t.startswith("policy ")] == [
        "vectors = 3", "unheard-of = yes"], "what is standard is no news"
    assert "reset          device,flr; 7 done; the last one failed: EIO (Input/output error)" in \
        text
    assert "records        2, which --errors prints" in text


def test_isolation_in_the_list(fake):
    fake.answer()
    args = ("--no-pci", "--control", fake.path, "-o", "DEVICE,ISOLATION")
    assert devices(*args) == [{"device": "edu0", "isolation": "software"}]
    fake.answer(description=dict(DESCRIPTION, isolation=None))
    assert devices(*args) == [{"device": "edu0", "isolation": None}]


def test_isolation_of_a_device_that_is_opened():
    (edu,) = devices("--no-vfiod", "edu")
    assert edu["isolation"] == {"dma": "software", "interrupts": "software"}
    text = lines(lsvfio("--no-vfiod", "edu").stdout)
    assert [t.split(maxsplit=1)[1] for t in text if t.startswith("isolation ")] == [
        "software; of interrupts software"]


def test_a_vfiod_that_is_older(fake):
    new = ("policy", "reset", "records", "dma", "isolation")
    description = {key: value for key, value in DESCRIPTION.items() if key not in new}
    description["irqs"] = [{key: value for key, value in irq.items()
                            if key not in ("vectors", "signalled")}
                           for irq in DESCRIPTION["irqs"]]
    fake.answer(description=description)
    (edu,) = devices("--control", fake.path, "edu0")
    assert [edu[key] for key in new] == [None] * len(new)
    assert [irq["vectors"] for irq in edu["irqs"]] == [None, None]
    assert [irq["signalled"] for irq in edu["irqs"]] == [None, None]
    text = lsvfio("--control", fake.path, "edu0").stdout
    assert "policy" not in text and "granted" not in text and "reset  " not in text
    assert "DMA" not in text
    assert devices("--control", fake.path, "--no-pci", "-o", "MAPS,MAPPED") == \
        [{"maps": None, "mapped": None}]
    assert lsvfio("--errors", "--control", fake.path).stdout == \
        TITLE + "\nno side channel\n"


def test_a_map_that_vfiod_tells(fake):
    fake.answer(config_map=CONFIG_MAP)
    (edu,) = devices("--config-map", "--control", fake.path, "edu0")
    assert fake.requests[-1]["parameters"] == {"device": "edu0", "map": True}
    assert len(edu["map"]) == 64 and all(row["exact"] for row in edu["map"])
    for n, key in enumerate(CONFIG_MAP):
        if n:
            assert [row[key] for row in edu["map"]] == [n << 24 | i for i in range(64)]
    assert [(row["structure"], row["id"], row["base"], row["extended"])
            for row in edu["map"][15:24]] == \
        [("Header", 0, 0, False)] + 6 * [("MSI", 5, 0x40, False)] + \
        [("AER", 1, 0x100, True), (None, 0, 0, False)]
    text = lines(lsvfio("--config-map", "--control", fake.path, "edu0").stdout)
    assert text[0] == TITLE and not any("?" in line for line in text)
    devices("--control", fake.path, "edu0")
    assert fake.requests[-1]["parameters"] == {"device": "edu0"}, "the map is large"


@pytest.mark.parametrize("reply", [{}, {"map": None}])
def test_a_map_that_vfiod_does_not_tell(fake, reply):
    """An older vfiod, or a device that cannot: then the table tells."""
    fake.send(reply_line(device=EDU, description=DESCRIPTION, **reply))
    (edu,) = devices("--config-map", "--control", fake.path, "edu0")
    assert len(edu["map"]) == 64 and not any(row["exact"] for row in edu["map"])
    assert edu["map"][1]["registers"] == "Command,Status" and edu["map"][1]["raw"] is None
    text = lines(lsvfio("--config-map", "--control", fake.path, "edu0").stdout)
    assert all(line.endswith("?") for line in text[2:])


def test_a_device_that_cannot_tell(fake):
    description = dict(DESCRIPTION, policy={}, reset=None, records=[])
    description["irqs"] = [dict(DESCRIPTION["irqs"][0], vectors=None)]
    fake.answer(description=description)
    (edu,) = devices("--control", fake.path, "edu0")
    assert (edu["policy"], edu["reset"], edu["records"]) == ({}, None, [])
    assert edu["irqs"][0]["vectors"] is None
    assert lsvfio("--errors", "--control", fake.path, "edu0").stdout == \
        TITLE + "\nno records\n"


@pytest.mark.parametrize("names", [[], ["edu0"]])
def test_errors(fake, names):
    fake.answer()
    run = lsvfio("--errors", "--control", fake.path, *names)
    assert (run.returncode, run.stderr) == (0, "")
    assert lines(run.stdout) == [
        TITLE,
        "CODE     WHO              ERRNO TEXT",
        "VFIO-307 virtual function EPERM bits were lost",
        "VFIO-312 device model     EIO   it is stuck",
        "                                  hit it"]
    (edu,) = devices("--errors", "--control", fake.path, *names)
    assert edu == {"device": "edu0", "kind": "vfiod", "string": "unix:/run/vfiod/edu0.sock",
                   "records": DESCRIPTION["records"], "problems": []}


def test_errors_of_a_device_that_is_not_ready(fake):
    fake.answer(state="starting")
    run = lsvfio("--errors", "--control", fake.path)
    assert (run.returncode, run.stdout) == (0, TITLE + "\nnothing to read: its state is starting\n")
    (edu,) = devices("--errors", "--control", fake.path)
    assert edu["records"] is None


def test_errors_of_nobody(tmp_path):
    env = {"VFIOD_RUNTIME_DIR": str(tmp_path)}
    assert lsvfio("--errors", env=env).stdout == ""
    assert devices("--errors", env=env) == []


@pytest.mark.parametrize("option", [["-o", "DEVICE"], ["--raw"], ["-n"], ["-s", "0.0"],
                                    ["-d", "1234:"], ["--config", "/dev/null"]])
def test_errors_and_options_of_the_list(option):
    assert lsvfio("--errors", *option).returncode == 2


def test_errors_are_escaped(fake):
    record = dict(DESCRIPTION["records"][0], text="a\033[31mb\nc", who="\u202e", remedy="\x07")
    fake.answer(description=dict(DESCRIPTION, records=[record]))
    run = lsvfio("--errors", "--control", fake.path)
    assert "a\\033[31mb\\012c" in run.stdout and not set(run.stdout) & set("\033\u202e\x07")


def test_unprintable_characters_are_escaped(fake):
    fake.answer(name="a\033[31mb\u009b\u202e\0ü", owner="x\ny")
    (edu,) = devices("--no-pci", "--control", fake.path, "-o", "DEVICE,OWNER")
    assert edu == {"device": "a\\033[31mb\\302\\233\\342\\200\\256\\000ü", "owner": "x\\012y"}
    for text in (lsvfio("--no-pci", "--control", fake.path, "-o", "DEVICE,OWNER").stdout,
                 lsvfio("--control", fake.path, "a\033[31mb\u009b\u202e").stderr):
        assert not set(text) & set("\033\u009b\u202e\0")


def test_a_name_that_nobody_knows(fake):
    fake.answer()
    run = lsvfio("--control", fake.path, "edu9")
    assert run.returncode == 1 and "'edu9'" in run.stderr and run.stdout == ""


def test_some_found_and_some_not(fake):
    fake.answer()
    run = lsvfio("--json", "--sysfs", NVME, "--control", fake.path, "edu0", "77:00.0", "3b:00.0")
    assert run.returncode == 64 and "77:00.0" in run.stderr
    assert [d["device"] for d in json.loads(run.stdout)["devices"]] == ["edu0", "0000:3b:00.0"]


def test_all_vfiods_that_have_a_name_are_shown(fake, tmp_path):
    other = FakeVfiod(tmp_path / "4712.control")
    for server in (fake, other):
        server.answer()
    found = devices("edu0", env={"VFIOD_RUNTIME_DIR": str(tmp_path)})
    assert [d["vfiod"]["control"] for d in found] == [str(fake.path), str(other.path)]
    other.close()


def test_a_device_that_is_not_ready(fake):
    def reply(request, connection):
        connection.sendall(b'{"error": "NotReady", "parameters": {"message": "it starts"}}\n')

    fake.reply = reply
    run = lsvfio("--control", fake.path, "edu0")
    assert run.returncode == 1 and "it starts (NotReady)" in run.stderr


def reply_line(**parameters):
    return json.dumps({"parameters": parameters}).encode() + b"\n"


HOSTILE = {
    "silence": [],
    "half": [b'{"parameters": {"dev'],
    "garbage": [b"\x00\xff\xfe garbage\n"],
    "not an object": [b"[]\n"],
    "empty line": [b"\n"],
    "two objects": [b'{"parameters": {"devices": []}} {}\n'],
    "bytes after a zero": [b'{"parameters": {"devices": []}}\0\n'],
    "not UTF-8": [b'{"parameters": {"devices": [], "x": "\xff"}}\n'],
    "deep": [b'{"parameters": {"devices": [], "x": ' + b"[" * 1000 + b"]" * 1000 + b"}}\n"],
    "deeper": [b"[" * 100000 + b"]" * 100000 + b"\n"],
    "deep object": [b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n"],
    "endless": [b'{"x": "' + b"y" * (3 << 20)],
    "nothing in it": [b"{}\n"],
    "error without reason": [b'{"error": "NoSuchDevice"}\n'],
    "error of a wrong type": [b'{"error": 7, "parameters": {"message": "x"}}\n'],
    "parameters of a wrong type": [b'{"parameters": 7}\n'],
    "no list": [reply_line(devices={})],
    "list of numbers": [reply_line(devices=[1])],
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("close", [False, True])
def test_a_hostile_vfiod(fake, what, close):
    fake.send(*HOSTILE[what], close=close)
    begin = time.monotonic()
    for args in (["--no-pci"], ["edu0"]):
        run = lsvfio("--control", fake.path, *args)
        assert run.returncode == 1 and run.stdout == ""
        assert str(fake.path) in run.stderr and len(run.stderr) < 1000
    assert time.monotonic() - begin < 8


def test_a_trickle_is_cut_off(fake):
    fake.send(*[b" "] * 100, pause=0.1)
    begin = time.monotonic()
    run = lsvfio("--no-pci", "--control", fake.path)
    assert run.returncode == 1 and "2 seconds" in run.stderr
    assert time.monotonic() - begin < 5


def test_a_backlog_that_is_full(tmp_path):
    path = str(tmp_path / "1.control")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(path)
        listener.listen(0)
        other.connect(path)
        run = lsvfio("--no-pci", "--control", path)
    assert run.returncode == 1 and "2 seconds" in run.stderr


def test_a_vfiod_that_stops_after_its_list(fake):
    def reply(request, connection):
        if request["method"] == "list":
            connection.sendall(reply_line(devices=[EDU, dict(EDU, name="edu1")]))

    fake.reply = reply
    run = lsvfio("--no-pci", "-n", "--control", fake.path, "-o", "DEVICE,ID")
    assert run.returncode == 0 and run.stdout.split() == ["edu0", "edu1"]
    assert "2 seconds" in run.stderr


def every_member(value, path=()):
    """The way to each member of nested objects and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield path + (key,)
        if isinstance(inner, (dict, list)):
            yield from every_member(inner, path + (key,))


WRONG = [None, True, -1, 1 << 64, 1.5, "", "x" * 5000, [], {}, [[]]]


def replaced(whole, path, value):
    whole = copy.deepcopy(whole)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


def is_fine(path, value):
    """What the protocol allows in this place."""
    name = [key for key in path if isinstance(key, str)][-1]
    if "policy" in path:
        return value == ({} if path[-1] == "policy" else "")
    if name == "unsafe":
        return value is True
    if "isolation" in path[:-1]:
        return value == ""
    if name in ("socket", "pid", "fault", "client", "vectors", "reset", "map",
                "dma", "isolation", "tainted", "signalled") and value is None:
        return path[-1] == name
    if name in ("advertised", "granted") and "dma" in path and value is None:
        return True
    if value in ("", []) and not isinstance(value, bool):
        free = {"": ("device", "socket", "owner", "group", "state", "backend", "config", "flags",
                     "methods", "who", "text", "remedy", "prot", "access", "time"),
                "[]": ("flags", "regions", "irqs", "areas", "methods", "records", "prot", "list", "signalled"),
                }[json.dumps(value).strip('"') or ""]
        return name in free or (name == "name" and "description" in path)
    return isinstance(value, str) and name in ("flags", "methods", "prot") and \
        isinstance(path[-1], int)


GOOD = {"device": dict(EDU, client={"pid": 1, "uid": 2, "gid": 3},
                       tainted={"time": "2026-11-20T18:00:00Z", "uid": 1}),
        "description": DESCRIPTION,
        "map": CONFIG_MAP}


@pytest.mark.parametrize("path", list(every_member(GOOD)), ids=lambda p: ".".join(map(str, p)))
def test_every_member_is_checked(fake, path):
    for value in WRONG:
        if is_fine(path, value):
            continue
        fake.send(reply_line(**replaced(GOOD, path, value)))
        run = lsvfio("--control", fake.path, "edu0")
        assert run.returncode == 1 and run.stdout == "", value
        assert "breaks the protocol" in run.stderr, value


@pytest.mark.parametrize("path, value", [
    (("description", "regions", 0, "areas", 0, "offset"), 1048577),
    (("description", "regions", 0, "areas", 0, "size"), 1048576),
    (("description", "regions", 0, "areas"), [{"offset": 0, "size": 1}] * 33),
    (("description", "regions"), [DESCRIPTION["regions"][1]] * 65),
    (("description", "irqs"), DESCRIPTION["irqs"] * 65),
    (("description", "config"), "0"), (("description", "config"), "zz"),
    (("description", "config"), "00" * 4097),
    (("description", "fault", "iova"), "4096"), (("description", "fault", "iova"), "0x"),
    (("description", "fault", "iova"), "0x" + "f" * 17),
    (("description", "fault", "direction"), "both"),
    (("description", "dma"), []), (("description", "dma", "maps"), None),
    (("description", "dma", "bytes", "granted"), -1), (("description", "dma", "more"), -1),
    (("description", "dma", "list", 0, "iova"), "4096"),
    (("description", "dma", "list", 0, "size"), 0),
    (("description", "dma", "list", 3, "size"), 8192),
    (("description", "dma", "list", 0, "prot"), [1]),
    (("description", "dma", "list"), [DESCRIPTION["dma"]["list"][0]] * 257),
    (("description", "irqs", 1, "vectors"), []),
    (("description", "irqs", 1, "signalled"), [2048]),
    (("description", "irqs", 1, "signalled"), [0] * 2049),
    (("description", "irqs", 1, "vectors", "granted"), -1),
    (("description", "irqs", 1, "vectors", "advertised"), 1 << 32),
    (("description", "policy"), []), (("description", "policy", "view"), 7),
    (("description", "policy"), {str(i): "" for i in range(65)}),
    (("description", "reset"), "flr"), (("description", "reset", "methods"), [1]),
    (("description", "reset", "last"), 4096), (("description", "reset", "count"), -1),
    (("description", "records"), {}), (("description", "records"), [None]),
    (("description", "records"), DESCRIPTION["records"] * 33),
    (("description", "records", 0, "errno"), 5000), (("description", "records", 0, "text"), None),
    (("description", "records", 0, "code"), -1),
    (("map", "raw"), "0" * 511), (("map", "raw"), "0" * 513), (("map", "raw"), "g" * 512),
    (("map", "structure"), "0" * 8 * 1025), (("map", "structure"), "0" * 520),
    (("map", "virtual"), "0" * 511 + "\0"),
    (("map",), dict.fromkeys(CONFIG_MAP, "0" * 8 * 1025)),
    (("device", "mode"), "0999"), (("device", "pid"), 1 << 32),
])
def test_every_range_is_checked(fake, path, value):
    fake.send(reply_line(**replaced(GOOD, path, value)))
    run = lsvfio("--control", fake.path, "edu0")
    assert run.returncode == 1 and "breaks the protocol" in run.stderr


@settings(max_examples=30, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=strategies.binary(max_size=200), cut=strategies.integers(0, 3000))
def test_noise_in_a_reply(fake, noise, cut):
    line = reply_line(**GOOD)
    fake.send(line[:cut] + noise + line[cut:], close=True)
    run = lsvfio("--json", "--control", fake.path, "edu0")
    if run.returncode == 0:
        json.loads(run.stdout)


# ---- where vfiods are searched ----------------------------------------------------------------


def names(env, **options):
    run = lsvfio("--no-pci", "-n", "-o", "DEVICE", env=env, **options)
    assert run.returncode == 0
    return run.stdout.split(), run.stderr


def test_search(fake, tmp_path):
    fake.answer(name="here")
    (tmp_path / "x.control").write_text("")
    assert names({"VFIOD_RUNTIME_DIR": str(tmp_path)}) == (["here"], "")
    (tmp_path / "session").mkdir()
    shutil.move(fake.path, tmp_path / "session" / "1.control")
    (tmp_path / "session").rename(tmp_path / "vfiod")
    found, _ = names({"VFIOD_RUNTIME_DIR": None, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert "here" in found


def test_the_directory_in_tmp_must_be_ones_own(fake, tmp_path):
    fake.answer(name="trap")
    directory = pathlib.Path(f"/tmp/vfiod-{os.geteuid()}")
    if os.path.lexists(directory):
        pytest.skip(f"{directory} is in use")
    env = {"VFIOD_RUNTIME_DIR": None, "XDG_RUNTIME_DIR": None}
    directory.symlink_to(tmp_path)
    try:
        assert "trap" not in names(env)[0]
    finally:
        directory.unlink()
    directory.mkdir()
    try:
        shutil.move(fake.path, directory / "1.control")
        assert "trap" in names(env)[0]
    finally:
        shutil.rmtree(directory)


def test_a_dead_vfiod_is_passed_over(tmp_path):
    path = tmp_path / "1.control"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert names({"VFIOD_RUNTIME_DIR": str(tmp_path)}) == ([], "")
    run = lsvfio("--no-pci", "--control", path)
    assert run.returncode == 1 and "no vfiod listens there" in run.stderr


def test_permission_denied_is_a_warning():
    with tempfile.TemporaryDirectory() as directory:
        server = FakeVfiod(pathlib.Path(directory) / "1.control")
        os.chmod(server.path, 0)
        os.chmod(directory, 0o755)
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            found, says = names({"VFIOD_RUNTIME_DIR": directory}, **user)
        except PermissionError:
            pytest.skip("the build directory is closed to the unprivileged user")
        finally:
            server.close()
    assert found == [] and "permission denied" in says


def test_a_path_too_long_for_a_socket():
    run = lsvfio("--no-pci", "--control", "/" + "x" * 200)
    assert run.returncode == 1 and "too long" in run.stderr
