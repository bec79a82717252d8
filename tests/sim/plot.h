/* SPDX-License-Identifier: ISC */
/* plot.h - pictures of runs
 *
 *   plot.c      the command; curves and bars, by gnuplot
 *   plot_map.c  trees and networks, by graphviz
 */
#ifndef SIM_PLOT_H
#define SIM_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/** plot_main() - `pnsim plot [-o DIR] DIR|FILE...`
 *  Return: exit status: 0; 1 a picture could not be made; 2 usage */
int plot_main(int argc, char **argv);

/** plot_pipe() - run a program with @text as its standard input
 *  Return: false, and one line on stderr says why, if it failed or is not there */
bool plot_pipe(const char *const argv[], const char *text);

/** plot_title() - "geometric:300, 300 nodes, seed 1" of the result beside @base;
 *  without one, the last part of @base */
void plot_title(const char *base, char *out, size_t cap);

/** plot_map() - draw a map (see dump.c): the area tree, and the network by area
 *  @base: path without the end of the names: BASE-tree.png, BASE-network.png
 *  Return: false on failure, which was told */
bool plot_map(const json_t *map, const char *base);

#endif
