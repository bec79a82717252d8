/* SPDX-License-Identifier: ISC */
/* The wire between the two sides: a Unix SEQPACKET socket, a step and its result. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int wire = -1;

static socklen_t path_address(const char *path, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(un->sun_path))
		die("too long: %s", path);
	strcpy(un->sun_path, path);
	return sizeof(*un);
}

void far_connect(const char *path)
{
	struct sockaddr_un un;
	socklen_t len = path_address(path, &un);

	wire = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (wire < 0 || connect(wire, (struct sockaddr *)&un, len))
		die("%s: %s", path, error_name(errno));
}

void far_ask(enum family family, const char *line, struct out *o)
{
	char text[LINE_MAX_ + 1] = { (char)('0' + family) };
	ssize_t n;

	strncpy(text + 1, line, LINE_MAX_ - 1);
	if (send(wire, text, strlen(text), 0) < 0)
		die("far: %s", error_name(errno));
	n = recv(wire, o->text, sizeof(o->text) - 1, 0);
	if (n <= 0)
		die("far has gone, in \"%s\"", line);
	o->text[n] = '\0';
	o->len = (size_t)n;
}

static void serve(void)
{
	char line[LINE_MAX_ + 1];
	struct out o;
	ssize_t n;

	while ((n = recv(wire, line, sizeof(line) - 1, 0)) > 0) {
		line[n] = '\0';
		me.family = (enum family)(line[0] - '0');
		exec_step(line + 1, &o);
		if (send(wire, o.text, o.len, 0) < 0)
			die("near: %s", error_name(errno));
	}
}

void far_serve(const char *path)
{
	struct sockaddr_un un;
	socklen_t len = path_address(path, &un);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&un, len) || listen(fd, 1))
		die("%s: %s", path, error_name(errno));
	wire = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (wire < 0)
		die("%s: %s", path, error_name(errno));
	serve();
	close(fd);
}
