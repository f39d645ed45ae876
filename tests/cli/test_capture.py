# SPDX-License-Identifier: MIT
"""The device "capture": from files to BARs, ROM and vital product data."""

import os
import errno
import shutil
import subprocess

import pytest

from lsvfio import BUILD, NVME, SOURCE, devices, lsvfio
from made_config import dump
from vfiod_client import ACCESS, CONFIG, REGION_READ, connect

MODULES = {'VFIO_DEVICE_PATH': str(BUILD / 'devices' / 'capture')}
PCI = SOURCE / 'tests' / 'data' / 'pci'
E1000E = f'file={PCI}/qemu-e1000e.txt,bar0=128K,bar1=128K,bar2=32,bar3=16K'
REAL = NVME / 'bus/pci/devices/0000:3b:00.0'
ROM = 6


def opened(options):
    (device,) = devices('--no-pci', f'capture,{options}', env=MODULES)
    return device


def regions(device):
    return {region['index']: region['size'] for region in device['regions'] if region['size']}


def refusal(options):
    """What is said when it is refused, and what to do."""
    run = lsvfio('--no-pci', f'capture,{options}', env=MODULES)
    assert run.returncode == 1 and run.stdout == ''
    return run.stderr


def config(bars=()):
    """256 bytes with these BARs."""
    made = bytearray(256)
    made[0:4] = b'\x34\x12\x78\x56'
    for index, value in bars:
        made[0x10 + 4 * index:0x14 + 4 * index] = value.to_bytes(4, 'little')
    return bytes(made)


@pytest.fixture(name='written')
def written_fixture(tmp_path):
    """Writes a file and returns its path."""
    def write(content, name='file'):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
    return write


# ---- how large a BAR is -----------------------------------------------------------------------

BARS = config([(0, 0xfddc0000), (2, 0xe141), (4, 0xfeb0000c), (5, 1)])
SAID = {
    'numbered': '\tRegion 0: Memory at fddc0000 (32-bit, non-prefetchable) [size=128K]\n'
                '\tRegion 2: I/O ports at e140 [size=32]\n'
                '\tRegion 4: Memory at 1feb00000 (64-bit, prefetchable) [size=1M]\n'
                '\tExpansion ROM at fdd00000 [disabled] [size=64K]\n',
    'placed': '\tFlags: fast devsel\n'
              '\tMemory at fddc0000 (32-bit, non-prefetchable) [disabled] [size=128K]\n'
              '\tI/O ports at e140 [size=32]\n'
              '\t[virtual] Memory at 1feb00000 (64-bit, prefetchable) [size=1M]\n'
              '\tExpansion ROM at fdd00000 [disabled] [size=64K]\n',
}


def described(said, more=''):
    """As lspci -v prints it: what it says, then the bytes."""
    name, lines = dump(BARS, '00:02.0 made').split('\n', 1)
    return f'{name}\n{said}{more}{lines}'


@pytest.mark.parametrize('how', SAID)
def test_sizes_from_lspci(written, how):
    device = opened(f'file={written(described(SAID[how]))}')
    assert regions(device) == {0: 1 << 17, 2: 32, 4: 1 << 20, 7: 256}


@pytest.mark.parametrize('how', SAID)
def test_lsvfio_shows_sizes(written, how):
    (device,) = devices('--config', written(described(SAID[how])))
    assert {r['name']: (r['size'], r['flags']) for r in device['regions']} == {
        'BAR0': (1 << 17, ['memory']), 'BAR2': (32, ['io']),
        'BAR4': (1 << 20, ['memory', '64bit', 'prefetchable']), 'ROM': (1 << 16, ['memory'])}


@pytest.mark.parametrize('said', [
    '\t\tRegion 0: Memory at fddc0000 (32-bit) [size=128K]\n',      # of a capability
    '\tRegion 6: Memory at fddc0000 (32-bit) [size=128K]\n',
    '\tRegion 0: Memory at fddc0000 (32-bit) [size=K]\n',
    '\tRegion 0: Memory at fddc0000 (32-bit) [size=99999999999999T]\n',
    '\tRegion 0: Memory at fddc0000 (32-bit) [size=20000000T]\n',
    '\tRegion 0: Memory at fddc0000 (32-bit)\n',
    '\tMemory at fddd0000 (32-bit) [size=128K]\n',                  # where no BAR is
    '\tMemory at <unassigned> (32-bit) [size=128K]\n',
    '\tI/O ports at fddc0000 [size=32]\n',
])
def test_what_lspci_does_not_say(written, said):
    (device,) = devices('--config', written(described(said)))
    assert not [region for region in device['regions'] if region['size']]


def test_options_go_before_the_file(written):
    device = opened(f'file={written(described(SAID["numbered"]))},bar0=64K,bar4=512K')
    assert regions(device) == {0: 1 << 16, 2: 32, 4: 1 << 19, 7: 256}


