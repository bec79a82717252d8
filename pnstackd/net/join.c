/* SPDX-License-Identifier: ISC */
/* join.c - how two networks become one
 *
 * Theory of operation
 *
 * S grafts into D iff (height, root id) of S is smaller: a total order, so no
 * cycles.  All steps are soft state; each is repeated, or times out.
 *
 *  1 A border of S, x, sees in the chain of its neighbour y in D the lowest free
 *    slot that S fits in, and tells the leader of S (CANDIDATE), every
 *    CAND_EVERY_NS as long as the two networks differ.
 *  2 The leader of S collects, longer the taller S is, so that small networks
 *    merge first.  It picks the candidate that gives the lowest tree, then the lowest
 *    slot, but rather one TIE_LEVELS higher if there is another to the same area or it is
 *    within a node, so that S does not hang by one link, and asks x, by address (ASK); again
 *    every ASK_AGAIN_NS, as none of these steps is sure to arrive.
 *  3 x hands the request to y over their link (JOIN), y to the leader of the area
 *    that owns the slot, up its leader route (CLAIM).
 *  4 That leader is the only one that can give the slot away.  It refuses, with an
 *    answer all the way back (REFUSE over y and x, REFUSED up to the leader of S),
 *    if the order or the expected height do not hold any more; or it grants: by
 *    listing S in a new or half empty parent record, on a lease.
 *
 *    Like sizes merge first, also where only a border can see it: x does not graft
 *    S elsewhere, and y takes in no S, while a network smaller than S stands next to
 *    it (smaller_waits()); facets of one node merge last, but where there are only two
 *    and the second has few neighbours.  Otherwise each leaf of a
 *    hub would hang above all that has merged so far, and the tree would get as high
 *    as hubs have leaves.  The smallest network waits for nobody, so there is always
 *    progress; a neighbour that does not come is waited for SETTLE_MAX_NS at most.
 *    A leaf (net_config.leaf) is no border: alone, it grafts into whatever is next to it;
 *    once it is in a network it neither grafts that elsewhere nor takes anybody in.  Two
 *    leaves join only while neither has another kind of neighbour; if one comes, they part
 *    (tree.c): behind a leaf nobody would be reached.
 *  5 The grant needs no message: it is gossip, and y's chain shows it to x.  x
 *    tells the leader of S (JOINED, with the parent's record), which puts S under it.
 *
 * A leader that waits for a grant refuses grants that would make its own tree
 * taller: the promise about the height would not hold.
 *
 * CTL_JOIN, and the payload of NET_PROTO_TREE packets: type 1 | op 1 | hops 1 |
 * flags 1 (bit 0: record follows) | area 8 | root 8 | root epoch 4 | border
 * address 8 | border adjacency 4 | destination root 8 | level 1 | height 1 | reply
 * address 8 | reply adjacency 4 | [record]
 */
#include "pnstackd/net/ctl_int.h"

#include <string.h>

enum join_op { CANDIDATE = 1, ASK, JOIN, CLAIM, REFUSE, REFUSED, JOINED, MOVE };

#define JOIN_LEN 58              /* without the record */
#define ASK_AGAIN_NS PN_MS(200)  /* a request, or what comes of it, may get lost on its way */
#define FACET_FEW 5              /* see border_waits() */
#define JOIN_HOPS 255
#define TIE_LEVELS 3             /* hanging by more than one link is worth a slot so much higher */
#define SLOT_BURST 32            /* slots one adjacency may take at once, */
#define SLOT_REFILL_NS PN_MS(250)/* and one more each; */
#define SLOT_LINK 4              /* all stations of an Ethernet together so many times that */

struct join_msg {
	enum join_op op;
	uint8_t hops;
	bool has_rec;
	uint64_t area;           /* whose leader shall get it */
	uint64_t root;           /* S */
	uint32_t root_epoch;
	uint64_t border_addr;    /* x */
	uint32_t border_adj;     /* x's adjacency to y */
	uint64_t dest_root;      /* area in D that S would stand beside */
	uint8_t level, height;   /* slot; expected height of the merged tree */
	uint64_t reply_addr;     /* y */
	uint32_t reply_adj;      /* y's adjacency to x; CANDIDATE: 1 if they are one node */
	struct rec rec;
};

