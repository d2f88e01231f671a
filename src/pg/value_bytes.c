/*
** value_bytes.c -- what the forms of composed values share: quoting in texts,
** lengths in front of bytes, and a buffer that the collector frees.
*/
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"

void pg_escape(buf *out, size_t start) {
  size_t i, n = 0, to;

  if (out->failed) return;
  for (i = start; i < out->len; i++)
    n += out->data[i] == '"' || out->data[i] == '\\';
  if (n == 0 || buf_grow(out, n) == NULL) return;
  to = out->len + n;
  for (i = out->len; i-- > start;) {
    out->data[--to] = out->data[i];
    if (out->data[i] == '"' || out->data[i] == '\\') out->data[--to] = '\\';
  }
  out->len += n;
}

int pg_read_quoted(lua_State *L, scan *s, char end1, char end2) {
  luaL_Buffer b;
  int quoted = 0, any = 0;

  luaL_buffinit(L, &b);
  for (; s->p < s->end; any = 1) {
    char c = *s->p;
    if (!quoted && (c == end1 || c == end2)) {
      luaL_pushresult(&b);
      return any;
    }
    s->p++;
    if (c == '"') {
      if (quoted && s->p < s->end && *s->p == '"')
        luaL_addchar(&b, *s->p++);
      else
        quoted = !quoted;
      continue;
    }
    if (c == '\\') {
      if (s->p == s->end) break;
      c = *s->p++;
    }
    luaL_addchar(&b, c);
  }
  luaL_pushresult(&b);
  return -1;
}

void pg_set_length(buf *out, size_t at) {
  uint32_t len;

  if (out->failed) return;
  len = (uint32_t)(out->len - at - 4);
  out->data[at] = (char)(len >> 24);
  out->data[at + 1] = (char)(len >> 16);
  out->data[at + 2] = (char)(len >> 8);
  out->data[at + 3] = (char)len;
}

static int l_scratch__gc(lua_State *L) {
  buf_fini(lua_touserdata(L, 1));
  return 0;
}

buf *pg_scratch_push(lua_State *L) {
  buf *b = lua_newuserdatauv(L, sizeof *b, 0);

  memset(b, 0, sizeof *b);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_scratch__gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return b;
}
