/* SPDX-License-Identifier: ISC */
/* snapshot.h - a picture of all live nodes, see check.h */
#ifndef SIM_SNAPSHOT_H
#define SIM_SNAPSHOT_H

#include "tests/sim/check.h"

struct sim;

/** snapshot_take() - what the nodes say of themselves now
 *  @s: out; ended by snapshot_free() */
void snapshot_take(struct snapshot *s, const struct sim *sim);
void snapshot_free(struct snapshot *s);

/** snapshot_components() - of the physical graph of live nodes; a link to a dropper who is
 *  expelled at its other end is none
 *  @component: out, one per node; UINT32_MAX: not live
 *  Return: how many */
uint32_t snapshot_components(const struct sim *sim, uint32_t *component);

#endif
