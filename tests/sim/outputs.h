/* SPDX-License-Identifier: ISC */
/* outputs.h - the files that a run leaves: --csv, --map, --out */
#ifndef SIM_OUTPUTS_H
#define SIM_OUTPUTS_H

#include "tests/sim/run.h"

struct outputs {
	const char *csv;	/* rows over time; NULL: none */
	const char *map;	/* the network at rest; NULL: none */
	const char *dir;	/* gets run.json, run.csv and run.map.json; NULL: none */
	char csv_path[512], map_path[512], json_path[512]; /* in dir */
};

/** outputs_open() - before the run: what can be opened is, so that a wrong name does
 *  not show after an hour
 *  @cfg:   gets what the run itself must know
 *  @err:   out, one line, on failure
 *  Return: false on failure */
bool outputs_open(struct outputs *o, struct run_config *cfg, char *err, size_t err_cap);

/** outputs_finish() - after the run
 *  Return: false on failure, with @err */
bool outputs_finish(const struct outputs *o, const struct topology *topo, const char *spec,
		    const struct run_config *cfg, const struct run_result *res,
		    const char *repeat, char *err, size_t err_cap);

#endif
