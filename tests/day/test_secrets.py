"""What `developer` keeps from every program in it: a canary in each well-known place, and the names of the environment."""
import os

import pytest
from conftest import live

WORD = "CANARY-7f3a"

# Below the user's home, then elsewhere on the host. {home}: another user's home.
HOME_PLACES = [
    ".ssh/id_ed25519", ".ssh/config", ".gnupg/private-keys-v1.d/key.key", ".aws/credentials", ".azure/accessTokens.json",
    ".config/gcloud/credentials.db", ".config/gh/hosts.yml", ".config/git/credentials", ".config/rclone/rclone.conf", ".kube/config",
    ".docker/config.json", ".netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".cargo/credentials.toml", ".m2/settings.xml",
    ".git-credentials", ".vault-token", ".terraform.d/credentials.tfrc.json", ".password-store/mail.gpg", ".bash_history", ".psql_history",
    ".python_history", ".viminfo", ".local/share/keyrings/login.keyring", ".mozilla/firefox/x.default/logins.json",
    ".config/google-chrome/Default/Login Data", ".thunderbird/x.default/key4.db", ".Xauthority", ".ansible/vault", "Documents/letter.txt",
]
HOST_PLACES = [
    "/root/.ssh/id_rsa", "/home/other/.ssh/id_rsa", "/srv/customers/list", "/var/lib/service/password", "/var/spool/cron/crontabs/other",
    "/var/backups/shadow.bak", "/var/log/service.log", "/run/service/token", "/mnt/disk/key", "/media/stick/key", "/boot/key",
    "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d/rules", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssl/private/server.key",
    "/etc/wireguard/wg0.conf", "/etc/NetworkManager/system-connections/office", "/etc/krb5.keytab", "/etc/letsencrypt/live/key.pem",
    "/etc/kubernetes/admin.conf", "/etc/mysql/debian.cnf", "/etc/postgresql/15/main/pg_hba.conf", "/etc/docker/key.json",
]
# File systems of the test's own, so that nothing of this host is touched; /etc with what it holds.
MOUNTS = ("mount -t tmpfs -o mode=0755 none /mnt; cp -a /etc/. /mnt; umount /etc; mount --move /mnt /etc; "
          "for f in /srv /var/lib /var/spool /var/backups /var/log /run /mnt /media /boot; do [ ! -d $f ] || mount -t tmpfs -o mode=0755 none $f; done")


@pytest.fixture
def planted(day):
    """All the names, each with the canary in it, readable by everybody: what keeps them is the profile alone."""
    if not day.private:
        live.cannot("planting in /etc and elsewhere needs root, in a mount namespace of its own")
    names = [os.path.join(day.real_home, name) for name in HOME_PLACES]
    for name in names:
        day.file(name, WORD + "\n")
    folder = day.seen(day.real_home)
    for top, folders, _ in os.walk(folder):
        for name in folders:
            os.chmod(os.path.join(top, name), 0o755)
            day.own(os.path.join(top, name))
    rest = [name for name in HOST_PLACES if not (name.startswith("/root/") and day.name == "root")]
    day.setup.append(MOUNTS)
    if day.name != "root":
        day.setup.append("mount -t tmpfs -o mode=0755 none /root")
    else:
        day.setup.append("mount -t tmpfs -o mode=0755 none /home")
    for name in rest:
        day.setup.append("mkdir -p '%s'; echo %s > '%s'; chmod 644 '%s'; chmod 755 '%s'" % (os.path.dirname(name), WORD, name, name, os.path.dirname(name)))
    return names + rest


