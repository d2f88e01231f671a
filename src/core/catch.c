/*
** catch.c -- signals as values: a catcher hears some signals of the process and
** hands them out one by one (neap.signals). Unlike signals.c it ends nothing.
*/
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "core/fault.h"
#include "core/park.h"

#define CAUGHT_MAX 250 /* signals for which nobody has asked yet */

static const struct {
  const char *name;
  int number;
} known[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},
             {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM},
             {"CHLD", SIGCHLD}, {"CONT", SIGCONT}, {"WINCH", SIGWINCH},
             {"TSTP", SIGTSTP}};

enum { KNOWN = sizeof known / sizeof *known };

/*
** A1  The handles belong to libuv until their close callbacks have run, which
**     may be after the object is gone: hence a record of its own.
** A2  caught[] holds each signal at most once per CAUGHT_MAX / KNOWN: one that
**     comes faster than it is taken is merged, as the kernel does it.
*/
typedef struct catcher {
  neap_wait *waiter;
  int n, open;
  int handles; /* not yet closed */
  unsigned char caught[CAUGHT_MAX];
  uv_signal_t h[KNOWN];
} catcher;

static void on_signal(uv_signal_t *h, int signum) {
  catcher *c = h->data;
  neap_wait *w = c->waiter;
  int i, same = 0;

  if (w != NULL) {
    c->waiter = NULL;
    wait_wake(w, signum);
    return;
  }
  for (i = 0; i < c->n; i++) same += c->caught[i] == signum;
  if (same < CAUGHT_MAX / KNOWN) c->caught[c->n++] = (unsigned char)signum;
}

static void on_closed(uv_handle_t *h) {
  catcher *c = h->data;
  if (--c->handles == 0) base_free(c);
}

static catcher **check(lua_State *L) {
  return lx_check(L, rt_of(L), 1, CLASS_CATCHER);
}

static void release(catcher **box) {
  catcher *c = *box;
  neap_wait *w;
  int i, n;

  if (c == NULL) return;
  *box = NULL;
  if ((w = c->waiter) != NULL) wait_wake(w, NEAP_ECLOSED);
  n = c->handles;
  for (i = 0; i < n; i++) uv_close((uv_handle_t *)&c->h[i], on_closed);
}

static int number_of(const char *name) {
  int i;

  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (i = 0; i < KNOWN; i++)
    if (strcmp(known[i].name, name) == 0) return known[i].number;
  return 0;
}

static int push_name(lua_State *L, int signum) {
  int i;

  for (i = 0; i < KNOWN && known[i].number != signum; i++) continue;
  lua_pushstring(L, i < KNOWN ? known[i].name : "?");
  return 1;
}

/* luaL_error for a mistake of whoever called neap.signals. */
static int blame(lua_State *L, const char *format, ...) {
  va_list arguments;

  luaL_where(L, 2);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  return lua_error(L);
}

/* core.catch(name, ...): a catcher of these signals. */
static int l_catch(lua_State *L) {
  rt *r = rt_of(L);
  int n = lua_gettop(L), i, j;
  catcher **box, *c;

  for (i = 1; i <= n; i++) {
    if (lua_type(L, i) != LUA_TSTRING)
      return blame(L, "bad argument #%d to 'signals' (the name of a signal "
                   "expected, got %s)", i, luaL_typename(L, i));
    if (number_of(lua_tostring(L, i)) == 0)
      return blame(L, "bad argument #%d to 'signals' (no signal that can be "
                   "caught is called '%s')", i, lua_tostring(L, i));
    for (j = 1; j < i; j++)
      if (number_of(lua_tostring(L, j)) == number_of(lua_tostring(L, i)))
        return blame(L, "bad argument #%d to 'signals' ('%s' was named "
                     "before)", i, lua_tostring(L, i));
  }
  if (n == 0)
    return blame(L, "bad argument #1 to 'signals' (the name of a signal "
                 "expected, got no value)");
  box = lx_new(L, r, CLASS_CATCHER, sizeof *box, 0);
  if ((c = base_alloc(sizeof *c)) == NULL)
    return luaL_error(L, "not enough memory");
  memset(c, 0, sizeof *c);
  for (i = 0; i < n; i++) {
    uv_signal_init(&r->loop.uv, &c->h[i]);
    c->h[i].data = c;
    uv_unref((uv_handle_t *)&c->h[i]);
    c->handles++;
  }
  *box = c;
  for (i = 0; i < n; i++) {
    int number = number_of(lua_tostring(L, i + 1));
    int rc = uv_signal_start(&c->h[i], on_signal, number);
    if (rc < 0)
      return luaL_error(L, "neap.signals: %s: %s", lua_tostring(L, i + 1),
                        uv_strerror(rc));
  }
  return 1;
}

static int abort_next(neap_wait *w) {
  catcher **box = lua_touserdata(container_of(w, task, wait)->L, 1);
  if (*box != NULL) (*box)->waiter = NULL;
  return 0;
}

static const neap_op op_next = {"neap.signals", abort_next};

static int k_next(lua_State *L, int signum, lua_KContext ctx) {
  (void)ctx;
  if (signum == NEAP_ECLOSED) return lua_pushnil(L), 1;
  return push_name(L, signum);
}

/* catcher:next() -> the name of the next signal; nil when it is closed. */
static int l_catcher_next(lua_State *L) {
  catcher **box = check(L), *c;
  task *t;

  lua_settop(L, 1);
  t = park_enter(L, op_next.name);
  if ((c = *box) == NULL) return lua_pushnil(L), 1;
  if (c->n > 0) {
    int signum = c->caught[0];
    memmove(c->caught, c->caught + 1, (size_t)--c->n);
    push_name(L, signum);
    return park_finish(L, 1);
  }
  if (c->waiter != NULL)
    return fault_error(L, "invalid", "neap.signals: another task waits for the "
                       "next one");
  c->waiter = &t->wait;
  t->wait.flags = NEAP_COUNTED;
  return park(L, t, &t->wait, &op_next, k_next);
}

static int l_catcher_close(lua_State *L) {
  release(check(L));
  return 0;
}

/* At the end of the state a task may still stand here: it is not woken. */
static int l_catcher__gc(lua_State *L) {
  catcher **box = lua_touserdata(L, 1);

  if (*box != NULL) (*box)->waiter = NULL;
  release(box);
  return 0;
}

static const luaL_Reg methods[] = {{"next", l_catcher_next},
                                   {"close", l_catcher_close},
                                   {NULL, NULL}};

static const luaL_Reg metas[] = {{"__gc", l_catcher__gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"catch", l_catch}, {NULL, NULL}};

void catch_open(lua_State *L, rt *r);

void catch_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_CATCHER, methods, metas, NULL);
  lx_functions(L, r, functions);
}
