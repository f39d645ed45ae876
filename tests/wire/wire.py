# SPDX-License-Identifier: MIT
"""A vfio-user client that knows only the wire: bytes, a socket and descriptors.

It shares nothing with the library that it tests. Where it is strict (reply flags, sizes, ids), the
protocol is; where a test wants to break a rule, it sends bytes of its own.
"""

import array
import dataclasses
import enum
import errno
import fcntl
import json
import os
import socket
import struct
import time

HEADER = struct.Struct('=HHIII')            # id, command, size, flags, error
ACCESS = struct.Struct('=QII')              # offset, region, count
REGION_INFO = struct.Struct('=IIIIQQ')      # argsz, flags, index, cap_offset, size, offset
IRQ_INFO = struct.Struct('=IIII')           # argsz, flags, index, count
IRQ_SET = struct.Struct('=IIIII')           # argsz, flags, index, start, count
MAP = struct.Struct('=IIQQQ')               # argsz, flags, offset, iova, size
UNMAP = struct.Struct('=IIQQ')              # argsz, flags, iova, size
DMA = struct.Struct('=QQ')                  # iova, count

REPLY, NO_REPLY, ERROR = 1, 0x10, 0x20

MIB = 1 << 20
LIMIT = MIB + 64                            # the largest message that the server takes
PAGE = 4096
MAX_FDS = 253                               # the kernel's limit for one message

BAR0, BAR1, BAR2, BAR3, BAR4, BAR5, ROM, CONFIG, VGA = range(9)
INTX, MSI, MSIX, ERR, REQ = range(5)

NONE, BOOL, EVENTFD = 1, 2, 4
MASK, UNMASK, TRIGGER = 8, 16, 32

READ, WRITE = 1, 2
F_ADD_SEALS = 1033          # <linux/fcntl.h>; Python 3.11 knows no seals
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE = 1, 2, 4, 8, 16

IN_FILE, IN_PROCESS = 4, 8  # flags of DMA_MAP: what its descriptor is

UNMAP_ALL = 2

OFFER = {'capabilities': {'max_msg_fds': 16, 'max_data_xfer_size': MIB}}


class Cmd(enum.IntEnum):
    """The commands, by the wire's numbers."""
    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    GET_INFO = 4
    GET_REGION_INFO = 5
    GET_REGION_IO_FDS = 6
    GET_IRQ_INFO = 7
    SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    RESET = 13
    DIRTY_PAGES = 14
    WRITE_MULTI = 15
    FEATURE = 16
    MIG_READ = 17
    MIG_WRITE = 18


class Ended(Exception):
    """The server ended the connection."""


@dataclasses.dataclass
class Message:
    """One message as it was received."""
    id: int
    command: int
    size: int
    flags: int
    error: int
    payload: bytes
    fds: list


@dataclasses.dataclass
class Region:
    """A reply to GET_REGION_INFO, its capabilities taken apart."""
    argsz: int
    flags: int
    index: int
    cap_offset: int
    size: int
    offset: int
    caps: list          # (id, version, body) in the order of the chain
    fds: list

    def areas(self):
        """The areas of the sparse-mmap capability, or None when there is none."""
        for number, version, body in self.caps:
            if number == 1:
                assert version == 1
                count, _ = struct.unpack_from('=II', body)
                return list(struct.iter_unpack('=QQ', body[8:8 + 16 * count]))
        return None


def message(command, payload=b'', *, id=0x5a5a, flags=0, size=None, error=0):
    """The bytes of one message; size is right unless another one is asked for."""
    return HEADER.pack(id, command, HEADER.size + len(payload) if size is None else size, flags,
                       error) + payload


def version(major=0, minor=1, text=OFFER):
    """VERSION's payload. text: an object that becomes JSON with its NUL, or bytes, or None."""
    if text is None:
        text = b''
    elif not isinstance(text, bytes):
        text = json.dumps(text).encode() + b'\0'
    return struct.pack('=HH', major, minor) + text


def access(region, offset, count, data=b''):
    """The payload of REGION_READ and REGION_WRITE."""
    return ACCESS.pack(offset, region, count) + data


def irq_set(flags, index, start, count, bools=b'', argsz=None):
    """The payload of SET_IRQS."""
    return IRQ_SET.pack(IRQ_SET.size + len(bools) if argsz is None else argsz, flags, index, start,
                        count) + bools


def dma_map(iova, size, offset=0, flags=READ | WRITE, argsz=MAP.size):
    """The payload of DMA_MAP."""
    return MAP.pack(argsz, flags, offset, iova, size)


