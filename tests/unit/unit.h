/* SPDX-License-Identifier: ISC */
/* Helpers that unit tests share. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/CUnit.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** unit_aborts() - Does the call abort?
 * @fn:		Called in a forked child
 * @arg:	Its argument
 *
 * Return: true if the child died of SIGABRT; false if it did anything else
 */
bool unit_aborts(void (*fn)(void *arg), void *arg);

/** unit_copy() - A heap copy of exactly @len bytes, so that ASan sees its edge
 * Return: the copy, to be freed; never NULL
 */
void *unit_copy(const void *p, size_t len);

/** unit_random() - Next of a seeded sequence (splitmix64), same everywhere
 * @state:	The seed at first
 *
 * Return: 64 bits
 */
uint64_t unit_random(uint64_t *state);

#endif /* TESTS_UNIT_H */
