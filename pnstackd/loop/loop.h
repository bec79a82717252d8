/* SPDX-License-Identifier: ISC */
/* loop.h - readiness, asynchronous sends and time for links, API and host
 *
 * One thread, one loop.  loop_uring.c where the kernel allows it, loop_epoll.c
 * where not; the callers see no difference.  Readiness is level-triggered: a
 * callback that leaves bytes unread is called again.
 */
#ifndef PN_LOOP_H
#define PN_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libpeernet/base/pn_time.h"

struct loop;
struct loop_watch;

#define LOOP_IN  1u
#define LOOP_OUT 2u
#define LOOP_HUP 4u   /* delivered always, also when not asked for */
#define LOOP_ERR 8u

typedef void loop_fn(void *arg, uint32_t events, struct pn_time now);
/** called when an asynchronous send is over: @res is bytes or -errno; the
 *  message and its buffers belong to the caller again */
typedef void loop_sent_fn(void *arg, int res);

enum loop_kind { LOOP_AUTO, LOOP_URING, LOOP_EPOLL };

/** loop_new() - LOOP_AUTO tries io_uring first
 *  @why: out, static text: why io_uring was not taken; NULL if it was
 *  Return: NULL with errno */
struct loop *loop_new(enum loop_kind kind, const char **why);
void loop_free(struct loop *loop);
const char *loop_name(const struct loop *loop);   /* "io_uring" or "epoll" */

/** loop_watch_add() - call @fn when @fd is ready.  The descriptor stays the
 *  caller's.  Return: NULL with errno */
struct loop_watch *loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_fn *fn,
				  void *arg);
/** loop_watch_set() - other events; 0 pauses it (HUP and ERR are then paused too) */
void loop_watch_set(struct loop *loop, struct loop_watch *w, uint32_t events);
/** loop_watch_del() - before close(fd); no callback comes after */
void loop_watch_del(struct loop *loop, struct loop_watch *w);

/* Descriptors with a high rate of frames are not watched but drained: while
 * traffic flows each round calls @fn, and nobody waits on the descriptor (a
 * waiter costs the sender a wake-up per frame); when it was quiet for a
 * moment the loop waits for readiness again. */
struct loop_drain;
/** takes what has arrived, up to a budget of its own
 *  Return: how many frames; 0: nothing there */
typedef size_t loop_drain_fn(void *arg, struct pn_time now);
/** loop_drain_add() - Return: NULL with errno.  The descriptor stays the caller's */
struct loop_drain *loop_drain_add(struct loop *loop, int fd, loop_drain_fn *fn, void *arg);
/** loop_drain_del() - before close(fd); no callback comes after */
void loop_drain_del(struct loop *loop, struct loop_drain *d);

/** loop_sendmsg() - queue one send; submitted in one batch by loop_wait() or
 *  loop_submit().  @msg and what it points to stay valid until @fn was called.
 *  Return: 0, or -EAGAIN when the queue is full (then sendmsg() yourself) */
int loop_sendmsg(struct loop *loop, int fd, const struct msghdr *msg, loop_sent_fn *fn, void *arg);
void loop_submit(struct loop *loop);

struct pn_time loop_now(void);   /* reads the monotonic clock */

/** loop_wait() - submit, sleep until something is ready or @deadline, call the
 *  callbacks.  A signal may end the sleep early.  Under load naps shortly
 *  instead of arming waits; see the theory of operation in loop.c.
 *  Return: number of callbacks made, those of sends not counted */
int loop_wait(struct loop *loop, struct pn_time deadline);

#endif
