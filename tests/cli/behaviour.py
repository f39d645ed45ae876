#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Record how a device behaves, or replay a recording and see whether it still does.

    behaviour.py record [--behaviour N] [--device STRING] NAME      the trace, on standard output
    behaviour.py replay [--device STRING] [N:]TRACE…                what differs; exit status 1

NAME is edu or probe; STRING is another way to the same device. With N the device is asked to behave
as in that version. Several traces are replayed in turns, line by line, each on a handle of its own.
Over a socket, sections are left out that ask for what no message can carry; standard error says so.
VFIO_BUILD names the build whose library is used. The format is that of tests/data/behaviour/README.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
from behaviour_device import Device, VfioError, load  # noqa: E402
from behaviour_plan import PLANS  # noqa: E402
from behaviour_script import Script  # noqa: E402


def policy(version):
    return {'behaviour': version} if version else {}


def open_device(library, string, version):
    return Device(library, string or '', policy(version))


# ---- record ----------------------------------------------------------------------------------

def record(library, arguments):
    name = arguments.name
    print('# SPDX-License-Identifier: MIT\n'
          '# Made by tests/cli/behaviour.py; see README.\n'
          f'device {name}')
    with open_device(library, arguments.device or name, arguments.behaviour) as device:
        for section, lines in Script(name).all():
            print(f'# section: {section}')
            for line in lines:
                print(f'{line} = {device.request(line)}')
    print('# complete')
    return 0


# ---- replay ----------------------------------------------------------------------------------

def travels(request):
    """Can it be asked for in one message? Eventfds can, all of them or none."""
    kind, *words = request.split()
    data = words[5:] if kind == 'S' else []
    return not {'bad', 'file'} & set(data) and len({word[0] == '-' for word in data}) < 2


def sections_of(lines):
    """Name, and number, request and result of each line, of the sections of a trace."""
    sections = []
    for number, line in enumerate(lines, 1):
        if line.startswith('# section: '):
            sections.append((line.removeprefix('# section: '), []))
        elif sections and not line.startswith('#'):
            request, _, result = line.partition(' = ')
            sections[-1][1].append((number, request, result))
    return sections


class Replay:
    """A trace, and the device that is to answer as it says."""

    def __init__(self, library, argument, string):
        version, name = re.fullmatch(r'(?:(\d+):)?(.*)', argument).groups()
        self.path = pathlib.Path(name)
        lines = self.path.read_text(encoding='ascii').splitlines()
        if '# complete' not in lines:
            raise ValueError(f'{self.path}: the recording is not complete')
        self.sections = sections_of(lines)
        names = [line.split()[1] for line in lines if line.startswith('device ')]
        self.device = open_device(library, string or names[0], version)

    def steps(self):
        """Replay it; after each line comes what differs, or None."""
        for name, lines in self.sections:
            if self.device.is_remote() and not all(travels(request) for _, request, _ in lines):
                print(f'{self.path.name}: left out: {name}', file=sys.stderr)
                continue
            for number, request, wanted in lines:
                got = self.device.request(request)
                yield None if got == wanted else \
                    f'{self.path.name}:{number}: [{name}] {request} = {wanted}, now {got}'


def in_turns(iterators):
    """The next of each, until there is none."""
    for row in itertools.zip_longest(*iterators):
        yield from row


def replay(library, arguments):
    with contextlib.ExitStack() as stack:
        replays = [Replay(library, trace, arguments.device) for trace in arguments.traces]
        for one in replays:
            stack.enter_context(one.device)
        differences = [d for d in in_turns(one.steps() for one in replays) if d]
    print(*differences, sep='\n', end='\n' if differences else '')
    return 1 if differences else 0


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', default=os.environ.get('VFIO_BUILD', '.'))
    commands = parser.add_subparsers(required=True)
    recorder = commands.add_parser('record')
    recorder.add_argument('--behaviour')
    recorder.add_argument('name', choices=PLANS)
    recorder.set_defaults(run=record)
    replayer = commands.add_parser('replay')
    replayer.add_argument('traces', nargs='+')
    replayer.set_defaults(run=replay)
    for command in (recorder, replayer):
        command.add_argument('--device')
    return parser.parse_args(arguments)


def main():
    arguments = parse(sys.argv[1:])
    try:
        return arguments.run(load(arguments.build), arguments)
    except (VfioError, OSError, ValueError) as error:
        print(f'behaviour.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
