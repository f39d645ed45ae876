# SPDX-License-Identifier: MIT
"""A disk of vfiod's: what was written is in the file, however the device process ends; a file that
is no disk is refused with a reason."""

import os
import pwd
import random
import signal
import subprocess

import pytest

import nvme
from conftest import BUILD, is_alive, wait_for
from vfiod_client import needs_root

SIZE = 4 << 20
FUA = 1 << 30

io = pytest.mark.parametrize('how', ['uring', 'sync'])


@pytest.fixture
def image(directory):
    """A file for a disk, which the device's user need not be able to open."""
    path = directory / 'disk.img'
    path.touch(0o600)
    os.truncate(path, SIZE)
    return path


@pytest.fixture
def block_device(image):
    """The image as a block device."""
    def losetup(*args):
        return subprocess.run(['losetup', *args], capture_output=True, text=True, check=False)
    made = losetup('--find', '--show', str(image))
    if made.returncode:
        pytest.skip('no loop device can be had: ' + made.stderr.strip())
    yield made.stdout.strip()
    losetup('--detach', made.stdout.strip())


@pytest.fixture
def serve(start, directory):
    """Starts a vfiod for a device string, with its socket at DIRECTORY/s."""
    return lambda device: start('--device', device, '--socket-path', directory / 's').wait_ready()


def contents(path, lba, blocks):
    with open(path, 'rb') as file:
        file.seek(512 * lba)
        return file.read(512 * blocks)


def only(vfiod):
    device, = vfiod.devices().values()
    return device


# ---- what was written stays --------------------------------------------------------------------

