/* SPDX-License-Identifier: ISC */
/* Listeners of programs whose daemon ended, when the next one is started.
 *
 * Theory of operation
 *
 * Programs have listeners in the abstract namespace (listeners.c), and do not notice when
 * the daemon that connected to them ends: nothing comes any more.  So a new daemon looks for
 * them in /proc/net/unix, and connects to each once a second until it knows it or has done
 * so WAKES times.  The program accepts that, sees who it is (struct pn_wire_name, kind 'w'; the
 * peer's user as always), and hands over the listener with all that belongs to it.
 *
 * Whoever makes a hundred thousand sockets with such names is not to keep us from our work:
 * in one go at most WAKE_MAX are connected to, and the next begins behind them.
 *
 * Streams that were accepted bear the listener's name, too: the kernel shows which of them
 * listens.
 *
 * The kernel shows a byte of 0 in a name as '@'.  In keys there is neither (pn_client_key());
 * the address can be ours or none; of the port each reading is tried.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

#define UNIX_MAX (16u << 20)     /* bytes of /proc/net/unix that are looked at */
#define UNIX_STEP 65536u
#define MARK "@pn1l"             /* how names of listeners begin there */
#define MARK_LEN 5u
#define SHOWN '@'                /* for 0 */
#define WAKE_MAX 1024u           /* connections in one go */

/* Return: all of it, to be freed; NULL */
static char *unix_read(size_t *len)
{
	int fd = open("/proc/self/net/unix", O_RDONLY | O_CLOEXEC);
	char *text = NULL, *more;
	ssize_t n = 1;

	*len = 0;
	while (fd >= 0 && n > 0 && *len < UNIX_MAX) {
		more = realloc(text, *len + UNIX_STEP);
		if (!more)
			break;
		text = more;
		n = read(fd, text + *len, UNIX_STEP);
		if (n > 0)
			*len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static void wake(int type, const struct sockaddr_un *to, socklen_t len, uint16_t port)
{
	struct pn_wire_name name = { .kind = 'w', .family = 6, .local_port = port };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un;

	if (fd < 0)
		return;
	api_key(name.key);
	/* It may be gone, or its backlog full: then at the next tick */
	if (bind(fd, (struct sockaddr *)&un, pn_wire_name_build(&name, &un)) == 0)
		(void)!connect(fd, (const struct sockaddr *)to, len);
	close(fd);
}

/* "... 00010000 0001 01 12345 @name": flags, type, state and inode.
 * Return: the type, 0: it does not listen */
static int listens_as(const char *text, const char *name)
{
	const char *end = name;
	const size_t fields = sizeof("00010000 0001 01") - 1;

	while (end > text && end[-1] == ' ')
		end--;
	while (end > text && end[-1] >= '0' && end[-1] <= '9')
		end--;
	while (end > text && end[-1] == ' ')
		end--;
	if ((size_t)(end - text) < fields)
		return 0;
	end -= fields;
	if (!memcmp(end, "00010000 0001 ", 14))
		return SOCK_STREAM;
	return memcmp(end, "00010000 0005 ", 14) ? 0 : SOCK_SEQPACKET;
}

/* Return: what is shown of @n bytes can be @is */
static bool shows(const char *shown, const uint8_t *is, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)shown[i] != (is[i] ? is[i] : SHOWN))
			return false;
	return true;
}

/* One of the four ways to read a port.  Return: false if it is the same as another way */
static bool port_read(char port[2], const char shown[2], unsigned way)
{
	for (unsigned i = 0; i < 2; i++) {
		bool bit = way >> i & 1;

		if (shown[i] != SHOWN && bit)
			return false;
		port[i] = shown[i] == SHOWN && !bit ? 0 : shown[i];
	}
	return true;
}

/* @shown: the name behind the leading zero, PN_WIRE_NAME_LEN bytes
 * Return: how many connections were tried */
static unsigned wake_shown(struct api *api, int type, const char *shown)
{
	static const uint8_t any[16];
	char raw[PN_WIRE_NAME_LEN];
	struct pn_wire_name name;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + sizeof(raw));
	const size_t ports = 6, local = 26, key = 42;    /* where in the name */
	unsigned way, tried = 0;

	memcpy(raw, shown, sizeof(raw));
	if (memchr(shown + key, SHOWN, 16))
		return 0;
	if (shows(shown + local, api->hit, 16))
		memcpy(raw + local, api->hit, 16);
	else if (shows(shown + local, any, 16))
		memset(raw + local, 0, 16);
	else
		return 0;
	memset(raw + ports, 0, 2);       /* the peer's, */
	memset(raw + ports + 4, 0, 16);  /* and its address */
	raw[ports - 1] = raw[ports - 1] == SHOWN ? 0 : raw[ports - 1]; /* flags */
	for (way = 0; way < 4; way++) {
		if (!port_read(raw + ports + 2, shown + ports + 2, way))
			continue;
		memcpy(un.sun_path + 1, raw, sizeof(raw));
		if (pn_wire_name_parse(&un, len, &name) == 0 &&
		    !keytab_lookup(&api->keys, name.key)) {
			wake(type, &un, len, name.local_port);
			tried++;
		}
	}
	return tried;
}

bool listener_wake(struct api *api)
{
	size_t len;
	char *text = unix_read(&len), *at = text;
	uint32_t seen = 0, tried = 0;
	int type;

	while (at && tried < WAKE_MAX) {
		at = memmem(at, len - (size_t)(at - text), MARK, MARK_LEN);
		if (!at || len - (size_t)(at - text) < 1 + PN_WIRE_NAME_LEN)
			break;
		type = listens_as(text, at);
		if (type && seen++ >= api->wake_from)
			tried += wake_shown(api, type, at + 1);
		at += MARK_LEN;
	}
	free(text);
	api->wake_from = tried < WAKE_MAX ? 0 : seen;
	return !api->wake_from;
}
