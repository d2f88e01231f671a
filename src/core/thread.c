/*
** thread.c -- neap.thread: Lua functions on the thread pool, each in a Lua
** state that is kept for the next call. What goes in and out is copied. A
** limit of its own stands before libuv's pool, which serves others as well.
**
** H1  Workers are lent and taken back on the loop's thread; in between only
**     one pool thread touches them. libuv's queue orders the two: no lock.
** H2  Calls wait in line only while `running` is at the limit, or that of
**     their class is.
** H3  A call's body is pinned by its box, at index 1 of the suspended call,
**     and by the work from start to done.
*/
#include "core/thread.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "core/fault.h"
#include "core/options.h"
#include "core/park.h"
#include "core/worker.h"
#include "run/body.h"
#include "run/work.h"

#define WHAT "neap.thread.call"
#define BOX "neap.thread.call"

/* Calls of one class: they stand in a line of their own. */
typedef struct group {
  struct group *next;
  list waiting; /* call.wait */
  unsigned running, limit;
  char name[];
} group;

struct threads {
  group *groups; /* the first has no name and no limit */
  worker *idle;
  unsigned idle_n, running, limit;
  uint64_t came; /* calls so far: the order of those in line */
};

typedef struct call {
  neap_body body;
  neap_work work;
  neap_wait wait;
  rt *r;
  group *of;
  uint64_t came;
  int abandon;    /* who is cancelled does not wait for its end */
  worker *worker; /* while it runs */
  job job;
} call;

/* --- lending workers --- */

static void trim(struct threads *h) {
  while (h->idle_n > 0 && h->idle_n + h->running > h->limit) {
    worker *w = h->idle;
    h->idle = w->next;
    h->idle_n--;
    worker_free(w);
  }
}

static worker *lend(struct threads *h) {
  worker *w = h->idle;

  if (w == NULL) return base_alloc(sizeof *w);
  h->idle = w->next;
  h->idle_n--;
  atomic_store(&w->cancelled, 0);
  return w;
}

static void take_back(struct threads *h, worker *w) {
  w->next = h->idle;
  h->idle = w;
  h->idle_n++;
  trim(h);
}

static void run_call(neap_work *work) { /* on a pool thread */
  call *c = container_of(work, call, work);
  worker_run(c->worker, &c->job);
}

static void on_call_done(neap_work *work, int rc);
static const neap_op op_call, op_line;

static int start(call *c) {
  struct threads *h = c->r->threads;
  int rc;

  if ((c->worker = lend(h)) == NULL) return NEAP_ENOMEM;
  c->work.run = run_call;
  c->work.done = on_call_done;
  if ((rc = work_start(&c->r->loop, &c->work)) < 0) {
    take_back(h, c->worker);
    c->worker = NULL;
    return rc;
  }
  h->running++;
  c->of->running++;
  body_pin(&c->body);
  c->wait.op = &op_call;
  return 0;
}

/* The call that may start now and has waited longest, or NULL. */
static call *next_in_line(struct threads *h) {
  call *next = NULL;
  group *g;

  if (h->running >= h->limit) return NULL;
  for (g = h->groups; g != NULL; g = g->next) {
    call *c;
    if (g->running >= g->limit || list_empty(&g->waiting)) continue;
    c = container_of(wait_of(list_first(&g->waiting)), call, wait);
    if (next == NULL || c->came < next->came) next = c;
  }
  return next;
}

static void start_waiting(struct threads *h) { /* H2 */
  call *c;

  while ((c = next_in_line(h)) != NULL) {
    int rc;
    node_remove(wait_node(&c->wait));
    if ((rc = start(c)) < 0) wait_wake(&c->wait, rc);
  }
}

static void on_call_done(neap_work *work, int rc) {
  call *c = container_of(work, call, work);
  struct threads *h = c->r->threads;

  h->running--;
  c->of->running--;
  take_back(h, c->worker);
  c->worker = NULL;
  wait_wake(&c->wait, rc);
  start_waiting(h);
  body_unpin(&c->body);
}

/* --- one call --- */

static void call_fini(neap_body *b) {
  call *c = container_of(b, call, body);
  buf_fini(&c->job.text);
  parcel_empty(&c->job.in);
  parcel_empty(&c->job.out);
}

static void leave_line(call *c) { node_remove(wait_node(&c->wait)); }

