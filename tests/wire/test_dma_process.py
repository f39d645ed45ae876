# SPDX-License-Identifier: MIT
"""DMA_MAP with the client's /proc/PID/mem: its own memory, which the server reads and writes."""

import contextlib
import ctypes
import mmap
import os
import subprocess
import sys
import tempfile

import pytest

from daemon import wait_for
from dma import FILL, HOLD, deposit, fetch, file_of, run
from feature import BY_PROCESS, dirty, dirty_start, fault, maps
from wire import (BAR0, Cmd, ERROR, IN_FILE, IN_PROCESS, NO_REPLY, PAGE, READ, UNMAP_ALL, WRITE,
                  dma_map)

BOTH = READ | WRITE


@contextlib.contextmanager
def own_memory(flags=os.O_RDWR):
    fd = os.open('/proc/self/mem', flags)
    yield fd
    os.close(fd)


class Pages:
    """Memory of this process that is in no file."""

    def __init__(self, count, content=b''):
        self.area = mmap.mmap(-1, count * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.area[:len(content)] = content
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.area))

    def unmap(self, page, count):
        """Take some away, behind everybody's back."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.munmap.argtypes = ctypes.c_void_p, ctypes.c_size_t
        assert libc.munmap(self.address + page * PAGE, count * PAGE) == 0

    def protect(self, page, count, protection):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        assert libc.mprotect(self.address + page * PAGE, count * PAGE, protection) == 0


def map_own(client, iova, pages, count, flags=BOTH):
    with own_memory() as fd:
        client.map(iova, count * PAGE, fd, offset=pages.address, flags=flags | IN_PROCESS)


# ---- what works -----------------------------------------------------------------------------


def test_both_directions(client):
    """Also when the descriptor has been closed; and nothing is mapped in the server."""
    pages = Pages(4, b'from the driver')
    map_own(client, 0x7000, pages, 4)
    assert fetch(client, 0x7000, 15) == b'from the driver'
    assert deposit(client, 0x7000 + 2 * PAGE - 4, b'from dev') == 'ok'
    assert pages.area[2 * PAGE - 4:2 * PAGE + 4] == b'from dev'
    assert maps(client) == [(0x7000, 4 * PAGE, BOTH, BY_PROCESS)]
    assert client.unmap(0x7000, 4 * PAGE) == 4 * PAGE
    assert fetch(client, 0x7000, 4) == 'EFAULT'


def test_all_of_the_engines_buffer(client):
    pages = Pages(5)
    map_own(client, 0, pages, 5)
    data = os.urandom(4 * PAGE)
    assert deposit(client, 100, data) == 'ok'
    assert pages.area[100:100 + 4 * PAGE] == data
    assert fetch(client, 100, 4 * PAGE) == data


def test_directions(client):
    pages = Pages(2, b'readable')
    with own_memory(os.O_RDONLY) as fd:
        for flags in (WRITE, BOTH):
            assert client.map_refused(0, PAGE, fd, offset=pages.address,
                                      flags=flags | IN_PROCESS) == 'EACCES'
        client.map(0, PAGE, fd, offset=pages.address, flags=READ | IN_PROCESS)
    with own_memory(os.O_WRONLY) as fd:
        assert client.map_refused(PAGE, PAGE, fd, offset=pages.address,
                                  flags=READ | IN_PROCESS) == 'EACCES'
    assert fetch(client, 0, 8) == b'readable'
    assert deposit(client, 0, b'x') == 'EFAULT'
    map_own(client, PAGE, pages, 1, WRITE)
    assert deposit(client, PAGE, b'w') == 'ok'
    assert fetch(client, PAGE, 1) == 'EFAULT'
    assert pages.area[:2] == b'we'


def test_the_same_map_again(client):
    pages = Pages(2)
    for _ in range(2):
        map_own(client, 0, pages, 1)
    with own_memory() as fd, file_of(1) as file:
        for offset in (pages.address + PAGE, 0):
            assert client.map_refused(0, PAGE, fd, offset=offset, flags=BOTH | IN_PROCESS) == \
                'EEXIST'
        assert client.map_refused(0, PAGE, file) == 'EEXIST'
        assert client.map_refused(0, PAGE) == 'EEXIST'
    assert client.unmap(0, 0, UNMAP_ALL) == PAGE


def test_maps_of_all_kinds_side_by_side(client):
    """An access goes over maps that are reached in different ways."""
    pages = Pages(1)
    with file_of(1, b'', True) as sealed, file_of(1) as file:
        client.map(0, PAGE, sealed)
        map_own(client, PAGE, pages, 1)
        client.map(2 * PAGE, PAGE, file)
        data = os.urandom(3 * PAGE)
        assert deposit(client, 0, data) == 'ok'
        assert os.pread(sealed, PAGE, 0) + pages.area[:] + os.pread(file, PAGE, 0) == data
        assert fetch(client, 0, 3 * PAGE) == data


def test_one_descriptor_for_a_thousand_maps(probe, client):
    pages = Pages(4, b'many')
    before = probe.fds()
    with own_memory() as fd:
        for number in range(1000):
            client.map(number * PAGE, PAGE, fd, offset=pages.address, flags=BOTH | IN_PROCESS)
    client.ping()
    assert before is None or probe.fds() == before + 1
    assert fetch(client, 999 * PAGE, 4) == b'many'


def test_it_is_not_had_in_place(client):
    pages = Pages(2)
    map_own(client, 0, pages, 2)
    assert run(client, HOLD, 0, 0x100) == 'ENOTSUP'
    assert run(client, FILL) == 'ENOENT'


def test_what_is_written_is_dirty(client):
    pages = Pages(4)
    map_own(client, 0, pages, 4)
    dirty_start(client, PAGE)
    deposit(client, 2 * PAGE, b'x')
    assert dirty(client, 0, 64 * PAGE, PAGE) == [2]


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize('flags', [IN_PROCESS, 0x13 | IN_PROCESS, BOTH | IN_FILE | IN_PROCESS])
def test_flags(client, flags):
    with own_memory() as fd:
        assert client.map_refused(0, PAGE, fd, flags=flags) == 'EINVAL'
    assert client.map_refused(0, PAGE, flags=flags) == 'EINVAL'


def test_without_a_descriptor(client):
    assert client.map_refused(0, PAGE, flags=BOTH | IN_PROCESS) == 'EINVAL'


def test_without_the_flag(client):
    """It is no memory file."""
    with own_memory() as fd:
        assert client.map_refused(0, PAGE, fd) == 'EINVAL'
        assert client.map_refused(0, PAGE, fd, flags=BOTH | IN_FILE) == 'EINVAL'


def other_files(tmp_path):
    """Whatever is no /proc/PID/mem: reading some would wait, of others do what nobody may."""
    os.mkfifo(tmp_path / 'mem')
    yield 'pipe', os.open(tmp_path / 'mem', os.O_RDWR)
    os.mkdir(tmp_path / 'of')
    with open(tmp_path / 'of' / 'mem', 'wb') as file:
        file.write(bytes(PAGE))
    yield 'file of that name', os.open(tmp_path / 'of' / 'mem', os.O_RDWR)
    yield 'zero', os.open('/dev/zero', os.O_RDWR)
    yield 'null', os.open('/dev/null', os.O_RDWR)
    yield 'eventfd', os.eventfd(1)
    yield 'socket', os.dup(ctypes.CDLL(None).socket(1, 1, 0))
    for name in ('status', 'maps', 'environ', 'auxv', 'pagemap'):
        yield name, os.open(f'/proc/self/{name}', os.O_RDONLY)
    yield 'clear_refs', os.open('/proc/self/clear_refs', os.O_WRONLY)
    yield 'directory', os.open('/proc/self', os.O_RDONLY)
    yield 'path', os.open('/proc/self/mem', os.O_PATH)
    yield 'kernel file', os.open('/proc/meminfo', os.O_RDONLY)


def test_what_is_no_process_memory(client, tmp_path):
    for name, fd in other_files(tmp_path):
        for flags in (READ, WRITE, BOTH):
            assert client.map_refused(0, PAGE, fd, flags=flags | IN_PROCESS) in \
                ('EINVAL', 'EACCES'), name
        os.close(fd)
    with file_of(4) as file:
        assert client.map_refused(0, PAGE, file, flags=BOTH | IN_PROCESS) == 'EINVAL'
    assert maps(client) == []


MOUNT = '''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
uid = os.getuid()
if libc.unshare(0x00020000 | (0x10000000 if uid else 0)) or \\
        libc.mount(None, b'/', None, 0x44000, None) or \\
        libc.mount(sys.argv[1].encode(), sys.argv[2].encode(), None, 0x1000, None):
    print(os.strerror(ctypes.get_errno()), flush=True)
else:
    print('mounted', flush=True)
sys.stdin.read()
'''


@contextlib.contextmanager
def disguised(file, place):
    """The descriptor of a file, which has another name where it was opened."""
    with open(place, 'wb'):
        pass
    process = subprocess.Popen([sys.executable, '-c', MOUNT, file, place], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    said = process.stdout.readline()
    fd = os.open(f'/proc/{process.pid}/root{place}', os.O_RDONLY) if 'mounted' in said else -1
    yield fd
    process.communicate('')
    if fd >= 0:
        os.close(fd)


@pytest.mark.parametrize('name', ['stat', 'status', 'environ', 'oom_score_adj'])
def test_a_file_in_the_clothes_of_another(client, name):
    """Whoever may mount gives a file the name that he likes."""
    with tempfile.TemporaryDirectory(dir='/tmp') as place, \
            disguised(f'/proc/{os.getpid()}/{name}', place + '/mem') as fd:
        if fd < 0:
            pytest.skip('mounting is not permitted here')
        assert os.readlink(f'/proc/self/fd/{fd}').endswith('/mem')
        assert client.map_refused(0, PAGE, fd, flags=READ | IN_PROCESS) == 'EINVAL'


@pytest.mark.parametrize('offset, size', [
    (1 << 63, PAGE), ((1 << 64) - PAGE, PAGE), ((1 << 63) - PAGE, PAGE), (PAGE, 1 << 63),
    ((1 << 63) - PAGE, 2 * PAGE), ((1 << 64) - 2 * PAGE, 4 * PAGE)])
def test_past_the_end_of_what_can_be(client, offset, size):
    with own_memory() as fd:
        assert client.map_refused(0, size, fd, offset=offset, flags=BOTH | IN_PROCESS) == 'EINVAL'


@pytest.mark.parametrize('address', [0, PAGE, 1 << 47, (1 << 47) - PAGE, 1 << 62,
                                     (1 << 63) - 2 * PAGE])
def test_where_nothing_is(client, address):
    """That is found out at the access."""
    with own_memory() as fd:
        client.map(0, PAGE, fd, offset=address, flags=BOTH | IN_PROCESS)
    assert fetch(client, 0, 8) == 'EIO'
    assert deposit(client, 8, b'x') == 'EIO'
    assert fault(client) == (8, 1, WRITE, 5, 2)


# ---- memory that goes -----------------------------------------------------------------------


def test_memory_that_is_gone(client):
    """A fault and an error for the device; everything else goes on."""
    pages, others = Pages(4, b'first'), Pages(1, b'others')
    map_own(client, 0, pages, 4)
    map_own(client, 0x100000, others, 1)
    pages.unmap(1, 2)
    assert fetch(client, 0, 5) == b'first'
    assert fetch(client, PAGE, 8) == 'EIO'
    assert fault(client) == (PAGE, 8, READ, 5, 1)
    assert deposit(client, PAGE - 4, bytes(8)) == 'EIO', 'half of it is gone'
    assert deposit(client, 3 * PAGE, b'last') == 'ok'
    assert pages.area[3 * PAGE:3 * PAGE + 4] == b'last'
    assert fetch(client, 0x100000, 6) == b'others'
    pages.protect(3, 1, 0)
    assert fetch(client, 0x100000, 6) == b'others'
    assert client.unmap(0, 4 * PAGE) == 4 * PAGE


OTHER = '''
import ctypes, mmap, os, socket, sys
area = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[:5] = b'other'
print(ctypes.addressof(ctypes.c_char.from_buffer(area)), flush=True)
sys.stdin.read()
'''


@pytest.fixture
def other_process():
    """Another process of ours, and the address of a page that it has."""
    process = subprocess.Popen([sys.executable, '-c', OTHER], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_process_that_ends(client, other_process):
    """Who may open the memory of a process may hand it on; when it ends there is none."""
    process, address = other_process
    fd = os.open(f'/proc/{process.pid}/mem', os.O_RDWR)
    client.map(0, PAGE, fd, offset=address, flags=BOTH | IN_PROCESS)
    os.close(fd)
    assert fetch(client, 0, 5) == b'other'
    assert deposit(client, 0, b'OTHER') == 'ok'
    process.kill()
    process.wait()
    assert fetch(client, 0, 5) == 'EIO'
    assert deposit(client, 0, b'x') == 'EIO'
    assert client.unmap(0, PAGE) == PAGE


def test_two_processes_are_two_memories(client, other_process):
    """At one address, and told apart."""
    process, address = other_process
    pages = Pages(1, b'mine')
    map_own(client, 0, pages, 1)
    fd = os.open(f'/proc/{process.pid}/mem', os.O_RDWR)
    assert client.map_refused(0, PAGE, fd, offset=pages.address, flags=BOTH | IN_PROCESS) == \
        'EEXIST'
    client.map(PAGE, PAGE, fd, offset=address, flags=BOTH | IN_PROCESS)
    os.close(fd)
    assert (fetch(client, 0, 4), fetch(client, PAGE, 5)) == (b'mine', b'other')


def test_nothing_is_left_of_it(probe):
    assert wait_for(probe.is_free)
    before = probe.fds()
    for _ in range(50):
        with probe.connect() as client:
            client.bus_master()
            pages = Pages(1, b'x')
            map_own(client, 0, pages, 1)
            assert fetch(client, 0, 1) == b'x'
            with own_memory() as fd:
                client.post(Cmd.DMA_MAP, dma_map(0, PAGE, flags=BOTH | IN_PROCESS), [fd],
                            flags=NO_REPLY)
                assert client.call(Cmd.DMA_MAP, dma_map(PAGE, PAGE, flags=BOTH | IN_PROCESS),
                                   [fd] * 2).flags & ERROR
            assert client.get(BAR0, 0) == 0x50524f42
    assert wait_for(lambda: probe.fds() == before)
