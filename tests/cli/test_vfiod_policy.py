# SPDX-License-Identifier: MIT
"""vfiod: what an administrator decides, from the configuration to what a client meets."""

import ctypes
import re

import pytest

from conftest import BUILD
from lsvfio import SOURCE
from vfiod_client import run
from vfiod_probe import (MALFORMED, configuration, connect, describe, disable, enable, fires,
                         wait_until_free, wire)

# A value of each key that is not the standard one, and values that it cannot have.
OTHER = {'view': 'filtered', 'hide': 'MSI-X, VPD, ext:0x0b', 'hidden': 'zero', 'vectors': '3',
         'host-lacks': 'msi', 'lacking': 'hide', 'malformed': 'refuse', 'behaviour': '1',
         'at-close': 'keep', 'max-maps': '1000', 'max-dma': '64M',
         'iova': '0x0-0xfedfffff,0xfef00000-0x7fffffffff', 'process-memory': 'allow'}
BAD = {'view': ['', 'real', 'Virtual'], 'hide': ['nonsense', 'MSI-X, nonsense', 'ext:0x10000'],
       'hidden': ['one'], 'vectors': ['-1', 'some', '3.5', '99999999999', ''],
       'host-lacks': ['intx, pin'], 'lacking': ['give up'], 'malformed': ['repair'],
       'behaviour': ['0', '77', 'first'], 'at-close': ['destroy'],
       'max-maps': ['all', '-1', '1048577', '1K'], 'max-dma': ['', '64MB', '1e9', '16E'],
       'iova': ['none', '0x1000', '0x0-0xffe', '0x1-0xfff', '0x2000-0x2fff,0x0-0xfff'],
       'process-memory': ['yes']}


class Key(ctypes.Structure):
    """struct vfio_policy_key"""
    _fields_ = [(name, ctypes.c_char_p) for name in ('name', 'values', 'standard', 'summary')]


@pytest.fixture(scope='module')
def keys(sanitizers):
    """The library's table."""
    if sanitizers != 'none':
        pytest.skip("a sanitizer's library cannot be loaded into this process")
    library = ctypes.CDLL(str(BUILD / 'src' / 'libvfio.so'))
    library.vfio_policy_keys.restype = ctypes.POINTER(Key)
    count = ctypes.c_size_t()
    table = library.vfio_policy_keys(ctypes.byref(count))
    return [{name: getattr(table[i], name).decode() for name, _ in Key._fields_}
            for i in range(count.value)]


@pytest.fixture
def serve(start, directory):
    """Starts vfiod with these lines in the section of the device."""
    def server(*keys, **options):
        return start('--config', configuration(directory, *keys, **options)).wait_ready()
    return server


# ---- the keys --------------------------------------------------------------------------------


def printed_keys():
    """KEY and STANDARD of each row of --print-policy."""
    done = run('--print-policy')
    assert (done.returncode, done.stderr) == (0, '')
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ['KEY', 'STANDARD', 'ALLOWED', 'MEANING']
    return [row.split()[:2] for row in rows if not row.startswith(' ')]


def allowed(key):
    """What --print-policy says of it."""
    printed = run('--print-policy').stdout
    row = re.search(rf'^{key} .*\n(?: .*\n)*', printed, re.MULTILINE)[0].splitlines()
    column = printed.index('ALLOWED')
    return ' '.join(' '.join(line[column:column + 30] for line in row).split())


def test_print_policy_prints_the_library_s_keys(keys):
    assert printed_keys() == [[key['name'], key['standard']] for key in keys]
    words = run('--print-policy').stdout.split()
    for key in keys:
        for text in (key['values'], key['summary']):
            assert all(word in words for word in text.split()), key


def test_print_policy_fits_a_terminal():
    assert max(map(len, run('--print-policy').stdout.splitlines())) <= 100


def test_manual_documents_each_key():
    manual = (SOURCE / 'man' / 'vfiod.conf.5.rst').read_text(encoding='utf-8')
    section = manual.split('\nPOLICIES\n', 1)[1].split('\nEXAMPLES\n', 1)[0]
    documented = re.findall(r'^([a-z-]+)\n((?:    .*\n|\n)+)', section, re.MULTILINE)
    assert [name for name, _ in documented] == [name for name, _ in printed_keys()]
    for (name, text), (_, standard) in zip(documented, printed_keys()):
        words = ' '.join(text.split())
        assert re.search(rf'\*{standard}\*[^*]*, the standard', words), name