@io
@pytest.mark.parametrize('lend', ['sealed', 'unsealed', 'asked'])
def test_data_come_and_go(serve, directory, image, how, lend):
    serve(f'nvme,file={image},io={how}')
    data = random.Random(1).randbytes(16 * 4096)
    with nvme.Disk(directory / 's', lend) as disk:
        assert disk.write(8, data) == 0
        assert contents(image, 8, 128) == data
        assert disk.read(8, 128) == data
        assert disk.read(7, 2) == bytes(512) + data[:512]
        assert disk.io(nvme.WRITE_ZEROES, 9, 100) == 0
        assert disk.read(8, 128) == data[:512] + bytes(51200) + data[51712:]
        assert disk.flush() == 0
        assert disk.read(SIZE // 512 - 1, 2) & 0x7ff == 0x80     # LBA Out of Range
        assert disk.write(0, data[:512], nsid=2) & 0x7ff == 0x0b


@needs_root
@io
@pytest.mark.parametrize('direct', ['', ',direct'])
def test_block_device(serve, directory, image, block_device, how, direct):
    serve(f'nvme,file={block_device}{direct},io={how}')
    data = random.Random(3).randbytes(64 * 512)
    with nvme.Disk(directory / 's') as disk:
        assert disk.write(24, data) == 0
        assert disk.read(24, 64) == data
        assert disk.io(nvme.WRITE_ZEROES, 40, 16) == 0
        assert disk.io(nvme.WRITE_ZEROES, 64, 8, 1 << 25) == 0      # that may deallocate
        want = data[:16 * 512] + bytes(16 * 512) + data[32 * 512:40 * 512] + bytes(8 * 512)
        assert disk.read(24, 48) == want
        assert disk.flush() == 0
        assert contents(image, 24, 48) == want
        assert disk.write(SIZE // 512 - 1, data[:512]) == 0
        assert disk.write(SIZE // 512, data[:512]) & 0x7ff == 0x80  # LBA Out of Range


@io
def test_orderly_end(serve, directory, image, how):
    vfiod = serve(f'nvme,file={image},io={how}')
    with nvme.Disk(directory / 's') as disk:
        assert disk.write(0, b'end' + bytes(509)) == 0
    assert vfiod.stop() == 0
    assert 'killed' not in vfiod.log()
    assert contents(image, 0, 1)[:3] == b'end'


@io
def test_what_was_flushed_survives_the_device_process(serve, directory, image, how):
    vfiod = serve(f'nvme,file={image},io={how}')
    disk_of_before, generator = None, random.Random(2)
    for number in range(4):
        data = generator.randbytes(8192)
        pid = only(vfiod)['pid']
        with nvme.Disk(directory / 's') as disk:
            if disk_of_before:
                assert disk.read(16 * (number - 1), 16) == disk_of_before
            if number % 2:
                assert disk.write(16 * number, data, FUA) == 0
            else:
                assert disk.write(16 * number, data) == 0
                assert disk.flush() == 0
            os.kill(pid, signal.SIGKILL)
            assert wait_for(lambda: not is_alive(pid))
            assert contents(image, 16 * number, 16) == data
        assert wait_for(lambda: only(vfiod)['state'] == 'ready' and only(vfiod)['pid'] != pid, 10)
        disk_of_before = data
    assert only(vfiod)['restarts'] == 4


@io
def test_what_was_answered_survives_a_kill_in_the_middle(serve, directory, image, how):
    """Each block holds the number of the last write of it that was answered, or of one begun."""
    vfiod = serve(f'nvme,file={image},io={how}')
    pid, answered, begun = only(vfiod)['pid'], {}, {}
    generator = random.Random(3)
    with nvme.Disk(directory / 's') as disk:
        for number in range(1, 400):
            lba = generator.randrange(64)
            begun[lba] = number
            if number == 350:
                os.pwrite(disk.fd, number.to_bytes(4, 'little') * 128, 4 * nvme.PAGE)
                disk.submit(1, nvme.WRITE, 1, cdw10=lba, data=nvme.BASE + 4 * nvme.PAGE)
                break
            assert disk.write(lba, number.to_bytes(4, 'little') * 128) == 0
            answered[lba] = number
        os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: not is_alive(pid))
    for lba, number in answered.items():
        assert contents(image, lba, 1) in (number.to_bytes(4, 'little') * 128,
                                           begun[lba].to_bytes(4, 'little') * 128)


def test_memory_keeps_its_contents_for_the_next_client(serve, directory):
    vfiod = serve('nvme,memory=1M,memory=64K')
    data = random.Random(4).randbytes(4096)
    with nvme.Disk(directory / 's') as disk:
        assert disk.write(1, data, nsid=2) == 0
    assert wait_for(lambda: only(vfiod)['client'] is None)
    with nvme.Disk(directory / 's') as disk:
        assert disk.read(1, 8, nsid=2) == data
        assert disk.read(1, 8, nsid=1) == bytes(4096)


def test_read_only(serve, directory, image):
    image.write_bytes(b'\x5a' * SIZE)
    image.chmod(0o400)
    serve(f'nvme,file={image},ro')
    with nvme.Disk(directory / 's') as disk:
        assert disk.write(0, bytes(512)) & 0x7ff == 0x20         # Namespace is Write Protected
        assert disk.read(3, 2) == b'\x5a' * 1024
        assert disk.flush() == 0
    assert image.read_bytes() == b'\x5a' * SIZE


@io
def test_a_file_that_was_cut_off_is_a_media_error(serve, directory, image, how):
    vfiod = serve(f'nvme,file={image},io={how}')
    with nvme.Disk(directory / 's') as disk:
        os.truncate(image, 4096)
        assert disk.read(0, 8) == bytes(4096)
        assert disk.read(4, 8) & 0x7ff == 0x281                  # Unrecovered Read Error
        assert disk.write(100, bytes(512)) == 0
    assert only(vfiod)['restarts'] == 0


@needs_root
def test_the_device_process_needs_no_right_to_the_file(serve, directory, image):
    vfiod = serve(f'nvme,file={image}')
    with open(f'/proc/{only(vfiod)["pid"]}/status', encoding='utf-8') as status:
        uids = next(line for line in status if line.startswith('Uid:')).split()[1:]
    assert uids == [str(pwd.getpwnam('nobody').pw_uid)] * 4
    with nvme.Disk(directory / 's') as disk:
        assert disk.write(0, b'x' * 512) == 0
    assert contents(image, 0, 1) == b'x' * 512


# ---- refusals ----------------------------------------------------------------------------------

def refusal(device):
    """What lsvfio says of a device that it cannot make."""
    # A vfiod of the machine's own may serve one of this name, which would be shown.
    run = subprocess.run([BUILD / 'lsvfio' / 'lsvfio', '--no-vfiod', device], capture_output=True,
                         text=True, check=False, timeout=30)
    assert run.returncode != 0
    return run.stderr


@pytest.mark.parametrize('options, says', [
    ('', ['VFIO-107', 'no namespace', 'file=PATH or memory=SIZE']),
    (',file=DIR/none', ['none', 'No such file', 'truncate']),
    (',file=DIR', ["DIR'", 'Is a directory']),
    (',file=DIR,ro', ['VFIO-107', 'neither a file nor a block device']),
    (',file=/dev/zero', ['VFIO-107', 'neither a file nor a block device']),
    (',file=DIR/empty', ['VFIO-107', 'is empty', 'truncate']),
    (',file=DIR/odd', ['VFIO-107', '513 bytes: not a multiple of the block size, 512']),
    (',file=DIR/disk.img,block=1024', ['VFIO-107', "'block' wants 512 or 4096"]),
    (',memory=1K,block=4096', ['VFIO-107', 'not a multiple of the block size, 4096']),
    (',memory=8000000T', ['VFIO-602', 'cannot be had', 'smaller']),
    (',memory=1M,speed=3', ['VFIO-107', "'speed'", 'no such option', 'vfio-nvme(7)']),
    (',memory=1M,queues=65', ['VFIO-107', "'queues' wants a number from 1 to 64"]),
])
def test_refusals(directory, image, options, says):
    (directory / 'empty').touch()
    (directory / 'odd').write_bytes(bytes(513))
    text = refusal('nvme' + options.replace('DIR', str(directory)))
    for word in says:
        assert word.replace('DIR', str(directory)) in text


def test_one_file_is_one_disk(serve, directory, image):
    serve(f'nvme,file={image}')
    text = refusal(f'nvme,file={image}')
    assert str(image) in text and 'in use by another device' in text
    assert 'in use' in refusal(f'nvme,memory=1M,file={image},ro')
