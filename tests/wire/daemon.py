# SPDX-License-Identifier: MIT
"""A vfiod of the test's own, and what can be seen of its device process from outside."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import wire

START = 20.0        # seconds to become ready, sanitizers and a busy machine included


def wait_for(condition, seconds=3.0, step=0.005):
    """Wait until condition() is true; returns whether it became so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


class Vfiod:
    """`vfiod --device DEVICE --socket-path DIR/device.sock`, with its control socket in DIR."""

    def __init__(self, device, directory, *options, **environment):
        self.directory = str(directory)
        self.path = os.path.join(self.directory, 'device.sock')
        self.log_path = os.path.join(self.directory, 'log')
        program = os.path.join(os.environ['VFIO_BUILD'], 'vfiod', 'vfiod')
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [program, '--device', device, '--socket-path', self.path, *options],
                env={**os.environ, 'VFIOD_RUNTIME_DIR': self.directory, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._await_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _await_ready(self):
        assert wait_for(self._is_ready, START, 0.02), 'vfiod did not start: ' + self.log()
        self.pid = self.device()['pid']
        with self.connect():
            pass
        assert wait_for(self.is_free), 'the client that left is still there'

    def _is_ready(self):
        assert self.process.poll() is None, 'vfiod ended: ' + self.log()
        try:
            return self.device()['state'] == 'ready'
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    # ---- its control socket ----------------------------------------------------------------

    def control(self, method, **parameters):
        """One request to the control socket; returns the reply's parameters."""
        request = {'method': method, 'parameters': parameters}
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect(os.path.join(self.directory, f'{self.process.pid}.control'))
            sock.sendall(json.dumps(request).encode() + b'\n')
            reply = json.loads(sock.makefile('rb').readline())
        assert 'error' not in reply, reply
        return reply['parameters']

    def device(self):
        """Its device, as `list` says."""
        return self.control('list')['devices'][0]

    def is_free(self):
        """Has it no client?"""
        return self.device()['client'] is None

    # ---- what it left to be seen -----------------------------------------------------------

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def tells(self, after):
        """Does a line come to the log behind its first so many characters?"""
        return wait_for(lambda: self.log()[after:].strip())

    def check_alive(self):
        """The supervisor runs, and the device process is the one that it started first."""
        assert self.process.poll() is None, 'vfiod ended: ' + self.log()[-4000:]
        device = self.device()
        state = (device['state'], device['pid'], device['restarts'])
        assert state == ('ready', self.pid, 0), 'the device process died: ' + self.log()[-4000:]

    def fds(self):
        """The number of descriptors of the device process, or None where we may not look."""
        with contextlib.suppress(PermissionError):
            return len(os.listdir(f'/proc/{self.pid}/fd'))
        return None

    def maps(self):
        """The memory map of the device process, or None where we may not look."""
        with contextlib.suppress(PermissionError):
            with open(f'/proc/{self.pid}/maps', encoding='utf-8') as maps:
                return maps.read()
        return None

    def resident(self):
        """Bytes of memory that the device process has to itself."""
        with open(f'/proc/{self.pid}/statm', encoding='utf-8') as statm:
            pages = statm.read().split()
        return (int(pages[1]) - int(pages[2])) * wire.PAGE

    def cpu_time(self):
        """Seconds of processor time that the device process has used."""
        with open(f'/proc/{self.pid}/stat', encoding='utf-8') as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def is_idle(self):
        """Does the device process sleep when nobody asks for anything?"""
        used = self.cpu_time()
        time.sleep(0.3)
        return self.cpu_time() - used < 0.1

    @contextlib.contextmanager
    def stopped(self):
        """While this lasts, the device process reads nothing: what is sent piles up."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    # ---- connections -----------------------------------------------------------------------

    def plain(self, deadline=8.0):
        """A connection on which nothing was said."""
        return wire.Client(self.path, deadline)

    def connect(self, *args, **kwargs):
        """A client that said hello; arguments as for wire.version(). Waits for its turn."""
        end = time.monotonic() + 5
        while True:
            client = self.plain()
            try:
                got = client.call(wire.Cmd.VERSION, wire.version(*args, **kwargs))
            except BaseException:
                client.close()
                raise
            if not got.flags & wire.ERROR:
                return client
            client.close()
            assert time.monotonic() < end, f'not served: {os.strerror(got.error)}'
            time.sleep(0.001)

    def stop(self):
        """End it in an orderly way."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.log()[-4000:]
