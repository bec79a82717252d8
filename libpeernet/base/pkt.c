// SPDX-License-Identifier: ISC
/* Packet pool and queue.  The pool's memory is the array of records, then the
 * buffers, each on its own cache lines. */
#include "libpeernet/base/pkt.h"

#define CACHE_LINE	((size_t)64)	/* bytes */

static size_t round_up(size_t n)
{
	return (n + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
}

static size_t buf_size(uint32_t payload_size)
{
	return round_up((size_t)PN_PKT_HEADROOM + payload_size +
			PN_PKT_TAILROOM);
}

size_t pn_pool_mem_size(uint32_t count, uint32_t payload_size)
{
	PN_ASSERT(count > 0);
	PN_ASSERT(count <= PN_POOL_MAX);
	PN_ASSERT(payload_size > 0);
	PN_ASSERT(payload_size <= PN_DATAGRAM_MAX);
	PN_ASSERT(buf_size(payload_size) + sizeof(struct pn_pkt) <=
		  (SIZE_MAX - 2 * CACHE_LINE) / count);
	/* one line more, so that memory of any alignment will do */
	return CACHE_LINE + round_up(count * sizeof(struct pn_pkt)) +
	       count * buf_size(payload_size);
}

void pn_pkt_reset(struct pn_pkt *pkt)
{
	pkt->next = NULL;
	pkt->data = pkt->buf + PN_PKT_HEADROOM;
	pkt->len = 0;
	pkt->link = -1;
	memset(&pkt->ll, 0, sizeof(pkt->ll));
	pkt->src = 0;
	pkt->dst = 0;
	pkt->cookie = 0;
	pkt->tag = 0;
	pkt->flow = 0;
	pkt->proto = 0;
	pkt->ecn = 0;
}

void pn_pool_init(struct pn_pool *pool, void *mem, uint32_t count,
		  uint32_t payload_size)
{
	size_t misfit = (uintptr_t)mem % CACHE_LINE;
	uint8_t *base = mem;

	PN_ASSERT(mem);
	/* asserts the limits of both */
	(void)pn_pool_mem_size(count, payload_size);

	if (misfit)
		base += CACHE_LINE - misfit;
	pool->free = NULL;
	pool->pkts = (struct pn_pkt *)(void *)base;
	pool->bufs = base + round_up(count * sizeof(struct pn_pkt));
	pool->buf_size = buf_size(payload_size);
	pool->count = count;
	pool->fresh = 0;
	pool->free_count = count;
	pool->payload_size = payload_size;
	pool->get_failures = 0;
}

struct pn_pkt *pn_pkt_get(struct pn_pool *pool)
{
	struct pn_pkt *pkt = pool->free;

	if (pkt) {
		PN_ASSERT(pkt->in_pool);
		pool->free = pkt->next;
	} else if (pool->fresh < pool->count) {
		pkt = &pool->pkts[pool->fresh];
		pkt->buf = pool->bufs + pool->fresh++ * pool->buf_size;
		pkt->cap = (uint32_t)pool->buf_size;
	} else {
		pool->get_failures++;
		return NULL;
	}
	PN_ASSERT(pool->free_count > 0);
	pool->free_count--;
	pkt->in_pool = false;
	pn_pkt_reset(pkt);
	return pkt;
}

void pn_pkt_put(struct pn_pool *pool, struct pn_pkt *pkt)
{
	if (!pkt)
		return;
	PN_ASSERT(pkt >= pool->pkts);
	PN_ASSERT(pkt < pool->pkts + pool->fresh);
	PN_ASSERT(!pkt->in_pool);
	PN_ASSERT(!pkt->next);		/* still in a queue */
	pkt->in_pool = true;
	pkt->next = pool->free;
	pool->free = pkt;
	pool->free_count++;
}

void pn_pktq_push(struct pn_pktq *q, struct pn_pkt *pkt)
{
	PN_ASSERT(!pkt->in_pool);
	PN_ASSERT(!pkt->next);
	PN_ASSERT(pkt != q->tail);
	if (q->tail)
		q->tail->next = pkt;
	else
		q->head = pkt;
	q->tail = pkt;
	q->count++;
}

struct pn_pkt *pn_pktq_pop(struct pn_pktq *q)
{
	struct pn_pkt *pkt = q->head;

	if (!pkt)
		return NULL;
	PN_ASSERT(q->count > 0);
	q->head = pkt->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	pkt->next = NULL;
	return pkt;
}

void pn_pktq_splice(struct pn_pktq *q, struct pn_pktq *from)
{
	PN_ASSERT(q != from);
	if (!from->head)
		return;
	if (q->tail)
		q->tail->next = from->head;
	else
		q->head = from->head;
	q->tail = from->tail;
	q->count += from->count;
	pn_pktq_init(from);
}

void pn_pktq_drain(struct pn_pktq *q, struct pn_pool *pool)
{
	struct pn_pkt *pkt;

	while ((pkt = pn_pktq_pop(q)))
		pn_pkt_put(pool, pkt);
}
