/*
 * The profile of a watched run.
 *
 * Why so much may be read and so little written: reading finds out what is needed, and whoever starts the run could read all of it.
 * Writing changes the host, and a folder that a session may write stays on the list of those whose links are not followed
 * (world/written.h): a run that is there to be watched must not leave /var or the home on it. `--rw` gives more, named by whoever
 * knows the program.
 */
#include "learn/world.h"

#include <string.h>

#include "profile/quote.h"

/*
 * What is refused though it could be read: that a program is being watched is no reason to hand it the keys of its user. The list of the
 * flag "system" holds for /etc; these are those of homes. No list of secrets is complete.
 */
static const char *const secrets[] = {
	".ssh/**",
	".gnupg/**",
	".aws/**",
	".azure/**",
	".config/gcloud/**",
	".kube/**",
	".docker/config.json",
	".config/containers/auth.json",
	".netrc",
	".git-credentials",
	".config/git/credentials",
	".pgpass",
	".my.cnf",
	".npmrc",
	".yarnrc.yml",
	".pypirc",
	".cargo/credentials",
	".cargo/credentials.toml",
	".gem/credentials",
	".composer/auth.json",
	".m2/settings.xml",
	".gradle/gradle.properties",
	".terraform.d/credentials.tfrc.json",
	".vault-token",
	".config/gh/hosts.yml",
	".config/hub",
	".config/rclone/rclone.conf",
	".password-store/**",
	".local/share/keyrings/**",
	".local/share/kwalletd/**",
	".mozilla/**",
	".thunderbird/**",
	".config/google-chrome/**",
	".config/chromium/**",
	".config/BraveSoftware/**",
	".bash_history",
	".zsh_history",
	".python_history",
	".psql_history",
	".mysql_history",
	".lesshst",
	".viminfo",
	".local/share/fish/fish_history",
	".electrum/**",
	".bitcoin/**",
	".ethereum/**",
};

/* Homes: the caller's own, and where others' usually are. */
static const char *const homes[] = {"~/", "/root/", "/home/*/"};

static const char text[] =
	"Description = \"a watched run: much may be read, little written\"\n"
	"[Networking]\n"
	"Flags  = [\"dns\", \"ping\", \"outgoing\", \"incoming\", \"unix\", \"netlink\", \"loopback\"]\n"
	"Allow  = [\"*:*:*\", \"unix:/**\"]\n"
	"Listen = [\"*:*:*\"]\n"
	"[Runtime]\n"
	"Flags = [\n"
	"    \"start\", \"malloc\", \"jit\", \"threads\", \"fork\", \"exec\", \"signals\", \"timers\", \"ipc\", "
	"\"shared-memory\", \"aio\",\n"
	"    \"scheduling\", \"watch\",\n"
	"]\n"
	"[User]\n"
	"Flags = [\"identity\", \"create\"]\n"
	"[Misc]\n"
	"Flags = [\"sysinfo\", \"keyring\", \"perf\"]\n"
	"AcceptMissing = [\"idmapped-mounts\"]\n";

/* A folder above which, or at which, nothing is given to write. */
static bool is_at_or_above(const char *folder, const char *other)
{
	const size_t length = strlen(folder);

	return other != NULL && strncmp(other, folder, length) == 0 &&
	       (other[length] == '\0' || other[length] == '/' || length == 1);
}

static void append_denials(struct sg_buffer *out)
{
	sg_buffer_append_text(out, "Deny = [\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(homes); i++)
		for (size_t j = 0; j < SG_ARRAY_SIZE(secrets); j++)
			sg_buffer_printf(out, "    \"%s%s\",\n", homes[i], secrets[j]);
	sg_buffer_append_text(out, "]\n");
}

void sg_learn_world(const struct sg_variables *variables, bool with_secrets, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "Name = \"" SG_LEARN_WORLD "\"\n");
	sg_buffer_append_text(out, text);
	sg_buffer_printf(out,
			 "[Filesystem]\n"
			 "Flags = [%s\"tty\", \"attributes\", \"links\", \"locks\", \"mknod\"]\n"
			 "ReadOnly = [\"/**\"]\n"
			 "Exec = [\"/**\"]\n"
			 "LogOnRead = [\"/**\"]\n"
			 "LogOnWrite = [\"/**\"]\n"
			 "ReadWrite = [\"/tmp/**\", \"/var/tmp/**\"",
			 with_secrets ? "" : "\"system\", ");
	if (!is_at_or_above(variables->cwd, variables->home) && !is_at_or_above(variables->cwd, variables->home_place))
		sg_buffer_append_text(out, ", \"${CWD}/**\"");
	sg_buffer_append_text(out, "]\n");
	if (!with_secrets)
		append_denials(out);
}
