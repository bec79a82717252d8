/* SPDX-License-Identifier: ISC */
/* Pictures of runs: which there are, and the curves among them.
 *
 * What a file is shows by its end and its contents: *.csv are rows over time; a JSON
 * object with `stretch_histogram` is a result, one with `nodes` as an array a map.
 * The programs that draw are run with their script on standard input; they are no
 * part of what building or simulating needs, so they may be missing: then one line
 * says so. */
#include "tests/sim/plot.h"
#include "tests/sim/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_LEN 1024
#define FILES_MAX 1000		/* of one directory */

extern char **environ;

/* --- programs ---------------------------------------------------------------- */

static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

bool plot_pipe(const char *const argv[], const char *text)
{
	posix_spawn_file_actions_t actions;
	int fd[2], status = 0, rc;
	bool sent;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0) {
		fprintf(stderr, "pnsim: pipe: %s\n", strerror(errno));
		return false;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd[0], STDIN_FILENO);
	rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[0]);
	sent = rc == 0 && write_all(fd[1], text, strlen(text));
	close(fd[1]);
	if (rc != 0) {
		fprintf(stderr, "pnsim: %s: %s (Debian packages gnuplot-nox, graphviz; or run "
			"`make deps-test`)\n", argv[0], strerror(rc));
		return false;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (sent && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	fprintf(stderr, "pnsim: %s failed\n", argv[0]);
	return false;
}

static bool gnuplot(const char *script)
{
	const char *const argv[] = { "gnuplot", NULL };

	return plot_pipe(argv, script);
}

/* --- names and texts ----------------------------------------------------------- */

/* What gnuplot takes for a string in single quotes */
static void quote(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', f);
		fputc(*text == '\n' ? ' ' : *text, f);
	}
	fputc('\'', f);
}

void plot_title(const char *base, char *out, size_t cap)
{
	char path[PATH_LEN + 8];
	const char *name = strrchr(base, '/');
	json_t *o;

	snprintf(path, sizeof(path), "%s.json", base);
	o = json_load_file(path, 0, NULL);
	if (o && json_string_value(json_object_get(o, "topology"))) {
		const char *topo = json_string_value(json_object_get(o, "topology"));
		const char *slash = strrchr(topo, '/');

		snprintf(out, cap, "%s, %lld nodes, seed %lld", slash ? slash + 1 : topo,
			 (long long)json_integer_value(json_object_get(o, "nodes")),
			 (long long)json_integer_value(json_object_get(o, "seed")));
	} else {
		snprintf(out, cap, "%s", name ? name + 1 : base);
	}
	json_decref(o);
}

static void head(FILE *f, const char *base, const char *end, const char *title, unsigned height)
{
	char path[PATH_LEN + 64];

	snprintf(path, sizeof(path), "%s-%s.png", base, end);
	fprintf(f, "set terminal pngcairo size 1000,%u font 'sans,11'\nset output ", height);
	quote(f, path);
	fputs("\nset grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
	      "set datafile separator ','\n"
	      "set datafile columnheaders\n"
	      "set lmargin 11\nset rmargin 4\n"
	      "set style line 1 lw 2 lc rgb '#1f77b4'\nset style line 2 lw 2 lc rgb '#d62728'\n"
	      "set style line 3 lw 2 lc rgb '#2ca02c'\nset style line 4 lw 2 lc rgb '#ff7f0e'\n"
	      "set style line 5 lw 2 lc rgb '#9467bd'\nset style line 9 lw 1 lc rgb '#999999'\n"
	      "t = ", f);
	quote(f, title);
	fputc('\n', f);
}

/* --- rows over time --------------------------------------------------------------- */

/* Until half as long again as it took to converge: that is what is of interest. */
static const char converge_script[] =
	"stats d using (strcol('phase') eq 'converging' ? column('t_s') : NaN) nooutput\n"
	"end = STATS_max * 1.5 < 4 ? 4 : STATS_max * 1.5\n"
	"set xrange [0:end]\n"
	"set multiplot layout 3,1 title 'Convergence: '.t noenhanced font ',14'\n"
	"set key right top\n"
	"set logscale y 2\nset yrange [0.8:*]\nset ylabel 'networks'\n"
	"plot d using 't_s':'networks' with linespoints ls 1 pt 7 ps 0.5 title 'networks', "
	"d using 't_s':'components' with lines ls 9 dt 2 title 'components of the graph'\n"
	"unset logscale\nset yrange [0:*]\nset ylabel 'levels'\nset key right bottom\n"
	"plot d using 't_s':'height' with lines ls 2 title 'height of the tree', "
	"d using 't_s':'height_allowed' with lines ls 9 dt 2 title 'allowed', "
	"d using 't_s':'table_mean' with lines ls 3 title 'entries of a table (mean)'\n"
	"set yrange [0:105]\nset ylabel 'share of pairs (%)'\nset xlabel 'virtual time (s)'\n"
	"plot d using 't_s':(100*column('reachable')) with lines ls 1 "
	"title 'next hops lead from one to the other'\n"
	"unset multiplot\n";

