// SPDX-License-Identifier: ISC
/* The lookup service: records, registering, asking, handing on. */
#define FAKE_NAME(x_) tl_##x_
#include "tests/unit/fake_net.h"

static size_t make(unsigned node, uint64_t seq, uint16_t n, uint8_t *buf)
{
	struct addr_record rec = { .seq = seq, .stamp = 1, .lifetime_s = 100, .count = n };
	uint64_t own = w.vertex[w.node[node]->vertex[0]].addr;

	rec.base = (uint8_t)w.vertex[0].height;
	rec.area = w_area(own, rec.base);
	for (unsigned i = 0; i < n; i++)
		rec.addrs[i] = addr_low(own ^ i, rec.base);
	return addr_record_build(w_net(node), &rec, NULL, buf, ADDR_RECORD_MAX);
}

static void records(void)
{
	static const uint16_t counts[] = { 1, 2, 5, NET_ADDRS_MAX };
	uint8_t buf[ADDR_RECORD_MAX];
	struct addr_record out;

	w_line(2);
	w_start(1, 16, 16);
	for (unsigned i = 0; i < 4; i++) {
		size_t len = make(0, 77, counts[i], buf);

		CU_ASSERT_EQUAL(len, ADDR_RECORD_MIN + counts[i] - 1u);
		CU_ASSERT_EQUAL(addr_record_parse(&out, buf, len), 0);
		CU_ASSERT_EQUAL(addr_record_verify(&out, NULL, buf, len), 0);
		CU_ASSERT_EQUAL(memcmp(out.id, w_net(0)->id, PN_ID_LEN), 0);
		CU_ASSERT_EQUAL(memcmp(out.hit, w_net(0)->hit, PN_HIT_LEN), 0);
		CU_ASSERT_EQUAL(out.seq, 77);
		CU_ASSERT_EQUAL(out.lifetime_s, 100);
		CU_ASSERT_EQUAL(out.count, counts[i]);
		CU_ASSERT_EQUAL(out.addrs[counts[i] - 1],
				addr_low(w.vertex[0].addr ^ (counts[i] - 1u), out.base));
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = unit_copy(buf, cut);

			CU_ASSERT_EQUAL(addr_record_parse(&out, copy, cut), PN_EBADMSG);
			free(copy);
		}
	}
	w_end();
}

/* No bit can be changed. */
static void forgery(void)
{
	uint8_t buf[ADDR_RECORD_MAX];
	struct addr_record out;
	unsigned accepted = 0;
	size_t len;

	w_line(2);
	w_start(1, 16, 16);
	len = make(0, 5, 3, buf);
	for (size_t i = 0; i < len; i++) {
		buf[i] ^= (uint8_t)(1u << i % 8);
		if (addr_record_parse(&out, buf, len) == 0 && addr_record_verify(&out, NULL, buf,
										 len) == 0)
			accepted++;
		buf[i] ^= (uint8_t)(1u << i % 8);
	}
	CU_ASSERT_EQUAL(accepted, 0);
	w_end();
}

/* Return: whether node @a finds node @b with its right address */
static bool finds(unsigned a, const uint8_t *hit, uint64_t *took_ns, struct net_event *ev)
{
	struct pn_time start = w.now;
	static uint64_t token = 100;

	token++;
	net_lookup(w_net(a), hit, token, w.now);
	for (unsigned i = 0; i < 6000; i++) {
		if (w_event_of(a, NET_EV_LOOKUP, ev)) {
			CU_ASSERT_EQUAL(ev->token, token);
			*took_ns = pn_time_since(w.now, start);
			return ev->addr_count > 0;
		}
		w_run(PN_MS(1));
	}
	CU_FAIL("no answer in 6 s");
	return false;
}

static bool has_addr(unsigned node, uint64_t addr)
{
	for (unsigned f = 0; f < w.node[node]->facets; f++) {
		if (w.vertex[w.node[node]->vertex[f]].addr == addr)
			return true;
	}
	return false;
}

static unsigned all_find_all(void)
{
	unsigned failures = 0;
	struct net_event ev;
	uint64_t ns;

	for (unsigned a = 0; a < w.nodes; a++) {
		for (unsigned b = 0; b < w.nodes; b++) {
			if (!finds(a, w_net(b)->hit, &ns, &ev) || !has_addr(b, ev.addrs[0]))
				failures++;
		}
	}
	return failures;
}

