"""A person at a terminal: a command on a pty of its own, what it shows, and what is typed to it.

Nothing sleeps. Every wait ends when the text is there, when the command is gone, or at its deadline, and then says what the
screen had.
"""
import errno
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time

TIMEOUT = 30
CTRL_C, CTRL_D, CTRL_Z, ESCAPE = "\x03", "\x04", "\x1a", "\x1b"
# What a terminal acts on and a person does not read: CSI, OSC and other escape sequences, and characters that ring or move.
SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()*+][0-9A-B]|\x1b[=>78DEHMNOZc]|[\x07\x0e\x0f]|\r")


class Terminal:
    def __init__(self, command, env, cwd, rows=24, columns=80):
        self.raw, self.seen, self.status = "", 0, None
        self.pid, self.master = os.forkpty()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.chdir(cwd)
                for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                os.execvpe(command[0], command, env)
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def text(self):
        """Everything shown so far, without escape sequences."""
        return SEQUENCES.sub("", self.raw)

    def _read(self, seconds):
        """Reads what is there within that time. False at the end."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        self.raw += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, timeout=TIMEOUT):
        """Waits until the pattern stands in what was shown after the last match; returns the match."""
        deadline, more = time.monotonic() + timeout, True
        while True:
            match = re.compile(pattern, re.M).search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            if not more or time.monotonic() > deadline:
                raise AssertionError("%s before %r was shown; the screen after the last match:\n%s"
                                     % ("the time was up" if more else "the command ended", pattern, self.text[self.seen:][-3000:]))
            more = self._read(0.2)

    def foreground(self):
        """{pid: state} of what is in the foreground: of this terminal, and of terminals that programs in the foreground have
        made below it. (`tpgid` of /proc/PID/stat is of the process's own terminal: the world's within a world.)"""
        table = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % name, "rb") as f:
                    state, parent, group, session, terminal, foreground = f.read().rsplit(b")", 1)[1].split()[:6]
            except OSError:
                continue
            # A terminal is told by its session: each world numbers its own terminals from 0.
            table[int(name)] = (state.decode(), int(parent), terminal != b"0" and int(session), terminal != b"0" and group == foreground)
        return {pid: row[0] for pid, row in table.items() if self._is_in_front(table, pid)}

    def _is_in_front(self, table, pid):
        at, terminal, in_front = pid, table[pid][2], table[pid][3]
        while in_front and at != self.pid:
            at = table[at][1]
            if at not in table:
                return False
            if table[at][2] not in (False, terminal):  # what made the terminal must be in the foreground of its own
                terminal, in_front = table[at][2:]
        return in_front

    def idle(self, timeout=TIMEOUT):
        """Waits until everything in the foreground sleeps: a program that has shown its prompt has then set its terminal up and
        waits for keys, and a job that was brought forward has been continued. Before that many programs, with ShellGuard and
        without it, lose a signal or a change of the window, and what is typed is echoed in the modes of the last one."""
        deadline = time.monotonic() + timeout
        while True:
            states = self.foreground()
            if states and set(states.values()) <= set("SZ"):
                return
            if time.monotonic() > deadline:
                raise AssertionError("what is in the foreground does not come to rest: %r; the screen:\n%s" % (states, self.text[-2000:]))
            self._read(0.01)

    def send(self, text):
        """Types when the programs in the foreground wait, as a person does."""
        self.idle()
        os.write(self.master, text.encode())

    def line(self, text):
        self.send(text + "\r")

    def resize(self, rows, columns):
        self.idle()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, timeout=TIMEOUT):
        """Reads to the end; returns the exit status (128+n for signal n)."""
        deadline = time.monotonic() + timeout
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                break
            if time.monotonic() > deadline:
                raise AssertionError("the command did not end; the screen:\n%s" % self.text[-3000:])
            if not self._read(0.05):
                select.select([], [], [], 0.01)
        while select.select([self.master], [], [], 0)[0] and self._read(0):
            continue
        return self.status

    def close(self):
        if self.status is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.kill(self.pid, signal.SIGKILL)
            os.close(self.master)
            self.master = -1
            os.waitpid(self.pid, 0)
            self.status = 137
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