static size_t join_build(uint8_t *buf, size_t cap, const struct join_msg *m)
{
	struct pn_wr w;

	pn_wr_init(&w, buf, cap);
	pn_wr_u8(&w, CTL_JOIN);
	pn_wr_u8(&w, m->op);
	pn_wr_u8(&w, m->hops);
	pn_wr_u8(&w, m->has_rec);
	pn_wr_u64(&w, m->area);
	pn_wr_u64(&w, m->root);
	pn_wr_u32(&w, m->root_epoch);
	pn_wr_u64(&w, m->border_addr);
	pn_wr_u32(&w, m->border_adj);
	pn_wr_u64(&w, m->dest_root);
	pn_wr_u8(&w, m->level);
	pn_wr_u8(&w, m->height);
	pn_wr_u64(&w, m->reply_addr);
	pn_wr_u32(&w, m->reply_adj);
	PN_ASSERT(w.len == JOIN_LEN);
	if (m->has_rec)
		rec_build(&w, &m->rec);
	PN_ASSERT(pn_wr_ok(&w));
	return w.len;
}

static int join_parse(const uint8_t *buf, size_t len, struct join_msg *out)
{
	struct join_msg m = {0};
	struct pn_rd r;
	unsigned op, flags;

	pn_rd_init(&r, buf, len);
	pn_rd_u8(&r);
	op = pn_rd_u8(&r);
	m.hops = pn_rd_u8(&r);
	flags = pn_rd_u8(&r);
	m.area = pn_rd_u64(&r);
	m.root = pn_rd_u64(&r);
	m.root_epoch = pn_rd_u32(&r);
	m.border_addr = pn_rd_u64(&r);
	m.border_adj = pn_rd_u32(&r);
	m.dest_root = pn_rd_u64(&r);
	m.level = pn_rd_u8(&r);
	m.height = pn_rd_u8(&r);
	m.reply_addr = pn_rd_u64(&r);
	m.reply_adj = pn_rd_u32(&r);
	m.has_rec = flags & 1;
	if (m.has_rec && rec_parse(&r, &m.rec))
		return PN_EBADMSG;
	if (!pn_rd_finish(&r) || op < CANDIDATE || op > MOVE)
		return PN_EBADMSG;
	m.op = op;
	*out = m;
	return 0;
}

static void on_leader_msg(struct net *net, struct facet *f, const struct join_msg *m,
			  struct pn_time now);

static void send_over(struct net *net, uint32_t adj, const struct join_msg *m, struct pn_time now)
{
	uint8_t buf[JOIN_LEN + REC_WIRE_LEN];

	adj_soft_send(net, adj, buf, join_build(buf, sizeof(buf), m), now);
}

/* One step up to the leader of m->area, or we are there. */
static void send_up(struct net *net, struct facet *f, struct join_msg *m, struct pn_time now)
{
	int hop = route_leader_hop(net, f, m->area);

	if (hop == -2)
		on_leader_msg(net, f, m, now);
	else if (hop >= 0 && m->hops-- > 1)
		send_over(net, (uint32_t)hop, m, now);
	else
		count(net, ctl_stale);
}

static void on_addressed(struct net *net, struct join_msg *m, struct pn_time now);

static void send_to(struct net *net, struct facet *f, uint64_t addr, struct join_msg *m,
		    struct pn_time now)
{
	uint8_t buf[JOIN_LEN + REC_WIRE_LEN];
	struct net_hdr h = {.proto = NET_PROTO_TREE, .dst = addr};

	if (addr == f->addr)
		on_addressed(net, m, now);
	else if (fwd_originate(net, f->index, &h, buf, join_build(buf, sizeof(buf), m), now))
		count(net, ctl_stale);
}