def test_tests_know_each_key():
    assert sorted(OTHER) == sorted(BAD) == sorted(name for name, _ in printed_keys())


def test_print_policy_of_devices(directory):
    config = configuration(directory, 'vectors = 3', 'hide = VPD', common=['vectors = 5',
                                                                          'at-close = keep'])
    with open(config, 'a', encoding='utf-8') as file:
        file.write(f'[second]\ndevice = edu\nsocket = {directory}/2.sock\n')
    done = run('--print-policy', '--config', config)
    assert (done.returncode, done.stderr) == (0, '')
    rows = [re.split(r'  +', line) for line in done.stdout.split('\n\n')[1].splitlines()]
    assert rows[0] == ['DEVICE', 'KEY', 'FROM', 'VALUE']
    found = {(device, key): (value, origin) for device, key, origin, value in rows[1:]}
    standards = dict(printed_keys())
    assert len(found) == 2 * len(standards)
    assert found['dev', 'vectors'] == ('3', 'its section')
    assert found['dev', 'hide'] == ('VPD', 'its section')
    assert found['dev', 'at-close'] == found['second', 'at-close'] == ('keep', '[vfiod]')
    assert found['second', 'vectors'] == ('5', '[vfiod]')
    assert found['second', 'view'] == (standards['view'], 'standard')


def test_print_policy_of_a_bad_configuration(directory):
    done = run('--print-policy', '--config', configuration(directory, 'vectors = few'))
    assert (done.returncode, done.stdout) == (1, '')
    assert "the policy 'vectors' cannot be 'few': all, or a number" in done.stderr


# ---- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize('key', OTHER)
def test_key_in_the_configuration(serve, key):
    vfiod = serve(f'{key} = {OTHER[key]}')
    policy = describe(vfiod)['policy']
    standards = dict(printed_keys())
    assert list(policy) == list(standards)
    assert policy.pop(key) == OTHER[key]
    assert policy == {name: value for name, value in standards.items() if name != key}


def test_all_keys_for_all_devices(serve):
    common = [f'{key} = {value}' for key, value in OTHER.items()]
    assert describe(serve(common=common))['policy'] == OTHER


def test_a_device_s_own_key_wins(serve):
    policy = describe(serve('vectors = 7', common=['vectors = 3', 'at-close = keep']))['policy']
    assert (policy['vectors'], policy['at-close']) == ('7', 'keep')


@pytest.mark.parametrize('key, value', [(key, value) for key, values in BAD.items()
                                        for value in values])
@pytest.mark.parametrize('section', ['keys', 'common'])
def test_bad_value_in_the_configuration(directory, key, value, section):
    line = f'{key} = {value}'
    config = configuration(directory, *([line] if section == 'keys' else []),
                           common=[line] if section == 'common' else ())
    number = config.read_text(encoding='utf-8').splitlines().index(line) + 1
    done = run('--config', config, '--check-config')
    assert done.returncode == 1
    line, = (line for line in done.stderr.splitlines() if f'vfiod.conf:{number}: ' in line)
    problem = line.split(f'vfiod.conf:{number}: ')[1]
    assert problem.startswith(f"the policy '{key}'") and allowed(key) in problem
    if key != 'hide':
        assert f"'{value}'" in problem
    done = run('--device', 'edu', '--socket-path', directory / 's', '--policy', f'{key}={value}')
    assert done.returncode == 2 and f'--policy: {problem}\n' in done.stderr


@pytest.mark.parametrize('value, wrong', [('VPD,,MSI-X , 0x300', '0x300'), ('MSI-X, VDP', 'VDP'),
                                          (', '.join(['VPD'] * 30 + ['last']), 'last')])
def test_the_wrong_one_of_a_list_is_named(directory, value, wrong):
    done = run('--config', configuration(directory, f'hide = {value}'), '--check-config')
    assert f"'{wrong}'" in done.stderr and allowed('hide') in done.stderr
    done = run('--device', 'edu', '--socket-path', directory / 's', '--policy', f'hide={value}')
    assert f"'{wrong}'" in done.stderr and allowed('hide') in done.stderr


def test_a_text_that_is_too_long_is_not_cut_in_silence(directory):
    """The library's sentence has its bounds; what is allowed comes behind it."""
    done = run('--device', 'edu', '--socket-path', directory / 's', '--policy', 'view=' + 'x' * 999)
    assert f'xxx…; what is allowed is {allowed("view")}\n' in done.stderr
    done = run('--device', 'edu', '--socket-path', directory / 's', '--policy', 'k' * 999 + '=1')
    assert "there is no key '" + 'k' * 999 + "'; allowed are view, hide" in done.stderr