/* Crashes are thin lines from top to bottom. */
static const char traffic_script[] =
	"stats d using 't_s' nooutput name 'T'\n"
	"set xrange [0:T_max]\n"
	"set multiplot layout 4,1 title 'Traffic and faults: '.t noenhanced font ',14'\n"
	"set key right top maxrows 2 width -2\n"
	"set logscale y\nset yrange [10:*]\nset ylabel 'bytes / (node s)'\n"
	"plot d using 't_s':'bytes_per_node_s' with lines ls 1 title "
	"'sent, link headers included'\n"
	"unset logscale\nset yrange [0:*]\nset ylabel 'frames / (node s)'\n"
	"plot d using 't_s':'frames_per_node_s' with lines ls 5 title 'frames sent'\n"
	"set yrange [0:105]\nset ylabel 'share (%)'\nset key right bottom\n"
	"plot d using 't_s':(column('crashed') > 0 ? 105 : NaN) with impulses lw 1 lc rgb "
	"'#cccccc' title 'a node crashes', "
	"d using 't_s':(100*column('reachable')) with lines ls 3 title 'pairs reachable', "
	"d using 't_s':(strcol('honest_answered') eq '' ? NaN : "
	"100*column('honest_answered')) with lines ls 4 title "
	"'questions answered among honest pairs'\n"
	"set yrange [0:*]\nset ylabel 'in a step of the series'\nset xlabel 'virtual time (s)'\n"
	"set key right top\n"
	"v(name) = column(name) > 0 ? column(name) : NaN\n"
	"plot d using 't_s':(v('readdressed')) with impulses ls 2 title 'nodes re-addressed', "
	"d using 't_s':(v('tree_detaches')) with points ls 4 pt 7 ps 0.6 title 'areas detached', "
	"d using 't_s':(v('tree_grants')) with points ls 1 pt 6 ps 0.6 title 'joins granted'\n"
	"unset multiplot\n";

static bool curves(const char *file, const char *base, const char *end, const char *script,
		   unsigned height)
{
	char title[256], *text = NULL;
	size_t len;
	FILE *f = sim_check_(open_memstream(&text, &len));
	bool ok;

	plot_title(base, title, sizeof(title));
	head(f, base, end, title, height);
	fputs("d = ", f);
	quote(f, file);
	fprintf(f, "\n%s", script);
	fclose(f);
	ok = gnuplot(text);
	free(text);
	return ok;
}

/* --- stretch ------------------------------------------------------------------------ */

static bool stretch(const json_t *o, const char *base)
{
	const json_t *hist = json_object_get(o, "stretch_histogram"), *v;
	char title[256], *text = NULL;
	double sum = 0;
	size_t len, i;
	FILE *f;
	bool ok;

	json_array_foreach(hist, i, v)
		sum += (double)json_integer_value(v);
	if (sum <= 0)
		return true; /* nothing was measured */
	plot_title(base, title, sizeof(title));
	f = sim_check_(open_memstream(&text, &len));
	head(f, base, "stretch", title, 500);
	fputs("unset datafile\nset datafile separator whitespace\n$d << EOD\n", f);
	json_array_foreach(hist, i, v)
		fprintf(f, "%.1f %.4f\n", 1 + 0.1 * (double)i,
			100 * (double)json_integer_value(v) / sum);
	fprintf(f, "EOD\nset title 'Stretch of paths: '.t noenhanced font ',14'\n"
		"set xlabel 'links on the path / links on the shortest path"
		"   (a bar: up to this much, above the one before)'\n"
		"set ylabel 'share of pairs (%%)'\nset yrange [0:*]\n"
		"set xrange [0.9:%.1f]\nset style fill solid 0.8\nset boxwidth 0.08\n"
		"set arrow 1 from %.3f,graph 0 to %.3f,graph 1 nohead ls 2 dt 2\n"
		"set label 1 ' mean %.3f' at %.3f,graph 0.85 tc rgb '#d62728'\n"
		"set label 2 ' 95 %% of the pairs: up to %.2f' at %.3f,graph 0.78\n"
		"plot $d using 1:2 with boxes ls 1 notitle\n",
		json_array_size(hist) < 11 ? 2.1 : 1.1 + 0.1 * (double)json_array_size(hist),
		json_number_value(json_object_get(o, "stretch_mean")),
		json_number_value(json_object_get(o, "stretch_mean")),
		json_number_value(json_object_get(o, "stretch_mean")),
		json_number_value(json_object_get(o, "stretch_mean")),
		json_number_value(json_object_get(o, "stretch_p95")),
		json_number_value(json_object_get(o, "stretch_mean")));
	fclose(f);
	ok = gnuplot(text);
	free(text);
	return ok;
}

