/*
** select.c -- see select.h.
**
** X1  While the task is parked each of its branches stands in its line, and
**     branch.wait.who is the choice.
** X2  The first that gives (or a cancel, or the time limit) takes the others
**     out of their lines before anything else runs: nothing can be handed to
**     a task that has what it wanted.
*/
#include "core/select.h"

#include <math.h>
#include <string.h>

#include "core/fault.h"
#include "core/park.h"

/* What on_get and the like return: a recipe. User values: object, item. */
typedef struct recipe {
  const branch_kind *kind; /* NULL: neap.after */
  int64_t ns;
} recipe;

typedef struct choice choice;

struct branch {
  neap_wait wait;
  choice *of;
  const branch_kind *kind;
  void *object;
  int item; /* index on the task's stack */
};

struct choice {
  ready head; /* ORDER READY; kind is READY_CHOICE */
  task *t;
  int n, made; /* made: index of the branch that gave, or -1 */
  branch all[];
};

/* A later neap.after beside a sooner one: never gives. */
static int never_ready(lua_State *L, void *o, int oi, int ii) {
  (void)L, (void)o, (void)oi, (void)ii;
  return -1;
}
static void never_move(void *o, neap_wait *w) { (void)o, (void)w; }
static int never_result(lua_State *L, void *o, int oi, int rc, int n) {
  (void)L, (void)o, (void)oi, (void)rc, (void)n;
  return 0;
}
static const branch_kind select_never = {"neap.after", never_ready, never_move,
                                         never_move, never_result};

int select_push_branch(lua_State *L, rt *r, const branch_kind *kind,
                       int obj_idx, int item_idx) {
  recipe *b;

  obj_idx = lua_absindex(L, obj_idx);
  b = lx_new(L, r, CLASS_BRANCH, sizeof *b, 2);
  b->kind = kind;
  lua_pushvalue(L, obj_idx);
  lua_setiuservalue(L, -2, 1);
  if (item_idx != 0) {
    lua_pushvalue(L, item_idx);
    lua_setiuservalue(L, -2, 2);
  }
  return 1;
}

static branch *branch_of(neap_wait *w) { return container_of(w, branch, wait); }

task *choice_task(neap_wait *w) { return branch_of(w)->of->t; }
int choice_item(neap_wait *w) { return branch_of(w)->item; }

static void leave_all(choice *c, const branch *but) {
  int i;

  for (i = 0; i < c->n; i++) {
    branch *b = &c->all[i];
    b->wait.who = NULL;
    if (b != but && b->kind != NULL) b->kind->leave(b->object, &b->wait);
  }
}

neap_wait *choice_made(neap_wait *w) {
  branch *b = branch_of(w);
  choice *c = b->of;

  c->made = (int)(b - c->all);
  leave_all(c, b);
  return &c->t->wait;
}

/* Stack of neap.select while it waits: 1 the list, 2 the choice, then object
** and item of each branch in turn. */
static int object_at(int i) { return 3 + 2 * i; }

static int abort_select(neap_wait *w) {
  task *t = container_of(w, task, wait);

  leave_all(lua_touserdata(t->L, 2), NULL);
  return 0;
}

const neap_op op_select = {"neap.select", abort_select};

static int k_select(lua_State *L, int status, lua_KContext ctx) {
  choice *c = lua_touserdata(L, 2);
  int base = 2 + 2 * c->n, i, n;

  (void)ctx;
  if (c->made >= 0) {
    branch *b = &c->all[c->made];
    n = b->kind->result(L, b->object, object_at(c->made), status,
                        lua_gettop(L) - base);
    lua_pushinteger(L, c->made + 1);
    lua_insert(L, -(n + 1));
    return n + 1;
  }
  for (i = 0; i < c->n && c->all[i].kind != NULL; i++) continue;
  lua_pushinteger(L, i + 1); /* the first neap.after: all share the shortest */
  return 1;
}

void select_push_places(lua_State *L, const task *t) {
  const choice *c = lua_touserdata(t->L, 2);
  int i;

  lua_createtable(L, c->n, 0);
  if (!lua_checkstack(t->L, 1)) return;
  for (i = 0; i < c->n; i++) {
    const branch_kind *kind = c->all[i].kind;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, kind != NULL ? kind->name : "neap.after");
    lua_setfield(L, -2, "op");
    lua_pushvalue(t->L, object_at(i));
    lua_xmove(t->L, L, 1);
    lua_setfield(L, -2, "object");
    lua_rawseti(L, -2, i + 1);
  }
}

/* neap.select{branches...} -> index, values... */
static int l_select(lua_State *L) {
  rt *r = rt_of(L);
  task *t;
  choice *c;
  int i, n, after = -1;
  int64_t ns = INT64_MAX; /* math.huge: no time limit */

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  n = (int)luaL_len(L, 1);
  luaL_argcheck(L, n > 0, 1, "at least one branch expected");
  t = park_enter(L, "neap.select");
  luaL_checkstack(L, 2 * n + 10, "too many branches");
  c = lua_newuserdatauv(L, sizeof *c + (size_t)n * sizeof *c->all, 0);
  memset(c, 0, sizeof *c + (size_t)n * sizeof *c->all);
  c->head.kind = READY_CHOICE;
  c->t = t;
  c->n = n;
  c->made = -1;
  for (i = 0; i < n; i++) {
    recipe *b;
    lua_rawgeti(L, 1, i + 1);
    b = lx_test(L, r, -1, CLASS_BRANCH);
    if (b == NULL)
      return fault_error(L, "invalid",
                         "neap.select: branch %d is a %s; branches come from "
                         "on_get, on_put, on_wait, on_done and neap.after",
                         i + 1, luaL_typename(L, -1));
    lua_getiuservalue(L, -1, 1);
    lua_getiuservalue(L, -2, 2);
    lua_remove(L, -3);
    c->all[i].of = c;
    c->all[i].kind = b->kind;
    c->all[i].object = lua_touserdata(L, object_at(i));
    c->all[i].item = object_at(i) + 1;
    if (b->kind == NULL && b->ns < ns) ns = b->ns, after = i;
  }
  for (i = 0; i < n; i++) { /* the first that is ready, in order */
    branch *b = &c->all[i];
    int m;
    if (b->kind == NULL) continue;
    m = b->kind->ready(L, b->object, object_at(i), b->item);
    if (m < 0) continue;
    lua_pushinteger(L, i + 1);
    lua_insert(L, -(m + 1));
    return park_finish(L, m + 1);
  }
  if (after >= 0) {
    neap_loop *l = &r->loop;
    if (after > 0) { /* k_select names the first of kind NULL */
      for (i = 0; i < after; i++)
        if (c->all[i].kind == NULL) c->all[i].kind = &select_never;
    }
    if (loop_sleep(l, &t->timer, loop_after(l, ns)) < 0)
      return luaL_error(L, "not enough memory");
  }
  for (i = 0; i < n; i++) {
    branch *b = &c->all[i];
    b->wait.who = c;
    if (b->kind != NULL) b->kind->enter(b->object, &b->wait);
  }
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_select, k_select);
}

/* neap.after(seconds): a branch that gives when the time is up. */
static int l_after(lua_State *L) {
  int64_t ns = lx_seconds(L, 1, NULL);
  recipe *b = lx_new(L, rt_of(L), CLASS_BRANCH, sizeof *b, 2);

  b->ns = ns;
  return 1;
}

static const luaL_Reg functions[] = {{"select", l_select},
                                     {"after", l_after},
                                     {NULL, NULL}};

void select_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_BRANCH, NULL, NULL, NULL);
  lx_functions(L, r, functions);
}