@pytest.mark.parametrize('key, good, bad', [
    ('vectors', ['0', '2048'], ['2049']), ('behaviour', ['1', '2'], ['0', '3']),
    ('max-maps', ['0', '1048576'], ['1048577']),
    ('max-dma', ['0', '1', '1K', '1M', '1G', '1T', '1P', '15E'], ['16E', '1k', '1B']),
    ('iova', ['0-0xfff', '0x1000-0x1fff, 0x2000-0x2fff', '0x0-0xffffffffffffffff'],
     ['0x0-0xfff 0x0-0xfff', '0x0-0x10000000000000fff', ' '.join(['0x0-0xfff'] * 30)]),
    ('hide', ['0x01', '0xff, ext:1, ext:0xffff'], ['0', '0x100', 'ext:0', 'ext:0x10000']),
])
def test_bounds_that_the_manual_states(directory, key, good, bad):
    for values, status in (good, 0), (bad, 1):
        for value in values:
            done = run('--config', configuration(directory, f'{key} = {value}'), '--check-config')
            assert done.returncode == status, value


def test_unknown_key_lists_policies(directory):
    done = run('--config', configuration(directory, 'vector = 3'), '--check-config')
    assert "key 'vector' is unknown: allowed are device, socket, owner, group, mode, unsafe, " \
        'audit, ' + ', '.join(OTHER) in done.stderr
    done = run('--config', configuration(directory, common=['vector = 3']), '--check-config')
    assert "allowed are user, control, timeout, audit, " + ', '.join(OTHER) in done.stderr


def test_key_twice(directory):
    done = run('--config', configuration(directory, 'vectors = 3', 'vectors = 3'), '--check-config')
    assert "key 'vectors' is there already" in done.stderr


def test_policy_on_the_command_line(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', '-p', 'vectors=3',
                  '--policy', 'hide=MSI-X, VPD', '--policy', 'vectors=2').wait_ready()
    policy = describe(vfiod, 'edu')['policy']
    assert (policy['vectors'], policy['hide']) == ('2', 'MSI-X, VPD')


@pytest.mark.parametrize('value, problem', [
    ('vectors', 'KEY=VALUE'), ('=3', "no key ''"),
    ('vector=3', "no key 'vector'; allowed are view, hide"),
    ('vectorsandmore=3', "no key 'vectorsandmore'"),
])
def test_bad_policy_on_the_command_line(directory, value, problem):
    done = run('--device', 'edu', '--socket-path', directory / 's', '--policy', value)
    assert (done.returncode, done.stdout) == (2, '') and problem in done.stderr


def test_policy_is_for_one_device(directory):
    done = run('--config', configuration(directory), '--policy', 'vectors=3')
    assert done.returncode == 2 and '--device' in done.stderr


def test_device_that_refuses_is_given_up_at_once(start, directory):
    vfiod = start('--config', configuration(directory, 'malformed = refuse', device=MALFORMED))
    assert vfiod.process.wait(20) == 1
    assert "policy malformed cannot be 'refuse': VFIO-608" in vfiod.log()
    assert 'given up' in vfiod.log() and 'starting it again' not in vfiod.log()


def test_malformed_device_is_served_nonetheless(serve, directory):
    serve(device=MALFORMED)
    with connect(directory) as client:
        assert client.get(wire.CONFIG, 0) == 0x6d611234


@pytest.mark.parametrize('keys, common', [(['audit = refuse'], []), ([], ['audit = refuse'])])
def test_a_device_that_fails_its_audit(start, directory, keys, common):
    vfiod = start('--config', configuration(directory, *keys, common=common, device=MALFORMED))
    assert vfiod.process.wait(20) == 1
    log = vfiod.log()
    assert 'dev: audit: reset: VFIO-312: it cannot be reset' in log
    assert 'fails its audit' in log and 'given up' in log and 'starting it again' not in log


def test_an_audit_that_warns(serve, directory):
    vfiod = serve('audit = warn', common=['audit = refuse'], device=MALFORMED)
    assert 'dev: audit: reset: VFIO-312: it cannot be reset' in vfiod.log()
    assert vfiod.log().count('audit:') == 1
    with connect(directory) as client:
        assert client.get(wire.CONFIG, 0) == 0x6d611234