/* Copies of a record for the whole network */
static uint32_t records_of(const uint8_t *hit)
{
	uint64_t area = w_area(w.vertex[0].addr, w.vertex[0].height);
	uint32_t n = 0;

	for (unsigned i = 0; i < w.nodes; i++) {
		for (uint8_t r = 0; r < LOOKUP_REPLICAS; r++)
			n += store_find(w_net(i), hit, r, area) != NULL;
	}
	return n;
}

/* ... that there must be: each replica, and a second of each where there is room */
static uint32_t copies(void)
{
	return w.nodes > 1 && w.vertex[0].height >= SECOND_BASE ? 2 * LOOKUP_REPLICAS
								: LOOKUP_REPLICAS;
}

/* Each record of @hit is where its walk ends, and all is acknowledged. */
static bool in_place(const uint8_t *hit)
{
	unsigned first[LOOKUP_REPLICAS] = { 0 };

	for (unsigned i = 0; i < w.nodes; i++) {
		struct stored *s = NULL;

		while ((s = store_next(w_net(i), hit, s))) {
			if (!s->synced || s->handing)
				return false;
			if (s->base == w.vertex[0].height)
				first[s->replica] += where_is(w_net(i), s).place == PLACE_FIRST;
		}
	}
	return first[0] == 1 && first[1] == 1 && first[2] == 1;
}

static const struct registration *widest(unsigned node)
{
	const struct registration *reg = w_net(node)->lookup->regs;

	while (!reg->used || !reg->widest)
		reg++;
	return reg;
}

static void everybody_is_found(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		w_random_graph(seed, seed == 1 ? 1 : 14, (unsigned)seed, seed % 2 ? 0 : 3);
		w_start(seed, 256, 64);
		w_run(PN_S(30));
		CU_ASSERT_EQUAL(all_find_all(), 0);
		for (unsigned i = 0; i < w.nodes; i++) {
			CU_ASSERT_EQUAL(records_of(w_net(i)->hit), copies());
			CU_ASSERT(in_place(w_net(i)->hit));
			for (unsigned r = 0; r < LOOKUP_REPLICAS; r++)
				CU_ASSERT(widest(i)->rep[r].acked);
			CU_ASSERT_EQUAL(w_count(i, COUNT_lookup_bad), 0);
		}
		/* still there after half an hour, and no more of them */
		w_run(PN_S(1800));
		CU_ASSERT_EQUAL(all_find_all(), 0);
		CU_ASSERT_EQUAL(records_of(w_net(0)->hit), copies());
		w_end();
	}
}

static void a_facet_too_many_for_a_short_query(void)
{
	enum { FACETS = 14, FAR = 49 };
	struct net_event ev;
	uint64_t ns;

	/* node 0 has 14 facets: its record is longer than a query usually is.  A line of
	 * other nodes begins at one of them; those far away are in no smaller area with it */
	memset(&w, 0, sizeof(w));
	w.vertices = FAR + 1;
	for (unsigned i = 0; i < w.vertices; i++) {
		w.vertex[i].node = i < FACETS ? 0 : i - FACETS + 1;
		for (unsigned j = 0; j < i && i < FACETS; j++)
			w_edge(i, j);
		if (i >= FACETS)
			w_edge(i, i - 1);
	}
	w_start(3, 64, 16);
	w_run(PN_S(4));
	CU_ASSERT(finds(FAR - FACETS + 1, w_net(0)->hit, &ns, &ev));
	CU_ASSERT_EQUAL(ev.addr_count, FACETS);
	CU_ASSERT(ns < PN_MS(500));
	CU_ASSERT_EQUAL(w_count(FAR - FACETS + 1, COUNT_lookup_bad), 0);
	w_end();
}

static uint64_t counted(enum net_counter_id id)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < w.nodes; i++)
		n += w_count(i, id);
	return n;
}

