/*
** line.c -- a line of waiting tasks, for primitives whose rules are written in
** Lua: condition, barrier, rwlock, broadcast. What must not be torn apart is
** here: who is cancelled has left the line, who was taken out of it is woken.
**
** Stack of a wait: 1 the line, 2 what the user called, 3 a value for whoever
** looks at the line.
*/
#include <string.h>

#include "core/fault.h"
#include "core/lx.h"
#include "core/park.h"

typedef struct line {
  list waiters;
  lua_Integer n;
} line;

static int abort_line(neap_wait *w) {
  line *k = lua_touserdata(container_of(w, task, wait)->L, 1);

  node_remove(wait_node(w));
  k->n--;
  return 0;
}

static const neap_op ops[] = {{"condition:wait", abort_line},
                              {"barrier:wait", abort_line},
                              {"rwlock:read", abort_line},
                              {"rwlock:write", abort_line},
                              {"once", abort_line},
                              {"broadcast:put", abort_line},
                              {"neap.iter", abort_line}};

static const neap_op *check_op(lua_State *L, int idx) {
  const char *name = luaL_checkstring(L, idx);
  size_t i;

  for (i = 0; i < countof(ops); i++)
    if (strcmp(ops[i].name, name) == 0) return &ops[i];
  luaL_argerror(L, idx, "not one of the operations in line.c");
  return NULL;
}

static line *check_line(lua_State *L) {
  return lx_check(L, rt_of(L), 1, CLASS_LINE);
}

/* core.line([owner]): the owner is what a dump shows in its place; those who
** hold it are the keys of its field `holds` (task -> how often), if any. */
static int l_line_new(lua_State *L) {
  line *k;

  lua_settop(L, 1);
  k = lx_new(L, rt_of(L), CLASS_LINE, sizeof *k, 1);
  list_init(&k->waiters);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int k_line_wait(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 3;
}

/* line:wait(what [, value]) -> what wake() was given */
static int l_line_wait(lua_State *L) {
  line *k = check_line(L);
  const neap_op *op = check_op(L, 2);
  task *t;

  lua_settop(L, 3);
  t = park_enter(L, op->name);
  list_append(&k->waiters, wait_node(&t->wait));
  k->n++;
  t->wait.flags = 0;
  return park(L, t, &t->wait, op, k_line_wait);
}

/* line:wake(...): the first, who is out of the line then. False if there is
** nobody. */
static int l_line_wake(lua_State *L) {
  line *k = check_line(L);
  int n = lua_gettop(L) - 1;
  neap_wait *w;

  if (list_empty(&k->waiters)) return lua_pushboolean(L, 0), 1;
  w = wait_of(list_first(&k->waiters));
  if (!lua_checkstack(park_state(w), n))
    return luaL_error(L, "too many values");
  node_remove(wait_node(w));
  k->n--;
  lua_xmove(L, park_state(w), n);
  park_wake_with(w, 0, n);
  lua_pushboolean(L, 1);
  return 1;
}

/* line:first() -> the value of the first, or nil */
static int l_line_first(lua_State *L) {
  line *k = check_line(L);
  lua_State *from;

  if (list_empty(&k->waiters)) return luaL_pushfail(L), 1;
  from = park_state(wait_of(list_first(&k->waiters)));
  if (!lua_checkstack(from, 1)) return luaL_error(L, "not enough memory");
  lua_pushvalue(from, 3);
  lua_xmove(from, L, 1);
  return 1;
}

static int l_line__len(lua_State *L) {
  lua_pushinteger(L, check_line(L)->n);
  return 1;
}

/* core.pass(what): the checkpoint of an operation that need not wait. */
static int l_pass(lua_State *L) {
  park_enter(L, check_op(L, 1)->name);
  return park_finish(L, 0);
}

/* core.may_wait(what): raises if this call cannot wait here. No checkpoint: for
** functions that are made of others which are. */
static int l_may_wait(lua_State *L) {
  park_may_wait(L, luaL_checkstring(L, 1));
  return 0;
}

static const luaL_Reg methods[] = {{"wait", l_line_wait},
                                   {"wake", l_line_wake},
                                   {"first", l_line_first},
                                   {NULL, NULL}};

static const luaL_Reg metas[] = {{"__len", l_line__len}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"line", l_line_new},
                                     {"pass", l_pass},
                                     {"may_wait", l_may_wait},
                                     {NULL, NULL}};

void line_open(lua_State *L, rt *r);

void line_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_LINE, methods, metas, NULL);
  lx_functions(L, r, functions);
}
