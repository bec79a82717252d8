// SPDX-License-Identifier: ISC
/* Host names: whatever is taken as a key turns back into the same text. */
#include "libpeernet/base/name.h"
#include "libpeernet/base/pn_error.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[PN_ID_NAME_LEN + 1];
	struct pn_name name, again;
	char *s = malloc(len + 1);

	if (!s)
		return 0;
	memcpy(s, data, len);
	s[len] = '\0';
	if (pn_name_parse(s, &name)) {
		PN_ASSERT(name.kind == PN_NAME_FOREIGN);
		PN_ASSERT(strlen(name.reason) > 0);
	} else if (name.kind == PN_NAME_ID) {
		pn_id_to_name(name.id, text);
		PN_ASSERT(!pn_name_parse(text, &again));
		PN_ASSERT(!memcmp(name.id, again.id, PN_ID_LEN));
	} else if (name.kind == PN_NAME_PETNAME) {
		PN_ASSERT(pn_label_ok(name.label, strlen(name.label)));
	}
	free(s);
	return 0;
}
