/* SPDX-License-Identifier: ISC */
/* Privileges.
 *
 * Theory of operation
 *
 * The stages of a start, in this order:
 *
 *   1	harden: no core dump and no ptrace (the secret key is in memory), nothing
 *	is gained by executing a program.
 *   2	with the rights we were started with: read configuration and key, count
 *	the start, bind the API's socket, open the links.  No byte from the
 *	network has been read yet.
 *   3	drop: become another user if we are root; of all capabilities keep
 *	CAP_NET_RAW and CAP_NET_ADMIN at most, which Ethernet links need when an
 *	interface returns or a link is added; forbid that they come back.
 *   4	run: only now the loop reads from links and programs.
 *
 * Started by an ordinary user only hardening happens, and links that need a right
 * are refused when they are added.  In a user namespace root is often the only
 * user there is: then it stays, without its capabilities. */
#include "pnstackd/host/privs.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libpeernet/base/pn_error.h"

#define PRIVS_USER "peernet"

#if defined(__SANITIZE_ADDRESS__)
#define PRIVS_DUMPABLE 1	/* the leak check at exit traces its own process */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PRIVS_DUMPABLE 1
#endif
#endif

#define CAPS_NET ((uint64_t)1 << CAP_NET_RAW | (uint64_t)1 << CAP_NET_ADMIN)

void privs_harden(void)
{
#ifndef PRIVS_DUMPABLE
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static bool caps_get(uint64_t *permitted)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	*permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	return true;
}

static bool caps_set(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	memset(d, 0, sizeof(d));
	d[0].permitted = (uint32_t)caps;
	d[0].effective = d[0].permitted;
	d[1].permitted = (uint32_t)(caps >> 32);
	d[1].effective = d[1].permitted;
	return syscall(SYS_capset, &h, d) >= 0;
}

bool privs_has_net_raw(void)
{
	uint64_t caps;

	return caps_get(&caps) && (caps & (uint64_t)1 << CAP_NET_RAW);
}

/* Nothing shall come back by an exec or a change of the user. */
static void caps_seal(void)
{
	unsigned long cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	      SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0, 0);
}

static struct passwd *user_find(const char *user)
{
	return getpwnam(*user ? user : PRIVS_USER);
}

void privs_own(const char *path, const char *user)
{
	struct passwd *pw = geteuid() == 0 ? user_find(user) : NULL;

	if (pw && chown(path, pw->pw_uid, pw->pw_gid) < 0)
		return;		/* in a user namespace: it stays ours, as we do */
}

/* Return: 0; -errno */
static int user_become(const struct passwd *pw)
{
	if (initgroups(pw->pw_name, pw->pw_gid) < 0)
		return -errno;
	if (setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0)
		return -errno;
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return -errno;
	return 0;
}

int privs_drop(const char *user, bool keep_net, char *told, size_t told_len)
{
	struct passwd *pw = NULL;
	uint64_t caps = 0;
	int err = 0;

	if (!caps_get(&caps)) {
		snprintf(told, told_len, "cannot read the capabilities: %s", strerror(errno));
		return PN_EINVAL;
	}
	if (geteuid() == 0) {
		pw = user_find(user);
		if (!pw && *user) {
			snprintf(told, told_len, "user: there is no user \"%s\"", user);
			return PN_EINVAL;
		}
		/* sealing needs CAP_SETPCAP, becoming a user CAP_SETUID */
		if (pw && pw->pw_uid)
			err = user_become(pw);
		if (err && *user) {
			snprintf(told, told_len, "user: cannot become \"%s\": %s", user,
				 strerror(-err));
			return PN_EINVAL;
		}
		if (!err)
			caps_set(caps);	/* effective again, for the sealing */
	}
	caps_seal();
	caps &= keep_net ? CAPS_NET : 0;
	if (!caps_set(caps)) {
		snprintf(told, told_len, "cannot drop the capabilities: %s", strerror(errno));
		return PN_EINVAL;
	}
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	privs_harden();		/* the kernel lifts it when the user changes */
	snprintf(told, told_len, "running as user %u, %s", (unsigned int)geteuid(),
		 caps ? "with the right to open Ethernet links only" : "without special rights");
	return 0;
}
