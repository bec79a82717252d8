/* SPDX-License-Identifier: ISC */
/* From a descriptor's number to what the shim knows about it.
 *
 * Theory of operation
 *
 * Hooks run in any thread, in signal handlers (close() and read() are allowed
 * there) and in forked children of threaded programs, so there are no locks.
 * The table has two levels; blocks are allocated when first needed and never
 * freed.  Sockets come from a pool of the same kind, so that a pointer to one
 * stays readable for ever, though it may be reused: who wants to keep one
 * takes a reference (unless the count is 0) and looks at the table again.
 *
 * A socket is given up in two steps: the last reference turns the count into
 * SOCK_DYING, the hidden descriptors are closed, and the count becomes 0, which
 * is "free to be taken".
 *
 * The shim's own descriptors (connector, hidden listeners, trace file) are
 * numbers from FD_HIDDEN_MIN up where possible, and entered as "internal":
 * a program that closes everything does not close them, and one that wants
 * such a number for itself (dup2) makes them move.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SOCK_DYING	0x80000000u

typedef _Atomic(struct sock *) fd_slot;

static _Atomic(void *) fd_blocks[FD_BLOCK_COUNT];	/* of fd_slot */
static _Atomic(void *) sock_blocks[SOCK_BLOCK_COUNT];	/* of struct sock */
static _Atomic unsigned int sock_block_count;
static _Atomic unsigned int sock_hint;			/* where to look first */
static _Atomic int fd_top;		/* one above the highest entry ever */
static struct sock fd_internal = { .refs = 1, .kind = SOCK_INTERNAL };

/* A block of zeroes at *@place; two threads may race for it, one wins. */
static void *block_make(_Atomic(void *) *place, size_t size)
{
	void *have = NULL;
	void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (made == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(place, &have, made))
		return made;
	munmap(made, size);
	return have;
}

static fd_slot *fd_slot_at(int fd, bool make)
{
	unsigned int n = (unsigned int)fd;
	fd_slot *block;

	if (fd < 0 || n >= FD_MAX)
		return NULL;
	block = atomic_load_explicit(&fd_blocks[n / FD_BLOCK], memory_order_acquire);
	if (!block && make)
		block = block_make(&fd_blocks[n / FD_BLOCK], FD_BLOCK * sizeof(fd_slot));
	return block ? &block[n % FD_BLOCK] : NULL;
}

/* --- sockets ------------------------------------------------------------ */

static struct sock *sock_take_among(unsigned int count)
{
	unsigned int start = atomic_load(&sock_hint), i;

	for (i = 0; i < count; i++) {
		unsigned int n = (start + i) % count;
		struct sock *block = atomic_load(&sock_blocks[n / SOCK_BLOCK]);
		uint32_t zero = 0;

		if (atomic_compare_exchange_strong(&block[n % SOCK_BLOCK].refs, &zero, 1)) {
			atomic_store(&sock_hint, n + 1);
			return &block[n % SOCK_BLOCK];
		}
	}
	return NULL;
}

static struct sock *sock_take_free(void)
{
	unsigned int blocks;
	struct sock *s;

	for (;;) {
		blocks = atomic_load(&sock_block_count);
		s = sock_take_among(blocks * SOCK_BLOCK);
		if (s || blocks == SOCK_BLOCK_COUNT)
			return s;
		if (!block_make(&sock_blocks[blocks], SOCK_BLOCK * sizeof(*s)))
			return NULL;
		atomic_compare_exchange_strong(&sock_block_count, &blocks, blocks + 1);
	}
}

struct sock *sock_new(enum sock_kind kind, int domain)
{
	struct sock *s = sock_take_free();

	if (!s) {
		errno = ENOMEM;
		return NULL;
	}
	/* All but refs, which others may look at */
	atomic_store(&s->kind, (uint8_t)kind);
	atomic_store(&s->state, SOCK_BORN);
	s->domain = domain;
	memset(s->key, 0, sizeof(s->key));
	memset(&s->local, 0, sizeof(s->local));
	memset(&s->peer, 0, sizeof(s->peer));
	atomic_store(&s->so_error, 0);
	atomic_store(&s->kernel_fd, -1);
	atomic_store(&s->live_fd, -1);
	atomic_store(&s->in_epoll, false);
	atomic_store(&s->eof_asked, false);
	atomic_store(&s->shut, 0);
	atomic_store(&s->unannounced, false);
	s->awaits_answer = false;
	s->reset = false;
	s->carries = false;
	s->daemon = 0;
	atomic_store(&s->renewing, false);
	s->owner = 0;
	memset(&s->opts, 0, sizeof(s->opts));
	return s;
}

static bool sock_get(struct sock *s)
{
	uint32_t refs = atomic_load(&s->refs);

	do {
		if (!refs || refs & SOCK_DYING)
			return false;
	} while (!atomic_compare_exchange_weak(&s->refs, &refs, refs + 1));
	return true;
}

