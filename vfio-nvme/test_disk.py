# SPDX-License-Identifier: MIT
"""vfio-nvme: what it tells of a disk, what it moves, and what it says when that cannot be."""

import json
import os
import pty
import re
import resource
import signal
import subprocess

import pytest

from conftest import BLOCK, BUILD, DISK, MIB, PROGRAM, fails, run, start, vfiod, wait_for, works

SIZES = [0, 1, 511, 512, 513, 4096, MIB + 3]
MEMORY = 'nvme,memory=8M'


def pattern(size):
    return bytes(i * i % 253 for i in range(min(size, 4099))) * (size // 4099 + 1)


def file_of(tmp_path, size, name='in'):
    path = tmp_path / name
    path.write_bytes(pattern(size)[:size])
    return path


# ---- what it tells -------------------------------------------------------------------------

def test_identify(disk):
    out = works('-d', disk, 'identify')
    assert re.search(rf'^  device +{re.escape(disk)}$', out, re.M)
    assert re.search(r'^  NVMe version +1\.4\.\d$', out, re.M)
    assert re.search(r'^  ready +yes$', out, re.M)
    assert re.search(rf'^Namespace 1\n  size +8\.0 MiB \({DISK} bytes\)$', out, re.M)
    assert re.search(r'^  read-only +no$', out, re.M)


def test_identify_json(disk):
    told = json.loads(works('identify', '--json', '-d', disk))
    assert told['vfio-nvme'] == {'schema': 1}
    controller = told['controller']
    assert controller['device'] == disk
    assert controller['ready'] is True and controller['fatal'] is False
    assert controller['queue_entries'] >= 1024
    assert controller['model'] == controller['model'].strip() != ''
    [namespace] = told['namespaces']
    assert namespace['nsid'] == 1
    assert namespace['size'] == DISK
    assert namespace['blocks'] == DISK // namespace['block_size']
    assert namespace['read_only'] is False
    assert [f['block_shift'] for f in namespace['formats'] if f['in_use']] == [9]


def test_several_namespaces():
    disk = 'nvme,memory=1M,memory=2M,block=4096,ro'
    one, two = json.loads(works('-d', disk, 'identify', '-J'))['namespaces']
    assert (one['nsid'], one['size'], one['block_size'], one['read_only']) == (1, MIB, 512, False)
    assert (two['nsid'], two['size'], two['block_size']) == (2, 2 * MIB, 4096)
    assert two['read_only'] is True
    assert '\nNamespace 2\n' in works('-d', disk, 'identify')


def test_smart(disk, tmp_path):
    works('-d', disk, 'copy-in', '-q', file_of(tmp_path, MIB))
    out = works('-d', disk, 'smart')
    assert out.startswith('SMART\n  warnings                 none\n')
    assert 'The error log is empty.' in out
    told = json.loads(works('-d', disk, 'smart', '--json'))
    assert told['errors'] == []
    assert told['smart']['warnings'] == []
    assert told['smart']['media_errors'] == 0
    assert isinstance(told['smart']['units_read'], int)


def test_flush_and_reset(disk):
    assert works('-d', disk, 'flush') == f"namespace 1 of '{disk}' is flushed\n"
    assert works('-d', disk, 'reset') == f"'{disk}' is reset, and ready\n"
    assert works('-d', disk, 'reset', '--quiet') == ''


# ---- what it moves -------------------------------------------------------------------------

@pytest.mark.parametrize('size', SIZES)
def test_file_comes_back(tmp_path, disk, image, size):
    data = file_of(tmp_path, size).read_bytes()
    image.write_bytes(b'\xee' * DISK)
    out = works('-d', disk, 'copy-in', '--verify', tmp_path / 'in')
    assert re.fullmatch(rf'{size} bytes to block 0 of namespace 1, flushed, in \d+\.\d+ s, '
                        r'\d+\.\d MiB/s, compared: the same\n', out)
    out = works('-d', disk, 'copy-out', '--verify', '--size', size, tmp_path / 'out')
    assert out.startswith(f'{size} bytes from block 0 of namespace 1 in ')
    assert (tmp_path / 'out').read_bytes() == data
    # The rest of the last block is zeros, and what is behind it as it was.
    end = -(-size // BLOCK) * BLOCK
    assert image.read_bytes() == data.ljust(end, b'\0') + b'\xee' * (DISK - end)


@pytest.mark.parametrize('place', [['--lba', '9'], ['--offset', '4608'], ['-o', '0x1200']])
def test_place(tmp_path, disk, image, place):
    data = file_of(tmp_path, 1000).read_bytes()
    assert works('-d', disk, 'copy-in', '-q', *place, tmp_path / 'in') == ''
    assert image.read_bytes()[4608:4608 + 1000] == data
    works('-d', disk, 'copy-out', '-q', *place, '-s', '1000', tmp_path / 'out')
    assert (tmp_path / 'out').read_bytes() == data


@pytest.mark.parametrize('depth', [1, 2, 300])
def test_depth_and_large_blocks(tmp_path, image, depth):
    data = file_of(tmp_path, 5 * MIB + 1).read_bytes()
    image.write_bytes(b'\xee' * DISK)
    disk = f'nvme,memory=1M,file={image},block=4096'
    works('-d', disk, 'copy-in', '-n', '2', '-D', depth, '--verify', tmp_path / 'in')
    works('-d', disk, 'copy-out', '-n', '2', '-D', depth, '-s', len(data), tmp_path / 'out')
    assert (tmp_path / 'out').read_bytes() == data
    # Memory that held other bytes before, too, is zeros behind the end.
    assert image.read_bytes()[len(data):len(data) + 4096] == bytes(4095) + b'\xee'


def test_whole_disk(tmp_path, disk, image):
    image.write_bytes(pattern(DISK)[:DISK])
    works('-d', disk, 'copy-out', tmp_path / 'out')
    assert (tmp_path / 'out').read_bytes() == image.read_bytes()
    works('-d', disk, 'copy-out', '--lba', DISK // BLOCK - 1, tmp_path / 'out')
    assert (tmp_path / 'out').read_bytes() == image.read_bytes()[-BLOCK:]


def test_pipes(disk, image):
    data = pattern(3 * BLOCK)[:3 * BLOCK]
    out = works('-d', disk, 'write', '--lba', '1', input=data, text=False)
    assert out == b'1536 bytes to block 1 of namespace 1\n'
    assert works('-d', disk, 'read', '-l', '1', '-c', '3', text=False) == data
    assert works('-d', disk, 'read', '-l', '2', text=False) == data[BLOCK:2 * BLOCK]
    assert works('-d', disk, 'read', '-', '-o', '512', '-s', '1k', text=False) == data[:1024]
    works('-d', disk, 'write', '-l', '8', '-c', '1', input=data, text=False)
    assert image.read_bytes()[8 * BLOCK:10 * BLOCK] == data[:BLOCK] + bytes(BLOCK)


def test_files(tmp_path, disk, image):
    path = file_of(tmp_path, 4 * BLOCK)
    works('-d', disk, 'write', '-q', path)
    works('-d', disk, 'read', '--size', '2k', tmp_path / 'out')
    assert (tmp_path / 'out').read_bytes() == path.read_bytes()
    assert image.read_bytes()[:4 * BLOCK] == path.read_bytes()


def test_progress_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    status, _, _ = run('-d', MEMORY, 'copy-in', file_of(tmp_path, MIB), stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert status == 0
    assert re.search(r'\rwriting: 100 %  \d+\.\d MiB/s \r?\n$', shown)


def test_permissions(tmp_path):
    out = tmp_path / 'out'
    works('-d', MEMORY, 'copy-out', '-q', '-s', '1', out, umask=0o027)
    assert out.stat().st_mode & 0o777 == 0o640
    out.chmod(0o604)
    works('-d', MEMORY, 'copy-out', '-q', '-s', '1', out, umask=0o027)
    assert out.stat().st_mode & 0o777 == 0o604


# ---- the command line ----------------------------------------------------------------------

@pytest.mark.parametrize('args, says', [
    ([], 'no command'),
    (['fly'], "'fly' is no command"),
    (['--size', '1', 'read'], '--size is no option that stands before a command'),
    (['identify', '--size', '1'], '--size is no option of this command'),
    (['identify', 'x'], "'x' is one argument too many"),
    (['copy-in'], 'FILE is missing'),
    (['copy-in', 'a', 'b'], "'b' is one argument too many"),
    (['copy-in', '--size', '1', 'a'], '--size is no option'),
    (['read', '--lba'], '--lba needs an argument'),
    (['read', '-l'], '-l needs an argument'),
    (['read', '-Z'], '-Z is no option'),
    (['read', '--lba', 'x'], "--lba: 'x' is not a number"),
    (['read', '--lba', '-1'], "--lba: '-1' is not a number"),
    (['read', '--size', '4q'], "--size: '4q' is not a number, as 512, 4k or 1M are"),
    (['read', '--size', '99999999T'], "'99999999T' is not a number"),
    (['read', '-D', '0'], "--depth: '0' is less than 1"),
    (['read', '-D', '65536'], "--depth: '65536' is more than 65535"),
    (['read', '-n', '0'], "--namespace: '0' is less than 1"),
    (['read', '-l', '1', '-o', '512'], '--offset and --lba: only one of them'),
    (['read', '-c', '1', '-s', '512'], '--size and --count: only one of them'),
    (['--timeout', '0', 'identify'], "'0' is less than 1"),
])
def test_usage(args, says):
    status, out, err = run('-d', MEMORY, *args)
    assert (status, out) == (2, '')
    assert says in err and "Try 'vfio-nvme --help'" in err


def test_help_and_version():
    out = works('--help')
    for command in ('identify', 'smart', 'read', 'write', 'copy-in', 'copy-out', 'flush', 'reset',
                    'bench'):
        assert f'\n  {command} ' in out
        assert f'Usage: vfio-nvme {command} [options]' in works(command, '--help')
    assert '--pattern=PATTERN' in works('bench', '-h') and '--pattern' not in works('read', '-h')
    assert re.fullmatch(r'vfio-nvme \d+\.\d+\.\d+\n', works('-V'))
    assert works('identify', '--version') == works('-V')


# ---- what cannot be ------------------------------------------------------------------------

@pytest.mark.parametrize('args, says', [
    (['read', '-o', '100'], ['--offset 100 is not a multiple of the 512 bytes', 'give 0 or 512']),
    (['read', '-s', '513'], ['--size 513 is not a multiple', 'give 512 or 1024']),
    (['read', '-l', '16385'], ['block 16385 lies behind the end', '16384 blocks of 512']),
    (['read', '-l', '18446744073709551614'], ['lies behind the end']),
    (['read', '-l', '16384'], ['only 0 bytes from block 16384 on']),
    (['read', '-c', '16385'], [f'only {DISK} bytes from block 0 on']),
    (['read', '-c', '36028797018963969'], [f'only {DISK} bytes']),
    (['read', '-n', '2'], ['no namespace 2', 'identify']),
    (['read', '-D', '65535'], ['65535 commands under way at once', 'give a smaller --depth']),
    (['flush', '-n', '9'], ['no namespace 9']),
    (['bench', '-s', '100'], ['--size 100: commands of namespace 1 have whole blocks of 512']),
    (['bench', '-s', '1G'], ['give another --size']),
])
def test_what_this_disk_cannot(args, says):
    fails('-d', MEMORY, *args, says=['VFIO-601', *says])


@pytest.mark.parametrize('closed', ['0<&-', '1>&-', '2>&-', '0<&- 1>&- 2>&-'])
@pytest.mark.parametrize('command', [['read', '--lba=100', '--count=8'], ['write'],
                                     ['identify'], ['copy-in', 'nothing-there']])
def test_what_is_printed_nowhere_does_not_go_to_the_disk(image, closed, command):
    image.write_bytes(pattern(DISK)[:DISK])
    shell = ['sh', '-c', f'exec "$@" {closed}', 'sh', PROGRAM, '-d', f'nvme,file={image}', *command]
    status = subprocess.run(shell, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, timeout=60, check=False).returncode
    assert image.read_bytes() == pattern(DISK)[:DISK]
    if '1>&-' in closed and command[0] != 'write':
        assert status == 1


def test_disk_is_full(tmp_path, disk, image):
    path = tmp_path / 'large'
    path.touch()
    os.truncate(path, DISK + 1)
    fails('-d', disk, 'copy-in', path,
          says=['VFIO-601', f'has {DISK + 1} bytes', f'only {DISK}', 'No space left'])
    fails('-d', disk, 'copy-in', '-l', 1, image, says=[f'only {DISK - BLOCK} from block 1 on'])
    fails('-d', disk, 'write', '-l', DISK // BLOCK - 2, input=bytes(3 * BLOCK), text=False,
          says=['standard input has more than the 1024 bytes', 'No space left'])
    works('-d', disk, 'write', '-q', '-l', DISK // BLOCK - 2, input=bytes(2 * BLOCK), text=False)


def test_read_only(tmp_path):
    disk = 'nvme,memory=1M,ro'
    for command in ['copy-in', file_of(tmp_path, 1)], ['write'], ['bench', '-p', 'write', '-y']:
        fails('-d', disk, *command, says=['VFIO-601', 'read-only', "without 'ro'"])
    assert works('-d', disk, 'read', text=False) == bytes(BLOCK)


def test_input_ends_early(disk, image):
    fails('-d', disk, 'write', input=b'x' * 700, text=False,
          says=['VFIO-601', 'ended after 700 bytes', 'in the middle of a block', 'copy-in'])
    fails('-d', disk, 'write', '-c', '3', input=b'y' * 1024, text=False,
          says=['ended after 1024 bytes: more was asked for'])
    assert image.read_bytes()[:1025] == b'y' * 1024 + b'\0'


@pytest.mark.parametrize('name, reason', [
    ('.', 'Is a directory'), ('', 'Is a directory'), ('new/', 'Is a directory'),
    ('missing/out', 'No such file or directory'), ('/dev/null', 'Invalid argument'),
    ('x' * 256, 'File name too long'),
])
@pytest.mark.parametrize('command', ['copy-out', 'read'])
def test_impossible_output(tmp_path, command, name, reason):
    fails('-d', MEMORY, command, name, cwd=tmp_path, says=['VFIO-603', name[:100], reason])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('command', ['copy-in', 'write'])
def test_impossible_input(tmp_path, command):
    os.mkfifo(tmp_path / 'pipe')
    for name, reason in (('nothing', 'No such file'), ('.', 'Is a directory'),
                         ('pipe', 'Invalid argument')):
        fails('-d', MEMORY, command, tmp_path / name,
              says=['VFIO-603', reason, 'name a regular file'])


@pytest.mark.parametrize('before', [None, b'precious'])
def test_no_room_for_the_output(tmp_path, before):
    out = tmp_path / 'out'
    if before:
        out.write_bytes(before)

    def limit():
        # Memory for DMA is a file, too, and has to be possible.
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 * MIB, 6 * MIB))

    fails('-d', MEMORY, 'copy-out', out, preexec_fn=limit,
          says=['VFIO-603', f"writing to '{out}'", 'File too large', 'make room'])
    assert (out.read_bytes() if out.exists() else None) == before
    assert not list(tmp_path.glob('.vfio-nvme*'))


def test_disk_cannot_write(image):
    """The file under the disk takes no more: an error of the medium, told by the disk."""
    with start('-d', f'nvme,file={image}', 'write', '-D', '1',
               stdin=-1, text=False) as process:
        process.stdin.write(b'x' * MIB)
        process.stdin.flush()
        wait_for(lambda: image.read_bytes()[0], 'nothing is written')
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (6 * MIB, 6 * MIB))
        _, err = process.communicate(bytes(6 * MIB), timeout=20)
    assert process.returncode == 1
    for text in (b'VFIO-609', b'the medium took nothing',
                 b'writing blocks 12288 to 12543 of namespace 1: the disk answered: '):
        assert text in err


# ---- devices -------------------------------------------------------------------------------

def test_no_device():
    fails('identify', env={'VFIO_DEVICE': ''}, says=['VFIO-101', 'VFIO_DEVICE'])


def test_nobody_listens(tmp_path):
    fails('-d', f'unix:{tmp_path}/none', 'identify', says=['VFIO-103', '/none'])


def test_another_device():
    fails('-d', 'edu', 'identify', says=['VFIO-103'])


def test_a_second_client(tmp_path, image):
    with vfiod(tmp_path, f'nvme,file={image}') as (device, _), \
            start('-d', device, 'write', stdin=-1, text=False) as first:
        first.stdin.write(bytes(128 << 10))
        first.stdin.flush()
        wait_for(lambda: run('-d', device, 'identify')[0] == 1, 'the first is no client')
        fails('-d', device, 'identify', says=['VFIO-105'])
        first.communicate(timeout=20)
    assert first.returncode == 0


# ---- the end in the middle -----------------------------------------------------------------

@pytest.fixture
def endless(tmp_path):
    """A disk of which all can be read for long, and the daemon that serves it."""
    path = tmp_path / 'endless.img'
    path.touch()
    os.truncate(path, 1 << 38)
    with vfiod(tmp_path, f'nvme,file={path}') as served:
        yield served


def await_part(directory):
    """Wait until the copy has begun to write."""
    wait_for(lambda: any(part.stat().st_size for part in directory.glob('.vfio-nvme*')),
             'the copy did not begin')


def device_process(daemon):
    """The process of the daemon's only device."""
    with open(f'/proc/{daemon.pid}/task/{daemon.pid}/children', encoding='ascii') as file:
        [child] = file.read().split()
    return int(child)


def nothing_left(directory):
    return not (directory / 'out').exists() and not list(directory.glob('.vfio-nvme*'))


def test_device_is_killed(tmp_path, endless):
    device, daemon = endless
    with start('-d', device, 'copy-out', tmp_path / 'out') as process:
        await_part(tmp_path)
        os.kill(device_process(daemon), signal.SIGKILL)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert 'VFIO-202' in err
    assert nothing_left(tmp_path)


def test_device_is_wanted_back(tmp_path, endless):
    device, daemon = endless
    with start('-d', device, 'copy-out', tmp_path / 'out') as process:
        await_part(tmp_path)
        daemon.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert 'VFIO-408' in err and 'reading was not finished' in err
    assert nothing_left(tmp_path)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal(tmp_path, endless, number):
    with start('-d', endless[0], 'copy-out', tmp_path / 'out') as process:
        await_part(tmp_path)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f'stopped by signal {int(number)}' in err and 'reading was not finished' in err
    assert nothing_left(tmp_path)


def test_device_does_not_answer(tmp_path, endless):
    device, daemon = endless
    with start('-d', device, '--timeout', '1', 'copy-out', tmp_path / 'out') as process:
        await_part(tmp_path)
        os.kill(device_process(daemon), signal.SIGSTOP)
        _, err = process.communicate(timeout=40)
        os.kill(device_process(daemon), signal.SIGCONT)
    assert process.returncode == 1
    assert 'VFIO-201' in err
    assert nothing_left(tmp_path)
