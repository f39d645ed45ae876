# SPDX-License-Identifier: MIT
"""DMA_MAP (section 3.2), and what the device then reaches."""

import os
import socket

import pytest

from dma import FROM_BUFFER, SEALED, TO_BUFFER, deposit, fetch, file_of, run
from wire import (Cmd, IN_FILE, NO_REPLY, PAGE, READ, UNMAP_ALL, WRITE, dma_map, dma_unmap,
                  memory)

TOP = 1 << 64

either = pytest.mark.parametrize('sealed', [False, SEALED], ids=['unsealed', 'sealed'])


# ---- maps that are refused ------------------------------------------------------------------


@pytest.mark.parametrize('flags', [0, 4, 8, 11, 15, 16, 19, 0x80000003, 0xffffffff])
def test_flags(client, flags):
    """Read and write, one or both; what the descriptor is; and nothing else."""
    with file_of(1) as file:
        assert client.map_refused(0, PAGE, file, flags=flags) == 'EINVAL'
    assert client.map_refused(0, PAGE, flags=flags) == 'EINVAL'
    assert client.unmap(0, 0, UNMAP_ALL) == 0


@either
def test_a_file_by_name_of_its_kind(client, sealed):
    """With and without the flag it is the same map."""
    with file_of(1, b'file', sealed) as file:
        assert client.map_refused(0, PAGE, flags=READ | IN_FILE) == 'EINVAL', 'without a file'
        client.map(0, PAGE, file, flags=READ | WRITE | IN_FILE)
        client.map(0, PAGE, file)
        client.map(PAGE, PAGE, file)
        client.map(PAGE, PAGE, file, flags=READ | WRITE | IN_FILE)
        assert fetch(client, 0, 4) == fetch(client, PAGE, 4) == b'file'
    assert client.unmap(0, 0, UNMAP_ALL) == 2 * PAGE


@pytest.mark.parametrize('iova, size, offset', [
    (0, 0, 0), (1, PAGE, 0), (0x800, PAGE, 0), (0, 1, 0), (0, PAGE - 1, 0), (0, PAGE + 1, 0),
    (0, PAGE, 1), (0, PAGE, 0x200), (PAGE + 1, PAGE, PAGE), (TOP - 1, 1, 0)])
def test_alignment(client, iova, size, offset):
    with file_of(4) as file:
        assert client.map_refused(iova, size, file, offset=offset) == 'EINVAL'


@pytest.mark.parametrize('iova, size', [
    (TOP - PAGE, 2 * PAGE), (TOP - 2 * PAGE, 1 << 63), (1 << 63, TOP - PAGE)])
def test_wrapping_round(client, iova, size):
    assert client.map_refused(iova, size) == 'EOVERFLOW'
    with file_of(1) as file:
        assert client.map_refused(iova, size, file) == 'EOVERFLOW'


@pytest.mark.parametrize('size, offset', [
    (5, 0), (1, 4), (4, 1), (2, 3), (1, 1 << 51), (1 << 40, 0), ((1 << 52) - 1, 1),
    (1, (1 << 52) - 1), (2, (1 << 52) - 1)])
def test_past_the_end_of_the_file(client, size, offset):
    with file_of(4) as file:
        assert client.map_refused(0, size * PAGE, file, offset=offset * PAGE) == 'EINVAL'


@pytest.mark.parametrize('argsz', [0, 16, 31])
def test_argsz_below_the_struct(client, argsz):
    assert client.map_refused(0, PAGE, argsz=argsz) == 'EINVAL'
    body = dma_unmap(0, PAGE, argsz=min(argsz, 23))
    assert client.refused(Cmd.DMA_UNMAP, body) == 'EINVAL'


def wrong_kinds(tmp_path):
    one, two = socket.socketpair()
    reader, writer = os.pipe()
    os.write(writer, bytes(PAGE))
    yield 'pipe', reader
    yield 'pipe to write', writer
    yield 'socket', one.detach()
    yield 'other socket', two.detach()
    yield 'eventfd', os.eventfd(0)
    yield 'directory', os.open(tmp_path, os.O_RDONLY)
    yield 'null', os.open('/dev/null', os.O_RDWR)
    yield 'zero', os.open('/dev/zero', os.O_RDWR)
    yield 'path', os.open('/', os.O_PATH)
    yield 'empty file', memory(0)


