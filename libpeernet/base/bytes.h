/* SPDX-License-Identifier: ISC */
/* Reader and writer of bytes: all parsing and all building goes through here.
 *
 * Failure is sticky.  After a short read every getter returns 0 (or NULL, or
 * false), the reader is empty, so that loops end, and one pn_rd_finish() at the
 * end of a message tests "no error and nothing left over".  The same for the
 * writer: after the first write that does not fit, or the first value too large
 * for its field, nothing more is written and pn_wr_ok() is false.
 *
 * One function each compares lengths, as "wanted > left", never as pointer
 * plus length.  Numbers are big endian.  A nested length makes a child reader:
 *
 *	struct pn_rd sub = pn_rd_sub(&r, pn_rd_u16(&r));
 *	... read from &sub ...
 *	if (!pn_rd_finish(&sub) || !pn_rd_finish(&r))
 *		return PN_EBADMSG;
 */
#ifndef PN_BYTES_H
#define PN_BYTES_H

#include "libpeernet/base/pn_assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct pn_rd - A reader: a view of bytes that somebody else owns
 * @at:		Next byte, borrowed; never NULL, but not to be read if !@left
 * @left:	Bytes left; 0 after a failure
 * @bad:	A read has failed
 */
struct pn_rd {
	const uint8_t *at;
	size_t left;
	bool bad;
};

/**
 * struct pn_wr - A writer into a buffer that somebody else owns
 * @buf:	Start of the buffer, borrowed
 * @len:	Bytes written so far; stays where it was at a failure
 * @cap:	Bytes that fit
 * @bad:	A write has failed
 */
struct pn_wr {
	uint8_t *buf;
	size_t len;
	size_t cap;
	bool bad;
};

/* --- reader ----------------------------------------------------------- */

/** pn_rd_init() - Begin to read
 * @buf:	Bytes, borrowed while the reader is used; may be NULL if !@len
 * @len:	Bytes at @buf
 */
static inline void pn_rd_init(struct pn_rd *r, const void *buf, size_t len)
{
	PN_ASSERT(buf || !len);
	r->at = buf ? (const uint8_t *)buf : (const uint8_t *)"";
	r->left = len;
	r->bad = false;
}

/** pn_rd_bytes() - Take @n bytes as they lie in the buffer
 * @n:		Bytes wanted; 0 succeeds on a reader that has not failed
 *
 * Return: the bytes, borrowed as the buffer is; NULL on failure
 */
static inline const uint8_t *pn_rd_bytes(struct pn_rd *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->bad || n > r->left) {
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	r->at += n;
	r->left -= n;
	return p;
}

/** pn_rd_u8() - Take one byte
 * Return: the value; 0 on failure
 */
static inline uint8_t pn_rd_u8(struct pn_rd *r)
{
	const uint8_t *p = pn_rd_bytes(r, 1);

	return p ? p[0] : 0;
}

/** pn_rd_u16() - Take a 16-bit number
 * Return: the value; 0 on failure
 */
