# SPDX-License-Identifier: MIT
"""edu-copy: what it moves, what it says, and what it leaves behind when something goes wrong."""

import contextlib
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib

import pytest

BUILD = os.environ['VFIO_BUILD']
PROGRAM = os.path.join(BUILD, 'drivers', 'edu', 'edu-copy')
NOBODY = 65534
PIECE = 2048

# Long enough for a run of all pieces to be caught in the middle of it.
ENDLESS = 1 << 30


def start(*args, **options):
    env = {**os.environ, **options.pop('env', {})}
    options = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True, **options}
    return subprocess.Popen([PROGRAM, *map(str, args)], env=env, **options)


def run(*args, **options):
    """Run edu-copy to its end: exit status, standard output, standard error."""
    with start(*args, **options) as process:
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out, err


def fails(*args, says, **options):
    """Run it, expect failure, and return what it printed on standard error."""
    status, _, err = run(*args, **options)
    assert status == 1, err
    for text in says:
        assert text in err
    return err


def is_listening(path):
    """A socket is there before its owner listens on it; who only looks in is soon forgotten."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@contextlib.contextmanager
def vfiod(directory):
    """The device string of an edu that vfiod serves, and the daemon's process."""
    path = directory / 'edu.sock'
    with subprocess.Popen([os.path.join(BUILD, 'vfiod', 'vfiod'), '--device', 'edu',
                           '--socket-path', path],
                          env={**os.environ, 'VFIOD_RUNTIME_DIR': str(directory)},
                          stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 20
            while not is_listening(path):
                assert process.poll() is None, 'vfiod ended at once'
                assert time.monotonic() < end, 'vfiod made no socket'
                time.sleep(0.01)
            yield f'unix:{path}', process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    with vfiod(tmp_path_factory.mktemp('vfiod')) as (device, _):
        yield device


@pytest.fixture(params=['edu', 'socket'])
def device(request):
    """Each back end in turn."""
    return 'edu' if request.param == 'edu' else request.getfixturevalue('server')


@pytest.fixture
def file(tmp_path):
    """A file of three pieces, the last one short."""
    path = tmp_path / 'file'
    path.write_bytes(bytes(i * 7 % 251 for i in range(2 * PIECE + 100)))
    return path


@pytest.fixture
def endless(tmp_path):
    path = tmp_path / 'endless'
    path.touch()
    os.truncate(path, ENDLESS)
    return path


@pytest.fixture
def public_dir():
    """A directory that anybody may reach and write, for tests as an unprivileged user."""
    path = tempfile.mkdtemp()
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def as_nobody(public_dir):
    """Options for run(): without root's power over files."""
    options = {'cwd': public_dir, 'env': {'VFIO_DEVICE': 'edu'}}
    if os.geteuid() == 0:
        options.update(user=NOBODY, group=NOBODY, extra_groups=[])
    try:
        assert run('--version', **options)[0] == 0
    except PermissionError:
        pytest.skip('nobody may not reach the build directory')
    return options


# ---- what it moves -------------------------------------------------------------------------

@pytest.mark.parametrize('interrupt', ['MSI', 'INTx'])
@pytest.mark.parametrize('size', [0, 1, PIECE - 1, PIECE, PIECE + 1, 25 * PIECE + 3])
def test_file_comes_back(tmp_path, device, size, interrupt):
    data = bytes(i * i % 253 for i in range(size))
    (tmp_path / 'in').write_bytes(data)
    more = ['--intx'] if interrupt == 'INTx' else []
    status, out, err = run('-d', device, *more, tmp_path / 'in', tmp_path / 'out')
    assert (status, err) == (0, '')
    assert (tmp_path / 'out').read_bytes() == data
    lines = out.splitlines()
    assert len(lines) == 4
    pieces = (size + PIECE - 1) // PIECE
    assert re.fullmatch(rf'{size} bytes there and back in \d+\.\d+ s, \d+\.\d MiB/s, '
                        rf'{2 * pieces} interrupts \({interrupt}\)', lines[1])
    crc = f'{zlib.crc32(data):08x}'
    assert lines[2] == f'CRC-32 of FILE {crc}, of OUT {crc}: MATCH'
    assert lines[3] == '10! = 3628800, by interrupt: right'


def test_identity(tmp_path, file, server):
    caps = int(re.search(r'CapEff:\s*(\w+)', open('/proc/self/status').read())[1], 16)
    words = f'capabilities {caps:#x}' if caps else 'no capabilities'
    status, out, _ = run('-d', server, file, tmp_path / 'out')
    assert status == 0
    expected = f'edu-copy: uid {os.geteuid()}, {words}, device {server} (socket)'
    assert out.splitlines()[0] == expected


def test_without_privilege(as_nobody, public_dir):
    with open(os.path.join(public_dir, 'in'), 'wb') as f:
        f.write(b'anybody')
    status, out, _ = run('in', 'out', **as_nobody)
    assert status == 0
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    assert out.startswith(f'edu-copy: uid {uid}, no capabilities, device edu (inprocess)\n')


def test_quiet(tmp_path, file):
    assert run('-q', '-d', 'edu', file, tmp_path / 'out') == (0, '', '')
    assert (tmp_path / 'out').read_bytes() == file.read_bytes()


def test_progress_on_a_terminal(tmp_path, file):
    ours, theirs = pty.openpty()
    status, _, _ = run('-d', 'edu', file, tmp_path / 'out', stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert status == 0
    assert re.search(r'\r100 %  \d+\.\d MiB/s \r?\n$', shown)


# ---- the output file -----------------------------------------------------------------------

def test_file_onto_itself(file):
    before = file.read_bytes()
    assert run('-d', 'edu', file, file)[0] == 0
    assert file.read_bytes() == before


def test_permissions(tmp_path, file):
    out = tmp_path / 'out'
    assert run('-d', 'edu', file, out, umask=0o027)[0] == 0
    assert out.stat().st_mode & 0o777 == 0o640
    out.chmod(0o604)
    assert run('-d', 'edu', file, out, umask=0o027)[0] == 0
    assert out.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize('before', [None, b'precious'])
def test_full_disk(tmp_path, endless, before):
    out = tmp_path / 'out'
    if before:
        out.write_bytes(before)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 * PIECE, 16 * PIECE))

    fails('-d', 'edu', endless, out, preexec_fn=limit,
          says=['VFIO-603', f"writing to '{out}'", 'File too large', 'make room'])
    assert (out.read_bytes() if out.exists() else None) == before
    assert not list(tmp_path.glob('.edu-copy*'))


