/* SPDX-License-Identifier: ISC */
/* The files of sequences.
 *
 * Lines without a tab in front begin a block, those with one are its steps:
 *
 *	part NAME			steps for others to use
 *	seq NAME FAMILIES [with W...]	a sequence; FAMILIES out of "46m".  With words it
 *					is one sequence for each, in which $ is the word
 *	cross NAME FAMILIES		a sequence for each pair out of two lists of parts
 *		STATE...
 *		PROBE...
 *
 * A step "use NAME" stands for the steps of a part; "far STEP" is done by the other
 * side.  Each step makes one line of output: sequence, number and step, result,
 * separated by tabs.  A sequence ends with all descriptors closed on both sides.
 */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX	2048	/* bytes of a line that begins a block, NUL included */
#define BLOCKS_MAX	400
#define LINES_MAX	5000
#define DEPTH_MAX	5	/* parts in parts */

struct block {
	char *head;		/* the line that begins it */
	size_t first, end;	/* lines */
};

static struct block blocks[BLOCKS_MAX];
static size_t block_count;
static char *lines[LINES_MAX];
static size_t line_count;
static unsigned int sequence_count, step_count;

/* The sequence that runs */
static struct {
	char name[LINE_MAX_];
	const char *only;
	unsigned int step;
	uint16_t port[2][SLOTS];	/* what is known of near's and far's */
} run;

void script_counts(unsigned int *sequences, unsigned int *steps)
{
	*sequences = sequence_count;
	*steps = step_count;
}

/* --- ports ------------------------------------------------------------------ */

static bool is_port_word(const char *at)
{
	return (at[0] == 'n' || at[0] == 'f') && at[1] == '.' && islower((unsigned char)at[2]);
}

/* ":f.l" becomes ":12345", and "$" the word */
static void substitute(const char *from, const char *word, char to[LINE_MAX_])
{
	size_t n = 0;

	for (; *from && n < LINE_MAX_ - 1; from++) {
		if (*from == '$' && word) {
			n += (size_t)snprintf(to + n, LINE_MAX_ - n, "%s", word);
		} else if (*from == ':' && is_port_word(from + 1)) {
			n += (size_t)snprintf(to + n, LINE_MAX_ - n, ":%u",
					      run.port[from[1] == 'f'][from[3] - 'a']);
			from += 3;
		} else {
			to[n++] = *from;
		}
	}
	if (n >= LINE_MAX_)
		die("too long: %s", to);
	to[n] = '\0';
}

/* Return: the slot of @side that has this port, or -1 */
static int port_slot(int side, unsigned long port)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		if (run.port[side][i] == port)
			return i;
	}
	return -1;
}

/* One port: the slot's name.  The same number may be in use on both sides, so it is looked
 * for on the side that the address is of, first.  An unknown one is learnt by "name". */
static void translate_port(const char *line, int side, unsigned long port, bool of_peer)
{
	int first = of_peer ? !side : side, i = port_slot(first, port);

	if (i < 0) {
		first = !first;
		i = port_slot(first, port);
	}
	if (!port) {
		printf(":0");
	} else if (i >= 0) {
		printf(":%c.%c", "nf"[first], 'a' + i);
	} else if (!strncmp(line, "name ", 5)) {
		run.port[side][line[5] - 'a'] = (uint16_t)port;
		printf(":%c.%c", "nf"[side], line[5]);
	} else {
		printf(":new");
	}
}

/* Print a result, with each {12345} translated */
static void translate(const char *line, bool far, const char *text)
{
	const char *from = text;
	char *end;

	for (; *text; text++) {
		if (*text != '{') {
			putchar(*text);
			continue;
		}
		translate_port(line, far, strtoul(text + 1, &end, 10),
			       text - from > 5 && !memcmp(text - 5, "peer ", 5));
		text = end;
	}
}

/* --- running -------------------------------------------------------------------- */

static const struct block *block_lookup(const char *kind, const char *name)
{
	size_t i, k = strlen(kind), n = strlen(name);

	for (i = 0; i < block_count; i++) {
		if (!strncmp(blocks[i].head, kind, k) &&
		    !strncmp(blocks[i].head + k + 1, name, n) && !blocks[i].head[k + 1 + n])
			return &blocks[i];
	}
	die("no %s \"%s\"", kind, name);
}

static void run_line(const char *line, const char *word)
{
	bool far = !strncmp(line, "far ", 4);
	char shown[LINE_MAX_], text[LINE_MAX_];
	struct out o;

	substitute(line, word, text);
	/* What is shown keeps the names of ports */
	if (word && strchr(line, '$')) {
		const char *at = strchr(line, '$');

		snprintf(shown, sizeof(shown), "%.*s%s%s", (int)(at - line), line, word, at + 1);
	} else {
		snprintf(shown, sizeof(shown), "%s", line);
	}
	if (far)
		far_ask(me.family, text + 4, &o);
	else
		exec_step(text, &o);
	printf("%s\t%u %s\t", run.name, ++run.step, shown);
	translate(far ? line + 4 : line, far, o.text);
	putchar('\n');
	step_count++;
}

