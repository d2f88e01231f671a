/*
** hostile.c -- see hostile.h.
*/
#include "core/hostile.h"

#ifdef NEAP_HOSTILE
#include <stdlib.h>

enum { FULL = 512, STEP = 8 }; /* one in so many */

void hostile_begin(rt *r) {
  const char *seed = getenv("NEAP_HOSTILE_SEED");
  uint64_t n = seed ? strtoull(seed, NULL, 10) : 0;

  r->loop.hostile = n ? n * 0x9E3779B97F4A7C15u | 1u : 0;
}

void hostile_collect(lua_State *L, rt *r) {
  if (!r->running) return;
  if (loop_hostile(&r->loop, FULL))
    lua_gc(L, LUA_GCCOLLECT);
  else if (loop_hostile(&r->loop, STEP))
    lua_gc(L, LUA_GCSTEP, 0);
}
#endif