def test_a_file_on_disk_is_no_memory(client):
    """Its file system may be the client's own, and let the server wait for ever (FUSE)."""
    with open('/usr/bin/env', 'rb') as file:
        assert client.map_refused(0, PAGE, file.fileno(), flags=READ) == 'EINVAL'


def test_descriptors_that_are_no_memory(client, tmp_path):
    for name, fd in wrong_kinds(tmp_path):
        assert client.map_refused(0, PAGE, fd) == 'EINVAL', name
        os.close(fd)
    assert client.unmap(0, 0, UNMAP_ALL) == 0


@pytest.mark.parametrize('count', [2, 3, 16, 17, 253])
def test_more_than_one_descriptor(client, count):
    with file_of(1) as file:
        assert client.refused(Cmd.DMA_MAP, dma_map(0, PAGE), [file] * count) == 'EINVAL'
    assert client.unmap(0, 0, UNMAP_ALL) == 0


def read_only(file):
    return os.open(f'/proc/self/fd/{file}', os.O_RDONLY)


def test_a_file_that_is_open_for_reading(client):
    """It may be read by the device, and not written."""
    with file_of(1, b'readable') as file:
        fd = read_only(file)
        for flags in (WRITE, READ | WRITE):
            assert client.map_refused(0, PAGE, fd, flags=flags) == 'EACCES'
        client.map(0, PAGE, fd, flags=READ)
        os.close(fd)
        assert fetch(client, 0, 8) == b'readable'
        assert deposit(client, 0, b'x') == 'EFAULT'


@pytest.mark.parametrize('iova, pages', [(4, 1), (5, 1), (7, 1), (3, 2), (7, 2), (4, 4), (4, 3),
                                         (4, 5), (3, 6), (0, 100)])
def test_overlap(client, iova, pages):
    """[4, 8) is mapped; touching it is refused and leaves it alone."""
    with file_of(4, b'the first') as file, file_of(100, b'the second') as other:
        client.map(4 * PAGE, 4 * PAGE, file)
        assert client.map_refused(iova * PAGE, pages * PAGE, other) == 'EEXIST'
        assert client.map_refused(iova * PAGE, pages * PAGE, flags=READ) == 'EEXIST'
        assert fetch(client, 4 * PAGE, 9) == b'the first'
    assert client.unmap(0, 0, UNMAP_ALL) == 4 * PAGE


def test_neighbours_do_not_overlap(client):
    with file_of(3) as file:
        for page in (1, 0, 2):
            client.map((page + 4) * PAGE, PAGE, file, offset=page * PAGE)


@either
def test_the_same_map_again(client, sealed):
    """QEMU repeats itself: same file, offset and direction are no error, any other are."""
    with file_of(2, b'same', sealed) as file, file_of(2) as other:
        again = os.open(f'/proc/self/fd/{file}', os.O_RDWR)
        client.map(0, PAGE, file)
        client.map(0, PAGE, file)
        client.map(0, PAGE, again)
        assert client.map_refused(0, PAGE, other) == 'EEXIST'
        assert client.map_refused(0, PAGE, file, offset=PAGE) == 'EEXIST'
        assert client.map_refused(0, PAGE, file, flags=READ) == 'EEXIST'
        assert client.map_refused(0, PAGE) == 'EEXIST'
        assert client.map_refused(0, 2 * PAGE, file) == 'EEXIST'
        os.close(again)
        assert fetch(client, 0, 4) == b'same'
    assert client.unmap(0, PAGE) == PAGE
    assert client.unmap(0, PAGE) == 0


def test_a_refused_map_without_reply(client):
    client.post(Cmd.DMA_MAP, dma_map(1, 1), flags=NO_REPLY)
    client.ping()


# ---- what the device reaches ----------------------------------------------------------------


@either
def test_both_directions(client, sealed):
    with file_of(2, b'from the driver', sealed) as file:
        client.map(0x7000, 2 * PAGE, file)
        assert fetch(client, 0x7000, 15) == b'from the driver'
        assert deposit(client, 0x8ff8, b'from dev') == 'ok'
        assert os.pread(file, 8, PAGE + 0xff8) == b'from dev'


