"""What the numbers were taken on."""
import datetime
import os
import subprocess

from . import runners as ways


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


def cpu_model():
    for line in lines_of("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def memory_mib():
    for line in lines_of("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def filesystem_of(path):
    """The type of the mount that `path` lies on: the longest mount point above it, the latest of equals."""
    best, kind = "", "unknown"
    for line in lines_of("/proc/self/mountinfo"):
        fields = line.split()
        point = fields[4]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind


def distribution():
    for line in lines_of("/etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown"


def source_version(context):
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", context.source_root, "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip() or "unknown"


def describe(context):
    system = os.uname()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "uid": os.getuid(),
        "system": distribution(),
        "kernel": system.release,
        "architecture": system.machine,
        "cpu": cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mib": memory_mib(),
        "filesystem": filesystem_of(context.work),
        "load_before": round(os.getloadavg()[0], 2),
        "source": source_version(context),
        "tools": {name: ways.first_version_line([name, "--version"]) for name in ("gcc", "git", "find", "make")},
    }
