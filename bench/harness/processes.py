"""Processes seen through /proc: who descends from whom, and what they use."""
import contextlib
import ctypes
import os
import signal
import subprocess
import time

from .context import Impossible

PR_SET_CHILD_SUBREAPER = 36
END_SECONDS = 10
POLL_SECONDS = 0.01


@contextlib.contextmanager
def subreaper():
    """Orphans of what is started become children of this process, so that none is overlooked."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def parents():
    """{pid: (parent's pid, state)} of every process; one that ends meanwhile is left out."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:
                fields = stream.read().rpartition(b")")[2].split()
        except OSError:
            continue
        found[int(name)] = (int(fields[1]), fields[0])
    return found


def descendants(root):
    """The pids of all live processes below `root`, without it."""
    table = parents()
    children = {}
    for pid, (parent, state) in table.items():
        if state != b"Z":
            children.setdefault(parent, []).append(pid)
    found, waiting = set(), [root]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            found.add(pid)
            waiting.append(pid)
    return found


def argument_zero(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return os.fsdecode(stream.read().split(b"\0")[0])
    except OSError:
        return None


def pss_kib(pid):
    """Proportional set size. A process of another user cannot be asked: Impossible says which."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
            for line in stream:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended meanwhile
    except OSError as error:
        raise Impossible(f"cannot read smaps_rollup of a process of the runner "
                         f"({os.path.basename(argument_zero(pid) or 'gone')}): {error.strerror}") from None
    return 0  # no memory of its own: it is ending


def cpu_ns(pid):
    """CPU time of all threads from schedstat (its first field, in ns)."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as stream:
                total += int(stream.read().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended meanwhile: what it had used until then counts
    except OSError as error:
        raise Impossible(f"cannot read schedstat of a process of the runner: {error.strerror}") from None
    return total


def end(popen, before):
    """Ends an idle world: its standard input ends, which ends the command; what remains after a while is killed."""
    with contextlib.suppress(OSError):
        popen.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(timeout=END_SECONDS)
    deadline = time.monotonic() + END_SECONDS
    while (left := descendants(os.getpid()) - before) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    popen.stdout.close()
    popen.stderr.close()
    popen.poll()
    reap(before)


def reap(before):
    """Waits for the orphans that became ours, and for none of the processes that were there before."""
    for pid, (parent, state) in parents().items():
        if parent == os.getpid() and state == b"Z" and pid not in before:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
