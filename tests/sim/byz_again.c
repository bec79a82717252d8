/* SPDX-License-Identifier: ISC */
/* False answers to lookups, and things said again.
 *
 *	forge	as the anchor of an identity: says nothing, says that it is not known,
 *		gives the first record of it that it ever saw, its own record, or the
 *		right one with changed addresses, whose signature then does not fit
 *	replay	keeps what it sends and hears, and sends some of it again seconds later:
 *		control messages of its own, as they were; packets of others that went
 *		through it, among them old lookup records and answers; sealed frames and
 *		handshakes, back over the link by which they came
 */
#include "tests/sim/byz_int.h"
#include "tests/sim/util.h"

#include "pnstackd/net/lookup.h"

#define KEEP 64			/* of each kind at a node */
#define FIRST 256		/* first records that all forgers together remember */
#define OLD_NS PN_S(2)		/* before that it is not brought back */

struct kept {
	uint64_t at_ns;
	uint32_t adj;
	uint16_t len;
	int link;
	struct pn_lladdr ll;
	uint8_t data[1600];
};

struct memory {
	struct kept message[KEEP], packet[KEEP], frame[KEEP];
	uint32_t messages, packets, frames;
};

struct first {
	uint8_t hit[PN_HIT_LEN];
	uint16_t len;
	uint8_t raw[ADDR_RECORD_MAX];
};

static struct memory **memories; /* of each node that replays */
static uint32_t memory_count;
static struct first *firsts;
static uint32_t first_count;

void again_start(uint32_t nodes)
{
	memories = sim_calloc(nodes, sizeof(struct memory *));
	memory_count = nodes;
	firsts = sim_calloc(FIRST, sizeof(*firsts));
	first_count = 0;
}

void again_end(void)
{
	uint32_t i;

	for (i = 0; i < memory_count; i++)
		free(memories[i]);
	free(memories);
	free(firsts);
	memories = NULL;
	firsts = NULL;
	memory_count = 0;
}

static bool chance(unsigned percent)
{
	return rng_below(byz_rng(), 100) < percent;
}

/* --- lookups ----------------------------------------------------------------- */

/* The first record of an identity that was ever seen; a new one is remembered */
static const struct first *first_find(const uint8_t hit[PN_HIT_LEN])
{
	uint32_t i;

	for (i = 0; i < first_count; i++)
		if (!memcmp(firsts[i].hit, hit, PN_HIT_LEN))
			return &firsts[i];
	return NULL;
}

static const struct first *first_of(const struct addr_record *rec, const uint8_t *raw, size_t len)
{
	const struct first *known = first_find(rec->hit);

	if (known)
		return known;
	if (first_count == FIRST || len > sizeof(firsts->raw))
		return NULL;
	memcpy(firsts[first_count].hit, rec->hit, PN_HIT_LEN);
	memcpy(firsts[first_count].raw, raw, len);
	firsts[first_count].len = (uint16_t)len;
	return &firsts[first_count++];
}

size_t again_answer(struct net *net, const uint8_t *payload, size_t len, uint8_t *buf, size_t cap)
{
	const struct first *first;
	struct addr_record rec;
	size_t own;

	memcpy(buf, payload, len);
	if (len <= LOOKUP_ANSWER_LEN || payload[0] != LOOKUP_ANSWER ||
	    addr_record_parse(&rec, payload + LOOKUP_ANSWER_LEN, len - LOOKUP_ANSWER_LEN) < 0)
		return len;
	/* what he has signed for one answer is good for nothing else */
	first = payload[2] == ANSWER_HIMSELF
			? first_find(rec.hit)
			: first_of(&rec, payload + LOOKUP_ANSWER_LEN, len - LOOKUP_ANSWER_LEN);
	byz_act();
	switch (rng_below(byz_rng(), 5)) {
	case 0:
		return 0;
	case 1:
		buf[2] = ANSWER_UNKNOWN;
		return LOOKUP_ANSWER_LEN;
	case 2:
		own = net_own_record(net, buf + LOOKUP_ANSWER_LEN, cap - LOOKUP_ANSWER_LEN);
		return own ? LOOKUP_ANSWER_LEN + own : 0;
	case 3:
		if (!first)
			return 0;
		PN_ASSERT((size_t)LOOKUP_ANSWER_LEN + first->len <= cap);
		buf[2] = ANSWER_RECORD;
		memcpy(buf + LOOKUP_ANSWER_LEN, first->raw, first->len);
		return LOOKUP_ANSWER_LEN + first->len;
	default:
		/* the addresses stand before the signature */
		buf[len - 64 - 1 - rng_below(byz_rng(), 8)] ^= (uint8_t)(1 + rng_below(byz_rng(), 255));
		return len;
	}
}

