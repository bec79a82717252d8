/* SPDX-License-Identifier: ISC */
/* generate.h - topologies that are made; see topology.h for their names */
#ifndef SIM_GENERATE_H
#define SIM_GENERATE_H

#include "tests/sim/topology.h"

/** topology_generate() - make the topology that @spec names
 *  @t:     empty; to be freed also after a failure
 *  Return: 1 made, 0 @spec is no generator's, -1 bad size */
int topology_generate(struct topology *t, const char *spec, uint64_t seed);

#endif
