/*
** nest.c -- coroutine.resume and coroutine.wrap that let a wait through: a
** user's own coroutine inside a task may wait, and the task waits with it.
**
** The coroutine carries the task's mark (extra space) while it runs or waits.
** A wait inside yields to here; here yields on, down to the scheduler. Waking
** resumes the same way inwards; values go to the innermost (task.L).
**
** V1  A coroutine that is suspended and marked is parked: nobody but its own
**     chain resumes it.
** V2  T_BLOCKED is set while some call in the chain cannot be suspended; then
**     park_enter refuses, before anything is queued.
*/
#include "core/fault.h"
#include "core/lx.h"
#include "core/park.h"
#include "core/scope.h"

#define mark(co) (*(task **)lua_getextraspace(co))

enum { PLAIN_ERROR = -1 };

/* Did the coroutine leave a scope open that it opened? Its tasks go to the
** enclosing one. */
static int scopes_left_open(lua_State *L, task *t, scope *outer) {
  if (likely(t->current == outer)) return 0;
  if (outer == t->owner) { /* then they are the task's own */
    scope *s = scope_of_task(t);
    if (s != NULL) outer = s;
    if (t->current == outer) return 0;
  }
  scope_leave_to(L, t, outer);
  return 1;
}

/* The coroutine has come back to its resumer, or its error. Returns how many
** values stand on L, or PLAIN_ERROR with one. */
static int come_back(lua_State *L, lua_State *co, task *t, scope *outer,
                     int status, int nres) {
  if (t != NULL) {
    mark(co) = NULL;
    if (unlikely(scopes_left_open(L, t, outer)) && status == LUA_YIELD) {
      lua_settop(co, 0);
      lua_resetthread(co);
      lua_pushliteral(L, "a coroutine cannot yield to its resumer while a "
                         "neap scope that it opened is open");
      return PLAIN_ERROR;
    }
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return PLAIN_ERROR;
  }
  if (!lua_checkstack(L, nres + 1)) {
    lua_pop(co, nres);
    lua_pushliteral(L, "too many results to resume");
    return PLAIN_ERROR;
  }
  lua_xmove(co, L, nres);
  return nres;
}

/* The scope that was innermost when the step began travels as the context. */
static int k_resume(lua_State *L, int status, lua_KContext ctx);
static int k_wrap(lua_State *L, int status, lua_KContext ctx);

/* Resume co with n values that stand on it. Does not return if it waits. */
static int step(lua_State *L, lua_State *co, int n, scope *outer,
                lua_KFunction k) {
  task *t = task_of(L);
  int status, nres, blocked;

  if (t == NULL) { /* no task: the plain thing */
    status = lua_resume(co, L, n, &nres);
    return come_back(L, co, NULL, NULL, status, nres);
  }
  blocked = !lua_isyieldable(L) && !(t->flags & T_BLOCKED);
  if (blocked) t->flags |= T_BLOCKED;
  mark(co) = t;
  t->owner->r->inner = co;
  status = lua_resume(co, L, n, &nres);
  t->owner->r->inner = L;
  if (blocked) t->flags &= (unsigned char)~T_BLOCKED;
  if (status == LUA_YIELD && t->state != TASK_RUNNING) /* it waits */
    return lua_yieldk(L, 0, (lua_KContext)outer, k);
  return come_back(L, co, t, outer, status, nres);
}

static lua_State *check_co(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);

  if (co == NULL) luaL_typeerror(L, 1, "coroutine");
  return co;
}

/* Does it wait, or is it a task's that has not begun? */
static int waits(lua_State *co) {
  task *t = mark(co);
  return t != NULL && (lua_status(co) == LUA_YIELD || t->state == TASK_NEW);
}

static const char *where_it_waits(const task *t) {
  return t->at && t->at->op ? t->at->op->name : "the scheduler";
}

/* Move the arguments; PLAIN_ERROR with a message when co cannot be resumed. */
static int begin(lua_State *L, lua_State *co, lua_KFunction k) {
  task *t = task_of(L);
  int n = lua_gettop(L) - 1;

  if (waits(co)) {
    lua_pushfstring(L, "cannot resume a coroutine that waits in %s",
                    where_it_waits(mark(co)));
    return PLAIN_ERROR;
  }
  if (!lua_checkstack(co, n)) {
    lua_pushliteral(L, "too many arguments to resume");
    return PLAIN_ERROR;
  }
  if (mark(co) != NULL || (lua_status(co) == LUA_OK && lua_gettop(co) == 0) ||
      (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)) {
    int nres, status;
    lua_xmove(L, co, n); /* running, or dead: Lua has the words */
    status = lua_resume(co, L, n, &nres);
    (void)status;
    lua_xmove(co, L, 1);
    return PLAIN_ERROR;
  }
  lua_xmove(L, co, n);
  return step(L, co, n, t ? t->current : NULL, k);
}

/* Woken: go inwards with what was handed to the innermost. */
static int go_on(lua_State *L, lua_State *co, lua_KContext ctx,
                 lua_KFunction k) {
  task *t = task_of(L);
  int n = 0;

  if (t->L == co) {
    n = t->nargs;
    t->nargs = 0;
  }
  return step(L, co, n, (scope *)ctx, k);
}

/* --- resume --- */

static int finish_resume(lua_State *L, int n) {
  lua_pushboolean(L, n != PLAIN_ERROR);
  if (n == PLAIN_ERROR) n = 1;
  lua_insert(L, -(n + 1));
  return n + 1;
}

static int k_resume(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return finish_resume(L, go_on(L, check_co(L), ctx, k_resume));
}

static int l_resume(lua_State *L) {
  return finish_resume(L, begin(L, check_co(L), k_resume));
}

/* --- wrap: the coroutine is upvalue 2 and, in a call, argument 1 --- */

static int finish_wrap(lua_State *L, lua_State *co, int n) {
  int status;

  if (n != PLAIN_ERROR) return n;
  status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) { /* an error inside it */
    if (lua_resetthread(co) != LUA_OK) {
      lua_xmove(co, L, 1);
    }
  }
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int k_wrap(lua_State *L, int status, lua_KContext ctx) {
  lua_State *co = check_co(L);

  (void)status;
  return finish_wrap(L, co, go_on(L, co, ctx, k_wrap));
}

static int wrapped(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  return finish_wrap(L, check_co(L), begin(L, check_co(L), k_wrap));
}

static int l_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lx_ref(L, rt_of(L)->r_box);
  {
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
  }
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* core.co_waits(coroutine): in what it waits, a task's or one of the user's in
** a task, or nil. */
static int l_waits(lua_State *L) {
  lua_State *co = check_co(L);

  if (waits(co))
    lua_pushstring(L, where_it_waits(mark(co)));
  else
    lua_pushnil(L);
  return 1;
}

/* core.bring_trace(err, text): where the error came from that the running task
** is about to raise again, unless it knows that. */
static int l_bring_trace(lua_State *L) {
  lua_settop(L, 2);
  if (task_of(L) == NULL || lua_type(L, 2) != LUA_TSTRING) return 0;
  fault_push_kind(L, 1);
  if (!lua_isnil(L, 3) && lua_getfield(L, 1, "traceback") != LUA_TNIL) return 0;
  lua_settop(L, 2);
  fault_set_trace(L, 1);
  return 0;
}

static const luaL_Reg functions[] = {{"co_resume", l_resume},
                                     {"co_wrap", l_wrap},
                                     {"bring_trace", l_bring_trace},
                                     {"co_waits", l_waits},
                                     {NULL, NULL}};

void nest_open(lua_State *L, rt *r);

void nest_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
