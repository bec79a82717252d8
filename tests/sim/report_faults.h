/* SPDX-License-Identifier: ISC */
/* report_faults.h - the part of a report that tells of crashes and scenarios */
#ifndef SIM_REPORT_FAULTS_H
#define SIM_REPORT_FAULTS_H

#include "tests/sim/run.h"

#include <jansson.h>

/** report_crashes() - members "kills" and "crashes" of the result */
void report_crashes(json_t *result, const struct topology *topo, const struct run_result *res);

/** report_trial() - Return: member "scenario"; null if there was none */
json_t *report_trial(const struct topology *topo, const struct run_result *res);

/** report_faults_text() - both, for people, on stdout */
void report_faults_text(const struct topology *topo, const struct run_result *res);

#endif