/* One packet asks in all areas, and whoever is asked for answers himself. */
static void a_query_climbs(void)
{
	struct net_event ev;
	uint64_t ns, hops;

	w_line(40);
	w_start(1, 256, 16);
	w_run(PN_S(4));
	CU_ASSERT(finds(0, w_net(1)->hit, &ns, &ev));
	CU_ASSERT(ns <= 2 * W_LATENCY);  /* next door */
	CU_ASSERT_EQUAL(counted(COUNT_lookup_passed_on), 0);
	hops = w.sent_proto[NET_PROTO_LOOKUP];
	for (unsigned b = 20; b < 40; b++)
		CU_ASSERT(finds(0, w_net(b)->hit, &ns, &ev) && has_addr(b, ev.addrs[0]));
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), 1 + 20);
	CU_ASSERT(counted(COUNT_lookup_passed_on) > 10);
	CU_ASSERT(counted(COUNT_lookup_relayed) + counted(COUNT_fwd_key_met) >= 20);
	/* 30 hops away on average */
	CU_ASSERT(w.sent_proto[NET_PROTO_LOOKUP] - hops < 20 * 2 * 30 * 2);
	w_end();
}

/* What anchors keep leads to somebody else: nobody is told that. */
static void an_old_record(void)
{
	struct addr_record rec = { .seq = UINT64_MAX, .stamp = 1, .lifetime_s = 100, .count = 1 };
	uint8_t raw[ADDR_RECORD_MAX];
	struct net_event ev;
	uint64_t ns;
	size_t len;

	w_line(40);
	w_start(1, 256, 16);
	w_run(PN_S(4));
	rec.base = (uint8_t)w.vertex[0].height;
	rec.area = w_area(w.vertex[0].addr, rec.base);
	rec.addrs[0] = w.vertex[20].addr;
	len = addr_record_build(w_net(39), &rec, NULL, raw, sizeof(raw));
	for (unsigned i = 0; i < w.nodes; i++) {
		for (uint8_t r = 0; r < LOOKUP_REPLICAS; r++) {
			struct stored *s = store_find(w_net(i), w_net(39)->hit, r, rec.area);

			CU_ASSERT(!s || store_set_raw(w_net(i), s, raw, len));
		}
	}
	CU_ASSERT(!finds(0, w_net(39)->hit, &ns, &ev));
	CU_ASSERT(w_count(0, COUNT_lookup_gone) >= LOOKUP_REPLICAS);
	w_end();
}

static void the_unknown(void)
{
	static const uint8_t nobody[PN_HIT_LEN] = { 0x20, 1, 2, 3 };
	struct net_event ev;
	uint64_t ns, queries;

	w_line(9);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	CU_ASSERT(!finds(0, nobody, &ns, &ev));
	CU_ASSERT_EQUAL(ev.reason, NET_ERR_UNKNOWN);
	CU_ASSERT(ns > PAUSE_NS);        /* asked again after a moment */
	CU_ASSERT(ns < PN_S(5));
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), 3 * (1 + PAUSES_MAX));
	/* remembered: not asked again at once */
	queries = w_count(0, COUNT_lookup_queries);
	CU_ASSERT(!finds(0, nobody, &ns, &ev));
	CU_ASSERT_EQUAL(ns, 0);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), queries);
	w_run(PN_S(2));
	CU_ASSERT(!finds(0, nobody, &ns, &ev));
	CU_ASSERT(w_count(0, COUNT_lookup_queries) > queries);
	/* with nobody answering at all it ends too */
	w_run(PN_S(2));
	w.loss_percent = 100;
	CU_ASSERT(!finds(0, nobody, &ns, &ev));
	CU_ASSERT(ns <= PN_MS(5500));
	w_end();
}

static void shared_queries(void)
{
	struct net_event ev;
	unsigned answers = 0;

	w_line(9);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	for (uint64_t token = 0; token < 20; token++)
		net_lookup(w_net(0), w_net(8)->hit, token, w.now);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), 1);
	w_run(PN_MS(100));
	while (w_event_of(0, NET_EV_LOOKUP, &ev)) {
		CU_ASSERT_EQUAL(ev.token, answers);
		CU_ASSERT_EQUAL(ev.addr_count, 1);
		answers++;
	}
	CU_ASSERT_EQUAL(answers, 20);
	/* more than can wait: refused at once, none forgotten */
	for (uint64_t token = 0; token < LOOKUP_WAITERS + 10; token++)
		net_lookup(w_net(0), w_net(8)->hit, token, w.now);
	w_run(PN_MS(100));
	answers = 0;
	while (w_event_of(0, NET_EV_LOOKUP, &ev))
		answers++;
	CU_ASSERT_EQUAL(answers, LOOKUP_WAITERS + 10);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_busy), 10);
	/* all queries in use */
	for (unsigned i = 0; i < LOOKUP_QUERIES + 5; i++) {
		uint8_t hit[PN_HIT_LEN] = { 0x20, 9, (uint8_t)i };

		net_lookup(w_net(0), hit, i, w.now);
	}
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_busy), 15);
	w_run(PN_S(6));
	answers = 0;
	while (w_event_of(0, NET_EV_LOOKUP, &ev))
		answers++;
	CU_ASSERT_EQUAL(answers, LOOKUP_QUERIES + 5);
	w_end();
}

