/* SPDX-License-Identifier: ISC */
/* Lists of words in one string, as the environment has them. */
#ifndef PN_WORDS_H
#define PN_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PN_PRELOAD_SEPARATORS	" :"	/* of LD_PRELOAD; ld.so(8) */

/** pn_words_have() - Is a word in a list?
 * @list:	Words with any of @separators between them; may be NULL: none
 * @word:	Without a separator; an empty one is in no list
 *
 * Return: true if one of the list's words is the same, from its start to its end
 */
static inline bool pn_words_have(const char *list, const char *separators, const char *word)
{
	size_t len;

	for (; list && *list; list += len) {
		list += strspn(list, separators);
		len = strcspn(list, separators);
		if (len && len == strlen(word) && !memcmp(list, word, len))
			return true;
	}
	return false;
}

#endif /* PN_WORDS_H */
