"""What is measured. Each row is one class: measure() does one sample and returns it in the row's unit."""
import json
import os
import select
import shutil
import statistics
import subprocess
import time

from . import processes, trees
from .context import GRACE_SECONDS, Impossible

READY_SECONDS = 20
SLOW_DIVISOR = 10
MEBIBYTE = 1 << 20


class Row:
    id = ""
    title = ""
    unit = ""
    ratio = True  # a ratio to native makes sense
    quick = 0  # the size of one sample in --quick, and of the probe before a full run
    full = 0  # the size of one sample otherwise
    what = ""  # one line for the method

    def __init__(self, context):
        self.context = context

    def refuse(self, runner):
        """Raises Impossible for a runner that the row has no meaning for."""

    def size(self, runner, small):
        size = self.quick if small else self.full
        return max(size // SLOW_DIVISOR, 1) if runner.slow else size

    def measure(self, runner, small):
        raise NotImplementedError


class Start(Row):
    id = "start"
    title = "start of true"
    unit = "ms"
    quick = 5
    full = 20
    what = "wall time of /bin/true from spawn to wait, median of {full} in a row"

    def measure(self, runner, small):
        repeat = self.quick if small else self.full
        runs, _ = self.context.run(runner, ["/bin/true"], repeat=repeat, timeout=30)
        return statistics.median(run["wall_ns"] for run in runs) / 1e6


class Loop(Row):
    """A loop that prints its own time for one operation: the median over its batches."""
    arguments = ()  # after the subcommand; COUNT, FILE are filled in
    network = False
    divide = 1.0  # from ns to the unit

    def measure(self, runner, small):
        values = {"COUNT": self.size(runner, small), "FILE": self.context.data_file,
                  "PORT": self.context.server_port() if self.network else None}
        arguments = [values.get(item, item) for item in self.arguments]
        _, line = self.context.run_loop(runner, arguments, self.network)
        return line["median_ns"] / self.divide


class Open(Loop):
    id = "open"
    title = "open+close"
    unit = "ns"
    quick = 5000
    full = 100_000
    arguments = ("open", "COUNT", "FILE")
    what = "{full} of one file, for reading"


class Stat(Loop):
    id = "stat"
    title = "stat"
    unit = "ns"
    quick = 5000
    full = 100_000
    arguments = ("stat", "COUNT", "FILE")
    what = "{full} of one file"


class ReadWrite(Loop):
    id = "rw"
    title = "pwrite+pread 4 KiB"
    unit = "ns"
    quick = 5000
    full = 100_000
    what = "{full} pairs on one open file in the page cache"

    def measure(self, runner, small):
        self.arguments = ("rw", "COUNT", self.context.path("data", "rw.dat"))
        return super().measure(runner, small)


class ForkExec(Loop):
    id = "forkexec"
    title = "fork+exec"
    unit = "µs"
    quick = 60
    full = 2000
    divide = 1e3
    arguments = ("forkexec", "COUNT", "/bin/true")
    what = "{full} of /bin/true in each round, by a small static program"


class Connect(Loop):
    id = "connect"
    title = "connect, own loopback"
    unit = "µs"
    quick = 500
    full = 10_000
    divide = 1e3
    network = True
    arguments = ("connect-pair", "COUNT")
    what = "{full} of socket, connect, close; server and client in the world"


class ConnectHost(Loop):
    id = "connect-host"
    title = "connect, host's loopback"
    unit = "µs"
    quick = 500
    full = 10_000
    divide = 1e3
    network = True
    arguments = ("connect-client", "COUNT", "127.0.0.1", "PORT")
    what = "{full} of the same, to a server outside of the world; where the network is not shared this needs a decision"


class Pipe(Row):
    id = "pipe"
    title = "a GiB through 0 and 1"
    unit = "ms"
    quick = 128 * MEBIBYTE
    full = 1024 * MEBIBYTE
    what = "producer | RUNNER cat | consumer, from the first byte at the consumer to the end of file, per GiB"

    def size(self, runner, small):
        return self.quick if small else self.full

    def measure(self, runner, small):
        context = self.context
        size = self.size(runner, small)
        common = {"env": context.environment, "cwd": context.work}
        source = subprocess.Popen([context.loops, "pipe-source", str(size)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **common)
        cat = subprocess.Popen(context.exec_argv(runner, [context.loops, "pipe-cat"]), stdin=source.stdout,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **common)
        source.stdout.close()
        sink = subprocess.Popen([context.loops, "pipe-sink"], stdin=cat.stdout, stdout=subprocess.PIPE, **common)
        cat.stdout.close()
        try:
            output, _ = sink.communicate(timeout=180)
            _, stderr = cat.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Impossible("no end within the time limit") from None
        finally:
            for process in (source, cat, sink):
                if process.poll() is None:
                    process.kill()
                process.wait()
        if cat.returncode != 0:
            raise context.impossible(f"exit {cat.returncode}", stderr)
        line = json.loads(output)
        if line["bytes"] != size:
            raise context.impossible(f"{line['bytes']} of {size} bytes came through", stderr)
        return line["ns"] / 1e6 * (1024 * MEBIBYTE / size)


class Tree(Row):
    """A whole program on the tree of small files."""
    quick = 2000
    full = 50_000
    unit = "ms"

    def argv(self, root):
        raise NotImplementedError

    def measure(self, runner, small):
        # One tree for a call of the harness: the probe before a full run works on the large one too.
        root = trees.file_tree(self.context, self.quick if self.context.quick else self.full)
        runs, _ = self.context.run(runner, self.argv(root))
        return runs[0]["wall_ns"] / 1e6


class GitStatus(Tree):
    id = "git-status"
    title = "git status"
    what = "--no-optional-locks -c core.checkStat=minimal, {full} files, start included"

    def argv(self, root):
        return ["git", "--no-optional-locks", "-c", "core.checkStat=minimal", "-c", "safe.directory=*", "-C", root,
                "status", "--porcelain"]


class Find(Tree):
    id = "find"
    title = "find"
    what = "-type f -size +1M on {full} files, so that each is looked at by stat; start included"

    def argv(self, root):
        return ["find", root, "-type", "f", "-size", "+1M"]


class Compile(Row):
    id = "compile"
    title = "make -j2"
    unit = "s"
    quick = 8
    full = 200
    what = "{full} C files, gcc -O1, start included"

    def measure(self, runner, small):
        root = trees.compile_tree(self.context, self.quick if self.context.quick else self.full, self.quick)
        objects = os.path.join(root, "out")
        shutil.rmtree(objects)
        os.mkdir(objects)
        target = "probe" if small else "all"
        runs, _ = self.context.run(runner, ["make", "-s", "-C", root, "-j2", target], timeout=600)
        made = len(os.listdir(objects))
        if made != (self.quick if small else self.full):
            raise Impossible(f"only {made} objects were made")
        return runs[0]["wall_ns"] / 1e9


class Callers(Row):
    unit = "ns"
    quick = 2000
    full = 50_000
    callers = 0

    def refuse(self, runner):
        if runner.id != "native" and not runner.mediates_opens:
            raise Impossible("decides no opens while the command runs: see the row of open+close")

    def measure(self, runner, small):
        count = max(self.size(runner, small) // self.callers, 1)
        _, line = self.context.run_loop(runner, ["callers", self.callers, count, self.context.data_file])
        return line["ns"]


class OneCaller(Callers):
    id = "open-1"
    title = "decided open, 1 caller"
    callers = 1
    what = "{full} opens, the whole time over all opens"


class EightCallers(Callers):
    id = "open-8"
    title = "decided open, 8 callers"
    callers = 8
    what = "the same {full} opens by eight processes at once; the ratio is to native with eight"


class OwnCpu(Row):
    id = "own-cpu"
    title = "own CPU"
    unit = "ms"
    ratio = False
    quick = 1000
    full = 10_000
    what = ("user and system time of everything the runner started, less what the command itself used: start, end and "
            "{full} opens")

    def size(self, runner, small):
        return self.quick if small else self.full

    def measure(self, runner, small):
        run, line = self.context.run_loop(runner, ["open", self.size(runner, small), self.context.data_file])
        return (run["user_us"] + run["system_us"]) / 1e3 - line["cpu_ns"] / 1e6


class Idle(Row):
    """A world whose command waits for its standard input; what stands beside the command is looked at."""
    ratio = False

    def take(self, own, interval):
        raise NotImplementedError

    def measure(self, runner, small):
        context = self.context
        argv = context.exec_argv(runner, [context.loops, "idle"])
        before = processes.descendants(os.getpid())
        with processes.subreaper():
            idle = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=context.environment, cwd=context.work)
            try:
                ready, _, _ = select.select([idle.stdout], [], [], READY_SECONDS)
                if not ready or not idle.stdout.readline():
                    idle.kill()
                    _, stderr = idle.communicate(timeout=GRACE_SECONDS)
                    raise context.impossible(f"exit {idle.returncode}", stderr)
                own = [pid for pid in processes.descendants(os.getpid()) - before
                       if processes.argument_zero(pid) != context.loops]
                return self.take(own, 0.1 if small else 1.0)
            finally:
                processes.end(idle, before)


class IdleMemory(Idle):
    id = "memory"
    title = "idle memory"
    unit = "KiB"
    what = "PSS (smaps_rollup) of the runner's own processes, without the command"

    def take(self, own, interval):
        time.sleep(interval)
        return sum(processes.pss_kib(pid) for pid in own)


class IdleCpu(Idle):
    id = "idle-cpu"
    title = "idle CPU"
    unit = "µs/s"
    what = "CPU time of the runner's own processes in a second in which the command waits, from the third after its start on"

    def take(self, own, interval):
        time.sleep(2 * interval)  # what the start leaves to be done, as the records that go to the disk, is no part of it
        start = time.monotonic()
        before = sum(processes.cpu_ns(pid) for pid in own)
        time.sleep(interval)
        return (sum(processes.cpu_ns(pid) for pid in own) - before) / 1e3 / (time.monotonic() - start)


class Rules(Row):
    """What a profile of many rules costs. No world takes part: the program that measures runs as it is."""
    unit = "ns"
    ratio = False
    divide = 1.0  # from ns to the unit
    arguments = ()

    def refuse(self, runner):
        if runner.id != "native":
            raise Impossible("measured without a world")

    def measure(self, runner, small):
        argv = [self.context.rules, *self.arguments, str(self.size(runner, small))]
        _, stdout = self.context.run(runner, argv, timeout=60)
        return json.loads(stdout)["median_ns"] / self.divide


class CompileRules(Rules):
    id = "compile-rules"
    title = "compile a profile of 10,000 rules"
    unit = "ms"
    quick = 1
    full = 1
    divide = 1e6
    arguments = ("compile", "10000")
    what = "text to policy to automaton, in a fresh process each time"


class DecideFew(Rules):
    id = "decide-10"
    title = "decide a name, 10 globs"
    quick = 4
    full = 200
    arguments = ("decide", "10")
    what = "256 names of the rules' own, {full} times each in a batch, half of them changed at the end; median of 20 batches"


class DecideMany(DecideFew):
    id = "decide-10000"
    title = "decide a name, 10,000 globs"
    arguments = ("decide", "10000")
    what = "the same; the goal is at most twice the row above"


ALL = (Start, Open, Stat, ReadWrite, ForkExec, Connect, ConnectHost, Pipe, GitStatus, Find, Compile, OneCaller,
       EightCallers, IdleMemory, IdleCpu, OwnCpu, CompileRules, DecideFew, DecideMany)
