/* SPDX-License-Identifier: ISC */
/* Numbers with units. */
#include "tests/sim/parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 1e6

struct unit {
	const char *name;
	double factor;
};

/* A number and one of @units, of which the list ends with NULL */
static bool with_unit(const char *text, const struct unit *units, double max, double *out)
{
	char *end;
	double v = strtod(text, &end);

	/* strtod() also takes hexadecimal numbers, signs, "inf" and white space */
	if (strspn(text, "0123456789.") == 0 || text[1] == 'x' || end == text || !isfinite(v))
		return false;
	for (; units->name; units++)
		if (!strcmp(end, units->name))
			break;
	if (!units->name || v * units->factor > max)
		return false;
	*out = v * units->factor;
	return true;
}

bool parse_real(const char *text, double max, double *out)
{
	static const struct unit none[] = { { "", 1 }, { NULL, 0 } };

	return with_unit(text, none, max, out);
}

bool parse_count(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v > max)
		return false;
	*out = v;
	return true;
}

bool parse_share(const char *text, double *out)
{
	static const struct unit units[] = { { "", 1 }, { "%", 0.01 }, { NULL, 0 } };

	return with_unit(text, units, 1, out);
}

bool parse_seconds(const char *text, double *out)
{
	static const struct unit units[] = { { "", 1 },	     { "s", 1 },   { "ms", 1e-3 },
					     { "us", 1e-6 }, { "min", 60 }, { NULL, 0 } };

	return with_unit(text, units, SECONDS_MAX, out);
}

bool parse_ns(const char *text, double unit_ns, uint64_t *out)
{
	const struct unit units[] = { { "", unit_ns }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 },
				      { "min", 60e9 }, { NULL, 0 } };
	double v;

	if (!with_unit(text, units, SECONDS_MAX * 1e9, &v))
		return false;
	*out = (uint64_t)v;
	return true;
}

bool parse_rate(const char *text, uint64_t *out)
{
	static const struct unit units[] = { { "", 1 },	  { "k", 1e3 }, { "M", 1e6 },
					     { "G", 1e9 }, { NULL, 0 } };
	double v;

	if (!with_unit(text, units, 1e12, &v))
		return false;
	*out = (uint64_t)v;
	return true;
}

bool parse_bytes(const char *text, uint32_t *out)
{
	static const struct unit units[] = { { "", 1 }, { "k", 1024 }, { "M", 1048576 },
					     { NULL, 0 } };
	double v;

	if (!with_unit(text, units, 1 << 30, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}
