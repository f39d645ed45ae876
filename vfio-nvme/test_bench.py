# SPDX-License-Identifier: MIT
"""vfio-nvme bench: what it measures, what it prints, and when it refuses. No figure is judged."""

import json
import os
import pty
import re
import signal

import pytest

from conftest import DISK, fails, run, start, vfiod, wait_for, works
from test_disk import device_process

MEMORY = 'nvme,memory=8M'
QUICK = ['bench', '-t', '0.2']
LATENCIES = ['min', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max']


def bench(device, *args):
    return json.loads(works('-d', device, *QUICK, '--json', *args))


def check(told, **settings):
    """The numbers go with one another, and with what was asked for."""
    result, latency, buckets = told['bench'], told['latency_ns'], told['histogram']
    assert {key: result[key] for key in settings} == settings
    count = result['reads'] + result['writes']
    assert count > 0 and result['seconds'] > 0
    assert result['iops'] == pytest.approx(count / result['seconds'], rel=0.02)
    assert result['mib_per_second'] == pytest.approx(result['iops'] * result['size'] / 2**20,
                                                     rel=0.02)
    assert list(latency) == LATENCIES
    # A percentile is the end of a bucket, but never above the greatest.
    order = [latency[key] for key in ('min', 'p50', 'p90', 'p99', 'p99.9', 'max')]
    assert order == sorted(order)
    assert latency['min'] <= latency['mean'] <= latency['max']
    assert sum(bucket['count'] for bucket in buckets) == count
    edges = [edge for bucket in buckets for edge in (bucket['from_ns'], bucket['below_ns'])]
    assert edges == sorted(edges)
    assert buckets[0]['from_ns'] <= latency['min'] and latency['max'] < buckets[-1]['below_ns']


@pytest.mark.parametrize('name, reads, writes', [
    ('randread', True, False), ('randwrite', False, True), ('randrw', True, True),
    ('read', True, False), ('write', False, True),
])
def test_patterns(name, reads, writes):
    told = bench(MEMORY, '-p', name, '-y')
    check(told, device=MEMORY, pattern=name, size=4096, depth=32, queues=1, namespace=1,
          waits='interrupts', interrupted=False)
    assert (told['bench']['reads'] > 0, told['bench']['writes'] > 0) == (reads, writes)


@pytest.mark.parametrize('args, settings', [
    (['-D', '1'], {'depth': 1}),
    (['-D', '200', '-s', '512'], {'depth': 200, 'size': 512}),
    (['-s', '128k', '-D', '4'], {'size': 131072}),
    (['--poll'], {'waits': 'polling'}),
    (['--interrupts', '--no-pin'], {'waits': 'interrupts'}),
    (['-Q', '2', '-D', '8'], {'queues': 2}),
    (['-Q', '3', '--poll', '-p', 'randrw', '-y'], {'queues': 3, 'waits': 'polling'}),
])
def test_settings(disk, args, settings):
    check(bench(disk, *args), device=disk, **settings)


def test_sequential_writes_reach_everything(image):
    """From one end to the other: nothing of the image stays as it was."""
    works('-d', f'nvme,file={image}', 'bench', '-t', '2', '-p', 'write', '-s', '128k', '-y')
    blocks = image.read_bytes()
    assert all(any(blocks[at:at + 4096]) for at in range(0, DISK, 4096))


def test_text():
    out = works('-d', MEMORY, *QUICK)
    assert re.search(r'^  pattern +randread$', out, re.M)
    assert re.search(r'^  rate +\d+ IOPS, \d+\.\d MiB/s$', out, re.M)
    for label in 'least', 'mean', '50 %', '90 %', '99 %', '99.9 %', 'most':
        assert re.search(rf'^  {label} +\d+(\.\d)? (ns|µs|ms|s)$', out, re.M)
    rows = re.findall(r'^ +[\d.]+ (?:ns|µs|ms|s) │[ █▏▎▍▌▋▊▉]+ +(\d+) +(\d+\.\d) %$', out, re.M)
    reads = int(re.search(r'^  reads +(\d+)$', out, re.M)[1])
    assert sum(int(count) for count, _ in rows) == reads
    assert len({len(line) for line in out.splitlines() if '│' in line}) == 1


def test_text_without_utf8():
    out = works('-d', MEMORY, *QUICK, env={'LC_ALL': 'C'})
    assert out.isascii()
    assert re.search(r'^ +[\d.]+ (ns|us|ms|s) \|#+ +\d+', out, re.M)


# ---- the floor -----------------------------------------------------------------------------

@pytest.mark.parametrize('queues', [1, 2])
@pytest.mark.parametrize('name', ['randread', 'read'])
def test_plain(image, name, queues):
    told = json.loads(works(*QUICK, '--plain', image, '-p', name, '-Q', queues, '--json'))
    check(told, file=str(image), pattern=name, queues=queues, depth=1, waits='pread', writes=0)


def test_plain_needs_a_file(tmp_path):
    (tmp_path / 'short').write_bytes(b'x' * 4095)
    for name, reason in (('nothing', 'No such file'), ('.', 'Is a directory'),
                         ('short', 'Invalid argument')):
        fails(*QUICK, '--plain', tmp_path / name, says=['VFIO-603', reason, 'larger than --size'])


# ---- refusals ------------------------------------------------------------------------------

@pytest.mark.parametrize('args, says', [
    (['-p', 'sideways'], "'sideways' is none of randread"),
    (['--poll', '--interrupts'], 'only one of them'),
    (['--plain', 'x', '-p', 'write'], '--plain only reads'),
    (['-p', 'write'], 'destroys what is on the disk; if that is meant, say --yes'),
    (['-Q', '0'], "--queues: '0' is less than 1"),
    (['-t', '0'], "--seconds: '0' is less than 0.001"),
    (['-t', '86400.001'], "--seconds: '86400.001' is more than 86400"),
    (['-t', '1e3'], "--seconds: '1e3' is not a number"),
    (['-s', '0'], "--size: '0' is less than 1"),
])
def test_usage(args, says):
    status, out, err = run('-d', MEMORY, *QUICK, *args)
    assert (status, out) == (2, '')
    assert says in err


def test_refusal_writes_nothing(image):
    assert run('-d', f'nvme,file={image}', *QUICK, '-p', 'randwrite')[0] == 2
    assert image.read_bytes() == bytes(DISK)


@pytest.mark.parametrize('answer, status, written', [('y', 0, True), ('n', 1, False),
                                                     ('', 1, False)])
def test_asks_on_a_terminal(image, answer, status, written):
    ours, theirs = pty.openpty()
    with start('-d', f'nvme,file={image}', *QUICK, '-p', 'write', stdin=theirs) as process:
        os.close(theirs)
        os.write(ours, f'{answer}\n'.encode())
        _, err = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == status
    assert 'destroys what is on namespace 1' in err and '(8.0 MiB). Go on? [y/N]' in err
    assert any(image.read_bytes()) == written


def test_more_queues_than_there_are():
    fails('-d', MEMORY + ',queues=2', *QUICK, '-Q', '3', says=['VFIO-'])


# ---- the end in the middle -----------------------------------------------------------------

def is_measuring(process):
    """Some time of a processor was used: more than starting takes."""
    assert process.poll() is None, process.communicate()
    with open(f'/proc/{process.pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK') > 0.3


@pytest.mark.parametrize('queues', [1, 2])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(disk, number, queues):
    with start('-d', disk, 'bench', '-t', '600', '-Q', queues, '--json') as process:
        wait_for(lambda: is_measuring(process), 'the benchmark did not begin')
        process.send_signal(number)
        out, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (0, '')
    check(json.loads(out), interrupted=True, queues=queues)


@pytest.mark.parametrize('queues', [1, 2])
def test_device_is_killed(tmp_path, queues):
    with vfiod(tmp_path, MEMORY) as (device, daemon), \
            start('-d', device, 'bench', '-t', '600', '-Q', queues) as process:
        wait_for(lambda: is_measuring(process), 'the benchmark did not begin')
        os.kill(device_process(daemon), signal.SIGKILL)
        out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (1, '')
    assert 'VFIO-202' in err


@pytest.mark.parametrize('queues', [1, 2])
def test_device_is_wanted_back(tmp_path, queues):
    """The server is asked to end: what was measured is shown, and the disk left in order."""
    with vfiod(tmp_path, MEMORY) as (device, daemon), \
            start('-d', device, 'bench', '-t', '600', '-Q', queues, '--json') as process:
        wait_for(lambda: is_measuring(process), 'the benchmark did not begin')
        daemon.terminate()
        out, err = process.communicate(timeout=40)
        assert daemon.wait(20) == 0
    assert process.returncode == 3
    assert err.startswith('vfio-nvme: VFIO-408: the device is wanted back')
    check(json.loads(out), interrupted=True, queues=queues)
    log = (tmp_path / 'vfiod.log').read_text()
    assert 'asked to leave' in log and 'killed' not in log
