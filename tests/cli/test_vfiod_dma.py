# SPDX-License-Identifier: MIT
"""vfiod and lsvfio: a client's memory, what it may be at most, and that it is given back."""

import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys

import pytest

from conftest import BUILD, wait_for
from lsvfio import SOURCE, lines, lsvfio
from test_vfiod_reload import hang_up
from vfiod_probe import PROBE, configuration, connect, describe, wait_until_free, wire

PAGE, MIB = wire.PAGE, wire.MIB
NOTHING = {'advertised': None, 'granted': None, 'used': 0}


@pytest.fixture
def serve(start, directory):
    """Starts vfiod with these lines in the section of the device."""
    def server(*keys, **options):
        return start('--config', configuration(directory, *keys, **options)).wait_ready()
    return server


def memory_of(vfiod, device='dev'):
    return describe(vfiod, device)['dma']


def used(vfiod, device='dev'):
    dma = memory_of(vfiod, device)
    return dma['maps']['used'], dma['bytes']['used']


def show(vfiod, *args):
    """What lsvfio prints of this vfiod."""
    done = lsvfio('--no-pci', '--control', vfiod.control_path, *args)
    assert (done.returncode, done.stderr) == (0, '')
    return done.stdout


def map_each_way(client):
    """One map of each kind; returns what has to stay."""
    area = mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    sealed, file = wire.memory(4 * PAGE, sealed=True), wire.memory(PAGE)
    own = os.open('/proc/self/mem', os.O_RDWR)
    client.map(0x100000, PAGE, own, flags=wire.READ | wire.WRITE | wire.IN_PROCESS,
               offset=ctypes.addressof(ctypes.c_char.from_buffer(area)))
    client.map(0, 4 * PAGE, sealed)
    client.map(0x10000, PAGE, file, flags=wire.READ)
    client.map((1 << 64) - PAGE, PAGE, flags=wire.WRITE)
    for fd in sealed, file, own:
        os.close(fd)
    return area


EACH_WAY = [('0x0', 4 * PAGE, ['read', 'write'], 'in-place'),
            ('0x10000', PAGE, ['read'], 'in-place'),
            ('0x100000', PAGE, ['read', 'write'], 'by-process'),
            ('0xfffffffffffff000', PAGE, ['write'], 'by-message')]


# ---- what is shown ---------------------------------------------------------------------------


def test_memory_of_each_kind_is_described(serve, directory):
    vfiod = serve('process-memory = allow')
    with connect(directory) as client:
        area = map_each_way(client)
        dma = memory_of(vfiod)
        assert [tuple(one.values()) for one in dma['list']] == EACH_WAY
        assert list(dma['list'][0]) == ['iova', 'size', 'prot', 'access']
        assert dma['maps'] == {'advertised': 1 << 20, 'granted': 1 << 20, 'used': 4}
        assert dma['bytes'] == dict(NOTHING, used=7 * PAGE)
        assert dma['more'] == 0
        del area


def test_lsvfio_shows_it(serve, directory):
    vfiod = serve('max-maps = 1000', 'max-dma = 64M', 'process-memory = allow')
    with connect(directory) as client:
        area = map_each_way(client)
        assert lines(show(vfiod, '-o', 'DEVICE,MAPS,MAPPED'))[1].split() == ['dev', '4', '28672']
        heading, row = lines(show(vfiod))
        assert heading.split()[-2:] == ['MAPS', 'MAPPED'] and row.split()[-2:] == ['4', '28672']
        text = lines(show(vfiod, 'dev'))
        assert 'DMA maps       4 of 1000 granted, 1048576 advertised' in text
        assert 'DMA memory     28K of 64M' in text
        at = text.index('DMA MAPS')
        assert [line.split() for line in text[at + 2:at + 6]] == [
            ['0x0-0x3fff', '16K', '16384', 'read,write', 'in-place'],
            ['0x10000-0x10fff', '4K', '4096', 'read', 'in-place'],
            ['0x100000-0x100fff', '4K', '4096', 'read,write', 'by-process'],
            ['0xfffffffffffff000-0xffffffffffffffff', '4K', '4096', 'write', 'by-message']]
        (device,) = json.loads(show(vfiod, '--json', 'dev'))['devices']
        assert device['dma'] == memory_of(vfiod)
        (device,) = json.loads(show(vfiod, '--json', '-o', 'MAPS,MAPPED'))['devices']
        assert device == {'maps': 4, 'mapped': 7 * PAGE}
        del area


