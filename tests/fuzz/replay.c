// SPDX-License-Identifier: ISC
/* A main() for fuzz targets without libFuzzer, so that every machine can run
 * them: it replays a corpus, then mutations of it.
 *
 * usage: fuzz-NAME [-n COUNT] [-s SEED] [-i NUMBER] [FILE|DIRECTORY]...
 *	-n	mutated inputs after the corpus (0)
 *	-s	seed of the mutations (1)
 *	-i	make only mutation NUMBER: repeats a crash
 *
 * Mutation NUMBER depends on the corpus, the seed and the number only.  At a
 * crash the command that repeats it is printed.  Each input is a heap copy of
 * exactly its length, so that ASan sees a read beyond its edge. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX	65535	/* bytes of one input */
#define GROW_MAX	2048	/* bytes that a mutation adds at most */
#define CORPUS_MAX	4096	/* files */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
/* a target may have either; libFuzzer calls the first before all inputs */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*fn)(void));

struct input {
	uint8_t *data;
	size_t len;
};

static struct input corpus[CORPUS_MAX];
static size_t corpus_count;
static uint64_t seed = 1;
static char crash_text[512];	/* made before each input: a handler may not */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t limit)
{
	return limit ? (size_t)(next_random(state) % limit) : 0;
}

static void on_death(void)
{
	ssize_t n = write(STDERR_FILENO, crash_text, strlen(crash_text));

	(void)n;
}

static void on_signal(int sig)
{
	on_death();
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void die(const char *what)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void *alloc(size_t len)
{
	void *p = malloc(len ? len : 1);

	if (!p)
		die("malloc");
	return p;
}

static void load_file(const char *path)
{
	uint8_t *buf = alloc(INPUT_MAX);
	FILE *f = fopen(path, "rb");
	size_t len;

	if (!f)
		die(path);
	len = fread(buf, 1, INPUT_MAX, f);
	if (ferror(f))
		die(path);
	(void)fclose(f);
	if (corpus_count >= CORPUS_MAX) {
		fprintf(stderr, "fuzz: %s: more than %d files\n", path,
			CORPUS_MAX);
		exit(2);
	}
	corpus[corpus_count].data = alloc(len);
	memcpy(corpus[corpus_count].data, buf, len);
	corpus[corpus_count++].len = len;
	free(buf);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void load(const char *path)
{
	struct dirent **names;
	struct stat st;
	int i, count;

	if (stat(path, &st) < 0)
		die(path);
	if (!S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	count = scandir(path, &names, is_visible, alphasort);
	if (count < 0)
		die(path);
	for (i = 0; i < count; i++) {
		char file[4096];

		(void)snprintf(file, sizeof(file), "%s/%s", path,
			       names[i]->d_name);
		load_file(file);
		free(names[i]);
	}
	free(names);
}

static void run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);	/* not alloc(): 0 bytes are 0 bytes */

	if (!copy && len)
		die("malloc");
	if (len)
		memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

/* One change to @buf of *@len bytes, of which INPUT_MAX fit */
static void mutate_once(uint8_t *buf, size_t *len, uint64_t *state)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };
	size_t at = below(state, *len);
	size_t n, i;

	switch (next_random(state) % 6) {
	case 0:		/* a bit */
		if (*len)
			buf[at] ^= (uint8_t)(1U << below(state, 8));
		break;
	case 1:		/* a byte, or several, to the edge of its range */
		n = 1 + below(state, 4);
		for (i = at; i < *len && i < at + n; i++)
			buf[i] = edges[below(state, sizeof(edges))];
		break;
	case 2:		/* cut */
		*len = below(state, *len + 1);
		break;
	case 3:		/* grow */
		n = below(state, below(state, 4) ? 32 : GROW_MAX);
		for (i = 0; i < n && *len < INPUT_MAX; i++)
			buf[(*len)++] = (uint8_t)next_random(state);
		break;
	case 4:		/* noise */
		n = below(state, 16);
		for (i = at; i < *len && i < at + n; i++)
			buf[i] = (uint8_t)next_random(state);
		break;
	case 5:		/* move a part within itself */
		if (*len < 2)
			break;
		i = below(state, *len);
		n = below(state, *len - (at > i ? at : i));
		memmove(buf + at, buf + i, n);
		break;
	}
}

/* The beginning of one input and perhaps the end of another, some changes */
static size_t mutation_make(uint8_t *buf, uint64_t number)
{
	uint64_t state = seed ^ number * 0xd1342543de82ef95;
	const struct input *one, *other;
	size_t len, from, i, count;

	(void)next_random(&state);
	if (!corpus_count || !below(&state, 50)) {	/* nothing but noise */
		len = below(&state, GROW_MAX);
		for (i = 0; i < len; i++)
			buf[i] = (uint8_t)next_random(&state);
		return len;
	}
	one = &corpus[below(&state, corpus_count)];
	len = one->len;
	memcpy(buf, one->data, len);
	if (!below(&state, 8)) {
		other = &corpus[below(&state, corpus_count)];
		from = below(&state, other->len);
		len = below(&state, len + 1);
		count = other->len - from;
		if (count > INPUT_MAX - len)
			count = INPUT_MAX - len;
		memcpy(buf + len, other->data + from, count);
		len += count;
	}
	count = below(&state, 6);
	for (i = 0; i < count; i++)
		mutate_once(buf, &len, &state);
	return len;
}

static void run_mutation(const char *program, uint64_t number)
{
	static uint8_t buf[INPUT_MAX];
	size_t len = mutation_make(buf, number);

	(void)snprintf(crash_text, sizeof(crash_text), "fuzz: crashed; repeat "
		       "by %s -s %llu -i %llu CORPUS\n", program,
		       (unsigned long long)seed, (unsigned long long)number);
	run(buf, len);
}

static uint64_t number_arg(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-') {
		fprintf(stderr, "fuzz: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

static void catch_death(void)
{
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(on_death);
		(void)signal(SIGABRT, on_signal);
		return;
	}
	(void)signal(SIGABRT, on_signal);
	(void)signal(SIGSEGV, on_signal);
	(void)signal(SIGBUS, on_signal);
	(void)signal(SIGFPE, on_signal);
	(void)signal(SIGILL, on_signal);
}

int main(int argc, char **argv)
{
	uint64_t count = 0, only = 0, number;
	bool has_only = false;
	size_t i;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:i:")) != -1) {
		switch (opt) {
		case 'n':
			count = number_arg(optarg);
			break;
		case 's':
			seed = number_arg(optarg);
			break;
		case 'i':
			only = number_arg(optarg);
			has_only = true;
			break;
		default:
			return 2;
		}
	}
	if (LLVMFuzzerInitialize)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	for (; optind < argc; optind++)
		load(argv[optind]);
	catch_death();
	for (i = 0; i < corpus_count && !has_only; i++) {
		(void)snprintf(crash_text, sizeof(crash_text), "fuzz: crashed "
			       "at file %zu of the corpus\n", i + 1);
		run(corpus[i].data, corpus[i].len);
	}
	if (has_only)
		run_mutation(argv[0], only);
	else
		for (number = 0; number < count; number++)
			run_mutation(argv[0], number);
	printf("%zu files, %llu mutations: no crash\n", corpus_count,
	       (unsigned long long)(has_only ? 1 : count));
	for (i = 0; i < corpus_count; i++)
		free(corpus[i].data);
	return 0;
}
