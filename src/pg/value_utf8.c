/*
** value_utf8.c -- see value_utf8.h. Eight bytes of ASCII at a time.
*/
#include "pg/value_utf8.h"

#include <stdint.h>
#include <string.h>

static int is_tail(unsigned char c) { return (c & 0xC0) == 0x80; }

int utf8_step(const unsigned char *p, const unsigned char *end) {
  size_t room = (size_t)(end - p);
  unsigned char c = p[0];

  if (c < 0x80) return 1;
  if (c < 0xC2) return 0;
  if (c < 0xE0) return room >= 2 && is_tail(p[1]) ? 2 : 0;
  if (c < 0xF0) {
    if (room < 3 || !is_tail(p[1]) || !is_tail(p[2])) return 0;
    if (c == 0xE0 && p[1] < 0xA0) return 0;
    return c == 0xED && p[1] >= 0xA0 ? 0 : 3;
  }
  if (c > 0xF4 || room < 4) return 0;
  if (!is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3])) return 0;
  if (c == 0xF0 && p[1] < 0x90) return 0;
  return c == 0xF4 && p[1] >= 0x90 ? 0 : 4;
}

/* Some byte of the eight is zero or above 127. */
static int not_plain(const unsigned char *p) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t v;

  memcpy(&v, p, 8);
  return ((v | (v - ones)) & (ones << 7)) != 0;
}

size_t utf8_check(const char *s, size_t len) {
  const unsigned char *start = (const unsigned char *)s, *p = start;
  const unsigned char *end = p + len;

  while (p < end) {
    int n;
    while (end - p >= 8 && !not_plain(p)) p += 8;
    if (p == end) break;
    n = *p == 0 ? 0 : utf8_step(p, end);
    if (n == 0) break;
    p += n;
  }
  return (size_t)(p - start);
}

int utf8_put(char out[4], unsigned code) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    out[0] = (char)(0xE0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3F));
    out[2] = (char)(0x80 | (code & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | code >> 18);
  out[1] = (char)(0x80 | (code >> 12 & 0x3F));
  out[2] = (char)(0x80 | (code >> 6 & 0x3F));
  out[3] = (char)(0x80 | (code & 0x3F));
  return 4;
}
