# SPDX-License-Identifier: MIT
"""Users of one vfiod are kept from each other, and devices from memory that is not theirs to touch.

The clients are those of tests/wire: raw bytes, which stop at nothing. The device is its probe, or
the mill of tests/torture, which moves more.
"""

import errno
import json
import os
import pathlib
import pwd
import re
import signal
import struct
import subprocess
import traceback

import pytest

import dma
import wire
from conftest import BUILD, is_alive, wait_for
from dma import FILL, FROM_BUFFER, HOLD, TO_BUFFER, deposit, fetch, run
from lsvfio import devices
from vfiod_client import needs_root
from wire import BAR0, MIB, PAGE, READ, WRITE, Cmd

HONEST = BUILD / 'tests' / 'torture' / 'honest'
MILL = BUILD / 'tests' / 'torture' / 'mill.so'
EDU = BUILD / 'devices' / 'edu' / 'edu.so'
PROBE = BUILD / 'tests' / 'wire' / 'probe.so'

ALICE, BOB = pwd.getpwnam('daemon'), pwd.getpwnam('games')
BASE = 0x100000


class Tenant:
    """A client in a process of another user; its methods run there."""

    def __init__(self, user, path):
        there, self.requests = os.pipe()
        self.replies, back = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.requests)
            os.close(self.replies)
            self._serve(user, path, os.fdopen(there), os.fdopen(back, 'w'))
        os.close(there)
        os.close(back)
        self.requests, self.replies = os.fdopen(self.requests, 'w'), os.fdopen(self.replies)
        assert self.call('_open') == 'ok'

    def _serve(self, user, path, requests, replies):
        try:
            os.setgroups([])
            os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
            os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            self.path, self.files = str(path), {}
            for line in requests:
                method, *arguments = json.loads(line)
                print(json.dumps(getattr(self, method)(*arguments)), file=replies, flush=True)
        except BaseException:   # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(0)

    def call(self, method, *arguments):
        print(json.dumps([method, *arguments]), file=self.requests, flush=True)
        reply = self.replies.readline()
        assert reply, f'{method} has ended its process'
        return json.loads(reply)

    def end(self):
        with self.requests, self.replies:
            if is_alive(self.pid):
                os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    # ---- in that process -------------------------------------------------------------------

    def _open(self):
        self.client = wire.Client(self.path)
        self.client.hello()
        self.client.bus_master()
        return 'ok'

    def map(self, iova, text, sealed):
        """A page that holds this text."""
        self.files[iova] = wire.memory(PAGE, sealed)
        os.pwrite(self.files[iova], text.encode(), 0)
        self.client.map(iova, PAGE, self.files[iova])

    def map_without_file(self, iova):
        self.client.map(iova, PAGE)

    def unmap(self, iova):
        return self.client.unmap(iova, PAGE)

    def memory(self, iova, length):
        return os.pread(self.files[iova], length, 0).decode()

    def fetch(self, iova, length):
        """What the device reads there."""
        got = fetch(self.client, iova, length)
        return got if isinstance(got, str) else got.decode()

    def deposit(self, iova, text):
        return deposit(self.client, iova, text.encode())

    def owe(self, iova):
        """Be asked for memory, and do not answer."""
        dma.start(self.client, TO_BUFFER, iova, 8)
        return dma.asked(self.client, Cmd.DMA_READ)[1]


def configure(directory, device):
    """A device for each of two users."""
    path = directory / 'vfiod.conf'
    path.write_text(''.join(
        f'[{name}]\ndevice = {device}\nsocket = {directory}/{name}\nowner = {user.pw_name}\n'
        for name, user in (('alice', ALICE), ('bob', BOB))), encoding='utf-8')
    return path


