/* SPDX-License-Identifier: ISC */
/* route_int.h - what the parts of the distance vector share: route.c keeps the tables,
 * route_doubt.c says what is not believed, route_req.c asks sources for newer numbers,
 * route_tell.c tells neighbours, route_use.c answers what others ask */
#ifndef PN_ROUTE_INT_H
#define PN_ROUTE_INT_H

#include "pnstackd/net/ctl_int.h"

#include <string.h>

#define ASK_DOUBTS 3u            /* d->requests does not pass that while we doubt: one a second */
#define NEARLY_EQUAL 2u          /* of NET_COST_UNIT: ways that share the load */

static inline bool seqno_newer(uint16_t a, uint16_t b)
{
	return (int16_t)(a - b) > 0;     /* RFC 8966 3.2.1 */
}

static inline struct via *via_at(const struct net *net, uint16_t ref)
{
	PN_ASSERT(ref != 0);
	return &net->ctl->vias[ref - 1];
}

#define for_each_via(net, d, v) \
	for (struct via *v = (d)->vias ? via_at(net, (d)->vias) : NULL; v; \
	     v = v->next ? via_at(net, v->next) : NULL)

static inline uint16_t via_ref(const struct net *net, const struct via *v)
{
	return v ? (uint16_t)(v - net->ctl->vias + 1) : 0;
}

static inline struct via *via_find(const struct net *net, const struct dest *d, uint32_t adj)
{
	for_each_via(net, d, v)
		if (v->adj == adj)
			return v;
	return NULL;
}

/** route_lost() - there was no room for what a neighbour told, or for what we tell it: again
 *  after AGAIN_NS */
void route_lost(struct net *net, uint32_t adj);
/** dest_at_level() - the sibling there.  Return: NULL: none */
static inline struct dest *dest_at_level(const struct net *net, uint16_t facet, unsigned level)
{
	struct facet *f = facet_at(net, facet);

	if (level >= PN_ARRAY_LEN(f->by_level) || !f->by_level[level])
		return NULL;
	return &f->dests[f->by_level[level] - 1];
}

/** via_have() - the same as via_find(), made if there is none.  Return: NULL: no room, and
 *  route_lost() knows */
struct via *via_have(struct net *net, struct dest *d, uint32_t adj);

static inline uint64_t via_router(const struct net *net, const struct via *v)
{
	uint64_t router;

	memcpy(&router, intern_at(&net->ctl->routers, v->router), sizeof(router));
	return router;
}

static inline const struct sib *via_sib(const struct net *net, const struct via *v)
{
	return intern_at(&net->ctl->sibs, v->sib);
}

static inline bool via_last_resort(const struct via *v)
{
	return v->shunned || v->cheap;
}

static inline bool via_heard(const struct facet *f, const struct via *v)
{
	return v->direct || (!v->unfit && v->router && v->router != f->router &&
			     v->metric < NET_METRIC_INF);
}

/** route_fd() - the feasibility distance for a source; NULL: none kept
 *  @router: of a via */
const struct fd *route_fd(const struct dest *d, uint16_t router);
/** route_fd_adopt() - act as if we had advertised that route: only a newer number will do */
void route_fd_adopt(struct net *net, struct dest *d, const struct via *v);
/** route_fd_update() - we advertise, or act as if, that number and metric of that source */
void route_fd_update(struct net *net, struct dest *d, uint16_t router, uint16_t seqno,
		     uint16_t metric);
/** route_via_total() - its metric with the link's cost added; below NET_METRIC_INF */
uint32_t route_via_total(const struct net *net, const struct via *v);
/** route_changed() - select again, and tell all neighbours */
void route_changed(struct net *net, struct facet *f, struct dest *d, struct pn_time now);
/** route_request() - nothing feasible is left: ask */
void route_request(struct net *net, struct facet *f, struct dest *d, struct pn_time now);
/** route_refresh() - @v, in use, may not get much worse before it is unfeasible: ask now */
void route_refresh(struct net *net, struct dest *d, const struct via *v, struct pn_time now);

/* route_doubt.c */
/** dest_shuns() - is a neighbour's route there the last resort now? */
bool dest_shuns(const struct net *net, const struct dest *d, uint32_t adj);
/** route_judge() - is it fit, and no cheaper than can be?  Return: that is another answer than
 *  before */
bool route_judge(const struct net *net, const struct facet *f, const struct dest *d,
		 struct via *v);
/** route_doubt() - what is in use is a last resort, or is none */
void route_doubt(const struct net *net, struct dest *d, bool resort, struct pn_time now);
/** route_doubts() - a last resort has been in use for long: its source is asked whether it lives */
bool route_doubts(const struct dest *d, struct pn_time now);
/** route_may_ask() - it is time for a request: the last one was long enough ago, or was one of those
 *  that starve ever more rarely, and now there is a doubt that has an end */
bool route_may_ask(const struct dest *d, struct pn_time now);
/** route_disbelieve() - nobody seems to be where the last resorts lead to: under their numbers they
 *  are unfeasible, and newer ones are asked for as always */
void route_disbelieve(struct net *net, struct facet *f, struct dest *d, struct pn_time now);
/** route_doubt_look() - when to look at a doubted route again */
struct pn_time route_doubt_look(const struct dest *d, struct pn_time now);

#endif