@pytest.mark.skipif(not shutil.which('lspci'), reason='there is no lspci')
@pytest.mark.parametrize('verbose', ['-v', '-vv'])
def test_what_lspci_really_prints(verbose, tmp_path):
    """Of this machine, if it has a device that can be served."""
    text = subprocess.run(['lspci', verbose, '-xxxx'], capture_output=True, text=True, timeout=30,
                          check=True).stdout
    served = 0
    for part in text.split('\n\n'):
        path = tmp_path / 'device'
        path.write_text(part + '\n', encoding='utf-8')
        if '[size=' in part and 'bridge' not in part and 'f0: ' in part:
            assert len(regions(opened(f'file={path}'))) > 1
            served += 1
    if not served:
        pytest.skip('lspci tells of no such device here')


def test_a_directory_of_sysfs():
    device = opened(f'file={REAL}')
    (real,) = devices('--sysfs', NVME, '3b:00.0')
    wanted = {r['index']: r['size'] for r in real['regions'] if r['size']}
    found = regions(device)
    # The image of a ROM is not read from there; one larger than 16 MiB could not be served.
    assert {i: s for i, s in found.items() if i < 6} == {
        i: s for i, s in wanted.items() if i < 6}
    assert device['id'] == real['id'] and found[7] == len(real['config']) // 2


def test_a_virtual_function_in_sysfs(tmp_path):
    """The registers read as ones and zeros; the kernel knows what it is."""
    made = bytearray(config())
    made[0:4] = b'\xff\xff\xff\xff'
    made[0x3d] = 1
    (tmp_path / 'config').write_bytes(made)
    none = '0x0000000000000000 0x0000000000000000 0x0000000000000000\n'
    (tmp_path / 'resource').write_text(
        '0x00000000fe000000 0x00000000fe003fff 0x000000000014220c\n' + 6 * none)
    (tmp_path / 'vendor').write_text('0x8086\n')
    (tmp_path / 'device').write_text('0x10ca\n')
    (tmp_path / 'physfn').symlink_to('..')
    device = opened(f'file={tmp_path}')
    assert device['id'] == '8086:10ca' and regions(device) == {0: 1 << 14, 7: 256}
    raw = bytes.fromhex(device['config'])
    assert raw[0x10:0x14] == b'\x0c\0\0\0' and raw[0x3d] == 0 and raw[4] & 2
    assert opened(f'file={tmp_path},id=8086:1520,vf=1')['id'] == '8086:1520'


# ---- what is refused --------------------------------------------------------------------------

def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    assert 'Invalid argument' in refusal(f'file={tmp_path}/fifo')


def test_too_large(tmp_path):
    with open(tmp_path / 'large', 'wb') as file:
        file.truncate(1 << 30)
    assert 'File too large' in refusal(f'file={tmp_path}/large')


@pytest.mark.parametrize('options, says', [
    ('', 'file=PATH is missing'),
    ('bar0=64K', 'file=PATH is missing'),
    ('file=', "option 'file' wants a path"),
    ('color=blue', "option 'color': there is no such option"),
    ('bar6=64K', "option 'bar6': there is no such option"),
    ('bar=64K', "option 'bar': there is no such option"),
    ('bar0', "option 'bar0' wants a size"),
    ('bar0=', "option 'bar0' wants a size"),
    ('bar0=64Q', "option 'bar0' wants a size"),
    ('bar0=-1', "option 'bar0' wants a size"),
    ('bar0=K', "option 'bar0' wants a size"),
    ('bar0=99999999999999999999', "option 'bar0' wants a size"),
    ('bar0=64K:blue', "option 'bar0' wants a size"),
    ('bar0=32:io:64bit', "option 'bar0' wants a size"),
    ('id=8086', "option 'id' wants vendor and device"),
    ('id=8086:10d33', "option 'id' wants vendor and device"),
    ('vf=2', "option 'vf' wants 0 or 1"),
    ('file=/nonexistent', "'/nonexistent' cannot be read: No such file or directory ("),
    ('file=/dev/zero', 'Invalid argument'),
    (f'{E1000E},id=8086:10d3', 'vf=1 is not said'),
    (f'{E1000E},rom=/nonexistent', "'/nonexistent' cannot be read: No such file or directory ("),
    (f'{E1000E},vf=1,rom=/nonexistent', 'has no expansion ROM'),
    (f'file={PCI}/qemu-e1000e.txt,bar0=128K', 'has a BAR1 (its register is 0xfdde0000)'),
    (f'file={PCI}/qemu-e1000e.txt', 'add barN=SIZE'),
    (f'file={PCI}/qemu-edu.txt,bar0=1M,slot=00:03.0', 'has nothing at 00:03.0'),
    (f'file={PCI}/qemu-nvme-vf.txt,bar0=16K', 'add vf=1,id=VENDOR:DEVICE'),
    (f'file={PCI}/qemu-edu.txt,bar0=3M', 'VFIO-604'),
    (f'file={PCI}/qemu-edu.txt,bar0=512M', 'VFIO-604'),
    (f'file={PCI}/qemu-nvme-pf.txt,bar0=16K,bar1=16K', 'VFIO-604'),
    (f'file={PCI}/qemu-root-port.txt', 'bridge'),
])
def test_refused(options, says):
    assert says in refusal(options)


