"""A host that is a container: files of /etc are mounts of their own, as /etc/hosts and /etc/resolv.conf are there."""
import os

from conftest import live


def test_mounts_below_a_tree_with_secrets(day):
    """What such a mount shows is shown, what it hides stays hidden, and the secrets beside it are refused."""
    if not day.private:
        live.cannot("this needs root, to mount")
    hosts = day.file(os.path.join(day.sg.work, "hosts"), "127.0.0.1 mounted-here\n")
    day.setup.append("echo hidden-below > /etc/nanorc; mount --bind '%s' /etc/hosts; mount --bind '%s' /etc/nanorc" % (hosts, hosts))
    day.setup.append("echo CANARY > /etc/shadow; chmod 644 /etc/shadow")
    done = day.inside("cat /etc/hosts /etc/nanorc; ls /etc > /dev/null && echo listed; cat /etc/shadow")
    assert done.stdout == "127.0.0.1 mounted-here\n" * 2 + "listed\n"
    assert done.status != 0 and "Permission denied" in done.stderr
