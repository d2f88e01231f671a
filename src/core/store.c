/*
** store.c -- see store.h.
*/
#include "core/store.h"

#include "core/fault.h"

#define DEPTH_MAX 32 /* of a heap: n is an unsigned */

/* --- the ring --- */

static void grow(lua_State *L, store *s, int qi) {
  unsigned size = s->size ? s->size * 2 : 8, i;

  lua_createtable(L, (int)size, 0);
  lua_getiuservalue(L, qi, 1);
  for (i = 0; i < s->n; i++) {
    lua_rawgeti(L, -1, (s->head + i) % s->size + 1);
    lua_rawseti(L, -3, i + 1);
  }
  lua_pop(L, 1);
  lua_setiuservalue(L, qi, 1);
  s->head = 0;
  s->size = size;
}

static void ring_put(lua_State *L, store *s, int qi, int item) {
  if (s->n == s->size) grow(L, s, qi);
  lua_getiuservalue(L, qi, 1);
  lua_pushvalue(L, item);
  lua_rawseti(L, -2, (s->head + s->n) % s->size + 1);
  lua_pop(L, 1);
  s->n++;
}

static void ring_take(lua_State *L, store *s, int qi, unsigned place) {
  lua_getiuservalue(L, qi, 1);
  lua_rawgeti(L, -1, place + 1);
  lua_pushnil(L);
  lua_rawseti(L, -3, place + 1);
  lua_remove(L, -2);
  s->n--;
}

/* --- the heap; its table is at index `h` --- */

static void push_item(lua_State *L, int h, unsigned i) {
  lua_rawgeti(L, h, 2 * (lua_Integer)i - 1);
}

static lua_Integer came(lua_State *L, int h, unsigned i) {
  lua_Integer n;

  lua_rawgeti(L, h, 2 * (lua_Integer)i);
  n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static void move_item(lua_State *L, int h, unsigned from, unsigned to) {
  lua_rawgeti(L, h, 2 * (lua_Integer)from - 1);
  lua_rawseti(L, h, 2 * (lua_Integer)to - 1);
  lua_rawgeti(L, h, 2 * (lua_Integer)from);
  lua_rawseti(L, h, 2 * (lua_Integer)to);
}

/* Is the value at a less than the one at b? Calls Lua. */
static int less(lua_State *L, store *s, int qi, int a, int b) {
  unsigned before = s->changes;
  int is;

  if (lua_getiuservalue(L, qi, 3) == LUA_TNIL) {
    lua_pop(L, 1);
    is = lua_compare(L, a, b, LUA_OPLT);
  } else {
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    is = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  if (s->changes != before)
    fault_error(L, "invalid",
                "a function that compares the items of a queue used the queue");
  return is;
}

static void heap_put(lua_State *L, store *s, int qi, int item) {
  unsigned at = s->n + 1, i;
  int h = lua_gettop(L) + 1;

  luaL_checkstack(L, 8, NULL);
  lua_getiuservalue(L, qi, 1);
  while (at > 1) {
    push_item(L, h, at / 2);
    if (!less(L, s, qi, item, h + 1)) break;
    lua_settop(L, h);
    at /= 2;
  }
  lua_settop(L, h);
  i = s->n + 1;
  lua_pushboolean(L, 0); /* make the places: from here on nothing can fail */
  lua_rawseti(L, h, 2 * (lua_Integer)i - 1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, h, 2 * (lua_Integer)i);
  for (; i > at; i /= 2) move_item(L, h, i / 2, i);
  lua_pushvalue(L, item);
  lua_rawseti(L, h, 2 * (lua_Integer)at - 1);
  lua_pushinteger(L, s->came++);
  lua_rawseti(L, h, 2 * (lua_Integer)at);
  lua_settop(L, h - 1);
  s->n++;
}

/* Does item a of the heap, whose value is at index ai, go before b? */
static int precedes(lua_State *L, store *s, int qi, int h, unsigned a, int ai,
                    unsigned b, int bi) {
  if (less(L, s, qi, ai, bi)) return 1;
  if (less(L, s, qi, bi, ai)) return 0;
  return came(L, h, a) < came(L, h, b);
}

/* The way that the hole at the root goes down, to be filled by the last. */
static int way_down(lua_State *L, store *s, int qi, int h, unsigned *way) {
  unsigned at = 1, last = s->n;
  int n = 0, top = lua_gettop(L);

  push_item(L, h, last); /* top + 1 */
  while (2 * at < last) {
    unsigned c = 2 * at;
    push_item(L, h, c); /* top + 2 */
    if (c + 1 < last) {
      push_item(L, h, c + 1); /* top + 3 */
      if (precedes(L, s, qi, h, c + 1, top + 3, c, top + 2)) {
        lua_replace(L, top + 2);
        c++;
      }
    }
    if (!precedes(L, s, qi, h, c, top + 2, last, top + 1)) break;
    lua_settop(L, top + 1);
    at = way[n++] = c;
  }
  lua_settop(L, top);
  return n;
}

static void heap_take(lua_State *L, store *s, int qi) {
  unsigned way[DEPTH_MAX], at = 1;
  int h = lua_gettop(L) + 1, n, i;

  luaL_checkstack(L, 12, NULL);
  lua_getiuservalue(L, qi, 1);
  n = way_down(L, s, qi, h, way);
  push_item(L, h, 1); /* h + 1: what is taken */
  for (i = 0; i < n; i++) {
    move_item(L, h, way[i], at);
    at = way[i];
  }
  if (at != s->n) move_item(L, h, s->n, at);
  lua_pushnil(L);
  lua_rawseti(L, h, 2 * (lua_Integer)s->n - 1);
  lua_pushnil(L);
  lua_rawseti(L, h, 2 * (lua_Integer)s->n);
  lua_remove(L, h);
  s->n--;
}

/* --- all of them --- */

void store_put(lua_State *L, store *s, int qi, int item) {
  if (s->order == STORE_SMALLEST)
    heap_put(L, s, qi, item);
  else
    ring_put(L, s, qi, item);
  s->changes++;
}

void store_take(lua_State *L, store *s, int qi) {
  switch (s->order) {
  case STORE_FIFO:
    ring_take(L, s, qi, s->head);
    s->head = (s->head + 1) % s->size;
    break;
  case STORE_LIFO:
    ring_take(L, s, qi, (s->head + s->n - 1) % s->size);
    break;
  default: heap_take(L, s, qi);
  }
  s->changes++;
}

void store_clear(lua_State *L, store *s, int qi) {
  lua_newtable(L);
  lua_setiuservalue(L, qi, 1);
  s->head = s->n = s->size = 0;
  s->changes++;
}
