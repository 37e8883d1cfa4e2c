"""shellguard fmt: files in place, --check, standard input, and what it leaves as it is."""
import os
import stat

import pytest

from conftest import ROOT

UNTIDY = """[Runtime]
Flags=["start",'fork'] # both

# of files
[Filesystem]
Deny=["/k"]
ReadOnly = [ "/usr/**",
"/srv/a" ]
"""

TIDY = """# of files
[Filesystem]
ReadOnly = [
    "/usr/**",
    "/srv/a",
]
Deny     = ["/k"]

[Runtime]
Flags = ["start", 'fork']  # both
"""


def fmt(sg, *arguments, **kwargs):
    done = sg.cli("fmt", *arguments, **kwargs)
    return done.returncode, done.stdout, done.stderr


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_in_place(sg):
    path, other = sg.write("a.toml", UNTIDY, mode=0o640), sg.write("b.toml", TIDY)
    before, inode = os.stat(path), os.stat(other).st_ino
    assert fmt(sg, "a.toml", other) == (0, "", "")
    after = os.stat(path)
    assert read(path) == TIDY and read(other) == TIDY
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    # What is in the layout is not written again, and nothing is left beside.
    assert os.stat(other).st_ino == inode
    assert sorted(os.listdir(sg.cwd)) == ["a.toml", "b.toml"]
    assert fmt(sg, path) == (0, "", "") and os.stat(path).st_ino == after.st_ino


def test_the_policy_stays_the_same(sg):
    path = sg.write("a.toml", UNTIDY)
    before = sg.cli("explain", path).stdout
    assert fmt(sg, path)[0] == 0
    line = [l for l in before.split("\n") if "The policy's hash is" in l]
    assert len(line) == 1 and line[0] in sg.cli("explain", path).stdout
    assert sg.cli("diff", sg.write("old.toml", UNTIDY), path).stdout == "No difference.\n"


def test_check_writes_nothing(sg):
    path, other = sg.write("a.toml", UNTIDY), sg.write("b.toml", TIDY)
    status, out, err = fmt(sg, "--check", path, other)
    assert (status, err) == (1, "") and out == path + ": is laid out in another way\n"
    assert read(path) == UNTIDY
    assert fmt(sg, "--check", other) == (0, "", "")


def test_standard_input(sg):
    assert fmt(sg, "-", input=UNTIDY) == (0, TIDY, "")
    assert fmt(sg, "-", input="") == (0, "", "")
    assert fmt(sg, "--check", "-", input=UNTIDY) == (1, "", "")
    assert fmt(sg, "--check", "-", input=TIDY) == (0, "", "")
    status, out, err = fmt(sg, "-", input="[Filesystem\n")
    assert (status, out) == (2, "") and "standard input:1:" in err


@pytest.mark.parametrize("text,message", [
    ("[Filesystem]\nReadOnly = [\n", "odd.toml:"), ("[Filesystem]\nReadOnyl = []\n", 'did you mean "ReadOnly"?'),
    ("a = 1\na = 2\n", "odd.toml:"), ("[[Test]]\nRead = '/x'\n", "this test expects nothing"),
    ("Name = '\udcff'\n", "odd.toml:1:")])
def test_a_file_with_errors_is_left_as_it_is(sg, text, message):
    path, good = sg.write("odd.toml", ""), sg.write("a.toml", UNTIDY)
    data = text.encode("utf-8", "surrogateescape")
    with open(path, "wb") as f:
        f.write(data)
    status, out, err = fmt(sg, path, good)
    assert (status, out) == (2, "") and message in err
    with open(path, "rb") as f:
        assert f.read() == data
    # The others are seen to all the same.
    assert read(good) == TIDY


def test_what_is_no_file_is_named(sg):
    os.mkfifo(os.path.join(sg.cwd, "fifo"))
    for name in ("nothing.toml", "fifo", "/dev/null", sg.cwd):
        status, out, err = fmt(sg, name)
        assert (status, out) == (2, "") and name in err, (name, err)
    status, _, err = fmt(sg)
    assert status == 2 and "usage: shellguard fmt" in err


def test_a_profile_by_name_is_told_where_it_lies(sg):
    status, out, err = fmt(sg, "developer")
    assert (status, out) == (2, "") and 'the profile "developer" is /' in err and err.endswith("/developer.toml\n"), err
    status, out, err = fmt(sg, "develper")
    assert (status, out) == (2, "") and "here is no develper" in err and 'did you mean "developer"?' in err, err
    sg.write("web.toml", TIDY)
    status, out, err = fmt(sg, "web")
    assert (status, out) == (2, "") and "did you mean the file ./web.toml?" in err, err


def test_links(sg):
    """A symbolic link stays one, and what it leads to is formatted; a file with two names would be parted from one of them."""
    path, link = sg.write("a.toml", UNTIDY), os.path.join(sg.cwd, "link.toml")
    os.symlink("a.toml", link)
    assert fmt(sg, link) == (0, "", "")
    assert os.path.islink(link) and read(path) == TIDY
    other = sg.write("b.toml", UNTIDY)
    os.link(other, os.path.join(sg.cwd, "second.toml"))
    status, _, err = fmt(sg, other)
    assert status == 125 and "other names" in err and read(other) == UNTIDY


def test_a_folder_that_cannot_be_written(sg):
    if sg.who == "root":  # who writes everywhere
        return
    folder = os.path.join(sg.work, "closed")
    path = sg.write("a.toml", UNTIDY, folder=folder)
    os.chmod(folder, 0o555)
    os.chown(folder, os.getuid(), os.getgid())
    status, out, err = fmt(sg, path)
    assert (status, out) == (125, "") and "cannot write" in err and read(path) == UNTIDY


def test_another_owner_is_kept_or_it_is_left(sg):
    """Whoever may not give the file back to its owner does not take it away from them."""
    path = sg.write("a.toml", UNTIDY, mode=0o644)
    if os.getuid() != 0:
        return
    os.chown(path, 12345, 12345)
    status, _, err = fmt(sg, path)
    after = os.stat(path)
    assert (after.st_uid, after.st_gid) == (12345, 12345)
    if sg.who == "root":
        assert status == 0 and read(path) == TIDY
    else:
        assert status == 125 and "cannot write" in err and read(path) == UNTIDY
    assert os.listdir(sg.cwd) == ["a.toml"]


def test_shipped_files_are_in_the_layout(sg):
    names = [os.path.join(ROOT, folder, name) for folder in ("profiles", "flags") for name in sorted(os.listdir(os.path.join(ROOT, folder)))
             if name.endswith(".toml")]
    texts = {name: read(name) for name in names}
    for name in names:
        assert fmt(sg, "--check", "-", input=texts[name]) == (0, "", ""), name
