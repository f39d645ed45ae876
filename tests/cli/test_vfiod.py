# SPDX-License-Identifier: MIT
"""vfiod from outside: options, configuration, sockets, processes, clients, control socket."""

import errno
import grp
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from conftest import BUILD, IS_ROOT, Vfiod, is_alive, wait_for

NOBODY = pwd.getpwnam('nobody')
DAEMON = pwd.getpwnam('daemon')
needs_root = pytest.mark.skipif(not IS_ROOT, reason='only root can become another user')


def run(*arguments, **environment):
    """Run vfiod to its end."""
    return subprocess.run([Vfiod.program, *map(str, arguments)], capture_output=True, text=True,
                          timeout=20, check=False, env={**os.environ, **environment})


# ---- a client, in raw bytes ------------------------------------------------------------------

HEADER = struct.Struct('=HHIII')        # id, command, size, flags, error
ACCESS = struct.Struct('=QII')          # offset, region, count
VERSION, REGION_READ, REGION_WRITE = 1, 9, 10
CONFIG, BAR0 = 7, 0


class Client:
    """A vfio-user client that said hello; error is the errno that the server answered with."""

    def __init__(self, path=None, connected=None):
        self.socket = connected or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        if path:
            self.socket.connect(str(path))
        offer = json.dumps({'capabilities': {'max_msg_fds': 16}}).encode() + b'\0'
        self.error, _ = self.call(VERSION, struct.pack('=HH', 0, 1) + offer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, count):
        data = b''
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            assert piece, 'the server closed the connection'
            data += piece
        return data

    def call(self, command, payload):
        self.socket.sendall(HEADER.pack(7, command, HEADER.size + len(payload), 0, 0) + payload)
        number, answered, size, flags, error = HEADER.unpack(self.receive(HEADER.size))
        assert (number, answered, flags & 0xf) == (7, command, 1)
        return (error if flags & 0x20 else 0), self.receive(size - HEADER.size)

    def read(self, region, offset, count):
        error, reply = self.call(REGION_READ, ACCESS.pack(offset, region, count))
        assert error == 0, os.strerror(error)
        return int.from_bytes(reply[ACCESS.size:], 'little')

    def write(self, region, offset, count, value):
        error, _ = self.call(REGION_WRITE, ACCESS.pack(offset, region, count) +
                             value.to_bytes(count, 'little'))
        assert error == 0, os.strerror(error)

    def enable_memory(self):
        """Memory decoding and bus mastering on."""
        self.write(CONFIG, 4, 2, 6)


def connect(path, seconds=5.0):
    """A client that is served: waits while the device is busy with the one before."""
    end = time.monotonic() + seconds
    while True:
        client = Client(path)
        if not client.error:
            return client
        client.socket.close()
        assert time.monotonic() < end, os.strerror(client.error)
        time.sleep(0.01)