/* 1: at the border --------------------------------------------------------- */

int join_slot(const struct net *net, const struct chain *c, unsigned height, unsigned *owner)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		const struct rec *r = chain_rec(net, c, i);
		unsigned low = r->base > height ? r->base : height;

		*owner = i;
		if (!r->parent || low < r->top)
			return low <= REC_LEVEL_MAX ? (int)low : -1;
		if (r->top < height || i + 1u >= c->n)
			continue;
		*owner = i + 1;
		if (!chain_rec(net, c, i + 1)->child[1 - r->bit].id)
			return r->top;
	}
	return -1;
}

/* Return: S with (base, id) grafts into D, not D into S */
static bool grafts_into(const struct rec *s, const struct rec *d)
{
	if ((s->count == REC_COUNT_LEAF) != (d->count == REC_COUNT_LEAF))
		return s->count == REC_COUNT_LEAF;
	return s->base < d->base || (s->base == d->base && s->id < d->id);
}

/* Return: the neighbour's chain lists our root as a child: we are granted */
static bool border_granted(struct net *net, struct facet *f, struct nb *nb, const struct rec *root,
			   struct pn_time now)
{
	struct join_msg m = {.op = JOINED, .hops = JOIN_HOPS, .has_rec = true,
			     .area = root->id, .root = root->id, .root_epoch = root->epoch};
	unsigned i;

	for (i = 1; i < nb->chain.n; i++) {
		const struct rec *q = chain_rec(net, &nb->chain, i);

		if (rec_lists(q, root->id, root->epoch, root->leader) < 0 ||
		    q->base <= root->base ||
		    chain_find(net, &f->chain, q->id) >= 0)
			continue;
		if (pn_time_due(nb->next_joined, now)) {
			nb->next_joined = pn_time_add(now, CAND_EVERY_NS);
			m.rec = *q;
			send_up(net, f, &m, now);
		}
		facet_poke(net, f, nb->next_joined);
		return true;
	}
	return false;
}

/* Is a neighbour of @f, one that came or parted not long ago, in a network smaller than
 * @than?  @than NULL: in any other network than ours, or not known yet? */
static bool smaller_waits(const struct net *net, const struct facet *f, const struct rec *than,
			  struct pn_time now)
{
	for_each_nb(net, f, a) {
		const struct nb *nb = &net->ctl->nbs[a];
		const struct rec *top;

		if (adj_peek(net, a)->kind == ADJ_INTERNAL || nb->in_network ||
		    (adj_peek(net, a)->leaf && (net->leaf || !nb->ready || nb->chain.n > 1)) ||
		    pn_time_since(now, nb->apart_at) >= SETTLE_MAX_NS)
			continue;
		if (!than)
			return true;
		if (!nb->ready || !nb->complete)
			continue;
		top = chain_rec(net, &nb->chain, nb->chain.n - 1u);
		if (top->id != than->id && grafts_into(top, than))
			return true;
	}
	return false;
}

bool leaf_carried(const struct net *net)
{
	for (uint32_t i = 0; i < net->ctl->nb_high; i++) {
		const struct adj_pub *p = adj_peek(net, i);

		if (net->ctl->nbs[i].used && p && !p->leaf && p->kind != ADJ_INTERNAL)
			return true;
	}
	return false;
}

/* May the network with this root graft over this adjacency, as far as leaves matter? */
static bool leaf_border(const struct net *net, uint32_t adj, const struct rec *root)
{
	bool alone = root->count == REC_COUNT_LEAF;

	if (!adj_peek(net, adj)->leaf)
		return alone || !net->leaf;
	return alone && net->leaf && !leaf_carried(net);
}

