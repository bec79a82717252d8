/* SPDX-License-Identifier: ISC */
/* guard.h - neighbours that do not carry data are noticed, and expelled for a while
 *
 * How it works, and what it does not find: see the theory of operation in guard.c. */
#ifndef PN_GUARD_H
#define PN_GUARD_H

#include "pnstackd/net/echo.h"

void guard_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void guard_init(struct net *net, struct pn_time now);
void guard_expire(struct net *net, struct pn_time now);         /* TIMER_GUARD */

/** guard_on_up(), guard_on_down() - an adjacency, internal ones left out, came or went */
void guard_on_up(struct net *net, uint32_t adj, struct pn_time now);
void guard_on_down(struct net *net, uint32_t adj);

/** guard_on_data() - a packet of users was handed to @adj, to be carried on */
void guard_on_data(struct net *net, uint32_t adj);

/** guard_on_reply() - an echo reply came in over net->rx_adj
 *  Return: it answers one of our tests */
bool guard_on_reply(struct net *net, const struct echo_msg *msg, struct pn_time now);

/** guard_may_answer() - answers and errors cost us frames, and their limits for all sources
 *  together must not be used up by one neighbour that invents sources
 *  Return: the neighbour whose packet is under way has some left; else it is counted */
bool guard_may_answer(struct net *net, struct pn_time now);

/** guard_avoids() - Return: @adj seems not to carry what is handed to it: it is the last resort
 *  for all but what is meant for it, until it passes a test or is expelled */
bool guard_avoids(const struct net *net, uint32_t adj);

#endif
