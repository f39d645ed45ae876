# SPDX-License-Identifier: MIT
"""The side channel of served devices: vfiod's log, its control socket, and lsvfio."""

import json
import os
import re
import subprocess

import pytest

from conftest import wait_for
from lsvfio import LSVFIO
from vfiod_client import CONFIG, NOBODY, as_user, connect, needs_root
from vfiod_probe import MALFORMED, PROBE, configuration, describe

READ_ONLY, VENDOR, DEVICE = 307, 0, 2
RESET = 13                  # the command of the wire


@pytest.fixture
def client(edu, directory):
    with connect(directory / 'edu.sock') as client:
        yield client


def records(vfiod):
    return describe(vfiod, 'edu')['records']


def lsvfio(vfiod, *arguments):
    """What lsvfio prints that sees this vfiod and no other."""
    env = dict(os.environ, LC_ALL='C.UTF-8',
               VFIOD_RUNTIME_DIR=str(vfiod.directory / 'run') if vfiod else '/nonexistent')
    done = subprocess.run([LSVFIO, *map(str, arguments)], env=env, capture_output=True, text=True,
                          timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    return done.stdout


def lsvfio_json(vfiod, *arguments):
    device, = json.loads(lsvfio(vfiod, '--json', *arguments))['devices']
    return device


def test_more_records_than_are_kept_are_told(start, directory):
    """One message makes more than the device keeps: the log says that some are missing."""
    build = os.environ['VFIO_BUILD']
    path = directory / 'express.sock'
    vfiod = start('--device', 'express', '--socket-path', path,
                  VFIO_DEVICE_PATH=f'{build}/tests/cli').wait_ready()
    with connect(path) as client:
        client.write(CONFIG, 0, 4096, (1 << 8 * 4096) - 1)
        client.write(CONFIG, VENDOR, 2, 0xffff)
    wait_for(lambda: 'records were too many to log' in vfiod.log())
    wait_for(lambda: 'has gone' in vfiod.log())


# ---- the log and the control socket -----------------------------------------------------------

def test_a_lost_write_is_told_once(edu, client):
    assert records(edu) == []
    client.write(CONFIG, VENDOR, 2, 0xffff)
    record, = records(edu)
    assert list(record) == ['code', 'who', 'errno', 'text', 'remedy']
    assert (record['code'], record['who']) == (READ_ONLY, 'virtual function')
    assert record['text']
    for _ in range(3):
        assert records(edu) == [record], 'a look took something away'
    client.read(CONFIG, VENDOR, 2)
    lines = [line for line in edu.log().splitlines() if 'VFIO-307' in line]
    assert len(lines) == 1
    assert lines[0].startswith('vfiod: edu: VFIO-307: ' + record['text'])
    assert '(virtual function)' in lines[0]


def test_records_come_in_order_and_outlive_the_client(edu, client):
    for offset in (VENDOR, DEVICE):
        client.write(CONFIG, offset, 2, 0xffff)
    assert [bool(re.search(r' at 0\b', record['text'])) for record in records(edu)] == \
        [True, False]
    client.socket.close()
    assert wait_for(lambda: not edu.device()['client'])
    assert [record['code'] for record in records(edu)] == [READ_ONLY] * 2


def test_the_last_records_are_kept(edu, client):
    for number in range(100):
        client.write(CONFIG, number % 2 * 2 + (0 if number < 90 else 8), 2, 0xffff)
    offsets = [re.search(r' at (0x[0-9a-f]+|0)\b', record['text'])[1] for record in records(edu)]
    assert offsets == ['0', '0x2'] * 27 + ['0x8', '0xa'] * 5


def test_what_happens_again_and_again_is_one_record(edu, client):
    for _ in range(7):
        client.write(CONFIG, VENDOR, 2, 0xffff)
    record, = records(edu)
    assert '7 times' in record['text']
    assert edu.log().count('VFIO-307') == 1


def test_what_a_client_causes_is_logged_with_measure(edu, client):
    for number in range(1400):
        client.write(CONFIG, (VENDOR, DEVICE)[number % 2], 2, 0xffff)
    logged = edu.log().count('VFIO-307')
    assert 900 < logged < 1400
    assert edu.device()['restarts'] == 0


@needs_root
def test_records_are_for_those_who_may_use_the_device(edu, client):
    client.write(CONFIG, VENDOR, 2, 0xffff)

    def look():
        with edu.control() as control:
            return control.call('describe', device='edu')

    assert as_user(NOBODY, look)['error'] == 'NoSuchDevice'


def test_text_that_is_not_utf_8(start, directory):
    vfiod = start('--config', configuration(directory, 'malformed = refuse', device=MALFORMED))
    assert vfiod.process.wait(20) == 1
    assert 'malf?rmed is malformed' in vfiod.log()


def test_resets_are_counted(edu, client):
    before = describe(edu, 'edu')['reset']['count']
    error, _ = client.call(RESET, b'')
    assert error == 0
    assert describe(edu, 'edu')['reset'] == {'methods': ['device'], 'others': 0,
                                             'count': before + 1, 'last': 0}


# ---- lsvfio -----------------------------------------------------------------------------------

def test_lsvfio_errors(edu, client, directory):
    title = f'edu: served by vfiod {edu.process.pid}, unix:{directory}/edu.sock'
    assert lsvfio(edu, '--errors') == f'{title}\nno records\n'
    client.write(CONFIG, VENDOR, 2, 0xffff)
    record, = records(edu)
    for names in ([], ['edu']):
        heading, columns, *lines = lsvfio(edu, '--errors', *names).splitlines()
        assert (heading, columns.split()) == (title, ['CODE', 'WHO', 'ERRNO', 'TEXT'])
        assert re.fullmatch(r'VFIO-307 virtual function [A-Z]+ +' + re.escape(record['text']),
                            lines[0])
        assert lsvfio_json(edu, '--errors', *names)['records'] == [record]
    assert lsvfio_json(edu, 'edu')['records'] == [record]
    assert 'records        1, which --errors prints\n' in lsvfio(edu, 'edu')


def test_lsvfio_shows_policy_and_vectors(start, directory):
    vfiod = start('--config', configuration(directory, 'vectors = 3', 'at-close = reset'))
    vfiod.wait_ready()
    assert re.search(r'^reset +device$', lsvfio(vfiod, 'dev'), re.MULTILINE)
    with connect(directory / 's') as client:
        assert client.call(RESET, b'')[0] == 0
    text = lsvfio(vfiod, 'dev')
    assert re.findall(r'^policy +(.*)$', text, re.MULTILINE) == ['vectors = 3']
    assert re.search(r'^ +1 MSI +8, 3 granted ', text, re.MULTILINE)
    assert re.search(r'^ +0 INTx +1 ', text, re.MULTILINE)
    assert re.search(r'^reset +device; \d+ done$', text, re.MULTILINE)
    full = lsvfio_json(vfiod, 'dev')
    description = describe(vfiod)
    assert full['policy'] == description['policy'] and len(full['policy']) > 3
    assert full['reset'] == description['reset']
    assert full['irqs'] == description['irqs']


def test_lsvfio_of_a_device_in_its_own_process():
    full = lsvfio_json(None, PROBE)
    assert full['policy']['vectors'] == 'all' and full['records'] == []
    assert full['reset']['methods'][0] == 'device'
    assert full['irqs'][1]['vectors'] == {'advertised': 8, 'granted': 8}
    assert lsvfio(None, '--errors', PROBE) == \
        f"{PROBE}: a new device, made in lsvfio's own process\nno records\n"


def test_lsvfio_says_whose_device_it_is(edu, directory):
    """"edu" is the name of one, and the device string of another."""
    for options in ([], ['--config-map'], ['--errors']):
        title = lsvfio(edu, *options, 'edu').splitlines()[0]
        assert title == f'edu: served by vfiod {edu.process.pid}, unix:{directory}/edu.sock'
        title = lsvfio(None, '--no-vfiod', *options, 'edu').splitlines()[0]
        assert title == "edu: a new device, made in lsvfio's own process"


def test_lsvfio_as_a_client(start, directory):
    path = directory / 's'
    start('--config', configuration(directory, 'vectors = 3')).wait_ready()
    with connect(path) as client:
        client.write(CONFIG, VENDOR, 2, 0xffff)
    full = lsvfio_json(None, f'unix:{path}')
    assert full['policy'] is None, 'a policy is told by vfiod, and not over the wire'
    assert full['irqs'][1]['vectors'] == {'advertised': 8, 'granted': 3}
    assert full['reset']['methods'][0] == 'device'
    assert full['records'] == [], 'what another client did is not told over the wire'
    assert lsvfio(None, '--errors', f'unix:{path}') == \
        f'unix:{path}: opened by lsvfio as its client\nno records\n'
