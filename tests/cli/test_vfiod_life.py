# SPDX-License-Identifier: MIT
"""vfiod: start and end, and its sockets."""

import errno
import grp
import json
import os
import pathlib
import pwd
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from conftest import Vfiod, is_alive, wait_for
from vfiod_client import BAR0, CONFIG, Client, DAEMON, NOBODY, configure, connect, hello, needs_root, permissions, run
from vfiod_probe import wire


# ---- start and end ---------------------------------------------------------------------------

@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_orderly_end_leaves_nothing(edu, directory, number):
    device = edu.device()
    assert (device['state'], device['restarts'], device['client']) == ('ready', 0, None)
    with connect(directory / 'edu.sock') as client:
        edu.process.send_signal(number)
        assert edu.process.wait(10) == 0
        assert client.socket.recv(1) == b''
    assert not is_alive(device['pid'])
    assert not (directory / 'edu.sock').exists()
    assert list((directory / 'run').iterdir()) == []


REQUEST, SET_REQUEST = 4, 4 | 32            # index REQ; eventfd, trigger


@pytest.mark.parametrize('stays', [False, True])
def test_client_is_asked_to_leave(edu, directory, stays):
    """One that listens for that has some time, and loses its connection when that is over."""
    event = os.eventfd(0, os.EFD_NONBLOCK)
    with wire.Client(directory / 'edu.sock') as client:
        client.hello()
        client.irqs(SET_REQUEST, REQUEST, 0, 1, [event])
        edu.process.send_signal(signal.SIGTERM)
        assert wait_for(lambda: select.select([event], [], [], 0)[0])
        client.ping()
        if stays:
            assert client.ended()
    assert edu.process.wait(10) == 0
    os.close(event)
    assert 'the client is asked to leave' in edu.log() and 'killed' not in edu.log()


def test_second_signal_does_not_wait_for_the_client(edu, directory):
    event = os.eventfd(0, os.EFD_NONBLOCK)
    with wire.Client(directory / 'edu.sock') as client:
        client.hello()
        client.irqs(SET_REQUEST, REQUEST, 0, 1, [event])
        edu.process.send_signal(signal.SIGTERM)
        assert wait_for(lambda: 'asked to leave' in edu.log())
        edu.process.send_signal(signal.SIGTERM)
        assert client.ended()
    os.close(event)
    assert edu.process.wait(10) == 0


def test_service_manager_is_told(edu):
    edu.stop()
    edu.notifications.append(edu.notify.recv(4096).decode())
    assert edu.notifications == ['READY=1', 'STOPPING=1']


def test_abstract_notify_socket(start, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f'\0vfiod-test-{os.getpid()}')
        notify.settimeout(20)
        start('--device', 'edu', '--socket-path', directory / 's',
              NOTIFY_SOCKET=f'@vfiod-test-{os.getpid()}')
        assert notify.recv(100) == b'READY=1'


def test_start_says_what_to_paste(edu, directory):
    path = f'{directory}/edu.sock'
    assert f'vfiod: edu: ready on {path}\n' in edu.log()
    assert f'VFIO_DEVICE=unix:{path}\n' in edu.log()
    option = re.search(r"-device '(.*)'\n", edu.log()).group(1)
    assert json.loads(option) == {'driver': 'vfio-user-pci',
                                  'socket': {'type': 'unix', 'path': path}}


def test_pasted_words_survive_a_shell(start, directory):
    path = f"{directory}/it's \"edu\".sock"
    log = start('--device', 'edu', '--socket-path', path).wait_ready().log()
    for start_of_line, wanted in (('VFIO_DEVICE=', f'VFIO_DEVICE=unix:{path}'), ('-device ', path)):
        words = start_of_line + log.split(start_of_line, 1)[1].split('\n', 1)[0]
        done = subprocess.run(['sh', '-c', f'printf "%s\\n" {words}'], capture_output=True,
                              text=True, check=True).stdout
        if start_of_line == '-device ':
            done = json.loads(done.split('\n')[1])['socket']['path']
        assert done.strip('\n') == wanted


