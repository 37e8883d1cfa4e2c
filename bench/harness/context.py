"""What every measurement shares: the work folder, the environment, and running one command under the timer."""
import json
import os
import shutil
import subprocess
import tempfile

STDERR_TAIL_BYTES = 2000
REASON_CHARACTERS = 160
# What the harness waits beyond the timer's own deadline before it gives the timer up.
GRACE_SECONDS = 20


class Impossible(Exception):
    """A runner cannot do a row: the reason in one line, and the end of its standard error."""

    def __init__(self, reason, stderr_tail=""):
        super().__init__(reason)
        self.reason = reason
        self.stderr_tail = stderr_tail


class Context:
    def __init__(self, options, source_root):
        self.quick = options.quick
        self.source_root = source_root
        self.build = os.path.abspath(options.build)
        self.shellguard = os.path.abspath(options.shellguard or os.path.join(self.build, "shellguard"))
        self.keep = options.keep
        built = {name: self._built(name) for name in ("loops", "rules", "timer")}
        os.makedirs(options.workdir, exist_ok=True)
        self.work = tempfile.mkdtemp(prefix="shellguard-bench-", dir=os.path.realpath(options.workdir))
        self._server = None
        self._holders = []
        self.left_behind = 0  # processes that the timer had to kill since this was last looked at
        for name in ("bin", "home", "tmp", "data"):
            os.mkdir(self.path(name))
        # The programs are copied, so that a profile or a bind mount of the work folder reaches them.
        self.loops = shutil.copy(built["loops"], self.path("bin"))
        self.timer = shutil.copy(built["timer"], self.path("bin"))
        self.rules = built["rules"]
        self.data_file = self.path("data", "plain.dat")
        with open(self.data_file, "wb") as stream:
            stream.write(b"x" * 4096)
        open(self.path("home", "gitconfig"), "w").close()
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.path("home"),
            "TMPDIR": self.path("tmp"),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": self.path("home", "gitconfig"),
        }

    def _built(self, name):
        built = os.path.join(self.build, "bench", name)
        if not os.access(built, os.X_OK):
            raise SystemExit(f"bench/run: {built} is missing: meson setup build && ninja -C build")
        return built

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def redact(self, text):
        """Takes the paths of this one run out of text that is kept."""
        for path, name in ((self.work, "WORK"), (self.shellguard, "shellguard"), (self.source_root, ".")):
            text = text.replace(path, name)
        return text

    def impossible(self, what, stderr):
        tail = self.redact(stderr[-STDERR_TAIL_BYTES:].decode("utf-8", "replace"))
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        reason = " ".join((f"{what}: {lines[-1]}" if lines else what).split())
        if len(reason) > REASON_CHARACTERS:
            reason = reason[: REASON_CHARACTERS - 1] + "…"
        return Impossible(self.redact(reason), tail)

    def timer_prefix(self, runner):
        prefix = [self.timer]
        if runner.enter:
            prefix += ["--enter", str(runner.enter)]
        return prefix

    def exec_argv(self, runner, argv, network=False):
        """The argv that becomes the runner's command without being measured (for pipelines and idle worlds)."""
        return self.timer_prefix(runner) + ["--exec", "--"] + runner.command(argv, network)

    def run(self, runner, argv, network=False, repeat=1, timeout=180):
        """Runs under the timer. Returns the timer's lines (dicts) and standard output, or raises Impossible."""
        result_read, result_write = os.pipe()
        command = self.timer_prefix(runner) + ["--repeat", str(repeat), "--timeout", str(timeout)]
        command += ["--result", str(result_write), "--"] + runner.command(argv, network)
        with os.fdopen(result_read) as results:
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, env=self.environment, cwd=self.work,
                                           pass_fds=(result_write,))
            finally:
                os.close(result_write)
            try:
                stdout, stderr = process.communicate(timeout=repeat * timeout + GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Impossible("the timer itself did not end in time") from None
            # The timer has ended, so its end of the pipe is closed; its lines fit a pipe for repeats up to some hundred.
            runs = [json.loads(line) for line in results]
        self.left_behind += sum(run["left"] for run in runs)
        self._check(process.returncode, runs, repeat, stderr)
        return runs, stdout

    def _check(self, status, runs, repeat, stderr):
        last = runs[-1] if runs else None
        if last and last["timed_out"]:
            raise self.impossible("no end within the time limit", stderr)
        if last and last["signal"]:
            raise self.impossible(f"ended by signal {last['signal']}", stderr)
        if last and last["exit"] != 0:
            raise self.impossible(f"exit {last['exit']}", stderr)
        if status != 0 or len(runs) != repeat:
            raise self.impossible(f"the timer: exit {status}", stderr)

    def run_loop(self, runner, arguments, network=False, timeout=180):
        """Runs one of the loops. Returns the timer's line and the loop's own JSON object."""
        runs, stdout = self.run(runner, [self.loops] + [str(item) for item in arguments], network, 1, timeout)
        try:
            return runs[0], json.loads(stdout)
        except ValueError:
            raise self.impossible("no result line on standard output", stdout) from None

    def server_port(self):
        """The port of a server on the host's loopback, started on first use."""
        if self._server is None:
            self._server = subprocess.Popen([self.loops, "connect-server", "127.0.0.1", "0"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, env=self.environment, cwd=self.work)
            self._port = json.loads(self._server.stdout.readline())["port"]
        return self._port

    def hold(self, argv):
        """Starts a process that holds namespaces and prints a line when it is ready. Returns its pid, or Impossible."""
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment, cwd=self.work)
        self._holders.append(process)
        if not process.stdout.readline():
            process.wait()
            raise self.impossible("cannot make its namespaces", process.stderr.read())
        return process.pid

    def close(self):
        for process in self._holders + ([self._server] if self._server else []):
            process.stdin.close()  # each of them ends with its standard input
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if not self.keep:
            shutil.rmtree(self.work, ignore_errors=True)
