#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What VFIO shows of a device, derived from its registers without the library.

The rules are those of the kernel's vfio-pci, written down again: this shares nothing with the code
that it checks, so that both cannot be wrong in the same way.

    derive.py DUMP [barN=SIZE[:io|:64bit|:prefetchable]]... [rom=SIZE] [id=VENDOR:DEVICE] [vf=1]
    derive.py --write       write NAME.view for each line of the file devices, from ../pci/NAME.txt

A view is what the first read after opening gives: no interrupt is enabled or asserted, nothing was
written. Some things differ from the kernel, as in the library: a BAR whose size is given exists,
even if its register has no address; pointers in the lists have no low bits, and a list that loops,
or leaves its part of configuration space, ends there; two capabilities of one ID are two, also when
they abut.
"""

import dataclasses
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent

COMMAND, STATUS, BAR0, ROM, POINTER, LINE, PIN = 0x04, 0x06, 0x10, 0x30, 0x34, 0x3c, 0x3d
CAPABILITY_LIST, INTX_ASSERTED = 0x10, 0x08
IO, MEMORY, BUS_MASTER, INTX_DISABLE = 1, 2, 4, 0x400
PM, MSI, PCIX, VENDOR, EXPRESS, MSIX, AF = 0x01, 0x05, 0x07, 0x09, 0x10, 0x11, 0x13

# Shown of the standard capabilities; a vendor's is not if it says that it has no bytes.
SHOWN = {0x01, 0x02, 0x03, 0x05, 0x07, 0x08, 0x09, 0x10, 0x11, 0x12, 0x13}
# Of the extended ones. Two say themselves how long they are.
SHOWN_EXTENDED = {0x01, 0x02, 0x03, 0x04, 0x08, 0x09, 0x0b, 0x0d, 0x0e, 0x0f, 0x10, 0x12, 0x13,
                  0x15, 0x16, 0x17, 0x18, 0x23}
VSEC, DVSEC = 0x0b, 0x23
# These cannot switch INTx off in a way that works, which the kernel knows.
NO_INTX = {0x1563, 0x1572, 0x1574, 0x1580, 0x1581, *range(0x1583, 0x158c), *range(0x37d0, 0x37d3)}


@dataclasses.dataclass
class Bar:
    """What the registers do not say of a BAR, or not of a virtual function's."""
    size: int
    words: tuple = ()

    def type_bits(self):
        if 'io' in self.words:
            return 1
        return (4 if '64bit' in self.words else 0) | (8 if 'prefetchable' in self.words else 0)


@dataclasses.dataclass
class Device:
    """Registers, and what is known besides."""
    name: str
    raw: bytes
    bars: dict = dataclasses.field(default_factory=dict)
    rom: int = 0
    ident: tuple = None
    virtual_function: bool = False


# ---- reading ----------------------------------------------------------------------------------

def size_of(text):
    """64K -> 65536."""
    number, unit = re.fullmatch(r'(\d+)([KMGT]?)', text).groups()
    return int(number) << 10 * (' KMGT'.index(unit or ' '))


def read_dump(path):
    """The name and bytes of the one device in a file as lspci prints it."""
    name, *lines = pathlib.Path(path).read_text(encoding='ascii').splitlines()
    return name, bytes.fromhex(''.join(line.split(': ')[1] for line in lines if line))


def read_device(path, words):
    """The device of a dump, opened with these options."""
    device = Device(*read_dump(path))
    for key, value in (word.split('=') for word in words):
        if key == 'rom':
            device.rom = size_of(value)
        elif key == 'id':
            device.ident = tuple(int(part, 16) for part in value.split(':'))
        elif key == 'vf':
            device.virtual_function = value == '1'
        else:
            size, *types = value.split(':')
            device.bars[int(key.removeprefix('bar'))] = Bar(size_of(size), tuple(types))
    return device


def devices():
    """Name and options of each line of the file devices."""
    for line in (HERE / 'devices').read_text(encoding='ascii').splitlines():
        if line and not line.startswith('#'):
            name, *words = line.split()
            yield name, words