def dma_unmap(iova, size, flags=0, argsz=UNMAP.size):
    """The payload of DMA_UNMAP."""
    return UNMAP.pack(argsz, flags, iova, size)


def info(argsz=16):
    """The payload of GET_INFO."""
    return struct.pack('=IIII', argsz, 0, 0, 0)


def region_query(index, argsz=REGION_INFO.size):
    """The payload of GET_REGION_INFO."""
    return REGION_INFO.pack(argsz, 0, index, 0, 0, 0)


def irq_query(index, argsz=IRQ_INFO.size):
    """The payload of GET_IRQ_INFO, and of GET_REGION_IO_FDS."""
    return IRQ_INFO.pack(argsz, 0, index, 0)


def ancillary(fds):
    """What sendmsg() takes to send descriptors: numbers, or objects that have one."""
    numbers = array.array('i', [fd if isinstance(fd, int) else fd.fileno() for fd in fds])
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if numbers else []


def memory(size, sealed=False):
    """A memory file of so many bytes, on request sealed against becoming shorter."""
    fd = os.memfd_create('wire-test', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, size)
    if sealed:
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
    return fd


def chain(payload, offset):
    """Take a capability chain apart: (id, version, body), each body up to the next capability."""
    starts = []
    while offset:
        assert REGION_INFO.size <= offset <= len(payload) - 8 and offset not in starts
        starts.append(offset)
        offset = struct.unpack_from('=HHI', payload, offset)[2]
    ends = sorted(starts)[1:] + [len(payload)]
    return [struct.unpack_from('=HH', payload, start) +
            (payload[start + 8:min(end for end in ends if end > start)],) for start in starts]