static void loss(void)
{
	w_random_graph(4, 12, 8, 0);
	w.loss_percent = 20;
	w_start(4, 256, 64);
	w.loss_percent = 20;
	w_run(PN_S(20));
	/* a way of 3 hops and back loses three of four; nine attempts remain */
	CU_ASSERT(all_find_all() <= 7);
	w_end();
}

/* The anchors change because the counts do: the records follow, and nobody is
 * lost meanwhile. */
static void handing_on(void)
{
	uint64_t handed = 0;

	w_random_graph(7, 16, 6, 0);
	w_start(7, 256, 64);
	w_run(PN_S(2));
	w.count_skew = 40;
	for (unsigned i = 0; i < w.nodes; i++)
		store_hurry(w_net(i), w.now);
	w_run(PN_S(4));
	for (unsigned i = 0; i < w.nodes; i++) {
		handed += w_count(i, COUNT_lookup_handed_on);
		CU_ASSERT(in_place(w_net(i)->hit));
	}
	CU_ASSERT(handed > 5);
	CU_ASSERT_EQUAL(all_find_all(), 0);
	w_end();
}

/* An answer that is no news: the other replicas are asked too, and in the end the
 * old record is better than none. */
static void no_news(void)
{
	uint8_t raw[ADDR_RECORD_MAX];
	struct addr_record known;
	uint64_t queries, ns;
	struct net_event ev;

	w_line(9);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	CU_ASSERT_EQUAL(addr_record_parse(&known, raw, net_own_record(w_net(8), raw, sizeof(raw))),
			0);
	queries = w_count(0, COUNT_lookup_queries);
	CU_ASSERT_EQUAL(lookup_start(w_net(0), known.hit, known.seq, false, w.now), 0);
	CU_ASSERT(finds(0, known.hit, &ns, &ev));
	CU_ASSERT_EQUAL(ev.addrs[0], known.addrs[0]);
	CU_ASSERT(ns < PN_MS(200));
	w_run(PN_MS(200));
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), queries + LOOKUP_REPLICAS);
	/* one replica has news */
	CU_ASSERT_EQUAL(lookup_start(w_net(0), known.hit, known.seq - 1, false, w.now), 0);
	w_run(PN_MS(200));
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), queries + LOOKUP_REPLICAS + 1);
	w_end();
}

/* As long as the new anchor has not acknowledged it the old one keeps the record. */
static void nothing_is_lost_in_handing_on(void)
{
	w_random_graph(7, 16, 6, 0);
	w_start(7, 256, 64);
	w_run(PN_S(2));
	w.count_skew = 40;
	w.loss_percent = 100;
	for (unsigned i = 0; i < w.nodes; i++)
		store_hurry(w_net(i), w.now);
	w_run(PN_S(10));
	for (unsigned i = 0; i < w.nodes; i++)
		CU_ASSERT(records_of(w_net(i)->hit) >= LOOKUP_REPLICAS);
	w.loss_percent = 0;
	w_run(PN_S(25));
	for (unsigned i = 0; i < w.nodes; i++)
		CU_ASSERT(in_place(w_net(i)->hit));
	CU_ASSERT_EQUAL(all_find_all(), 0);
	w_end();
}

/* A STORE straight to @node's parser, as if its walk had ended there */
static void store_in(unsigned node, unsigned from, uint8_t replica, const uint8_t *raw, size_t len,
		     uint32_t left_ms)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .flags = NET_HDR_F_KEY,
			       .src = w.vertex[from].addr, .src_tag = w_net(from)->tag };
	uint8_t buf[LOOKUP_PAYLOAD_MAX];
	struct addr_record rec;
	struct pn_wr wr;

	if (addr_record_parse(&rec, raw, len) == 0)
		hdr.dst = lookup_key(rec.hit, replica);
	pn_wr_init(&wr, buf, sizeof(buf));
	pn_wr_u8(&wr, LOOKUP_STORE);
	pn_wr_u8(&wr, replica);
	pn_wr_u8(&wr, 0);
	pn_wr_u32(&wr, left_ms);
	pn_wr_u64(&wr, 1);
	pn_wr_bytes(&wr, raw, len);
	lookup_on_packet(w_net(node), 0, &hdr, buf, wr.len, w.now);
}

