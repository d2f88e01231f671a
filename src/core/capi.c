/*
** capi.c -- fills the table that neap.h declares. Thin: each slot is a
** function of its room, or a few lines that find the runtime.
*/
#include "core/capi.h"

#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/task.h"
#include "run/body.h"
#include "run/co.h"
#include "run/process.h"
#include "run/stream.h"
#include "run/watch.h"
#include "run/work.h"

static const char box_key = 0; /* its address is the registry key of the runtime's box */

static rt *find(lua_State *L) {
  rt *r;

  lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
  r = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return r;
}

static neap_loop *api_loop(lua_State *L) { return &find(L)->loop; }

static void api_enter(lua_State *L, const char *what) { park_enter(L, what); }

static int api_park(lua_State *L, neap_wait *w, lua_KFunction k) {
  return park(L, task_of(L), w, w->op, k);
}

static int64_t api_deadline(lua_State *L) {
  task *t = task_of(L);
  return t ? scope_deadline(t->current) : INT64_MAX;
}

static int api_in_task(lua_State *L) {
  return task_of(L) != NULL && lua_isyieldable(L);
}

/* --- awaiting a C coroutine from Lua --- */

static int abort_co(neap_wait *w) {
  co_cancel(container_of(w, neap_co, joiner));
  return NEAP_PENDING; /* it unwinds, then wakes us */
}

static const neap_op op_co = {"C coroutine", abort_co};

const neap_co *capi_awaited(const task *t) {
  if (t->at == NULL || t->at->op != &op_co) return NULL;
  return container_of(t->at, neap_co, joiner);
}

static int k_co(lua_State *L, int status, lua_KContext ctx) {
  neap_co *co = container_of((neap_wait *)ctx, neap_co, joiner);
  return co->joiner_k(L, status, (lua_KContext)co);
}

static int api_co_await(lua_State *L, neap_co *co, lua_KFunction k) {
  task *t = park_enter(L, co->name);
  int rc = co_enter(co);

  if (rc != NEAP_PENDING) {
    if (co->done != NULL) co->done(co);
    return park_finish(L, k(L, rc, (lua_KContext)co));
  }
  co->joiner_k = k;
  return park(L, t, &co->joiner, &op_co, k_co);
}

static void api_report(lua_State *L, const char *what) {
  hook_report(L, find(L), what, NULL);
}

static void api_spawn(lua_State *L, int nargs, int background) {
  rt *r = find(L);
  task *t = task_of(L);

  if (!background && t == NULL)
    fault_error(L, "not_in_task", "spawn: not inside a task");
  if (background && (!r->running || r->shutting > 1))
    fault_error(L, "not_in_task", "spawn: nothing runs");
  luaL_checkstack(L, 10, NULL);
  task_spawn(L, r, background ? &r->ground : scope_for_spawn(L, t), nargs);
}

static void api_born(lua_State *L, int idx) {
  rt *r = find(L);
  if (unlikely(r->seeing & SEE_DEBUG)) see_born(L, r, idx);
}

static void api_leaked(lua_State *L, int idx, const char *what) {
  rt *r = find(L);
  if (unlikely(r->seeing & SEE_DEBUG)) see_leaked(L, r, idx, what);
}

static const neap_api table = {
    .size = sizeof(neap_api),
    .version = NEAP_API_VERSION,
    .loop = api_loop,
    .now = loop_now,
    .enter = api_enter,
    .park = api_park,
    .wake = wait_wake,
    .finish = park_finish,
    .deadline = api_deadline,
    .in_task = api_in_task,
    .co_init = co_init,
    .co_call = co_call,
    .co_start = co_start,
    .co_await = api_co_await,
    .co_park = co_park,
    .co_sleep = co_sleep,
    .co_cancel = co_cancel,
    .body_new = body_new,
    .body_pin = body_pin,
    .body_unpin = body_unpin,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .watch_open = watch_open,
    .watch_set = watch_set,
    .watch_close = watch_close,
    .work_start = work_start,
    .work_cancel = work_cancel,
    .resolve_start = resolve_start,
    .resolve_cancel = resolve_cancel,
    .resolve_free = resolve_free,
    .post_open = post_open,
    .post_send = post_send,
    .post_close = post_close,
    .process_start = process_start,
    .process_kill = process_kill,
    .error_name = uv_err_name,
    .error_text = uv_strerror,
    .fault_push = fault_push,
    .fault_raise = fault_raise,
    .report = api_report,
    .spawn = api_spawn,
    .push_null = lx_push_null,
    .is_null = lx_is_null,
    .stream_open = stream_open,
    .stream_listen = stream_listen,
    .stream_connect = stream_connect,
    .stream_accept = stream_accept,
    .stream_read = stream_read,
    .stream_write = stream_write,
    .stream_shutdown = stream_shutdown,
    .stream_close = stream_close,
    .born = api_born,
    .leaked = api_leaked,
};

void capi_open(lua_State *L, rt *r) {
  const neap_api **box;

  lx_ref(L, r->r_box);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &box_key);
  box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = &table;
  luaL_newmetatable(L, NEAP_CAPSULE);
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "_capi");
  lx_push_null(L);
  lua_setfield(L, -2, "null");
}
