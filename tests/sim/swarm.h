/* SPDX-License-Identifier: ISC */
/* swarm.h - scenarios drawn from a seed */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "tests/sim/scenario.h"

/** swarm_make() - append @count random faults within @within_s seconds
 *  @tell:  called with each line of the scenario; may be NULL */
void swarm_make(struct scenario *s, const struct topology *topo, uint64_t seed, uint32_t count,
		double within_s, void (*tell)(const char *line));

#endif