@pytest.mark.parametrize('keys, device', [
    (['audit = off'], MALFORMED), ([], MALFORMED), (['audit = refuse'], 'edu')])
def test_an_audit_without_a_word(serve, keys, device):
    """A software device is audited only where somebody asks for it."""
    assert 'audit' not in serve(*keys, device=device).log()


# ---- what a client meets ---------------------------------------------------------------------

def test_three_vectors_of_eight(serve, directory):
    vfiod = serve(common=['vectors = 3'])
    irqs = describe(vfiod)['irqs']
    assert irqs[wire.MSI]['vectors'] == {'advertised': 8, 'granted': 3}
    assert irqs[wire.MSIX]['vectors'] == {'advertised': 64, 'granted': 3}
    with connect(directory) as client:
        client.bus_master()
        for index, count in ((wire.MSI, 8), (wire.MSIX, 64)):
            got = client.ok(wire.Cmd.GET_IRQ_INFO, wire.irq_query(index))
            assert wire.IRQ_INFO.unpack(got)[3] == count, 'the device shows all that it has'
            assert enable(client, count, index) == 'ENOSPC'
            assert enable(client, 4, index) == 'ENOSPC'
            fds = enable(client, 3, index)
            assert [fires(client, vector, fd) for vector, fd in enumerate(fds)] == [True] * 3
            disable(client, index)


def test_view_filtered(serve, directory):
    bar0, sizing = 0x10, 0xffffffff
    vfiod = serve('view = filtered')
    with connect(directory) as client:
        raw = client.get(wire.CONFIG, bar0)
        client.put(wire.CONFIG, bar0, sizing)
        assert client.get(wire.CONFIG, bar0) == raw, 'the write reached the device'
        record = describe(vfiod)['records'][-1]
        assert (record['code'], record['who']) == (308, 'policy')
        client.bus_master()
        assert client.get(wire.CONFIG, 4, 2) & 4
    assert vfiod.log().count('VFIO-308') == 1


def test_view_virtual(serve, directory):
    serve()
    with connect(directory) as client:
        client.put(wire.CONFIG, 0x10, 0xffffffff)
        assert client.get(wire.CONFIG, 0x10) == 0xffff0004, '64 KiB, 64 bit'


def capabilities(client):
    """Their IDs, in the order of the list."""
    found, at = [], client.get(wire.CONFIG, 0x34, 1)
    while at:
        assert len(found) < 48, 'the list has no end'
        found.append(client.get(wire.CONFIG, at, 1))
        at = client.get(wire.CONFIG, at + 1, 1)
    return found


@pytest.mark.parametrize('keys, gone', [
    (['hide = MSI-X'], {0x11}),
    (['hide = msi-x, 0x05'], {0x11, 5}),
    (['hide = PM, MSI, MSI-X'], {1, 5, 0x11}),
    (['host-lacks = msix', 'lacking = hide'], {0x11}),
    (['host-lacks = msix'], set()),
])
def test_hidden_capabilities(serve, directory, keys, gone):
    vfiod = serve(*keys)
    with connect(directory) as client:
        assert set(capabilities(client)) == {1, 5, 0x11} - gone
        status = client.get(wire.CONFIG, 6, 2)
        assert bool(status & 0x10) == (gone != {1, 5, 0x11})
    counts = [irq['count'] for irq in describe(vfiod)['irqs']]
    assert (counts[wire.MSI] == 0, counts[wire.MSIX] == 0) == (5 in gone, 0x11 in gone)


@pytest.mark.parametrize('lacking, outcome', [('fail', 'refused'), ('emulate', 'works')])
def test_interrupts_that_the_host_lacks(serve, directory, lacking, outcome):
    vfiod = serve('host-lacks = msi', f'lacking = {lacking}')
    with connect(directory) as client:
        client.bus_master()
        fds = enable(client, 1)
        if outcome == 'works':
            assert fires(client, 0, fds[0])
            return
        assert isinstance(fds, str)
        record = describe(vfiod)['records'][-1]
        assert (record['code'], record['who']) == (406, 'policy') and record['text']


@pytest.mark.parametrize('keep', [False, True])
def test_at_close(serve, directory, keep):
    vfiod = serve(*(['at-close = keep'] if keep else []))
    with connect(directory) as client:
        client.put(wire.BAR0, 0x100, 0x12345678)
    wait_until_free(vfiod)
    with connect(directory) as client:
        assert client.get(wire.BAR0, 0x100) == (0x12345678 if keep else 0)
