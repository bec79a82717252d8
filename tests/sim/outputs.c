/* SPDX-License-Identifier: ISC */
/* Files of a run. */
#include "tests/sim/outputs.h"
#include "tests/sim/report.h"
#include "tests/sim/series.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool failed(const char *file, char *err, size_t err_cap)
{
	snprintf(err, err_cap, "%s: %s", file, strerror(errno));
	return false;
}

static bool dir_open(struct outputs *o, char *err, size_t err_cap)
{
	if (mkdir(o->dir, 0777) < 0 && errno != EEXIST)
		return failed(o->dir, err, err_cap);
	if (strlen(o->dir) > sizeof(o->csv_path) - 16) {
		errno = ENAMETOOLONG;
		return failed(o->dir, err, err_cap);
	}
	snprintf(o->csv_path, sizeof(o->csv_path), "%.480s/run.csv", o->dir);
	snprintf(o->map_path, sizeof(o->map_path), "%.480s/run.map.json", o->dir);
	snprintf(o->json_path, sizeof(o->json_path), "%.480s/run.json", o->dir);
	o->csv = o->csv ? o->csv : o->csv_path;
	o->map = o->map ? o->map : o->map_path;
	return true;
}

bool outputs_open(struct outputs *o, struct run_config *cfg, char *err, size_t err_cap)
{
	FILE *f;

	if (o->dir && !dir_open(o, err, err_cap))
		return false;
	if (o->csv && !series_create(o->csv))
		return failed(o->csv, err, err_cap);
	if (o->map) {
		f = fopen(o->map, "w");
		if (!f || fclose(f) != 0)
			return failed(o->map, err, err_cap);
		cfg->map = o->map;
	}
	return true;
}

bool outputs_finish(const struct outputs *o, const struct topology *topo, const char *spec,
		    const struct run_config *cfg, const struct run_result *res,
		    const char *repeat, char *err, size_t err_cap)
{
	FILE *f;
	int rc;

	if (!series_close())
		return failed(o->csv, err, err_cap);
	if (!o->dir)
		return true;
	f = fopen(o->json_path, "w");
	if (!f)
		return failed(o->json_path, err, err_cap);
	rc = report_json(f, topo, spec, cfg, res, repeat);
	if (fclose(f) != 0 || rc < 0)
		return failed(o->json_path, err, err_cap);
	return true;
}
