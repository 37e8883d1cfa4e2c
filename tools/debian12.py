"""What tools/test-kernel and tools/test-fresh share: a Debian 12 made with debootstrap, and the packages that we need.

The mirror is the one that this machine's apt uses (or SG_MIRROR); everything made lies below build/.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
SUITE = "bookworm"


def stop(text):
    sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), text))


def need(*programs):
    """Programs of this machine: (program, package)."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [package for program, package in programs if not shutil.which(program, path=path)]
    if missing:
        stop("install these first:  apt-get install " + " ".join(missing))
    os.environ["PATH"] = path


def mirror():
    if os.environ.get("SG_MIRROR"):
        return os.environ["SG_MIRROR"]
    out = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)",
                          "Created-By: Packages"], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        name, component, uri = line.split()
        if (name, component) == (SUITE, "main"):
            return uri
    stop("this machine's apt has no source of Debian 12 (%s main); name one in SG_MIRROR" % SUITE)


def listed_packages():
    """All that tools/packages names, for whatever purpose."""
    names = []
    with open(os.path.join(ROOT, "tools", "packages"), encoding="ascii") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                names += line.split(":", 1)[1].split()
    return sorted(set(names))


def make_root(folder, packages):
    """A Debian 12 in build/FOLDER-HASH, made once for each set of packages. Returns its path."""
    stamp = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    path = os.path.join(BUILD, "%s-%s" % (folder, stamp))
    if os.path.exists(os.path.join(path, ".complete")):
        return path
    if os.getuid() != 0:
        stop("making a Debian 12 (debootstrap) needs root; once it is there, no more")
    for old in glob.glob(os.path.join(BUILD, folder + "-*")):
        (shutil.rmtree if os.path.isdir(old) else os.unlink)(old)
    os.makedirs(path)
    command = ["debootstrap", "--variant=minbase"]
    if packages:
        command.append("--include=" + ",".join(sorted(packages)))
    with open(path + ".log", "w", encoding="utf-8") as log:
        code = subprocess.run(command + [SUITE, path, mirror()], stdout=log, stderr=subprocess.STDOUT).returncode
    if code != 0:
        with open(path + ".log", encoding="utf-8", errors="replace") as log:
            sys.stderr.write(log.read()[-3000:])
        stop("debootstrap failed; its output is above and in %s.log" % path)
    subprocess.run("rm -rf %s/var/cache/apt/archives/*.deb" % path, shell=True, check=True)
    with open(os.path.join(path, ".complete"), "w", encoding="ascii"):
        pass
    return path


def tree_files():
    """The files of the tree as they stand, without what git ignores; relative names."""
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, check=True).stdout
    names = [name for name in out.decode("utf-8", "surrogateescape").split("\0") if name]
    return [name for name in names if os.path.lexists(os.path.join(ROOT, name))]
