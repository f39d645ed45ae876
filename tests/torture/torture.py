#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""Torture vfiod: honest clients work while hostile ones die, truncate, flood and lie.

    torture.py [SECONDS]

One vfiod serves five devices. Two have honest clients (honest.c), who compare every byte that the
device moves; three have nobody but attackers (attack.c), and more of these knock at the sockets of
the honest ones and of vfiod itself. Prints what the honest ones moved with and without attackers,
how often each attack was done, and PASS or FAIL. It fails when

- an honest client gets a wrong byte, an error, or a device that is not as it should be;
- an attack finds that something was done which must be refused;
- a device process ends, of whatever device;
- vfiod does not answer, or serves a device no more;
- descriptors, maps, memory (beyond GROWTH) or processes are left when all clients have gone.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'cli'))
from conftest import BUILD, Vfiod, wait_for  # noqa: E402

HERE = BUILD / 'tests' / 'torture'
EDU = BUILD / 'devices' / 'edu' / 'edu.so'
MILL = HERE / 'mill.so'
DEVICES = {'mill': MILL, 'edu': EDU, 'red': MILL, 'green': MILL, 'blue': MILL}
HONEST, HOSTILE = ['mill', 'edu'], ['red', 'green', 'blue']

TIMEOUT_MS = 2000           # replies.c has a client that is later than that
GROWTH = 16 << 20           # bytes more than before: what the allocator keeps of many maps
END = 120                   # seconds for whatever should end soon
# Under AddressSanitizer: keep nothing of what was freed, so that what is left is a leak.
FRUGAL = ['quarantine_size_mb=0', 'thread_local_quarantine_size_kb=0', 'malloc_context_size=0']


class Failure(Exception):
    """What has gone wrong."""


def check(condition, what):
    if not condition:
        raise Failure(what)


class Process:
    """vfiod or a process of its: what it holds, as far as we may look."""

    def __init__(self, pid):
        proc = pathlib.Path(f'/proc/{pid}')
        self.fds = self.shared_maps = None
        with contextlib.suppress(PermissionError):
            self.fds = len(list((proc / 'fd').iterdir()))
            maps = (proc / 'maps').read_text(encoding='utf-8').splitlines()
            self.shared_maps = sum(line.split()[1].endswith('s') for line in maps)
        _, resident, shared, *_ = map(int, (proc / 'statm').read_text().split())
        self.private = (resident - shared) * os.sysconf('SC_PAGESIZE')

    def grown(self, before):
        """What there is more of than before, in words, or None."""
        for what, now, then, allowed in (
                ('descriptors', self.fds, before.fds, 0),
                ('shared maps', self.shared_maps, before.shared_maps, 0),
                ('bytes of memory', self.private, before.private, GROWTH)):
            if now is not None and now > then + allowed:
                return f'{now} {what}, and it had {then}'
        return None


