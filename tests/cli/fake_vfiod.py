# SPDX-License-Identifier: MIT
"""A vfiod of any temper: listens on a control socket and answers as it is told."""

import json
import socket
import struct
import threading
import time

import pytest

EDU_CONFIG = bytearray(256)
struct.pack_into("<HHHHBBBB", EDU_CONFIG, 0, 0x1234, 0x11e8, 0, 0x10, 0x10, 0, 0xff, 0)
struct.pack_into("<HH", EDU_CONFIG, 0x2c, 0x1af4, 0x1100)
EDU_CONFIG[0x34] = 0x40
struct.pack_into("<BBHIIH", EDU_CONFIG, 0x40, 5, 0, 0x80, 0, 0, 0)

EDU = {"name": "edu0", "device": "edu,dma_mask=0xffff", "socket": "/run/vfiod/edu0.sock",
       "owner": "root", "group": "users", "mode": "0660", "unsafe": True, "state": "ready", "pid": 4711,
       "restarts": 2, "client": None}

DESCRIPTION = {
    "backend": "inprocess", "flags": ["reset", "pci"],
    "isolation": {"dma": "software", "interrupts": "none"},
    "regions": [{"index": 0, "name": "BAR0", "size": 1048576, "flags": ["read", "write", "mmap"],
                 "areas": [{"offset": 4096, "size": 8192}, {"offset": 524288, "size": 4096}]},
                {"index": 1, "name": "BAR1", "size": 0, "flags": [], "areas": []},
                {"index": 7, "name": "config", "size": 256, "flags": ["read", "write"],
                 "areas": []}],
    "irqs": [{"index": 0, "name": "INTx", "count": 1,
              "flags": ["eventfd", "maskable", "automasked"],
              "vectors": {"advertised": 1, "granted": 1}, "signalled": []},
             {"index": 1, "name": "MSI", "count": 8, "flags": ["eventfd"],
              "vectors": {"advertised": 8, "granted": 3}, "signalled": [0, 1, 2, 7, 2047]}],
    "config": EDU_CONFIG.hex(),
    "policy": {"view": "virtual", "vectors": "3", "unheard-of": "yes"},
    "reset": {"methods": ["device", "flr"], "others": 0, "count": 7, "last": 5},
    "records": [{"code": 307, "who": "virtual function", "errno": 1, "text": "bits were lost",
                 "remedy": ""},
                {"code": 312, "who": "device model", "errno": 5, "text": "it is stuck",
                 "remedy": "hit it"}],
    "fault": {"iova": "0xfffffffffffff000", "size": 4096, "direction": "write", "errno": 14,
              "count": 3},
    "dma": {"maps": {"advertised": 1048576, "granted": 1000, "used": 302},
            "bytes": {"advertised": None, "granted": 67108864, "used": 1236992},
            "list": [{"iova": "0x0", "size": 4096, "prot": ["read"], "access": "in-place"},
                     {"iova": "0x10000", "size": 12288, "prot": ["read", "write"],
                      "access": "by-file"},
                     {"iova": "0x20000", "size": 4096, "prot": ["write"], "access": "by-process"},
                     {"iova": "0xfffffffffffff000", "size": 4096, "prot": ["read"],
                      "access": "by-message"}],
            "more": 298}}

# Of each dword, what is like no other's.
CONFIG_MAP = {key: "".join(f"{(n << 24 | dword):08x}" for dword in range(64))
              for n, key in enumerate(("structure", "virtual", "writable", "cleared", "trapped",
                                       "refused", "raw"))}
CONFIG_MAP["structure"] = "00000000" * 16 + "00400005" * 6 + "01000001" + "00000000" * 41


class FakeVfiod:
    """Listens on a control socket and answers as it is told."""

    def __init__(self, path):
        self.path = path
        self.requests = []
        self.reply = None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as file:
                for line in file:
                    self.requests.append(json.loads(line))
                    self.reply(self.requests[-1], connection)
        except OSError:
            pass

    def answer(self, *, description=None, config_map=None, **device):
        """Be a vfiod with one device; without config_map an older one, which knows of no maps."""
        device = {**EDU, **device}

        def reply(request, connection):
            if request["method"] == "list":
                parameters = {"vfiod": {"pid": 1, "version": "0.1.0"}, "devices": [device]}
            elif request["parameters"]["device"] == device["name"]:
                parameters = {"device": device, "description": description or DESCRIPTION}
                if config_map is not None and request["parameters"].get("map") is True:
                    parameters["map"] = config_map
            else:
                connection.sendall(b'{"error": "NoSuchDevice", "parameters": '
                                   b'{"message": "no such device"}}\n')
                return
            connection.sendall(json.dumps({"parameters": parameters}).encode() + b"\n")

        self.reply = reply

    def send(self, *pieces, pause=0.0, close=False):
        """Answer every request with these bytes, and then close or keep silent."""

        def reply(_, connection):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            if close:
                connection.shutdown(socket.SHUT_RDWR)

        self.reply = reply

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(name="fake")
def fake_fixture(tmp_path):
    server = FakeVfiod(tmp_path / "4711.control")
    yield server
    server.close()
