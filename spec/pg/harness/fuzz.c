/*
** fuzz.c -- a fuzzer for the decoders of values (libFuzzer). The first byte
** chooses type and form, the rest is the value. What decodes must encode
** again, and from then on to the same bytes. make fuzz runs it.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/buf.h"
#include "pg/value.h"

int luaopen_test_value(lua_State *L);
const pg_type *harness_type(pg_oid oid); /* value.c: also types of a user's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const pg_oid oids[] = {
    16,   17,   18,   20,   21,   23,   25,   26,   114,  650,  700,
    701,  774,  829,  869,  1082, 1083, 1114, 1184, 1186, 1266, 1700,
    2278, 2950, 3220, 3802, 4072, 5069, 1000, 1001, 1005, 1007, 1009,
    1016, 1022, 1041, 1182, 1185, 1187, 1231, 199,  3807, 2951, 1002,
    600,  601,  602,  603,  604,  628,  718,  1560, 1562, 3904, 3906,
    3908, 3910, 3912, 4451, 4532, 1020, 1017, 3905, 3907, 1563, 22,
    2249, 2287, 90001, 90002, 90003, 90004, 90005, 90006, 90007, 90008};

/* Strings of these may be no UTF-8, or too many bytes; floats have NaNs of
** many forms; JSON has many texts for a value. */
static int is_stable(pg_oid oid) {
  static const pg_oid loose[] = {17,  18,  25,   114,  199,  650,  700, 701,
                                 774, 829, 869,  1001, 1002, 1009, 1022,
                                 1041, 3802, 3807, 4072, 2278, 600,
                                 601, 602, 603,  604,  628,  718,  1020,
                                 1017, 22,   2249, 2287, 90001, 90002, 90003,
                                 90004, 90005, 90006, 90008};
  size_t i;

  for (i = 0; i < countof(loose); i++)
    if (loose[i] == oid) return 0;
  return 1;
}

typedef struct input {
  const pg_type *type;
  int text;
  char *bytes; /* a block of exactly len */
  size_t len;
} input;

static void encode(lua_State *L, const pg_type *type, buf *out) {
  int format;
  const char *wrong = pg_put(L, 1, type, out, &format);

  if (wrong != NULL) {
    fprintf(stderr, "%s decodes, but does not encode: %s\n", type->name, wrong);
    abort();
  }
  if (format != 1) out->len = 0; /* a string above 2^63 */
}

static int l_try(lua_State *L) {
  const input *in = lua_touserdata(L, 1);
  buf once = {NULL, 0, 0, 0}, twice = {NULL, 0, 0, 0};

  lua_settop(L, 0);
  if (in->text) pg_push_text(L, in->type, in->bytes, in->len);
  else in->type->from_binary(L, in->type, in->bytes, in->len);
  if (lua_gettop(L) != 1) abort();
  if (!is_stable(in->type->oid)) return 0;
  encode(L, in->type, &once);
  if (once.len > 0) {
    lua_settop(L, 0);
    in->type->from_binary(L, in->type, once.data, once.len);
    encode(L, in->type, &twice);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0) {
      fprintf(stderr, "%s is not stable\n", in->type->name);
      abort();
    }
  }
  buf_fini(&once);
  buf_fini(&twice);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  input in;

  if (L == NULL) {
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "test.value", luaopen_test_value, 0);
    lua_settop(L, 0);
  }
  if (size == 0) return 0;
  in.type = harness_type(oids[data[0] / 2 % countof(oids)]);
  in.text = data[0] & 1;
  in.len = size - 1;
  if ((in.bytes = malloc(in.len > 0 ? in.len : 1)) == NULL) return 0;
  memcpy(in.bytes, data + 1, in.len);
  lua_pushcfunction(L, l_try);
  lua_pushlightuserdata(L, &in);
  lua_pcall(L, 1, 0, 0); /* a decode fault is as good as a value */
  lua_settop(L, 0);
  free(in.bytes);
  return 0;
}
