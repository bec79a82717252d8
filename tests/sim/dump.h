/* SPDX-License-Identifier: ISC */
/* dump.h - all trees, as text for debugging and as data for pictures */
#ifndef SIM_DUMP_H
#define SIM_DUMP_H

#include <stdbool.h>

struct sim;

/** sim_dump() - on stderr: each facet with its areas, routes and neighbours */
void sim_dump(const struct sim *sim);

/** sim_map_write() - a JSON object with all nodes, where they are, their links and the
 *  areas that each facet is in: what `pnsim plot` draws networks from
 *  Return: false if it could not be written */
bool sim_map_write(const struct sim *sim, const char *file);

#endif
