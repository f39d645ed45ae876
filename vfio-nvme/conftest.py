# SPDX-License-Identifier: MIT
"""What the tests of vfio-nvme share: runs of the program, and disks to run it on."""

import contextlib
import os
import pathlib
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ['VFIO_BUILD'])
PROGRAM = BUILD / 'vfio-nvme' / 'vfio-nvme'
MIB = 1 << 20
DISK = 8 * MIB
BLOCK = 512


def start(*args, **options):
    env = {**os.environ, 'LC_ALL': 'C.UTF-8', **options.pop('env', {})}
    options = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
               'text': True, **options}
    return subprocess.Popen([PROGRAM, *map(str, args)], env=env, **options)


def run(*args, **options):
    """Run vfio-nvme to its end: exit status, standard output, standard error."""
    data = options.pop('input', None)
    if data is not None:
        options['stdin'] = subprocess.PIPE
    with start(*args, **options) as process:
        try:
            out, err = process.communicate(data, timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out, err


def works(*args, **options):
    """Run it, expect success, and return what it printed."""
    status, out, err = run(*args, **options)
    assert (status, err) in ((0, ''), (0, b'')), err
    return out


def fails(*args, says, **options):
    """Run it, expect failure, and return what it printed on standard error."""
    status, _, err = run(*args, **options)
    err = err if isinstance(err, str) else err.decode()
    assert status == 1, err
    for text in says:
        assert text in err
    return err


def wait_for(condition, what):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@contextlib.contextmanager
def vfiod(directory, device):
    """The device string of a device that vfiod serves, and the daemon's process."""
    path, log = directory / 'nvme.sock', directory / 'vfiod.log'
    with log.open('w') as err, \
            subprocess.Popen([BUILD / 'vfiod' / 'vfiod', '--device', device, '--socket-path', path],
                             env={**os.environ, 'VFIOD_RUNTIME_DIR': str(directory)},
                             stderr=err) as process:
        try:
            # There is a moment between the socket and who listens at it.
            wait_for(lambda: 'ready on' in log.read_text() or process.poll() is not None,
                     'vfiod did not get ready')
            assert process.poll() is None, log.read_text()
            yield f'unix:{path}', process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def image(tmp_path):
    """A disk image, empty."""
    path = tmp_path / 'disk.img'
    path.touch()
    os.truncate(path, DISK)
    return path


@pytest.fixture(params=['inprocess', 'socket'])
def disk(request, tmp_path, image):
    """A disk in that image, by each back end in turn."""
    if request.param == 'inprocess':
        yield f'nvme,file={image}'
        return
    with vfiod(tmp_path, f'nvme,file={image}') as (device, _):
        yield device
