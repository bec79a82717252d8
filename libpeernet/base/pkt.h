/* SPDX-License-Identifier: ISC */
/* Packet buffers.
 *
 * A packet is a small record and a buffer, both from a pool that is made once:
 *
 *	buf          data            data+len                    buf+cap
 *	| headroom   | what is in it | room (pn_pkt_room)        |
 *
 * Headers are put before the data (pn_pkt_push) and taken off (pn_pkt_pull)
 * without moving it.  A fresh packet has PN_PKT_HEADROOM bytes before the data
 * and the pool's payload size plus PN_PKT_TAILROOM behind, for tags.
 *
 * A packet has one owner at a time: whoever got it, or the queue it is in.
 * A function that "takes" a packet puts it back or hands it on. */
#ifndef PN_PKT_H
#define PN_PKT_H

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * struct pn_lladdr - A station on a link
 * @len:	Bytes in @b: 6 for a MAC address; 18 for UDP, which is an IPv6
 *		(or v4-mapped) address and a port, big endian; 0 for none
 * @b:		The address; bytes from @len on do not matter
 */
struct pn_lladdr {
	uint8_t len;
	uint8_t b[PN_LLADDR_MAX];
};

#define PN_LLADDR_MAC_LEN	6	/* bytes */
#define PN_LLADDR_UDP_LEN	18	/* bytes */

/**
 * struct pn_pkt - A packet
 * @next:	Next in the queue or free list that owns it, else NULL
 * @buf:	Start of its memory, the pool's
 * @cap:	Bytes at @buf
 * @data:	First byte of what is in it, within @buf
 * @len:	Bytes at @data
 * @link:	Index of the link it came by or goes out by, -1 for none
 * @ll:		Station on @link: the sender of a packet that came in, the
 *		receiver of one that goes out; empty if unknown
 * @src:	Address of the sending node, 0 if not set
 * @dst:	Address of the receiving node, 0 if not set
 * @tag:	Free for the layer that owns the packet
 * @flow:	Hash of the flow, which keeps its packets on one path
 * @proto:	Protocol of the payload
 * @ecn:	The two ECN bits, as in IP
 * @in_pool:	It is free: nobody may use it (guards against a double put)
 * @cookie:	Free for the layer that owns the packet
 */
struct pn_pkt {
	struct pn_pkt *next;
	uint8_t *buf;
	uint8_t *data;
	uint32_t cap;
	uint32_t len;
	int32_t link;
	struct pn_lladdr ll;
	uint64_t src;
	uint64_t dst;
	uint64_t cookie;
	uint32_t tag;
	uint16_t flow;
	uint8_t proto;
	uint8_t ecn;
	bool in_pool;
};

/**
 * struct pn_pool - All packets of a process
 * @free:		Packets that were given back, linked by @next
 * @pkts:		All packets, an array of @count
 * @bufs:		Their buffers, of @buf_size each
 * @count:		Packets in all
 * @fresh:		Packets that were ever used: memory behind these is untouched
 * @free_count:		Packets that are free
 * @payload_size:	Bytes that a fresh packet can hold, tailroom aside
 * @get_failures:	Times that pn_pkt_get() found none
 */
struct pn_pool {
	struct pn_pkt *free;
	struct pn_pkt *pkts;
	uint8_t *bufs;
	size_t buf_size;
	uint32_t count;
	uint32_t fresh;
	uint32_t free_count;
	uint32_t payload_size;
	uint64_t get_failures;
};

/**
 * struct pn_pktq - A queue of packets, first in first out
 * @head:	First packet, owned; NULL if empty
 * @tail:	Last packet; NULL if empty
 * @count:	Packets in it; the caller keeps it within the queue's limit
 */
struct pn_pktq {
	struct pn_pkt *head;
	struct pn_pkt *tail;
	uint32_t count;
};

/* --- stations --------------------------------------------------------- */

/** pn_lladdr_equal() - The same station?
 * Return: true if both are empty, or length and bytes are equal
 */