# ---- registers --------------------------------------------------------------------------------

def get(config, at, width):
    return int.from_bytes(config[at:at + width], 'little')


def put(config, at, width, value):
    config[at:at + width] = value.to_bytes(width, 'little')


def clear(config, at, width, bits):
    put(config, at, width, get(config, at, width) & ~bits)


# ---- header -----------------------------------------------------------------------------------

def has(device, wanted):
    """Has it a BAR of this type, IO or MEMORY?"""
    for index, bar in device.bars.items():
        bits = get(device.raw, BAR0 + 4 * index, 4) or bar.type_bits()
        if (IO if bits & 1 else MEMORY) == wanted:
            return True
    return False


def show_command(device, view):
    """Decoders are on where there is something to decode, bus mastering and DisINTx are off."""
    value = get(view, COMMAND, 2) & ~(BUS_MASTER | INTX_DISABLE)
    value |= IO if has(device, IO) else 0
    if device.virtual_function or has(device, MEMORY):
        value |= MEMORY
    put(view, COMMAND, 2, value)


def show_bar(device, view, index, bar, value=None):
    """The address, as far as the size lets it be set, and the type. Or what becomes of value."""
    at = BAR0 + 4 * index
    raw = get(device.raw, at, 4)
    address = raw if value is None else value
    types = raw & (3 if raw & 1 else 0xf) if raw else bar.type_bits()
    if types & 1:
        put(view, at, 4, address & ~(bar.size - 1) & 0xfffffffc | types & 1)
        return
    if types & 4:
        upper = get(device.raw, at + 4, 4) if value is None else value
        put(view, at + 4, 4, upper & ~(bar.size - 1) >> 32 & 0xffffffff)
    put(view, at, 4, address & ~(bar.size - 1) & 0xfffffff0 | types)


def show_bars(device, view, value=None):
    """Those that are there; the rest reads as zero."""
    put(view, BAR0, 24, 0)
    for index, bar in device.bars.items():
        show_bar(device, view, index, bar, value)
    rom = get(device.raw, ROM, 4) if value is None else value
    mask = ~(device.rom - 1) & 0xfffff800 | 1 if device.rom else 0
    put(view, ROM, 4, rom & mask)


def show_header(device, view):
    view[STATUS] &= ~INTX_ASSERTED
    if device.ident:
        put(view, 0, 2, device.ident[0])
        put(view, 2, 2, device.ident[1])
    show_command(device, view)
    show_bars(device, view)
    broken = get(view, 0, 2) == 0x8086 and get(view, 2, 2) in NO_INTX
    if device.virtual_function or broken:
        put(view, PIN, 1, 0)


# ---- capabilities -----------------------------------------------------------------------------

def is_shown(raw, at):
    return raw[at] in SHOWN and not (raw[at] == VENDOR and raw[at + 2] == 0)


def show_list(raw, view, kernel):
    """Unlink what is hidden. Returns the places of what is shown."""
    mask = 0xff if kernel else 0xfc
    found, link, at, seen = [], POINTER, raw[POINTER] & mask, set()
    if not raw[STATUS] & CAPABILITY_LIST:
        return found
    for _ in range(48):
        if not 0x40 <= at < 0xfe or (at in seen and not kernel):
            break
        seen.add(at)
        view[link] = at
        if is_shown(raw, at):
            found.append(at)
            link = at + 1
        at = raw[at + 1] & mask
    view[link] = at if kernel else 0
    if not found:
        view[STATUS] &= ~CAPABILITY_LIST
    return found


def clear_pending(raw, view, at):
    """Of messages; the register is there if they can be masked."""
    if raw[at + 3] & 0x01:
        put(view, at + (0x14 if raw[at + 2] & 0x80 else 0x10), 4, 0)


