# SPDX-License-Identifier: MIT
"""vfiod: the device process, its sandbox, and its supervisor."""

import os
import pathlib
import re
import signal
import time

import pytest

from conftest import BUILD, IS_ROOT, is_alive, wait_for
from vfiod_client import BAR0, DAEMON, NOBODY, configure, connect, hello, needs_root, permissions


# ---- the device process ----------------------------------------------------------------------

def process_status(pid):
    text = pathlib.Path(f'/proc/{pid}/status').read_text(encoding='utf-8')
    return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)


def test_device_process_has_no_privileges(edu, sanitizers):
    status = process_status(edu.device()['pid'])
    for capabilities in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
        assert int(status[capabilities], 16) == 0, capabilities
    assert status['NoNewPrivs'] == '1'
    assert status['Seccomp'] == ('2' if sanitizers == 'none' else '0')
    assert ('no system-call filter' in edu.log()) == (sanitizers != 'none')
    assert status['Name'] == 'vfiod: edu'
    if IS_ROOT:
        assert int(status['CapBnd'], 16) == 0
        assert status['Uid'].split() == [str(NOBODY.pw_uid)] * 4
        assert status['Gid'].split() == [str(NOBODY.pw_gid)] * 4
        assert status['Groups'].split() == []


def test_device_process_is_closed_to_others(edu):
    pid = edu.device()['pid']
    limits = pathlib.Path(f'/proc/{pid}/limits').read_text(encoding='utf-8')
    assert re.search(r'Max core file size +0 +0 ', limits)
    # The files of a process that cannot be dumped are root's.
    assert os.stat(f'/proc/{pid}/environ').st_uid == 0
    assert pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().rstrip(b'\0') == b'vfiod: edu'


