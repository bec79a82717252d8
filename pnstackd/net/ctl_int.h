/* SPDX-License-Identifier: ISC */
/* ctl_int.h - the control plane of a node: facets, their chains, their routes
 *
 *   ctl.c     facets and neighbours come and go; dispatch; deadlines
 *   gossip.c  what neighbours tell each other: chains, records, routes
 *   tree.c    the area tree: absorbing records, a leader's duties, detaching
 *   balance.c what a tree grown crooked does
 *   succeed.c how an area outlives its leader
 *   join.c    how two networks merge: candidates, requests, grants
 *   route.c   distance vector to siblings and leaders, feasible next hops; route_req.c
 *             asks sources for newer numbers, route_tell.c tells neighbours, route_use.c
 *             is how others ask for routes; route_part.c finds the better border
 *   cut.c     packets go around where an area is cut in two
 *   nbhd.c    addresses at most two links away; nbhd_tell.c tells neighbours
 *   guard.c   do neighbours carry data?  circle.c  do packets come back?
 *   view.c    looking in
 */
#ifndef PN_CTL_INT_H
#define PN_CTL_INT_H

#include "pnstackd/net/intern.h"
#include "pnstackd/net/record.h"

#define CHAIN_MAX NET_LEVEL_LIMIT /* a leaf and at most 63 areas above it */
#define FACET_OLD_ADDRS 4        /* addresses of before that we still answer for */
#define CAND_MAX 32              /* merge candidates a root leader collects */
#define FD_MAX 4                 /* feasibility distances kept per destination */

/* Times.  See the theory of operation in tree.c. */
#define TICK_MIN_NS PN_MS(10)        /* between two runs of one facet */
#define GRACE_NS PN_MS(2500)         /* not listed by a living parent: detach after */
#define REPLACED_NS PN_MS(600)       /* the same, if what somebody else leads has its place */
#define LOST_NS PN_MS(400)           /* no route to a leader for so long: it is gone */
#define UNMET_NS PN_S(1)             /* the same, if there never was one */
#define DOUBT_NS PN_MS(1500)         /* so much longer, if neighbours still tell of one */
#define ORPHAN_NS PN_S(3)            /* lost for so long: nobody will succeed it any more */
#define STEP_NS PN_S(5)              /* area and successor count as one for so long */
#define MET_NS PN_S(1)               /* a meeting with another network is so long ago */
#define LIST_NS PN_S(1)              /* a silent sibling keeps its slot */
#define LEASE_NS PN_MS(3000)         /* a granted slot waits for its new owner */
#define OLD_ADDR_NS PN_S(10)
#define CAND_EVERY_NS PN_MS(150)     /* a border repeats what it found */
#define COLLECT_NS PN_MS(50)         /* a leader collects candidates, */
#define COLLECT_LEVEL_NS PN_MS(60)   /* longer by so much for each level of height */
#define PEND_NS PN_MS(700)           /* waits for a grant */
#define SETTLE_NS PN_MS(500)         /* facets of one node merge so long after their neighbours */
#define SETTLE_MAX_NS PN_S(5)        /* so long is a neighbour in another network waited for */
#define SIGN_BURST 400               /* signatures of one neighbour checked at once, */
#define SIGN_REFILL_NS PN_MS(5)      /* and one more each */
#define COMMIT_BURST 256             /* the same for chains that it commits, */
#define COMMIT_REFILL_NS PN_MS(5)
#define REPEAT_BURST 256             /* and for slots that it wants to be told again */
#define REPEAT_REFILL_NS PN_MS(5)
#define AGAIN_NS PN_MS(250)          /* what there was no room for is asked for again */
#define BEAT_NS PN_S(4)              /* leader's sequence number, times 2^(level/2) */

struct chain {
	rec_ref *at;             /* [chain_max], counted; [0] is the leaf, [n-1] the top known */
	uint8_t n;
};