def as_user(user, function, groups=()):
    """What function() returns in a process of another user; it must fit into JSON."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
            os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            os.write(writer, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as pipe:
        result = pipe.read()
    os.waitpid(pid, 0)
    assert result, 'the other process raised an exception'
    return json.loads(result)


def hello(path):
    """The errno of connecting, or of VERSION, or 0."""
    try:
        with Client(path) as client:
            return client.error
    except OSError as error:
        return error.errno


# ---- options ---------------------------------------------------------------------------------

OPTIONS = ['device', 'socket-path', 'fd', 'config', 'check-config', 'control', 'user', 'timeout',
           'print-capabilities', 'quiet', 'verbose', 'help', 'version']


@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help(option):
    done = run(option)
    assert (done.returncode, done.stderr) == (0, '')
    assert re.findall(r'--([a-z-]+)', done.stdout.split('vfio-user.\n', 1)[1])[:13] == OPTIONS
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize('option', ['-V', '--version'])
def test_version(option):
    done = run(option)
    assert done.returncode == 0
    assert re.fullmatch(r'vfiod \d+\.\d+\.\d+\n', done.stdout)


def test_print_capabilities():
    done = run('--print-capabilities')
    assert done.returncode == 0
    capabilities = json.loads(done.stdout)
    assert capabilities['type'] == 'vfio-user'
    assert 'vfiod ' + capabilities['version'] + '\n' == run('-V').stdout


@pytest.mark.parametrize('arguments, problem', [
    (['--nonsense'], 'nonsense'),
    (['--device'], 'argument'),
    (['extra'], 'extra'),
    (['--device', 'edu'], '--socket-path'),
    (['--socket-path', '/tmp/x.sock'], '--device'),
    (['--fd', '0'], '--device'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--fd', '0'], 'exclude'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--config', 'f'], 'exclude'),
    (['--device', 'edu', '--socket-path', '/tmp/x.sock', '--check-config'], 'exclude'),
    (['--device', 'edu', '--socket-path', ''], 'empty'),
    (['--device', '', '--socket-path', '/tmp/x.sock'], 'device string'),
    (['--device', ',a=b', '--socket-path', '/tmp/x.sock'], 'device string'),
    (['--device', 'edu', '--fd', 'three'], 'three'),
    (['--device', 'edu', '--fd', '-1'], '-1'),
    (['--device', 'edu', '--fd', '99999999999'], '99999999999'),
    (['--device', 'edu', '--fd', '777'], 'no such descriptor'),
    (['--timeout', '0'], 'milliseconds'),
    (['--timeout', '600001'], 'milliseconds'),
    (['--timeout', '5s'], 'milliseconds'),
])
def test_usage_errors(arguments, problem):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, '')
    assert problem in done.stderr
    assert '--help' in done.stderr


# ---- configuration ---------------------------------------------------------------------------

# A user that device processes may run as, whoever runs this.
USER = 'daemon' if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
GOOD = '[edu0]\ndevice = edu\nsocket = /tmp/never-made.sock\n'


@pytest.fixture
def check(directory):
    """Runs --check-config on a text; returns the exit status and what was said, by line number."""
    def checker(text):
        path = directory / 'vfiod.conf'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = run('--config', path, '--check-config')
        assert done.stdout == ''
        said = re.findall(r'vfiod\.conf:(?:(\d+):)? (.*)', done.stderr)
        return done.returncode, [(int(line or 0), what) for line, what in said]
    return checker


@pytest.mark.parametrize('text', [
    GOOD,
    '\n; comment\n# comment\n' + GOOD + 'mode = 0666 ; remark\nowner=0\ngroup = daemon\n',
    f'[vfiod]\nuser = {USER}\ncontrol = /tmp/x.control\ntimeout = 100\n' + GOOD,
    GOOD + '[' + 'a' * 64 + '] # remark\n  device = edu,dma_mask=0xffff\n\tsocket: /tmp/2.sock\r\n',
    GOOD + '[Vfiod.-_9]\ndevice = edu\nsocket = /' + 's' * 106,
    '; gr\u00fc\u00dfe\n' + GOOD.replace('/tmp/', '/tmp/ger\u00e4t/'),
])
def test_good_configuration(check, text):
    status, said = check(text)
    assert status == 0, said


BAD = [
    ('', 0, 'nothing to serve'),
    ('[vfiod]\n', 0, 'nothing to serve'),
    (GOOD + 'colour = red\n', 4, "'colour' is unknown: allowed are device, socket"),
    (GOOD + '[vfiod]\ndevice = edu\n', 5, "'device' is unknown: allowed are user, control"),
    (GOOD + '[edu0]\n', 4, 'in line 1'),
    ('[vfiod]\n[vfiod]\n' + GOOD, 2, 'in line 1'),
    (GOOD + 'device = edu\n', 4, "'device' is there already"),
    (GOOD + '[edu1]\ndevice = edu\nsocket = /tmp/never-made.sock\n', 4, "is [edu0]'s already"),
    ('[vfiod]\ncontrol = /tmp/never-made.sock\n' + GOOD, 3, 'control socket'),
    ('[edu0]\nsocket = /tmp/x.sock\n', 1, "no key 'device'"),
    ('[edu0]\ndevice = edu\n', 1, "no key 'socket'"),
    ('[edu0]\ndevice =\nsocket = /tmp/x.sock\n', 2, 'something must follow'),
    ('[edu0]\ndevice = edu\nsocket = x.sock\n', 3, 'absolute path'),
    ('[edu0]\ndevice = edu\nsocket = /' + 's' * 107 + '\n', 3, '107 bytes'),
    (GOOD + 'owner = no-such-user\n', 4, 'name or number of a user'),
    (GOOD + 'owner = -1\n', 4, 'name or number of a user'),
    (GOOD + 'owner = 4294967295\n', 4, 'name or number of a user'),
    (GOOD + 'group = no-such-group\n', 4, 'name or number of a group'),
    (GOOD + 'mode = 0888\n', 4, 'octal number'),
    (GOOD + 'mode = 01000\n', 4, 'octal number'),
    (GOOD + 'mode = rw\n', 4, 'octal number'),
    ('[vfiod]\ntimeout = soon\n' + GOOD, 2, 'milliseconds'),
    ('device = edu\n' + GOOD, 1, 'before the first [section]'),
    (GOOD + 'nonsense\n', 4, 'neither [SECTION] nor KEY = VALUE'),
    (GOOD + '= value\n', 4, "'' is unknown"),
    (GOOD + '[edu1\n', 4, "']'"),
    (GOOD + '[edu1] device = edu\n', 4, 'no meaning'),
    (GOOD + '[]\n', 4, "section name ''"),
    (GOOD + '[a b]\n', 4, "section name 'a b'"),
    (GOOD + '[' + 'a' * 65 + ']\n', 4, '1 to 64'),
    (GOOD + '; ' + 'x' * 5000 + '\n', 4, 'longer than'),
    ((GOOD + 'mode = 0\0' + '600\n'), 4, 'control character'),
    (GOOD.encode() + b'owner = \xff\n', 4, 'UTF-8'),
]


@pytest.mark.parametrize('text, line, problem', BAD, ids=lambda value: repr(value)[-40:])
def test_bad_configuration(check, text, line, problem):
    status, said = check(text)
    assert status == 1
    assert any(at == line and problem in what for at, what in said), said
    assert said[-1] == (0, f'{len(said) - 1} error{"s" * (len(said) != 2)}, nothing is started')


def test_all_errors_are_reported_and_nothing_is_started(directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[good]\ndevice = edu\nsocket = {directory}/good.sock\n'
                      '[bad name]\n[bad]\nmode = 9\nnonsense\ncolour = red\n', encoding='utf-8')
    done = run('--config', config, VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1
    assert sorted(map(int, re.findall(r'vfiod\.conf:(\d+):', done.stderr))) == [4, 5, 5, 6, 7, 8]
    assert [path.name for path in directory.iterdir()] == ['vfiod.conf']


def test_too_many_devices(check):
    text = ''.join(f'[d{i}]\ndevice = edu\nsocket = /tmp/{i}.sock\n' for i in range(257))
    status, said = check(text)
    assert (status, said[0]) == (1, (769, 'more than 256 devices'))


def test_configuration_that_cannot_be_read(directory):
    for path, why in ((directory / 'missing', 'No such file'), (directory, 'directory')):
        done = run('--config', path)
        assert done.returncode == 1
        assert str(path) in done.stderr and why in done.stderr


def test_default_configuration_file():
    if os.path.exists('/etc/vfiod/vfiod.conf'):
        pytest.skip('this machine has a configuration of its own')
    assert '/etc/vfiod/vfiod.conf: cannot be opened' in run().stderr


@pytest.mark.parametrize('user, why', [('no-such-user', "no user 'no-such-user'"),
                                       ('root', 'may not run as root' if IS_ROOT else 'root')])
def test_bad_user(directory, user, why):
    done = run('--device', 'edu', '--socket-path', directory / 's', '--user', user)
    assert (done.returncode, list(directory.iterdir())) == (1, [])
    assert why in done.stderr


# ---- start and end ---------------------------------------------------------------------------

@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_orderly_end_leaves_nothing(edu, directory, number):
    device = edu.device()
    assert (device['state'], device['restarts'], device['client']) == ('ready', 0, None)
    with connect(directory / 'edu.sock') as client:
        edu.process.send_signal(number)
        assert edu.process.wait(10) == 0
        assert client.socket.recv(1) == b''
    assert not is_alive(device['pid'])
    assert not (directory / 'edu.sock').exists()
    assert list((directory / 'run').iterdir()) == []


def test_service_manager_is_told(edu):
    edu.stop()
    edu.notifications.append(edu.notify.recv(4096).decode())
    assert edu.notifications == ['READY=1', 'STOPPING=1']


def test_abstract_notify_socket(start, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f'\0vfiod-test-{os.getpid()}')
        notify.settimeout(20)
        start('--device', 'edu', '--socket-path', directory / 's',
              NOTIFY_SOCKET=f'@vfiod-test-{os.getpid()}')
        assert notify.recv(100) == b'READY=1'


def test_start_says_what_to_paste(edu, directory):
    path = f'{directory}/edu.sock'
    assert f'vfiod: edu: ready on {path}\n' in edu.log()
    assert f'VFIO_DEVICE=unix:{path}\n' in edu.log()
    option = re.search(r"-device '(.*)'\n", edu.log()).group(1)
    assert json.loads(option) == {'driver': 'vfio-user-pci',
                                  'socket': {'type': 'unix', 'path': path}}


def test_pasted_words_survive_a_shell(start, directory):
    path = f"{directory}/it's \"edu\".sock"
    log = start('--device', 'edu', '--socket-path', path).wait_ready().log()
    for start_of_line, wanted in (('VFIO_DEVICE=', f'VFIO_DEVICE=unix:{path}'), ('-device ', path)):
        words = start_of_line + log.split(start_of_line, 1)[1].split('\n', 1)[0]
        done = subprocess.run(['sh', '-c', f'printf "%s\\n" {words}'], capture_output=True,
                              text=True, check=True).stdout
        if start_of_line == '-device ':
            done = json.loads(done.split('\n')[1])['socket']['path']
        assert done.strip('\n') == wanted


def test_relative_socket_path(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', 'x.sock', popen={'cwd': directory})
    vfiod.wait_ready()
    assert vfiod.device()['socket'] == f'{directory}/x.sock'
    assert hello(directory / 'x.sock') == 0


def test_log_for_the_journal(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', JOURNAL_STREAM='8:1')
    vfiod.wait_ready()
    assert all(re.match(r'<[3-7]>vfiod: ', line) for line in vfiod.log().splitlines())
    assert '<5>vfiod: edu: ready on' in vfiod.log()


def test_quiet(start, directory, sanitizers):
    vfiod = start('-q', '--device', 'edu', '--socket-path', directory / 's').wait_ready()
    assert vfiod.stop() == 0
    assert vfiod.log() == ''


def test_two_devices(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[one]\ndevice = edu\nsocket = {directory}/1.sock\n'
                      f'[two]\ndevice = edu,dma_mask=0xffffffff\nsocket = {directory}/2.sock\n',
                      encoding='utf-8')
    vfiod = start('--config', config).wait_ready()
    devices = vfiod.devices()
    assert list(devices) == ['one', 'two']
    assert devices['one']['pid'] != devices['two']['pid']
    with connect(directory / '1.sock') as one, connect(directory / '2.sock') as two:
        for client, value in ((one, 0x11111111), (two, 0x22222222)):
            client.enable_memory()
            client.write(BAR0, 4, 4, value)
        assert one.read(BAR0, 4, 4) == 0xeeeeeeee
        os.kill(devices['two']['pid'], signal.SIGKILL)
        assert one.read(BAR0, 4, 4) == 0xeeeeeeee, "one device's death disturbed another"


def test_device_that_cannot_be_opened(directory):
    done = run('--device', 'no-such-device', '--socket-path', directory / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1
    assert done.stderr.count('VFIO-1') == 1 and 'no-such-device' in done.stderr
    assert 'given up' in done.stderr
    assert not (directory / 's').exists()


def test_failed_device_beside_a_good_one(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[bad]\ndevice = no-such-device\nsocket = {directory}/bad.sock\n'
                      f'[good]\ndevice = edu\nsocket = {directory}/good.sock\n', encoding='utf-8')
    vfiod = start('--config', config).wait_ready()
    devices = vfiod.devices()
    assert (devices['bad']['state'], devices['bad']['pid']) == ('failed', None)
    assert devices['bad']['restarts'] == 4
    assert devices['good']['state'] == 'ready'
    assert hello(directory / 'bad.sock') in (errno.ENOENT, errno.ECONNREFUSED)
    with vfiod.control() as control:
        reply = control.call('describe', device='bad')
    assert reply['error'] == 'NotReady' and 'has failed' in reply['parameters']['message']


def test_device_process_that_hangs_is_killed(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    assert edu.stop() == 0
    assert 2.5 < time.monotonic() - began < 6
    assert not is_alive(pid)


def test_second_signal_kills_at_once(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    edu.process.send_signal(signal.SIGTERM)
    edu.wait_notified('STOPPING=1')
    assert edu.stop() == 0
    assert time.monotonic() - began < 2
    assert not is_alive(pid)


def test_killed_device_process_is_started_again(edu, directory):
    first = edu.device()['pid']
    with connect(directory / 'edu.sock') as client:
        os.kill(first, signal.SIGKILL)
        assert client.socket.recv(1) == b''
    # The socket is there all the time: whoever comes now waits a little.
    assert hello(directory / 'edu.sock') == 0
    device = edu.device()
    assert device['pid'] != first
    assert (device['state'], device['restarts']) == ('ready', 1)
    assert 'was killed by signal 9' in edu.log()


def test_restarts_back_off(edu):
    gaps = []
    for number in range(1, 5):
        began = time.monotonic()
        os.kill(edu.device()['pid'], signal.SIGKILL)
        assert wait_for(lambda n=number: (edu.device()['restarts'], edu.device()['state']) ==
                        (n, 'ready'))
        gaps.append(time.monotonic() - began)
    assert gaps[0] >= 0.1 and gaps[1] >= 0.2 and gaps[2] >= 0.4 and gaps[3] >= 0.8


def test_killed_supervisor_takes_its_processes_along(edu, start, directory):
    pid = edu.device()['pid']
    edu.process.kill()
    edu.process.wait()
    assert wait_for(lambda: not is_alive(pid), 2)
    # What it left behind is dead, and does not stop the next one.
    assert (directory / 'edu.sock').exists()
    start('--device', 'edu', '--socket-path', directory / 'edu.sock').wait_ready()
    assert hello(directory / 'edu.sock') == 0


# ---- sockets ---------------------------------------------------------------------------------

def configure(directory, *keys):
    """A configuration with one device, whose socket is DIRECTORY/s."""
    path = directory / 'vfiod.conf'
    path.write_text('\n'.join(['[edu]', 'device = edu', f'socket = {directory}/s', *keys, '']),
                    encoding='utf-8')
    return path


def permissions(path):
    found = os.stat(path)
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize('keys, wanted', [
    ([], (os.getuid(), os.getgid(), 0o600)),
    (['mode = 0620'], (os.getuid(), os.getgid(), 0o620)),
    ([f'group = {os.getgid()}'], (os.getuid(), os.getgid(), 0o660)),
    pytest.param(['owner = nobody', 'group = daemon'], (NOBODY.pw_uid, DAEMON.pw_gid, 0o660),
                 marks=needs_root),
    pytest.param(['owner = 1234', 'mode = 0666'], (1234, os.getgid(), 0o666), marks=needs_root),
])
def test_socket_permissions(start, directory, keys, wanted):
    vfiod = start('--config', configure(directory, *keys)).wait_ready()
    assert permissions(directory / 's') == wanted
    device = vfiod.device()
    assert device['mode'] == f'{wanted[2]:04o}'
    assert device['owner'] in (str(wanted[0]), *(e.pw_name for e in pwd.getpwall()
                                                 if e.pw_uid == wanted[0]))
    assert device['group'] in (str(wanted[1]), *(e.gr_name for e in grp.getgrall()
                                                 if e.gr_gid == wanted[1]))


def test_live_socket_is_refused(edu, directory):
    with connect(directory / 'edu.sock') as client:
        done = run('--device', 'edu', '--socket-path', directory / 'edu.sock',
                   VFIOD_RUNTIME_DIR=str(directory / 'run'))
        assert done.returncode == 1
        assert 'another server listens' in done.stderr and 'edu.sock' in done.stderr
        assert client.read(CONFIG, 0, 4) == 0x11e81234
    assert hello(directory / 'edu.sock') == 0
    assert edu.device()['restarts'] == 0


def test_stale_socket_is_replaced(start, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(directory / 's'))
    start('--device', 'edu', '--socket-path', directory / 's').wait_ready()
    assert hello(directory / 's') == 0


@pytest.mark.parametrize('make', [pathlib.Path.touch, pathlib.Path.mkdir,
                                  lambda path: path.symlink_to('target')],
                         ids=['file', 'directory', 'symlink'])
def test_what_is_no_socket_stays(directory, make):
    make(directory / 's')
    before = os.lstat(directory / 's')
    done = run('--device', 'edu', '--socket-path', directory / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and 'no socket' in done.stderr
    assert os.lstat(directory / 's').st_ino == before.st_ino


def test_socket_without_a_directory(directory):
    done = run('--device', 'edu', '--socket-path', directory / 'none' / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and 'make its directory first' in done.stderr


def test_socket_path_too_long(directory):
    done = run('--device', 'edu', '--socket-path', '/' + 's' * 107,
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and '107' in done.stderr


def test_socket_that_somebody_else_put_there_stays(edu, directory):
    os.unlink(directory / 'edu.sock')
    (directory / 'edu.sock').touch()
    assert edu.stop() == 0
    assert (directory / 'edu.sock').exists()


def test_inherited_listening_socket(start, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(directory / 's'))
        listener.listen()
        vfiod = start('--device', 'edu', '--fd', listener.fileno(),
                      popen={'pass_fds': [listener.fileno()]}).wait_ready()
    assert vfiod.device()['socket'] == f'{directory}/s'
    for _ in range(2):
        with connect(directory / 's') as client:
            assert client.read(CONFIG, 0, 4) == 0x11e81234
    assert vfiod.stop() == 0
    assert (directory / 's').exists(), 'the path is not vfiod\'s to remove'


def test_inherited_connection(start):
    ours, theirs = socket.socketpair()
    with theirs:
        vfiod = start('--device', 'edu', '--fd', theirs.fileno(),
                      popen={'pass_fds': [theirs.fileno()]}).wait_ready()
    with Client(connected=ours) as client:
        assert client.error == 0
        assert client.read(CONFIG, 0, 4) == 0x11e81234
        assert vfiod.device()['socket'] is None
    # Its only client has gone, and nobody else can come.
    assert vfiod.process.wait(5) == 0


def test_inherited_connection_and_killed_process(start):
    ours, theirs = socket.socketpair()
    with theirs:
        vfiod = start('--device', 'edu', '--fd', theirs.fileno(),
                      popen={'pass_fds': [theirs.fileno()]}).wait_ready()
    with Client(connected=ours) as client:
        os.kill(vfiod.device()['pid'], signal.SIGKILL)
        assert client.socket.recv(1) == b''
    assert vfiod.process.wait(5) == 1


def test_inherited_descriptor_of_the_wrong_kind(directory):
    reader, writer = os.pipe()
    done = subprocess.run([Vfiod.program, '--device', 'edu', '--fd', str(reader)],
                          pass_fds=[reader], capture_output=True, text=True, timeout=20,
                          check=False,
                          env={**os.environ, 'VFIOD_RUNTIME_DIR': str(directory / 'run')})
    os.close(reader)
    os.close(writer)
    assert done.returncode == 1 and 'not a UNIX stream socket' in done.stderr


# ---- the device process ----------------------------------------------------------------------

def process_status(pid):
    text = pathlib.Path(f'/proc/{pid}/status').read_text(encoding='utf-8')
    return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)


def test_device_process_has_no_privileges(edu, sanitizers):
    status = process_status(edu.device()['pid'])
    for capabilities in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
        assert int(status[capabilities], 16) == 0, capabilities
    assert status['NoNewPrivs'] == '1'
    assert status['Seccomp'] == ('2' if sanitizers == 'none' else '0')
    assert ('no system-call filter' in edu.log()) == (sanitizers != 'none')
    assert status['Name'] == 'vfiod: edu'
    if IS_ROOT:
        assert int(status['CapBnd'], 16) == 0
        assert status['Uid'].split() == [str(NOBODY.pw_uid)] * 4
        assert status['Gid'].split() == [str(NOBODY.pw_gid)] * 4
        assert status['Groups'].split() == []


def test_device_process_is_closed_to_others(edu):
    pid = edu.device()['pid']
    limits = pathlib.Path(f'/proc/{pid}/limits').read_text(encoding='utf-8')
    assert re.search(r'Max core file size +0 +0 ', limits)
    # The files of a process that cannot be dumped are root's.
    assert os.stat(f'/proc/{pid}/environ').st_uid == 0
    assert pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().rstrip(b'\0') == b'vfiod: edu'


@needs_root
def test_device_process_has_only_its_own_descriptors(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(''.join(f'[d{i}]\ndevice = edu\nsocket = {directory}/{i}.sock\n'
                              for i in range(3)), encoding='utf-8')
    vfiod = start('--config', config).wait_ready()
    with vfiod.control():
        sockets = {}
        for device in vfiod.devices().values():
            fds = [os.readlink(fd) for fd in pathlib.Path(f'/proc/{device["pid"]}/fd').iterdir()]
            assert fds.count('/dev/null') == 2
            assert str(vfiod.log_path) in fds
            sockets[device['name']] = {fd for fd in fds if fd.startswith('socket:')}
            assert len(sockets[device['name']]) == 2    # where it listens, and its channel
    assert len(set.union(*sockets.values())) == 6


@needs_root
def test_user_of_device_processes(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', '--user', 'daemon')
    status = process_status(vfiod.wait_ready().device()['pid'])
    assert status['Uid'].split() == [str(DAEMON.pw_uid)] * 4
    config = configure(directory, '[vfiod]', 'user = daemon', f'control = {directory}/control')
    (directory / 's').unlink()
    vfiod = start('--config', config).wait_ready()
    vfiod.control_path = directory / 'control'
    status = process_status(vfiod.device()['pid'])
    assert status['Uid'].split() == [str(DAEMON.pw_uid)] * 4


@needs_root
def test_vfiod_without_root(start, directory):
    directory.chmod(0o777)
    vfiod = start('--device', 'edu', '--socket-path', directory / 's',
                  popen={'user': NOBODY.pw_uid, 'group': NOBODY.pw_gid, 'extra_groups': []})
    pid = vfiod.wait_ready().device()['pid']
    assert permissions(directory / 's') == (NOBODY.pw_uid, NOBODY.pw_gid, 0o600)
    status = process_status(pid)
    assert (status['NoNewPrivs'], int(status['CapPrm'], 16)) == ('1', 0)
    assert status['Uid'].split() == [str(NOBODY.pw_uid)] * 4
    assert hello(directory / 's') == 0
    vfiod.process.kill()
    vfiod.process.wait()
    assert wait_for(lambda: not is_alive(pid), 2)


def only(vfiod):
    """Its one device."""
    device, = vfiod.devices().values()
    return device


def test_device_process_that_is_stuck_is_replaced(traitor, directory):
    pid = only(traitor)['pid']
    with connect(directory / 's') as client:
        client.enable_memory()
        client.socket.settimeout(15)
        with pytest.raises((AssertionError, ConnectionError)):
            client.write(BAR0, 16, 4, 0)
            assert client.socket.recv(1)
    assert wait_for(lambda: only(traitor)['pid'] not in (pid, None))
    assert 'has not answered for 5 s' in traitor.log()
    assert hello(directory / 's') == 0


def test_stopped_device_process_is_left_alone(traitor, directory):
    pid = only(traitor)['pid']
    with connect(directory / 's'):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(10.5)
        assert is_alive(pid) and only(traitor)['pid'] == pid
        os.kill(pid, signal.SIGCONT)
        time.sleep(5.5)
        assert only(traitor)['pid'] == pid


ESCAPES = ['open', 'socket', 'fork', 'exec', 'executable memory', 'kill', 'own']
LIES = ['nonsense', 'empty', 'list', 'nothing', 'pid', 'uid', 'name', 'message', 'event',
        'description', 'depth', 'endless', 'end']


@pytest.fixture
def traitor(start, directory):
    """A vfiod whose device does forbidden things on request."""
    return start('--device', BUILD / 'tests' / 'cli' / 'escape.so', '--socket-path',
                 directory / 's').wait_ready()


def betray(vfiod, path, register, number):
    """Let the device do number, which has to be its end; returns what the log says of it."""
    logged = len(vfiod.log())
    with connect(path) as client:
        client.enable_memory()
        assert client.read(BAR0, 0, 4) == 0x1234
        with pytest.raises((AssertionError, ConnectionError)):
            client.write(BAR0, register, 4, number)
            assert not client.socket.recv(1)
            client.read(BAR0, 0, 4)
    assert wait_for(lambda: 'starting it again' in vfiod.log()[logged:])
    assert hello(path) == 0
    return vfiod.log()[logged:]


@pytest.mark.parametrize('number', range(len(ESCAPES)), ids=ESCAPES)
def test_sandbox(traitor, directory, sanitizers, number):
    if sanitizers != 'none':
        pytest.skip('this build has a sanitizer, and so no system-call filter')
    assert 'sandbox violation' in betray(traitor, directory / 's', 0, number)


def test_crash_is_no_sandbox_violation(traitor, directory, sanitizers):
    if sanitizers != 'none':
        pytest.skip('a sanitizer reports the crash itself')
    log = betray(traitor, directory / 's', 0, len(ESCAPES))
    assert 'was killed by signal 6' in log and 'sandbox' not in log


@pytest.mark.parametrize('number', range(len(LIES)), ids=LIES)
def test_device_process_that_lies(traitor, directory, number):
    log = betray(traitor, directory / 's', 8, number)
    assert 'killed by signal 9' in log or 'exit status 0' in log
    assert ('sent nonsense' in log) == (LIES[number] != 'end')


# ---- clients ---------------------------------------------------------------------------------

def test_second_client_is_refused_at_once(edu, directory):
    with connect(directory / 'edu.sock') as first:
        first.enable_memory()
        first.write(BAR0, 4, 4, 0x12345678)
        began = time.monotonic()
        with Client(directory / 'edu.sock') as second:
            assert second.error == errno.EBUSY
        assert time.monotonic() - began < 1
        assert first.read(BAR0, 4, 4) == 0xedcba987
        assert edu.device()['client']['pid'] == os.getpid()
    assert connect(directory / 'edu.sock').error == 0


def test_client_is_shown(edu, directory):
    assert edu.device()['client'] is None
    with connect(directory / 'edu.sock'):
        assert wait_for(lambda: edu.device()['client']) == \
            {'pid': os.getpid(), 'uid': os.getuid(), 'gid': os.getgid()}
    assert wait_for(lambda: edu.device()['client'] is None)


def test_killed_client_leaves_a_device_that_was_reset(edu, directory):
    with connect(directory / 'edu.sock') as client:
        power_on = client.read(CONFIG, 0, 256), client.read(BAR0, 4, 4)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = connect(directory / 'edu.sock')
            client.enable_memory()
            client.write(BAR0, 4, 4, 0x12345678)
            assert (client.read(CONFIG, 0, 256), client.read(BAR0, 4, 4)) != power_on
            os.write(writer, struct.pack('=I', client.read(BAR0, 4, 4)))
            time.sleep(60)
        finally:
            os._exit(1)
    assert struct.unpack('=I', os.read(reader, 4)) == (0xedcba987,)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with connect(directory / 'edu.sock') as client:
        assert (client.read(CONFIG, 0, 256), client.read(BAR0, 4, 4)) == power_on
    assert edu.device()['restarts'] == 0
    os.close(reader)
    os.close(writer)


@needs_root
def test_socket_opened_up_later_lets_nobody_in(edu, directory):
    path = directory / 'edu.sock'
    assert as_user(NOBODY, lambda: hello(path)) == errno.EACCES
    os.chmod(path, 0o777)
    with_protocol = as_user(NOBODY, lambda: Client(path).error)
    assert with_protocol == errno.EACCES
    assert f'uid {NOBODY.pw_uid}' in edu.log() and 'mode 0600' in edu.log()
    assert hello(path) == 0


@needs_root
@pytest.mark.parametrize('user, groups, wanted', [
    ('nobody', [], errno.EACCES),
    ('nobody', [DAEMON.pw_gid], 0),
    ('nobody', [20, 21, DAEMON.pw_gid], 0),
    ('games', [], 0),
    ('root', [], 0),
])
def test_owner_and_group_are_admitted(start, directory, user, groups, wanted):
    keys = ['owner = games', 'group = daemon', 'mode = 0660']
    start('--config', configure(directory, *keys)).wait_ready()
    os.chmod(directory / 's', 0o777)
    assert as_user(pwd.getpwnam(user), lambda: hello(directory / 's'), groups) == wanted


@needs_root
def test_first_class_that_fits_decides(start, directory):
    # As with files: everybody may, but not the group.
    keys = ['owner = games', 'group = daemon', 'mode = 0606']
    start('--config', configure(directory, *keys)).wait_ready()
    os.chmod(directory / 's', 0o777)
    assert as_user(NOBODY, lambda: hello(directory / 's')) == 0
    assert as_user(NOBODY, lambda: hello(directory / 's'), [DAEMON.pw_gid]) == errno.EACCES


def test_timeout(start, directory):
    start('--device', 'edu', '--socket-path', directory / 's', '--timeout', '300').wait_ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.settimeout(10)
        began = time.monotonic()
        silent.connect(str(directory / 's'))
        assert silent.recv(1) == b''
        assert 0.2 < time.monotonic() - began < 3


# ---- the control socket ----------------------------------------------------------------------

def test_control_socket_permissions(edu):
    assert permissions(edu.control_path)[2] == 0o666
    assert permissions(edu.control_path.parent)[2] == 0o755


def test_runtime_directory_of_somebody_else(directory):
    (directory / 'run').mkdir()
    (directory / 'run').chmod(0o777)
    done = run('--device', 'edu', '--socket-path', directory / 's',
               VFIOD_RUNTIME_DIR=str(directory / 'run'))
    assert done.returncode == 1 and '--control' in done.stderr
    assert not (directory / 's').exists()


def test_control_path(start, directory):
    vfiod = start('--device', 'edu', '--socket-path', directory / 's', '--control',
                  directory / 'here').wait_ready()
    vfiod.control_path = directory / 'here'
    assert vfiod.device()['state'] == 'ready'
    assert vfiod.stop() == 0
    assert not (directory / 'here').exists() and not (directory / 'run').exists()


def test_list(edu, directory):
    with edu.control() as control:
        parameters = control.call('list')['parameters']
    assert parameters['vfiod'] == {'pid': edu.process.pid, 'version': run('-V').stdout.split()[1]}
    device, = parameters['devices']
    assert re.fullmatch(r'\d+', str(device.pop('pid')))
    assert device == {
        'name': 'edu', 'device': 'edu', 'socket': f'{directory}/edu.sock',
        'owner': pwd.getpwuid(os.getuid()).pw_name, 'group': grp.getgrgid(os.getgid()).gr_name,
        'mode': '0600', 'state': 'ready', 'restarts': 0, 'client': None}


def test_describe(edu):
    with edu.control() as control:
        parameters = control.call('describe', device='edu')['parameters']
    assert parameters['device'] == edu.device()
    description = parameters['description']
    assert list(description) == ['backend', 'flags', 'regions', 'irqs', 'config', 'fault']
    assert description['backend'] == 'inprocess'
    assert description['flags'] == ['reset', 'pci']
    assert [r['name'] for r in description['regions']] == \
        ['BAR0', 'BAR1', 'BAR2', 'BAR3', 'BAR4', 'BAR5', 'ROM', 'config', 'VGA']
    assert description['regions'][0] == {'index': 0, 'name': 'BAR0', 'size': 1 << 20,
                                         'flags': ['read', 'write'], 'areas': []}
    assert description['regions'][1] == {'index': 1, 'name': 'BAR1', 'size': 0, 'flags': [],
                                         'areas': []}
    assert [i['name'] for i in description['irqs']] == ['INTx', 'MSI', 'MSI-X', 'ERR', 'REQ']
    assert (description['irqs'][0]['count'], description['irqs'][1]['count']) == (1, 1)
    assert 'eventfd' in description['irqs'][0]['flags']
    assert bytes.fromhex(description['config'])[:4] == b'\x34\x12\xe8\x11'
    assert len(description['config']) == 2 * description['regions'][7]['size']
    assert description['fault'] is None


def test_describe_changes_nothing(edu, directory):
    with connect(directory / 'edu.sock') as client, edu.control() as control:
        client.enable_memory()
        client.write(BAR0, 4, 4, 0x12345678)
        config = control.call('describe', device='edu')['parameters']['description']['config']
        assert config[8:12] == '0600', 'not the device that the client uses'
        assert client.read(BAR0, 4, 4) == 0xedcba987
        assert client.read(CONFIG, 4, 2) == 6


@needs_root
def test_users_see_only_what_they_may_use(start, directory):
    config = directory / 'vfiod.conf'
    config.write_text(f'[mine]\ndevice = edu\nsocket = {directory}/1.sock\nowner = nobody\n'
                      f'[roots]\ndevice = edu\nsocket = {directory}/2.sock\n'
                      f'[daemons]\ndevice = edu\nsocket = {directory}/3.sock\ngroup = daemon\n',
                      encoding='utf-8')
    vfiod = start('--config', config).wait_ready()

    def look():
        with vfiod.control() as control:
            return [control.call('describe', device='roots')['error'],
                    list(control.call('describe', device='mine')['parameters']), *vfiod.devices()]

    both = ['device', 'description']
    assert as_user(NOBODY, look) == ['NoSuchDevice', both, 'mine']
    assert as_user(NOBODY, look, [DAEMON.pw_gid]) == ['NoSuchDevice', both, 'mine', 'daemons']
    assert list(vfiod.devices()) == ['mine', 'roots', 'daemons']
    with vfiod.control() as control:
        absent = control.call('describe', device='nonsense')
    assert absent == {'error': 'NoSuchDevice',
                      'parameters': {'message': "no device is called 'nonsense'"}}


@pytest.mark.parametrize('line, error', [
    (b'', 'BadRequest'),
    (b'nonsense', 'BadRequest'),
    (b'[]', 'BadRequest'),
    (b'"list"', 'BadRequest'),
    (b'{}', 'BadRequest'),
    (b'{"method": 1}', 'BadRequest'),
    (b'{"method": "list"} x', 'BadRequest'),
    (b'{"method": "list"', 'BadRequest'),
    (b'{"method": "list", "x": "\xff"}', 'BadRequest'),
    (b'{"method": "list"}\0', 'BadRequest'),
    (b'{"method": "list", "x": ' + b'[' * 1000 + b']' * 1000 + b'}', 'BadRequest'),
    (b'{"method": "reset"}', 'UnknownMethod'),
    (b'{"method": "' + '\u00e9'.encode() * 1000 + b'"}', 'UnknownMethod'),
    (b'{"method": "describe"}', 'BadRequest'),
    (b'{"method": "describe", "parameters": []}', 'BadRequest'),
    (b'{"method": "describe", "parameters": {"device": null}}', 'BadRequest'),
    (b'{"method": "describe", "parameters": {"device": ""}}', 'NoSuchDevice'),
], ids=lambda value: repr(value)[:40])
def test_bad_requests(edu, line, error):
    with edu.control() as control:
        control.send(line + b'\n')
        reply = control.reply()
        assert reply['error'] == error
        assert reply['parameters']['message']
        # Only that request was bad.
        assert 'parameters' in control.call('list')


def test_request_too_long(edu):
    with edu.control() as control:
        control.send(b'{"method": "list", "x": "' + b'x' * 4200)
        assert control.reply()['error'] == 'BadRequest'
        with pytest.raises((ConnectionError, AssertionError)):
            assert control.reply() is not None
    assert edu.device()['state'] == 'ready'


def test_requests_in_any_pieces(edu):
    with edu.control() as control:
        for byte in b'{"method": "list"}\n':
            control.send(bytes([byte]))
            time.sleep(0.001)
        assert 'devices' in control.reply()['parameters']
        control.send(b'{"method": "list"}\n' * 50 + b'{"method": "x"}\n')
        for _ in range(50):
            assert 'devices' in control.reply()['parameters']
        assert control.reply()['error'] == 'UnknownMethod'


def test_requests_before_the_end_are_answered(edu):
    with edu.control() as control:
        control.send(b'{"method": "list"}\n'
                     b'{"method": "describe", "parameters": {"device": "edu"}}\n'
                     b'{"method": "li')
        control.socket.shutdown(socket.SHUT_WR)
        assert 'devices' in control.reply()['parameters']
        assert 'description' in control.reply()['parameters']
        assert control.reply() is None


def test_client_that_does_not_read_stalls_nobody(edu):
    with edu.control() as lazy:
        lazy.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                lazy.send(b'{"method": "list"}\n' * 100)
        began = time.monotonic()
        assert edu.device()['state'] == 'ready'
        assert time.monotonic() - began < 1


def test_full_house_makes_room(edu):
    crowd = [edu.control() for _ in range(40)]
    assert 'parameters' in crowd[-1].call('list')
    began = time.monotonic()
    assert edu.device()['state'] == 'ready'
    assert time.monotonic() - began < 1
    assert crowd[0].reply() is None
    for client in crowd:
        client.__exit__()


@needs_root
def test_one_user_cannot_crowd_out_another(edu):
    with edu.control() as mine:
        assert as_user(NOBODY, lambda: len([edu.control() for _ in range(60)])) == 60
        assert 'parameters' in mine.call('list')


def test_silent_client_is_dropped(edu):
    with edu.control() as silent:
        began = time.monotonic()
        assert silent.reply() is None
        assert 9 < time.monotonic() - began < 13


def test_describe_of_a_device_that_does_not_answer(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    with edu.control() as control, edu.control() as other:
        began = time.monotonic()
        control.send(b'{"method": "describe", "parameters": {"device": "edu"}}\n')
        assert other.call('list')['parameters']['devices'][0]['state'] == 'ready'
        assert time.monotonic() - began < 1
        assert control.reply()['error'] == 'NotReady'
        assert 1.8 < time.monotonic() - began < 4
        os.kill(pid, signal.SIGCONT)
        # The late answer is not taken for that of the next question.
        assert 'description' in control.call('describe', device='edu')['parameters']
    assert edu.device()['restarts'] == 0


def test_describe_ends_with_the_device_process(edu):
    pid = edu.device()['pid']
    os.kill(pid, signal.SIGSTOP)
    with edu.control() as control:
        control.send(b'{"method": "describe", "parameters": {"device": "edu"}}\n')
        edu.device()
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        assert control.reply()['error'] == 'NotReady'
        assert time.monotonic() - began < 1
