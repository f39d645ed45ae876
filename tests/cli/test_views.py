# SPDX-License-Identifier: MIT
"""What VFIO shows of captured devices: byte for byte what its rules, written down twice, say.

tests/data/views/derive.py derives views from the rules alone; the files beside it are what it
derives from the captures in tests/data/pci. A kernel's own answers, in tests/data/kernel, must be
what it derives too; then what the library shows of the same registers must be the same.
"""

import re
import shutil
import subprocess
import sys

import pytest

from lsvfio import BUILD, SOURCE, devices, lsvfio
from made_config import dump, made_config

sys.path.insert(0, str(SOURCE / 'tests' / 'data' / 'views'))
import derive  # noqa: E402

PCI, VIEWS = SOURCE / 'tests' / 'data' / 'pci', SOURCE / 'tests' / 'data' / 'views'
CAPTURES = dict(derive.devices())
TRACES = [path for path in sorted((SOURCE / 'tests' / 'data' / 'kernel').glob('*.trace'))
          if '# section: read dwords' in path.read_text(encoding='ascii')]
MODULES = {'VFIO_DEVICE_PATH': ':'.join(str(BUILD / folder) for folder in (
    'devices/capture', 'devices/edu', 'tests/cli', 'tests/wire'))}
FLIP = BUILD / 'tests' / 'cli' / 'flip'


needs_lspci = pytest.mark.skipif(not shutil.which('lspci'), reason='there is no lspci')


def is_bridge(path):
    return derive.read_dump(path)[1][0x0e] & 0x7f != 0


def differences(one, two):
    """The places where two views differ, for people."""
    assert len(one) == len(two)
    return [f'{at:#05x}: {one[at]:02x} {two[at]:02x}' for at in range(len(one))
            if one[at] != two[at]]


def string_of(path, words, directory):
    """The device string for a dump and the words of derive.py; a ROM becomes a file."""
    options = []
    for word in words:
        if word.startswith('rom='):
            image = directory / 'rom'
            image.write_bytes(b'\x55\xaa' + bytes(derive.size_of(word[4:]) - 2))
            word = f'rom={image}'
        options.append(word)
    return ','.join(['capture', f'file={path}', *options])


def shown(string):
    """All bytes that a user reads when the device has just been opened."""
    (device,) = devices(string, env=MODULES)
    return bytes.fromhex(device['config'])


def sized(string):
    """The same after ones were written to the BARs and the ROM."""
    run = subprocess.run([FLIP, '--size', string], capture_output=True, text=True, timeout=30,
                         check=True, env=MODULES)
    return bytes.fromhex(run.stdout)


# ---- captures ---------------------------------------------------------------------------------

def test_every_capture_has_a_view():
    files = {path.stem for path in PCI.glob('*.txt') if not is_bridge(path)}
    assert files == set(CAPTURES) == {path.stem for path in VIEWS.glob('*.view')}
    assert len(files) >= 30


@pytest.mark.parametrize('name', CAPTURES)
def test_view_is_derived(name):
    device = derive.read_device(PCI / f'{name}.txt', CAPTURES[name])
    assert derive.text_of(device) == (VIEWS / f'{name}.view').read_text(encoding='ascii')


@pytest.mark.parametrize('name', CAPTURES)
def test_view_is_shown(name, tmp_path):
    _, view = derive.read_dump(VIEWS / f'{name}.view')
    string = string_of(PCI / f'{name}.txt', CAPTURES[name], tmp_path)
    assert not differences(view, shown(string))


@pytest.mark.parametrize('name', CAPTURES)
def test_bars_are_sized(name, tmp_path):
    view = derive.derive_sized(derive.read_device(PCI / f'{name}.txt', CAPTURES[name]))
    string = string_of(PCI / f'{name}.txt', CAPTURES[name], tmp_path)
    assert not differences(view, sized(string))


def test_rom_that_nobody_knows(tmp_path):
    """Its register has an address; but there is nothing."""
    words = [word for word in CAPTURES['qemu-e1000e'] if not word.startswith('rom=')]
    path = PCI / 'qemu-e1000e.txt'
    view = derive.derive(derive.read_device(path, words))
    assert view[0x30:0x34] == bytes(4)
    assert not differences(view, shown(string_of(path, words, tmp_path)))


