#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""Random work on NVMe disks, each read checked, with resets, aborts and deaths in between.

    check.py [--seconds N | --rounds N] [--seed N] [DISK...]

A disk is a controller with two namespaces, of blocks of 512 and of 4096 bytes:

    memory         in the checker's own process
    uring          files behind a socket, by io_uring; now and then the device's process is killed
    sync           the same, by system calls
    direct         as uring, beside the page cache
    socket         memory behind a socket
    uring-here     files in the checker's own process; so sync-here, direct-here

nvme-checker does the work and finds the faults; its head says what it does. A disk gets N seconds
(60), or so many rounds. The seed, printed, gives the same commands again.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cli'))
from conftest import BUILD, Vfiod, is_alive, wait_for  # noqa: E402

CHECKER = BUILD / 'tests' / 'nvme-torture' / 'nvme-checker'
SIZES = [2 << 20, 8 << 20]
OPTIONS = ['', ',block=4096']
# vfiod waits longer after each death that follows soon; a new one does not.
DEATHS = 3


class Failure(Exception):
    """What has gone wrong."""


class Disk:
    """A disk, and who serves it."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.here = name == 'memory' or name.endswith('-here')
        self.images = []
        if name in ('memory', 'socket'):
            namespaces = [f'memory={size}{options}' for size, options in zip(SIZES, OPTIONS)]
        else:
            self.images = [directory / f'{name}-{size}.img' for size in SIZES]
            kind = name.removesuffix('-here')
            direct = ',direct' if kind == 'direct' else ''
            namespaces = [f'file={image}{options}{direct}'
                          for image, options in zip(self.images, OPTIONS)]
            namespaces.append('io=sync' if kind == 'sync' else 'io=uring')
        self.string = ','.join([str(BUILD / 'devices' / 'nvme' / 'nvme.so'), *namespaces])
        self.socket = directory / f'{name}.sock'
        self.vfiod = None
        self.deaths = 0

    def make_images(self):
        for image, size in zip(self.images, SIZES):
            with open(image, 'wb') as file:
                file.truncate(size)
            image.chmod(0o666)

    def serve(self):
        self.deaths = 0
        self.vfiod = Vfiod(self.directory, ['--device', self.string, '--socket-path', self.socket],
                           {}).wait_ready()

    def pid(self):
        device = next(iter(self.vfiod.devices().values()))
        return device['pid'] if device['state'] == 'ready' else None

    def kill(self):
        """The device's process dies; now and then, vfiod with it, and another one follows."""
        pid = wait_for(self.pid, 30)
        if not pid:
            raise Failure('the device does not come back:\n' + self.vfiod.log())
        self.deaths += 1
        os.kill(pid, signal.SIGKILL)
        if self.deaths > DEATHS:
            self.vfiod.process.kill()
            self.vfiod.process.wait()
        if not wait_for(lambda: not is_alive(pid), 30):
            raise Failure('the device lives')
        if self.deaths > DEATHS:
            self.vfiod.clean_up()
            self.socket.unlink(missing_ok=True)
            self.serve()

    def close(self):
        if self.vfiod:
            self.vfiod.clean_up()


def kill_when_asked(disk, checker, chance, failures):
    """Do what the checker asks for, a moment later, and pass on what else it says."""
    for line in checker.stdout:
        if line != 'kill\n':
            print(f'{disk.name}: {line}', end='', flush=True)
            continue
        time.sleep(chance.random() * 0.02)
        try:
            disk.kill()
        except (Failure, AssertionError, OSError) as failure:
            failures.append(failure)
            checker.kill()


def check(disk, arguments, seed):
    """Let the checker work on a disk; raises what is wrong."""
    disk.make_images()
    options = [f'--seed={seed}', *(f'--image={image}' for image in disk.images)]
    if disk.name == 'memory':
        options.append('--volatile')
    if not disk.here:
        disk.serve()
        if disk.images:
            options.append('--kill')
    device = disk.string if disk.here else f'unix:{disk.socket}'
    failures = []
    with subprocess.Popen([CHECKER, *options, *arguments, device], text=True,
                          stdout=subprocess.PIPE) as checker:
        reader = threading.Thread(target=kill_when_asked,
                                  args=(disk, checker, random.Random(seed), failures))
        reader.start()
        status = checker.wait()
        reader.join()
    if failures:
        raise failures[0]
    if status:
        raise Failure(f'{disk.name}: the checker ended with status {status}')


def run(disk, arguments, seed):
    """The same, and what vfiod has to say if something is wrong."""
    try:
        check(disk, arguments, seed)
    except (Failure, AssertionError, OSError, subprocess.TimeoutExpired):
        print(disk.vfiod.log() if disk.vfiod else '', end='')
        raise
    finally:
        disk.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--rounds', type=int)
    parser.add_argument('--seed', type=int, default=random.randrange(1, 1 << 32))
    parser.add_argument('disks', nargs='*', metavar='DISK',
                        default=['memory', 'uring', 'sync', 'direct', 'socket'])
    asked = parser.parse_args()
    arguments = [f'--rounds={asked.rounds}'] if asked.rounds else [f'--seconds={asked.seconds}']
    directory = pathlib.Path(tempfile.mkdtemp(prefix='vfio-nvme-', dir='/var/tmp'))
    directory.chmod(0o755)
    try:
        for name in asked.disks:
            run(Disk(name, directory), arguments, asked.seed)
    except (Failure, AssertionError, OSError, subprocess.TimeoutExpired) as failure:
        print(f'FAIL: {failure}')
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print('PASS')
    return 0


if __name__ == '__main__':
    sys.exit(main())