/* Return: not now; the facet looks again soon */
static bool border_waits(struct net *net, struct facet *f, uint32_t adj, const struct rec *root,
			 struct pn_time now)
{
	if (smaller_waits(net, f, root, now)) {
		facet_poke(net, f, pn_time_add(now, CAND_EVERY_NS));
		return true;
	}
	if (adj_peek(net, adj)->kind != ADJ_INTERNAL)
		return false;
	/* A second facet with few neighbours hangs by them alone: better by its own node. */
	if (net->ctl->facet_count == 2 && facet_at(net, 1)->load <= FACET_FEW)
		return false;
	if (smaller_waits(net, f, NULL, now))
		f->settled_at = pn_time_add(now, SETTLE_NS);
	if (!pn_time_before(now, f->settled_at))
		return false;
	facet_poke(net, f, f->settled_at);
	return true;
}

static void border_candidate(struct net *net, struct facet *f, uint32_t adj, const struct rec *root,
			     struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];
	const struct rec *top = chain_rec(net, &nb->chain, nb->chain.n - 1u);
	struct join_msg m = {.op = CANDIDATE, .hops = JOIN_HOPS, .area = root->id, .root = root->id,
			     .root_epoch = root->epoch, .border_addr = f->addr, .border_adj = adj,
			     .dest_root = top->id};
	unsigned owner;
	int level;

	if (!grafts_into(root, top) || !leaf_border(net, adj, root) ||
	    border_waits(net, f, adj, root, now))
		return;
	if (!pn_time_due(nb->next_cand, now)) {
		facet_poke(net, f, nb->next_cand);
		return;
	}
	level = join_slot(net, &nb->chain, root->base, &owner);
	if (level < 0) {
		count(net, tree_no_slot);
		return;
	}
	nb->next_cand = pn_time_add(now, CAND_EVERY_NS);
	facet_poke(net, f, nb->next_cand);
	owner -= (unsigned)level < chain_rec(net, &nb->chain, owner)->base;
	m.dest_root = chain_rec(net, &nb->chain, owner)->id;
	m.reply_adj = adj_peek(net, adj)->kind == ADJ_INTERNAL;
	m.level = (uint8_t)level;
	m.height = level + 1 > top->base ? (uint8_t)(level + 1) : top->base;
	send_up(net, f, &m, now);
}

void join_offer_move(struct net *net, struct facet *f, unsigned i, unsigned level,
		     struct pn_time now)
{
	const struct rec *r = facet_rec(net, f, i);
	struct join_msg m = {.op = MOVE, .hops = JOIN_HOPS, .area = r->id, .root = r->id,
			     .root_epoch = r->epoch, .level = (uint8_t)level};

	send_up(net, f, &m, now);
}

void join_border(struct net *net, struct facet *f, struct pn_time now)
{
	for_each_nb(net, f, a) {
		struct nb *nb = &net->ctl->nbs[a];
		const struct rec *root = facet_root_rec(net, f);

		if (!root)
			return;
		if (!nb->ready || border_granted(net, f, nb, root, now))
			continue;
		/* Who is in our own area, and has not heard yet that it is a root now, is no way out */
		if (!nb->complete || nb->in_network || chain_find(net, &nb->chain, root->id) >= 0)
			continue;
		if (facet_rehome(net, f, a, now))
			return;          /* that moved it out of the list that we walk; again soon */
		border_candidate(net, f, a, root, now);
	}
}

/* 2: at the leader of S ------------------------------------------------------- */

