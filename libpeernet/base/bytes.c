// SPDX-License-Identifier: ISC
/* The parts of reader and writer that are not inline. */
#include "libpeernet/base/bytes.h"

#include <string.h>

bool pn_rd_copy(struct pn_rd *r, void *dst, size_t n)
{
	const uint8_t *p = pn_rd_bytes(r, n);

	PN_ASSERT(dst || !n);
	if (!n)
		return p != NULL;
	if (!p) {
		memset(dst, 0, n);
		return false;
	}
	memcpy(dst, p, n);
	return true;
}

bool pn_rd_skip(struct pn_rd *r, size_t n)
{
	return pn_rd_bytes(r, n) != NULL;
}

struct pn_rd pn_rd_sub(struct pn_rd *r, size_t len)
{
	const uint8_t *p = pn_rd_bytes(r, len);
	struct pn_rd sub;

	if (!p) {
		pn_rd_init(&sub, NULL, 0);
		pn_rd_fail(&sub);
		return sub;
	}
	pn_rd_init(&sub, p, len);
	return sub;
}

void pn_wr_bytes(struct pn_wr *w, const void *p, size_t n)
{
	uint8_t *to = pn_wr_reserve(w, n);

	PN_ASSERT(p || !n);
	if (to && n)
		memcpy(to, p, n);
}

size_t pn_wr_open16(struct pn_wr *w)
{
	size_t mark = w->len;

	pn_wr_u16(w, 0);
	return mark;
}

void pn_wr_close16(struct pn_wr *w, size_t mark)
{
	size_t body_len;

	if (w->bad)
		return;
	PN_ASSERT(mark <= w->len);
	PN_ASSERT(w->len - mark >= 2);
	body_len = w->len - mark - 2;
	if (body_len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	w->buf[mark] = (uint8_t)(body_len >> 8);
	w->buf[mark + 1] = (uint8_t)body_len;
}