BRIDGES = [path for path in sorted(PCI.glob('*.txt')) if is_bridge(path)]


@pytest.mark.parametrize('path', BRIDGES, ids=lambda path: path.stem)
def test_bridges_are_refused(path):
    run = lsvfio(f'capture,file={path}', env=MODULES)
    assert run.returncode == 1 and 'VFIO-604' in run.stderr and 'bridge' in run.stderr


# ---- the kernel -------------------------------------------------------------------------------

class Trace:
    """What a kernel was asked when it had opened a device, and what it answered."""

    def __init__(self, path):
        self.raw, self.reads, self.words, self.sized = bytearray(), {}, [], {}
        section = state = ''
        asked = None
        for line in path.read_text(encoding='ascii').splitlines():
            word = line.split()
            if line.startswith('# section:'):
                section = line.split(': ')[1]
            elif re.match('bar |rom ', line):
                self.words.append(self.word_of(word))
            elif line.startswith('raw '):
                state = word[1]
                self.raw = bytearray()
            elif re.match('[0-9a-f]{4}: ', line) and state == 'after':
                self.raw += bytes.fromhex(''.join(word[1:]))
            elif word and word[0] == 'R' and section == 'read dwords':
                self.reads[int(word[1], 16)] = int(word[4], 16)
            elif re.match('W 00(1.|2[04]|30) 4 ffffffff = 4', line):
                asked = word[1]
            elif asked and word[:3] == ['R', asked, '4']:
                self.sized.setdefault(int(asked, 16), int(word[4], 16))
                asked = None
        if self.raw[:2] == b'\xff\xff':
            ident = self.reads[0]
            self.words += ['vf=1', f'id={ident & 0xffff:04x}:{ident >> 16:04x}']

    @staticmethod
    def word_of(word):
        if word[0] == 'rom':
            return f'rom={word[1]}'
        types = {'io': ':io', 'mem32': '', 'mem64': ':64bit'}[word[3]]
        return f'bar{word[1]}={word[2]}{types}{":prefetchable" * ("prefetch" in word)}'

    @staticmethod
    def compare(answers, view):
        return [f'{at:#05x}: kernel {value:08x}, {int.from_bytes(view[at:at + 4], "little"):08x}'
                for at, value in answers.items()
                if value != int.from_bytes(view[at:at + 4], 'little')]


def written(trace, tmp_path):
    """The registers as a dump."""
    path = tmp_path / 'dump'
    path.write_text(dump(bytes(trace.raw)), encoding='ascii')
    return path


def test_there_are_traces():
    assert len(TRACES) > 20


@pytest.mark.parametrize('path', TRACES, ids=lambda path: path.stem)
def test_kernel_answers_what_is_derived(path, tmp_path):
    trace = Trace(path)
    assert len(trace.reads) >= 64
    device = derive.read_device(written(trace, tmp_path), trace.words)
    assert not trace.compare(trace.reads, derive.derive(device, kernel=True))
    assert len(trace.sized) == 7
    assert not trace.compare(trace.sized, derive.derive_sized(device))


@pytest.mark.parametrize('path', TRACES, ids=lambda path: path.stem)
def test_kernel_answers_what_is_shown(path, tmp_path):
    """But for what libvfio(7) lists: abutting capabilities, the low bits of pointers."""
    trace = Trace(path)
    dumped = written(trace, tmp_path)
    device = derive.read_device(dumped, trace.words)
    string = string_of(dumped, trace.words, tmp_path)
    oddities = trace.compare(trace.reads, derive.derive(device))
    assert trace.compare(trace.reads, shown(string)) == oddities
    assert not trace.compare(trace.sized, sized(string))


# ---- made up ----------------------------------------------------------------------------------

# Endpoint, legacy endpoint, integrated endpoint.
@pytest.mark.parametrize('port', [0, 1, 9])
@pytest.mark.parametrize('seed', range(6))
def test_anything(port, seed, tmp_path):
    """Capabilities that no device at hand has, hidden ones among them, and bits that none sets."""
    config = bytearray(made_config(f'view {port} {seed}', port))
    config[0x10:0x28], config[0x30:0x34] = bytes(24), bytes(4)
    path = tmp_path / 'dump'
    path.write_text(dump(bytes(config)), encoding='ascii')
    view = derive.derive(derive.read_device(path, []))
    assert not differences(view, shown(f'capture,file={path}'))


