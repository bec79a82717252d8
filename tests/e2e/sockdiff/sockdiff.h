/* SPDX-License-Identifier: ISC */
/* sockdiff - Walk through sequences of socket calls and say what each returned
 *
 * Theory of operation
 *
 * The program knows nothing of PeerNet: it is run natively and over the shim with
 * the same sequences, and what it prints must be the same.  So it prints nothing
 * that may differ rightly: no descriptors, no raw addresses or ports, no times.
 *
 * Two processes play, "near" and "far", on two hosts or on one.  Near reads the
 * sequences (script.c), does its own steps and sends those that begin with "far"
 * to the other over a Unix socket (far.c), one at a time: the order of all calls
 * is fixed.  Whatever takes time to get across is waited for by a step "wait",
 * which polls with a bound; nothing ever sleeps.
 *
 * A step is a line of words: a call, mostly a slot (one letter that holds a
 * descriptor), and arguments.  Each call is a function in one of the tables of
 * calls_*.c.  An address is written as PLACE:PORT[/LENGTH], the places are given
 * on the command line for IPv4 and IPv6; a port as a number, or n.X or f.X for
 * that of near's or far's slot X, which the step "name X" or "from" has learnt.
 */
#ifndef SOCKDIFF_H
#define SOCKDIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SLOTS		26	/* a letter each */
#define WORDS_MAX	16	/* words in a step */
#define LINE_MAX_	256	/* bytes of a step, NUL included */
#define OUT_MAX		512	/* bytes of a result, NUL included */
#define BUF_MAX		70000	/* bytes sent or received at once */
#define WAIT_MS		4000	/* how long anything may take that should happen */
#define HANG_S		6	/* when a call that blocks is interrupted */

/** enum family - How a sequence addresses */
enum family {
	FAMILY_4,	/* AF_INET */
	FAMILY_6,	/* AF_INET6 */
	FAMILY_MAPPED,	/* AF_INET6 with ::ffff:0:0/96 */
	FAMILY_COUNT,
};

enum place { PLACE_SELF, PLACE_PEER, PLACE_NOWHERE, PLACE_ANY, PLACE_COUNT };

/**
 * struct side - One of the two that play
 * @family:	Of the sequence that runs
 * @fd:		The slots; -1 empty
 * @place:	Addresses by family; port 0
 */
struct side {
	enum family family;
	int fd[SLOTS];
	struct sockaddr_storage place[FAMILY_COUNT][PLACE_COUNT];
};

extern struct side me;

/** struct out - A result being written */
struct out {
	char text[OUT_MAX];
	size_t len;
};

/** struct step - A line taken apart; words beyond @count are "" */
struct step {
	const char *word[WORDS_MAX];
	size_t count;
	char text[LINE_MAX_];
};

/** struct call - What a step can be; the tables end with an empty name */
struct call {
	const char *name;
	void (*run)(const struct step *st, struct out *o);
};

extern const struct call calls_make[], calls_io[], calls_msg[], calls_wait[], calls_opt[],
	calls_epoll[], calls_back[], calls_proc[];

/* --- exec.c ------------------------------------------------------------- */

/** exec_setup() - Signals: SIGPIPE is counted, SIGALRM interrupts */
void exec_setup(void);

/** exec_step() - Do one step here, with the result in @o */
void exec_step(const char *line, struct out *o);

/** exec_call() - The same without watching for hanging, for another thread */
void exec_call(const char *line, struct out *o);

/** exec_reset() - Close all slots */
void exec_reset(void);

/** slot() - The descriptor in a slot, to read or change; exits if it is no letter */
int *slot(const char *word);

/** say() - Append to a result */
void say(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** say_ret() - Append what a call returned, or its errno; @ret < 0 means failed.  errno
 *  must have been QUIET before the call: a call that succeeds leaves it alone. */
void say_ret(struct out *o, long ret);

/** say_ok() - The same for calls whose value says nothing, as a descriptor's */
void say_ok(struct out *o, long ret);

/** die() - The sequences or the surroundings are wrong: no result at all */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define QUIET 0x1234	/* an errno that nobody sets */

/* --- addr.c -------------------------------------------------------------- */

/** struct target - An address argument */
struct target {
	struct sockaddr_storage ss;
	const struct sockaddr *sa;	/* into ss, or NULL, or a bad pointer */
	socklen_t len;
};

void target_parse(const char *word, struct target *t);

/** say_addr() - Append an address: family, whose, and {port} for near to translate
 * @room:	What there was for it: if it was cut off, only its length is told
 */
void say_addr(struct out *o, const struct sockaddr_storage *ss, socklen_t len, socklen_t room);

/** place_set() - Resolve what the command line gives: self, peer and nowhere */
void place_set(int family, char *const names[3]);

/* --- words.c -------------------------------------------------------------- */

/** struct option - A socket option's name and numbers */
struct option {
	const char *name;
	int level, value;
};

const char *error_name(int err);
const struct option *option_lookup(const char *name);

/** flags_parse() - MSG_ or poll flags: names joined by "|", without prefix; "" is 0 */
int msg_flags_parse(const char *word);
void say_msg_flags(struct out *o, int flags);
uint32_t poll_parse(const char *word);
void say_poll(struct out *o, uint32_t bits);

/* --- far.c ---------------------------------------------------------------- */

/** far_connect() - Be near: reach the other side at a path */
void far_connect(const char *path);

/** far_ask() - Let far do a step; @o gets the result */
void far_ask(enum family family, const char *line, struct out *o);

/** far_serve() - Be far: serve one near at a path, to its end */
void far_serve(const char *path);

/* --- script.c --------------------------------------------------------------- */

/** script_run() - Run the sequences of a file
 * @only:	Only those whose name contains this; NULL all
 */
void script_run(const char *path, const char *only);

/** script_counts() - How much has been run */
void script_counts(unsigned int *sequences, unsigned int *steps);

/* --- calls_proc.c --------------------------------------------------------- */

/** proc_setup() - The six addresses of the command line, for processes that are made */
void proc_setup(char *const *addresses);

/** proc_step() - In such a process: do one step, and write its result
 *  @slots:	"a=5,b=7,": descriptors, by slot
 */
int proc_step(char *slots, const char *family, const char *line);

#endif /* SOCKDIFF_H */
