"""Whole-program tests: a copy of the built program, run as root and as an ordinary user.

A test takes the fixture `sg` and is run once for each identity that this machine can give. `sg.run(profile, command...)`
runs `shellguard run` and returns what came of it with its records. Nothing sleeps: what is waited for has a deadline.
"""
import fcntl
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import tempfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SG_BUILD_ROOT") or os.path.join(ROOT, "build")
_spec = importlib.util.spec_from_file_location("day_terminal", os.path.join(ROOT, "tests", "day", "terminal.py"))
terminal = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(terminal)
MUST_WORK = os.environ.get("SG_MUST_WORK") == "1"
USER = "sgtest"
LONGER = int(os.environ.get("SG_TEST_LONGER", "1"))  # times what races and storms do in CI (make test-soak)
SLOWER = max(int(os.environ.get("SG_PATIENCE", "4")) // 4, 1)  # in an emulated machine
TIMEOUT = 60 * LONGER * SLOWER
# Features that the program is to take for missing, in every test of the run (tools/test-features); "" for none.
HIDDEN = os.environ.get("SG_TEST_HIDE", "")

# A build with AddressSanitizer links tests/sanitize/report.c. Leaks are for the unit tests: a search for them needs ptrace.
# No symbols in the report: looking them up takes system calls that a confined process does not have.
SANITIZED = b"SG_SANITIZER_REPORT\0" in open(os.path.join(BUILD, "shellguard"), "rb").read()
ASAN = "detect_leaks=0:symbolize=0:abort_on_error=0:exitcode=99"
UBSAN = "halt_on_error=1:symbolize=0:print_stacktrace=0:exitcode=99"

# What an ordinary dynamically linked program needs to run anything of the system's.
BASE = """
[Filesystem]
Flags = ["tmp"]
ReadOnly = ["/usr/**", "/etc/**"]
Exec = ["/usr/**"]
[Runtime]
Flags = ["start", "malloc", "threads", "fork", "exec", "signals", "timers"]
"""


def cannot(reason):
    """A test that cannot run: skipped by name, and a failure where everything must work."""
    if MUST_WORK:
        pytest.fail("must work here: " + reason)
    pytest.skip(reason)


class Result:
    def __init__(self, status, stdout, stderr, log):
        self.status, self.stdout, self.stderr, self.log = status, stdout, stderr, log
        self.records = []
        if os.path.exists(log):
            with open(log, "rb") as f:
                self.records = [json.loads(line.decode("utf-8", "surrogatepass")) for line in f]

    def of(self, kind, **fields):
        return [r for r in self.records if r["kind"] == kind and all(r.get(k) == v for k, v in fields.items())]

    def refusals(self, object_=None):
        return [r for r in self.of("refusal") if object_ is None or r.get("object") == object_]


class Identity:
    """One way to run the program: as root, or as the ordinary user."""

    def __init__(self, who, prefix):
        self.who, self.prefix = who, prefix
        self.program = os.path.join(prefix, "bin", "shellguard")
        self.work = tempfile.mkdtemp(prefix="sg-live-", dir="/var/tmp")
        self.home = os.path.join(self.work, "home")
        self.cwd = os.path.join(self.work, "work")
        for folder in (self.home, self.cwd):
            os.mkdir(folder)
        self.uid = 0 if who == "root" else pwd.getpwnam(USER).pw_uid if os.getuid() == 0 else os.getuid()
        if os.getuid() == 0:
            for folder in (self.work, self.home, self.cwd):
                os.chown(folder, self.uid, self.uid if self.uid else 0)
        os.chmod(self.work, 0o755)
        self.count = 0
        self.reports = self.open_reports() if SANITIZED else None

    def command(self, arguments):
        if os.getuid() == 0 and self.who == "user":
            return ["setpriv", "--reuid=" + USER, "--regid=" + USER, "--clear-groups", "--"] + arguments
        return arguments

    def environment(self, extra=None):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": self.home, "LANG": "C.UTF-8",
               "XDG_STATE_HOME": os.path.join(self.home, "state"), "SHELL": "/bin/sh"}
        if HIDDEN:
            env["SG_HIDE_FEATURES"] = HIDDEN
        env.update(extra or {})
        if self.reports:
            env.update({"SG_SANITIZER_REPORT": self.reports, "ASAN_OPTIONS": ASAN, "UBSAN_OPTIONS": UBSAN})
        return env

    def open_reports(self):
        """In a build with sanitizers: the file in which the program's processes leave what was found (tests/sanitize)."""
        path = os.path.join(self.work, "sanitizer")
        with open(path, "wb") as f:
            f.truncate(1 << 20)
        os.chmod(path, 0o666)
        return path

    def sanitizer_reports(self):
        """What sanitizers have found in any process of the program so far."""
        if not self.reports:
            return ""
        with open(self.reports, "rb") as f:
            data = f.read()
        return data[4:4 + int.from_bytes(data[:4], "little")].decode(errors="replace")

    def write(self, name, text, mode=0o644, folder=None):
        path = os.path.join(folder or self.cwd, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        if os.getuid() == 0:
            os.chown(path, self.uid, self.uid)
        return path

    def profile(self, text):
        self.count += 1
        return self.write("p%d.toml" % self.count, text, folder=self.work)

    def start(self, profile, *command, options=(), env=None, **kwargs):
        """Starts `run` and returns (process, path of the record)."""
        self.count += 1
        log = os.path.join(self.work, "record%d.jsonl" % self.count)
        profiles = [profile] if isinstance(profile, str) else list(profile)
        arguments = [self.program, "run", "--record", log]
        for p in profiles:
            arguments += ["-p", self.profile(p) if "\n" in p else p]
        kwargs.setdefault("cwd", self.cwd)
        return subprocess.Popen(self.command(arguments + list(options) + ["--"] + list(command)),
                                env=self.environment(env), **kwargs), log

    def run(self, profile, *command, options=(), env=None, stdin=b"", timeout=TIMEOUT, **kwargs):
        process, log = self.start(profile, *command, options=options, env=env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        try:
            out, err = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError("hung: %r\n%s\n%s" % (command, out, err))
        return Result(process.returncode, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape"), log)

    def on_terminal(self, profile, *command, options=(), env=None):
        """Runs to its end with a terminal around it, as a person does: (exit status, lines shown, path of the record)."""
        self.count += 1
        log = os.path.join(self.work, "record%d.jsonl" % self.count)
        arguments = [self.program, "run", "--record", log, "-p", self.profile(profile) if "\n" in profile else profile]
        with terminal.Terminal(self.command(arguments + list(options) + ["--"] + list(command)),
                               self.environment(dict({"TERM": "vt100"}, **(env or {}))), self.cwd, columns=400) as shown:
            status = shown.wait()
            return status, shown.text.split("\n"), log

    def shell(self, profile, script, **kwargs):
        return self.run(profile, "/bin/sh", "-c", script, **kwargs)

    def cli(self, *arguments, env=None, **kwargs):
        kwargs.setdefault("cwd", self.cwd)
        return subprocess.run(self.command([self.program] + list(arguments)), env=self.environment(env),
                              capture_output=True, text=True, timeout=TIMEOUT, **kwargs)

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)


@pytest.fixture(scope="session")
def prefix():
    """The program where every user can reach it, with its profiles beside it as an installation has them."""
    folder = tempfile.mkdtemp(prefix="sg-prefix-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    os.makedirs(os.path.join(folder, "bin"))
    program = os.path.join(BUILD, "tests", "live", "shellguard-hiding") if HIDDEN else os.path.join(BUILD, "shellguard")
    shutil.copy(program, os.path.join(folder, "bin", "shellguard"))
    for kind in ("profiles", "gallery"):
        shutil.copytree(os.path.join(ROOT, kind), os.path.join(folder, "share", "shellguard", kind))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def make_user():
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--no-create-home", "--home-dir", "/nonexistent", "--user-group", USER], check=True)


WRITTEN = "/var/lib/shellguard/written"


def broad_folders():
    """Those of root's list of written folders in which every test works."""
    if os.getuid() != 0 or not os.path.exists(WRITTEN):
        return set()
    with open(WRITTEN, encoding="utf-8") as f:
        return set(f.read().split("\n")) & {"/tmp", "/var/tmp"}


def forget_folders(folders):
    """`learn` may write there, and as root lists them for good: the links of all later tests on this machine would give nothing."""
    if not folders:
        return
    with open(WRITTEN, "r+", encoding="utf-8") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        kept = [line for line in f.read().split("\n") if line not in folders]
        f.seek(0)
        f.truncate()
        f.write("\n".join(kept))


@pytest.fixture(params=["root", "user"])
def sg(request, prefix):
    if request.param == "root" and os.getuid() != 0:
        cannot("this needs root")
    if os.getuid() == 0:
        make_user()
    identity = Identity(request.param, prefix)
    listed = broad_folders()
    yield identity
    forget_folders(broad_folders() - listed)
    found = identity.sanitizer_reports()
    identity.close()
    assert not found, "a sanitizer found:\n" + found
