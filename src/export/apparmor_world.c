#include "export/apparmor_world.h"

#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <string.h>

#include "export/apparmor_sockets.h"
#include "tables/capabilities.h"
#include "world/grants.h"

#define READ_ONLY (SG_APPARMOR_READ | SG_APPARMOR_LOCK)
#define READ_WRITE (READ_ONLY | SG_APPARMOR_WRITE | SG_APPARMOR_LINK)

/* What a mount of each kind gives by itself: its folder, what is below, and as a file. A tree gives what rules name in it. */
static const struct {
	unsigned int folder, below, file;
} kinds[SG_MOUNT_KINDS_] = {
	[SG_MOUNT_FOLDER] = {READ_ONLY, 0, 0},
	[SG_MOUNT_PRIVATE] = {READ_ONLY, READ_ONLY, 0},
	[SG_MOUNT_TEXT] = {0, 0, READ_ONLY},
	[SG_MOUNT_DEVICE] = {0, 0, READ_ONLY | SG_APPARMOR_WRITE},
	[SG_MOUNT_PROC] = {READ_ONLY, READ_ONLY | SG_APPARMOR_WRITE, 0},
	[SG_MOUNT_PROC_SYSTEM] = {READ_ONLY, READ_ONLY | SG_APPARMOR_WRITE, 0},
	[SG_MOUNT_PTS] = {READ_ONLY, READ_ONLY | SG_APPARMOR_WRITE, 0},
	[SG_MOUNT_SYSFS] = {READ_ONLY, READ_ONLY, 0},
};

static int add_mount(const struct sg_plan *plan, const struct sg_mount *mount, struct sg_apparmor_files *files)
{
	unsigned int folder = kinds[mount->kind].folder, below = kinds[mount->kind].below,
		     file = kinds[mount->kind].file;
	const size_t length = strlen(mount->target);
	int status = 0;

	if (mount->kind == SG_MOUNT_PRIVATE && (mount->flags & SG_MOUNT_WRITE) != 0)
		folder = below = READ_WRITE;
	/* Its own attributes are its mount's to keep, where nobody decides about changes. */
	if (mount->kind == SG_MOUNT_TREE && (mount->flags & SG_MOUNT_WRITE) != 0 && !plan->decide_changes)
		folder = SG_APPARMOR_WRITE;
	if ((mount->flags & SG_MOUNT_EXECUTE) != 0) {
		below |= SG_APPARMOR_MAP;
		file |= SG_APPARMOR_MAP;
	}
	if (folder != 0)
		status = sg_apparmor_files_add(files, mount->target, length, "/", folder);
	if (status == 0 && below != 0)
		status = sg_apparmor_files_add(files, mount->target, length, "/**", below);
	if (status == 0 && file != 0)
		status = sg_apparmor_files_add(files, mount->target, length, "", file);
	return status;
}

/* The folders of the skeleton above a mount: they may be listed. */
static int add_above(const char *target, const char *before, struct sg_apparmor_files *files)
{
	for (size_t i = 0; target[i] != '\0'; i++) {
		int status;

		/* What it shares with the mount before this one is there already. */
		if (target[i] != '/' || (strncmp(target, before, i + 1) == 0))
			continue;
		status = sg_apparmor_files_add(files, target, i + 1, "", READ_ONLY);
		if (status < 0)
			return status;
	}
	return 0;
}

int sg_apparmor_world_add(const struct sg_plan *plan, struct sg_apparmor_files *files)
{
	/* Terminals may be made later, for who enters (world/enter.c). */
	static const struct sg_mount terminals = {.kind = SG_MOUNT_PTS, .target = "/dev/pts"};
	const char *before = "";
	int status = add_mount(plan, &terminals, files);

	for (size_t i = 0; i < plan->mount_count && status == 0; i++) {
		status = add_mount(plan, &plan->mounts[i], files);
		if (status == 0)
			status = add_above(plan->mounts[i].target, before, files);
		before = plan->mounts[i].target;
	}
	return status;
}

/* Capabilities that AppArmor 3.0 knows by name are the first of them; with a later one, all. */
static void write_capabilities(uint64_t capabilities, struct sg_buffer *out)
{
	if (capabilities >> (CAP_BPF + 1) != 0) {
		sg_buffer_append_text(out, "  capability,\n");
		return;
	}
	for (size_t i = 0; i < sg_capability_count; i++) {
		if ((capabilities >> sg_capability_find(sg_capability_names[i]) & 1) == 0)
			continue;
		sg_buffer_append_text(out, "  capability ");
		for (const char *at = sg_capability_names[i] + strlen("CAP_"); *at != '\0'; at++)
			sg_buffer_append_byte(out, (char)tolower((unsigned char)*at));
		sg_buffer_append_text(out, ",\n");
	}
}

static void write_profile(const struct sg_plan *plan, const struct sg_apparmor_files *files, const char *name,
			  struct sg_buffer *out)
{
	struct sg_filter_grants grants;

	sg_grants_find(plan->policy, &grants);
	sg_buffer_printf(out,
			 "abi <abi/3.0>,\n\nprofile \"%s\" flags=(attach_disconnected, mediate_deleted) {\n"
			 "  # Files.\n",
			 name);
	sg_apparmor_files_write(files, out);
	sg_buffer_append_text(out, "\n  # Sockets, by family and type.\n");
	sg_apparmor_sockets_write(&grants, out);
	sg_buffer_append_text(out, "  network unix,\n  unix,\n  dbus,\n\n  # Over the world's own namespaces.\n");
	write_capabilities(sg_grants_capabilities(plan->policy), out);
	sg_buffer_printf(out,
			 "\n  # Processes of the world; and those of the host that look after it.\n"
			 "  signal peer=\"%s\",\n"
			 "  signal (receive),\n"
			 "  ptrace peer=\"%s\",\n"
			 "  ptrace (readby, tracedby),\n"
			 "}\n",
			 name, name);
}

int sg_apparmor_world_write(const struct sg_plan *plan, char name[SG_APPARMOR_WORLD_NAME_SIZE], struct sg_buffer *out,
			    const struct sg_rule **ret_rule)
{
	enum { HASHED = 20 }; /* bytes of it: what nobody finds a second text for */
	SG_CLEANUP(sg_apparmor_files_done) struct sg_apparmor_files files = {0};
	SG_AUTO_BUFFER struct sg_buffer nameless = SG_BUFFER_INIT;
	unsigned char hash[crypto_hash_sha256_BYTES];
	int status = sg_apparmor_files_compose(plan->policy, plan, &files), at;

	if (status < 0)
		return status;
	if (files.unwritable != NULL) {
		*ret_rule = files.unwritable;
		return 1;
	}
	write_profile(plan, &files, "", &nameless);
	status = sg_buffer_status(&nameless);
	if (status < 0)
		return status;
	(void)crypto_hash_sha256(hash, (const unsigned char *)nameless.data, nameless.size);
	at = snprintf(name, SG_APPARMOR_WORLD_NAME_SIZE, SG_APPARMOR_WORLD_PREFIX);
	(void)sodium_bin2hex(name + at, SG_APPARMOR_WORLD_NAME_SIZE - (size_t)at, hash, HASHED);
	write_profile(plan, &files, name, out);
	return sg_buffer_status(out);
}
