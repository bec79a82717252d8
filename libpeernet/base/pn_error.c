// SPDX-License-Identifier: ISC
/* Texts of the error codes. */
#include "libpeernet/base/pn_error.h"

#include "libpeernet/base/pn_assert.h"

#include <assert.h>

#define AT(code_)	[PN_ERROR_FIRST - (code_)]

static const char *const error_text[] = {
	AT(PN_EINVAL)	 = "invalid argument",
	AT(PN_ENOMEM)	 = "out of memory",
	AT(PN_EFULL)	 = "table full",
	AT(PN_ETRUNC)	 = "message too short",
	AT(PN_EBADMSG)	 = "malformed message",
	AT(PN_EAUTH)	 = "authentication failed",
	AT(PN_EREPLAY)	 = "replayed or outdated packet",
	AT(PN_ENOROUTE)	 = "no route",
	AT(PN_ENOENT)	 = "not found",
	AT(PN_EAGAIN)	 = "not ready, try again",
	AT(PN_EMSGSIZE)	 = "message too long",
	AT(PN_EEXIST)	 = "already exists",
	AT(PN_ETIMEDOUT) = "timed out",
	AT(PN_ESTALE)	 = "no longer valid",
	AT(PN_EREFUSED)	 = "refused",
	AT(PN_ERESET)	 = "reset by peer",
	AT(PN_EUNREACH)	 = "unreachable",
	AT(PN_EPROTO)	 = "protocol violation",
	AT(PN_ECLOSED)	 = "closed",
};

static_assert(PN_ARRAY_LEN(error_text) == PN_ERROR_FIRST - PN_ERROR_LAST + 1,
	      "a text for each code");

const char *pn_strerror(int code)
{
	if (code == 0)
		return "success";
	if (code > PN_ERROR_FIRST || code < PN_ERROR_LAST)
		return "unknown error";
	return error_text[PN_ERROR_FIRST - code];
}