@needs_root
def test_device_process_has_only_its_own_descriptors(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(''.join(f'[d{i}]\ndevice = edu\nsocket = {directory}/{i}.sock\n'
                              for i in range(3)), encoding='utf-8')
    vfiod = start('--config', config).wait_ready()
    with vfiod.control():
        sockets = {}
        for device in vfiod.devices().values():
            fds = [os.readlink(fd) for fd in pathlib.Path(f'/proc/{device["pid"]}/fd').iterdir()]
            assert fds.count('/dev/null') == 2
            assert str(vfiod.log_path) in fds
            sockets[device['name']] = {fd for fd in fds if fd.startswith('socket:')}
            assert len(sockets[device['name']]) == 2    # where it listens, and its channel
    assert len(set.union(*sockets.values())) == 6


@needs_root
def test_user_of_device_processes(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', '--user', 'daemon')
    status = process_status(vfiod.wait_ready().device()['pid'])
    assert status['Uid'].split() == [str(DAEMON.pw_uid)] * 4
    config = configure(directory, '[vfiod]', 'user = daemon', f'control = {directory}/control')
    (directory / 's').unlink()
    vfiod = start('--config', config).wait_ready()
    vfiod.control_path = directory / 'control'
    status = process_status(vfiod.device()['pid'])
    assert status['Uid'].split() == [str(DAEMON.pw_uid)] * 4


@needs_root
def test_vfiod_without_root(start, directory):
    directory.chmod(0o777)
    vfiod = start('--device', 'edu', '--socket-path', directory / 's',
                  popen={'user': NOBODY.pw_uid, 'group': NOBODY.pw_gid, 'extra_groups': []})
    pid = vfiod.wait_ready().device()['pid']
    assert permissions(directory / 's') == (NOBODY.pw_uid, NOBODY.pw_gid, 0o600)
    status = process_status(pid)
    assert (status['NoNewPrivs'], int(status['CapPrm'], 16)) == ('1', 0)
    assert status['Uid'].split() == [str(NOBODY.pw_uid)] * 4
    assert hello(directory / 's') == 0
    vfiod.process.kill()
    vfiod.process.wait()
    assert wait_for(lambda: not is_alive(pid), 2)


@needs_root
@pytest.mark.parametrize('device', ['uio:0000:03:00.0', 'unsafe-noiommu:0000:03:00.0'])
def test_an_unsafe_device_without_root(start, directory, device):
    """It is asked for by name and by option; what is missing is the privilege."""
    directory.chmod(0o777)
    vfiod = start('--device', device, '--unsafe', '--socket-path', directory / 's',
                  popen={'user': NOBODY.pw_uid, 'group': NOBODY.pw_gid, 'extra_groups': []})
    assert vfiod.process.wait(20) == 1
    assert f'{device} takes CAP_SYS_RAWIO, and so a vfiod that root has started; this one runs ' \
        f'as user {NOBODY.pw_uid}' in vfiod.log()
    assert 'given up' in vfiod.log() and 'starting it again' not in vfiod.log()


def test_a_minimum_in_the_environment(start, directory):
    """What isolates a device is too little for whoever started vfiod."""
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', VFIO_ISOLATION='iommu')
    assert vfiod.process.wait(20) == 1
    assert "VFIO-118: the isolation of the device's DMA is to be 'iommu' at least, and is " \
        "'software'" in vfiod.log()
    assert 'given up' in vfiod.log() and 'starting it again' not in vfiod.log()


def only(vfiod):
    """Its one device."""
    device, = vfiod.devices().values()
    return device


def test_device_process_that_is_stuck_is_replaced(traitor, directory):
    pid = only(traitor)['pid']
    with connect(directory / 's') as client:
        client.enable_memory()
        client.socket.settimeout(15)
        with pytest.raises((AssertionError, ConnectionError)):
            client.write(BAR0, 16, 4, 0)
            assert client.socket.recv(1)
    assert wait_for(lambda: only(traitor)['pid'] not in (pid, None))
    assert 'has not answered for 5 s' in traitor.log()
    assert hello(directory / 's') == 0


def test_stopped_device_process_is_left_alone(traitor, directory):
    pid = only(traitor)['pid']
    with connect(directory / 's'):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(10.5)
        assert is_alive(pid) and only(traitor)['pid'] == pid
        os.kill(pid, signal.SIGCONT)
        time.sleep(5.5)
        assert only(traitor)['pid'] == pid


ESCAPES = ['open', 'socket', 'fork', 'exec', 'executable memory', 'kill', 'own',
           'making a ring', 'changing a ring', 'a ring that was passed']
LIES = ['nonsense', 'empty', 'list', 'nothing', 'pid', 'uid', 'name', 'message', 'event',
        'description', 'vectors', 'signalled', 'policy', 'reset', 'no records', 'record', 'isolation',
        'memory', 'no bytes',
        'half a quota', 'address', 'direction', 'map of numbers', 'map of letters', 'long map',
        'short map', 'no map', 'depth', 'endless', 'end']


@pytest.fixture
def traitor(start, directory):
    """A vfiod whose device does forbidden things on request."""
    return start('--device', BUILD / 'tests' / 'cli' / 'escape.so', '--socket-path',
                 directory / 's').wait_ready()


def betray(vfiod, path, register, number):
    """Let the device do number, which has to be its end; returns what the log says of it."""
    logged = len(vfiod.log())
    with connect(path) as client:
        client.enable_memory()
        assert client.read(BAR0, 0, 4) == 0x1234
        with pytest.raises((AssertionError, ConnectionError)):
            client.write(BAR0, register, 4, number)
            assert not client.socket.recv(1)
            client.read(BAR0, 0, 4)
    assert wait_for(lambda: 'starting it again' in vfiod.log()[logged:])
    assert hello(path) == 0
    return vfiod.log()[logged:]


@pytest.mark.parametrize('number', range(len(ESCAPES)), ids=ESCAPES)
@pytest.mark.parametrize('register', [0, 4], ids=['itself', 'a thread'])
def test_sandbox(traitor, directory, sanitizers, register, number):
    if sanitizers != 'none':
        pytest.skip('this build has a sanitizer, and so no system-call filter')
    assert 'sandbox violation' in betray(traitor, directory / 's', register, number)


def test_crash_is_no_sandbox_violation(traitor, directory, sanitizers):
    if sanitizers != 'none':
        pytest.skip('a sanitizer reports the crash itself')
    log = betray(traitor, directory / 's', 0, len(ESCAPES))
    assert 'was killed by signal 6' in log and 'sandbox' not in log


@pytest.mark.parametrize('number', [1, 2], ids=['a thread begins', 'a disk writes'])
def test_what_the_sandbox_lets_pass(traitor, directory, number):
    with connect(directory / 's') as client:
        client.enable_memory()
        client.write(BAR0, 0, 4, len(ESCAPES) + number)
        assert client.read(BAR0, 0, 4) == 0x1234


def ask(vfiod):
    """Question number 1."""
    with vfiod.control() as control:
        assert 'error' not in control.call('describe', device=only(vfiod)['name'])


def test_device_process_that_repeats_itself(traitor, directory):
    pid = only(traitor)['pid']
    ask(traitor)
    with connect(directory / 's') as client:
        client.enable_memory()
        client.write(BAR0, 12, 4, 0)
        assert client.read(BAR0, 0, 4) == 0x1234
    ask(traitor)
    assert only(traitor)['pid'] == pid


@pytest.mark.parametrize('number', range(len(LIES)), ids=LIES)
def test_device_process_that_lies(traitor, directory, number):
    ask(traitor)
    log = betray(traitor, directory / 's', 8, number)
    assert 'killed by signal 9' in log or 'exit status 0' in log
    assert ('sent nonsense' in log) == (LIES[number] != 'end')