struct bucket {                  /* of tokens; zeroed it is full */
	uint32_t at_us;          /* of the last that were put in; modulo 2^32 */
	uint16_t used;
};

/* Return: there was one, and it is taken.  One comes back each @refill_ns */
static inline bool bucket_take(struct bucket *b, unsigned burst, uint64_t refill_ns,
			       struct pn_time now)
{
	uint32_t now_us = (uint32_t)(now.ns / PN_US(1));
	uint64_t more = (uint64_t)(now_us - b->at_us) * PN_US(1) / refill_ns;

	if (more) {
		b->used = more < b->used ? (uint16_t)(b->used - more) : 0;
		b->at_us = now_us;
	}
	if (b->used >= burst)
		return false;
	b->used++;
	return true;
}

/* What we know of the facet at the other end of one adjacency, and what we told
 * it.  Indexed by adjacency. */
struct nb {
	bool used;
	uint16_t next;           /* of the same facet, index + 1; 0 end */
	bool ready;              /* a whole chain was received */
	bool complete;           /* it ends at a root */
	bool in_network;         /* its root is ours */
	bool fell_out;           /* it was, and now we share no area with it (or we fell out) */
	uint16_t facet;          /* ours */
	uint64_t addr;
	uint8_t common;          /* lowest index of its chain that is in ours too, or n */
	uint8_t common_own;      /* the index in our chain of that area */
	uint64_t inside;         /* bit i: it is in the i-th area of our chain as well */
	struct chain stage;      /* being received */
	struct chain chain;      /* last committed */
	struct chain sent;       /* what we told it */
	bool sent_commit;        /* and told it that this is all */
	bool tx_dirty;           /* something to tell */
	struct pn_time next_cand, next_joined;
	struct pn_time apart_at; /* since when it is in another network */
	struct bucket slots;     /* it may take */
	struct bucket asks;      /* to ask it, or to refuse, that come by packet */
	struct bucket requests;  /* for sequence numbers, that we follow */
	struct bucket checks;    /* of signatures it may cause */
	struct bucket commits;   /* of chains that it may commit */
	struct bucket repeats;   /* of slots that we tell it again */
	uint64_t again;          /* slots of its chain to be told again, */
	struct pn_time again_at; /* which we ask for then */
	bool again_room;         /* some were refused for want of room */
	bool lost;               /* there was no room for a route of its, */
	struct pn_time lost_at;  /* which we ask for then */
	uint64_t cut;            /* slots of its chain: areas of which it reaches little, */
	uint64_t cut_heard;      /* the same as told last: it may have to wait for */
	struct bucket cuts;      /* these */
	uint64_t cut_told;       /* and of ours, as we told it (cut.c) */
};

enum dest_kind { DEST_LEADER, DEST_SIBLING };

/* The area behind a sibling route. */
struct sib {
	uint64_t id, leader;
	uint32_t epoch;
	uint8_t base, count;
	uint16_t zero;           /* no padding: see intern.h */
};

/* What one neighbour advertised for one destination, and what we told it.  There are many
 * of them, and most neighbours tell of the same few sources: these are interned.  Of what we
 * told only a digest is kept: it has to be known whether something else is to be told by now,
 * not what it was. */
struct via {
	uint16_t next;           /* in the list of the destination; 0 end */
	uint16_t adj;
	uint16_t seqno, metric;  /* as heard, link cost not added */
	uint16_t router;         /* source: leader or border node, in ctl.routers; 0: nothing
	                            heard */
	uint16_t sib;            /* as heard, or of the neighbour itself, in ctl.sibs */
	uint32_t told;           /* digest of what was told last; its low bits, */
	uint16_t told_high;      /* and more */
	uint16_t tx_sent : 1;    /* it was told that */
	uint16_t tx_open : 1;    /* and as far as we know believes in a way over us */
	uint16_t tx_want : 1;    /* ask it to tell its route again */
	uint16_t lost : 1;       /* so later: there was no room for it */
	uint16_t direct : 1;     /* the neighbour itself is in the sibling */
	uint16_t unfit : 1;      /* claims what our chain says cannot be */
	uint16_t cheap : 1;      /* claims to cost less than any route can: the last resort */
	uint16_t shunned : 1;    /* so is that: packets came back (circle.c), or do not arrive
	                            (guard.c) */
	uint16_t raised : 1;     /* its source has raised its number since last resorts are doubted */
};
static_assert(sizeof(struct via) == 20, "vias are many");

