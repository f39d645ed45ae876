# SPDX-License-Identifier: MIT
"""What the tests of vfiod share: running it, and a client in raw bytes."""

import json
import os
import pwd
import socket
import stat
import struct
import subprocess
import time

import pytest

from conftest import IS_ROOT, Vfiod


NOBODY = pwd.getpwnam('nobody')
DAEMON = pwd.getpwnam('daemon')
needs_root = pytest.mark.skipif(not IS_ROOT, reason='only root can become another user')


def run(*arguments, **environment):
    """Run vfiod to its end."""
    return subprocess.run([Vfiod.program, *map(str, arguments)], capture_output=True, text=True,
                          timeout=20, check=False, env={**os.environ, **environment})


def configure(directory, *keys):
    """A configuration with one device, whose socket is DIRECTORY/s."""
    path = directory / 'vfiod.conf'
    path.write_text('\n'.join(['[edu]', 'device = edu', f'socket = {directory}/s', *keys, '']),
                    encoding='utf-8')
    return path


def permissions(path):
    found = os.stat(path)
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


# ---- a client, in raw bytes ------------------------------------------------------------------

HEADER = struct.Struct('=HHIII')        # id, command, size, flags, error
ACCESS = struct.Struct('=QII')          # offset, region, count
VERSION, REGION_READ, REGION_WRITE = 1, 9, 10
CONFIG, BAR0 = 7, 0


class Client:
    """A vfio-user client that said hello; error is the errno that the server answered with."""

    def __init__(self, path=None, connected=None):
        self.socket = connected or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        if path:
            self.socket.connect(str(path))
        offer = json.dumps({'capabilities': {'max_msg_fds': 16}}).encode() + b'\0'
        self.error, _ = self.call(VERSION, struct.pack('=HH', 0, 1) + offer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, count):
        data = b''
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            assert piece, 'the server closed the connection'
            data += piece
        return data

    def call(self, command, payload):
        self.socket.sendall(HEADER.pack(7, command, HEADER.size + len(payload), 0, 0) + payload)
        number, answered, size, flags, error = HEADER.unpack(self.receive(HEADER.size))
        assert (number, answered, flags & 0xf) == (7, command, 1)
        return (error if flags & 0x20 else 0), self.receive(size - HEADER.size)

    def read(self, region, offset, count):
        error, reply = self.call(REGION_READ, ACCESS.pack(offset, region, count))
        assert error == 0, os.strerror(error)
        return int.from_bytes(reply[ACCESS.size:], 'little')

    def write(self, region, offset, count, value):
        error, _ = self.call(REGION_WRITE, ACCESS.pack(offset, region, count) +
                             value.to_bytes(count, 'little'))
        assert error == 0, os.strerror(error)

    def enable_memory(self):
        """Memory decoding and bus mastering on."""
        self.write(CONFIG, 4, 2, 6)


def connect(path, seconds=5.0):
    """A client that is served: waits while the device is busy with the one before."""
    end = time.monotonic() + seconds
    while True:
        client = Client(path)
        if not client.error:
            return client
        client.socket.close()
        assert time.monotonic() < end, os.strerror(client.error)
        time.sleep(0.01)


def as_user(user, function, groups=()):
    """What function() returns in a process of another user; it must fit into JSON."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
            os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            os.write(writer, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as pipe:
        result = pipe.read()
    os.waitpid(pid, 0)
    assert result, 'the other process raised an exception'
    return json.loads(result)


def hello(path):
    """The errno of connecting, or of VERSION, or 0."""
    try:
        with Client(path) as client:
            return client.error
    except OSError as error:
        return error.errno
