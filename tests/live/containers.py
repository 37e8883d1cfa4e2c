"""Runs a bundle under crun or runc, as root or as an ordinary user, wherever cgroups of version 2 can be mounted."""
import json
import os
import subprocess

# Where it is one already, an ordinary user can neither take it away nor mount it over itself.
GROUPS = """mount --make-rprivate / &&
{ [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || { umount -l /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }; } &&
"""
RUNTIMES = ("crun", "runc")
ENTER = GROUPS + """exec "$4" --root "$1" run --bundle "$2" "$3"
"""
TREES = ("usr", "bin", "lib", "lib64", "etc")
NONE = {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}


def config(arguments):
    """A config.json that shows the system read-only, without a word about seccomp."""
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": arguments, "cwd": "/", "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": True,
                    "capabilities": NONE},
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}] +
                  [{"destination": "/" + tree, "type": "bind", "source": "/" + tree, "options": ["rbind", "ro"]} for tree in TREES],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
    }


def merge(target, patch):
    """RFC 7396: what the patch says replaces what the target has; null takes away."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def run(sg, what, timeout=60, runtime="crun"):
    """Runs the config.json `what` as the identity `sg`."""
    sg.count += 1
    bundle = os.path.join(sg.work, "bundle%d" % sg.count)
    state = os.path.join(sg.work, "state%d" % sg.count)
    for folder in (bundle, os.path.join(bundle, "rootfs"), state):
        os.mkdir(folder)
        if os.getuid() == 0:
            os.chown(folder, sg.uid, sg.uid)
    with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as f:
        json.dump(what, f)
    unshare = ["unshare", "-m"] if sg.uid == 0 else ["unshare", "-UrmC"]
    return subprocess.run(sg.command(unshare + ["sh", "-c", ENTER, "sh", state, bundle, "sg-%d-%d" % (os.getpid(), sg.count), runtime]),
                          env=sg.environment(), capture_output=True, text=True, timeout=timeout, check=False)


def has_controller(name):
    """True if cgroups of version 2 have the controller on this host."""
    done = subprocess.run(["unshare", "-m", "sh", "-c", GROUPS + "cat /sys/fs/cgroup/cgroup.controllers"], capture_output=True, text=True, timeout=60, check=False)
    return name in done.stdout.split()


def without_missing_controllers(what):
    """The config without the limits that this host's control groups could not hold, for which a runtime would not start."""
    for name in ("pids", "memory"):
        if not has_controller(name):
            what["linux"].get("resources", {}).pop(name, None)
    return what
