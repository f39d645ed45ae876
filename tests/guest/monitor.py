# SPDX-License-Identifier: MIT
"""QEMU with its monitor (QMP: objects of JSON, one a line), by which a guest has devices taken away and
given back: a line '@host NAME' of its second serial port lets the commands of that name run."""

import json
import re
import subprocess
import threading
import time

LOOK_EVERY = 0.1     # s


class Monitor:
    """The monitor of a QEMU that was started with -qmp stdio. After QEMU's end it says nothing."""

    def __init__(self, process):
        self.process, self.said = process, []
        self.to_go = 0                                       # devices
        self.process.stdout.readline()                       # the greeting
        self.command('qmp_capabilities')

    def take(self):
        """The next answer, or an event; empty at QEMU's end."""
        line = self.process.stdout.readline()
        self.said.append(line.strip())
        answer = json.loads(line) if line else {}
        self.to_go -= answer.get('event') == 'DEVICE_DELETED' and 'device' in answer['data']
        return answer

    def command(self, name, **arguments):
        """A device comes back when the one that was there has gone."""
        while name == 'device_add' and self.to_go and self.take():
            pass
        self.to_go += name == 'device_del'
        try:
            self.process.stdin.write(json.dumps({'execute': name, 'arguments': arguments}) + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            return
        while 'event' in self.take():
            pass


def serve(process, said, actions):
    """Until QEMU ends: what the guest asks for, each once."""
    monitor, served = Monitor(process), 0
    while process.poll() is None:
        names = re.findall(r'^@host (\S+)\r?\n', said.read_text(errors='replace'), re.MULTILINE)
        for name in names[served:]:
            for command, arguments in actions[name]:
                monitor.command(command, **arguments)
        served = len(names)
        time.sleep(LOOK_EVERY)
    return '\n'.join(monitor.said)


def run(command, said, actions, timeout):
    """QEMU, to its end; what it and its monitor had to say."""
    with subprocess.Popen([*command, '-qmp', 'stdio'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        try:
            told = serve(process, said, actions)
        finally:
            process.kill()
            timer.cancel()
        return told + process.stderr.read()