class Honest:
    """An honest client at work."""

    def __init__(self, name, path):
        self.name = name
        self.process = subprocess.Popen([HERE / 'honest', f'unix:{path}'], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        check(self.process.stdout.readline() == 'begun\n',
              f'the honest client of {name} has not begun')

    def stop(self):
        """Returns megabytes a second."""
        out, _ = self.process.communicate(timeout=END)
        check(self.process.returncode == 0, f'the honest client of {self.name} has failed')
        moved, milliseconds = map(int, out.split())
        return moved / 1000 / max(milliseconds, 1)


class Torture:
    """A vfiod, and those who use it."""

    def __init__(self, directory):
        self.paths = {name: directory / name for name in DEVICES}
        config = directory / 'vfiod.conf'
        config.write_text(f'[vfiod]\ntimeout = {TIMEOUT_MS}\n' + ''.join(
            f'[{name}]\ndevice = {module}\nsocket = {self.paths[name]}\n'
            for name, module in DEVICES.items()), encoding='utf-8')
        options = ':'.join(filter(None, [os.environ.get('ASAN_OPTIONS'), *FRUGAL]))
        self.vfiod = Vfiod(directory, ['--config', config], {'ASAN_OPTIONS': options})
        self.vfiod.wait_ready()
        self.pids = self.device_pids()
        self.running = []
        self.attacks = {}

    def device_pids(self):
        return {name: d['pid'] for name, d in self.vfiod.devices().items()}

    # ---- attackers -------------------------------------------------------------------------

    def attack(self, seconds, *arguments):
        self.running.append(subprocess.Popen(
            [HERE / 'attack', *arguments[:-1], str(seconds), arguments[-1]], text=True,
            stdout=subprocess.PIPE))

    def attack_all(self, seconds):
        for name in HOSTILE:
            self.attack(seconds, '-h', HERE / 'honest', self.paths[name])

    def knock_at_all(self, seconds):
        for path in [*(self.paths[name] for name in HONEST), self.vfiod.control_path]:
            self.attack(seconds, '-k', path)

    def finish_attacks(self):
        """Wait for the attackers, count what they did, and look whether they found anything."""
        status = 0
        while self.running:
            process = self.running.pop()
            out, _ = process.communicate(timeout=END + 60)
            status = status or process.returncode
            for line in out.splitlines():
                name, done, killed = line.split('\t')
                before = self.attacks.get(name, (0, 0))
                self.attacks[name] = before[0] + int(done), before[1] + int(killed)
        check(status == 0, 'an attacker got what must be refused, or could not attack')

    # ---- measures --------------------------------------------------------------------------

    def wait_until_free(self):
        check(wait_for(lambda: all(d['client'] is None for d in self.vfiod.devices().values()),
                       END), 'a client that has gone is still there')

    def processes(self):
        """All of vfiod's processes. Asks nothing of vfiod: a connection would be counted."""
        pids = {'vfiod': self.vfiod.process.pid, **self.pids}
        return {who: Process(pid) for who, pid in pids.items()}

    def work(self, during):
        """Let the honest ones work while during() lasts; megabytes a second of each."""
        clients = [Honest(name, self.paths[name]) for name in HONEST]
        try:
            during()
        finally:
            rates = {client.name: client.stop() for client in clients}
        return rates

    # ---- the end ---------------------------------------------------------------------------

    def check_alive(self):
        check(self.vfiod.process.poll() is None, 'vfiod has ended')
        for name, device in self.vfiod.devices().items():
            state = device['state'], device['pid'], device['restarts']
            check(state == ('ready', self.pids[name], 0), f'the device process of {name} has died')
            with self.vfiod.control() as control:
                check('description' in control.call('describe', device=name).get('parameters', {}),
                      f'{name} is not described')

    def check_devices(self):
        """Each is to be had, and works."""
        for name, path in self.paths.items():
            done = subprocess.run([HERE / 'honest', f'unix:{path}', '40'], timeout=END, check=False,
                                  stdout=subprocess.DEVNULL)
            check(done.returncode == 0, f'{name} does not serve an honest client any more')

    def check_left(self, before):
        self.wait_until_free()
        wait_for(lambda: not any(now.grown(before[who]) for who, now in self.processes().items()))
        after = self.processes()
        for who, now in after.items():
            check(not now.grown(before[who]), f'{who} has {now.grown(before[who])}')
        return {who: after[who].private - before[who].private for who in after}

    def run(self, seconds):
        """Everything; returns what there is to tell."""
        sleep = subprocess.run
        told = {}
        self.attack_all(0)
        self.finish_attacks()
        told['alone'] = self.work(lambda: sleep(['sleep', str(seconds / 5)], check=True))
        self.check_alive()
        self.wait_until_free()
        before = self.processes()

        def under_attack():
            self.attack_all(seconds * 4 / 5)
            self.knock_at_all(seconds * 4 / 5)
            self.finish_attacks()

        told['attacked'] = self.work(under_attack)
        self.check_alive()
        self.check_devices()
        told['grown'] = self.check_left(before)
        self.check_alive()
        return told

    def close(self):
        for process in self.running:
            process.kill()
        self.vfiod.clean_up()


def remarkable(log):
    """What vfiod says of itself and not of its clients."""
    usual = (' has come', ' has gone', ': VFIO-', ' too many to log', ' is refused: ',
             ': ready on ', ': for a driver: ', ': for QEMU: ')
    return [line for line in log.splitlines() if not any(word in line for word in usual)]


def report(torture, told):
    for name in HONEST:
        print(f'honest client of {name + ":":6}{told["alone"][name]:8.1f} MB/s alone, '
              f'{told["attacked"][name]:8.1f} MB/s among attackers')
    print('grown, in KiB: ' + ', '.join(f'{who} {size >> 10}' for who, size in
                                       told['grown'].items()))
    print(f'{"attack":28}{"done":>8}{"killed":>8}')
    for name, (done, killed) in torture.attacks.items():
        print(f'{name:28}{done:8}{killed:8}')
    print(f'{"all":28}{sum(a[0] for a in torture.attacks.values()):8}')


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5
    directory = pathlib.Path(tempfile.mkdtemp(prefix='vfio-torture-'))
    directory.chmod(0o755)
    torture = Torture(directory)
    try:
        report(torture, torture.run(seconds))
        status = torture.vfiod.stop()
        check(status == 0, f'vfiod ended with status {status}')
    except (Failure, AssertionError, OSError, subprocess.TimeoutExpired) as failure:
        print('\n'.join(remarkable(torture.vfiod.log())[-40:]))
        print(f'FAIL: {failure}')
        return 1
    finally:
        torture.close()
        shutil.rmtree(directory, ignore_errors=True)
    print('PASS')
    return 0


if __name__ == '__main__':
    sys.exit(main())
