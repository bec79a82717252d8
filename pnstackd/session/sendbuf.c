/* SPDX-License-Identifier: ISC */
/* What a program wrote to a stream.
 *
 * Theory of operation: a list of chunks.  Bytes are appended at the tail and
 * never move, because ngtcp2 keeps pointers to them until they are
 * acknowledged; a chunk is freed when all of it is.  Offsets count from the
 * first byte the program ever wrote:
 *
 *	base            sent             end
 *	| at the peer?  | not yet given  |
 *
 * @at/@at_off is the place of @sent; it stands in a chunk that exists as long
 * as there is one, perhaps at its very end.  The owner of the stream bounds
 * end - base. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

void sendbuf_init(struct sendbuf *b)
{
	memset(b, 0, sizeof(*b));
	b->chunk_size = CHUNK_MIN;
}

void sendbuf_fini(struct sendbuf *b)
{
	struct chunk *c, *next;

	for (c = b->head; c; c = next) {
		next = c->next;
		free(c);
	}
	b->head = b->tail = b->at = NULL;
}

uint8_t *sendbuf_space(struct sendbuf *b, size_t *len)
{
	struct chunk *c = b->tail;

	if (!c || c->end == c->cap) {
		c = malloc(b->chunk_size);
		if (!c)
			return NULL;
		c->cap = (uint32_t)(b->chunk_size - sizeof(*c));
		c->next = NULL;
		c->start = c->end = 0;
		if (b->tail) {
			b->tail->next = c;
		} else {
			b->head = b->at = c;
			b->at_off = 0;
		}
		b->tail = c;
		if (b->chunk_size < CHUNK_MAX)
			b->chunk_size *= 2;
	}
	*len = c->cap - c->end;
	return c->data + c->end;
}

void sendbuf_commit(struct sendbuf *b, size_t len)
{
	PN_ASSERT(b->tail || !len);
	if (!len)
		return;
	PN_ASSERT(len <= b->tail->cap - b->tail->end);
	b->tail->end += (uint32_t)len;
	b->end += len;
}

size_t sendbuf_vec(struct sendbuf *b, ngtcp2_vec *vec, size_t max, uint64_t *bytes)
{
	struct chunk *c = b->at;
	uint32_t off = b->at_off;
	size_t n = 0;

	*bytes = 0;
	for (; c && n < max; c = c->next, off = 0) {
		if (off == c->end)
			continue;
		vec[n].base = c->data + off;
		vec[n].len = c->end - off;
		*bytes += vec[n++].len;
	}
	return n;
}

void sendbuf_advance(struct sendbuf *b, uint64_t bytes)
{
	PN_ASSERT(bytes <= b->end - b->sent);
	b->sent += bytes;
	while (bytes) {
		uint32_t here = b->at->end - b->at_off;

		if (bytes <= here) {
			b->at_off += (uint32_t)bytes;
			return;
		}
		bytes -= here;
		b->at = b->at->next;
		b->at_off = 0;
	}
}

void sendbuf_acked(struct sendbuf *b, uint64_t upto)
{
	while (b->base < upto) {
		struct chunk *c = b->head;
		uint64_t n;

		PN_ASSERT(c);
		n = pn_min(c->end - c->start, upto - b->base);
		c->start += (uint32_t)n;
		b->base += n;
		if (c->start < c->end || (c == b->tail && c->end < c->cap && c->cap < CHUNK_MIN)) {
			if (b->base == b->end) {
				/* all acknowledged: a small chunk serves again */
				c->start = c->end = 0;
				b->at_off = 0;
			}
			return;
		}
		if (c == b->tail && b->sent < b->end)
			return;
		if (b->at == c) {
			b->at = c->next;
			b->at_off = 0;
		}
		b->head = c->next;
		if (!b->head)
			b->tail = NULL;
		free(c);
	}
}