def test_relative_socket_path(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', 'x.sock', popen={'cwd': directory})
    vfiod.wait_ready()
    assert vfiod.device()['socket'] == f'{directory}/x.sock'
    assert hello(directory / 'x.sock') == 0


def test_log_for_the_journal(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', JOURNAL_STREAM='8:1')
    vfiod.wait_ready()
    assert all(re.match(r'<[3-7]>vfiod: ', line) for line in vfiod.log().splitlines())
    assert '<5>vfiod: edu: ready on' in vfiod.log()


def test_quiet(start, directory, sanitizers):
    vfiod = start('-q', '--device', 'edu', '--socket-path', directory / 's').wait_ready()
    assert vfiod.stop() == 0
    assert vfiod.log() == ''


def test_two_devices(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[one]\ndevice = edu\nsocket = {directory}/1.sock\n'
                      f'[two]\ndevice = edu,dma_mask=0xffffffff\nsocket = {directory}/2.sock\n',
                      encoding='utf-8')
    vfiod = start('--config', config).wait_ready()
    devices = vfiod.devices()
    assert list(devices) == ['one', 'two']
    assert devices['one']['pid'] != devices['two']['pid']
    with connect(directory / '1.sock') as one, connect(directory / '2.sock') as two:
        for client, value in ((one, 0x11111111), (two, 0x22222222)):
            client.enable_memory()
            client.write(BAR0, 4, 4, value)
        assert one.read(BAR0, 4, 4) == 0xeeeeeeee
        os.kill(devices['two']['pid'], signal.SIGKILL)
        assert one.read(BAR0, 4, 4) == 0xeeeeeeee, "one device's death disturbed another"


def test_device_that_cannot_be_opened(directory):
    done = run('--device', 'no-such-device', '--socket-path', directory / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1
    assert done.stderr.count('VFIO-1') == 1 and 'no-such-device' in done.stderr
    assert 'given up' in done.stderr
    assert not (directory / 's').exists()


def test_device_that_is_served_already(edu, directory):
    result = run('--device', f'unix:{directory}/edu.sock', '--socket-path', directory / 's',
                 VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert result.returncode == 1
    assert 'is served already: let clients connect to it directly' in result.stderr


def test_failed_device_beside_a_good_one(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[bad]\ndevice = no-such-device\nsocket = {directory}/bad.sock\n'
                      f'[good]\ndevice = edu\nsocket = {directory}/good.sock\n', encoding='utf-8')
    vfiod = start('--config', config).wait_ready()
    devices = vfiod.devices()
    assert (devices['bad']['state'], devices['bad']['pid']) == ('failed', None)
    assert devices['bad']['restarts'] == 0
    assert devices['good']['state'] == 'ready'
    assert hello(directory / 'bad.sock') in (errno.ENOENT, errno.ECONNREFUSED)
    with vfiod.control() as control:
        reply = control.call('describe', device='bad')
    assert reply['error'] == 'NotReady' and 'has failed' in reply['parameters']['message']


def test_device_process_that_hangs_is_killed(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    assert edu.stop() == 0
    assert 2.5 < time.monotonic() - began < 6
    assert not is_alive(pid)


def test_second_signal_kills_at_once(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    edu.process.send_signal(signal.SIGTERM)
    edu.wait_notified('STOPPING=1')
    assert edu.stop() == 0
    assert time.monotonic() - began < 2
    assert not is_alive(pid)


def test_killed_device_process_is_started_again(edu, directory):
    first = edu.device()['pid']
    with connect(directory / 'edu.sock') as client:
        os.kill(first, signal.SIGKILL)
        assert client.socket.recv(1) == b''
    # The socket is there all the time: whoever comes now waits a little.
    assert hello(directory / 'edu.sock') == 0
    device = edu.device()
    assert device['pid'] != first
    assert (device['state'], device['restarts']) == ('ready', 1)
    assert 'was killed by signal 9' in edu.log()


def test_restarts_back_off(edu):
    gaps = []
    for number in range(1, 5):
        began = time.monotonic()
        os.kill(edu.device()['pid'], signal.SIGKILL)
        assert wait_for(lambda n=number: (edu.device()['restarts'], edu.device()['state']) ==
                        (n, 'ready'))
        gaps.append(time.monotonic() - began)
    assert gaps[0] >= 0.1 and gaps[1] >= 0.2 and gaps[2] >= 0.4 and gaps[3] >= 0.8


def test_killed_supervisor_takes_its_processes_along(edu, start, directory):
    pid = edu.device()['pid']
    edu.process.kill()
    edu.process.wait()
    assert wait_for(lambda: not is_alive(pid), 2)
    # What it left behind is dead, and does not stop the next one.
    assert (directory / 'edu.sock').exists()
    start('--device', 'edu', '--socket-path', directory / 'edu.sock').wait_ready()
    assert hello(directory / 'edu.sock') == 0


# ---- sockets ---------------------------------------------------------------------------------

@pytest.mark.parametrize('keys, wanted', [
    ([], (os.getuid(), os.getgid(), 0o600)),
    (['mode = 0620'], (os.getuid(), os.getgid(), 0o620)),
    ([f'group = {os.getgid()}'], (os.getuid(), os.getgid(), 0o660)),
    pytest.param(['owner = nobody', 'group = daemon'], (NOBODY.pw_uid, DAEMON.pw_gid, 0o660),
                 marks=needs_root),
    pytest.param(['owner = 1234', 'mode = 0666'], (1234, os.getgid(), 0o666), marks=needs_root),
])
def test_socket_permissions(start, directory, keys, wanted):
    vfiod = start('--config', configure(directory, *keys)).wait_ready()
    assert permissions(directory / 's') == wanted
    device = vfiod.device()
    assert device['mode'] == f'{wanted[2]:04o}'
    assert device['owner'] in (str(wanted[0]), *(e.pw_name for e in pwd.getpwall()
                                                 if e.pw_uid == wanted[0]))
    assert device['group'] in (str(wanted[1]), *(e.gr_name for e in grp.getgrall()
                                                 if e.gr_gid == wanted[1]))


def test_live_socket_is_refused(edu, directory):
    with connect(directory / 'edu.sock') as client:
        done = run('--device', 'edu', '--socket-path', directory / 'edu.sock',
                   VFIOD_RUNTIME_DIR=str(directory / 'run'))
        assert done.returncode == 1
        assert 'another server listens' in done.stderr and 'edu.sock' in done.stderr
        assert client.read(CONFIG, 0, 4) == 0x11e81234
    assert hello(directory / 'edu.sock') == 0
    assert edu.device()['restarts'] == 0


def test_stale_socket_is_replaced(start, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(directory / 's'))
    start('--device', 'edu', '--socket-path', directory / 's').wait_ready()
    assert hello(directory / 's') == 0


@pytest.mark.parametrize('make', [pathlib.Path.touch, pathlib.Path.mkdir,
                                  lambda path: path.symlink_to('target')],
                         ids=['file', 'directory', 'symlink'])
def test_what_is_no_socket_stays(directory, make):
    make(directory / 's')
    before = os.lstat(directory / 's')
    done = run('--device', 'edu', '--socket-path', directory / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and 'no socket' in done.stderr
    assert os.lstat(directory / 's').st_ino == before.st_ino


def test_socket_without_a_directory(directory):
    done = run('--device', 'edu', '--socket-path', directory / 'none' / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and 'make its directory first' in done.stderr


def test_socket_path_too_long(directory):
    done = run('--device', 'edu', '--socket-path', '/' + 's' * 107,
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and '107' in done.stderr


def test_socket_that_somebody_else_put_there_stays(edu, directory):
    os.unlink(directory / 'edu.sock')
    (directory / 'edu.sock').touch()
    assert edu.stop() == 0
    assert (directory / 'edu.sock').exists()


def test_inherited_listening_socket(start, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(directory / 's'))
        listener.listen()
        vfiod = start('--device', 'edu', '--fd', listener.fileno(),
                      popen={'pass_fds': [listener.fileno()]}).wait_ready()
    assert vfiod.device()['socket'] == f'{directory}/s'
    for _ in range(2):
        with connect(directory / 's') as client:
            assert client.read(CONFIG, 0, 4) == 0x11e81234
    assert vfiod.stop() == 0
    assert (directory / 's').exists(), 'the path is not vfiod\'s to remove'


def test_inherited_connection(start):
    ours, theirs = socket.socketpair()
    with theirs:
        vfiod = start('--device', 'edu', '--fd', theirs.fileno(),
                      popen={'pass_fds': [theirs.fileno()]}).wait_ready()
    with Client(connected=ours) as client:
        assert client.error == 0
        assert client.read(CONFIG, 0, 4) == 0x11e81234
        assert vfiod.device()['socket'] is None
    # Its only client has gone, and nobody else can come.
    assert vfiod.process.wait(5) == 0


def test_inherited_connection_and_killed_process(start):
    ours, theirs = socket.socketpair()
    with theirs:
        vfiod = start('--device', 'edu', '--fd', theirs.fileno(),
                      popen={'pass_fds': [theirs.fileno()]}).wait_ready()
    with Client(connected=ours) as client:
        os.kill(vfiod.device()['pid'], signal.SIGKILL)
        assert client.socket.recv(1) == b''
    assert vfiod.process.wait(5) == 1


def test_inherited_descriptor_of_the_wrong_kind(directory):
    reader, writer = os.pipe()
    done = subprocess.run([Vfiod.program, '--device', 'edu', '--fd', str(reader)],
                          pass_fds=[reader], capture_output=True, text=True, timeout=20,
                          check=False,
                          env={**os.environ, 'VFIOD_RUNTIME_DIR': str(directory / 'run')})
    os.close(reader)
    os.close(writer)
    assert done.returncode == 1 and 'not a UNIX stream socket' in done.stderr