/* Routes to parts of a sibling (route_part.c).  Metrics: NET_METRIC_INF is none. */
#define PART_BITS 2
#define PARTS (1u << PART_BITS)

struct part_via {                /* a neighbour inside our own area */
	uint16_t next;           /* in the list of the sibling; 0 end */
	uint16_t adj;
	uint16_t metric[PARTS];  /* as heard, link cost not added */
	uint16_t told[PARTS];    /* what it was told */
	uint8_t base, told_base; /* of the sibling that these are of */
};

struct part_nb {                 /* by adjacency: one inside a sibling of ours */
	uint16_t metric[PARTS];  /* from there to the parts of its area, which has */
	uint8_t base;            /* this base */
	uint16_t told[PARTS];    /* what it was told of the area that we are in */
	uint8_t told_base;
	bool want;               /* it shall tell all once more, */
	bool again;              /* or wants to be told so */
};

struct parts {                   /* of one sibling */
	bool used;
	uint8_t base;            /* of the sibling; 0: there are none */
	uint16_t vias;           /* list head, index + 1 */
	uint16_t metric[PARTS];  /* of the best way, cost added, */
	uint16_t adj[PARTS];     /* which begins here */
	uint16_t fd[PARTS];      /* least that was told or used */
	uint32_t until_ms[PARTS];/* no feasible way: until then, modulo 2^32; 0: there is one */
};

struct fd {                      /* feasibility distance, RFC 8966 2.4 */
	uint16_t router;         /* in ctl.routers; 0: free, and so are those that follow */
	uint16_t seqno, metric;
};

struct dest {
	uint64_t area;           /* our own area that it belongs to, for a sibling the line
	                            of that; 0: free entry */
	uint8_t kind;            /* enum dest_kind */
	uint8_t requests;
	uint8_t level;           /* of a sibling: where it hangs */
	bool own;                /* we are the source: leader, or border with a direct via */
	bool had;                /* there was a route since it hangs there */
	uint8_t parts;           /* routes to parts of a sibling, index + 1 in those of the facet;
	                            0 none */
	uint16_t vias;           /* list head, index + 1 */
	uint16_t selected;       /* via index + 1; 0 none */
	uint16_t seqno;          /* ours, as a source */
	uint16_t metric;         /* of the selected route, cost added; INF none */
	uint16_t fd_floor;       /* least distance of a source that had to be forgotten, */
	struct fd fd[FD_MAX];    /* the one used last comes first */
	struct pn_time floor_until; /* until then */
	struct pn_time switch_at;/* a slightly better route is taken then; NEVER: there is none */
	struct pn_time lost_at;  /* since when there is no route; NEVER: there is one */
	struct pn_time next_request;
	struct pn_time next_beat;/* own: raise the sequence number; else: overdue */
	struct pn_time ghost_at; /* in use is a last resort: those whose source has not raised its
	                            number by then are not believed; NEVER: it is no last resort, or a
	                            neighbour in the sibling itself */
};

struct cand {                    /* one border where two networks could merge */
	uint64_t border_addr;    /* of our border node, inside our network */
	uint64_t dest;           /* area that we would stand beside */
	uint32_t border_adj;     /* its adjacency towards the other network */
	bool within;             /* the neighbour is a facet of the same node */
	uint8_t level;           /* slot */
	uint8_t height;          /* of the merged tree */
	uint8_t hops;
};

