"""The ways to run a command. Each is one class; the order of ALL is the order of the table."""
import hashlib
import json
import os
import re
import shutil
import subprocess

from .context import Impossible

VERSION_SECONDS = 10


def first_version_line(argv):
    """The first line of `--version` that has a version in it (some print a banner first), or None."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=VERSION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if re.search(r"\d+\.\d+", line):
            return line.strip(" \t_|/\\")
    return None


class Runner:
    id = ""
    title = ""
    program = None  # looked up in PATH; None: nothing to install
    slow = False  # stops at each system call: loops run a tenth of the operations
    mediates_opens = False  # decides while a program runs, at each open
    note = ""  # one line for the method, printed under the table

    def __init__(self, context):
        self.context = context
        self.enter = None  # pid whose namespaces the timer joins first

    def prepare(self):
        """Finds out whether the runner is there and readies it. Returns the version; raises Impossible."""
        if self.program and not shutil.which(self.program, path=self.context.environment["PATH"]):
            raise Impossible(f"not installed: {self.program}")
        return first_version_line([self.program, "--version"]) if self.program else ""

    def command(self, argv, network):
        """The argv that runs `argv`. `network`: the command uses sockets, which a profile has to allow."""
        raise NotImplementedError


class Native(Runner):
    id = "native"
    title = "native"

    def command(self, argv, network):
        return argv


class Shellguard(Runner):
    id = "shellguard"
    title = "shellguard, plain profile"
    note = "plain folders only"
    filesystem = ""  # lines that this variant adds to the [Filesystem] section

    def prepare(self):
        if not os.access(self.context.shellguard, os.X_OK):
            raise Impossible("not built: no such program: " + os.path.basename(self.context.shellguard))
        try:
            done = subprocess.run([self.context.shellguard, "--version"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=VERSION_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Impossible("--version does not end") from None
        if done.returncode != 0:
            raise self.context.impossible("not built", done.stderr)
        return self.context.redact(done.stdout.decode("utf-8", "replace").strip().split("\n")[0])

    def profile(self, network):
        """Writes the profile once. The rows without sockets have none in the profile, so pay for none."""
        path = self.context.path(f"{self.id}{'-net' if network else ''}.toml")
        if os.path.exists(path):
            return path
        work = self.context.work
        names = ", ".join(json.dumps(name) for name in sorted(self.context.environment))
        lines = []
        if network:
            lines += ["[Networking]", 'Flags = ["outgoing", "incoming"]',
                      f'Allow = ["tcp:127.0.0.1:{self.context.server_port()}"]', ""]
        lines += ["[Filesystem]",
                  'ReadOnly = ["/usr/**", "/etc/**", "/bin/**", "/lib/**", "/lib64/**"]',
                  f'ReadWrite = ["{work}/**", "/dev/null"]',
                  f'Exec = ["/usr/**", "/bin/**", "/lib/**", "/lib64/**", "{work}/**"]']
        if self.filesystem:
            lines.append(self.filesystem.format(work=work))
        lines += ["", "[Runtime]",
                  'Flags = ["start", "malloc", "threads", "fork", "exec", "signals", "timers"]',
                  f"Env = [{names}]",
                  'Limits = { Processes = 1024, OpenFiles = 4096, CpuTime = "1h" }', "",
                  "[User]", 'Flags = ["create"]', ""]  # make puts on its own ids before it starts a program
        with open(path, "w", encoding="utf-8") as stream:
            stream.write("\n".join(lines))
        return path

    def command(self, argv, network):
        return [self.context.shellguard, "run", "-p", self.profile(network), "--"] + argv


class ShellguardGlob(Shellguard):
    id = "shellguard-glob"
    title = "shellguard, file-name globs"
    note = "a Deny by file name below the work folder, so that each open is decided"
    mediates_opens = True
    filesystem = 'Deny = ["{work}/**/*.secret"]'


class ShellguardLogWrite(Shellguard):
    id = "shellguard-logwrite"
    title = "shellguard, LogOnWrite"
    note = "only opens that write, and calls that change names, are decided"
    filesystem = 'LogOnWrite = ["{work}/**"]'


class Bubblewrap(Runner):
    id = "bubblewrap"
    title = "bubblewrap"
    program = "bwrap"
    note = "--unshare-all, host read-only, no seccomp filter"

    def command(self, argv, network):
        work = self.context.work
        return ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", work,
                work, "--die-with-parent"] + argv


class Firejail(Runner):
    id = "firejail"
    title = "firejail"
    program = "firejail"
    note = "--noprofile with seccomp, no capabilities, no network, private /dev, host read-only"

    def prepare(self):
        if os.getuid() != 0 and self.context.work.startswith("/var/"):
            self.note += "; mounts /var noexec for an ordinary user, so the loops need a --workdir elsewhere"
        return super().prepare()

    def command(self, argv, network):
        work = self.context.work
        options = ["--quiet", "--noprofile", "--net=none", "--caps.drop=all", "--seccomp", "--nonewprivs",
                   "--private-dev", "--nogroups", "--keep-var-tmp", "--read-only=/", f"--read-write={work}"]
        if os.getuid() != 0:
            options.append("--noroot")
        return ["firejail"] + options + ["--"] + argv


class Crun(Runner):
    id = "crun"
    title = "crun"
    program = "crun"
    note = ("all namespaces, read-only bind of the host, no capabilities, no seccomp filter; in a mount namespace that is "
            "made before the time runs and has only cgroup2 on /sys/fs/cgroup")

    def prepare(self):
        version = super().prepare()
        for name in ("rootfs", "state"):
            os.makedirs(self.context.path("crun", name), exist_ok=True)
        script = ("mount --make-rprivate / && { [ \"$(stat -f -c %T /sys/fs/cgroup)\" = cgroup2fs ] || "
                  "{ umount -l /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }; } && "
                  'mount --rbind / "$1" && echo ready && read line')
        unshare = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-UrmC"]
        self.enter = self.context.hold(unshare + ["sh", "-c", script, "sh", self.context.path("crun", "rootfs")])
        return version

    def bundle(self, argv):
        name = hashlib.sha256(json.dumps(argv).encode()).hexdigest()[:16]
        folder = self.context.path("crun", name)
        if os.path.isdir(folder):
            return folder, name
        work = self.context.work
        none = {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
        config = {
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": 0, "gid": 0}, "args": argv, "cwd": work, "noNewPrivileges": True,
                        "env": [f"{key}={value}" for key, value in sorted(self.context.environment.items())],
                        "capabilities": none},
            "root": {"path": self.context.path("crun", "rootfs"), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": work, "type": "bind", "source": work, "options": ["bind", "rw"]},
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
        }
        os.mkdir(folder)
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as stream:
            json.dump(config, stream)
        return folder, name

    def command(self, argv, network):
        folder, name = self.bundle(argv)
        return ["crun", "--root", self.context.path("crun", "state"), "run", "--bundle", folder, f"bench-{name}"]


class Proot(Runner):
    id = "proot"
    title = "proot"
    program = "proot"
    slow = True
    mediates_opens = True
    note = "ptrace; translates paths, shares the host's network"

    def command(self, argv, network):
        return ["proot", "-b", self.context.work] + argv


class Strace(Runner):
    id = "strace"
    title = "strace -f"
    program = "strace"
    slow = True
    mediates_opens = True
    note = "every system call stops; shares the host's network"

    def command(self, argv, network):
        return ["strace", "-f", "-o", "/dev/null", "--"] + argv


class StraceSeccomp(Strace):
    id = "strace-seccomp"
    title = "strace --seccomp-bpf, openat"
    note = "only openat stops"

    def command(self, argv, network):
        return ["strace", "-f", "--seccomp-bpf", "-e", "trace=openat", "-o", "/dev/null", "--"] + argv


ALL = (Native, Shellguard, ShellguardGlob, ShellguardLogWrite, Bubblewrap, Firejail, Crun, Proot, Strace, StraceSeccomp)
