# SPDX-License-Identifier: MIT
"""A device through libvfio's public calls, as a trace has it: words that ask, words that answer.

The words are those of tests/data/behaviour/README.
"""

import contextlib
import ctypes
import mmap
import os
import pathlib
import time

EVENTS = 16                 # eventfds e0 to e15
CONFIG = 7
AREAS = 32
DATA_TYPES = {1: 0, 2: 1, 4: 4}     # DATA_NONE, _BOOL, _EVENTFD: bytes for each vector
EVENTFD = 4
SOCKET_PAUSE = 0.02         # for a server to see an eventfd of its own accord


class Error(ctypes.Structure):
    """struct vfio_error"""
    _fields_ = [('err', ctypes.c_int), ('code', ctypes.c_int), ('who', ctypes.c_int),
                ('what', ctypes.c_char * 240), ('remedy', ctypes.c_char * 240)]


class DeviceInfo(ctypes.Structure):
    """struct vfio_device_info"""
    _fields_ = [(name, ctypes.c_uint32) for name in (
        'argsz', 'flags', 'num_regions', 'num_irqs', 'cap_offset', 'pad')]


class IrqInfo(ctypes.Structure):
    """struct vfio_irq_info"""
    _fields_ = [(name, ctypes.c_uint32) for name in ('argsz', 'flags', 'index', 'count')]


class Region(ctypes.Structure):
    """struct vfio_region"""
    _fields_ = [('index', ctypes.c_uint32), ('flags', ctypes.c_uint32), ('size', ctypes.c_uint64),
                ('fd', ctypes.c_int), ('fd_offset', ctypes.c_uint64), ('nareas', ctypes.c_uint32),
                ('areas', ctypes.c_uint64 * 2 * AREAS)]


class Dma(ctypes.Structure):
    """struct vfio_dma"""
    _fields_ = [('vaddr', ctypes.c_void_p), ('iova', ctypes.c_uint64), ('size', ctypes.c_size_t),
                ('fd', ctypes.c_int), ('fd_offset', ctypes.c_uint64), ('prot', ctypes.c_uint32)]


class VfioError(Exception):
    """A call that a trace cannot go without has failed; the record says why."""

    def __init__(self, record):
        super().__init__(f'VFIO-{record.code}: {record.what.decode()}: '
                         f'{os.strerror(record.err)}; {record.remedy.decode()}')


def load(build):
    """The library of a build."""
    library = ctypes.CDLL(str(pathlib.Path(build) / 'src' / 'libvfio.so'))
    for name in ('vfio_pread', 'vfio_pwrite'):
        function = getattr(library, name)
        function.restype = ctypes.c_ssize_t
        function.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_char_p,
                             ctypes.c_size_t]
    library.vfio_last_error.restype = ctypes.POINTER(Error)
    library.vfio_dma_unmap.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
    library.vfio_backend_name.restype = ctypes.c_char_p
    return library


def pattern(size):
    """What memory holds when it is mapped: each 8 bytes hold their own offset."""
    return b''.join(at.to_bytes(8, 'little') for at in range(0, size, 8))


def hexadecimal(*words):
    return [int(word, 16) for word in words]