@pytest.fixture
def tenants(start, directory):
    """Alice and Bob, each with a probe of the same vfiod."""
    vfiod = start('--config', configure(directory, PROBE)).wait_ready()
    pair = [Tenant(ALICE, directory / 'alice'), Tenant(BOB, directory / 'bob')]
    yield vfiod, *pair
    for tenant in pair:
        tenant.end()
    assert [d['restarts'] for d in vfiod.devices().values()] == [0, 0]


either = pytest.mark.parametrize('sealed', [False, True], ids=['unsealed', 'sealed'])


# ---- two users -------------------------------------------------------------------------------

@needs_root
@either
def test_the_same_addresses_hold_different_data(tenants, sealed):
    _, alice, bob = tenants
    for tenant, text in ((alice, 'of alice'), (bob, 'of bob!!')):
        tenant.call('map', BASE, text, sealed)
    assert [t.call('fetch', BASE, 8) for t in (alice, bob)] == ['of alice', 'of bob!!']
    assert alice.call('deposit', BASE, 'alice 2') == 'ok'
    assert bob.call('fetch', BASE, 8) == bob.call('memory', BASE, 8) == 'of bob!!'
    assert alice.call('memory', BASE, 7) == 'alice 2'
    assert bob.call('unmap', BASE) == PAGE
    assert bob.call('fetch', BASE, 8) == 'EFAULT'
    assert alice.call('fetch', BASE, 7) == 'alice 2'


@needs_root
@either
def test_what_one_has_mapped_the_other_cannot_reach(tenants, sealed):
    _, alice, bob = tenants
    alice.call('map', BASE, 'secret', sealed)
    bob.call('map', BASE + PAGE, 'public', sealed)
    assert bob.call('fetch', BASE, 6) == 'EFAULT'
    assert bob.call('deposit', BASE, 'x') == 'EFAULT'
    assert bob.call('fetch', BASE + PAGE - 6, 12) == 'EFAULT'
    assert alice.call('fetch', BASE + PAGE, 6) == 'EFAULT'
    assert alice.call('memory', BASE, 6) == 'secret'


@needs_root
def test_neither_sees_the_other(tenants, directory):
    vfiod, *_ = tenants
    vfiod.control_path.chmod(0o666)
    for user, own, other in ((ALICE, 'alice', 'bob'), (BOB, 'bob', 'alice')):
        as_user = {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []}
        env = {'VFIOD_RUNTIME_DIR': str(directory / 'run')}
        seen = devices('--no-pci', '--control', vfiod.control_path, env=env, **as_user)
        assert [d['device'] for d in seen] == [own]
        with pytest.raises(AssertionError):
            devices('--no-pci', '--control', vfiod.control_path, other, env=env, **as_user)
        tried = subprocess.run([HONEST, f'unix:{directory / other}', '1'], capture_output=True,
                               text=True, check=False, timeout=30, **as_user)
        assert tried.returncode == 1 and 'Permission denied' in tried.stderr


@needs_root
@pytest.mark.parametrize('moment', ['idle', 'asked for memory'])
def test_one_is_killed_and_the_other_notices_nothing(tenants, directory, moment):
    vfiod, alice, bob = tenants
    for tenant in (alice, bob):
        tenant.call('map', BASE, 'is here', True)
        tenant.call('map_without_file', BASE + PAGE)
    pid = vfiod.device('bob')['pid']
    if moment == 'asked for memory':
        assert alice.call('owe', BASE + PAGE) == BASE + PAGE
    os.kill(alice.pid, signal.SIGKILL)
    for _ in range(20):
        assert bob.call('deposit', BASE, 'goes on') == 'ok'
        assert bob.call('fetch', BASE, 7) == 'goes on'
    assert wait_for(lambda: vfiod.device('alice')['client'] is None)
    heir = Tenant(ALICE, directory / 'alice')
    assert heir.call('fetch', BASE, 7) == 'EFAULT'
    heir.end()
    assert bob.call('fetch', BASE, 7) == 'goes on'
    assert vfiod.device('bob')['pid'] == pid


