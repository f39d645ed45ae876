# SPDX-License-Identifier: MIT
"""What the tests of the programs share: a directory for sockets, and vfiods that are started in it.

The environment names the build: VFIO_BUILD its root, VFIO_DEVICE_PATH the directories of device
modules.
"""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

BUILD = pathlib.Path(os.environ['VFIO_BUILD'])
IS_ROOT = os.geteuid() == 0
START_SECONDS = 20.0        # to become ready, sanitizers and a busy machine included


def wait_for(condition, seconds=5.0):
    """Wait until condition() is true; returns what it was last."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > end:
            return result
        time.sleep(0.01)


def is_alive(pid):
    """Does the process run? A zombie does not."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='utf-8')
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(')', 1)[1].split()[0] != 'Z'


class ControlClient:
    """A connection to a control socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(15)
        self.socket.connect(str(path))
        self.file = self.socket.makefile('rb')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The next reply, or None when the connection was closed."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def call(self, method, **parameters):
        self.send(json.dumps({'method': method, 'parameters': parameters}).encode() + b'\n')
        return self.reply()


class Vfiod:
    """A vfiod that runs, or has run."""

    program = str(BUILD / 'vfiod' / 'vfiod')

    def __init__(self, directory, arguments, environment, **popen):
        self.directory = directory
        self.log_path = directory / f'vfiod-{time.monotonic_ns()}.log'
        self.notifications = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify_path = directory / f'notify-{time.monotonic_ns()}'
        self.notify.bind(str(notify_path))
        os.chmod(notify_path, 0o666)
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [self.program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, 'VFIOD_RUNTIME_DIR': str(directory / 'run'),
                                 'NOTIFY_SOCKET': str(notify_path), **environment}, **popen)
        self.control_path = directory / 'run' / f'{self.process.pid}.control'

    def log(self):
        return self.log_path.read_text(encoding='utf-8')

    def wait_notified(self, what, seconds=START_SECONDS):
        """Wait until vfiod has told the service manager this."""
        end = time.monotonic() + seconds
        while what not in self.notifications:
            assert time.monotonic() < end and self.process.poll() is None, \
                f'{what} did not come: ' + self.log()
            if select.select([self.notify], [], [], 0.05)[0]:
                self.notifications.append(self.notify.recv(4096).decode())

    def wait_ready(self):
        self.wait_notified('READY=1')
        return self

    def control(self):
        return ControlClient(self.control_path)

    def devices(self):
        """The devices by name, as the control socket lists them."""
        with self.control() as control:
            return {d['name']: d for d in control.call('list')['parameters']['devices']}

    def device(self, name='edu'):
        return self.devices()[name]

    def stop(self, seconds=10):
        """End it in an orderly way; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def clean_up(self):
        """Leave no process behind, however the test went."""
        self.notify.close()
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(5)
            self.process.kill()
            self.process.wait()
        assert 'Sanitizer' not in self.log() and 'runtime error' not in self.log(), self.log()


@pytest.fixture
def directory():
    """A new directory that every user can enter, with a path that is short enough for sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='vfio-'))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(directory):
    """Starts vfiods with the given arguments: start('--device', 'edu', …, VARIABLE='value')."""
    started = []

    def starter(*arguments, popen=None, **environment):
        started.append(Vfiod(directory, arguments, environment, **(popen or {})))
        return started[-1]

    yield starter
    for vfiod in started:
        vfiod.clean_up()


@pytest.fixture
def edu(start, directory):
    """A vfiod that serves edu at DIRECTORY/edu.sock, and is ready."""
    return start('--device', 'edu', '--socket-path', directory / 'edu.sock').wait_ready()


@pytest.fixture(scope='session')
def sanitizers():
    """What meson's b_sanitize says, or 'none'."""
    options = json.loads((BUILD / 'meson-info' / 'intro-buildoptions.json').read_text())
    return next((o['value'] for o in options if o['name'] == 'b_sanitize'), 'none')