def link(config, *pointers):
    """The list of capabilities goes through these places."""
    config[0x06] |= 0x10
    for at, pointer in zip((0x33, *pointers), (*pointers, 0)):
        config[at + 1] = pointer


@pytest.mark.parametrize('idents', [
    (0x04,), (0x09,), (0x04, 0x01), (0x01, 0x04), (0x01, 0x14, 0x09, 0x0f, 0x11), (0x00, 0x01),
    (0x7f, 0x15, 0x12),
])
@pytest.mark.parametrize('extended', [
    (), (0x19,), (0x19, 0x03), (0x19, 0x1e, 0x03, 0x1b), (0x03, 0x1e, 0x23), (0x23, 0x0b),
    (0x25, 0x1d, 0x40),
])
@pytest.mark.parametrize('lengths', [0, 16])
def test_hidden(idents, extended, lengths, tmp_path):
    """Each way in which what is hidden can stand beside what is shown."""
    config = bytearray(4096)
    config[0:4] = b'\x34\x12\x78\x56'
    places = [0x60 + 0x10 * n for n in range(len(idents))]
    link(config, *places, 0xc0)
    config[0xc0], config[0xc2] = 0x10, 0x02
    for at, ident in zip(places, idents):
        config[at], config[at + 2] = ident, lengths
    places = [0x100 + 0x20 * n for n in range(len(extended))]
    for at, ident, then in zip(places, extended, [*places[1:], 0]):
        config[at:at + 4] = (ident | 1 << 16 | then << 20).to_bytes(4, 'little')
        config[at + 4:at + 8] = (lengths << 20 | 0x1234).to_bytes(4, 'little')
    path = tmp_path / 'dump'
    path.write_text(dump(bytes(config)), encoding='ascii')
    view = derive.derive(derive.read_device(path, []))
    assert not differences(view, shown(f'capture,file={path}'))


# ---- lspci ------------------------------------------------------------------------------------

def complaints(string, directory):
    """What lspci has against a device, or cannot name."""
    text = lsvfio('--hexdump', '--no-pci', string, env=MODULES).stdout
    path = directory / 'shown'
    path.write_text(text, encoding='utf-8')
    run = subprocess.run(['lspci', '-nvvvxxxx', '-F', path], capture_output=True, text=True,
                         timeout=30, check=True)
    assert text.split('\n', 1)[1].strip() in run.stdout
    # It looks for the kernel's modules, too. A BAR has no address until somebody gives it one.
    said = [line for line in run.stderr.splitlines() if 'libkmod' not in line]
    for line in run.stdout.splitlines():
        plain = re.sub(r'[<>][TM]Abort|[<>][PS]ERR|<\d+[nu]s|<unassigned>', '', line)
        # What only the vendor knows, it says of it.
        plain = re.sub(r'Vendor[- ]Specific.*|VirtIO: <unknown>', '', plain)
        if re.search(r'[<>]|[Uu]nknown|\?\?|!!!', plain):
            said.append(line)
    return said


@needs_lspci
@pytest.mark.parametrize('name', CAPTURES)
def test_lspci_has_no_complaint(name, tmp_path):
    assert not complaints(string_of(PCI / f'{name}.txt', CAPTURES[name], tmp_path), tmp_path)


@needs_lspci
@pytest.mark.parametrize('name', ['edu', 'express', 'probe'])
def test_lspci_has_no_complaint_of_software(name, tmp_path):
    assert not complaints(name, tmp_path)


@needs_lspci
def test_lspci_complains(tmp_path):
    """Otherwise the tests above would show nothing."""
    config = bytearray(derive.read_dump(PCI / 'qemu-e1000e.txt')[1])
    config[0x102:0x104] = (0x1001).to_bytes(2, 'little')     # back to where it is
    path = tmp_path / 'bad'
    path.write_text(dump(bytes(config)), encoding='ascii')
    run = subprocess.run(['lspci', '-vvv', '-F', path], capture_output=True, text=True, timeout=30,
                         check=True)
    assert '<chain looped>' in run.stdout
    assert not complaints(string_of(path, CAPTURES['qemu-e1000e'], tmp_path), tmp_path)