/* --- the command ---------------------------------------------------------------------- */

/* Where the pictures of @file go: without its last ending, in @dir if given */
static void base_of(const char *file, const char *dir, char *out, size_t cap)
{
	const char *slash = strrchr(file, '/');
	size_t len;

	if (dir)
		snprintf(out, cap, "%s/%s", dir, slash ? slash + 1 : file);
	else
		snprintf(out, cap, "%s", file);
	len = strlen(out);
	if (len > 5 && !strcmp(out + len - 5, ".json"))
		out[len -= 5] = 0;
	else if (len > 4 && !strcmp(out + len - 4, ".csv"))
		out[len -= 4] = 0;
	if (len > 4 && !strcmp(out + len - 4, ".map"))
		out[len - 4] = 0;
}

static bool ends(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

static bool plot_json(const char *file, const char *base)
{
	json_error_t je;
	json_t *o = json_load_file(file, 0, &je);
	bool ok = true;

	if (!o) {
		fprintf(stderr, "pnsim: %s: %s\n", file, je.text);
		return false;
	}
	if (json_is_array(json_object_get(o, "nodes")))
		ok = plot_map(o, base);
	else if (json_is_array(json_object_get(o, "stretch_histogram")))
		ok = stretch(o, base);
	else
		fprintf(stderr, "pnsim: %s: neither a result nor a map\n", file);
	json_decref(o);
	return ok;
}

static bool plot_file(const char *file, const char *dir)
{
	char base[PATH_LEN];

	base_of(file, dir, base, sizeof(base));
	if (access(file, R_OK) < 0) {
		fprintf(stderr, "pnsim: %s: %s\n", file, strerror(errno));
		return false;
	}
	if (!ends(file, ".csv"))
		return plot_json(file, base);
	return curves(file, base, "convergence", converge_script, 900) &&
	       curves(file, base, "traffic", traffic_script, 1100);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool plot_dir(const char *path, const char *dir)
{
	char file[PATH_LEN], *names[FILES_MAX];
	DIR *d = opendir(path);
	unsigned n = 0, i;
	struct dirent *e;
	bool ok = true;

	if (!d) {
		fprintf(stderr, "pnsim: %s: %s\n", path, strerror(errno));
		return false;
	}
	while (n < FILES_MAX && (e = readdir(d)))
		if (ends(e->d_name, ".csv") || ends(e->d_name, ".json"))
			names[n++] = sim_strdup(e->d_name);
	closedir(d);
	qsort(names, n, sizeof(*names), name_compare);
	if (n == 0)
		fprintf(stderr, "pnsim: %s: no *.csv or *.json there\n", path);
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]);
		ok = ok && plot_file(file, dir);
		free(names[i]);
	}
	return ok && n > 0;
}

int plot_main(int argc, char **argv)
{
	const char *dir = NULL;
	struct stat st;
	bool ok = true;
	int i = 1;

	if (i + 1 < argc && !strcmp(argv[i], "-o")) {
		dir = argv[i + 1];
		i += 2;
	}
	if (i >= argc || argv[i][0] == '-') {
		fputs("usage: pnsim plot [-o DIR] DIR|FILE.csv|FILE.json...\n", stderr);
		return 2;
	}
	if (dir && mkdir(dir, 0777) < 0 && errno != EEXIST) {
		fprintf(stderr, "pnsim: %s: %s\n", dir, strerror(errno));
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	for (; i < argc && ok; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			ok = plot_dir(argv[i], dir ? dir : argv[i]);
		else
			ok = plot_file(argv[i], dir);
	}
	return ok ? 0 : 1;
}