static void cand_add(struct net *net, struct facet *f, const struct join_msg *m, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	unsigned i;

	if (!root || root->id != m->root || root->leader != f->node_id ||
	    pn_time_before(now, f->pend_until))
		return;
	/* A root with one child: tree.c rids us of it first, if it is we who lead the child.  If
	 * somebody else does he does not know of this, and the root joins as it is. */
	if (f->chain.n > 1 && facet_rec(net, f, f->chain.n - 2u)->bit && !root->child[0].id &&
	    facet_rec(net, f, f->chain.n - 2u)->leader == f->node_id) {
		f->met_at = now;
		facet_poke(net, f, now);
		return;
	}
	if (f->cand_root != root->id)
		f->cand_count = 0;       /* we are another network now, with other borders */
	if (f->cand_count == 0) {
		f->cand_root = root->id;
		f->decide_at = pn_time_add(now, COLLECT_NS + COLLECT_LEVEL_NS * root->base +
					   net_random_u64(net) % COLLECT_NS);
		facet_poke(net, f, f->decide_at);
	}
	for (i = 0; i < f->cand_count; i++)
		if (f->cand[i].border_addr == m->border_addr &&
		    f->cand[i].border_adj == m->border_adj)
			break;
	if (i == CAND_MAX)
		return;                  /* enough to choose from */
	f->cand[i] = (struct cand){
		.border_addr = m->border_addr, .border_adj = m->border_adj, .dest = m->dest_root,
		.within = m->reply_adj == 1, .level = m->level, .height = m->height,
		.hops = (uint8_t)(JOIN_HOPS - m->hops)};
	if (i == f->cand_count)
		f->cand_count++;
}

/* By how many links we would hang at the same place.  More than one survives most
 * crashes, and a link within our own node all that concern us. */
static unsigned cand_ties(const struct facet *f, const struct cand *c)
{
	unsigned links = c->within, i;

	for (i = 0; i < f->cand_count; i++)
		links += f->cand[i].dest == c->dest;
	return links;
}

/* Return: @a is better than @b */
static bool cand_before(const struct facet *f, const struct cand *a, const struct cand *b)
{
	unsigned at = cand_ties(f, a), bt = cand_ties(f, b);
	unsigned al = a->level + (at < 2 ? TIE_LEVELS : 0);
	unsigned bl = b->level + (bt < 2 ? TIE_LEVELS : 0);

	if (a->height != b->height)
		return a->height < b->height;
	return al < bl || (al == bl && at > bt);
}

static const struct cand *cand_best(const struct facet *f)
{
	const struct cand *best = NULL;
	unsigned i;

	for (i = 0; i < f->cand_count; i++)
		if (!best || cand_before(f, &f->cand[i], best))
			best = &f->cand[i];
	return best;
}

/* Ask for what was picked: cand[0], to which nothing is added while we wait */
static void ask(struct net *net, struct facet *f, const struct rec *root, struct pn_time now)
{
	const struct cand *c = &f->cand[0];
	struct join_msg m = {.op = ASK, .hops = JOIN_HOPS, .has_rec = true, .root = root->id,
			     .root_epoch = root->epoch, .border_adj = c->border_adj,
			     .border_addr = c->border_addr, .dest_root = c->dest,
			     .level = c->level, .height = c->height, .rec = *root};

	f->ask_at = pn_time_add(now, ASK_AGAIN_NS + PN_MS(10) * c->hops);
	send_to(net, f, c->border_addr, &m, now);
}

static void decide(struct net *net, struct facet *f, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	const struct cand *c = cand_best(f);

	f->cand_count = 0;
	f->decide_at = PN_TIME_NEVER;
	if (!root || root->id != f->cand_root || root->leader != f->node_id || !c)
		return;
	f->cand[0] = *c;
	f->pend_root = root->id;
	f->pend_until = pn_time_add(now, PEND_NS + PN_MS(10) * f->cand[0].hops);
	count(net, tree_joins);
	ask(net, f, root, now);
}

void join_expire(struct net *net, struct facet *f, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);

	if (root && f->pend_root != root->id)
		f->pend_until = (struct pn_time){0};
	if (pn_time_due(f->decide_at, now))
		decide(net, f, now);
	facet_poke(net, f, f->decide_at);
	if (!root || root->leader != f->node_id || !pn_time_before(now, f->pend_until))
		return;
	if (pn_time_due(f->ask_at, now))
		ask(net, f, root, now);
	facet_poke(net, f, f->ask_at);
}

static void refused(struct facet *f, const struct join_msg *m)
{
	if (f->pend_root == m->root)
		f->pend_until = (struct pn_time){0};
}

