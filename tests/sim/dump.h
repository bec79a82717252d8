/* SPDX-License-Identifier: ISC */
/* dump.h - all trees, for debugging */
#ifndef SIM_DUMP_H
#define SIM_DUMP_H

struct sim;

/** sim_dump() - on stderr: each facet with its areas, routes and neighbours */
void sim_dump(const struct sim *sim);

#endif