@pytest.mark.parametrize('options', ['file=/nonexistent', 'file=/dev/zero', 'file=/tmp',
                                     f'{E1000E},vpd=/nonexistent'])
def test_an_errno_is_told_once(options):
    told, _, text = refusal(options).splitlines()[0].rpartition(': ')
    assert text.removesuffix(' (device model)') not in told


@pytest.mark.parametrize('content, says', [
    ('', 'it names no device'),
    ('hello\n', 'line 1: it is neither'),
    (bytes(63), 'as raw bytes it has 63'),
    (config()[:64], 'has 64 bytes of configuration space, not 256 or 4096'),
    (dump(config()[:64]), 'as root, lspci -s ADDRESS -vvxxxx'),
    (dump(config()) + '\n' + dump(config()), 'add slot=ADDRESS'),
    (b'\xff' * 256, 'its vendor ID is ffff'),
])
def test_files_refused(written, content, says):
    assert says in refusal(f'file={written(content)}')


def test_one_of_several(written):
    second = bytearray(config())
    second[2:4] = b'\xcd\xab'
    path = written(dump(config(), '0000:00:01.0 a') + '\n' + dump(second, '0000:00:02.0 b'))
    for slot in ('00:02.0', '0000:00:02.0'):
        assert opened(f'file={path},slot={slot}')['id'] == '1234:abcd'


def test_raw_bytes(written):
    device = opened(f'file={written(config([(0, 0xfe000008)]))},bar0=64K')
    assert device['id'] == '1234:5678' and regions(device) == {0: 1 << 16, 7: 256}


# ---- its BARs ---------------------------------------------------------------------------------

@pytest.fixture(name='serve')
def serve_fixture(start, directory):
    """A client of a vfiod that serves a capture."""
    clients = []

    def serve(options):
        start('--device', f'capture,{options}', '--socket-path', directory / 's',
              **MODULES).wait_ready()
        clients.append(connect(directory / 's'))
        clients[-1].enable_memory()
        return clients[-1]

    yield serve
    for client in clients:
        client.socket.close()


def test_areas():
    """All can be mapped, but the pages of the MSI-X table (0x0) and pending bits (0x2000)."""
    areas = {region['index']: [(area['offset'], area['size']) for area in region['areas']]
             for region in opened(E1000E)['regions']}
    assert areas[0] == areas[1] == [(0, 1 << 17)] and areas[2] == []
    assert areas[3] == [(0x1000, 0x1000), (0x3000, 0x1000)]


@pytest.mark.parametrize('region, offset, width', [
    (0, 0, 8), (0, 0x1fff8, 8), (1, 0x1234, 4), (2, 0, 1), (2, 28, 4), (2, 2, 2), (3, 0x1000, 4),
    (3, 0xffc, 4), (3, 0x2ff8, 8), (3, 0x3ffe, 2),
])
def test_memory(serve, directory, region, offset, width):
    """It is zero at first, keeps what is written, and is zero for the next user."""
    client = serve(E1000E)
    value = int.from_bytes(bytes(range(0x81, 0x81 + width)), 'little')
    assert client.read(region, offset, width) == 0
    client.write(region, offset, width, value)
    assert client.read(region, offset, width) == value
    assert [client.read(region, offset + n, 1) for n in range(width)] == list(
        range(0x81, 0x81 + width))
    client.socket.close()
    with connect(directory / 's') as client:
        client.enable_memory()
        assert client.read(region, offset, width) == 0


def test_small_memory(serve):
    """Less than a page: it cannot be mapped, and is memory nonetheless."""
    client = serve(f'file={PCI}/qemu-rtl8139.txt,bar0=256,bar1=256')
    for offset in (0, 8, 0xf8):
        client.write(1, offset, 8, 0x1122334455667788 + offset)
    assert client.read(1, 0xf8, 8) == 0x1122334455667788 + 0xf8
    assert client.read(1, 4, 4) == 0x11223344


def test_rom(serve, written):
    image = written(b'\x55\xaa\x02' + bytes(range(253)), 'rom')
    client = serve(f'{E1000E},rom={image}')
    assert client.read(ROM, 0, 4) == 0x0002aa55
    assert client.read(ROM, 255, 1) == 252


def test_blank_rom(serve, written):
    """Its size is known, its contents are not: there is the BAR, and nothing to read."""
    client = serve(f'file={written(described(SAID["numbered"]))}')
    client.write(CONFIG, 0x30, 4, 0xffffffff)
    assert client.read(CONFIG, 0x30, 4) == 0xffff0001
    error, _ = client.call(REGION_READ, ACCESS.pack(0, ROM, 4))
    assert error == errno.EINVAL


def test_vital_product_data(serve, written):
    made = bytearray(config())
    made[6], made[0x34], made[0x40:0x42] = 0x10, 0x40, b'\x03\0'
    data = written(bytes(range(64)), 'vpd')
    client = serve(f'file={written(made)},vpd={data}')
    client.write(CONFIG, 0x42, 2, 8)
    assert client.read(CONFIG, 0x42, 2) == 0x8008
    assert client.read(CONFIG, 0x44, 4) == 0x0b0a0908
