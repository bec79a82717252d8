/* SPDX-License-Identifier: ISC */
/* The one table between our error codes and the application error codes of
 * RESET_STREAM, STOP_SENDING and CONNECTION_CLOSE. */
#include "pnstackd/session/session_internal.h"

static const struct { uint16_t wire; int err; } table[] = {
	{ 0x01, PN_ERESET },
	{ 0x02, PN_EREFUSED },
	{ 0x03, PN_EFULL },
	{ 0x04, PN_ETIMEDOUT },
	{ 0x05, PN_EUNREACH },
	{ 0x06, PN_EAUTH },
	{ 0x07, PN_EPROTO },
	{ 0x08, PN_EBADMSG },
	{ 0x09, PN_ENOMEM },
	{ 0x0a, PN_ECLOSED },
	{ WIRE_IDLE, PN_ECLOSED },
	{ WIRE_REDUNDANT, PN_ECLOSED },
	{ WIRE_SHUTDOWN, PN_ECLOSED },
};

uint64_t err_to_wire(int err)
{
	for (size_t i = 0; i < PN_ARRAY_LEN(table); i++)
		if (table[i].err == err)
			return table[i].wire;
	return table[0].wire;
}

int err_from_wire(uint64_t code)
{
	for (size_t i = 0; i < PN_ARRAY_LEN(table); i++)
		if (table[i].wire == code)
			return table[i].err;
	return PN_ERESET;
}

int err_from_close(uint64_t code, bool app)
{
	if (app)
		return err_from_wire(code);
	/* RFC 9001 4.8: TLS alerts are 0x100 and up.  42 to 49 and 116: bad,
	 * unsupported, revoked, expired, unknown, denied, missing certificate */
	if (code >= 0x100 + 42 && code <= 0x100 + 49)
		return PN_EAUTH;
	if (code == 0x100 + 51 || code == 0x100 + 116)
		return PN_EAUTH;
	if (code == 0x02)	/* CONNECTION_REFUSED */
		return PN_EREFUSED;
	return code ? PN_EPROTO : PN_ERESET;
}
