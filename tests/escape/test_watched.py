"""The adversary inside a session that is watched (shellguard learn): what is continued was judged, what is refused stays refused."""
import os
import re
import shutil
import subprocess

import pytest

from test_escape import Tree, lines, programs, saw, tree  # noqa: F401


class Watched:
    def __init__(self, done):
        self.status, self.stderr = done.returncode, done.stderr
        # Behind what the program printed stands the proposal.
        self.stdout, _, self.proposal = done.stdout.partition("\nName        = ")


def watch(tree, program, *arguments, options=()):
    done = tree.sg.cli("learn", *options, "--", os.path.join(tree.programs, "escape_" + program), *arguments)
    assert done.returncode == 0, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return Watched(done)


# What flags give that a watched run has: keyring, sysinfo, watch, shared-memory, jit, create.
GIVEN = {"keyctl", "add_key", "request_key", "statmount", "listmount", "inotify_init", "cachestat", "memfd_create", "shm-exec", "setuid"}


@pytest.mark.parametrize("probe, refused", [("abi", 18), ("never", 60), ("filters", 6)])
def test_calls(tree, probe, refused):
    done = watch(tree, "calls", probe)
    assert not set(lines(done, "escaped")) - GIVEN and not lines(done, "broken"), done.stdout
    assert len(lines(done, "refused")) >= refused, done.stdout


def test_a_tracer_that_changes_registers(tree):
    """Turned into a call that is refused, before it is judged and while it is: natively it goes through, watched never."""
    program = os.path.join(tree.programs, "escape_registers")
    native = subprocess.run(tree.sg.command([program, "registers", "200"]), capture_output=True, text=True, timeout=60)
    assert "escaped at-entry" in native.stdout, native.stdout + native.stderr
    done = watch(tree, "registers", "registers", "1000", options=["--flag", "debug"])
    assert not lines(done, "escaped"), done.stdout
    assert sorted(lines(done, "refused")) == ["at-any-moment", "at-entry"], done.stdout
    assert int(saw(done, "at-entry")[0]) > 100, done.stdout


def test_a_path_that_changes_behind_its_pointer(tree):
    names = [os.path.join(tree.rw, name) for name in ("open__.txt", "secret.key")]
    shutil.copy(os.path.join(tree.rw, "open.txt"), names[0])
    os.chmod(names[0], 0o644)
    done = watch(tree, "races", "pointer", *names, "1000", options=["-p", tree.sg.profile('[Filesystem]\nDeny = ["%s"]\n' % names[1])])
    assert not lines(done, "escaped"), done.stdout
    assert int(saw(done, "opened")[0]) > 0 and int(saw(done, "failed")[0]) > 0
    assert not re.search(r'^ +"[^"]*secret\.key", *(#.*)?$', done.proposal.split("Deny ")[0], re.M), done.proposal
