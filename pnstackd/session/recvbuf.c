/* SPDX-License-Identifier: ISC */
/* What came for a program: a list of chunks, bytes in order.  The stream's
 * flow-control window bounds it, which is opened only as bytes are consumed. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

void recvbuf_init(struct recvbuf *b)
{
	memset(b, 0, sizeof(*b));
}

void recvbuf_fini(struct recvbuf *b)
{
	struct chunk *c, *next;

	for (c = b->head; c; c = next) {
		next = c->next;
		free(c);
	}
	recvbuf_init(b);
}

static struct chunk *grow(struct recvbuf *b, size_t want)
{
	size_t size = CHUNK_MIN;
	struct chunk *c;

	/* the fuller, the larger, so that an idle stream holds little */
	while (size < CHUNK_MAX && size < b->bytes + want + sizeof(*c))
		size *= 2;
	c = malloc(size);
	if (!c)
		return NULL;
	c->cap = (uint32_t)(size - sizeof(*c));
	c->start = c->end = 0;
	c->next = NULL;
	if (b->tail)
		b->tail->next = c;
	else
		b->head = c;
	b->tail = c;
	return c;
}

bool recvbuf_put(struct recvbuf *b, const uint8_t *data, size_t len)
{
	while (len) {
		struct chunk *c = b->tail;
		size_t n;

		if (!c || c->end == c->cap) {
			c = grow(b, len);
			if (!c)
				return false;
		}
		n = pn_min(len, c->cap - c->end);
		memcpy(c->data + c->end, data, n);
		c->end += (uint32_t)n;
		b->bytes += n;
		data += n;
		len -= n;
	}
	return true;
}

const uint8_t *recvbuf_peek(const struct recvbuf *b, size_t *len)
{
	*len = b->head ? b->head->end - b->head->start : 0;
	return b->head ? b->head->data + b->head->start : NULL;
}

void recvbuf_consume(struct recvbuf *b, size_t len)
{
	PN_ASSERT(len <= b->bytes);
	b->bytes -= len;
	while (len) {
		struct chunk *c = b->head;
		size_t n = pn_min(len, c->end - c->start);

		c->start += (uint32_t)n;
		len -= n;
		if (c->start < c->end)
			return;
		if (!c->next && c->cap < CHUNK_MIN) {
			c->start = c->end = 0;	/* keep one small chunk */
			return;
		}
		b->head = c->next;
		if (!b->head)
			b->tail = NULL;
		free(c);
	}
}
