# SPDX-License-Identifier: MIT
"""DMA_UNMAP (section 3.3), and maps by the thousand."""

import os

import pytest

from daemon import Vfiod
from dma import BUFFER_SIZE, FILL, GONE, HOLD, SEALED, deposit, fetch, file_of, run
from wire import BAR0, Cmd, MIB, PAGE, UNMAP, UNMAP_ALL, dma_map, dma_unmap, message

TOP = 1 << 64

either = pytest.mark.parametrize('sealed', [False, SEALED], ids=['unsealed', 'sealed'])


# ---- unmap ----------------------------------------------------------------------------------


@either
def test_unmapped_memory_is_out_of_reach(probe, client, sealed):
    with file_of(1, b'gone', sealed) as file:
        client.map(0, PAGE, file)
        assert client.unmap(0, PAGE) == PAGE
        assert 'wire-test' not in (probe.maps() or '')
        assert fetch(client, 0, 4) == 'EFAULT'
        client.map(0, PAGE, file)
        assert fetch(client, 0, 4) == b'gone'


def test_a_span_that_the_device_holds_is_taken_back(client):
    """The device is told before the reply comes."""
    with file_of(2, b'', SEALED) as file:
        client.map(0x4000, 2 * PAGE, file)
        assert run(client, HOLD, 0x4800, 0x100) == 'ok'
        assert run(client, FILL) == 'ok'
        assert os.pread(file, 0x100, 0x800) == b'\x5a' * 0x100
        told = client.get(BAR0, GONE)
        assert client.unmap(0x4000, 2 * PAGE) == 2 * PAGE
        assert client.get(BAR0, GONE) == told + 1
        assert run(client, FILL) == 'ENOENT'


def test_memory_that_is_cut_off_while_it_is_held(client):
    """A pointer into a file that its owner truncates writes to nobody's memory; others are as before."""
    with file_of(2) as file, file_of(1) as other:
        client.map(0x4000, 2 * PAGE, file)
        client.map(0x8000, PAGE, other)
        assert run(client, HOLD, 0x4800, 0x100) == 'ok'
        os.ftruncate(file, 0)
        assert run(client, FILL) == 'ok'
        assert os.fstat(file).st_size == 0
        assert run(client, HOLD, 0x4800, 0x100) == 'EIO'
        assert run(client, HOLD, 0x8000, 0x100) == 'ok'


def test_unmap_of_several(client):
    """A range that covers maps wholly takes them all, holes and all."""
    with file_of(8) as file:
        for page in (1, 2, 5):
            client.map(page * PAGE, PAGE, file, offset=page * PAGE)
        client.map(9 * PAGE, PAGE, file)
        assert client.unmap(0, 8 * PAGE) == 3 * PAGE
        assert client.unmap(0, 8 * PAGE) == 0
        assert client.unmap(9 * PAGE, PAGE) == PAGE


@pytest.mark.parametrize('iova, pages', [(4, 1), (4, 3), (5, 3), (5, 1), (7, 1), (3, 2), (7, 2),
                                         (0, 7), (6, 20)])
def test_unmap_that_would_cut(client, iova, pages):
    """[4, 8) is mapped, and [9, 10); nothing is unmapped."""
    with file_of(8, b'whole') as file:
        client.map(4 * PAGE, 4 * PAGE, file)
        client.map(9 * PAGE, PAGE, file, offset=4 * PAGE)
        assert client.unmap_refused(iova * PAGE, pages * PAGE) == 'EINVAL'
        assert fetch(client, 4 * PAGE, 5) == b'whole'
        assert client.unmap(0, 0, UNMAP_ALL) == 5 * PAGE


def test_unmap_of_nothing(client):
    """QEMU with an IOMMU sweeps the whole space in powers of two."""
    for bits in range(12, 64):
        assert client.unmap(0, 1 << bits) == 0
        assert client.unmap(1 << bits, 1 << bits) == 0
    assert client.unmap(1 << 40, PAGE) == 0
    assert client.unmap(TOP - PAGE, PAGE) == 0


@pytest.mark.parametrize('iova, size, flags', [
    (0, 0, 0), (PAGE, 0, 0), (1, PAGE, 0), (0, 1, 0), (0, PAGE + 1, 0), (0, TOP - 1, 0),
    (PAGE, TOP - PAGE + 1, 0), (0, PAGE, UNMAP_ALL), (PAGE, 0, UNMAP_ALL), (0, PAGE, 1),
    (0, PAGE, 4), (0, 0, 3), (0, 0, 6), (0, PAGE, 0x80000000), (0, 0, 0xffffffff)])
def test_unmap_refusals(client, iova, size, flags):
    with file_of(1, b'here') as file:
        client.map(0, PAGE, file)
        assert client.unmap_refused(iova, size, flags) == 'EINVAL'
        assert fetch(client, 0, 4) == b'here'