static inline bool pn_lladdr_equal(const struct pn_lladdr *a,
				   const struct pn_lladdr *b)
{
	PN_ASSERT(a->len <= PN_LLADDR_MAX);
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

/* --- pool ------------------------------------------------------------- */

/** pn_pool_mem_size() - Memory for a pool
 * @count:		Packets, 1 to PN_POOL_MAX
 * @payload_size:	Bytes of each, 1 to PN_DATAGRAM_MAX
 *
 * Return: bytes
 */
size_t pn_pool_mem_size(uint32_t count, uint32_t payload_size);

/** pn_pool_init() - Make a pool, all packets free; memory is touched when they are used
 * @mem:		pn_pool_mem_size() bytes of any alignment, kept
 * @count:		As for pn_pool_mem_size()
 * @payload_size:	As for pn_pool_mem_size()
 */
void pn_pool_init(struct pn_pool *pool, void *mem, uint32_t count,
		  uint32_t payload_size);

/** pn_pkt_get() - Take a packet out of the pool
 * Return: a packet with no data, all fields unset; NULL if none is free
 *	   (counted)
 */
PN_MUST_CHECK struct pn_pkt *pn_pkt_get(struct pn_pool *pool);

/** pn_pkt_put() - Give a packet back
 * @pool:	The pool it came from
 * @pkt:	Packet, taken; in no queue.  NULL does nothing
 *
 * Aborts if it is of another pool or has been put already.
 */
void pn_pkt_put(struct pn_pool *pool, struct pn_pkt *pkt);

/** pn_pkt_reset() - Make a packet as pn_pkt_get() gave it */
void pn_pkt_reset(struct pn_pkt *pkt);

/* --- one packet ------------------------------------------------------- */

/** pn_pkt_headroom() - Bytes free before the data
 * Return: bytes
 */
static inline uint32_t pn_pkt_headroom(const struct pn_pkt *pkt)
{
	return (uint32_t)(pkt->data - pkt->buf);
}

/** pn_pkt_room() - Bytes free behind the data
 * Return: bytes
 */
static inline uint32_t pn_pkt_room(const struct pn_pkt *pkt)
{
	return pkt->cap - pn_pkt_headroom(pkt) - pkt->len;
}

/** pn_pkt_push() - Grow at the front
 * @n:		Bytes, at most pn_pkt_headroom()
 *
 * Return: the new first byte, contents undefined
 */
static inline uint8_t *pn_pkt_push(struct pn_pkt *pkt, uint32_t n)
{
	PN_ASSERT(!pkt->in_pool);
	PN_ASSERT(n <= pn_pkt_headroom(pkt));
	pkt->data -= n;
	pkt->len += n;
	return pkt->data;
}

/** pn_pkt_pull() - Take off at the front
 * @n:		Bytes, at most @len: compare first, a packet may be short
 *
 * Return: the new first byte
 */
static inline uint8_t *pn_pkt_pull(struct pn_pkt *pkt, uint32_t n)
{
	PN_ASSERT(!pkt->in_pool);
	PN_ASSERT(n <= pkt->len);
	pkt->data += n;
	pkt->len -= n;
	return pkt->data;
}

/** pn_pkt_append() - Grow at the end
 * @n:		Bytes, at most pn_pkt_room()
 *
 * Return: the first of the new bytes, contents undefined
 */
static inline uint8_t *pn_pkt_append(struct pn_pkt *pkt, uint32_t n)
{
	uint8_t *end = pkt->data + pkt->len;

	PN_ASSERT(!pkt->in_pool);
	PN_ASSERT(n <= pn_pkt_room(pkt));
	pkt->len += n;
	return end;
}

/** pn_pkt_trim() - Cut at the end
 * @len:	Bytes that remain, at most what there are
 */
static inline void pn_pkt_trim(struct pn_pkt *pkt, uint32_t len)
{
	PN_ASSERT(!pkt->in_pool);
	PN_ASSERT(len <= pkt->len);
	pkt->len = len;
}

/* --- queue ------------------------------------------------------------ */

/** pn_pktq_init() - Make an empty queue */
static inline void pn_pktq_init(struct pn_pktq *q)
{
	q->head = NULL;
	q->tail = NULL;
	q->count = 0;
}

/** pn_pktq_push() - Append a packet
 * @pkt:	Packet, taken; in no queue
 */
void pn_pktq_push(struct pn_pktq *q, struct pn_pkt *pkt);

/** pn_pktq_pop() - Take the first packet
 * Return: the packet, the caller's; NULL if the queue is empty
 */
struct pn_pkt *pn_pktq_pop(struct pn_pktq *q);

/** pn_pktq_splice() - Append all packets of @from, which is empty afterwards
 * @q:		Queue that grows
 * @from:	Another queue
 */
void pn_pktq_splice(struct pn_pktq *q, struct pn_pktq *from);

/** pn_pktq_drain() - Give all packets of a queue back to their pool */
void pn_pktq_drain(struct pn_pktq *q, struct pn_pool *pool);

#endif /* PN_PKT_H */
