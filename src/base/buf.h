/*
** buf.h -- growable bytes, and slices of them.
**
** B1  After a failed growth b->failed is set and every later append does
**     nothing, so a writer may check once at the end.
*/
#ifndef base_buf_h
#define base_buf_h

#include "base/base.h"

typedef struct buf {
  char *data;
  size_t len, cap;
  int failed;
} buf;

typedef struct slice {
  const char *base;
  size_t len;
} slice;

void buf_fini(buf *b);
char *buf_grow(buf *b, size_t n); /* room for n more, or NULL; len unchanged */
void buf_append(buf *b, const void *data, size_t n);
void buf_string(buf *b, const char *s);
void buf_printf(buf *b, const char *format, ...) BASE_PRINTF(2, 3);

static inline void buf_byte(buf *b, char c) { buf_append(b, &c, 1); }
static inline void buf_reset(buf *b) { b->len = 0, b->failed = 0; }

/* Big-endian integers, as the network has them. */
void buf_u16(buf *b, uint16_t v);
void buf_u32(buf *b, uint32_t v);
void buf_u64(buf *b, uint64_t v);

static inline uint16_t read_u16(const char *p) {
  const unsigned char *u = (const unsigned char *)p;
  return (uint16_t)(u[0] << 8 | u[1]);
}
static inline uint32_t read_u32(const char *p) {
  const unsigned char *u = (const unsigned char *)p;
  return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 |
         u[3];
}
static inline uint64_t read_u64(const char *p) {
  return (uint64_t)read_u32(p) << 32 | read_u32(p + 4);
}

#endif