class Client:
    """One connection."""

    def __init__(self, path, deadline=8.0):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(deadline)
        self._connect(str(path), time.monotonic() + deadline)
        self.received = []          # descriptors that replies brought; closed with the connection
        self.last_id = 0

    def _connect(self, path, end):
        """A socket with a time-out does not wait for room in the server's queue by itself."""
        while True:
            try:
                return self.sock.connect(path)
            except BlockingIOError:
                assert time.monotonic() < end, 'the server does not accept'
                time.sleep(0.001)

    def close(self):
        self.sock.close()
        while self.received:
            os.close(self.received.pop())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes -----------------------------------------------------------------------------

    def send(self, data, fds=()):
        """Send bytes in one piece, the descriptors with the first of them."""
        try:
            sent = self.sock.sendmsg([data], ancillary(fds))
            if sent < len(data):
                self.sock.sendall(memoryview(data)[sent:])
        except (BrokenPipeError, ConnectionResetError) as err:
            raise Ended(str(err)) from err

    def send_pieces(self, *pieces, fds=(), fds_with=0, pause=0.001):
        """Send bytes in several pieces, with time between them for the server to read each."""
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause)
            if piece:
                self.send(piece, fds if number == fds_with else ())

    def _take(self, count):
        data, fds = b'', []
        while len(data) < count:
            try:
                piece, control, flags, _ = self.sock.recvmsg(
                    count - len(data), socket.CMSG_SPACE(4 * MAX_FDS), socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError as err:
                raise Ended(str(err)) from err
            for level, kind, body in control:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds.extend(array.array('i', body))
            self.received.extend(fds)
            assert not flags & socket.MSG_CTRUNC
            if not piece:
                assert not data, f'the connection ended {len(data)} bytes into {count}'
                raise Ended('end of stream')
            data += piece
        return data, fds

    def receive(self):
        """The next message, a reply or a command."""
        head, fds = self._take(HEADER.size)
        number, command, size, flags, error = HEADER.unpack(head)
        assert HEADER.size <= size <= LIMIT, f'a message of {size} bytes'
        payload, late = self._take(size - HEADER.size)
        assert not late, 'descriptors came after the header'
        return Message(number, command, size, flags, error, payload, fds)

    def ended(self):
        """Has the server ended the connection, with nothing more to read?"""
        try:
            late = self.receive()
        except Ended:
            return True
        raise AssertionError(f'a message, where the end was expected: {late}')

    # ---- messages --------------------------------------------------------------------------

    def new_id(self):
        self.last_id = (self.last_id + 1) & 0xffff
        return self.last_id

    def post(self, command, payload=b'', fds=(), **head):
        """Send a command and return its id."""
        head.setdefault('id', self.new_id())
        self.send(message(command, payload, **head), fds)
        return head['id']

    def reply(self, number, command):
        """The next message, which must be the reply to that command."""
        got = self.receive()
        assert (got.id, got.command) == (number, command)
        assert got.flags & ~ERROR == REPLY, f'reply flags {got.flags:#x}'
        if got.flags & ERROR:
            assert got.size == HEADER.size and not got.fds, 'an error reply is a header, no more'
            assert got.error != 0
        else:
            assert got.error == 0
        return got

    def call(self, command, payload=b'', fds=(), **head):
        """Send a command and return its reply, success or error."""
        return self.reply(self.post(command, payload, fds, **head), command)

    def ok(self, command, payload=b'', fds=(), **head):
        """A command that must succeed; returns its reply's payload."""
        got = self.call(command, payload, fds, **head)
        assert not got.flags & ERROR, f'{Cmd(command).name}: {os.strerror(got.error)}'
        return got.payload

    def refused(self, command, payload=b'', fds=(), **head):
        """A command that must fail; returns the name of its errno."""
        got = self.call(command, payload, fds, **head)
        assert got.flags & ERROR, f'command {command} succeeded'
        return errno.errorcode.get(got.error, str(got.error))

    def hello(self, *args, **kwargs):
        """VERSION; arguments as for version()."""
        return self.ok(Cmd.VERSION, version(*args, **kwargs))

    def ping(self):
        """Is the next thing to come the answer to a question asked now?"""
        assert struct.unpack('=IIII', self.ok(Cmd.GET_INFO, info()))[2] == 9

    # ---- the device ------------------------------------------------------------------------

    def region(self, index, argsz=REGION_INFO.size):
        got = self.call(Cmd.GET_REGION_INFO, region_query(index, argsz))
        assert not got.flags & ERROR, f'region {index}: {os.strerror(got.error)}'
        fields = REGION_INFO.unpack_from(got.payload)
        return Region(*fields, chain(got.payload, fields[3]), got.fds)

    def read(self, region, offset, count):
        """REGION_READ; returns the bytes, fewer than count at the end of a BAR."""
        got = self.ok(Cmd.REGION_READ, access(region, offset, count))
        assert len(got) >= ACCESS.size
        head = ACCESS.unpack_from(got)
        data = got[ACCESS.size:]
        assert head == (offset, region, len(data)) and len(data) <= count
        return data

    def write(self, region, offset, data):
        """REGION_WRITE; returns the number of bytes written."""
        got = ACCESS.unpack(self.ok(Cmd.REGION_WRITE, access(region, offset, len(data), data)))
        assert got[:2] == (offset, region) and got[2] <= len(data)
        return got[2]

    def get(self, region, offset, width=4):
        """A register's value."""
        data = self.read(region, offset, width)
        assert len(data) == width
        return int.from_bytes(data, 'little')

    def put(self, region, offset, value, width=4):
        """Set a register."""
        assert self.write(region, offset, value.to_bytes(width, 'little')) == width

    def bus_master(self, on=True):
        command = self.get(CONFIG, 4, 2)
        self.put(CONFIG, 4, command | 4 if on else command & ~4, 2)

    def irqs(self, flags, index, start, count, fds=(), bools=b''):
        """SET_IRQS that must succeed."""
        assert self.ok(Cmd.SET_IRQS, irq_set(flags, index, start, count, bools), fds) == b''

    def irqs_refused(self, flags, index, start, count, fds=(), bools=b''):
        return self.refused(Cmd.SET_IRQS, irq_set(flags, index, start, count, bools), fds)

    def map(self, iova, size, fd=None, **kwargs):
        """DMA_MAP that must succeed; without fd the device asks this client for the bytes."""
        fds = () if fd is None else (fd,)
        assert self.ok(Cmd.DMA_MAP, dma_map(iova, size, **kwargs), fds) == b''

    def map_refused(self, iova, size, fd=None, **kwargs):
        return self.refused(Cmd.DMA_MAP, dma_map(iova, size, **kwargs), () if fd is None else (fd,))

    def unmap(self, iova, size, flags=0):
        """DMA_UNMAP that must succeed; returns the number of bytes unmapped."""
        got = self.ok(Cmd.DMA_UNMAP, dma_unmap(iova, size, flags))
        fields = UNMAP.unpack(got)
        assert fields[:3] == (UNMAP.size, flags, iova)
        return fields[3]

    def unmap_refused(self, iova, size, flags=0):
        return self.refused(Cmd.DMA_UNMAP, dma_unmap(iova, size, flags))
