/*
** records.c -- what an emitter knows of each event: the records, and the
** warning that one of them grows (emitter.h, E1 and E2).
*/
#include <string.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/hook.h"

record *emitter_push_record(lua_State *L, int name) {
  lua_getiuservalue(L, 1, EM_EVENTS);
  lua_pushvalue(L, name);
  lua_rawget(L, -2);
  lua_replace(L, -2);
  return lua_touserdata(L, -1);
}

/* E2: of those whose last waiter was cancelled. */
static void drop_idle_records(lua_State *L, emitter *e) {
  int top = lua_gettop(L);

  if (e->records < e->look_at) return;
  lua_getiuservalue(L, 1, EM_EVENTS);
  lua_pushnil(L);
  while (lua_next(L, top + 1)) { /* a field may be cleared meanwhile */
    emitter_drop_if_idle(L, 1, top + 3);
    lua_settop(L, top + 2);
  }
  lua_settop(L, top);
  e->look_at = 2 * e->records + 16;
}

static record *push_empty_record(lua_State *L) {
  record *rec = lua_newuserdatauv(L, sizeof *rec, REC_VALUES);

  memset(rec, 0, sizeof *rec);
  list_init(&rec->waiters);
  list_init(&rec->asked);
  lua_newtable(L);
  lua_setiuservalue(L, -2, REC_ARRAY);
  return rec;
}

record *emitter_push_new_record(lua_State *L, int name) {
  emitter *e = lua_touserdata(L, 1);
  record *rec = emitter_push_record(L, name);
  int ri;

  if (rec != NULL) return rec;
  lua_pop(L, 1);
  drop_idle_records(L, e);
  rec = push_empty_record(L);
  ri = lua_gettop(L);
  lua_pushvalue(L, name);
  lua_setiuservalue(L, ri, REC_NAME);
  if (e->wildcard && emitter_is_pattern(L, e, name)) {
    emitter_add_pattern(L, name, ri);
    rec->pattern = 1;
  }
  lua_getiuservalue(L, 1, EM_EVENTS);
  lua_pushvalue(L, name);
  lua_pushvalue(L, ri);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  e->records++;
  if (rec->pattern) e->patterns++;
  emitter_forget_matches(L, 1, ri);
  return rec;
}

record *emitter_push_new_any(lua_State *L, emitter *e) {
  record *rec;

  lua_getiuservalue(L, 1, EM_ANY);
  if ((rec = lua_touserdata(L, -1)) != NULL) return rec;
  lua_pop(L, 1);
  rec = push_empty_record(L);
  rec->any = 1;
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, EM_ANY);
  e->any = 1;
  return rec;
}

void emitter_drop_if_idle(lua_State *L, int ei, int ri) {
  emitter *e = lua_touserdata(L, ei);
  record *rec = lua_touserdata(L, ri);
  int top = lua_gettop(L);

  if (rec->n != rec->dead || !record_idle(rec)) return;
  if (rec->any) {
    lua_pushnil(L);
    lua_setiuservalue(L, ei, EM_ANY);
    e->any = 0;
    return;
  }
  lua_getiuservalue(L, ri, REC_NAME);      /* top + 1 */
  lua_getiuservalue(L, ei, EM_EVENTS);     /* top + 2 */
  lua_pushvalue(L, top + 1);
  if (lua_rawget(L, top + 2), lua_touserdata(L, -1) == rec) {
    lua_pushvalue(L, top + 1);
    lua_pushnil(L);
    lua_rawset(L, top + 2);
    e->records--;
    if (rec->pattern) {
      e->patterns--;
      emitter_drop_pattern(L, ei, top + 1);
    }
    emitter_forget_matches(L, ei, ri);
  }
  lua_settop(L, top);
}

/* --- the leak warning --- */

void emitter_note_site(lua_State *L, int li) {
  lua_Debug ar;

  if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar) &&
      ar.currentline > 0)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "C");
  lua_setiuservalue(L, li, LI_SITE);
}

/* Push the lines "  9 from a.lua:12", the most frequent first. */
static void push_sites(lua_State *L, int ri) {
  const record *rec = lua_touserdata(L, ri);
  int top = lua_gettop(L);
  unsigned i;

  lua_newtable(L);                      /* top + 1: site -> how many */
  lua_getiuservalue(L, ri, REC_ARRAY);  /* top + 2 */
  for (i = 1; i <= rec->n; i++) {
    const listener *l;
    lua_rawgeti(L, top + 2, i);
    l = lua_touserdata(L, -1);
    if (!l->removed && !l->hidden) {
      lua_Integer count;
      if (lua_getiuservalue(L, -1, LI_SITE) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushliteral(L, "?");
      }
      lua_pushvalue(L, -1);
      lua_rawget(L, top + 1);
      count = lua_tointeger(L, -1);
      lua_pop(L, 1);
      lua_pushinteger(L, count + 1);
      lua_rawset(L, top + 1);
    }
    lua_settop(L, top + 2);
  }
  lua_pushliteral(L, ""); /* top + 3 */
  for (;;) {
    lua_Integer most = 0;
    lua_pushnil(L); /* top + 4: the site */
    lua_pushnil(L);
    while (lua_next(L, top + 1)) {
      if (lua_tointeger(L, -1) > most) {
        most = lua_tointeger(L, -1);
        lua_pushvalue(L, -2);
        lua_replace(L, top + 4);
      }
      lua_pop(L, 1);
    }
    if (most == 0) break;
    lua_pushfstring(L, "%s\n  %d from %s", lua_tostring(L, top + 3), (int)most,
                    lua_tostring(L, top + 4));
    lua_replace(L, top + 3);
    lua_pushnil(L);
    lua_rawset(L, top + 1); /* of the site at top + 4 */
  }
  lua_settop(L, top + 3);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

static void name_text(lua_State *L, int ri) {
  lua_getiuservalue(L, ri, REC_NAME);
  luaL_tolstring(L, -1, NULL);
  lua_replace(L, -2);
}

void emitter_warn_leak(lua_State *L, rt *r, int ri) {
  const record *rec = lua_touserdata(L, ri);
  int top = lua_gettop(L);

  luaL_checkstack(L, 16, NULL);
  if (rec->any)
    lua_pushliteral(L, "on_any");
  else
    name_text(L, ri);
  push_sites(L, ri);
  lua_pushfstring(L, "%d listeners of event '%s': a leak? (see the option "
                     "max_listeners); registered:%s", (int)rec->shown,
                  lua_tostring(L, top + 1), lua_tostring(L, top + 2));
  fault_push(L, "invalid", NULL, lua_tostring(L, -1));
  luaL_traceback(L, L, NULL, 1);
  lua_setfield(L, -2, "traceback");
  hook_report(L, r, "leak", NULL);
  lua_settop(L, top);
}
