/*
** worker.c -- see worker.h. Everything that may raise runs under one pcall;
** a state in which that one failed is closed, not used again.
*/
#include "core/worker.h"

#include <string.h>

#include <lualib.h>

/* A full collection after a call that left this much more than the last one
** found in use. Else garbage of a big call would stay for the next. */
#define GARBAGE_KB 4096

static int l_cancelled(lua_State *L) {
  worker *w = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushboolean(L, atomic_load(&w->cancelled));
  return 1;
}

/* The registry keeps, under w, what each call's environment inherits from. */
static void set_up(lua_State *L, worker *w) {
  luaL_openlibs(L);
  lua_pushlightuserdata(L, w);
  lua_pushcclosure(L, l_cancelled, 1);
  lua_setglobal(L, "neap_thread_cancelled");
  lua_createtable(L, 0, 1);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, w);
}

/* A table for the globals that the call sets; it reads the real ones. */
static void push_environment(lua_State *L, worker *w) {
  lua_newtable(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, w);
  lua_setmetatable(L, -2);
}

static void set_path(lua_State *L, const char *name, int value) {
  if (!lua_isstring(L, value)) return;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE) {
    lua_pushvalue(L, value);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 2);
}

static void push_chunk(lua_State *L, worker *w, const job *j) {
  int dump = j->code == JOB_DUMP, i;

  if (luaL_loadbufferx(L, j->text.data, j->text.len, j->text.data,
                       dump ? "b" : "t") != LUA_OK)
    lua_error(L);
  push_environment(L, w);
  for (i = 1; lua_getupvalue(L, -2, i) != NULL; i++) { /* all are _ENV */
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_setupvalue(L, -3, i);
  }
  lua_pop(L, 1);
}

static void push_named(lua_State *L, const job *j) {
  const char *colon = strrchr(j->text.data, ':');

  lua_getglobal(L, "require");
  lua_pushlstring(L, j->text.data, (size_t)(colon - j->text.data));
  lua_pushvalue(L, -1);
  lua_insert(L, -3); /* name require name */
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1))
    luaL_error(L, "neap.thread.call: module '%s' is a %s, not a table",
               lua_tostring(L, -2), luaL_typename(L, -1));
  if (lua_getfield(L, -1, colon + 1) == LUA_TNIL)
    luaL_error(L, "neap.thread.call: module '%s' has no function '%s'",
               lua_tostring(L, -3), colon + 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Called with job, worker, arguments; in reach of the message handler. */
static int invoke(lua_State *L) {
  const job *j = lua_touserdata(L, 1);

  luaL_checkstack(L, 10, NULL);
  if (j->code == JOB_NAME)
    push_named(L, j);
  else
    push_chunk(L, lua_touserdata(L, 2), j);
  lua_replace(L, 2);
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

/* error -> {error, traceback} */
static int handler(lua_State *L) {
  lua_settop(L, 1);
  luaL_checkstack(L, 10, NULL);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, 1);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, 2, 2);
  return 1;
}

static void pack_error(lua_State *L, job *j, int status) {
  if (status == LUA_ERRRUN) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
  } else
    lua_pushnil(L); /* the handler failed: no traceback */
  parcel_pack(L, &j->out, lua_gettop(L) - 1, 2, "error", 0, PARCEL_DESCRIBE);
  j->outcome = JOB_ERROR;
}

enum { JOB = 1, WORKER, HANDLER, FIRST }; /* the stack of serve() */

static int serve(lua_State *L) { /* job, worker */
  job *j = lua_touserdata(L, JOB);
  worker *w = lua_touserdata(L, WORKER);
  int n, status;

  if (lua_rawgetp(L, LUA_REGISTRYINDEX, w) == LUA_TNIL) set_up(L, w);
  lua_settop(L, WORKER);
  lua_pushcfunction(L, handler);
  lua_pushcfunction(L, invoke);
  lua_pushvalue(L, JOB);
  lua_pushvalue(L, WORKER);
  n = parcel_unpack(L, &j->in);
  parcel_empty(&j->in);
  set_path(L, "path", FIRST + 3);
  set_path(L, "cpath", FIRST + 4);
  lua_remove(L, FIRST + 3);
  lua_remove(L, FIRST + 3);
  status = lua_pcall(L, n - JOB_PATHS + 2, LUA_MULTRET, HANDLER);
  if (status == LUA_ERRMEM) return lua_error(L);
  if (status != LUA_OK) {
    pack_error(L, j, status);
  } else if (parcel_pack(L, &j->out, FIRST, lua_gettop(L) - HANDLER, "result",
                         0, PARCEL_REFUSE)) {
    j->outcome = JOB_RESULTS;
  } else {
    size_t len;
    const char *s = lua_tolstring(L, -1, &len);
    j->outcome = parcel_text(&j->out, s, len) ? JOB_REFUSED : JOB_NOMEM;
  }
  return 0;
}

/* The error that stopped serve() is on top: no handler, so no traceback. */
static void keep_failure(lua_State *L, job *j, int status) {
  const char *s = "the thread failed with an error that is no string";
  size_t len = strlen(s);

  if (lua_type(L, -1) == LUA_TSTRING) s = lua_tolstring(L, -1, &len);
  j->outcome = status != LUA_ERRMEM && parcel_text(&j->out, s, len)
                   ? JOB_ERROR
                   : JOB_NOMEM;
}

static void collect(worker *w) {
  if (lua_gc(w->L, LUA_GCCOUNT) < 2 * w->kept_kb + GARBAGE_KB) return;
  lua_gc(w->L, LUA_GCCOLLECT);
  w->kept_kb = lua_gc(w->L, LUA_GCCOUNT);
}

void worker_run(worker *w, job *j) {
  int status;

  if (w->L == NULL && (w->L = luaL_newstate()) == NULL) {
    j->outcome = JOB_NOMEM;
    return;
  }
  lua_pushcfunction(w->L, serve);
  lua_pushlightuserdata(w->L, j);
  lua_pushlightuserdata(w->L, w);
  status = lua_pcall(w->L, 2, 0, 0);
  if (status == LUA_OK) {
    collect(w);
    return;
  }
  keep_failure(w->L, j, status);
  lua_close(w->L);
  w->L = NULL;
}

void worker_free(worker *w) {
  if (w->L != NULL) lua_close(w->L);
  base_free(w);
}