@either
def test_one_direction(client, sealed):
    with file_of(1, b'r', sealed) as readable, file_of(1, b'w', sealed) as writable:
        client.map(0, PAGE, readable, flags=READ)
        client.map(PAGE, PAGE, writable, flags=WRITE)
        assert fetch(client, 0, 1) == b'r'
        assert deposit(client, 0, b'x') == 'EFAULT'
        assert deposit(client, PAGE, b'y') == 'ok'
        assert fetch(client, PAGE, 1) == 'EFAULT'
        assert (os.pread(readable, 1, 0), os.pread(writable, 1, 0)) == (b'r', b'y')


@either
def test_offset_in_the_file(client, sealed):
    with file_of(4, b'', sealed) as file:
        for page in range(4):
            os.pwrite(file, b'page %d' % page, page * PAGE)
        client.map(1 << 40, PAGE, file, offset=3 * PAGE)
        client.map(1 << 41, 2 * PAGE, file, offset=PAGE)
        assert fetch(client, 1 << 40, 6) == b'page 3'
        assert fetch(client, (1 << 41) + PAGE, 6) == b'page 2'
        assert fetch(client, (1 << 40) + PAGE, 6) == 'EFAULT'
        assert fetch(client, (1 << 40) - 1, 6) == 'EFAULT'


def test_highest_addresses(client):
    with file_of(1, b'high') as file:
        client.map(TOP - 2 * PAGE, PAGE, file)
        assert fetch(client, TOP - 2 * PAGE, 4) == b'high'
        assert fetch(client, TOP - PAGE, 4) == 'EFAULT'
        assert fetch(client, TOP - 2, 4) == 'EFAULT'


@either
def test_across_neighbouring_maps(client, sealed):
    with file_of(1, b'', sealed) as first, file_of(1, b'', sealed) as second:
        client.map(0, PAGE, first)
        client.map(PAGE, PAGE, second)
        data = os.urandom(3000)
        assert deposit(client, PAGE - 1000, data) == 'ok'
        assert os.pread(first, 1000, PAGE - 1000) + os.pread(second, 2000, 0) == data
        assert fetch(client, PAGE - 1000, 3000) == data


@pytest.mark.parametrize('command, direction', [(TO_BUFFER, 'read'), (FROM_BUFFER, 'write')])
def test_a_refused_access_is_on_record(probe, client, command, direction):
    """vfiod shows the last one, and how many there were (docs/control.md)."""
    for count in (1, 2):
        assert run(client, command, 0x123000, 0x10) == 'EFAULT'
        fault = probe.control('describe', device='probe')['description']['fault']
        assert fault == {'iova': '0x123000', 'size': 0x10, 'direction': direction,
                         'errno': 14, 'count': count}


@pytest.mark.parametrize('gap', ['hole', 'direction'])
def test_all_or_nothing(client, gap):
    """When a part is out of reach, nothing is copied."""
    with file_of(2, b'old') as file:
        client.map(0, PAGE, file)
        if gap == 'direction':
            client.map(PAGE, PAGE, file, offset=PAGE, flags=READ)
        assert deposit(client, 0, b'new' * 2000) == 'EFAULT'
        assert os.pread(file, 3, 0) == b'old'


def test_no_dma_without_bus_master(client):
    with file_of(1, b'secret') as file:
        client.map(0, PAGE, file)
        client.bus_master(False)
        assert fetch(client, 0, 6) == 'EPERM'
        assert deposit(client, 0, b'x') == 'EPERM'
        client.bus_master()
        assert fetch(client, 0, 6) == b'secret'


@either
def test_the_clients_descriptor_may_be_closed(client, sealed):
    with file_of(1, b'still there', sealed) as file:
        client.map(0, PAGE, file)
    assert fetch(client, 0, 11) == b'still there'


def test_a_file_that_is_cut_off_after_it_was_mapped(client):
    """The device gets an error, no one else anything."""
    with file_of(4) as file, file_of(1, b'whole') as other:
        client.map(0, 4 * PAGE, file)
        client.map(0x10000, PAGE, other)
        os.truncate(file, 0)
        assert fetch(client, 0, PAGE) == 'EIO'
        assert deposit(client, PAGE, b'x' * PAGE) == 'EIO'
        assert fetch(client, 0x10000, 5) == b'whole'
        os.truncate(file, 4 * PAGE)
        assert client.unmap(0, 4 * PAGE) == 4 * PAGE