static inline uint16_t pn_rd_u16(struct pn_rd *r)
{
	const uint8_t *p = pn_rd_bytes(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

/** pn_rd_u32() - Take a 32-bit number
 * Return: the value; 0 on failure
 */
static inline uint32_t pn_rd_u32(struct pn_rd *r)
{
	const uint8_t *p = pn_rd_bytes(r, 4);

	if (!p)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

/** pn_rd_u64() - Take a 64-bit number
 * Return: the value; 0 on failure
 */
static inline uint64_t pn_rd_u64(struct pn_rd *r)
{
	const uint8_t *p = pn_rd_bytes(r, 8);

	if (!p)
		return 0;
	return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 |
	       (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
	       (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
	       (uint64_t)p[6] << 8 | p[7];
}

/** pn_rd_left() - Bytes not read yet
 * Return: bytes; 0 after a failure
 */
static inline size_t pn_rd_left(const struct pn_rd *r)
{
	return r->left;
}

/** pn_rd_fail() - Make the reader fail, as a short read does
 *
 * For a value that was read but is not acceptable.
 */
static inline void pn_rd_fail(struct pn_rd *r)
{
	r->bad = true;
	r->left = 0;
}

/** pn_rd_finish() - The one test at the end of a message
 * Return: true if nothing failed and nothing is left over
 */
PN_MUST_CHECK static inline bool pn_rd_finish(const struct pn_rd *r)
{
	return !r->bad && !r->left;
}

/** pn_rd_copy() - Take @n bytes into @dst
 * @dst:	Room for @n bytes; all zero after a failure
 *
 * Return: false on failure
 */
bool pn_rd_copy(struct pn_rd *r, void *dst, size_t n);

/** pn_rd_skip() - Pass over @n bytes
 * Return: false on failure
 */
bool pn_rd_skip(struct pn_rd *r, size_t n);

/** pn_rd_sub() - Take @len bytes as a reader of their own
 *
 * A failure of the child does not show in the parent: finish both.
 *
 * Return: the child; failed from the start if @r has not that many
 */
struct pn_rd pn_rd_sub(struct pn_rd *r, size_t len);

/* --- writer ----------------------------------------------------------- */

/** pn_wr_init() - Begin to write
 * @buf:	Buffer, borrowed while the writer is used; may be NULL if !@cap
 * @cap:	Bytes at @buf
 */
static inline void pn_wr_init(struct pn_wr *w, void *buf, size_t cap)
{
	PN_ASSERT(buf || !cap);
	w->buf = (uint8_t *)buf;
	w->len = 0;
	w->cap = cap;
	w->bad = false;
}

/** pn_wr_reserve() - Append @n bytes for the caller to fill
 * @n:		Bytes
 *
 * Return: the place, contents undefined; NULL on failure
 */
static inline uint8_t *pn_wr_reserve(struct pn_wr *w, size_t n)
{
	uint8_t *p;

	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	p = w->buf + w->len;
	w->len += n;
	return p;
}

/** pn_wr_ok() - Has everything been written?
 * Return: false if a write did not fit or a value was out of range
 */
PN_MUST_CHECK static inline bool pn_wr_ok(const struct pn_wr *w)
{
	return !w->bad;
}

/** pn_wr_fail() - Make the writer fail, as a write that does not fit */
static inline void pn_wr_fail(struct pn_wr *w)
{
	w->bad = true;
}

/** pn_wr_u8() - Append one byte
 * @v:		Value; fails above 255
 */
static inline void pn_wr_u8(struct pn_wr *w, uint64_t v)
{
	uint8_t *p;

	if (v > UINT8_MAX)
		w->bad = true;
	p = pn_wr_reserve(w, 1);
	if (p)
		p[0] = (uint8_t)v;
}

/** pn_wr_u16() - Append a 16-bit number
 * @v:		Value; fails above 65,535
 */
static inline void pn_wr_u16(struct pn_wr *w, uint64_t v)
{
	uint8_t *p;

	if (v > UINT16_MAX)
		w->bad = true;
	p = pn_wr_reserve(w, 2);
	if (!p)
		return;
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/** pn_wr_u32() - Append a 32-bit number
 * @v:		Value; fails if it has more than 32 bits
 */
static inline void pn_wr_u32(struct pn_wr *w, uint64_t v)
{
	uint8_t *p;
	size_t i;

	if (v > UINT32_MAX)
		w->bad = true;
	p = pn_wr_reserve(w, 4);
	if (!p)
		return;
	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/** pn_wr_u64() - Append a 64-bit number
 * @v:		Value
 */
static inline void pn_wr_u64(struct pn_wr *w, uint64_t v)
{
	uint8_t *p = pn_wr_reserve(w, 8);
	size_t i;

	if (!p)
		return;
	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

/** pn_wr_bytes() - Append a copy of bytes
 * @p:		Bytes, borrowed for the call; may be NULL if !@n
 * @n:		Bytes at @p
 */
void pn_wr_bytes(struct pn_wr *w, const void *p, size_t n);

/** pn_wr_open16() - Append a 16-bit length that is not known yet
 * Return: a mark for pn_wr_close16(), good also after a failure
 */
PN_MUST_CHECK size_t pn_wr_open16(struct pn_wr *w);

/** pn_wr_close16() - Set the length at @mark to the bytes written since
 * @mark:	From pn_wr_open16() of the same writer
 *
 * Fails if there are more than 65,535.
 */
void pn_wr_close16(struct pn_wr *w, size_t mark);

#endif /* PN_BYTES_H */