/* 5: the grant arrived */
static void joined(struct net *net, struct facet *f, const struct join_msg *m, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	struct rec r;
	int bit;

	if (!root || root->id != m->root || root->leader != f->node_id || !m->has_rec)
		return;
	bit = rec_lists(&m->rec, root->id, root->epoch, root->leader);
	if (bit < 0 || m->rec.base <= root->base)
		return;                  /* we have grown since, or it is not about us */
	if (!rec_height_fits(m->rec.base, m->rec.count, HEIGHT_BELIEF)) {
		count(net, ctl_refused_height);
		return;                  /* nobody else would follow us there */
	}
	if (rec_verify(&m->rec)) {
		count(net, ctl_bad_signature);
		return;
	}
	r = *root;
	r.parent = m->rec.id;
	r.top = (uint8_t)(m->rec.base - 1);
	r.bit = (uint8_t)bit;
	f->pend_until = (struct pn_time){0};
	f->cand_count = 0;
	f->decide_at = PN_TIME_NEVER;
	if (tree_replace(net, f, f->chain.n - 1u, &r, now))
		tree_rebuild(net, f, now);
}

/* 4: at the owner of the slot ---------------------------------------------------- */

static void refuse(struct net *net, struct facet *f, const struct join_msg *m, struct pn_time now)
{
	struct join_msg n = {.op = REFUSE, .hops = JOIN_HOPS, .root = m->root,
			     .root_epoch = m->root_epoch, .reply_adj = m->reply_adj};

	count(net, tree_refusals);
	send_to(net, f, m->reply_addr, &n, now);
}

static bool grant_half_empty(struct net *net, struct facet *f, unsigned i, const struct rec *s,
			     struct pn_time now)
{
	struct rec p = *facet_rec(net, f, i);
	struct rec_child *c = &p.child[1 - facet_rec(net, f, i - 1)->bit];

	if (c->id && c->id != s->id)
		return false;
	*c = (struct rec_child){s->id, s->leader, s->epoch, s->count};
	f->lease[i] = pn_time_add(now, LEASE_NS);
	return tree_replace(net, f, i, &p, now);
}

/* A new area between the i-th of our chain and its parent. */
static bool grant_new_parent(struct net *net, struct facet *f, unsigned i, unsigned level,
			     const struct rec *s, struct pn_time now)
{
	struct rec low = *facet_rec(net, f, i), p;
	rec_ref ref;

	if (f->chain.n >= net->ctl->chain_max)
		return false;
	rec_init(&p, net, f->index, ++f->nonce);
	p.base = (uint8_t)(level + 1);
	p.top = low.top;
	p.bit = low.bit;
	p.parent = low.parent;
	p.child[0] = (struct rec_child){low.id, low.leader, low.epoch, low.count};
	p.child[1] = (struct rec_child){s->id, s->leader, s->epoch, s->count};
	p.count = rec_count_sum(low.count, s->count);
	p.deputy = succeed_deputy(net, &p.child[1], &low);
	rec_sign(net, &p);
	ref = rec_intern(&net->ctl->recs, &p, 0);
	if (!ref)
		return false;
	low.top = (uint8_t)level;
	low.bit = 0;
	low.parent = p.id;
	if (!tree_replace(net, f, i, &low, now)) {
		rec_put(&net->ctl->recs, ref);
		return false;
	}
	/* The new record stands in the chain before it is followed. */
	memmove(&f->chain.at[i + 2], &f->chain.at[i + 1],
		(f->chain.n - i - 1u) * sizeof(f->chain.at[0]));
	memmove(&f->leave_at[i + 2], &f->leave_at[i + 1],
		(f->chain.n - i - 1u) * sizeof(f->leave_at[0]));
	memmove(&f->lease[i + 2], &f->lease[i + 1], (f->chain.n - i - 1u) * sizeof(f->lease[0]));
	memmove(&f->silent[i + 2], &f->silent[i + 1], (f->chain.n - i - 1u) * sizeof(f->silent[0]));
	memmove(&f->stepped[i + 2], &f->stepped[i + 1],
		(f->chain.n - i - 1u) * sizeof(f->stepped[0]));
	f->chain.at[i + 1] = ref;
	f->chain.n++;
	f->leave_at[i + 1] = PN_TIME_NEVER;
	f->silent[i + 1] = PN_TIME_NEVER;
	f->stepped[i + 1] = (struct pn_time){0};
	f->lease[i + 1] = pn_time_add(now, LEASE_NS);
	tree_rebuild(net, f, now);
	return true;
}

