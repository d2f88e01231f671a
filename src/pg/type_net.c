/*
** type_net.c -- network addresses: inet, cidr, macaddr, macaddr8. They are
** strings in Lua; what is written as the server writes it goes as binary.
*/
#include <arpa/inet.h>
#include <string.h>

#include "pg/type.h"
#include "pg/value_scan.h"

static const char hex[] = "0123456789abcdef";

/* inet and cidr: family, bits, is cidr, number of bytes, bytes. An inet that
** is one host has no mask, as the server writes it. */

#define PG_INET 2 /* the wire's own numbers, whatever the system's are */
#define PG_INET6 3

/* Has the address bits that its mask hides? A cidr has none. */
static int beyond_mask(const char *bytes, int n, int bits) {
  int i;

  for (i = bits; i < n * 8; i++)
    if (bytes[i / 8] & 0x80 >> i % 8) return 1;
  return 0;
}

void inet_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  char text[INET6_ADDRSTRLEN + 4];
  int v6, bits, cidr;
  size_t n;

  if (len < 4) pg_garbage(L, type, len, 0);
  v6 = p[0] == PG_INET6;
  bits = (unsigned char)p[1];
  cidr = p[2];
  n = v6 ? 16 : 4;
  if ((!v6 && p[0] != PG_INET) || (unsigned char)p[3] != n || len != 4 + n ||
      bits > (int)n * 8 || (cidr != 0 && cidr != 1))
    pg_garbage(L, type, len, 0);
  if (inet_ntop(v6 ? AF_INET6 : AF_INET, p + 4, text, sizeof text) == NULL)
    pg_garbage(L, type, len, 0);
  if (!cidr && bits == (int)n * 8) lua_pushstring(L, text);
  else lua_pushfstring(L, "%s/%d", text, bits);
}

void inet_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  text_from_text(L, type, p, len);
}

/* macaddr and macaddr8: bytes in hexadecimal, with colons. */

static void push_macaddr(lua_State *L, const char *p, size_t len) {
  char text[24];
  size_t i;

  for (i = 0; i < len; i++) {
    text[3 * i] = hex[(unsigned char)p[i] >> 4];
    text[3 * i + 1] = hex[p[i] & 15];
    text[3 * i + 2] = ':';
  }
  lua_pushlstring(L, text, 3 * len - 1);
}

void macaddr_from_binary(lua_State *L, const pg_type *type, const char *p,
                         size_t len) {
  if (len != 6) pg_garbage(L, type, len, 0);
  push_macaddr(L, p, len);
}

void macaddr8_from_binary(lua_State *L, const pg_type *type, const char *p,
                          size_t len) {
  if (len != 8) pg_garbage(L, type, len, 0);
  push_macaddr(L, p, len);
}

void macaddr8_from_text(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  text_from_text(L, type, p, len);
}

void macaddr_from_text(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  text_from_text(L, type, p, len);
}

/* An address with or without a mask, in the usual spelling; any other is for
** the server to read. */
static const char *write_address(lua_State *L, int idx, int cidr, buf *out) {
  char text[INET6_ADDRSTRLEN + 1], bytes[16];
  int v6;
  const char *s, *slash;
  int64_t bits;
  size_t len, n;
  scan mask;

  if (lua_type(L, idx) != LUA_TSTRING) return pg_expected(L, idx, "a string");
  s = lua_tolstring(L, idx, &len);
  slash = memchr(s, '/', len);
  n = slash ? (size_t)(slash - s) : len;
  if (n >= sizeof text || memchr(s, '\0', n) != NULL) return pg_as_text;
  memcpy(text, s, n);
  text[n] = '\0';
  v6 = strchr(text, ':') != NULL;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes) != 1) return pg_as_text;
  bits = v6 ? 128 : 32;
  if (slash != NULL) {
    mask.p = slash + 1;
    mask.end = s + len;
    if (!scan_digits(&mask, 1, 3, &bits) || mask.p != mask.end)
      return pg_as_text;
    if (bits > (v6 ? 128 : 32)) return pg_as_text;
  }
  if (cidr && beyond_mask(bytes, v6 ? 16 : 4, (int)bits)) return pg_as_text;
  buf_byte(out, v6 ? PG_INET6 : PG_INET);
  buf_byte(out, (char)bits);
  buf_byte(out, (char)cidr);
  buf_byte(out, v6 ? 16 : 4);
  buf_append(out, bytes, v6 ? 16 : 4);
  return NULL;
}

const char *inet_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  (void)type;
  return write_address(L, idx, 0, out);
}

const char *cidr_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  (void)type;
  return write_address(L, idx, 1, out);
}

void cidr_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  inet_from_binary(L, type, p, len);
}

void cidr_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  text_from_text(L, type, p, len);
}

static int hex_digit(char c) {
  const char *at;

  if (c >= 'A' && c <= 'F') c = (char)(c | 0x20);
  at = c == '\0' ? NULL : strchr(hex, c);
  return at == NULL ? -1 : (int)(at - hex);
}

static const char *write_macaddr(lua_State *L, int idx, size_t n, buf *out) {
  char bytes[8];
  size_t len, i;
  const char *s;

  if (lua_type(L, idx) != LUA_TSTRING) return pg_expected(L, idx, "a string");
  s = lua_tolstring(L, idx, &len);
  if (3 * n != len + 1) return pg_as_text;
  for (i = 0; i < n; i++) {
    int high = hex_digit(s[3 * i]), low = hex_digit(s[3 * i + 1]);
    if (high < 0 || low < 0 || (i + 1 < n && s[3 * i + 2] != ':'))
      return pg_as_text;
    bytes[i] = (char)(high << 4 | low);
  }
  buf_append(out, bytes, n);
  return NULL;
}

const char *macaddr_to_binary(lua_State *L, const pg_type *type, int idx,
                              buf *out) {
  (void)type;
  return write_macaddr(L, idx, 6, out);
}

const char *macaddr8_to_binary(lua_State *L, const pg_type *type, int idx,
                               buf *out) {
  (void)type;
  return write_macaddr(L, idx, 8, out);
}
