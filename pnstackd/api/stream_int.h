/* SPDX-License-Identifier: ISC */
/* stream_int.h - a stream, for streams.c (its life) and splice.c (its bytes) */
#ifndef PN_API_STREAM_INT_H
#define PN_API_STREAM_INT_H

#include "pnstackd/api/api_int.h"

enum stream_state { ST_HEADER, ST_CONNECTING, ST_DRAIN, ST_OPEN, ST_COUNT };

struct stream {
	struct stream *next, *prev;
	struct key_node node;
	struct api *api;
	int fd;
	struct loop_watch *watch;
	uint32_t wanted;           /* events the watch has */
	struct api_cred cred;
	enum stream_state state;
	uint32_t slot;             /* 0: none */
	stream_id sid;             /* 0: none (any more) */
	bool incoming;
	uint16_t flags, port, local_port;
	uint8_t hit[PN_HIT_LEN];
	uint8_t header[PN_WIRE_CONNECT_LEN];
	size_t header_len;
	bool filler_known;
	uint32_t filler_left;
	int outcome;               /* errno, in DRAIN */
	struct relay_end local;    /* fd >= 0: the other program on this node */
	bool in_done, out_done;
	bool in_full;              /* the session's buffer is full */
	bool stopped;              /* the far side reads no more; nothing sent since its end */
	uint64_t sent_at_fin;      /* bytes sent when its end came */
	bool out_full;             /* the program's buffer is full */
	int reset_err;             /* errno of a reset from afar */
	const char *broken;        /* what ended it before its time; NULL: nothing */
	uint64_t sent, received;   /* bytes from and to the program */
};

/* What api_stream_pump() is to look at */
#define PUMP_IN 1u     /* from the program to the session */
#define PUMP_OUT 2u    /* from the session to the program */
#define PUMP_HUP 4u    /* the program's end is closed */

/** api_stream_pump() - moves what can be moved; may free @st.  State OPEN only */
void api_stream_pump(struct stream *st, unsigned int what);
/** api_stream_want() - the events that the loop is to tell of */
void api_stream_want(struct stream *st, uint32_t events);
/** api_stream_free() - the end, in good order as far as the session is concerned */
void api_stream_free(struct stream *st);
/** api_stream_break() - the program has gone before the end: the far side sees a reset */
void api_stream_break(struct stream *st);

#endif