struct facet {
	bool live;
	uint16_t nb_first;       /* index + 1 of the first of its adjacencies, which rise */
	uint16_t index;
	uint16_t load;           /* point-to-point neighbours and Ethernet links */
	struct pn_time idle_since; /* load 0 */
	uint64_t node_id;
	uint16_t router;         /* that in ctl.routers */
	uint32_t nonce;          /* of the last area made */
	uint32_t leaf_epoch, leaf_seq; /* to start with: of the facet of that number before */
	struct chain chain;
	bool complete;           /* chain ends at a root */
	uint64_t addr;           /* of the last complete chain */
	uint64_t root, root_line;
	uint64_t cut;            /* areas of our chain of which we reach little (cut.c) */
	struct { uint64_t addr; struct pn_time until; } old[FACET_OLD_ADDRS];
	struct pn_time *leave_at; /* [chain_max], as those that follow: areas we lead: not
	                            listed, so detach then; NEVER: listed */
	struct pn_time *lease;   /* areas we lead: slot reserved until */
	struct pn_time *stepped; /* it succeeded another in our chain then */
	struct pn_time *silent;  /* areas we lead: other child silent since */
	struct dest *dests;      /* [dest_max] */
	uint8_t dest_high;       /* all in use are below */
	uint8_t by_level[64];    /* level -> sibling destination + 1; 0 none */
	struct cand cand[CAND_MAX];
	uint8_t cand_count;
	uint64_t cand_root;      /* the root that they are for */
	struct pn_time decide_at;
	struct pn_time pend_until;
	struct pn_time ask_at;   /* meanwhile: ask again then */
	struct pn_time met_at;   /* our half empty root met another network */
	uint64_t pend_root;      /* the root that asked */
	bool part_dirty;         /* routes to parts are to be chosen again, */
	struct pn_time part_at;  /* not before */
	struct pn_time last_tick;
	struct pn_time settled_at; /* our neighbours have been in our network for a while */
	struct pn_time tall_since;         /* too tall for its nodes; NEVER: fine */
	uint8_t rebuilds;                  /* each one is waited for longer */
	uint8_t moves;                     /* the same for areas that move lower */
	uint32_t move_seq;                 /* of its parent's record */
	uint64_t move_area;                /* which wants to; 0 none, */
	struct pn_time move_at;            /* then or soon after */
	struct pn_time move_hold;          /* none before */
	struct pn_time leave_hold;         /* cut.c: nor does a leader leave */
	struct net_timer timer;
};

/* Which of equal ways a flow takes: the one with the highest weight.  Each has its own, so no
 * flow moves when another way comes or goes, or changes its place in a list. */
static inline uint32_t flow_weight(uint16_t flow, uint32_t adj)
{
	uint32_t x = flow * 0x9e3779b1u ^ (adj + 1) * 0x85ebca77u;

	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	return x ^ x >> 13;
}

struct ctl {
	struct facet *facets;
	uint16_t facet_max, facet_count;
	uint8_t dest_max;        /* of each facet */
	uint8_t chain_max;       /* areas in its chain */
	struct nb *nbs;          /* by adjacency */
	uint32_t nb_max;
	uint32_t nb_high;        /* all in use are below */
	struct rec_pool recs;
	uint32_t rec_spare;      /* entries that neighbours' records leave for our own */
	uint32_t rec_quota;      /* one neighbour may bring so many */
	struct bucket *link_slots; /* by link: slots that all behind it may take */
	struct via *vias;
	uint16_t via_max, via_free, via_fresh;   /* fresh: so many were ever used */
	struct intern routers;   /* node ids of the sources of routes */
	struct intern sibs;      /* struct sib */
	struct part_via *part_vias;
	uint16_t part_via_max, part_via_free, part_via_fresh;
	struct part_nb *part_nbs; /* by adjacency */
	struct parts *parts;     /* [facet_max][dest_max / 2] */
	uint32_t link_max;
	struct nbhd *nbhd;       /* nbhd.c */
	int16_t *link_facet;     /* Ethernet link -> facet, -1 */
};