@pytest.mark.parametrize('name, reason', [
    ('.', 'Is a directory'), ('', 'Is a directory'), ('new/', 'Is a directory'),
    ('missing/out', 'No such file or directory'), ('file/out', 'Not a directory'),
    ('/dev/null', 'Invalid argument'), ('x' * 256, 'File name too long'),
])
def test_impossible_output(tmp_path, file, name, reason):
    fails('-d', 'edu', file, name, cwd=tmp_path, says=['VFIO-603', name[:100], reason])
    assert os.listdir(tmp_path) == ['file']


def test_output_without_permission(as_nobody, public_dir):
    for name in 'in', 'closed':
        with open(os.path.join(public_dir, name), 'wb') as f:
            f.write(b'as it was')
    os.chmod(os.path.join(public_dir, 'closed'), 0o444)
    os.mkdir(os.path.join(public_dir, 'locked'), 0o555)
    for name in 'closed', 'locked/out':
        fails('in', name, **as_nobody, says=['VFIO-603', name, 'Permission denied'])
    with open(os.path.join(public_dir, 'closed'), 'rb') as f:
        assert f.read() == b'as it was'


# ---- bad input -----------------------------------------------------------------------------

@pytest.mark.parametrize('args', [[], ['one'], ['one', 'two', 'three'], ['--nonsense', 'a', 'b'],
                                  ['a', 'b', '-d']])
def test_usage(args):
    status, out, err = run(*args)
    assert (status, out) == (2, '')
    assert "Try 'edu-copy --help'" in err


