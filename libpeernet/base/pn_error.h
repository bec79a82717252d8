/* SPDX-License-Identifier: ISC */
/* The negative codes that functions return (0 is success).
 *
 * They start at -1001, so that one can never be taken for a negative errno.
 * One table elsewhere maps them to codes on the wire; these numbers never
 * leave the process. */
#ifndef PN_ERROR_H
#define PN_ERROR_H

/**
 * enum pn_error - What went wrong
 *
 * Only ever used negative, in an int.  Add new codes at the end and their text
 * in pn_error.c, which checks that none is missing.
 */
enum pn_error {
	PN_EINVAL	= -1001, /* an argument or value makes no sense */
	PN_ENOMEM	= -1002, /* the system has no memory; never in core */
	PN_EFULL	= -1003, /* a table or queue is full */
	PN_ETRUNC	= -1004, /* a message ends before its fields do */
	PN_EBADMSG	= -1005, /* a message is malformed */
	PN_EAUTH	= -1006, /* signature, tag or identity is wrong */
	PN_EREPLAY	= -1007, /* seen before, or older than the window */
	PN_ENOROUTE	= -1008, /* nowhere to send this packet */
	PN_ENOENT	= -1009, /* no such thing */
	PN_EAGAIN	= -1010, /* not now; try again after an event */
	PN_EMSGSIZE	= -1011, /* larger than what can be carried */
	PN_EEXIST	= -1012, /* it is there already */
	PN_ETIMEDOUT	= -1013, /* no answer in time */
	PN_ESTALE	= -1014, /* a handle or record out of date */
	PN_EREFUSED	= -1015, /* the far side listens not, or says no */
	PN_ERESET	= -1016, /* the far side broke it off */
	PN_EUNREACH	= -1017, /* the identity is not to be found */
	PN_EPROTO	= -1018, /* right form, but not allowed in this state */
	PN_ECLOSED	= -1019, /* closed in good order */
};

#define PN_ERROR_FIRST	PN_EINVAL
#define PN_ERROR_LAST	PN_ECLOSED

/** pn_strerror() - Words for a code
 * @code:	0, or one of enum pn_error
 *
 * Return: a static string, lower case, without full stop; never NULL, also for
 *	   a number that is no code
 */
const char *pn_strerror(int code);

#endif /* PN_ERROR_H */
