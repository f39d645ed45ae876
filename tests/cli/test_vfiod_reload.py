# SPDX-License-Identifier: MIT
"""vfiod: SIGHUP, and what changes while clients are served."""

import os
import signal

import pytest

from conftest import is_alive, wait_for
from vfiod_probe import (MALFORMED, PROBE, configuration, connect, describe, disable, enable, fires,
                         wait_until_free, wire)


@pytest.fixture
def serve(start, directory):
    """Starts vfiod with these lines in the section of the device."""
    def server(*keys, **options):
        return start('--config', configuration(directory, *keys, **options)).wait_ready()
    return server


def hang_up(vfiod, end='was read again'):
    """Send SIGHUP; returns what the log says of it."""
    logged = len(vfiod.log())
    vfiod.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: end in vfiod.log()[logged:]), vfiod.log()[logged:]
    return vfiod.log()[logged:]


def policy(vfiod, key):
    return describe(vfiod)['policy'][key]


def test_nothing_has_changed(serve):
    vfiod = serve('vectors = 3')
    pid = vfiod.device('dev')['pid']
    assert '0 policies changed, 0 other changes' in hang_up(vfiod)
    assert (policy(vfiod, 'vectors'), vfiod.device('dev')['pid']) == ('3', pid)


def test_vectors_hold_from_the_next_request(serve, directory):
    vfiod = serve()
    with connect(directory) as client:
        client.bus_master()
        fds = enable(client, 8)
        configuration(directory, 'vectors = 3')
        assert '1 policy changed, 0 other' in hang_up(vfiod)
        assert describe(vfiod)['irqs'][wire.MSI]['vectors'] == {'advertised': 8, 'granted': 3}
        assert [fires(client, vector, fd) for vector, fd in enumerate(fds)] == [True] * 8, \
            'interrupts that were enabled were taken away'
        disable(client)
        assert enable(client, 8) == 'ENOSPC'
        fds = enable(client, 3)
        assert all(fires(client, vector, fd) for vector, fd in enumerate(fds))
        disable(client)
        configuration(directory)
        hang_up(vfiod)
        assert len(enable(client, 8)) == 8, 'the limit is still there'


def test_others_wait_for_the_client_to_go(serve, directory):
    vfiod = serve()
    pid = vfiod.device('dev')['pid']
    with connect(directory) as client:
        client.put(wire.BAR0, 0x100, 0x12345678)
        configuration(directory, 'hide = MSI-X', 'vectors = 2')
        assert '2 policies changed' in hang_up(vfiod)
        assert wait_for(lambda: 'policy hide = MSI-X will hold when the client has gone' in
                        vfiod.log())
        assert (policy(vfiod, 'hide'), policy(vfiod, 'vectors')) == ('none', '2')
        assert client.get(wire.BAR0, 0x100) == 0x12345678, 'the device was reset under its client'
    wait_until_free(vfiod)
    assert wait_for(lambda: policy(vfiod, 'hide') == 'MSI-X')
    assert 'policy hide = MSI-X holds from now on' in vfiod.log()
    assert describe(vfiod)['irqs'][wire.MSIX]['count'] == 0
    assert vfiod.device('dev')['pid'] == pid


def test_change_that_was_taken_back_before_it_held(serve, directory):
    vfiod = serve()
    with connect(directory):
        configuration(directory, 'hide = MSI-X')
        hang_up(vfiod)
        configuration(directory)
        assert '1 policy changed' in hang_up(vfiod)
    wait_until_free(vfiod)
    with connect(directory):
        assert policy(vfiod, 'hide') == 'none'


def test_without_a_client_all_hold_at_once(serve, directory):
    vfiod = serve('vectors = 3', common=['at-close = keep'])
    configuration(directory, 'view = filtered', common=['hidden = zero'])
    assert '4 policies changed' in hang_up(vfiod)
    assert wait_for(lambda: policy(vfiod, 'view') == 'filtered')
    assert [policy(vfiod, key) for key in ('hidden', 'vectors', 'at-close')] == \
        ['zero', 'all', 'reset']


def test_a_new_process_begins_with_what_was_changed(serve, directory):
    vfiod = serve()
    configuration(directory, 'vectors = 3')
    hang_up(vfiod)
    os.kill(vfiod.device('dev')['pid'], signal.SIGKILL)
    assert wait_for(lambda: (vfiod.device('dev')['restarts'], vfiod.device('dev')['state']) ==
                    (1, 'ready'))
    assert policy(vfiod, 'vectors') == '3'


def test_a_device_that_refuses_keeps_what_held(serve, directory):
    vfiod = serve(device=MALFORMED)
    configuration(directory, 'malformed = refuse', device=MALFORMED)
    hang_up(vfiod)
    assert wait_for(lambda: 'policy malformed = refuse is refused' in vfiod.log())
    assert 'VFIO-608' in vfiod.log()
    assert policy(vfiod, 'malformed') == 'serve'
    assert is_alive(vfiod.device('dev')['pid'])


@pytest.mark.parametrize('lines', [['vectors = 3', 'colour = red'], ['vectors = few'],
                                   ['vectors = 3', '[bad name]']])