class Device:
    """A handle, sixteen eventfds, and the memory that is mapped."""

    def __init__(self, library, string, policy=None):
        self.library, self.string, self.policy = library, string, policy or {}
        self.handle = ctypes.c_void_p()
        self.memory = {}                # I/O address: the memory there
        self.events = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(EVENTS)]
        self.file = os.open(os.devnull, os.O_RDWR)
        self.bad = self.file + 10000    # no process here has so many
        try:
            self.open()
        except VfioError:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def open(self):
        record = Error()
        if self.library.vfio_open(ctypes.byref(self.handle), self.string.encode(),
                                  ctypes.byref(record)) < 0:
            raise VfioError(record)
        for key, value in self.policy.items():
            if self.library.vfio_policy_set(self.handle, key.encode(), value.encode()) < 0:
                raise VfioError(self.library.vfio_last_error(self.handle).contents)

    def close(self):
        self.library.vfio_close(self.handle)
        self.handle = ctypes.c_void_p()
        self.memory = {}

    def end(self):
        self.close()
        for fd in (*self.events, self.file):
            os.close(fd)
        self.events = []

    def is_remote(self):
        return self.library.vfio_backend_name(self.handle) == b'socket'

    def request(self, text):
        """Do what a line asks for; the words that come after its equals sign."""
        kind, *words = text.split()
        return getattr(self, f'do_{kind}')(*words)

    # ---- registers

    def read(self, region, offset, width):
        buffer = ctypes.create_string_buffer(max(width, 1))
        got = self.library.vfio_pread(self.handle, region, offset, buffer, width)
        if got <= 0:
            return str(got)
        value = int.from_bytes(buffer.raw[:got], 'little')
        return f'{value:0{2 * got}x}' + (f' short {got}' if got < width else '')

    def write(self, region, offset, width, value):
        data = value.to_bytes(max(width, 1), 'little')
        return str(self.library.vfio_pwrite(self.handle, region, offset, data, width))

    def do_R(self, offset, width):
        return self.read(CONFIG, int(offset, 16), int(width))

    def do_W(self, offset, width, value):
        return self.write(CONFIG, int(offset, 16), int(width), int(value, 16))

    def do_B(self, region, offset, width):
        return self.read(int(region), int(offset, 16), int(width))

    def do_P(self, region, offset, width, value):
        return self.write(int(region), int(offset, 16), int(width), int(value, 16))

    # ---- what there is

    def do_I(self):
        info = DeviceInfo()
        r = self.library.vfio_info(self.handle, ctypes.byref(info))
        return f'{info.flags:x} {info.num_regions} {info.num_irqs}' if r == 0 else str(r)

    def do_G(self, index):
        region = Region()
        r = self.library.vfio_region(self.handle, int(index), ctypes.byref(region))
        if r < 0:
            return str(r)
        areas = [f'{offset:x}+{size:x}' for offset, size in region.areas[:region.nareas]]
        return ' '.join([f'{region.size:x}', f'{region.flags:x}', *areas])

    def do_Q(self, index):
        info = IrqInfo(argsz=ctypes.sizeof(IrqInfo))
        r = self.library.vfio_irq_info(self.handle, int(index), ctypes.byref(info))
        return f'{info.count} {info.flags:x}' if r == 0 else str(r)

    # ---- interrupts

    def descriptor(self, word):
        if word.startswith('e'):
            return self.events[int(word[1:])]
        return {'bad': self.bad, 'file': self.file}[word] if word.isalpha() else int(word)

    def do_S(self, index, flags, start, count, argsz, *data):
        (flags,) = hexadecimal(flags)
        width = DATA_TYPES.get(flags & 7, 0)
        numbers = [self.descriptor(word) for word in data]
        body = b''.join(n.to_bytes(width or 1, 'little', signed=n < 0) for n in numbers)
        head = [int(argsz), flags, int(index), int(start), int(count)]
        request = b''.join(n.to_bytes(4, 'little') for n in head) + body
        return str(self.library.vfio_irq_set(self.handle, request))

    def do_E(self, which):
        """Read one eventfd, or all."""
        counts = {}
        for i in range(EVENTS) if which == 'all' else [int(which[1:])]:
            with contextlib.suppress(BlockingIOError):
                counts[i] = os.eventfd_read(self.events[i])
        if which != 'all':
            return str(sum(counts.values()))
        return ' '.join(f'e{i} {count}' for i, count in counts.items()) or 'none'

    def do_T(self, which):
        os.eventfd_write(self.events[int(which[1:])], 1)
        if self.is_remote():
            time.sleep(SOCKET_PAUSE)
        return str(self.library.vfio_dispatch(self.handle))

    # ---- memory

    def do_M(self, iova, size, prot):
        iova, size, prot = hexadecimal(iova, size, prot)
        memory = mmap.mmap(-1, size)
        memory[:] = pattern(size)[:size]
        dma = Dma(vaddr=ctypes.addressof(ctypes.c_char.from_buffer(memory)), iova=iova, size=size,
                  fd=-1, prot=prot)
        r = self.library.vfio_dma_map(self.handle, ctypes.byref(dma))
        if r == 0:
            self.memory[iova] = memory
        return str(r)

    def do_U(self, iova, size):
        iova, size = hexadecimal(iova, size)
        return str(self.library.vfio_dma_unmap(self.handle, iova, size))

    def do_D(self, iova, width):
        """What lies in memory that is, or was last, mapped there."""
        (at,), width = hexadecimal(iova), int(width)
        base = max(start for start in self.memory if start <= at)
        value = int.from_bytes(self.memory[base][at - base:at - base + width], 'little')
        return f'{value:0{2 * width}x}'

    # ---- life

    def do_X(self):
        return str(self.library.vfio_reset(self.handle))

    def do_O(self):
        self.close()
        self.open()
        return '0'
