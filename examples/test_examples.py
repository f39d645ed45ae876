# SPDX-License-Identifier: MIT
"""Each step of the staircase is run, and says what its README says that it says."""

import contextlib
import os
import pathlib
import shlex
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).parent
SOURCE = pathlib.Path(os.environ['VFIO_SOURCE'])
BUILD = pathlib.Path(os.environ['VFIO_BUILD']) / 'examples'


def run(name, *args, **environment):
    """Run an example to its end: exit status, standard output, standard error."""
    env = {**os.environ, **environment}
    done = subprocess.run([BUILD / name, *args], env=env, capture_output=True, text=True,
                          timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def scratchpad(tmp_path):
    """The device string of a running smallest-device."""
    path = tmp_path / 'scratchpad.sock'
    with subprocess.Popen([BUILD / 'smallest-device', path]) as server:
        end = time.monotonic() + 20
        while not path.is_socket():
            assert server.poll() is None, 'smallest-device ended at once'
            assert time.monotonic() < end, 'smallest-device made no socket'
            time.sleep(0.01)
        yield f'unix:{path}'
        server.kill()


def test_driver_and_device_of_another_process(scratchpad):
    expected = 'device 1234:0001\nBAR 0, register 0: 0x5c7a7c40\n'
    assert run('smallest-driver', scratchpad) == (0, expected, '')
    # The first driver has gone; the device serves the next.
    assert run('smallest-driver', VFIO_DEVICE=scratchpad) == (0, expected, '')


def test_driver_and_device_of_the_same_process():
    expected = 'device 1234:11e8\nBAR 0, register 0: 0x010000ed\n'
    assert run('smallest-driver', 'edu') == (0, expected, '')


def test_driver_without_device(tmp_path):
    status, out, err = run('smallest-driver', f'unix:{tmp_path}/nobody.sock')
    assert (status, out) == (1, '')
    assert 'VFIO-103' in err and 'nobody.sock' in err


def test_device_that_cannot_listen(tmp_path):
    status, out, err = run('smallest-device', f'{tmp_path}/missing/scratchpad.sock')
    assert (status, out) == (1, '')
    assert 'missing/scratchpad.sock' in err


def test_doorbell():
    assert run('doorbell-driver', f'{BUILD}/doorbell-device.so') == (0, '42\n', '')


def test_doorbell_has_no_options():
    status, out, err = run('doorbell-driver', f'{BUILD}/doorbell-device.so,tone=low')
    assert (status, out) == (1, '')
    assert 'VFIO-107' in err


def test_doorbell_driver_with_another_device():
    """edu has no MSI-X."""
    status, out, err = run('doorbell-driver', 'edu')
    assert (status, out) == (1, '')
    assert 'VFIO-401' in err


@contextlib.contextmanager
def served(module, path):
    """The device string of a module that vfiod serves."""
    with subprocess.Popen([BUILD.parent / 'vfiod' / 'vfiod', '--device', module,
                           '--socket-path', path]) as vfiod:
        end = time.monotonic() + 20
        while not path.is_socket():
            assert vfiod.poll() is None, 'vfiod ended at once'
            assert time.monotonic() < end, 'vfiod made no socket'
            time.sleep(0.01)
        yield f'unix:{path}'
        vfiod.terminate()


@pytest.fixture
def doorbell(tmp_path):
    """The device string of a doorbell that vfiod serves."""
    with served(BUILD / 'doorbell-device.so', tmp_path / 'doorbell.sock') as name:
        yield name


def test_two_devices(doorbell):
    assert run('two-devices', f'{BUILD}/doorbell-device.so', doorbell) == (0, '42\n', '')
    assert run('two-devices', doorbell, f'{BUILD}/doorbell-device.so') == (0, '42\n', '')


def test_two_devices_of_which_one_is_not_there(tmp_path):
    status, out, err = run('two-devices', f'{BUILD}/doorbell-device.so', f'unix:{tmp_path}/nobody')
    assert (status, out) == (1, '')
    assert 'VFIO-103' in err


@pytest.fixture
def thread(tmp_path):
    """The module in the manual's page about threads, compiled as the page says."""
    page = (SOURCE / 'man' / 'vfio_dma_engine_new.3.rst').read_text(encoding='utf-8')
    lines = page.split('EXAMPLE\n')[1].split('\n::\n')[1].splitlines()
    end = next(n for n, line in enumerate(lines) if line and not line.startswith('    '))
    source, module = tmp_path / 'thread.c', tmp_path / 'thread.so'
    source.write_text('\n'.join(line[4:] for line in lines[:end]) + '\n', encoding='utf-8')
    subprocess.run([*shlex.split(os.environ.get('CC', 'cc')), '-std=gnu11', '-shared', '-fPIC',
                    '-pthread', '-I', SOURCE / 'include', '-o', module, source], check=True,
                   timeout=60)
    return module


def test_thread(thread, tmp_path):
    """One client after the other: the thread outlives them."""
    assert run('doorbell-driver', thread) == (0, '42\n', '')
    with served(thread, tmp_path / 'thread.sock') as name:
        for _ in range(3):
            assert run('doorbell-driver', name) == (0, '42\n', '')


@pytest.mark.parametrize('source', sorted(HERE.glob('*.c')), ids=lambda path: path.name)
def test_is_short_and_named_in_the_readme(source):
    assert len(source.read_text().splitlines()) <= 64
    assert f'`{source.name}`' in (HERE / 'README.md').read_text()


def test_disk(tmp_path):
    image = tmp_path / 'disk.img'
    image.touch()
    os.truncate(image, 1 << 20)
    for number in range(3):
        expected = (f'namespace 1: 2048 blocks of 512 bytes\n'
                    f'block 0 begins with {number}; now it is one more\n')
        assert run('disk', f'nvme,file={image}') == (0, expected, '')
    status, _, err = run('disk', f'nvme,file={image},ro')
    assert (status, err) == (1, 'write: namespace is write protected\n')
