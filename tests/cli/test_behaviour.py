# SPDX-License-Identifier: MIT
"""Behaviour versions: what was recorded of an old one replays, bit for bit."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from behaviour import sections_of
from behaviour_plan import PLANS
from behaviour_script import Script
from conftest import BUILD
from lsvfio import SOURCE

PROGRAM = SOURCE / 'tests' / 'cli' / 'behaviour.py'
DATA = SOURCE / 'tests' / 'data' / 'behaviour'
MANUAL = SOURCE / 'man' / 'libvfio.7.rst'
MODULES = {'edu': BUILD / 'devices' / 'edu', 'probe': BUILD / 'tests' / 'wire'}
COMPILER = shlex.split(os.environ.get('CC', 'cc'))
VERSIONS = sorted({int(path.stem.split('-')[1]) for path in DATA.glob('*.trace')})
NEWEST = VERSIONS[-1]
# Sections that ask for what no message can carry.
FOR_PROCESSES = {'bad descriptors', 'point 2: no eventfd for more MSI vectors',
                 'point 2: bad descriptor for more MSI vectors',
                 'point 2: bad descriptor to re-arm INTx'}


@pytest.fixture
def behaviour(sanitizers):
    """Runs behaviour.py; with the runtime of AddressSanitizer if the library needs it."""
    environment = {**os.environ, 'VFIO_BUILD': str(BUILD),
                   'VFIO_DEVICE_PATH': ':'.join(map(str, MODULES.values()))}
    if 'thread' in sanitizers:
        pytest.skip('the runtime of ThreadSanitizer cannot be loaded into this process')
    if sanitizers != 'none':
        found = subprocess.run([*COMPILER, '-print-file-name=libasan.so'], capture_output=True,
                               text=True, check=True)
        environment['LD_PRELOAD'] = found.stdout.strip()
        if not os.path.isabs(environment['LD_PRELOAD']):
            pytest.skip('this compiler has no such runtime')
        environment['ASAN_OPTIONS'] = 'detect_leaks=0:abort_on_error=1'     # Python itself leaks

    def runner(*arguments):
        return subprocess.run([sys.executable, '-B', PROGRAM, *map(str, arguments)], timeout=150,
                              capture_output=True, text=True, check=False, env=environment)
    return runner


def trace(device, version):
    return DATA / f'{device}-{version}.trace'


def read(device, version):
    """Sections of a recording: name, and number, request and result of each line."""
    return sections_of(trace(device, version).read_text(encoding='ascii').splitlines())


def points(device, version):
    """What the recordings show to be different from this version on."""
    return {name for name, _ in read(device, NEWEST) if name.startswith(f'point {version}: ')}


def sections_in(output):
    """The sections in which a replay found differences."""
    return set(re.findall(r'^[\w.-]+:\d+: \[(.*?)\] ', output, re.MULTILINE))


def expect_the_same(done):
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


# ---- recordings ------------------------------------------------------------------------------

@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('device', PLANS)
def test_recording_replays(behaviour, device, version):
    expect_the_same(behaviour('replay', f'{version}:{trace(device, version)}'))


@pytest.mark.parametrize('device', PLANS)
def test_latest_is_the_newest(behaviour, device):
    expect_the_same(behaviour('replay', trace(device, NEWEST)))
    expect_the_same(behaviour('replay', f'{NEWEST}:{trace(device, NEWEST)}'))


@pytest.mark.parametrize('version', VERSIONS[:-1])
@pytest.mark.parametrize('device', PLANS)
def test_versions_differ_at_the_points_and_nowhere_else(behaviour, device, version):
    done = behaviour('replay', f'{version + 1}:{trace(device, version)}')
    assert done.returncode == 1
    assert sections_in(done.stdout) == points(device, version + 1) != set()


@pytest.mark.parametrize('device', PLANS)
def test_script_asks_what_was_recorded(device):
    """So that the program that is here is the one that recorded them."""
    script = dict(Script(device).all())
    for version in VERSIONS:
        for name, lines in read(device, version):
            assert [request for _, request, _ in lines] == script[name], (version, name)
    assert set(script) == {name for name, _ in read(device, NEWEST)}


@pytest.mark.parametrize('device', PLANS)
def test_recording_is_repeatable(behaviour, device):
    done = behaviour('record', '--behaviour', NEWEST, device)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == trace(device, NEWEST).read_text(encoding='ascii')


def test_manual_lists_the_points():
    section = MANUAL.read_text(encoding='utf-8').split('\nBEHAVIOUR VERSIONS\n', 1)[1]
    section = section.split('\n====')[0]
    headings = re.split(r'^Version (\d+)\n-+\n', section, flags=re.MULTILINE)[1:]
    listed = {int(version): re.findall(r'^\*(.+)\*\n    ', text, re.MULTILINE)
              for version, text in zip(headings[::2], headings[1::2])}
    assert list(listed) == VERSIONS
    for version, names in listed.items():
        assert len(names) == len(set(names))
        assert {f'point {version}: {name}' for name in names} == \
            set().union(*(points(device, version) for device in PLANS))


# ---- the program sees differences ------------------------------------------------------------

@pytest.mark.parametrize('line, wrong', [
    ('R 0 4 = ', '11e81235'), ('X = ', '-22'), ('E all = e0 ', '2'), ('Q 1 = ', '2 9'),
    ('B 0 0 4 = ', '010000ee'), ('S 0 24 0 1 24 e0 = ', '-22'), ('D 10000 8 = ', '0'),
])
def test_one_wrong_answer_is_seen(behaviour, directory, line, wrong):
    text = trace('edu', NEWEST).read_text(encoding='ascii')
    changed = re.sub(f'^{re.escape(line)}.*$', line + wrong, text, count=1, flags=re.MULTILINE)
    assert changed != text
    path = directory / 'wrong.trace'
    path.write_text(changed, encoding='ascii')
    done = behaviour('replay', path)
    assert done.returncode == 1
    (difference,) = done.stdout.splitlines()
    assert line + wrong + ', now ' in difference


def test_recording_that_breaks_off_is_refused(behaviour, directory):
    path = directory / 'half.trace'
    path.write_text(trace('edu', NEWEST).read_text(encoding='ascii')[:2000], encoding='ascii')
    done = behaviour('replay', path)
    assert done.returncode == 2 and 'is not complete' in done.stderr


# ---- asking for a version --------------------------------------------------------------------

@pytest.mark.parametrize('version', [0, NEWEST + 1, 4294967295, 99999999999999999999])
def test_unknown_version_is_refused(behaviour, version):
    done = behaviour('replay', f'{version}:{trace("edu", NEWEST)}')
    assert (done.returncode, done.stdout) == (2, '')
    assert f"VFIO-607: the policy 'behaviour' cannot be '{version}'" in done.stderr
    assert ', '.join(map(str, VERSIONS)) in done.stderr


def test_versions_side_by_side(behaviour):
    """Four devices in one process, one request each in turns."""
    expect_the_same(behaviour('replay', *[f'{version}:{trace(device, version)}'
                                          for device in PLANS for version in VERSIONS]))


@pytest.mark.parametrize('device', PLANS)
def test_version_in_the_configuration(behaviour, start, directory, device):
    """One vfiod, a device of each version, and one that says nothing."""
    sections = {f'v{version}': f'behaviour = {version}' for version in VERSIONS} | {'latest': ''}
    config = directory / 'vfiod.conf'
    config.write_text(''.join(f'[{name}]\ndevice = {MODULES[device] / device}.so\n'
                              f'socket = {directory}/{name}\n{key}\n'
                              for name, key in sections.items()), encoding='utf-8')
    start('--config', config).wait_ready()
    for name in sections:
        version = int(name[1:]) if name != 'latest' else NEWEST
        done = behaviour('replay', '--device', f'unix:{directory}/{name}', trace(device, version))
        assert (done.returncode, done.stdout) == (0, '')
        left_out = re.findall('left out: (.*)', done.stderr)
        assert {'bad descriptors'} <= set(left_out) <= FOR_PROCESSES
    done = behaviour('replay', '--device', f'unix:{directory}/latest', trace(device, 1))
    assert done.returncode == 1 and 'message without an eventfd' in done.stdout