@pytest.mark.parametrize('iova, size', [(TOP - PAGE, 2 * PAGE), (2 * PAGE, TOP - PAGE),
                                        (1 << 63, TOP - PAGE)])
def test_unmap_that_wraps_round(client, iova, size):
    with file_of(1, b'here') as file:
        client.map(0, PAGE, file)
        assert client.unmap_refused(iova, size) == 'EOVERFLOW'
        assert fetch(client, 0, 4) == b'here'


def test_unmap_all(client):
    with file_of(4) as file:
        for page in range(4):
            client.map(page << 50, PAGE, file, offset=page * PAGE)
        client.map(1 << 33, PAGE)
        assert client.unmap(0, 0, UNMAP_ALL) == 5 * PAGE
        assert client.unmap(0, 0, UNMAP_ALL) == 0


def test_unmap_with_a_descriptor(client):
    """SPDK sends one; it is closed and does not matter."""
    with file_of(1) as file:
        client.map(0, PAGE, file)
        got = client.ok(Cmd.DMA_UNMAP, dma_unmap(0, PAGE), [file])
        assert UNMAP.unpack(got) == (UNMAP.size, 0, 0, PAGE)
        got = client.ok(Cmd.DMA_UNMAP, dma_unmap(0, PAGE), [file])
        assert UNMAP.unpack(got) == (UNMAP.size, 0, 0, 0)


# ---- many -----------------------------------------------------------------------------------

MANY = 100000           # far more than other servers take


def in_batches(client, messages, size=500):
    """Send messages of one command a batch at a time; returns whether each succeeded."""
    outcome = []
    for at in range(0, len(messages), size):
        batch = messages[at:at + size]
        client.send(b''.join(batch))
        outcome += [client.receive().error == 0 for _ in batch]
    return outcome


def test_more_maps_than_were_promised(client):
    """What VERSION says is for clients that know no larger number."""
    maps = [message(Cmd.DMA_MAP, dma_map(2 * page * PAGE, PAGE)) for page in range(MANY)]
    assert all(in_batches(client, maps))
    assert client.unmap(2 * 7 * PAGE, PAGE) == PAGE
    assert client.unmap(0, 0, UNMAP_ALL) == (MANY - 1) * PAGE


def test_as_many_maps_as_the_policy_grants(tmp_path):
    vfiod = Vfiod('probe', tmp_path, '--policy', 'max-maps=3000')
    with vfiod.connect() as client:
        maps = [message(Cmd.DMA_MAP, dma_map(2 * page * PAGE, PAGE)) for page in range(3000)]
        assert all(in_batches(client, maps))
        assert client.map_refused(1 << 40, PAGE) == 'ENOSPC'
        assert client.unmap(2 * 7 * PAGE, PAGE) == PAGE
        client.map(1 << 40, PAGE)
        assert client.map_refused(1 << 41, PAGE) == 'ENOSPC'
        assert client.unmap(0, 0, UNMAP_ALL) == 3000 * PAGE
        client.map(1 << 41, PAGE)
    vfiod.stop()


@either
def test_many_small_maps_of_one_file(client, sealed):
    """A guest behind an IOMMU: 4 KiB windows, each with its descriptor."""
    with file_of(64, b'', sealed) as file:
        for page in range(64):
            os.pwrite(file, b'%4d' % page, page * PAGE)
        for at in range(0, 30000, 50):
            for number in range(at, at + 50):
                client.post(Cmd.DMA_MAP, dma_map(2 * number * PAGE, PAGE, number % 64 * PAGE),
                            [file], id=number)
            for number in range(at, at + 50):
                assert client.reply(number, Cmd.DMA_MAP).error == 0, f'map {number}'
        for number in (0, 63, 64, 9999, 29999):
            assert fetch(client, 2 * number * PAGE, 4) == b'%4d' % (number % 64)
        assert client.unmap(0, 0, UNMAP_ALL) == 30000 * PAGE


@either
def test_many_files(client, sealed):
    for number in range(3000):
        with file_of(1, b'%4d' % number, sealed) as file:
            client.map(number * PAGE, PAGE, file)
    for number in (0, 1500, 2999):
        assert fetch(client, number * PAGE, 4) == b'%4d' % number


def test_a_large_map(client):
    """512 MiB, as SPDK maps them, at the address of a process."""
    with file_of(512 * MIB // PAGE, b'low') as file:
        os.pwrite(file, b'end', 512 * MIB - 3)
        client.map(0x200000600000, 512 * MIB, file)
        assert fetch(client, 0x200000600000, 3) == b'low'
        assert fetch(client, 0x200000600000 + 512 * MIB - 3, 3) == b'end'


def test_the_engines_whole_buffer(client):
    with file_of(8) as file:
        client.map(0, 8 * PAGE, file)
        data = os.urandom(BUFFER_SIZE)
        assert deposit(client, 100, data) == 'ok'
        assert os.pread(file, BUFFER_SIZE, 100) == data