def test_lsvfio_without_a_client(serve):
    text = show(serve(), 'dev')
    assert 'DMA maps       0 of 1048576' in lines(text)
    assert 'DMA memory     0, without limit' in lines(text)
    assert 'DMA MAPS' not in text and 'last fault' not in text


def test_lsvfio_shows_the_last_fault(serve, directory):
    vfiod = serve()
    with connect(directory) as client:
        client.bus_master()
        client.put(wire.BAR0, 0x10, 0x123000, 8)
        client.put(wire.BAR0, 0x18, 16)
        for _ in range(2):
            client.put(wire.BAR0, 0x1c, 2)
        assert 'last fault     write of 16 bytes at 0x123000: EFAULT (Bad address); 2 in all' in \
            lines(show(vfiod, 'dev'))


@pytest.mark.parametrize('count', [255, 256, 257, 5000])
def test_of_many_maps_the_first_are_listed(serve, directory, count):
    vfiod = serve()
    with connect(directory) as client:
        for number in range(count):
            client.map(2 * (count - number) * PAGE, PAGE)
        dma = memory_of(vfiod)
        assert (len(dma['list']), dma['more']) == (min(count, 256), max(count - 256, 0))
        assert [int(one['iova'], 16) for one in dma['list'][:3]] == [2 * PAGE, 4 * PAGE, 6 * PAGE]
        assert dma['maps']['used'] == count
        assert (f'({count - 256} more)' in show(vfiod, 'dev')) == (count > 256)


def test_each_device_has_its_own(serve, directory):
    """Two clients of one vfiod, with the same addresses."""
    vfiod = serve('[other]', f'device = {PROBE}', f'socket = {directory}/other')
    with connect(directory) as one, wire.Client(directory / 'other') as other:
        other.hello()
        one.map(0, PAGE)
        other.map(0, 2 * PAGE)
        other.map(0x10000, PAGE)
        assert used(vfiod) == (1, PAGE) and used(vfiod, 'other') == (2, 3 * PAGE)
        rows = [line.split() for line in lines(show(vfiod, '-n', '-o', 'DEVICE,MAPS,MAPPED'))]
        assert rows == [['dev', '1', '4096'], ['other', '2', '12288']]


# ---- given back ------------------------------------------------------------------------------


def test_given_back_by_unmap(serve, directory):
    vfiod = serve('max-maps = 4', 'max-dma = 28K', 'process-memory = allow')
    with connect(directory) as client:
        area = map_each_way(client)
        assert client.map_refused(1 << 40, PAGE) == 'ENOSPC'
        for iova, size, *_ in EACH_WAY:
            assert client.unmap(int(iova, 16), size) == size
        assert used(vfiod) == (0, 0)
        client.map(1 << 40, 28 << 10)
        assert client.unmap(0, 0, wire.UNMAP_ALL) == 28 << 10
        assert used(vfiod) == (0, 0)
        del area


def test_given_back_by_a_client_that_goes(serve, directory):
    vfiod = serve('max-maps = 4', 'process-memory = allow')
    for _ in range(3):
        with connect(directory) as client:
            area = map_each_way(client)
            assert used(vfiod) == (4, 7 * PAGE)
            del area
        wait_until_free(vfiod)
        assert memory_of(vfiod)['list'] == [] and used(vfiod) == (0, 0)


DIES = '''
import sys
sys.path.append(sys.argv[1])
import wire
client = wire.Client(sys.argv[2])
client.hello()
file = wire.memory(64 * wire.PAGE, sealed=True)
for page in range(64):
    client.map(2 * page * wire.PAGE, wire.PAGE, file, offset=page * wire.PAGE)
print('mapped', flush=True)
sys.stdin.read()
'''


