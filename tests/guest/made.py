# SPDX-License-Identifier: MIT
"""PCI functions that no device of QEMU's has, served to QEMU's x-pci-proxy-dev.

QEMU sends each access to configuration space and to BARs over a socket. A function here is 256 bytes, the
bits of them that can be written, and what VPD does by itself. It raises no interrupts.
"""

import os
import socket
import struct
import threading

HEADER = struct.Struct('<iiQ')
CONFIG = struct.Struct('<IIi')
BAR = struct.Struct('<QQI?3x')
SYNC, RET, CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, SET_IRQFD, RESET = range(8)
SILENT = (SYNC, SET_IRQFD)


class Function:
    """Registers, and which of their bits can be written or are cleared by a one."""

    def __init__(self, capabilities, pin=1):
        self.data = bytearray(256)
        self.writable = bytearray(256)
        self.cleared = bytearray(256)
        self.memory = {}
        self.vpd_at = 0
        self.vpd = bytearray(b'\x82\x04\x00made\x90\x09\x00SN\x020xRV\x01\x00\x78' + bytes(233))
        self.put(0x00, bytes.fromhex('341200ca'))
        self.put(0x08, bytes.fromhex('010000ff'))
        self.put(0x2c, bytes.fromhex('f41a00ca'))
        self.put(0x3d, bytes((pin,)))
        for offset, mask in ((0x04, '4705'), (0x0c, 'ffff'), (0x3c, 'ff'), (0x10, '00f0ffff'),
                             (0x14, 'e0ffffff'), (0x18, '00c0ffff')):
            self.allow(offset, mask)
        self.data[0x14] = 1
        self.cleared[0x07] = 0xf9
        self.link(capabilities)

    def put(self, offset, values):
        self.data[offset:offset + len(values)] = values

    def allow(self, offset, mask):
        values = bytes.fromhex(mask)
        self.writable[offset:offset + len(values)] = values

    def link(self, capabilities):
        """Capabilities are (offset, id, what follows the pointer, what can be written of that).

        One with nothing after its pointer is a pointer only: to what is there already.
        """
        pointer = 0x34
        for offset, number, body, mask in capabilities:
            self.data[0x06] |= 0x10
            self.data[pointer] = offset
            if not body:
                break
            self.put(offset, bytes((number, 0)) + bytes.fromhex(body))
            self.allow(offset + 2, mask)
            pointer = offset + 1
            if number == 0x03:
                self.vpd_at = offset

    def read(self, offset, length):
        return int.from_bytes(self.data[offset:offset + length], 'little')

    def write(self, offset, value, length):
        for i, byte in enumerate(value.to_bytes(8, 'little')[:length], offset):
            if i < 256:
                mask = self.writable[i]
                self.data[i] = self.data[i] & ~mask & ~(byte & self.cleared[i]) | byte & mask
        if self.vpd_at and offset <= self.vpd_at + 3 < offset + length:
            self.move_vpd(self.vpd_at)

    def move_vpd(self, at):
        """One dword between the data register and the storage; the flag turns when that is done."""
        address = self.read(at + 2, 2)
        where = address & 0x7ffc
        if address & 0x8000:
            self.vpd[where:where + 4] = self.data[at + 4:at + 8]
        else:
            self.put(at + 4, bytes(self.vpd[where:where + 4]).ljust(4, b'\0'))
        self.data[at + 3] ^= 0x80

    def access_bar(self, command, address, value, size):
        if command == BAR_WRITE:
            for i, byte in enumerate(value.to_bytes(8, 'little')[:size]):
                self.memory[address + i] = byte
            return 0
        values = bytes(self.memory.get(address + i, 0) for i in range(size))
        return int.from_bytes(values, 'little')

    def answer(self, command, body):
        if command in (CONFIG_READ, CONFIG_WRITE):
            offset, value, length = CONFIG.unpack(body)
            if command == CONFIG_READ:
                return self.read(offset, length)
            self.write(offset, value, length)
        elif command in (BAR_READ, BAR_WRITE):
            address, value, size, _ = BAR.unpack(body)
            return self.access_bar(command, address, value, size)
        return 0


PM = ('02fe00000000', '0000037f0000')
EXPRESS = '0200 c38f0010 10280000 11040000 00001110' + ' 00' * 44
EXPRESS_WRITABLE = '0000 00000000 ff7f0000 00000000 ff0f0000' + ' 00' * 20 + ' ff0f 0000' + ' 00' * 20

