# SPDX-License-Identifier: MIT
"""A client whose memory makes whoever touches it wait: waiting_client.py TESTS-OF-WIRE SOCKET FILE.

The memory is of a file that this program serves itself (FUSE), mounted over FILE, whose content it
never tells. The device behind SOCKET, a probe, is given it by /proc/self/mem, and told to read it.
Prints "waits" then, or "skip" where a file system cannot be mounted.
"""

import ctypes
import os
import signal
import struct
import sys
import time

INIT, OPEN, GETATTR, FLUSH = 26, 14, 3, 25      # <linux/fuse.h>
SIZE = 8192
CLONE_NEWNS, MS_NOSUID_NODEV, MS_REC_PRIVATE = 0x20000, 6, 0x44000

ANSWERS = {
    INIT: (0, struct.pack('=IIIIHHIIHHI', 7, 31, 0, 0, 1, 1, 4096, 0, 0, 0, 0) + bytes(28)),
    OPEN: (0, struct.pack('=QII', 1, 0, 0)),
    GETATTR: (0, struct.pack('=QII6Q10I', 60, 0, 0, 1, SIZE, 16, 0, 0, 0, 0, 0, 0, 0o100666, 1,
                             0, 0, 0, 4096, 0)),
    FLUSH: (38, b''),
}

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long)


def mount(fuse, path):
    """For this process and its children alone; false where it is not permitted."""
    options = f'fd={fuse},rootmode=100000,user_id=0,group_id=0,allow_other'
    return libc.unshare(CLONE_NEWNS) == 0 and \
        libc.mount(None, b'/', None, MS_REC_PRIVATE, None) == 0 and \
        libc.mount(b'waits', os.fsencode(path), b'fuse', MS_NOSUID_NODEV, options.encode()) == 0


def serve(fuse):
    """Answer all but what asks for content."""
    while True:
        _, operation, number = struct.unpack_from('=IIQ', os.read(fuse, 1 << 20))
        if operation in ANSWERS:
            error, body = ANSWERS[operation]
            os.write(fuse, struct.pack('=IiQ', 16 + len(body), -error, number) + body)


def start_server(path):
    """A process that ends with this one; false where there can be none."""
    try:
        fuse = os.open('/dev/fuse', os.O_RDWR)
    except OSError:
        return False
    if not mount(fuse, path):
        return False
    parent = os.getpid()
    if os.fork() == 0:
        libc.prctl(1, signal.SIGKILL)
        if os.getppid() == parent:
            serve(fuse)
        os._exit(0)
    os.close(fuse)
    return True


def main(tests, path, file):
    sys.path.append(tests)
    import dma
    import wire

    if not start_server(file):
        print('skip', flush=True)
        return
    fd = os.open(file, os.O_RDWR)
    assert os.fstat(fd).st_size == SIZE
    address = libc.mmap(None, SIZE, 3, 1, fd, 0)
    client = wire.Client(path)
    client.hello()
    client.bus_master()
    memory = os.open('/proc/self/mem', os.O_RDWR)
    client.map(0, wire.PAGE, memory, offset=address,
               flags=wire.READ | wire.WRITE | wire.IN_PROCESS)
    dma.start(client, dma.TO_BUFFER, 0, 8)
    print('waits', flush=True)
    time.sleep(60)


main(*sys.argv[1:])
