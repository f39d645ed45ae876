# SPDX-License-Identifier: MIT
"""lsvfio --config-map: what it says of each bit is what happens when that bit alone is flipped."""

import collections
import json
import os
import re
import subprocess

import pytest

from lsvfio import BUILD, NVME, SOURCE, devices, lsvfio
from made_config import made_config
from vfiod_client import connect

PCI = SOURCE / 'tests' / 'data' / 'pci'
MODULES = {'VFIO_DEVICE_PATH': ':'.join(str(BUILD / folder) for folder in (
    'devices/edu', 'devices/capture', 'tests/cli'))}
FLIP = BUILD / 'tests' / 'cli' / 'flip'

WENT_DEVICE, WENT_VIRTUAL, WENT_NOWHERE = 1, 2, 4
E1000E = 'bar0=128K,bar1=128K,bar2=32,bar3=16K'


BARS = {*range(0x10 // 4, 0x28 // 4), 0x30 // 4}     # by their dwords


def config_map(*arguments):
    run = lsvfio('--json', '--config-map', *arguments, env=MODULES)
    assert run.returncode == 0, run.stderr
    (device,) = json.loads(run.stdout)['devices']
    return device['map']


def flips(string):
    """Offset, bit, where it went, the byte before, flipped; how many other bytes changed. And what
    each byte is when the same is written again."""
    run = subprocess.run([FLIP, string], capture_output=True, text=True, timeout=120, check=True,
                         env={**os.environ, **MODULES})
    assert run.stderr == ''
    words = [line.split() for line in run.stdout.splitlines()]
    return ([tuple(map(int, line)) for line in words if line[1] != 'again'],
            [int(line[2]) for line in words if line[1] == 'again'])


def expect(row, place):
    """Where a flip of one bit goes, and whether it changes it."""
    mask = 1 << place
    if row['cleared'] & mask:
        return 0, False         # a zero asks for nothing; a one clears what is not set
    if not row['writable'] & mask:
        return WENT_NOWHERE, False
    return WENT_VIRTUAL if row['virtual'] & mask else WENT_DEVICE, True


def check_flip(rows, at, bit, where, before, flipped, others):
    row, place = rows[at // 4], at % 4 * 8 + bit
    changed = bool((before ^ flipped) >> bit & 1)
    if row['trapped'] & row['writable'] & 1 << place:
        # What it sets off may take it back, or change other bits; but it is never lost in silence.
        assert where != 0
        return
    # The byte's other bits are written as they were, and those that ones clear are cleared.
    neighbours = before & ~(1 << bit) & row['cleared'] >> at % 4 * 8 & 0xff
    goes, changes = expect(row, place)
    assert (where, changed) == (goes | (WENT_DEVICE if neighbours else 0), changes)
    assert others == 0


def made(directory):
    """Bits set that no device at hand sets, those that are cleared among them."""
    config = bytearray(made_config('flips', 0))
    config[0x10:0x28], config[0x30:0x34] = bytes(24), bytes(4)
    path = directory / 'made'
    path.write_bytes(config)
    return f'capture,file={path}'


def e1000e(directory):
    path = directory / 'e1000e'
    (device,) = devices('--config', PCI / 'qemu-e1000e.txt')
    path.write_bytes(bytes.fromhex(device['config']))
    return f'capture,file={path},{E1000E}'


DEVICES = {
    'edu': lambda _: 'edu',
    'express': lambda _: 'express',
    'e1000e': e1000e,
    'made': made,
}


@pytest.mark.parametrize('name', DEVICES)
def test_each_bit_flipped_alone(name, tmp_path):
    string = DEVICES[name](tmp_path)
    rows, wrong = config_map(string), []
    assert all(row['exact'] for row in rows)
    flipped, again = flips(string)
    assert len(flipped) == 8 * len(again) == 32 * len(rows)
    for flip in flipped:
        try:
            check_flip(rows, *flip)
        except AssertionError as error:
            wrong.append((f'{flip[0]:#05x} bit {flip[1]}', flip[2:], str(error).split('\n')[0]))
    assert not wrong
    for at, byte in enumerate(again):
        cleared, trapped = (rows[at // 4][key] >> at % 4 * 8 & 0xff
                            for key in ('cleared', 'trapped'))
        assert trapped or byte == flipped[8 * at][3] & ~cleared, f'{at:#05x}'


def test_all_kinds_of_bits_are_there(tmp_path):
    """Otherwise the test above would show nothing."""
    rows = config_map(made(tmp_path))
    for key in ('virtual', 'device', 'writable', 'cleared', 'trapped'):
        assert sum(bin(row[key]).count('1') for row in rows) >= 16, key
    assert sum(bin(row['cleared'] & row['raw']).count('1') for row in rows) > 20


# ---- what is printed --------------------------------------------------------------------------

def test_table_and_json_agree():
    rows = {row['offset']: row for row in config_map('edu')}
    text = lsvfio('--config-map', '--no-pci', 'edu', env=MODULES).stdout
    assert re.search(r'^0x004 +Header +Command,Status ', text, re.MULTILINE)
    for line in text.splitlines()[2:]:
        words = line.split()
        numbers = [0 if mask == '-' else int(mask, 16) for mask in words[-7:]]
        row = rows[int(words[0].partition('-')[0], 16)]
        assert numbers == [row[key] for key in ('virtual', 'device', 'writable', 'cleared',
                                                'trapped', 'refused', 'raw')]


@pytest.mark.parametrize('name', ['qemu-nvme-pf', 'qemu-root-port', 'libvfio-edu'])
def test_of_a_dump_the_table_tells(name):
    rows = config_map('--config', PCI / f'{name}.txt')
    assert len(rows) in (64, 1024) and not any(row['exact'] for row in rows)
    assert all(row['trapped'] is None and row['refused'] is None for row in rows)
    assert {row['offset'] for row in rows} == set(range(0, 4 * len(rows), 4))


def test_table_agrees_with_the_device():
    """Of what no policy and no software device's simplicity concerns, both say the same."""
    text = PCI / 'qemu-e1000e.txt'
    asked = config_map(f'capture,file={text},{E1000E}')
    told = config_map('--config', text)
    for one, two in zip(asked, told):
        unlike = {'exact': False, 'trapped': None, 'refused': None, 'raw': None}
        unlike |= {key: two[key] for key in ('cleared', 'writable')}
        assert {**one, **unlike} == two
        # The kernel's device may store more, and the kernel lets fewer be cleared. How large BARs
        # are the table does not know.
        if one['offset'] // 4 not in BARS:
            assert one['writable'] & two['virtual'] == two['writable'] & two['virtual']
        assert one['writable'] | two['writable'] == two['writable']
        assert one['cleared'] | two['cleared'] == one['cleared']


def served_map(vfiod, name):
    """By the name that vfiod has for the device; this lsvfio could not open it."""
    run = lsvfio('--json', '--config-map', '--control', vfiod.control_path, name)
    assert run.returncode == 0, run.stderr
    (device,) = json.loads(run.stdout)['devices']
    assert device['kind'] == 'vfiod'
    return device['map']


def test_over_a_socket(edu, directory):
    """The same as in process; and by its name, when vfiod is asked."""
    asked = config_map(f'unix:{directory}/edu.sock')
    assert asked == config_map('edu') == served_map(edu, 'edu')


POLICIES = {
    'standard': [], 'filtered': ['view = filtered'],
    'hidden': ['hide = MSI-X, VPD, ext:0x03'], 'zero': ['hide = MSI', 'hidden = zero'],
    'filtered and hidden': ['view = filtered', 'hide = MSI-X'],
}


@pytest.fixture(name='serve')
def serve_fixture(start, directory):
    """Starts a vfiod with a device "dev" under a policy."""
    def serve(device, policy):
        path = directory / 'vfiod.conf'
        keys = '\n'.join(POLICIES[policy])
        path.write_text(f'[dev]\ndevice = {device}\nsocket = {directory}/s\n{keys}\n',
                        encoding='utf-8')
        return start('--config', path, **MODULES).wait_ready()
    return serve


@pytest.mark.parametrize('policy', POLICIES)
def test_vfiod_tells_what_the_device_does(serve, directory, policy):
    """Exactly what a client of the device is told."""
    vfiod = serve('express', policy)
    rows = served_map(vfiod, 'dev')
    assert len(rows) == 1024 and all(row['exact'] for row in rows)
    assert rows == config_map(f'unix:{directory}/s')
    assert (rows == config_map('express')) == (policy == 'standard')
    text = lsvfio('--config-map', '--control', vfiod.control_path, 'dev').stdout
    assert '?' not in text


def test_vfiod_tells_while_the_device_has_a_client(serve, directory):
    vfiod = serve('edu', 'standard')
    with connect(directory / 's') as client:
        before = served_map(vfiod, 'dev')
        client.enable_memory()
        after = served_map(vfiod, 'dev')
    assert before[1]['raw'] & 6 == 2 and after[1]['raw'] & 6 == 6


def test_what_is_hidden(serve):
    """No structure is there that the user knows of, and all is the device's own."""
    rows = served_map(serve('express', 'hidden'), 'dev')
    (head,) = (row for row in config_map('express')
               if row['structure'] == 'VPD' and row['offset'] == row['base'])
    hidden = rows[head['offset'] // 4]
    assert head['virtual'] == 0xffffff00
    assert (hidden['structure'], hidden['virtual'], hidden['raw'] & 0xff) == (None, 0, 3)


def links(rows):
    """Where the lists of capabilities are told: in the header, and at the head of each."""
    masks = {0x04: 0x100000, 0x34: 0xff}
    for row in rows:
        if row['base'] and row['offset'] == row['base']:
            masks[row['offset']] = 0xffffffff if row['extended'] else 0xff00
    return masks


@pytest.mark.parametrize('device', ['edu', 'express'])
def test_what_policy_refuses(serve, device):
    """Only links are virtual in the filtered view; what would be kept else is refused."""
    usual, rows = config_map(device), served_map(serve(device, 'filtered'), 'dev')
    masks = links(rows)
    for one, two in zip(usual, rows):
        assert two['virtual'] & ~masks.get(two['offset'], 0) == 0
        assert two['writable'] & (two['refused'] | two['virtual']) == 0
        assert one['writable'] & one['virtual'] & ~two['refused'] == 0
    assert sum(bin(row['refused']).count('1') for row in rows) > 200


def test_of_a_pci_device():
    rows = config_map('--sysfs', NVME, '3b:00.0')
    assert rows[1]['registers'] == 'Command,Status' and rows[1]['structure'] == 'Header'


@pytest.mark.parametrize('arguments', [
    ['--config-map'], ['--hexdump'], ['--config-map', '--errors', 'edu'],
    ['--config-map', '--hexdump', 'edu'], ['--hexdump', '--json', 'edu'],
])
def test_wrong_usage(arguments):
    run = lsvfio(*arguments, env=MODULES)
    assert run.returncode == 2 and run.stdout == '' and '--' in run.stderr


# ---- the manual -------------------------------------------------------------------------------

EXTENDED = 0x10000


def manual_rows():
    """vfio-registers(7): structure, offset, register, bits, field -> access, user, view."""
    text = (BUILD / 'man' / 'vfio-registers.7').read_text(encoding='utf-8')
    rows, shown, structure = {}, {}, None
    for line in text.replace('\\-', '-').splitlines():
        if line.startswith('.SS '):
            structure = line[4:].strip('"')
        elif line in ('Shown.', 'Hidden.', 'Shown; all of it can be written.'):
            shown[structure] = line
        elif line.startswith('0x'):
            at, register, bits, field, access, user, view, *_ = line.split()
            rows[structure, int(at, 16), register, bits, field] = access, user, view
    return rows, shown


def heading(register):
    """The section of a structure."""
    if register['base'] == 0:
        return 'Header: type 0'
    extended = 'extended ' if register['extended'] else ''
    return f'{register["structure"]}: {extended}capability 0x{register["id"]:02x}'


def bits_of(field):
    high = field['lsb'] + field['bits'] - 1
    return str(high) if field['bits'] == 1 else f'{high}:{field["lsb"]}'


def masks_of_manual(decoded):
    """What the manual's sentences make of each dword: in its rows, virtual, writable, cleared."""
    rows, shown = manual_rows()
    masks = collections.defaultdict(lambda: [0, 0, 0, 0])
    for register in decoded:
        section = heading(register)
        if shown[section] != 'Shown.':
            continue
        for field in register['fields']:
            access, user, view = rows[section, register['offset'] - register['base'],
                                      register['register'], bits_of(field), field['name'] or '-']
            clears = view == 'device' and access == 'RW1C'
            stores = user == 'yes' and (view == 'virtual' or access == 'RW')
            mask = (1 << field['bits']) - 1 << register['offset'] % 4 * 8 + field['lsb']
            for n, holds in enumerate((True, view == 'virtual', stores, clears)):
                masks[register['offset'] // 4][n] |= mask if holds else 0
    return masks


@pytest.mark.parametrize('name', DEVICES)
def test_manual_says_so(name, tmp_path):
    """Manual, table and vfio_config_info(): the same, for each register of what is shown."""
    string = DEVICES[name](tmp_path)
    (device,) = devices(string, env=MODULES)
    rows, wrong = config_map(string), []
    masks = masks_of_manual(device['decoded'])
    masks[1][0] &= ~3       # a decoder that the device lacks cannot be switched on
    masks[1][2] &= ~3
    assert len(masks) > 18
    for at, (rowed, *expected) in masks.items():
        told = [rows[at][key] & rowed for key in ('virtual', 'writable', 'cleared')]
        if at in BARS:      # what their sizes leave
            told[1] |= ~told[1] & expected[1]
        if told != expected:
            wrong.append((f'{at * 4:#05x}', rows[at]['registers'], told, expected))
    assert not wrong