/* What @node keeps for @whom under the first key, for the whole network */
static struct stored *found(unsigned node, unsigned whom)
{
	return store_find(w_net(node), w_net(whom)->hit, 0,
			  w_area(0, w.vertex[0].height));
}

static void what_an_anchor_takes(void)
{
	uint8_t buf[ADDR_RECORD_MAX];
	const struct stored *s;
	size_t len;

	w_line(3);
	w_start(1, 64, 16);
	len = make(1, 50, 1, buf);
	store_in(2, 1, 0, buf, len, 5000);
	s = found(2, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->seq, 50);
	CU_ASSERT_EQUAL(pn_time_until(w.now, s->expires), PN_S(5));
	/* the same again does not prolong it, an older one changes nothing */
	store_in(2, 1, 0, buf, len, 90000);
	CU_ASSERT_EQUAL(pn_time_until(w.now, s->expires), PN_S(5));
	CU_ASSERT_EQUAL(w.tail->pkt->data[NET_HDR_LEN + 1], STORED_OK);
	len = make(1, 49, 2, buf);
	store_in(2, 1, 0, buf, len, 90000);
	CU_ASSERT_EQUAL(s->seq, 50);
	CU_ASSERT_EQUAL(w.tail->pkt->data[NET_HDR_LEN + 1], STORED_OLD);
	/* forged */
	len = make(1, 60, 1, buf);
	buf[len - 1] ^= 1;
	store_in(2, 1, 0, buf, len, 90000);
	CU_ASSERT_EQUAL(s->seq, 50);
	CU_ASSERT_EQUAL(w_count(2, COUNT_lookup_bad), 1);
	/* newer; never longer than its own lifetime */
	len = make(1, 60, 1, buf);
	store_in(2, 1, 0, buf, len, UINT32_MAX);
	CU_ASSERT_EQUAL(s->seq, 60);
	CU_ASSERT_EQUAL(pn_time_until(w.now, s->expires), PN_S(100));
	/* no such replica */
	store_in(2, 1, LOOKUP_REPLICAS, buf, len, 1000);
	CU_ASSERT_EQUAL(w_count(2, COUNT_lookup_bad), 2);
	w_end();
}

static void a_full_table(void)
{
	uint8_t buf[ADDR_RECORD_MAX];
	unsigned here;
	size_t len;

	w_line(12);
	w_start(1, 8, 16);
	for (unsigned i = 0; i < 12; i++) {
		len = make(i, 1000, 1, buf);
		store_in(3, i, 0, buf, len, i == 5 ? 1000 : 50000 + i);
	}
	CU_ASSERT_EQUAL(w_net(3)->lookup->record_count, 8);
	CU_ASSERT_EQUAL(w_count(3, COUNT_lookup_full), 4);
	CU_ASSERT_PTR_NULL(found(3, 5));     /* ended first */
	here = 0;
	for (unsigned i = 0; i < 12; i++)
		here += found(3, i) != NULL;
	CU_ASSERT_EQUAL(here, 8);
	/* and records end by themselves */
	w.loss_percent = 100;
	w_run(PN_S(60));
	for (unsigned i = 0; i < 12; i++)
		here -= i != 3 && found(3, i);
	CU_ASSERT_EQUAL(here, 8);
	CU_ASSERT(w_count(3, COUNT_lookup_expired) >= 7);
	w_end();
}

