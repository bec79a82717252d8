/* SPDX-License-Identifier: ISC */
/* The one table of error codes, and errors kept until a program asks. */
#include <errno.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

/* Codes of the house to codes of the host. */
static const struct {
	int code;
	int err;
} codes[] = {
	{ PN_EINVAL, EINVAL },
	{ PN_ENOMEM, ENOMEM },
	{ PN_EFULL, ENOBUFS },
	{ PN_ETRUNC, EBADMSG },
	{ PN_EBADMSG, EBADMSG },
	{ PN_EAUTH, EACCES },
	{ PN_EREPLAY, EBADMSG },
	{ PN_ENOROUTE, EHOSTUNREACH },
	{ PN_ENOENT, ENOENT },
	{ PN_EAGAIN, EAGAIN },
	{ PN_EMSGSIZE, EMSGSIZE },
	{ PN_EEXIST, EEXIST },
	{ PN_ETIMEDOUT, ETIMEDOUT },
	{ PN_ESTALE, ECONNABORTED },
	{ PN_EREFUSED, ECONNREFUSED },
	{ PN_ERESET, ECONNRESET },
	{ PN_EUNREACH, EHOSTUNREACH },
	{ PN_EPROTO, EPROTO },
	{ PN_ECLOSED, ECONNRESET },
};
static_assert(PN_ARRAY_LEN(codes) == PN_ERROR_FIRST - PN_ERROR_LAST + 1, "one line a code");

int errs_errno(int code)
{
	size_t i;

	if (code == 0)
		return 0;
	for (i = 0; i < PN_ARRAY_LEN(codes); i++) {
		if (codes[i].code == code)
			return codes[i].err;
	}
	return EIO;
}

const char *errs_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "EIO";
}

void errs_keep(struct errs *e, const uint8_t key[16], uid_t uid, int err, struct pn_time now)
{
	struct err_kept *k = &e->kept[e->next];

	if (!err)
		return;
	e->next = (e->next + 1) % ERRS_KEPT;
	memcpy(k->key, key, sizeof(k->key));
	k->uid = uid;
	k->err = err;
	k->until = pn_time_add(now, ERRS_KEPT_NS);
}

struct err_kept *errs_find(struct errs *e, const uint8_t key[16], struct pn_time now)
{
	size_t i;

	for (i = 0; i < ERRS_KEPT; i++) {
		struct err_kept *k = &e->kept[i];

		if (k->err && !memcmp(k->key, key, sizeof(k->key)) && !pn_time_due(k->until, now))
			return k;
	}
	return NULL;
}
