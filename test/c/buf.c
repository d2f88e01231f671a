/*
** buf.c -- tests of base/buf.c.
*/
#include "base/buf.h"

#include <string.h>

#include "check.h"

static int holds(const buf *b, const char *data, size_t n) {
  return b->len == n && (n == 0 || memcmp(b->data, data, n) == 0);
}

static void appends(void) {
  buf b = {0};

  buf_string(&b, "");
  CHECK(b.len == 0 && !b.failed);
  buf_string(&b, "ab");
  buf_byte(&b, '\0');
  buf_append(&b, "cd", 2);
  buf_append(&b, NULL, 0);
  CHECK(holds(&b, "ab\0cd", 5));
  buf_reset(&b);
  CHECK(b.len == 0 && b.cap >= 5);
  buf_fini(&b);
  CHECK(b.data == NULL && b.cap == 0);
  buf_fini(&b);
}

static void grows(void) {
  enum { N = 200000 };
  buf b = {0};

  for (int i = 0; i < N; i++) buf_byte(&b, (char)(i * 7));
  CHECK_OR_RETURN(b.len == N && b.cap >= N && !b.failed);
  for (int i = 0; i < N; i++) CHECK_OR_RETURN(b.data[i] == (char)(i * 7));
  CHECK(b.cap <= 2 * N + 256); /* doubling, not more */
  buf_fini(&b);
}

static void prints(void) {
  static char expected[3000];
  buf b = {0};

  buf_printf(&b, "%d-%s", 42, "x");
  CHECK(holds(&b, "42-x", 4));
  buf_printf(&b, "%s", "");
  CHECK(b.len == 4);
  buf_reset(&b);
  memset(expected, ' ', sizeof expected);
  expected[sizeof expected - 1] = 'y';
  buf_printf(&b, "%3000s", "y");
  CHECK(holds(&b, expected, sizeof expected));
  buf_fini(&b);
}

static void speaks_big_endian(void) {
  buf b = {0};

  buf_u16(&b, 0x0102);
  buf_u32(&b, 0xfefdfcfb);
  buf_u64(&b, UINT64_C(0x8070605040302010));
  CHECK_OR_RETURN(holds(&b, "\x01\x02\xfe\xfd\xfc\xfb"
                            "\x80\x70\x60\x50\x40\x30\x20\x10", 14));
  CHECK(read_u16(b.data) == 0x0102);
  CHECK(read_u32(b.data + 2) == 0xfefdfcfb);
  CHECK(read_u64(b.data + 6) == UINT64_C(0x8070605040302010));
  buf_fini(&b);
}

static void refuses_the_impossible(void) {
  buf b = {0};

  buf_string(&b, "kept");
  CHECK(buf_grow(&b, SIZE_MAX) == NULL);
  CHECK(b.failed && b.len == 4);
  buf_string(&b, "lost"); /* B1 */
  CHECK(holds(&b, "kept", 4));
  buf_reset(&b);
  buf_string(&b, "new");
  CHECK(holds(&b, "new", 3) && !b.failed);
  buf_fini(&b);
}

#ifdef NEAP_HOSTILE
static void survives_no_memory(void) {
  buf b = {0};

  buf_string(&b, "kept");
  base_fail_from(1);
  CHECK(buf_grow(&b, 10000) == NULL);
  buf_printf(&b, "%1000d", 1);
  base_fail_from(0);
  CHECK(b.failed && holds(&b, "kept", 4));
  buf_fini(&b);
}
#endif

int main(void) {
  RUN(appends, "buf: bytes come out as they went in");
  RUN(grows, "buf: growing keeps what is there");
  RUN(prints, "buf: printf appends, whatever the length");
  RUN(speaks_big_endian, "buf: integers are big-endian both ways");
  RUN(refuses_the_impossible, "buf: after a failure appends do nothing");
#ifdef NEAP_HOSTILE
  RUN(survives_no_memory, "buf: without memory it fails and keeps its bytes");
#endif
  return check_end();
}