/* An answer is never longer than the query, and answers are limited. */
static void answers(void)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .flags = NET_HDR_F_KEY };
	uint8_t q[LOOKUP_QUERY_WANT] = { LOOKUP_QUERY };
	uint64_t before;

	w_line(2);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	hdr.src = w.vertex[0].addr;
	hdr.src_tag = w_net(0)->tag;
	memcpy(q + 11, w_net(1)->hit, PN_HIT_LEN);
	for (size_t len = 0; len <= sizeof(q); len++) {
		uint8_t *copy = unit_copy(q, len);

		before = w_count(1, COUNT_lookup_answers);

		lookup_on_packet(w_net(1), 0, &hdr, copy, len, w.now);
		CU_ASSERT_EQUAL(w_count(1, COUNT_lookup_answers) - before, len >= LOOKUP_QUERY_LEN);
		if (w.tail && len >= LOOKUP_QUERY_LEN)
			CU_ASSERT(w.tail->pkt->len - NET_HDR_LEN <= len);
		free(copy);
		w_run(PN_MS(20));
	}
	/* about ourselves: each costs us a signature */
	w_run(PN_S(2));
	before = w_count(1, COUNT_lookup_answers);
	for (unsigned i = 0; i < 1000; i++)
		lookup_on_packet(w_net(1), 0, &hdr, q, sizeof(q), w.now);
	CU_ASSERT_EQUAL(w_count(1, COUNT_lookup_answers) - before, SIGNS_PER_SOURCE);
	CU_ASSERT_EQUAL(w_count(1, COUNT_lookup_limited), 1000 - SIGNS_PER_SOURCE);
	/* about somebody else */
	w_run(PN_S(2));
	q[11]++;
	before = w_count(1, COUNT_lookup_answers);
	for (unsigned i = 0; i < 1000; i++)
		lookup_on_packet(w_net(1), 0, &hdr, q, sizeof(q), w.now);
	CU_ASSERT_EQUAL(w_count(1, COUNT_lookup_answers) - before, ANSWERS_PER_SOURCE);
	/* and from many */
	w_run(PN_S(2));
	q[11]--;
	before = w_count(1, COUNT_lookup_answers);
	for (unsigned i = 0; i < 4 * SIGNS_PER_NODE; i++) {
		hdr.src = (uint64_t)i << LIMIT_BLOCK_BITS;
		lookup_on_packet(w_net(1), 0, &hdr, q, sizeof(q), w.now);
	}
	CU_ASSERT_EQUAL(w_count(1, COUNT_lookup_answers) - before, SIGNS_PER_NODE);
	w_end();
}

/* An anchor that knows the number of a query cannot make us check signatures without end. */
static void a_flood_of_answers(void)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .src = 5 };
	uint8_t buf[LOOKUP_QUERY_MAX];
	struct net_event ev;
	struct pn_wr h;
	size_t len;

	w_line(12);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	net_lookup(w_net(0), w_net(11)->hit, 1, w.now);
	CU_ASSERT_FATAL(w_net(0)->lookup->queries[0].used);
	pn_wr_init(&h, buf, sizeof(buf));
	pn_wr_u8(&h, LOOKUP_ANSWER);
	pn_wr_u8(&h, 0);
	pn_wr_u8(&h, ANSWER_RECORD);
	pn_wr_u64(&h, w_net(0)->lookup->queries[0].qid);
	len = h.len + make(11, 5, 1, buf + h.len);
	buf[len - 1] ^= 1;
	for (unsigned i = 0; i < 1000; i++)
		lookup_on_packet(w_net(0), 0, &hdr, buf, len, w.now);
	CU_ASSERT(w_count(0, COUNT_lookup_bad) <= STORES_PER_SOURCE);
	CU_ASSERT(w_count(0, COUNT_lookup_limited) >= 1000 - STORES_PER_SOURCE);
	w_run(PN_S(1));
	CU_ASSERT(w_event_of(0, NET_EV_LOOKUP, &ev));
	CU_ASSERT_EQUAL(ev.addr_count, 1);
	w_end();
}

static CU_TestInfo tests[] = {
	{ "records", records },
	{ "forgery", forgery },
	{ "everybody is found", everybody_is_found },
	{ "a long record", a_facet_too_many_for_a_short_query },
	{ "a query climbs", a_query_climbs },
	{ "an old record", an_old_record },
	{ "the unknown", the_unknown },
	{ "shared queries", shared_queries },
	{ "loss", loss },
	{ "no news", no_news },
	{ "handing on", handing_on },
	{ "nothing is lost in handing on", nothing_is_lost_in_handing_on },
	{ "what an anchor takes", what_an_anchor_takes },
	{ "a full table", a_full_table },
	{ "answers", answers },
	{ "a flood of answers", a_flood_of_answers },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_lookup;
CU_SuiteInfo suite_lookup = { .pName = "lookup", .pTests = tests };
