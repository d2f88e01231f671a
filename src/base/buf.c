/*
** buf.c -- see buf.h.
*/
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_fini(buf *b) {
  base_free(b->data);
  b->data = NULL;
  b->len = b->cap = 0;
  b->failed = 0;
}

char *buf_grow(buf *b, size_t n) {
  if (b->failed || n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
    b->failed = 1;
    return NULL;
  }
  if (b->data == NULL || b->len + n > b->cap) {
    size_t cap = b->cap ? b->cap * 2 : 256;
    char *data;
    while (cap < b->len + n) cap *= 2;
    data = base_realloc(b->data, cap);
    if (data == NULL) {
      b->failed = 1;
      return NULL;
    }
    b->data = data;
    b->cap = cap;
  }
  return b->data + b->len;
}

void buf_append(buf *b, const void *data, size_t n) {
  char *p = buf_grow(b, n);

  if (p == NULL || n == 0) return;
  memcpy(p, data, n);
  b->len += n;
}

void buf_string(buf *b, const char *s) { buf_append(b, s, strlen(s)); }

void buf_printf(buf *b, const char *format, ...) {
  va_list ap;
  char *p;
  int n;

  va_start(ap, format);
  n = vsnprintf(NULL, 0, format, ap);
  va_end(ap);
  if (n < 0 || (p = buf_grow(b, (size_t)n + 1)) == NULL) {
    b->failed = 1;
    return;
  }
  va_start(ap, format);
  vsnprintf(p, (size_t)n + 1, format, ap);
  va_end(ap);
  b->len += (size_t)n; /* the NUL is not counted */
}

void buf_u16(buf *b, uint16_t v) {
  char p[2] = {(char)(v >> 8), (char)v};
  buf_append(b, p, 2);
}

void buf_u32(buf *b, uint32_t v) {
  char p[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
  buf_append(b, p, 4);
}

void buf_u64(buf *b, uint64_t v) {
  buf_u32(b, (uint32_t)(v >> 32));
  buf_u32(b, (uint32_t)v);
}