@needs_root
def test_traffic_goes_on_while_others_die(start, directory):
    """Programs of the public API: one is killed again and again, the other compares every byte."""
    vfiod = start('--config', configure(directory, MILL)).wait_ready()
    command = {name: [HONEST, f'unix:{directory / name}'] for name in ('alice', 'bob')}
    with subprocess.Popen(command['bob'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          user=BOB.pw_uid, group=BOB.pw_gid, extra_groups=[]) as bob:
        assert bob.stdout.readline() == b'begun\n'
        for _ in range(10):
            with subprocess.Popen(command['alice'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  user=ALICE.pw_uid, group=ALICE.pw_gid, extra_groups=[]) as alice:
                assert alice.stdout.readline() == b'begun\n'
                alice.kill()
        bob.communicate(timeout=60)
        assert bob.returncode == 0
    assert [d['restarts'] for d in vfiod.devices().values()] == [0, 0]


# ---- a device and its memory -----------------------------------------------------------------

@pytest.fixture
def probe(start, directory):
    """A vfiod that serves a probe at DIRECTORY/s, and a client of it."""
    vfiod = start('--device', PROBE, '--socket-path', directory / 's').wait_ready()
    with wire.Client(directory / 's') as client:
        client.hello()
        client.bus_master()
        yield vfiod, client
    assert vfiod.device('probe')['restarts'] == 0


def last_fault(vfiod):
    """As lsvfio tells it."""
    device, = devices('--control', vfiod.control_path, 'probe')
    return device['fault']


def test_without_bus_master_nothing_is_touched(probe):
    vfiod, client = probe
    with dma.file_of(1, b'untouched', dma.SEALED) as file:
        client.map(BASE, PAGE, file)
        client.bus_master(False)
        for count, (command, direction) in enumerate(
                ((TO_BUFFER, 'read'), (FROM_BUFFER, 'write'), (HOLD, 'write')), 1):
            client.write(BAR0, dma.BUFFER, b'from device')
            assert run(client, command, BASE, 9) == 'EPERM'
            assert last_fault(vfiod) == {'iova': hex(BASE), 'size': 9, 'direction': direction,
                                         'errno': errno.EPERM, 'count': count}
            assert client.read(BAR0, dma.BUFFER, 11) == b'from device'
        assert run(client, FILL) == 'ENOENT'
        assert os.pread(file, 9, 0) == b'untouched'
        client.bus_master()
        assert fetch(client, BASE, 9) == b'untouched'


@either
@pytest.mark.parametrize('command, iova, length', [
    (FROM_BUFFER, BASE, 4),                     # may be read only
    (TO_BUFFER, BASE + PAGE, 4),                # may be written only
    (TO_BUFFER, BASE + 3 * PAGE, 64),           # a hole
    (FROM_BUFFER, BASE + 2 * PAGE - 8, 16),     # the end of a map
    (TO_BUFFER, BASE - 1, 2),                   # its beginning
    (FROM_BUFFER, 0, 1),
    (TO_BUFFER, (1 << 64) - PAGE, 0x4000),
], ids=['write to read-only', 'read of write-only', 'hole', 'end', 'beginning', 'zero', 'wrap'])
def test_a_fault_tells_address_direction_and_length(probe, sealed, command, iova, length):
    vfiod, client = probe
    assert last_fault(vfiod) is None
    with dma.file_of(2, b'in the file', sealed) as file:
        client.map(BASE, PAGE, file, flags=READ)
        client.map(BASE + PAGE, PAGE, file, offset=PAGE, flags=WRITE)
        before = os.pread(file, 2 * PAGE, 0)
        client.write(BAR0, dma.BUFFER, b'\xa5' * length)
        assert run(client, command, iova, length) == 'EFAULT'
        assert last_fault(vfiod) == {
            'iova': hex(iova), 'size': length, 'errno': errno.EFAULT, 'count': 1,
            'direction': 'read' if command == TO_BUFFER else 'write'}
        way = 'read' if command == TO_BUFFER else 'write'
        assert wait_for(lambda: f'fault 1: the device may not {way} {length} bytes at I/O address '
                        f'{iova:#x}' in vfiod.log().replace('address 0:', 'address 0x0:'))
        assert client.read(BAR0, dma.BUFFER, length) == b'\xa5' * length
        assert os.pread(file, 2 * PAGE, 0) == before


@either
@pytest.mark.parametrize('how', ['one by one', 'all'])
def test_nothing_is_written_after_unmap(probe, sealed, how):
    """The device has writes to do, and a pointer to the memory: the answer to unmap ends both."""
    _, client = probe
    with dma.file_of(4, b'', sealed) as file:
        client.write(BAR0, dma.BUFFER, b'\x11' * dma.BUFFER_SIZE)
        for page in range(4):
            client.map(BASE + page * PAGE, PAGE, file, offset=page * PAGE)
        assert run(client, HOLD, BASE, PAGE) == 'ok'
        dma.aim(client, BASE, 4 * PAGE)
        order = wire.access(BAR0, dma.COMMAND, 4, FROM_BUFFER.to_bytes(4, 'little'))
        for _ in range(50):
            client.post(Cmd.REGION_WRITE, order, flags=wire.NO_REPLY)
        for page in range(4 if how == 'one by one' else 0):
            client.unmap(BASE + page * PAGE, PAGE)
        client.unmap(0, 0, wire.UNMAP_ALL)
        assert os.pread(file, 4 * PAGE, 0) == b'\x11' * 4 * PAGE, 'what came before was done'
        os.pwrite(file, b'\x22' * 4 * PAGE, 0)
        assert run(client, FILL) == 'ENOENT'
        for page in range(4):
            assert deposit(client, BASE + page * PAGE, b'late') == 'EFAULT'
        for _ in range(50):
            client.post(Cmd.REGION_WRITE, order, flags=wire.NO_REPLY)
        client.ping()
        assert os.pread(file, 4 * PAGE, 0) == b'\x22' * 4 * PAGE


def private_memory(pid):
    """Bytes of memory that a process has and no file."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text(encoding='utf-8')
    return int(re.search(r'^RssAnon:\s+(\d+) kB', status, re.MULTILINE)[1]) << 10


def test_writes_to_memory_that_is_lost_cost_no_memory(start, directory):
    """A file that is cut off is as large as its owner said; the server does not fill that."""
    vfiod = start('--device', MILL, '--socket-path', directory / 's').wait_ready()
    pid = vfiod.device('mill')['pid']
    with wire.Client(directory / 's') as client, dma.file_of(256 * MIB // PAGE) as file, \
            dma.file_of(MIB // PAGE) as source:
        client.hello()
        client.bus_master()
        client.map(0, 256 * MIB, file)
        client.map(1 << 40, MIB, source)
        os.truncate(file, 0)
        before = private_memory(pid)
        for at in range(0, 256 * MIB, MIB):
            client.write(BAR0, 0, struct.pack('=4Q', 1 << 40, at, MIB, 1))
            assert client.get(BAR0, 0x20, 8) == errno.EIO
        assert private_memory(pid) - before < 16 * MIB
    assert vfiod.device('mill')['restarts'] == 0


# ---- memory without a descriptor -------------------------------------------------------------

@pytest.mark.parametrize('device', [MILL, EDU], ids=['mill', 'edu'])
@pytest.mark.parametrize('kinds', [['-p'], []], ids=['private memory', 'memory of every kind'])
def test_memory_of_any_kind_works(start, directory, device, kinds):
    """By the public calls: private memory, which the device asks for, as well as shared memory."""
    start('--device', device, '--socket-path', directory / 's').wait_ready()
    done = subprocess.run([HONEST, *kinds, f'unix:{directory}/s', '100'], capture_output=True,
                          text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, '')
    assert int(done.stdout.split()[1]) > 0