static inline struct facet *facet_at(const struct net *net, uint16_t f)
{
	PN_ASSERT(f < net->ctl->facet_max);
	return &net->ctl->facets[f];
}
static inline const struct rec *chain_rec(const struct net *net, const struct chain *c, unsigned i)
{
	PN_ASSERT(i < c->n);
	return rec_at(&net->ctl->recs, c->at[i]);
}
static inline const struct rec *facet_rec(const struct net *net, const struct facet *f, unsigned i)
{
	return chain_rec(net, &f->chain, i);
}

/* ctl.c */
/** facet_poke() - run the facet's duties soon, and not later than @at */
void facet_poke(struct net *net, struct facet *f, struct pn_time at);
/** nb_first(), nb_next() - walk the adjacencies of a facet; UINT32_MAX at the end */
uint32_t nb_next(const struct net *net, const struct facet *f, uint32_t after);
#define NB_END UINT32_MAX
#define for_each_nb(net, f, a) \
	for (uint32_t a = nb_next(net, f, NB_END); a != NB_END; a = nb_next(net, f, a))
/** nb_facet() - the facet that an adjacency belongs to; NULL if it is not up */
struct facet *nb_facet(const struct net *net, uint32_t adj);
void nb_all_dirty(struct net *net, struct facet *f);
uint16_t nb_cost(const struct net *net, uint32_t adj);     /* >= 1 */

/** nb_start(), nb_stop() - the adjacency belongs to that facet from now on, or to none */
void nb_start(struct net *net, uint32_t adj, uint16_t facet, struct pn_time now);
void nb_stop(struct net *net, uint32_t adj, struct pn_time now);
/** nb_move() - a neighbour in another network than ours belongs to that facet from now on */
void nb_move(struct net *net, uint32_t adj, uint16_t facet, struct pn_time now);

/* facet.c */
/** facet_new() - one more facet, of one leaf, joined to the others.  Return: its number; -1: no
 *  room */
int facet_new(struct net *net, struct pn_time now);
/** facet_choose() - the facet for a new neighbour: its Ethernet's, or the first with room */
uint16_t facet_choose(struct net *net, const struct adj_pub *adj, struct pn_time now);
/** facet_release() - a neighbour of this facet is going */
void facet_release(struct net *net, uint32_t adj, struct facet *f, struct pn_time now);
/** facet_idle() - Return: it has had no neighbours for long, and it is gone now */
bool facet_idle(struct net *net, struct facet *f, struct pn_time now);
/** facet_rehome() - a neighbour in another network may join: not here, if that would only make the
 *  tree taller, but at another facet of ours.  Return: it was moved there */
bool facet_rehome(struct net *net, struct facet *f, uint32_t adj, struct pn_time now);

/* view.c asks */
bool route_via_feasible(const struct net *net, const struct facet *f, const struct dest *d,
			const struct via *v);

/* tree.c */
bool tree_facet_init(struct net *net, struct facet *f);    /* false: no room for its leaf */
void tree_duties(struct net *net, struct facet *f, struct pn_time now);
/** tree_lost_ns() - Return: for so long what we have no way to is waited for, before it counts
 *  as gone */
uint64_t tree_lost_ns(const struct net *net, const struct facet *f, const struct dest *d);
void tree_locate(struct net *net, const struct facet *f, struct nb *nb);
/** tree_replace() - put a new version of an area we lead into our chain: signs it */
bool tree_replace(struct net *net, struct facet *f, unsigned i, struct rec *r, struct pn_time now);
/** tree_rebuild() - the chain changed: extend it, address, routes, neighbours */
void tree_rebuild(struct net *net, struct facet *f, struct pn_time now);
int chain_find(const struct net *net, const struct chain *c, uint64_t area);
const struct rec *facet_root_rec(const struct net *net,
				 const struct facet *f); /* NULL: incomplete */
