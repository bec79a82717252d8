/* SPDX-License-Identifier: ISC */
/* dgram_echo - datagrams, both ends in one program
 *
 * usage: dgram_echo PORT                 sends back every datagram
 *        dgram_echo NAME PORT TEXT       sends TEXT and waits a second for its return
 */
#include <peernet.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int serve(const char *port)
{
	struct sockaddr_pn addr = { .spn_family = AF_PEERNET };
	static char buf[65507];
	int fd = pn_socket(PF_PEERNET, SOCK_DGRAM, 0);

	addr.spn_port = htons((uint16_t)atoi(port));
	if (fd < 0 || pn_bind(fd, &addr, sizeof(addr)) < 0) {
		perror("dgram_echo");
		return 1;
	}
	printf("bound to port %s\n", port);
	fflush(stdout);
	for (;;) {
		struct sockaddr_pn from;
		socklen_t len = sizeof(from);
		ssize_t n = pn_recvfrom(fd, buf, sizeof(buf), 0, &from, &len);

		if (n < 0) {
			perror("pn_recvfrom");
			return 1;
		}
		if (pn_sendto(fd, buf, (size_t)n, 0, &from, len) < 0)
			perror("pn_sendto");
	}
}

static int ask(const char *name, const char *port, const char *text)
{
	int fd = pn_socket(PF_PEERNET, SOCK_DGRAM, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct pn_addrinfo *list;
	static char buf[65507];
	ssize_t n;
	int r = pn_getaddrinfo(name, port, SOCK_DGRAM, &list);

	if (fd < 0 || r != 0) {
		fprintf(stderr, "dgram_echo: %s: %s\n", name, r ? gai_strerror(r) : "no socket");
		return 1;
	}
	/* A connected socket hears only its peer, and learns that nobody listens. */
	r = pn_connect(fd, &list->ai_addr, sizeof(list->ai_addr));
	pn_freeaddrinfo(list);
	if (r < 0 || pn_sendto(fd, text, strlen(text), 0, NULL, 0) < 0) {
		perror("dgram_echo");
		return 1;
	}
	if (poll(&p, 1, 1000) == 0) {
		fprintf(stderr, "dgram_echo: no answer\n");
		return 1;
	}
	n = pn_recvfrom(fd, buf, sizeof(buf), 0, NULL, NULL);
	if (n < 0) {
		perror("pn_recvfrom");
		return 1;
	}
	printf("%.*s\n", (int)n, buf);
	pn_close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return serve(argv[1]);
	if (argc == 4)
		return ask(argv[1], argv[2], argv[3]);
	fprintf(stderr, "usage: dgram_echo PORT\n       dgram_echo NAME PORT TEXT\n");
	return 2;
}