/* Find the slot again, on our own chain: it may have gone since. */
static bool grant(struct net *net, struct facet *f, const struct join_msg *m, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	int at = chain_find(net, &f->chain, m->area);
	const struct rec *r;

	if (!root || at < 0 || facet_rec(net, f, (unsigned)at)->leader != f->node_id)
		return false;
	r = facet_rec(net, f, (unsigned)at);
	if (at > 0 && r->base == m->level + 1)
		return grant_half_empty(net, f, (unsigned)at, &m->rec, now);
	if (m->level < r->base || (r->parent && m->level >= r->top))
		return false;
	if (!r->parent && pn_time_before(now, f->pend_until))
		return false;            /* we promised a height ourselves */
	if (m->level >= root->base &&
	    !rec_height_fits(m->level + 1, rec_count_sum(root->count, m->rec.count),
			     HEIGHT_GRANT)) {
		count(net, tree_bounded);
		return false;            /* nobody would believe in that tree */
	}
	return grant_new_parent(net, f, (unsigned)at, m->level, &m->rec, now);
}

/* Granted before: the leader asks again as long as it has not heard of that. */
static bool listed(const struct net *net, const struct facet *f, const struct join_msg *m)
{
	for (unsigned i = 1; i < f->chain.n; i++)
		if (rec_lists(facet_rec(net, f, i), m->root, m->root_epoch, m->rec.leader) >= 0)
			return true;
	return false;
}

static void claim(struct net *net, struct facet *f, const struct join_msg *m, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	unsigned height;

	if (!m->has_rec || m->rec.parent || m->rec.id != m->root || m->level > REC_LEVEL_MAX) {
		count(net, ctl_malformed);
		return;
	}
	if (!root || chain_find(net, &f->chain, m->root) >= 0 || listed(net, f, m)) {
		count(net, ctl_stale);   /* in already: an old request, or an old record replayed */
		return;
	}
	height = m->level + 1u > root->base ? m->level + 1u : root->base;
	if (height > m->height || !grafts_into(&m->rec, root) || m->rec.base > m->level) {
		refuse(net, f, m, now);
		return;
	}
	if (rec_verify(&m->rec)) {
		count(net, ctl_bad_signature);
		return;
	}
	if (grant(net, f, m, now))
		count(net, tree_grants);
	else
		refuse(net, f, m, now);
}

static void on_leader_msg(struct net *net, struct facet *f, const struct join_msg *m,
			  struct pn_time now)
{
	switch (m->op) {
	case CANDIDATE:
		cand_add(net, f, m, now);
		break;
	case CLAIM:
		claim(net, f, m, now);
		break;
	case REFUSED:
		refused(f, m);
		break;
	case JOINED:
		joined(net, f, m, now);
		break;
	case MOVE:
		balance_on_offer(net, f, m->area, m->level, now);
		break;
	case ASK:
	case JOIN:
	case REFUSE:
		count(net, ctl_malformed);
		break;
	}
}

/* 3: y, at the border of D --------------------------------------------------------- */

/* Keys are cheap: many stations of one Ethernet get no more than a few would. */
static bool slot_budget(struct net *net, uint32_t adj, struct pn_time now)
{
	struct ctl *c = net->ctl;
	const struct adj_pub *p = adj_peek(net, adj);

	if (!bucket_take(&c->nbs[adj].slots, SLOT_BURST, SLOT_REFILL_NS, now))
		return false;
	/* a hub's tunnels are one link too, but each is a neighbour of its own */
	return p->kind != ADJ_ETHERNET || p->link < 0 || (uint32_t)p->link >= c->link_max ||
	       bucket_take(&c->link_slots[p->link], SLOT_LINK * SLOT_BURST,
			   SLOT_REFILL_NS / SLOT_LINK, now);
}