uint64_t chain_addr(const struct net *net, const struct chain *c);

/** tree_detach() - the i-th area, led by us, becomes a root, and grafts again */
void tree_detach(struct net *net, struct facet *f, unsigned i, struct pn_time now);

/* balance.c */
/** balance_compact() - Return: as low as an area of so many nodes comes out when all goes well
 *  @slack: or so many levels more */
bool balance_compact(const struct rec *r, unsigned slack);
void balance_duties(struct net *net, struct facet *f, struct pn_time now);
/** balance_on_offer() - a border tells of a low slot for an area that we lead */
void balance_on_offer(struct net *net, struct facet *f, uint64_t area, unsigned level,
		      struct pn_time now);

/* succeed.c */
/** area_same() - Return: a neighbour's record is of the i-th area of our chain, or of
 *  its successor or predecessor while that step spreads */
bool area_same(const struct net *net, const struct facet *f, unsigned i, const struct rec *theirs);
/** succeed_of() - Return: the record of who rightfully followed, at a neighbour; 0 none.
 *  Not counted */
rec_ref succeed_of(struct net *net, const struct facet *f, const struct rec *below, rec_ref held);
/** succeed_deputy() - whom to name in a record with these two children */
uint64_t succeed_deputy(const struct net *net, const struct rec_child *other,
			const struct rec *own);
/** succeed_take_over() - the i-th area of ours lost its leader: if we are its deputy, go on
 *  with a successor of it.  Return: done, the chain is another one now */
bool succeed_take_over(struct net *net, struct facet *f, unsigned i, struct pn_time now);
/** succeed_hoped() - Return: somebody else may succeed the i-th area of ours, which has lost its
 *  leader */
bool succeed_hoped(const struct net *net, const struct facet *f, unsigned i);
/** succeed_adopt() - the i-th area, led by us, goes under the successor of its parent */
void succeed_adopt(struct net *net, struct facet *f, unsigned i, struct pn_time now);

/* gossip.c */
enum entry { ENTRY_SET = 1, ENTRY_COMMIT = 2, ENTRY_ROUTE = 3, ENTRY_WANT = 4,
	     ENTRY_AGAIN = 5,
	     ENTRY_LONG = 16,    /* from here on a length of 2 follows: skipped if not known */
	     ENTRY_NBHD = 16, ENTRY_PART = 17, ENTRY_CUT = 18 };
void gossip_send(struct net *net, uint32_t adj, struct pn_time now);
void gossip_on_update(struct net *net, uint32_t adj, struct pn_rd *rd, struct pn_time now);
/** gossip_due() - Return: there is something to tell that neighbour now */
bool gossip_due(struct net *net, uint32_t adj, struct pn_time now);
/** gossip_may_check() - Return: a signature that it sent may be checked; counted if not */
bool gossip_may_check(struct net *net, uint32_t adj, struct pn_time now);
void gossip_forget(struct net *net, struct nb *nb);

/* join.c */
/** join_slot() - the lowest free level >= @height at a node with this chain
 *  Return: level, or -1; @owner: index of the area whose leader owns the slot */
int join_slot(const struct net *net, const struct chain *c, unsigned height, unsigned *owner);
/** join_offer_move() - tell the leader of our i-th area of a slot lower than its own */
void join_offer_move(struct net *net, struct facet *f, unsigned i, unsigned level,
		     struct pn_time now);
/** leaf_carried() - has this node a neighbour that carries traffic for others? */
bool leaf_carried(const struct net *net);
void join_border(struct net *net, struct facet *f, struct pn_time now);
void join_expire(struct net *net, struct facet *f, struct pn_time now);
void join_on_soft(struct net *net, uint32_t adj, const uint8_t *msg, size_t len,
		  struct pn_time now);