void sock_put(struct sock *s)
{
	uint32_t refs = atomic_load(&s->refs);
	int saved = errno;

	PN_ASSERT(refs && !(refs & SOCK_DYING));
	while (!atomic_compare_exchange_weak(&s->refs, &refs, refs == 1 ? SOCK_DYING : refs - 1))
		;
	if (refs != 1)
		return;
	fd_unhide(atomic_exchange(&s->kernel_fd, -1));
	fd_unhide(atomic_exchange(&s->live_fd, -1));
	atomic_store(&s->refs, 0);
	errno = saved;
}

/* --- numbers ------------------------------------------------------------ */

struct sock *fd_peek(int fd)
{
	fd_slot *slot = fd_slot_at(fd, false);

	return slot ? atomic_load_explicit(slot, memory_order_acquire) : NULL;
}

struct sock *fd_get(int fd)
{
	fd_slot *slot = fd_slot_at(fd, false);
	struct sock *s;

	if (!slot)
		return NULL;
	for (;;) {
		s = atomic_load_explicit(slot, memory_order_acquire);
		if (!s || s == &fd_internal)
			return NULL;
		if (!sock_get(s))
			continue; /* just being dropped: the slot changes now */
		if (atomic_load(slot) == s)
			return s;
		sock_put(s);
	}
}

/* Some closes cannot be seen (those inside libc).  The number may be a file or
 * a socket of another kind by now. */
struct sock *fd_get_checked(int fd)
{
	struct sock *s = fd_get(fd);
	int type = 0, domain = 0, saved = errno;
	socklen_t len = sizeof(int);

	if (!s)
		return NULL;
	if (!real()->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) &&
	    !real()->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	    domain == AF_UNIX &&
	    type == (s->kind == SOCK_STREAMS ? SOCK_STREAM : SOCK_SEQPACKET)) {
		errno = saved;
		return s;
	}
	fd_drop(fd);
	sock_put(s);
	errno = saved;
	return NULL;
}

/* The slot's own reference goes with what is in it. */
static void fd_swap(int fd, struct sock *s)
{
	fd_slot *slot = fd_slot_at(fd, s != NULL);
	struct sock *old;
	int top;

	if (!slot)
		return; /* a number beyond the table: libc's */
	if (s && s != &fd_internal && !sock_get(s))
		PN_ASSERT(!"a socket without a reference");
	old = atomic_exchange(slot, s);
	if (old && old != &fd_internal)
		sock_put(old);
	top = atomic_load(&fd_top);
	while (s && fd >= top && !atomic_compare_exchange_weak(&fd_top, &top, fd + 1))
		;
}

void fd_bind(int fd, struct sock *s)
{
	PN_ASSERT(s);
	fd_swap(fd, s);
}

void fd_drop(int fd)
{
	if (fd_peek(fd))
		fd_swap(fd, NULL);
}

int fd_next(int from, struct sock **s)
{
	int fd, top = atomic_load(&fd_top);

	for (fd = from < 0 ? 0 : from; fd < top; fd++) {
		*s = fd_peek(fd);
		if (*s)
			return fd;
		if (!atomic_load(&fd_blocks[fd / FD_BLOCK]))
			fd |= FD_BLOCK - 1;
	}
	return -1;
}

/* --- hidden descriptors --------------------------------------------------- */

bool fd_is_internal(int fd)
{
	return fd_peek(fd) == &fd_internal;
}

int fd_hidden_min(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur > 2UL * FD_HIDDEN_MIN)
		return FD_HIDDEN_MIN;
	return (int)lim.rlim_cur / 2;
}

void fd_mark(int fd)
{
	if (!fd_is_internal(fd))
		fd_swap(fd, &fd_internal);
}

/* A copy out of the program's way, or where there is room */
static int dup_high(int fd)
{
	int high = real()->fcntl(fd, F_DUPFD_CLOEXEC, fd_hidden_min());

	return high < 0 ? real()->fcntl(fd, F_DUPFD_CLOEXEC, 3) : high;
}

int fd_hide(int fd)
{
	int high, saved;

	if (fd < 0)
		return -1;
	high = dup_high(fd);
	saved = errno;
	real()->close(fd);
	errno = saved;
	if (high >= 0)
		fd_swap(high, &fd_internal);
	return high;
}

void fd_unhide(int fd)
{
	fd_slot *slot = fd_slot_at(fd, false);
	struct sock *ours = &fd_internal;

	if (fd < 0)
		return;
	if (slot)
		atomic_compare_exchange_strong(slot, &ours, NULL);
	real()->close(fd);
}

/* Whoever holds the number in a variable of ours gets the new one.  The old one stays open
 * until then, so that nobody else gets it. */
int fd_evict(int fd)
{
	struct sock *s;
	int at, moved = dup_high(fd);

	if (moved < 0)
		return EMFILE;
	fd_swap(moved, &fd_internal);
	for (at = fd_next(0, &s); at >= 0; at = fd_next(at + 1, &s)) {
		int want = fd;

		atomic_compare_exchange_strong(&s->kernel_fd, &want, moved);
		want = fd;
		atomic_compare_exchange_strong(&s->live_fd, &want, moved);
	}
	dm_fd_moved(fd, moved);
	trace_fd_moved(fd, moved);
	vfork_fd_moved(fd, moved);
	fd_drop(fd);
	return 0;
}