static void ask_to_stop(call *c) {
  if (c->worker == NULL) return;
  atomic_store(&c->worker->cancelled, 1);
  work_cancel(&c->work); /* works if no thread has begun with it */
}

static int l_call__gc(lua_State *L) {
  call **box = lua_touserdata(L, 1), *c = *box;

  if (c == NULL) return 0;
  *box = NULL;
  c->wait.who = NULL; /* its task is dead */
  leave_line(c);
  ask_to_stop(c);
  body_unpin(&c->body);
  return 0;
}

static call *push_call(lua_State *L, rt *r) {
  call **box = lua_newuserdatauv(L, sizeof *box, 0), *c;

  *box = NULL;
  luaL_setmetatable(L, BOX);
  if ((c = body_new(sizeof *c, call_fini)) == NULL)
    luaL_error(L, "not enough memory");
  *box = c;
  c->r = r;
  return c;
}

static int abort_call(neap_wait *w) {
  call *c = container_of(w, call, wait);

  if (node_linked(wait_node(w))) {
    leave_line(c);
    return 0;
  }
  ask_to_stop(c);
  if (!c->abandon) return NEAP_PENDING; /* it is waited for */
  work_abandon(&c->work); /* the result is freed when it comes */
  return 0;
}

static const neap_op op_call = {WHAT, abort_call};
static const neap_op op_line = {WHAT " (in line)", abort_call};

/* Raise the error of the thread, with both tracebacks. Stack: error,
** traceback or nothing. */
static int raise_error(lua_State *L, int error) {
  lua_settop(L, error + 1);
  if (lua_istable(L, error) && lua_getmetatable(L, error)) { /* a fault */
    lua_pop(L, 1);
    if (lua_getfield(L, error, "traceback") == LUA_TSTRING)
      lua_replace(L, error + 1);
    lua_settop(L, error + 1);
  }
  if (lua_isstring(L, error + 1)) {
    lua_pushfstring(L, "%s\nin a thread, called from",
                    lua_tostring(L, error + 1));
    luaL_traceback(L, L, lua_tostring(L, -1), 0);
  } else
    luaL_traceback(L, L, NULL, 0);
  fault_set_trace(L, error);
  lua_settop(L, error);
  return lua_error(L);
}

static int k_call(lua_State *L, int status, lua_KContext ctx) {
  call *c = container_of((neap_wait *)ctx, call, wait);
  int n = 0;

  if (status == NEAP_ECANCELED)
    return fault_error(L, "closed", WHAT ": the call was taken back");
  if (status < 0 || c->job.outcome == JOB_NOMEM)
    return luaL_error(L, "not enough memory");
  n = parcel_unpack(L, &c->job.out);
  parcel_empty(&c->job.out);
  if (c->job.outcome == JOB_REFUSED)
    return fault_error(L, "invalid", WHAT ": %s", lua_tostring(L, -1));
  if (c->job.outcome == JOB_ERROR) return raise_error(L, 2);
  return n;
}

/* --- what is called --- */

static int write_dump(lua_State *L, const void *p, size_t n, void *text) {
  (void)L;
  buf_append(text, p, n);
  return ((buf *)text)->failed;
}

/* Only _ENV may come from outside; there it is the worker's. */
static void check_upvalues(lua_State *L, int fn) {
  const char *name;
  int i;

  for (i = 1; (name = lua_getupvalue(L, fn, i)) != NULL; i++) {
    int known;
    if (strcmp(name, "_ENV") == 0) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushglobaltable(L); /* without debug information it has no name */
    known = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (*name == '(' && known) continue;
    if (*name == '(')
      fault_error(L, "invalid",
                  WHAT ": the function uses a local variable from outside of "
                  "it, which cannot go to another thread: make it an argument");
    fault_error(L, "invalid",
                WHAT ": the function uses the local variable '%s' from outside "
                "of it, which cannot go to another thread: make it an argument",
                name);
  }
}

/* "module:function" is no Lua; anything else is taken for source. */
static int is_reference(const char *s, size_t len) {
  size_t i, colon = 0;

  for (i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == ':') {
      if (colon != 0 || i == 0) return 0;
      colon = i;
    } else if (c <= ' ' || strchr("()[]{}'\"=;,", c) != NULL)
      return 0;
  }
  return colon != 0 && colon + 1 < len;
}