def test_help_and_version():
    status, out, err = run('--help')
    assert (status, err) == (0, '')
    for option in '--device', '--intx', '--quiet', '--help', '--version':
        assert option in out
    status, out, err = run('-V')
    assert (status, err) == (0, '')
    assert re.fullmatch(r'edu-copy \d+\.\d+\.\d+\n', out)


def test_missing_file(tmp_path):
    fails('-d', 'edu', tmp_path / 'nothing', tmp_path / 'out',
          says=['VFIO-603', "/nothing'", 'No such file or directory', 'name a regular file'])


def test_file_is_a_directory(tmp_path):
    fails('-d', 'edu', tmp_path, tmp_path / 'out', says=['VFIO-603', 'Is a directory'])


def test_file_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    fails('-d', 'edu', tmp_path / 'pipe', tmp_path / 'out', says=['VFIO-603', 'regular file'])


def test_file_without_permission(as_nobody, public_dir):
    with open(os.path.join(public_dir, 'secret'), 'wb') as f:
        os.fchmod(f.fileno(), 0)
    fails('secret', 'out', **as_nobody, says=['VFIO-603', "'secret'", 'Permission denied'])


# ---- devices -------------------------------------------------------------------------------

def test_no_device(tmp_path, file):
    fails(file, tmp_path / 'out', env={'VFIO_DEVICE': ''}, says=['VFIO-101', 'VFIO_DEVICE'])


def test_nobody_listens(tmp_path, file):
    fails('-d', f'unix:{tmp_path}/none', file, tmp_path / 'out', says=['VFIO-103', '/none'])


def test_another_device(tmp_path, file):
    other = os.path.join(BUILD, 'examples', 'doorbell-device.so')
    fails('-d', other, file, tmp_path / 'out',
          says=['VFIO-103', '1234:0002', 'not 1234:11e8'])


@pytest.mark.parametrize('options', [
    'dma_mask', 'dma_mask=', 'dma_mask=0', 'dma_mask=x', 'dma_mask=0x', 'dma_mask=-1',
    'dma_mask= 1', 'dma_mask=1x', 'dma_mask=0x0x1', 'dma_mask=0x10000000000000000',
    'speed=9', ',', 'dma_mask=0xfffffff,', 'dma_mask=0xfffffff,,', 'dma_maskx=1',
])
def test_device_options(tmp_path, file, options):
    status, _, err = run('-q', '-d', f'edu,{options}', file, tmp_path / 'out')
    if options == 'dma_mask=0xfffffff,':
        assert (status, err) == (0, '')
    else:
        assert status == 1
        assert 'VFIO-107' in err and 'dma_mask=N' in err


def test_mask_that_does_not_reach_the_memory(tmp_path, file):
    status, out, err = run('-d', 'edu,dma_mask=0x10', file, tmp_path / 'out')
    assert status == 1
    assert 'MISMATCH' in out and 'came back changed' in err
    assert not (tmp_path / 'out').exists()


# ---- the end in the middle -----------------------------------------------------------------

def await_part(directory):
    """Wait until the copy has begun to write."""
    end = time.monotonic() + 20
    while not any(part.stat().st_size for part in directory.glob('.edu-copy*')):
        assert time.monotonic() < end, 'the copy did not begin'
        time.sleep(0.01)


@pytest.mark.parametrize('number, status, says', [
    (signal.SIGTERM, 3, 'VFIO-408: the device is wanted back'), (signal.SIGKILL, 1, 'VFIO-202'),
])
def test_device_goes_away(tmp_path, endless, number, status, says):
    """A server that is asked to end asks its client to leave; one that is killed says nothing."""
    with vfiod(tmp_path) as (device, daemon), \
            start('-d', device, endless, tmp_path / 'out') as process:
        await_part(tmp_path)
        daemon.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert says in err
    assert not (tmp_path / 'out').exists() and not list(tmp_path.glob('.edu-copy*'))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal(tmp_path, device, endless, number):
    with start('-d', device, endless, tmp_path / 'out') as process:
        await_part(tmp_path)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f'stopped by signal {int(number)}' in err
    assert not (tmp_path / 'out').exists() and not list(tmp_path.glob('.edu-copy*'))
