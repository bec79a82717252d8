/* SPDX-License-Identifier: ISC */
/* probe.h - session packets whose payload tells whom they are for
 *
 * They take the whole way of real data: a peer handle, a lookup, maybe a queue,
 * forwarding.  That one gets lost while the network heals is allowed; that
 * somebody else gets it never is.
 */
#ifndef SIM_PROBE_H
#define SIM_PROBE_H

#include "tests/sim/traffic.h"

void probes_init(struct traffic *t);
void probes_fini(struct traffic *t);

/** probe_send() - one packet between a random pair */
void probe_send(struct traffic *t);

/** probe_received() - a node got a session packet */
void probe_received(struct traffic *t, uint32_t node, const struct pn_pkt *pkt);

/** flow_send() - the next packet of the flow whose turn it is */
void flow_send(struct traffic *t);

/** flow_label() - Return: the label of a flow's packets, which chooses their way */
uint16_t flow_label(const struct traffic *t, uint32_t flow);

/** flow_open() - one more pair for the source of flows
 *  Return: false if @from can talk to nobody more */
bool flow_open(struct traffic *t, uint32_t from, uint32_t to, bool through);

/** flow_lost() - Return: packets sent from one time up to another that did not arrive */
uint32_t flow_lost(const struct flow *f, uint64_t from_ns, uint64_t to_ns);

/** flows_close() - forget all flows; stop their source before */
void flows_close(struct traffic *t);

#endif
