"""Runs a service under a systemd of its own: PID 1 of a namespace, with control groups of version 2 and an empty /run. Needs root.

A manager that cannot load its unit starts the host's rescue.target instead, with systemd-tmpfiles, which empties /tmp. So that target
is one that ends the manager, /tmp is another one, and those services are masked."""
import os
import signal
import subprocess

ENTER = r"""
set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1"
echo $$ > "/sys/fs/cgroup/$1/cgroup.procs"
unshare --cgroup --pid --fork --kill-child --uts --ipc --net --mount-proc sh -c '
set -e
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/lock
mount -t tmpfs tmpfs /etc/systemd/system
mount -t tmpfs tmpfs /tmp
cp -r "$1"/. /run/systemd/system
for unit in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-tmpfiles-clean; do ln -s /dev/null /run/systemd/system/$unit.service; done
export container=test
exec /lib/systemd/systemd --system --unit=probe.service --log-target=console --log-level=info --show-status=no --machine-id=11111111111111111111111111111111
' sh "$2" || true
echo $$ > /sys/fs/cgroup/cgroup.procs
find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +
"""
RESCUE = {
    "rescue.target": "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\nWants=end.service\n",
    "end.service": "[Unit]\nDefaultDependencies=no\nSuccessAction=exit-force\nFailureAction=exit-force\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
}
UNIT = """[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=%s
StandardInput=null
StandardOutput=append:%s
StandardError=append:%s
TimeoutStartSec=60
"""


def write(sg, name, drop_in, command, more=""):
    """A folder of units: probe.service with the drop-in. Returns (folder, the file that takes what it prints)."""
    folder = os.path.join(sg.work, name)
    os.makedirs(os.path.join(folder, "probe.service.d"))
    out = os.path.join(sg.work, name + ".out")
    with open(os.path.join(folder, "probe.service"), "w", encoding="utf-8") as f:
        f.write(UNIT % (command, out, out) + more)
    if drop_in is not None:
        with open(os.path.join(folder, "probe.service.d", "50-shellguard.conf"), "w", encoding="utf-8") as f:
            f.write(drop_in)
    return folder, out


def run(sg, drop_in, command, more="", timeout=90):
    """Starts the service and waits for its end. Returns (what it printed, the manager's log)."""
    sg.count += 1
    name = "units%d" % sg.count
    folder, out = write(sg, name, drop_in, command, more)
    for unit, text in RESCUE.items():
        with open(os.path.join(folder, unit), "w", encoding="utf-8") as f:
            f.write(text)
    group = "sg-%d-%d" % (os.getpid(), sg.count)
    log = os.path.join(sg.work, name + ".log")
    with open(log, "wb") as f:
        process = subprocess.Popen(["unshare", "--mount", "--cgroup", "sh", "-c", ENTER, "sh", group, folder], stdin=subprocess.DEVNULL, stdout=f,
                                   stderr=f, start_new_session=True)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said = open(log, encoding="utf-8", errors="replace").read()
    if not os.path.exists(out):
        raise AssertionError("the service printed nothing:\n" + said)
    return open(out, encoding="utf-8", errors="replace").read(), said
