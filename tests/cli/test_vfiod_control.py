# SPDX-License-Identifier: MIT
"""vfiod: the control socket."""

import contextlib
import grp
import os
import pwd
import re
import signal
import socket
import struct
import time

import pytest

from vfiod_client import (BAR0, CONFIG, DAEMON, NOBODY, as_user, connect, needs_root, permissions,
                          run)


# ---- the control socket ----------------------------------------------------------------------

def test_control_socket_permissions(edu):
    assert permissions(edu.control_path)[2] == 0o666
    assert permissions(edu.control_path.parent)[2] == 0o755


def test_runtime_directory_of_somebody_else(directory):
    (directory / 'run').mkdir()
    (directory / 'run').chmod(0o777)
    done = run('--device', 'edu', '--socket-path', directory / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and '--control' in done.stderr
    assert not (directory / 's').exists()


def test_control_path(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', '--control',
                  directory / 'here').wait_ready()
    vfiod.control_path = directory / 'here'
    assert vfiod.device()['state'] == 'ready'
    assert vfiod.stop() == 0
    assert not (directory / 'here').exists() and not (directory / 'run').exists()


def test_list(edu, directory):
    with edu.control() as control:
        parameters = control.call('list')['parameters']
    assert parameters['vfiod'] == {'pid': edu.process.pid, 'tainted': None,
                                   'version': run('-V').stdout.split()[1]}
    device, = parameters['devices']
    assert re.fullmatch(r'\d+', str(device.pop('pid')))
    assert device == {
        'name': 'edu', 'device': 'edu', 'socket': f'{directory}/edu.sock',
        'owner': pwd.getpwuid(os.getuid()).pw_name, 'group': grp.getgrgid(os.getgid()).gr_name,
        'mode': '0600', 'unsafe': False, 'tainted': None, 'state': 'ready', 'restarts': 0, 'client': None}


def test_describe(edu):
    with edu.control() as control:
        parameters = control.call('describe', device='edu')['parameters']
    assert parameters['device'] == edu.device()
    description = parameters['description']
    assert list(description) == ['backend', 'flags', 'isolation', 'regions', 'irqs', 'config',
                                 'fault', 'dma', 'policy', 'reset', 'records']
    assert description['isolation'] == {'dma': 'software', 'interrupts': 'software'}
    assert description['backend'] == 'inprocess'
    assert description['flags'] == ['reset', 'pci']
    assert [r['name'] for r in description['regions']] == \
        ['BAR0', 'BAR1', 'BAR2', 'BAR3', 'BAR4', 'BAR5', 'ROM', 'config', 'VGA']
    assert description['regions'][0] == {'index': 0, 'name': 'BAR0', 'size': 1 << 20,
                                         'flags': ['read', 'write'], 'areas': []}
    assert description['regions'][1] == {'index': 1, 'name': 'BAR1', 'size': 0, 'flags': [],
                                         'areas': []}
    assert [i['name'] for i in description['irqs']] == ['INTx', 'MSI', 'MSI-X', 'ERR', 'REQ']
    assert (description['irqs'][0]['count'], description['irqs'][1]['count']) == (1, 1)
    assert 'eventfd' in description['irqs'][0]['flags']
    assert bytes.fromhex(description['config'])[:4] == b'\x34\x12\xe8\x11'
    assert len(description['config']) == 2 * description['regions'][7]['size']
    assert description['fault'] is None
    assert description['dma'] == {'maps': {'advertised': 1 << 20, 'granted': 1 << 20, 'used': 0},
                                  'bytes': {'advertised': None, 'granted': None, 'used': 0},
                                  'list': [], 'more': 0}
    assert description['irqs'][1]['vectors'] == {'advertised': 1, 'granted': 1}
    assert [irq['signalled'] for irq in description['irqs']] == [[]] * 5
    assert description['policy']['view'] == 'virtual'
    assert description['reset'] == {'methods': ['device'], 'others': 0, 'last': 0,
                                    'count': description['reset']['count']}
    assert description['records'] == []


def test_describe_with_map(edu):
    """Only who asks gets it; each of its strings has eight digits for each four bytes."""
    with edu.control() as control:
        parameters = control.call('describe', device='edu', map=True)['parameters']
        for other in ({}, {'map': False}, {'map': None}, {'map': 'true'}):
            assert list(control.call('describe', device='edu', **other)['parameters']) == \
                ['device', 'description']
    assert list(parameters) == ['device', 'description', 'map']
    config = parameters['description']['config']
    assert list(parameters['map']) == ['structure', 'virtual', 'writable', 'cleared', 'trapped',
                                       'refused', 'raw']
    for digits in parameters['map'].values():
        assert re.fullmatch('[0-9a-f]+', digits) and len(digits) == len(config)
    assert parameters['map']['raw'][:8] == '11e81234'
    assert parameters['map']['structure'][0x40 * 2:0x40 * 2 + 8] == '00400005'


def test_two_ask_at_once_and_one_for_the_map(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    with edu.control() as plain, edu.control() as curious:
        plain.send(b'{"method": "describe", "parameters": {"device": "edu"}}\n')
        edu.device()
        curious.send(b'{"method": "describe", "parameters": {"device": "edu", "map": true}}\n')
        edu.device()
        os.kill(pid, signal.SIGCONT)
        assert 'map' not in plain.reply()['parameters']
        assert curious.reply()['parameters']['map']['raw'][:8] == '11e81234'


def test_describe_changes_nothing(edu, directory):
    with connect(directory / 'edu.sock') as client, edu.control() as control:
        client.enable_memory()
        client.write(BAR0, 4, 4, 0x12345678)
        config = control.call('describe', device='edu')['parameters']['description']['config']
        assert config[8:12] == '0600', 'not the device that the client uses'
        assert client.read(BAR0, 4, 4) == 0xedcba987
        assert client.read(CONFIG, 4, 2) == 6


@needs_root
def test_users_see_only_what_they_may_use(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[mine]\ndevice = edu\nsocket = {directory}/1.sock\nowner = nobody\n'
                      f'[roots]\ndevice = edu\nsocket = {directory}/2.sock\n'
                      f'[daemons]\ndevice = edu\nsocket = {directory}/3.sock\ngroup = daemon\n',
                      encoding='utf-8')
    vfiod = start('--config', config).wait_ready()

    def look():
        with vfiod.control() as control:
            return [control.call('describe', device='roots')['error'],
                    list(control.call('describe', device='mine')['parameters']), *vfiod.devices()]

    both = ['device', 'description']
    assert as_user(NOBODY, look) == ['NoSuchDevice', both, 'mine']
    assert as_user(NOBODY, look, [DAEMON.pw_gid]) == ['NoSuchDevice', both, 'mine', 'daemons']
    assert list(vfiod.devices()) == ['mine', 'roots', 'daemons']
    with vfiod.control() as control:
        absent = control.call('describe', device='nonsense')
    assert absent == {'error': 'NoSuchDevice',
                      'parameters': {'message': "no device is called 'nonsense'"}}


@pytest.mark.parametrize('line, error', [
    (b'', 'BadRequest'),
    (b'nonsense', 'BadRequest'),
    (b'[]', 'BadRequest'),
    (b'"list"', 'BadRequest'),
    (b'{}', 'BadRequest'),
    (b'{"method": 1}', 'BadRequest'),
    (b'{"method": "list"} x', 'BadRequest'),
    (b'{"method": "list"', 'BadRequest'),
    (b'{"method": "list", "x": "\xff"}', 'BadRequest'),
    (b'{"method": "list"}\0', 'BadRequest'),
    (b'{"method": "list", "x": ' + b'[' * 1000 + b']' * 1000 + b'}', 'BadRequest'),
    (b'{"method": "reset"}', 'UnknownMethod'),
    (b'{"method": "' + '\u00e9'.encode() * 1000 + b'"}', 'UnknownMethod'),
    (b'{"method": "describe"}', 'BadRequest'),
    (b'{"method": "describe", "parameters": []}', 'BadRequest'),
    (b'{"method": "describe", "parameters": {"device": null}}', 'BadRequest'),
    (b'{"method": "describe", "parameters": {"device": ""}}', 'NoSuchDevice'),
], ids=lambda value: repr(value)[:40])
def test_bad_requests(edu, line, error):
    with edu.control() as control:
        control.send(line + b'\n')
        reply = control.reply()
        assert reply['error'] == error
        assert reply['parameters']['message']
        # Only that request was bad.
        assert 'parameters' in control.call('list')


def test_request_too_long(edu):
    with edu.control() as control:
        control.send(b'{"method": "list", "x": "' + b'x' * 4200)
        assert control.reply()['error'] == 'BadRequest'
        with pytest.raises((ConnectionError, AssertionError)):
            assert control.reply() is not None
    assert edu.device()['state'] == 'ready'


def test_requests_in_any_pieces(edu):
    with edu.control() as control:
        for byte in b'{"method": "list"}\n':
            control.send(bytes([byte]))
            time.sleep(0.001)
        assert 'devices' in control.reply()['parameters']
        control.send(b'{"method": "list"}\n' * 50 + b'{"method": "x"}\n')
        for _ in range(50):
            assert 'devices' in control.reply()['parameters']
        assert control.reply()['error'] == 'UnknownMethod'


def test_requests_before_the_end_are_answered(edu):
    with edu.control() as control:
        control.send(b'{"method": "list"}\n'
                     b'{"method": "describe", "parameters": {"device": "edu"}}\n'
                     b'{"method": "li')
        control.socket.shutdown(socket.SHUT_WR)
        assert 'devices' in control.reply()['parameters']
        assert 'description' in control.reply()['parameters']
        assert control.reply() is None


def test_client_that_does_not_read_stalls_nobody(edu):
    with edu.control() as lazy:
        lazy.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                lazy.send(b'{"method": "list"}\n' * 100)
        began = time.monotonic()
        assert edu.device()['state'] == 'ready'
        assert time.monotonic() - began < 1


def test_full_house_makes_room(edu):
    crowd = [edu.control() for _ in range(40)]
    assert 'parameters' in crowd[-1].call('list')
    began = time.monotonic()
    assert edu.device()['state'] == 'ready'
    assert time.monotonic() - began < 1
    assert crowd[0].reply() is None
    for client in crowd:
        client.__exit__()


@needs_root
def test_one_user_cannot_crowd_out_another(edu):
    with edu.control() as mine:
        assert as_user(NOBODY, lambda: len([edu.control() for _ in range(60)])) == 60
        assert 'parameters' in mine.call('list')


def test_silent_client_is_dropped(edu):
    with edu.control() as silent:
        began = time.monotonic()
        assert silent.reply() is None
        assert 9 < time.monotonic() - began < 13


def test_describe_of_a_device_that_does_not_answer(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    with edu.control() as control, edu.control() as other:
        began = time.monotonic()
        control.send(b'{"method": "describe", "parameters": {"device": "edu"}}\n')
        assert other.call('list')['parameters']['devices'][0]['state'] == 'ready'
        assert time.monotonic() - began < 1
        assert control.reply()['error'] == 'NotReady'
        assert 1.8 < time.monotonic() - began < 4
        os.kill(pid, signal.SIGCONT)
        # The late answer is not taken for that of the next question.
        assert 'description' in control.call('describe', device='edu')['parameters']
    assert edu.device()['restarts'] == 0


def test_describe_ends_with_the_device_process(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    with edu.control() as control:
        control.send(b'{"method": "describe", "parameters": {"device": "edu"}}\n')
        edu.device()
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        assert control.reply()['error'] == 'NotReady'
        assert time.monotonic() - began < 1


def lingering_socket():
    """A socket whose last close waits for a peer that never reads."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(bytes(65536))
    one.setblocking(True)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 1000))
    return one, other


def test_descriptor_whose_close_lingers_stalls_nobody(edu):
    one, other = lingering_socket()
    with edu.control() as hostile, other:
        # Replies that are not read keep vfiod from reading, until the only copy is in the queue.
        hostile.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                hostile.socket.send(b'{"method":"list"}\n')
                time.sleep(0.0001)
        hostile.socket.setblocking(True)
        hostile.socket.recv(1024)
        socket.send_fds(hostile.socket, [b'\n'], [one.fileno()])
        one.close()
        hostile.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while hostile.socket.recv(65536):
                pass
        began = time.monotonic()
        assert edu.device()['state'] == 'ready'
        assert time.monotonic() - began < 2
        assert edu.stop() == 0
