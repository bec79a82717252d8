// SPDX-License-Identifier: ISC
/* Base32 and host names.  ASCII only and no locale: <ctype.h> is not used. */
#include "libpeernet/base/name.h"

#include "libpeernet/base/pn_error.h"

#include <string.h>

#define KEY_LIKE_MIN	40	/* characters, see pn_name_parse() */
#define SUFFIX_LEN	(sizeof(PN_NAME_SUFFIX) - 1)

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The value of a character of base32, or -1 */
static int base32_value(char c)
{
	c = to_lower(c);
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

void pn_id_to_text(const uint8_t id[PN_ID_LEN], char text[PN_ID_TEXT_LEN + 1])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint32_t bits = 0;	/* the lowest bit_count of them are to be written */
	unsigned int bit_count = 0;
	size_t i, at = 0;

	for (i = 0; i < PN_ID_LEN; i++) {
		bits = bits << 8 | id[i];
		bit_count += 8;
		while (bit_count >= 5) {
			bit_count -= 5;
			text[at++] = alphabet[bits >> bit_count & 31];
		}
	}
	/* 256 bits are 51 characters and one bit */
	PN_ASSERT(bit_count == 1);
	text[at++] = alphabet[bits << 4 & 31];
	PN_ASSERT(at == PN_ID_TEXT_LEN);
	text[at] = '\0';
}

int pn_id_from_text(const char *text, size_t text_len, uint8_t id[PN_ID_LEN])
{
	uint8_t tmp[PN_ID_LEN];
	uint32_t bits = 0;
	unsigned int bit_count = 0;
	size_t i, at = 0;

	if (text_len != PN_ID_TEXT_LEN)
		return PN_EMSGSIZE;
	for (i = 0; i < PN_ID_TEXT_LEN; i++) {
		int value = base32_value(text[i]);

		if (value < 0)
			return PN_EINVAL;
		bits = bits << 5 | (uint32_t)value;
		bit_count += 5;
		if (bit_count >= 8) {
			bit_count -= 8;
			PN_ASSERT(at < PN_ID_LEN);
			tmp[at++] = (uint8_t)(bits >> bit_count);
		}
	}
	PN_ASSERT(at == PN_ID_LEN);
	PN_ASSERT(bit_count == 4);
	if (bits & 15)
		return PN_EINVAL;
	memcpy(id, tmp, sizeof(tmp));
	return 0;
}

void pn_id_to_name(const uint8_t id[PN_ID_LEN], char name[PN_ID_NAME_LEN + 1])
{
	pn_id_to_text(id, name);
	memcpy(name + PN_ID_TEXT_LEN, PN_NAME_SUFFIX, SUFFIX_LEN + 1);
}

/* Append @text to the reason; what does not fit is cut off */
static void reason_add(struct pn_name *out, const char *text)
{
	size_t len = strlen(out->reason);
	size_t n = pn_min(strlen(text), sizeof(out->reason) - 1 - len);

	memcpy(out->reason + len, text, n);
	out->reason[len + n] = '\0';
}

/* Append a number below 100, which a label's length is */
static void reason_add_number(struct pn_name *out, size_t n)
{
	char digits[3] = { 0 };
	size_t at = 0;

	PN_ASSERT(n < 100);
	if (n >= 10)
		digits[at++] = (char)('0' + n / 10);
	digits[at] = (char)('0' + n % 10);
	reason_add(out, digits);
}

static int malformed(struct pn_name *out, const char *why)
{
	out->kind = PN_NAME_FOREIGN;
	out->reason[0] = '\0';
	reason_add(out, "not a PeerNet name: ");
	reason_add(out, why);
	return PN_EINVAL;
}

/* Why a label is none, or NULL if it is one */
static const char *label_fault(const char *label, size_t label_len)
{
	size_t i;

	if (!label_len)
		return "nothing before " PN_NAME_SUFFIX;
	if (memchr(label, '.', label_len))
		return "more than one label before " PN_NAME_SUFFIX;
	if (label_len > PN_LABEL_MAX)
		return "a label has at most 63 characters";
	if (label[0] == '-' || label[label_len - 1] == '-')
		return "a label has no hyphen at its ends";
	for (i = 0; i < label_len; i++) {
		char c = to_lower(label[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '-')
			return "only letters, digits and hyphens are allowed";
	}
	return NULL;
}

static bool label_is_key_like(const char *label, size_t label_len)
{
	return label_len >= KEY_LIKE_MIN && !memchr(label, '-', label_len);
}

bool pn_label_ok(const char *label, size_t label_len)
{
	return !label_fault(label, label_len) &&
	       !label_is_key_like(label, label_len);
}

static int key_parse(const char *label, size_t label_len, struct pn_name *out)
{
	static const char digits[] = "0189";
	size_t i;

	if (label_len != PN_ID_TEXT_LEN) {
		(void)malformed(out, "");
		reason_add_number(out, label_len);
		reason_add(out, " characters, a key has ");
		reason_add_number(out, PN_ID_TEXT_LEN);
		return PN_EINVAL;
	}
	if (!pn_id_from_text(label, label_len, out->id)) {
		out->kind = PN_NAME_ID;
		return 0;
	}
	for (i = 0; i < label_len; i++) {
		if (memchr(digits, label[i], sizeof(digits) - 1))
			return malformed(out, "a key has letters and the "
					 "digits 2 to 7, but not 0, 1, 8, 9");
	}
	return malformed(out, "the last character of the key is wrong");
}

/* Whether the name ends in the suffix, in either case */
static bool has_suffix(const char *s, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix);
	size_t i;

	if (len < suffix_len)
		return false;
	for (i = 0; i < suffix_len; i++) {
		if (to_lower(s[len - suffix_len + i]) != suffix[i])
			return false;
	}
	return true;
}

int pn_name_parse(const char *s, struct pn_name *out)
{
	size_t len = strlen(s);
	const char *fault;
	size_t i;

	memset(out, 0, sizeof(*out));
	out->kind = PN_NAME_FOREIGN;

	if (len && s[len - 1] == '.')
		len--;
	if (len == SUFFIX_LEN - 1 && has_suffix(s, len, &PN_NAME_SUFFIX[1]))
		return malformed(out, "nothing before " PN_NAME_SUFFIX);
	if (!has_suffix(s, len, PN_NAME_SUFFIX))
		return 0;
	len -= SUFFIX_LEN;

	fault = label_fault(s, len);
	if (fault)
		return malformed(out, fault);
	if (label_is_key_like(s, len))
		return key_parse(s, len, out);

	out->kind = PN_NAME_PETNAME;
	for (i = 0; i < len; i++)
		out->label[i] = to_lower(s[i]);
	return 0;
}
