/* SPDX-License-Identifier: ISC */
/* app.h - programs for the session tests: each stream does one thing
 *
 * Bytes follow a pattern made of a number and their offset, so a receiver checks
 * each byte.  A port's number says what its server does.
 */
#ifndef PN_TEST_APP_H
#define PN_TEST_APP_H

#include "fake_net.h"

#define PORT_ECHO	7	/* sends back what it gets, closes after the peer does */
#define PORT_SINK	9	/* reads */
#define PORT_UNREAD	10	/* accepts, never reads */
#define PORT_SOURCE	19	/* sends SOURCE_BYTES, then ends */
#define PORT_FULL	20	/* refuses with PN_EFULL */
#ifndef SOURCE_BYTES
#define SOURCE_BYTES	3000000
#endif
#define APP_STREAMS	1200

struct app_stream {
	int node;
	stream_id id;
	uint8_t salt;
	bool incoming, used, echo, no_read;
	uint16_t port;
	uint64_t to_send, sent, got;
	bool opened, failed, reset, stopped, fin, closed, end_sent, bad;
	int err;
};

struct app {
	struct app_stream s[APP_STREAMS];
	uint32_t count;
	/* the last datagram that came, per node */
	uint8_t dgram[WORLD_NODES][65536];
	size_t dgram_len[WORLD_NODES];
	uint32_t dgram_count[WORLD_NODES];
	uint16_t dgram_src[WORLD_NODES], dgram_dst[WORLD_NODES];
	uint32_t unreachable[WORLD_NODES];
	uint16_t unreachable_src[WORLD_NODES], unreachable_dst[WORLD_NODES];
	uint32_t up[WORLD_NODES], down[WORLD_NODES];
	bool dgram_reply;
};

extern struct app the_app;

uint8_t app_byte(uint8_t salt, uint64_t off);
void app_init(struct world *w);
struct app_stream *app_open(struct world *w, int from, int to, uint16_t port, uint64_t to_send);
struct app_stream *app_open_hit(struct world *w, int from, const uint8_t *hit, uint16_t port);
struct app_stream *app_server_of(struct app_stream *c, int node);
void app_push(struct world *w, struct app_stream *s);
void app_pull(struct world *w, struct app_stream *s);
long app_try(struct world *w, struct app_stream *s); /* writes one byte */
void app_close(struct world *w, struct app_stream *s);

#endif