static void run_lines(const struct block *b, const char *word, unsigned int depth)
{
	char name[LINE_MAX_];
	size_t i;

	if (depth == DEPTH_MAX)
		die("parts in parts in %s", b->head);
	for (i = b->first; i < b->end; i++) {
		if (!strncmp(lines[i], "use ", 4)) {
			substitute(lines[i] + 4, word, name);
			run_lines(block_lookup("part", name), word, depth + 1);
		} else {
			run_line(lines[i], word);
		}
	}
}

static bool sequence_begin(char family, const char *name)
{
	const char *families = "46m", *at = strchr(families, family);

	if (!at)
		die("no family: %c", family);
	snprintf(run.name, sizeof(run.name), "%s/%c", name, family);
	if (run.only && !strstr(run.name, run.only))
		return false;
	me.family = (enum family)(at - families);
	run.step = 0;
	memset(run.port, 0, sizeof(run.port));
	sequence_count++;
	return true;
}

static void sequence_end(void)
{
	struct out o;

	exec_reset();
	far_ask(me.family, "reset", &o);
	fflush(stdout);
}

/* --- blocks ------------------------------------------------------------------------ */

static void run_seq(const struct block *b)
{
	char head[HEAD_MAX], name[LINE_MAX_];
	char *save = NULL, *families, *own, *word, *f;

	snprintf(head, sizeof(head), "%s", b->head);
	strtok_r(head, " ", &save);
	own = strtok_r(NULL, " ", &save);
	families = strtok_r(NULL, " ", &save);
	if (!own || !families)
		die("what is \"%s\"?", b->head);
	word = strtok_r(NULL, " ", &save);	/* "with" */
	if (word)
		word = strtok_r(NULL, " ", &save);
	do {
		substitute(own, word, name);
		if (word && !strchr(own, '$'))
			snprintf(name, sizeof(name), "%s-%s", own, word);
		for (f = families; *f; f++) {
			if (!sequence_begin(*f, name))
				continue;
			run_lines(b, word, 0);
			sequence_end();
		}
		word = word ? strtok_r(NULL, " ", &save) : NULL;
	} while (word);
}

static void run_pair(const struct block *b, const char *state, const char *probe)
{
	char head[HEAD_MAX], name[LINE_MAX_];
	char *save = NULL, *own, *f;

	snprintf(head, sizeof(head), "%s", b->head);
	strtok_r(head, " ", &save);
	own = strtok_r(NULL, " ", &save);
	f = strtok_r(NULL, " ", &save);
	if (!own || !f)
		die("what is \"%s\"?", b->head);
	snprintf(name, sizeof(name), "%s/%s/%s", own, state, probe);
	for (; *f; f++) {
		if (!sequence_begin(*f, name))
			continue;
		run_lines(block_lookup("part", state), NULL, 0);
		run_lines(block_lookup("part", probe), NULL, 0);
		sequence_end();
	}
}

static void run_cross(const struct block *b)
{
	char states[HEAD_MAX], probes[HEAD_MAX];
	char *save1 = NULL, *save2, *state, *probe;

	if (b->end != b->first + 2)
		die("two lines in \"%s\"", b->head);
	snprintf(states, sizeof(states), "%s", lines[b->first]);
	for (state = strtok_r(states, " ", &save1); state; state = strtok_r(NULL, " ", &save1)) {
		save2 = NULL;
		snprintf(probes, sizeof(probes), "%s", lines[b->first + 1]);
		for (probe = strtok_r(probes, " ", &save2); probe;
		     probe = strtok_r(NULL, " ", &save2))
			run_pair(b, state, probe);
	}
}

/* --- reading ------------------------------------------------------------------------- */

static void take_line(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	if (!*text || *text == '#')
		return;
	if (*text == '\t') {
		text += strspn(text, "\t");
		if (*text == '#')
			return;
		if (line_count == LINES_MAX || !block_count)
			die("too many lines, or none to begin with: %s", text);
		lines[line_count++] = strdup(text);
		blocks[block_count - 1].end = line_count;
		return;
	}
	if (block_count == BLOCKS_MAX)
		die("too many blocks");
	blocks[block_count].head = strdup(text);
	blocks[block_count].first = blocks[block_count].end = line_count;
	block_count++;
}

void script_run(const char *path, const char *only)
{
	size_t from = block_count, i;
	char text[HEAD_MAX];
	FILE *f = fopen(path, "re");

	if (!f)
		die("cannot read %s", path);
	while (fgets(text, sizeof(text), f))
		take_line(text);
	fclose(f);
	run.only = only;
	for (i = from; i < block_count; i++) {
		if (!strncmp(blocks[i].head, "seq ", 4))
			run_seq(&blocks[i]);
		else if (!strncmp(blocks[i].head, "cross ", 6))
			run_cross(&blocks[i]);
		else if (strncmp(blocks[i].head, "part ", 5) != 0)
			die("what is \"%s\"?", blocks[i].head);
	}
}