def test_given_back_by_a_client_that_is_killed(serve, directory):
    vfiod = serve('max-maps = 64')
    process = subprocess.Popen([sys.executable, '-c', DIES, SOURCE / 'tests' / 'wire',
                                directory / 's'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b'mapped\n'
        assert used(vfiod) == (64, 64 * PAGE)
        process.send_signal(signal.SIGKILL)
    wait_until_free(vfiod)
    assert used(vfiod) == (0, 0)
    assert vfiod.device('dev')['restarts'] == 0
    with connect(directory) as client:
        for page in range(64):
            client.map(page * PAGE, PAGE)


# ---- limits ----------------------------------------------------------------------------------


def last_record(vfiod):
    return describe(vfiod)['records'][-1]


def test_too_many_maps(serve, directory):
    """The record says what was asked, what is used, what is allowed, who refused, what to do."""
    vfiod = serve('max-maps = 3')
    with connect(directory) as client:
        for page in range(3):
            client.map(2 * page * PAGE, PAGE)
        assert client.map_refused(1 << 40, PAGE) == 'ENOSPC'
    record = last_record(vfiod)
    assert (record['code'], record['who'], record['errno']) == (507, 'policy', 28)
    assert record['text'] == \
        'one more DMA map: 3 of 3 are in use, and the policy max-maps allows no more'
    assert 'max-maps' in record['remedy'] and 'vfiod.conf' in record['remedy']
    assert wait_for(lambda: 'VFIO-507: one more DMA map: 3 of 3 are in use' in vfiod.log())
    assert 'VFIO-507' in lsvfio('--no-pci', '--control', vfiod.control_path, '--errors').stdout


def test_too_much_memory(serve, directory):
    vfiod = serve('max-dma = 1M')
    with connect(directory) as client:
        client.map(0, MIB - PAGE)
        assert client.map_refused(1 << 40, 2 * PAGE) == 'ENOMEM'
        client.map(1 << 40, PAGE)
        assert client.map_refused(1 << 41, PAGE) == 'ENOMEM'
        assert client.unmap(1 << 40, PAGE) == PAGE
        client.map(1 << 41, PAGE)
    first, record = [one for one in describe(vfiod)['records'] if one['code'] == 507]
    assert (record['who'], record['errno']) == ('policy', 12)
    assert first['text'] == 'mapping 8192 bytes for DMA: 1044480 of 1048576 are in use, and the ' \
        'policy max-dma allows no more'
    assert 'max-dma' in record['remedy'] and 'vfiod.conf' in record['remedy']


def test_address_that_is_not_allowed(serve, directory):
    vfiod = serve('iova = 0x0-0xfedfffff,0xfef00000-0x7fffffffff')
    with connect(directory) as client:
        client.map(0xfedff000, PAGE)
        client.map(0xfef00000, PAGE)
        client.map(0x7ffffff000, PAGE)
        for iova in 0xfee00000, 0xfeeff000, 0x8000000000:
            assert client.map_refused(iova, PAGE) == 'EINVAL'
        assert client.map_refused(0xfedfe000, 4 * PAGE) == 'EEXIST'
    record = [one for one in describe(vfiod)['records'] if one['code'] == 511][-1]
    assert (record['who'], record['errno']) == ('policy', 22)
    assert '0x1000 bytes at IOVA 0x8000000000' in record['text'] and 'policy iova' in record['text']
    assert 'iova in vfiod.conf' in record['remedy']


def test_no_memory_at_all(serve, directory):
    vfiod = serve('max-maps = 0')
    with connect(directory) as client:
        assert client.map_refused(0, PAGE) == 'ENOSPC'
        client.bus_master()
    assert memory_of(vfiod)['maps'] == {'advertised': 1 << 20, 'granted': 0, 'used': 0}


@pytest.mark.parametrize('key, says, remedy', [
    ('max-maps=0', 'one more DMA map: 0 of 0 are in use, and the policy max-maps allows no more',
     'have max-maps raised in vfiod.conf'),
    ('max-dma=1K', 'mapping 4096 bytes for DMA: 0 of 1024 are in use, and the policy max-dma '
     'allows no more', 'have max-dma raised in vfiod.conf')])
def test_a_driver_is_told(start, directory, key, says, remedy):
    """The words come all the way, and a program prints them."""
    start('--device', 'edu', '--socket-path', directory / 's', '--policy', key).wait_ready()
    (directory / 'in').write_bytes(b'some bytes')
    done = subprocess.run([BUILD / 'drivers' / 'edu' / 'edu-copy', '--device',
                           f'unix:{directory}/s', directory / 'in', directory / 'out'],
                          capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert f'VFIO-507: {says}: ' in done.stderr and '(policy)' in done.stderr
    assert remedy in done.stderr


# ---- limits that change ----------------------------------------------------------------------


def test_limits_hold_from_the_next_map(serve, directory):
    vfiod = serve()
    with connect(directory) as client:
        for page in range(4):
            client.map(2 * page * PAGE, PAGE)
        configuration(directory, 'max-maps = 2', 'max-dma = 12K')
        assert '2 policies changed' in hang_up(vfiod)
        assert wait_for(lambda: 'policy max-dma = 12K holds from now on' in vfiod.log())
        assert used(vfiod) == (4, 4 * PAGE), 'what was mapped stays'
        assert client.map_refused(1 << 40, PAGE) == 'ENOSPC'
        assert client.unmap(0, 5 * PAGE) == 3 * PAGE
        assert client.map_refused(0, 3 * PAGE) == 'ENOMEM'
        client.map(0, 2 * PAGE)
        assert memory_of(vfiod)['maps'] == {'advertised': 1 << 20, 'granted': 2, 'used': 2}
        configuration(directory)
        assert '2 policies changed' in hang_up(vfiod)
        assert wait_for(lambda: 'policy max-dma = all holds from now on' in vfiod.log())
        client.map(1 << 40, MIB)


def test_addresses_wait_for_the_client_to_go(serve, directory):
    vfiod = serve()
    with connect(directory) as client:
        client.map(0x10000, PAGE)
        configuration(directory, 'iova = 0x0-0xffff')
        hang_up(vfiod)
        assert wait_for(lambda: 'policy iova = 0x0-0xffff will hold when the client has gone' in
                        vfiod.log())
        client.map(0x20000, PAGE)
    wait_until_free(vfiod)
    assert wait_for(lambda: 'policy iova = 0x0-0xffff holds from now on' in vfiod.log())
    with connect(directory) as client:
        assert client.map_refused(0x10000, PAGE) == 'EINVAL'
        client.map(0xf000, PAGE)


def test_limits_outlast_the_client(serve, directory):
    vfiod = serve('max-maps = 1', 'max-dma = 4K', 'iova = 0x0-0xffff')
    for _ in range(2):
        with connect(directory) as client:
            client.map(0, PAGE)
            client.ok(wire.Cmd.RESET)
            assert client.map_refused(PAGE, PAGE) == 'ENOSPC'
            assert client.unmap(0, PAGE) == PAGE
            assert client.map_refused(0x10000, PAGE) == 'EINVAL'
            assert client.map_refused(0, 2 * PAGE) == 'ENOMEM'
        wait_until_free(vfiod)


# ---- memory that makes whoever touches it wait -----------------------------------------------


def test_process_memory_that_makes_one_wait(serve, directory):
    """It costs its device a process; other devices notice nothing; the next client is served."""
    vfiod = serve('process-memory = allow', '[other]', f'device = {PROBE}',
                  f'socket = {directory}/other')
    file = directory / 'file'
    file.touch()
    tests = SOURCE / 'tests'
    with subprocess.Popen([sys.executable, tests / 'cli' / 'waiting_client.py', tests / 'wire',
                           directory / 's', file], stdout=subprocess.PIPE) as process:
        try:
            if process.stdout.readline() == b'skip\n':
                pytest.skip('no file system can be mounted here')
            with wire.Client(directory / 'other') as other:
                other.hello()
                other.map(0, PAGE)
                assert used(vfiod, 'other') == (1, PAGE)
            assert wait_for(lambda: (vfiod.device('dev')['restarts'],
                                     vfiod.device('dev')['state']) == (1, 'ready'), 30)
            assert 'may be stuck in something of its client' in vfiod.log()
            with connect(directory) as client:
                client.map(0, PAGE)
                assert used(vfiod) == (1, PAGE)
            assert vfiod.device('other')['restarts'] == 0
        finally:
            process.kill()