def test_no_canary_is_found(day, planted):
    """Each place is read by its name, through a link, and by a search of all that is there."""
    assert len(planted) >= 30
    day.file("places", "".join(name + "\n" for name in planted))
    search = ("grep -rsl %s %%s --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr --exclude-dir=dev --exclude-dir=opt | "
              "grep -vx \"$PWD/.*\" | sort") % WORD
    script = ("while read -r f; do cat \"$f\"; ln -sf \"$f\" link && cat link; cp \"$f\" copy 2>/dev/null && cat copy; done < places 2>/dev/null | sort | uniq -c; "
              "rm -f link copy; ")
    outside = day.outside(script + search % " ".join(sorted({os.path.dirname(name).replace(" ", "?") for name in planted})))
    lines = outside.stdout.splitlines()
    assert lines[0].split() == [str(3 * len(planted)), WORD], outside.stdout + outside.stderr
    assert set(planted) <= set(lines[1:]), set(planted) - set(lines[1:])
    inside = day.inside(script + search % "/", timeout=300)
    assert WORD not in inside.stdout + inside.stderr, inside.stdout
    assert inside.stdout == "", inside.stdout
    # The names themselves: nothing of the home but the settings is there, and what a Deny names cannot be opened.
    listed = day.inside("ls -A ~ ~/.config ~/.local 2>/dev/null")
    for name in HOME_PLACES:
        assert os.path.basename(name) not in listed.stdout.split(), name


def test_secrets_are_not_written(day, planted):
    """Nor are they changed, replaced, or taken away."""
    script = ("while read -r f; do echo x >> \"$f\"; mv -f \"$f\" gone; ln \"$f\" hard; rm -f \"$f\"; done 2>/dev/null < places; "
              "ls; (while read -r f; do [ ! -e \"$f\" ] || cat \"$f\"; done < places) 2>/dev/null | grep -c %s") % WORD
    day.file("places", "".join(name + "\n" for name in planted))
    done = day.inside(script)
    assert done.stdout.splitlines()[-1] == "0" and "hard" not in done.stdout, done.stdout
    for name in HOME_PLACES:
        assert day.read(os.path.join(day.real_home, name)) == WORD + "\n", name


PASSED = {"LANG": "C.UTF-8", "LC_TIME": "C", "TZ": "Asia/Tokyo", "TERM": "xterm-256color", "NO_COLOR": "1", "SSH_TTY": "/dev/pts/9", "COLUMNS": "99"}
KEPT = {"SSH_AUTH_SOCK": "/tmp/agent", "SSH_AGENT_PID": "1", "GPG_AGENT_INFO": "x", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "DBUS_SYSTEM_BUS_ADDRESS": "x",
        "DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0", "XAUTHORITY": "/x", "XDG_RUNTIME_DIR": "/run/user/1", "GITHUB_TOKEN": "t", "GITLAB_TOKEN": "t",
        "NPM_TOKEN": "t", "VAULT_TOKEN": "t", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "k", "AWS_SESSION_TOKEN": "t", "PGPASSWORD": "p",
        "DOCKER_HOST": "tcp://x", "KUBECONFIG": "/x", "LD_PRELOAD": "", "LD_LIBRARY_PATH": "/x", "BASH_ENV": "/x", "ENV": "/x", "PYTHONPATH": "/x"}


def test_environment(day):
    done = day.inside("cat /proc/self/environ | tr '\\0' '\\n'; date +%Z; echo \"$SHELLGUARD_SESSION\" | wc -w", env=dict(PASSED, **KEPT))
    names = {line.split("=", 1)[0]: line.split("=", 1)[1] for line in done.stdout.splitlines() if "=" in line}
    assert {name: names.get(name) for name in PASSED} == PASSED
    assert not set(KEPT) & set(names), set(KEPT) & set(names)
    assert names["SHELLGUARD_SESSION"] and done.stdout.endswith("JST\n1\n"), done.stdout
    # The profile's own list adds, and nothing else does.
    more = day.inside("echo $GITHUB_TOKEN-$NPM_TOKEN-$X", env=KEPT, options=["--env", "GITHUB_TOKEN", "--env", "X=y"])
    assert more.stdout == "t--y\n"