/* route.c */
/** route_init() - a new facet, whose node_id is set.  Return: false: no room */
bool route_init(struct net *net, struct facet *f);
/** route_fini() - the facet goes, its neighbours are gone: forget all destinations */
void route_fini(struct net *net, struct facet *f);
void route_sync_dests(struct net *net, struct facet *f, struct pn_time now);
void route_on_chain(struct net *net, struct facet *f, uint32_t adj, struct pn_time now);
void route_neighbour_gone(struct net *net, struct facet *f, uint32_t adj, struct pn_time now);
void route_on_cost(struct net *net, struct facet *f, uint32_t adj, struct pn_time now);
void route_duties(struct net *net, struct facet *f, struct pn_time now);
void route_on_entry(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd,
		    struct pn_time now);
void route_on_want(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd);
void route_on_request(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd,
		      struct pn_time now);
bool route_build(struct net *net, struct facet *f, uint32_t adj, struct pn_wr *w);
struct dest *dest_find(const struct facet *f, enum dest_kind kind, uint64_t area);
static inline bool dest_alive(const struct dest *d)
{
	return d && (d->own || d->metric < NET_METRIC_INF);
}
/** route_leader_hop() - neighbour on the way to the leader of one of our areas;
 *  -1 none, -2 this facet leads it */
int route_leader_hop(struct net *net, struct facet *f, uint64_t area);
/** route_sib() - what the sibling of our chain's i-th area is; NULL: none known
 *  @listed: as long as that one is to be seen, it is it */
const struct sib *route_sib(const struct net *net, const struct facet *f, unsigned i,
			    const struct rec_child *listed);
/** dest_index() - the index of the area of a destination in our chain, -1 */
int dest_index(const struct net *net, const struct facet *f, const struct dest *d);

/* route_part.c */
/** part_carve() - when facets, destinations, vias and neighbours have been counted */
void part_carve(struct ctl *c, struct arena *a);
/** part_start(), part_stop() - a sibling is a destination now, is none any more */
void part_start(struct net *net, struct facet *f, struct dest *d);
void part_stop(struct net *net, struct facet *f, struct dest *d);
/** part_neighbour(), part_neighbour_gone() - an adjacency comes, goes */
void part_neighbour(struct net *net, uint32_t adj);
void part_neighbour_gone(struct net *net, struct facet *f, uint32_t adj);
/** part_want() - a neighbour shall tell all again, also of no way where there was one */
void part_want(struct net *net, uint32_t adj);
/** part_has_room() - for one more neighbour's routes to the parts of one sibling */
bool part_has_room(const struct net *net);
/** part_changed() - routes, costs or areas changed: choose again soon */
void part_changed(struct facet *f);
void part_duties(struct net *net, struct facet *f, struct pn_time now);
/** part_build() - the entry for one neighbour.  Return: everything is told */
bool part_build(struct net *net, struct facet *f, uint32_t adj, struct pn_wr *w);
/** part_on_entry() - what a neighbour tells; kind byte and length are read */
void part_on_entry(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd);

/* cut.c */
void cut_duties(struct net *net, struct facet *f, struct pn_time now);
/** cut_build() - Return: it is told */
bool cut_build(const struct facet *f, struct nb *nb, struct pn_wr *w);
void cut_on_entry(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd,
		  struct pn_time now);
/** cut_outnumbered() - Return: areas that we lead were cut in two, and most of their nodes are
 *  beyond the cut, where the deputy goes on with them: we leave, with our part of the lowest
 *  @piece: out, its index */
bool cut_outnumbered(struct net *net, struct facet *f, unsigned *piece, struct pn_time now);
/** cut_border() - Return: that neighbour, in the sibling itself, reaches little of it */
bool cut_border(const struct net *net, const struct via *v);

/* Control messages, first byte */
enum ctl_msg {
	CTL_UPDATE = 1,          /* reliable: chain, records, routes */
	CTL_SEQNO_REQUEST = 2,   /* soft: a source shall raise its sequence number */
	CTL_JOIN = 3,            /* soft: struct join_msg */
};

#endif