size_t again_query(const uint8_t *payload, size_t len, uint8_t *buf, size_t cap)
{
	const struct first *first;

	if (len < LOOKUP_QUERY_LEN || payload[0] != LOOKUP_QUERY)
		return 0;
	first = first_find(payload + LOOKUP_QUERY_LEN - 8 - PN_HIT_LEN);
	byz_act();
	buf[0] = LOOKUP_ANSWER;
	buf[1] = payload[1] & (uint8_t)~LOOKUP_STEP_HIMSELF; /* step */
	buf[2] = ANSWER_UNKNOWN;
	memcpy(buf + 3, payload + 3, 8); /* query id */
	switch (rng_below(byz_rng(), 3)) {
	case 0:
		return 0;
	case 1:
		return LOOKUP_ANSWER_LEN;
	default: /* as if himself had said it */
		if (!first || (size_t)LOOKUP_ANSWER_LEN + first->len > cap)
			return LOOKUP_ANSWER_LEN;
		buf[2] = ANSWER_HIMSELF;
		memcpy(buf + LOOKUP_ANSWER_LEN, first->raw, first->len);
		return LOOKUP_ANSWER_LEN + first->len;
	}
}

/* --- replay ---------------------------------------------------------------------- */

static struct memory *memory_of(const struct net *net)
{
	uint32_t node = byz_node(net);

	if (!memories[node])
		memories[node] = sim_calloc(1, sizeof(struct memory));
	return memories[node];
}

static void keep(struct kept *ring, uint32_t *count, uint32_t adj, const uint8_t *data, size_t len)
{
	struct kept *k = &ring[(*count)++ % KEEP];

	*k = (struct kept){ .at_ns = byz_time(), .adj = adj };
	k->len = (uint16_t)pn_min(len, sizeof(k->data));
	memcpy(k->data, data, k->len);
}

/* One that is old enough, sometimes; NULL: none */
static const struct kept *old_one(const struct kept *ring, uint32_t count, unsigned percent)
{
	const struct kept *k;

	if (count == 0 || !chance(percent))
		return NULL;
	k = &ring[rng_below(byz_rng(), pn_min(count, KEEP))];
	return k->at_ns + OLD_NS <= byz_time() ? k : NULL;
}

size_t again_message(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, uint8_t *buf)
{
	struct memory *m = memory_of(net);
	const struct kept *old = old_one(m->message, m->messages, 30);
	size_t n = 0;

	/* what was told to one neighbour is said to another just as well */
	if (old && old->len <= ADJ_CTL_MAX) {
		memcpy(buf, old->data, old->len);
		n = old->len;
		byz_act();
	}
	if (chance(50))
		keep(m->message, &m->messages, adj, msg, len);
	return n;
}

void again_told(struct net *net, uint32_t adj, const uint8_t *msg, size_t len)
{
	struct memory *m = memory_of(net);

	keep(m->message, &m->messages, adj, msg, len);
}

size_t again_tell(struct net *net, uint32_t *adj, uint8_t *buf)
{
	const struct memory *m = memory_of(net);
	const struct kept *k;

	if (m->messages == 0)
		return 0;
	k = &m->message[rng_below(byz_rng(), pn_min(m->messages, KEEP))];
	if (k->len > ADJ_CTL_MAX)
		return 0;
	memcpy(buf, k->data, k->len);
	*adj = k->adj;
	return k->len;
}

struct pn_pkt *again_packet(struct net *net, uint32_t *adj, const struct pn_pkt *pkt)
{
	struct memory *m = memory_of(net);
	const struct kept *old = old_one(m->packet, m->packets, 20);
	struct pn_pkt *again = NULL;

	if (old && adj_at(net, old->adj) && (again = pn_pkt_get(net->pool))) {
		memcpy(pn_pkt_append(again, old->len), old->data, old->len);
		*adj = old->adj;
		byz_act();
	}
	if (chance(30))
		keep(m->packet, &m->packets, *adj, pkt->data, pkt->len);
	return again;
}

void again_frame(struct net *net, const struct pn_pkt *pkt)
{
	struct memory *m = memory_of(net);
	const struct kept *old = old_one(m->frame, m->frames, 10);
	struct pn_pkt *again;

	if (old && (again = pn_pkt_get(net->pool))) {
		memcpy(pn_pkt_append(again, old->len), old->data, old->len);
		again->link = old->link;
		again->ll = old->ll;
		pn_pktq_push(&net->out, again);
		byz_act();
	}
	if (chance(10)) {
		keep(m->frame, &m->frames, 0, pkt->data, pkt->len);
		m->frame[(m->frames - 1) % KEEP].link = pkt->link;
		m->frame[(m->frames - 1) % KEEP].ll = pkt->ll;
	}
}