static void take_code(lua_State *L, job *j, int idx) {
  if (lua_isfunction(L, idx)) {
    lua_pushvalue(L, idx);
    j->code = JOB_DUMP;
    lua_dump(L, write_dump, &j->text, 0);
    lua_pop(L, 1);
  } else {
    size_t len;
    const char *s = lua_tolstring(L, idx, &len);
    j->code = is_reference(s, len) ? JOB_NAME : JOB_SOURCE;
    buf_append(&j->text, s, len);
  }
  buf_byte(&j->text, '\0');
  if (j->text.failed) luaL_error(L, "not enough memory");
  j->text.len--;
}

static void check_code(lua_State *L, int idx, int position) {
  if (lua_iscfunction(L, idx))
    fault_error(L, "invalid",
                WHAT ": a function written in C cannot go to another thread; "
                "name it as \"module:function\"");
  if (lua_isfunction(L, idx))
    check_upvalues(L, idx);
  else if (lua_type(L, idx) != LUA_TSTRING)
    luaL_error(L, "bad argument #%d to '" WHAT "' (function, source text or "
                  "\"module:function\" expected, got %s)", position,
               lua_isnone(L, idx) ? "no value" : luaL_typename(L, idx));
}

static void push_path(lua_State *L, const char *name) {
  int top = lua_gettop(L);

  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE)
    lua_getfield(L, -1, name);
  if (!lua_isstring(L, -1)) lua_pushnil(L);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

static group *find_group(const struct threads *h, const char *name) {
  group *g = h->groups;

  while (g != NULL && strcmp(g->name, name) != 0) g = g->next;
  return g;
}

static group *add_group(struct threads *h, const char *name, group *after) {
  group *g = base_alloc(sizeof *g + strlen(name) + 1);

  if (g == NULL) return NULL;
  strcpy(g->name, name);
  list_init(&g->waiting);
  g->limit = UINT_MAX;
  if (after == NULL) return h->groups = g;
  g->next = after->next;
  return after->next = g;
}

/* The options at index 1, if there are any; removes them. */
static group *take_options(lua_State *L, const struct threads *h, int *abandon) {
  static const char *const names[] = {"abandon", "class", NULL};
  group *g = h->groups;
  int type;

  *abandon = 0;
  if (!lua_istable(L, 1)) return g;
  options_check(L, 1, WHAT, names);
  type = lua_getfield(L, 1, "abandon");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    fault_error(L, "invalid", WHAT ": option 'abandon' must be a boolean");
  *abandon = lua_toboolean(L, -1);
  type = lua_getfield(L, 1, "class");
  if (type != LUA_TNIL && type != LUA_TSTRING)
    fault_error(L, "invalid", WHAT ": option 'class' must be a string");
  if (type == LUA_TSTRING) g = find_group(h, lua_tostring(L, -1));
  if (g == NULL || (type == LUA_TSTRING && g == h->groups))
    fault_error(L, "invalid", WHAT ": no class is called '%s'; "
                "neap.thread.limit(name, n) makes one", lua_tostring(L, -1));
  lua_pop(L, 2);
  lua_remove(L, 1);
  return g;
}

/* neap.thread.call([opts,] fn | source | "module:function", ...) */
static int l_thread_call(lua_State *L) {
  rt *r = rt_of(L);
  struct threads *h = r->threads;
  int nargs, rc, abandon, position = lua_istable(L, 1) ? 2 : 1;
  group *of = take_options(L, h, &abandon);
  task *t;
  call *c;

  check_code(L, 1, position);
  nargs = lua_gettop(L) - 1;
  t = park_enter(L, WHAT);
  luaL_checkstack(L, 10, NULL);
  c = push_call(L, r);
  lua_insert(L, 1);
  take_code(L, &c->job, 2);
  lua_remove(L, 2);
  push_path(L, "path");
  lua_insert(L, 2);
  push_path(L, "cpath");
  lua_insert(L, 3);
  if (!parcel_pack(L, &c->job.in, 2, nargs + JOB_PATHS, "argument", JOB_PATHS,
                   PARCEL_REFUSE))
    return fault_error(L, "invalid", WHAT ": %s", lua_tostring(L, -1));
  lua_settop(L, 1); /* H3 */
  c->of = of;
  c->abandon = abandon;
  c->came = h->came++;
  /* Those in line may stand behind abandoned work, which does not count. */
  c->wait.flags = NEAP_COUNTED;
  if (h->running >= h->limit || of->running >= of->limit) {
    c->wait.op = &op_line;
    list_append(&of->waiting, wait_node(&c->wait));
  } else if ((rc = start(c)) < 0)
    return luaL_error(L, WHAT ": %s", uv_strerror(rc));
  return park(L, t, &c->wait, c->wait.op, k_call);
}