def test_a_bad_file_changes_nothing(serve, directory, lines):
    vfiod = serve('vectors = 5')
    configuration(directory, *lines)
    log = hang_up(vfiod, 'nothing is changed')
    assert 'vfiod.conf:' in log and ' 1 error' in log
    assert policy(vfiod, 'vectors') == '5'
    configuration(directory, 'vectors = 3')
    hang_up(vfiod)
    assert wait_for(lambda: policy(vfiod, 'vectors') == '3')


def test_a_file_that_is_gone_changes_nothing(serve, directory):
    vfiod = serve()
    (directory / 'vfiod.conf').unlink()
    assert 'No such file' in hang_up(vfiod, 'nothing is changed')
    assert vfiod.device('dev')['state'] == 'ready'


def test_what_takes_a_restart_is_named(serve, directory):
    vfiod = serve('mode = 0600', common=['timeout = 4000'])
    before = vfiod.device('dev')
    configuration(directory, 'mode = 0666', 'owner = 12345', '[new]', 'device = edu',
                  f'socket = {directory}/new.sock', device='edu',
                  common=['user = daemon', 'audit = off'])
    log = hang_up(vfiod)
    assert '0 policies changed, 7 other changes that take a restart' in log
    assert "vfiod: timeout is not set in the file now" in log and 'it stays \'4000\'' in log
    assert "vfiod: user is 'daemon' in the file now" in log and 'it stays unset' in log
    assert f"vfiod: dev: device is 'edu' in the file now" in log and f"stays '{PROBE}'" in log
    assert "vfiod: dev: mode is '0666' in the file now" in log and "stays '0600'" in log
    assert 'vfiod: dev: owner is ' in log
    assert "vfiod: dev: audit is 'off' in the file now" in log
    assert 'vfiod: new: its section is new in the file' in log
    assert vfiod.devices() == {'dev': before}
    assert not (directory / 'new.sock').exists()


def test_a_section_that_is_gone(serve, directory):
    vfiod = serve('vectors = 3')
    path = directory / 'vfiod.conf'
    path.write_text(path.read_text(encoding='utf-8').replace('[dev]', '[other]'), encoding='utf-8')
    log = hang_up(vfiod)
    assert 'dev: its section is no longer in the file' in log and 'other: its section is new' in log
    assert policy(vfiod, 'vectors') == '3'


def test_the_same_in_other_words_is_no_change(serve, directory):
    vfiod = serve('mode = 0600', f'owner = {os.getuid()}', 'vectors = 3')
    configuration(directory, 'mode = 600', common=['vectors = 3'])
    assert '0 policies changed, 0 other' in hang_up(vfiod)


def test_a_device_that_was_given_up(start, directory):
    config = configuration(directory, 'malformed = refuse', device=MALFORMED)
    with open(config, 'a', encoding='utf-8') as file:
        file.write(f'[good]\ndevice = edu\nsocket = {directory}/good.sock\n')
    vfiod = start('--config', config).wait_ready()
    configuration(directory, device=MALFORMED)
    assert 'it was given up, and takes a restart' in hang_up(vfiod)


def test_control_of_the_command_line_is_no_change(start, directory):
    config = configuration(directory, common=[f'control = {directory}/a'])
    vfiod = start('--config', config, '--control', directory / 'b').wait_ready()
    assert '0 other changes' in hang_up(vfiod)
    assert (directory / 'b').exists() and not (directory / 'a').exists()


def test_without_a_file_it_is_the_terminal_s_end(start, directory):
    # Whoever runs this test may have it ignored, as nohup(1) does.
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', popen={
        'preexec_fn': lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)}).wait_ready()
    vfiod.process.send_signal(signal.SIGHUP)
    assert vfiod.process.wait(10) == 0
    assert not (directory / 's').exists()


def test_nohup(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', popen={
        'preexec_fn': lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}).wait_ready()
    vfiod.process.send_signal(signal.SIGHUP)
    vfiod.process.send_signal(signal.SIGHUP)
    assert vfiod.device()['state'] == 'ready'
    assert vfiod.stop() == 0
    assert 'signal 1 ' not in vfiod.log()


def test_many_in_a_row(serve, directory):
    vfiod = serve()
    with connect(directory) as client:
        for number in range(1, 30):
            configuration(directory, f'vectors = {number}',
                          f'hidden = {("raw", "zero")[number % 2]}')
            vfiod.process.send_signal(signal.SIGHUP)
            client.get(wire.CONFIG, 0)
        hang_up(vfiod)
        assert wait_for(lambda: policy(vfiod, 'vectors') == '29')
    wait_until_free(vfiod)
    assert wait_for(lambda: policy(vfiod, 'hidden') == 'zero')
    assert vfiod.device('dev')['restarts'] == 0


def test_while_it_ends(serve):
    vfiod = serve()
    pid = vfiod.device('dev')['pid']
    os.kill(pid, signal.SIGSTOP)
    vfiod.process.send_signal(signal.SIGTERM)
    vfiod.wait_notified('STOPPING=1')
    vfiod.process.send_signal(signal.SIGHUP)
    assert vfiod.process.wait(10) == 0
    assert 'asked again' not in vfiod.log() and 'was read again' not in vfiod.log()
