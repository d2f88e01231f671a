/*
** value_utf8.h -- is this UTF-8, as PostgreSQL demands it?
*/
#ifndef pg_value_utf8_h
#define pg_value_utf8_h

#include <stddef.h>

/* Length of the sequence at p, 1 to 4, or 0 when it is none: too long, cut
** off, a surrogate, above U+10FFFF. p < end. */
int utf8_step(const unsigned char *p, const unsigned char *end);

/* Offset of the first byte that is not UTF-8 or is zero; len when all is
** well. */
size_t utf8_check(const char *s, size_t len);

/* Writes the code point (at most 0x10FFFF), returns 1 to 4. */
int utf8_put(char out[4], unsigned code);

#endif