/* --- the limit --- */

/* As libuv reads it when its pool starts. */
static unsigned pool_size(void) {
  const char *s = getenv("UV_THREADPOOL_SIZE");
  int n = s != NULL ? atoi(s) : 4;
  return n < 1 ? 1 : n > 1024 ? 1024 : (unsigned)n;
}

static void push_limit(lua_State *L, const group *g) {
  if (g == NULL || g->limit == UINT_MAX)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushinteger(L, g->limit);
}

/* neap.thread.limit(class [, n]): the limit so far, math.huge is none. */
static int limit_class(lua_State *L, struct threads *h) {
  const char *name = lua_tostring(L, 1);
  group *g = find_group(h, name);
  lua_Integer n = UINT_MAX;
  int ok = 1;

  if (*name == '\0')
    return luaL_error(L, "bad argument #1 to 'neap.thread.limit' (the name of "
                         "a class cannot be empty)");
  push_limit(L, g);
  if (lua_isnoneornil(L, 2)) return 1;
  if (lua_type(L, 2) != LUA_TNUMBER)
    ok = 0;
  else if (lua_tonumber(L, 2) != HUGE_VAL)
    n = lua_tointegerx(L, 2, &ok);
  if (!ok || n < 1 || n > UINT_MAX)
    return luaL_error(L, "bad argument #2 to 'neap.thread.limit' (a whole "
                         "number from 1 on, or math.huge, expected)");
  if (g == NULL && (g = add_group(h, name, h->groups)) == NULL)
    return luaL_error(L, "not enough memory");
  g->limit = (unsigned)n;
  start_waiting(h);
  return 1;
}

/* neap.thread.limit([n]): the limit so far. */
static int l_thread_limit(lua_State *L) {
  struct threads *h = rt_of(L)->threads;
  lua_Integer n = h->limit;
  int ok = 1;

  lua_settop(L, 2);
  if (lua_type(L, 1) == LUA_TSTRING) return limit_class(L, h);
  if (!lua_isnoneornil(L, 1)) n = lua_tointegerx(L, 1, &ok);
  if (!ok || n < 1 || n > INT_MAX)
    return luaL_error(L, "bad argument #1 to 'neap.thread.limit' (a whole "
                         "number from 1 on expected)");
  lua_pushinteger(L, h->limit);
  h->limit = (unsigned)n;
  trim(h);
  start_waiting(h);
  return 1;
}

static const luaL_Reg functions[] = {{"thread_call", l_thread_call},
                                     {"thread_limit", l_thread_limit},
                                     {NULL, NULL}};

void thread_open(lua_State *L, rt *r) {
  struct threads *h = base_alloc(sizeof *h);
  unsigned size = pool_size();

  if (h == NULL) luaL_error(L, "not enough memory");
  r->threads = h;
  h->limit = size > 1 ? size - 1 : 1;
  if (add_group(h, "", NULL) == NULL) luaL_error(L, "not enough memory");
  luaL_newmetatable(L, BOX);
  lua_pushcfunction(L, l_call__gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lx_functions(L, r, functions);
}

int thread_busy(const rt *r) { return r->threads->running > 0; }

void thread_count(const rt *r, unsigned *running, unsigned *waiting,
                  unsigned *limit) {
  const struct threads *h = r->threads;
  const group *g;

  *running = h->running;
  *limit = h->limit;
  *waiting = 0;
  for (g = h->groups; g != NULL; g = g->next)
    *waiting += (unsigned)list_count(&g->waiting);
}

void thread_fini(rt *r) {
  struct threads *h = r->threads;

  if (h == NULL) return;
  h->limit = 0;
  trim(h);
  while (h->groups != NULL) {
    group *g = h->groups;
    h->groups = g->next;
    base_free(g);
  }
  base_free(h);
  r->threads = NULL;
}