FUNCTIONS = {
    # One of most kinds, with hidden ones between.
    'many': ((0x40, 0x01, *PM),
             (0x48, 0x03, '000000000000', 'ffffffffffff'),
             (0x50, 0x05, '8a01' + '00' * 20, '7100 fcffffff ffffffff ffff0000 ffffffff 00000000'),
             (0x68, 0x04, '1234', 'ffff'),
             (0x6c, 0x13, '06030000', '00000000'),
             (0x74, 0x11, '070002000000 02080000', '00c0 00000000 00000000'),
             (0x80, 0x10, EXPRESS, EXPRESS_WRITABLE),
             (0xbc, 0x0d, '0000f41a00ca', 'ffffffffffff'),
             (0xc4, 0x09, '10aa' + '5a' * 12, 'ffff' + 'ff' * 12),
             (0xd4, 0x12, '100048000000', 'ffffffffffff'),
             (0xdc, 0x08, '00a0' + '11' * 20, 'ffff' + 'ff' * 20),
             (0xf8, 0x0a, '0120', 'ffff')),
    # What conventional devices had, pointers that lead nowhere good, and two that abut.
    'old': ((0x40, 0x02, '2000 17020000 00000000', 'ffff ffffffff ffffffff'),
            (0x4c, 0x07, '0000 ffff2301', '7f00 00000000'),
            (0x54, 0x05, '0600' + '00' * 6, '7100 fcffffff ffff'),
            (0x60, 0x06, '0000', 'ffff'),
            (0x64, 0x09, '0012', 'ffff'),
            (0x68, 0x00, '3412', 'ffff'),
            (0x6c, 0x15, '7856', 'ffff'),
            (0x70, 0x14, '0000', 'ffff'),
            (0x78, 0x01, '22000000', '00000300'),
            (0x80, 0x10, '9100 00000000 0f080000', '0000 00000000 ff7f0000'),
            (0xa0, 0x09, '0801aabbccdd', 'ffffffffffff'),
            (0xa8, 0x09, '08021a1b1c1d', 'ffffffffffff'),
            (0xb0, 0x12, '1f00 00000000 00000000 00000000', 'ffff' * 7),
            (0xc0, 0x08, '0010' + '22' * 24, 'ffff' + 'ff' * 24)),
    # MSI with masks but without the upper half; PCI-X as PCI Express has it; PCI Express 1.
    'masks': ((0x48, 0x05, '0a01' + '00' * 16, '7100 fcffffff ffff0000 ffffffff 00000000'),
              (0x60, 0x07, '0010 00002301' + '00' * 16, '7f00' + 'ff' * 20),
              (0x7c, 0x10, '0100 c0800000 10280000 11040000 00001110', '0000 00000000 ff7f0000'),
              (0xa0, 0x0b, '0000', 'ffff')),
    # Capabilities at odd places, in a ring.
    'ring': ((0x44, 0x01, *PM),
             (0x4e, 0x12, '100048000000', 'ffffffffffff'),
             (0x5a, 0x09, '07aabbccdd', 'ffffffffff'),
             (0x61, 0x09, '0611223344', 'ffffffffff'),
             (0x6b, 0x0d, '0000f41a00ca', 'ffffffffffff'),
             (0x75, 0x13, '06030000', '00000000'),
             (0x44, 0x01, '', '')),
    # Capabilities that are all hidden.
    'hidden': ((0x40, 0x04, '0102', 'ffff'), (0x48, 0x0c, '0000', 'ffff'),
               (0x50, 0x14, '0000', 'ffff')),
}


def receive(connection, length):
    data = b''
    while len(data) < length:
        # Descriptors of memory and interrupts come along, for which there is no use.
        more, fds, _, _ = socket.recv_fds(connection, length - len(data), 8)
        for fd in fds:
            os.close(fd)
        if not more:
            return None
        data += more
    return data


def serve(connection, name):
    """Until QEMU is gone."""
    function = Function(FUNCTIONS[name])
    with connection:
        while (header := receive(connection, HEADER.size)) is not None:
            command, _, size = HEADER.unpack(header)
            body = receive(connection, size) if size else b''
            if body is None:
                return
            if command not in SILENT:
                value = function.answer(command, body)
                connection.sendall(HEADER.pack(RET, 0, 8) + struct.pack('<Q', value))


def start(name):
    """Serves a function in a thread of its own; the socket that QEMU shall have."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=serve, args=(ours, name), daemon=True).start()
    return theirs