static void on_join(struct net *net, struct facet *f, uint32_t adj, struct join_msg *m,
		    struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	unsigned owner;
	int level;

	if (!root || root->id == m->root || !m->has_rec) {
		count(net, ctl_stale);   /* we are on our way elsewhere, or joined already */
		return;
	}
	if (adj_at(net, adj)->kind != ADJ_INTERNAL && !slot_budget(net, adj, now)) {
		count(net, tree_bounded);
		return;
	}
	if ((net->leaf && (m->rec.count != REC_COUNT_LEAF || leaf_carried(net))) ||
	    smaller_waits(net, f, &m->rec, now)) {
		count(net, tree_refusals);
		m->op = REFUSE;
		m->has_rec = false;
		m->reply_adj = adj;
		send_over(net, adj, m, now);
		return;
	}
	level = join_slot(net, &f->chain, m->rec.base, &owner);
	if (level < 0) {
		count(net, tree_no_slot);
		return;
	}
	m->op = CLAIM;
	m->hops = JOIN_HOPS;
	m->level = (uint8_t)level;
	m->area = facet_rec(net, f, owner)->id;
	m->reply_addr = f->addr;
	m->reply_adj = adj;
	send_up(net, f, m, now);
}

/* The adjacency tells the facet: while networks merge, two facets of a node may
 * have the same address in different ones. */
static void on_addressed(struct net *net, struct join_msg *m, struct pn_time now)
{
	uint32_t adj = m->op == ASK ? m->border_adj : m->reply_adj;
	const struct facet *f = nb_facet(net, adj);
	struct nb *nb = f ? &net->ctl->nbs[adj] : NULL;

	if ((m->op != ASK && m->op != REFUSE) || !f ||
	    (m->op == ASK && (f->root != m->root || nb->in_network))) {
		count(net, ctl_stale);   /* that neighbour has gone, or we joined */
		return;
	}
	/* Anybody may send such a packet: it must not use up what the link has for control. */
	if (!bucket_take(&nb->asks, SLOT_BURST, SLOT_REFILL_NS, now)) {
		count(net, tree_bounded);
		return;
	}
	m->has_rec = m->has_rec && m->op == ASK;
	if (m->op == ASK)
		m->op = JOIN;
	send_over(net, adj, m, now);
}

void tree_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		    const uint8_t *payload, size_t len, struct pn_time now)
{
	struct join_msg m;

	(void)hdr;
	(void)facet;
	if (len < 1 || payload[0] != CTL_JOIN || join_parse(payload, len, &m)) {
		count(net, ctl_malformed);
		return;
	}
	on_addressed(net, &m, now);
}

void join_on_soft(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now)
{
	struct facet *f = facet_at(net, net->ctl->nbs[adj].facet);
	struct join_msg m;

	if (join_parse(msg, len, &m)) {
		count(net, ctl_malformed);
		return;
	}
	if (m.has_rec && !gossip_may_check(net, adj, now))
		return;                  /* whoever gets it will have to check it */
	switch (m.op) {
	case CANDIDATE:
	case CLAIM:
	case REFUSED:
	case JOINED:
	case MOVE:
		/* these come up from inside the area: JOIN is the way in, and has a budget */
		if (chain_find(net, &net->ctl->nbs[adj].chain, m.area) < 0)
			count(net, ctl_foreign);
		else
			send_up(net, f, &m, now);
		break;
	case JOIN:
		on_join(net, f, adj, &m, now);
		break;
	case REFUSE:
		m.op = REFUSED;
		m.hops = JOIN_HOPS;
		m.area = m.root;
		send_up(net, f, &m, now);
		break;
	case ASK:
		count(net, ctl_malformed);
		break;
	}
}