def show_capability(raw, view, at):
    """Bits that the kernel answers, and those that are zero while no interrupt is enabled."""
    ident = raw[at]
    if ident == PM:
        clear(view, at + 2, 2, 0xf800)      # can send PME from …
        clear(view, at + 4, 2, 0x8100)      # PME status, enable
        clear(view, at + 4, 2, 0x0003)      # it is opened in D0
    elif ident == MSI:
        clear(view, at + 2, 2, 0x0071)      # enabled, and how many
        clear_pending(raw, view, at)
    elif ident == MSIX:
        clear(view, at + 2, 2, 0xc000)      # enabled, all masked
    elif ident == EXPRESS:
        clear(view, at + 8, 2, 0x8000)      # reset
    elif ident == AF:
        clear(view, at + 4, 1, 0x01)        # reset


# ---- extended capabilities --------------------------------------------------------------------

def is_extended(raw, found):
    """Does the function say that it may have extended capabilities?"""
    return len(raw) > 256 and get(raw, 0x100, 4) != 0 and any(
        raw[at] == EXPRESS or (raw[at] == PCIX and raw[at + 3] & 0x30) for at in found)


def is_shown_extended(raw, at):
    ident = get(raw, at, 2)
    return ident in SHOWN_EXTENDED and not (
        ident in (VSEC, DVSEC) and get(raw, at + 4, 4) >> 20 == 0)


def link_to(view, link, at):
    put(view, link, 4, get(view, link, 4) & 0xfffff | at << 20)


def show_extended(raw, view):
    """Unlink what is hidden; of the first, which the list begins with, only the link is left."""
    link, at, shown = None, 0x100, 0
    for _ in range((len(raw) - 256) // 4):
        if at < 0x100:
            break
        if link is not None:
            link_to(view, link, at)
        if is_shown_extended(raw, at):
            link, shown = at, shown + 1
        elif at == 0x100:
            link = at
            put(view, at, 4, get(raw, at, 4) & 0xffc00000)
        at = get(raw, at, 4) >> 20 & 0xffc
    link_to(view, link, 0)
    if not shown:
        put(view, 0x100, 4, 0)


def join_abutting(raw, view, found):
    """The header of a vendor's capability that lies right behind another of the same ID."""
    for at in found:
        end = at + raw[at + 2]
        if raw[at] == VENDOR and end in found and raw[end] == VENDOR:
            view[end:end + 2] = raw[end:end + 2]


def join_abutting_extended(raw, view):
    """The same."""
    at = 0x100
    for _ in range((len(raw) - 256) // 4):
        ident, end = get(raw, at, 2), at + (get(raw, at + 4, 4) >> 20)
        if ident in (VSEC, DVSEC) and get(view, end, 2) == ident:
            view[end:end + 4] = raw[end:end + 4]
        at = get(raw, at, 4) >> 20 & 0xffc
        if at < 0x100:
            break


# ---- the view ---------------------------------------------------------------------------------

def derive(device, kernel=False):
    """All bytes, as the first read gives them; or as the kernel does it, in all things."""
    view = bytearray(device.raw)
    show_header(device, view)
    found = show_list(device.raw, view, kernel)
    for at in found:
        show_capability(device.raw, view, at)
    if is_extended(device.raw, found):
        show_extended(device.raw, view)
        if kernel:
            join_abutting_extended(device.raw, view)
    if kernel:
        join_abutting(device.raw, view, found)
    return bytes(view)


def derive_sized(device):
    """The same after ones were written to all BARs and the ROM."""
    view = bytearray(derive(device))
    show_bars(device, view, 0xffffffff)
    return bytes(view)


def text_of(device):
    """The view, as lspci would print it."""
    view = derive(device)
    lines = [device.name + ', as VFIO shows it']
    lines += [f'{at:02x}: {view[at:at + 16].hex(" ")}' for at in range(0, len(view), 16)]
    return '\n'.join(lines) + '\n'


def main(arguments):
    if arguments[:1] != ['--write']:
        print(text_of(read_device(arguments[0], arguments[1:])), end='')
        return
    for name, words in devices():
        device = read_device(HERE.parent / 'pci' / f'{name}.txt', words)
        (HERE / f'{name}.view').write_text(text_of(device), encoding='ascii')


if __name__ == '__main__':
    main(sys.argv[1:])
