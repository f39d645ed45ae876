# SPDX-License-Identifier: MIT
"""vfiod: its clients."""

import errno
import os
import pwd
import signal
import socket
import struct
import time

import pytest

from conftest import BUILD, wait_for
from vfiod_client import BAR0, CONFIG, Client, DAEMON, NOBODY, as_user, configure, connect, hello, needs_root


# ---- clients ---------------------------------------------------------------------------------

def test_second_client_is_refused_at_once(edu, directory):
    with connect(directory / 'edu.sock') as first:
        first.enable_memory()
        first.write(BAR0, 4, 4, 0x12345678)
        began = time.monotonic()
        with Client(directory / 'edu.sock') as second:
            assert second.error == errno.EBUSY
        assert time.monotonic() - began < 1
        assert first.read(BAR0, 4, 4) == 0xedcba987
        assert edu.device()['client']['pid'] == os.getpid()
    assert connect(directory / 'edu.sock').error == 0


def test_a_device_that_is_never_done_keeps_nobody_waiting(start, directory):
    vfiod = start('--device', BUILD / 'tests' / 'cli' / 'busy.so', '--socket-path',
                  directory / 's').wait_ready()
    name, = vfiod.devices()
    with connect(directory / 's') as client:
        client.enable_memory()
        seen = [client.read(BAR0, 0, 4) for _ in range(100)]
        assert seen == sorted(seen) and seen[0] < seen[-1]
        for _ in range(10):
            with Client(directory / 's') as second:
                assert second.error == errno.EBUSY
            assert wait_for(lambda: vfiod.device(name)['client'])['pid'] == os.getpid()
            with vfiod.control() as control:
                assert control.call('describe', device=name)['parameters']['description']
        assert client.read(BAR0, 0, 4) > seen[-1]
    assert hello(directory / 's') == 0
    assert vfiod.stop() == 0


def test_client_is_shown(edu, directory):
    assert edu.device()['client'] is None
    with connect(directory / 'edu.sock'):
        assert wait_for(lambda: edu.device()['client']) == \
            {'pid': os.getpid(), 'uid': os.getuid(), 'gid': os.getgid()}
    assert wait_for(lambda: edu.device()['client'] is None)


def test_killed_client_leaves_a_device_that_was_reset(edu, directory):
    with connect(directory / 'edu.sock') as client:
        power_on = client.read(CONFIG, 0, 256), client.read(BAR0, 4, 4)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = connect(directory / 'edu.sock')
            client.enable_memory()
            client.write(BAR0, 4, 4, 0x12345678)
            assert (client.read(CONFIG, 0, 256), client.read(BAR0, 4, 4)) != power_on
            os.write(writer, struct.pack('=I', client.read(BAR0, 4, 4)))
            time.sleep(60)
        finally:
            os._exit(1)
    assert struct.unpack('=I', os.read(reader, 4)) == (0xedcba987,)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with connect(directory / 'edu.sock') as client:
        assert (client.read(CONFIG, 0, 256), client.read(BAR0, 4, 4)) == power_on
    assert edu.device()['restarts'] == 0
    os.close(reader)
    os.close(writer)


@needs_root
def test_socket_opened_up_later_lets_nobody_in(edu, directory):
    path = directory / 'edu.sock'
    assert as_user(NOBODY, lambda: hello(path)) == errno.EACCES
    os.chmod(path, 0o777)
    with_protocol = as_user(NOBODY, lambda: Client(path).error)
    assert with_protocol == errno.EACCES
    assert f'uid {NOBODY.pw_uid}' in edu.log() and 'mode 0600' in edu.log()
    assert hello(path) == 0


@needs_root
@pytest.mark.parametrize('user, groups, wanted', [
    ('nobody', [], errno.EACCES),
    ('nobody', [DAEMON.pw_gid], 0),
    ('nobody', [20, 21, DAEMON.pw_gid], 0),
    ('games', [], 0),
    ('root', [], 0),
])
def test_owner_and_group_are_admitted(start, directory, user, groups, wanted):
    keys = ['owner = games', 'group = daemon', 'mode = 0660']
    start('--config', configure(directory, *keys)).wait_ready()
    os.chmod(directory / 's', 0o777)
    assert as_user(pwd.getpwnam(user), lambda: hello(directory / 's'), groups) == wanted


@needs_root
def test_first_class_that_fits_decides(start, directory):
    # As with files: everybody may, but not the group.
    keys = ['owner = games', 'group = daemon', 'mode = 0606']
    start('--config', configure(directory, *keys)).wait_ready()
    os.chmod(directory / 's', 0o777)
    assert as_user(NOBODY, lambda: hello(directory / 's')) == 0
    assert as_user(NOBODY, lambda: hello(directory / 's'), [DAEMON.pw_gid]) == errno.EACCES


def test_timeout(start, directory):
    start('--device', 'edu', '--socket-path', directory / 's', '--timeout', '300').wait_ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.settimeout(10)
        began = time.monotonic()
        silent.connect(str(directory / 's'))
        assert silent.recv(1) == b''
        assert 0.2 < time.monotonic() - began < 3
