/*
** queue.c -- bounded queues between tasks: neap.queue, lifo, priority_queue.
** User values 1 and 3 are the store's, 2 is the error given to close.
**
** Q1  Getters wait only while the queue is empty, putters only while it is
**     full; never both, except that capacity 0 hands over directly.
** Q2  The item of a waiting putter is argument 2 of its suspended call.
** Q3  With an overflow policy nobody waits to put.
** Q4  An item that cannot be compared with the others goes back to its putter
**     as an error; it was never in the queue.
*/
#include <math.h>

#include "core/dump.h"
#include "core/fault.h"
#include "core/options.h"
#include "core/park.h"
#include "core/select.h"
#include "core/store.h"
#include "core/sync.h"

/* ORDER OVERFLOW */
enum overflow { BLOCK, DROP_OLDEST, DROP_NEWEST, LATEST };

typedef struct queue {
  list getters, putters, joiners;
  store items;
  lua_Integer capacity; /* LUA_MAXINTEGER: none */
  lua_Integer unfinished;
  lua_Integer dropped; /* by the overflow policy */
  int closed, has_error, discarded;
  enum overflow overflow;
  int broken; /* closed because the last consumer has gone */
} queue;

static queue *check_queue(lua_State *L, int idx) {
  return lx_check(L, rt_of(L), idx, CLASS_QUEUE);
}

static queue *new_queue(lua_State *L, enum store_order order) {
  double cap = luaL_checknumber(L, 1);
  queue *q;

  luaL_argcheck(L, cap >= 0 && (cap == floor(cap)), 1,
                "a capacity must be a whole number from 0 on, or math.huge");
  q = lx_new(L, rt_of(L), CLASS_QUEUE, sizeof *q, 3);
  list_init(&q->getters);
  list_init(&q->putters);
  list_init(&q->joiners);
  q->capacity = cap > 1e15 ? LUA_MAXINTEGER : (lua_Integer)cap;
  q->items.order = (unsigned char)order;
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  return q;
}

static enum overflow check_overflow(lua_State *L, int idx) {
  static const char *const names[] = {"overflow", NULL};
  static const char *const policies[] = {"block", "drop_oldest", "drop_newest",
                                         "latest", NULL}; /* ORDER OVERFLOW */

  if (lua_isnoneornil(L, idx)) return BLOCK;
  luaL_checktype(L, idx, LUA_TTABLE);
  options_check(L, idx, "neap.queue", names);
  return (enum overflow)options_choice(L, idx, "neap.queue", "overflow",
                                       policies, BLOCK);
}

/* neap.queue(capacity [, {overflow=}]) */
static int l_queue_new(lua_State *L) {
  enum overflow overflow = check_overflow(L, 2);
  queue *q = new_queue(L, STORE_FIFO);

  luaL_argcheck(L, overflow == BLOCK || q->capacity > 0, 1,
                "a queue that drops items needs a capacity from 1 on");
  q->overflow = overflow;
  if (overflow == LATEST) {
    q->overflow = DROP_OLDEST;
    q->capacity = 1;
  }
  return 1;
}

/* neap.lifo(capacity) */
static int l_lifo_new(lua_State *L) {
  new_queue(L, STORE_LIFO);
  return 1;
}

/* neap.priority_queue(capacity [, less]) */
static int l_priority_queue_new(lua_State *L) {
  if (!lua_isnoneornil(L, 2)) lx_check_callable(L, 2);
  lua_settop(L, 2);
  new_queue(L, STORE_SMALLEST);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 3);
  return 1;
}

/* --- put --- */

static int closed(lua_State *L, const queue *q, const char *what) {
  if (q->broken)
    return fault_error(L, "broken", "%s: the last consumer has gone", what);
  return fault_error(L, "closed", "%s: the queue is closed", what);
}

static int finish_put(lua_State *L, queue *q, int status, const char *what) {
  if (status == NEAP_ECLOSED) return closed(L, q, what);
  if (status == NEAP_EINVAL) return lua_error(L); /* Q4: it is on top */
  lua_pushboolean(L, 1);
  return 1;
}

static int k_put(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return finish_put(L, lua_touserdata(L, 1), status, "queue:put");
}

static const neap_op op_put = {"queue:put", park_abort_listed};
static const neap_op op_get = {"queue:get", park_abort_listed};

/* Q3: there is no room. True if there is now, else the new item is dropped. */
static int make_room(lua_State *L, queue *q, int qi) {
  if (q->overflow == DROP_NEWEST) {
    q->dropped++;
    return 0;
  }
  store_take(L, &q->items, qi);
  lua_pop(L, 1);
  q->unfinished--; /* nobody will say that it is done */
  q->dropped++;
  return 1;
}

enum { NO_ROOM, TAKEN, DROPPED };

/* Put the value at `item` if there is room or a getter. */
static int offer(lua_State *L, queue *q, int qi, int item) {
  if (!list_empty(&q->getters)) {
    neap_wait *w = wait_of(list_shift(&q->getters));
    lua_pushvalue(L, item);
    lua_xmove(L, park_state(w), 1);
    park_wake_with(w, 0, 1);
  } else if (q->items.n < q->capacity)
    store_put(L, &q->items, qi, item);
  else if (q->overflow == BLOCK)
    return NO_ROOM;
  else if (make_room(L, q, qi))
    store_put(L, &q->items, qi, item);
  else
    return DROPPED;
  q->unfinished++;
  return TAKEN;
}

static void check_item(lua_State *L) {
  luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "nil cannot be put into a queue");
  lua_settop(L, 2);
}

static int l_queue_put(lua_State *L) {
  queue *q = check_queue(L, 1);
  task *t;
  int is;

  check_item(L);
  t = park_enter(L, "queue:put");
  if (q->closed) return closed(L, q, "queue:put");
  if ((is = offer(L, q, 1, 2)) != NO_ROOM) {
    lua_pushboolean(L, is == TAKEN);
    return park_finish(L, 1);
  }
  list_append(&q->putters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_put, k_put);
}

static int l_queue_try_put(lua_State *L) {
  queue *q = check_queue(L, 1);

  check_item(L);
  if (q->closed) return closed(L, q, "queue:try_put");
  lua_pushboolean(L, offer(L, q, 1, 2) == TAKEN);
  return 1;
}

/* --- get --- */

/* Stack: the queue, an item. */
static int l_insert(lua_State *L) {
  store_put(L, &((queue *)lua_touserdata(L, 1))->items, 1, 2);
  return 0;
}

/* Move the item of a waiting putter, which is on top, into the queue; pops it.
** 0: Q4, and the error is on top. */
static int insert(lua_State *L, queue *q, int qi) {
  if (q->items.order != STORE_SMALLEST) {
    store_put(L, &q->items, qi, lua_gettop(L));
    lua_pop(L, 1);
    return 1;
  }
  lua_pushcfunction(L, l_insert);
  lua_insert(L, -2);
  lua_pushvalue(L, qi);
  lua_insert(L, -2);
  return lua_pcall(L, 2, 0, 0) == LUA_OK;
}

static void push_offered(lua_State *L, neap_wait *w) {
  lua_State *from = park_state(w);

  lua_pushvalue(from, park_item(w));
  lua_xmove(from, L, 1);
}

/* A place is free: let a waiting putter in. */
static void refill(lua_State *L, queue *q, int qi) {
  while (!list_empty(&q->putters) && q->items.n < q->capacity) {
    neap_wait *w = wait_of(list_first(&q->putters));
    int ok;
    push_offered(L, w);
    ok = insert(L, q, qi);
    if (ok) q->unfinished++;
    node_remove(wait_node(w));
    if (unlikely(w->who == NULL)) { /* a comparison has cancelled it */
      if (!ok) lua_pop(L, 1);
    } else if (ok)
      park_wake_with(w, 0, 0);
    else {
      lua_xmove(L, park_state(w), 1);
      park_wake_with(w, NEAP_EINVAL, 1);
    }
  }
}

/* Push the next item; 0 when there is none. Lets a waiting putter in. */
static int take(lua_State *L, queue *q, int qi) {
  luaL_checkstack(L, 8, NULL);
  if (q->items.n > 0) {
    store_take(L, &q->items, qi);
    if (unlikely(!list_empty(&q->putters))) refill(L, q, qi);
    return 1;
  }
  if (list_empty(&q->putters)) return 0;
  push_offered(L, wait_of(list_first(&q->putters))); /* from hand to hand */
  q->unfinished++;
  wait_wake(wait_of(list_shift(&q->putters)), 0);
  return 1;
}

static int push_end(lua_State *L, queue *q, int qi) {
  if (q->has_error) {
    lua_getiuservalue(L, qi, 2);
    return lua_error(L);
  }
  luaL_pushfail(L);
  lua_pushliteral(L, "closed");
  return 2;
}

static int finish_get(lua_State *L, int status, int qi) {
  if (status == 0) return 1; /* the item is on top */
  if (status == NEAP_ETIMEDOUT) {
    luaL_pushfail(L);
    lua_pushliteral(L, "timeout");
    return 2;
  }
  return push_end(L, lua_touserdata(L, qi), qi);
}

static int k_get(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return finish_get(L, status, 1);
}

static int get(lua_State *L, queue *q, int64_t ns, lua_KFunction k, int qi) {
  task *t = park_enter(L, "queue:get");
  neap_loop *l = &t->owner->r->loop;

  if (take(L, q, qi)) return park_finish(L, 1);
  if (q->closed) return park_finish(L, push_end(L, q, qi));
  if (ns == 0) return park_finish(L, finish_get(L, NEAP_ETIMEDOUT, qi));
  if (ns != INT64_MAX && loop_sleep(l, &t->timer, loop_after(l, ns)) < 0)
    return luaL_error(L, "not enough memory");
  list_append(&q->getters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_get, k);
}

static int l_queue_get(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  queue *q = check_queue(L, 1);
  int64_t ns = INT64_MAX;

  if (!lua_isnoneornil(L, 2)) {
    double s;
    luaL_checktype(L, 2, LUA_TTABLE);
    options_check(L, 2, "queue:get", names);
    s = options_number(L, 2, "queue:get", "timeout", HUGE_VAL);
    if (s < 9e9) ns = (int64_t)ceil(s * 1e9);
  }
  lua_settop(L, 1);
  return get(L, q, ns, k_get, 1);
}

static int l_queue_try_get(lua_State *L) {
  queue *q = check_queue(L, 1);

  lua_settop(L, 1);
  if (take(L, q, 1)) return 1;
  if (q->closed) return push_end(L, q, 1);
  return luaL_pushfail(L), 1;
}

/* for item in q:iter() do ... end; ends when closed and drained. */
static int k_iter(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return finish_get(L, status, 1);
}

static int iterate(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return get(L, check_queue(L, 1), INT64_MAX, k_iter, 1);
}

static int l_queue_iter(lua_State *L) {
  check_queue(L, 1);
  lx_ref(L, rt_of(L)->r_box);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, iterate, 2);
  return 1;
}

/* --- the end of a queue, and of its items --- */

/* Close; the queue is at index 1. */
static void end(lua_State *L, queue *q, int discard) {
  q->closed = 1;
  if (discard) {
    store_clear(L, &q->items, 1);
    q->unfinished = 0;
    q->discarded = 1;
    sync_wake_all(&q->joiners, 0);
  }
  sync_wake_all(&q->putters, NEAP_ECLOSED);
  sync_wake_all(&q->getters, NEAP_ECLOSED);
}

/* q:close([err [, {discard=true}]]) */
static int l_queue_close(lua_State *L) {
  static const char *const names[] = {"discard", NULL};
  queue *q = check_queue(L, 1);
  int discard = 0;

  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    options_check(L, 3, "queue:close", names);
    lua_getfield(L, 3, "discard");
    discard = lua_toboolean(L, -1);
  }
  if (!q->closed && !lua_isnil(L, 2)) {
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, 2);
    q->has_error = 1;
  }
  end(L, q, discard);
  return 0;
}

/* core.queue_break(q): nobody will take an item any more. */
static int l_queue_break(lua_State *L) {
  queue *q = check_queue(L, 1);

  q->broken = 1;
  end(L, q, 1);
  return 0;
}

static int l_queue_done(lua_State *L) {
  queue *q = check_queue(L, 1);

  if (q->unfinished <= 0) {
    if (q->discarded) return 0; /* of an item that somebody still had */
    return fault_error(L, "invalid",
                       "queue:done: called more often than items were put");
  }
  if (--q->unfinished == 0) sync_wake_all(&q->joiners, 0);
  return 0;
}

static int k_joined(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

static const neap_op op_queue_join = {"queue:join", park_abort_listed};

static int l_queue_join(lua_State *L) {
  queue *q = check_queue(L, 1);
  task *t = park_enter(L, "queue:join");

  if (q->unfinished == 0) return park_finish(L, 0);
  list_append(&q->joiners, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_queue_join, k_joined);
}

/* --- branches for select --- */

static int get_ready(lua_State *L, void *object, int qi, int item) {
  queue *q = object;

  (void)item;
  if (take(L, q, qi)) return 1;
  return q->closed ? push_end(L, q, qi) : -1;
}

static int get_result(lua_State *L, void *object, int qi, int rc, int n) {
  (void)n;
  return rc == 0 ? 1 : push_end(L, object, qi);
}

static void get_enter(void *object, neap_wait *w) {
  list_append(&((queue *)object)->getters, wait_node(w));
}

static void leave_line(void *object, neap_wait *w) {
  (void)object;
  node_remove(wait_node(w));
}

static const branch_kind branch_get = {"queue:on_get", get_ready, get_enter,
                                       leave_line, get_result};

static int put_ready(lua_State *L, void *object, int qi, int item) {
  queue *q = object;
  int is;

  if (q->closed) return closed(L, q, "queue:on_put");
  if ((is = offer(L, q, qi, item)) == NO_ROOM) return -1;
  lua_pushboolean(L, is == TAKEN);
  return 1;
}

static int put_result(lua_State *L, void *object, int qi, int rc, int n) {
  (void)qi;
  (void)n;
  return finish_put(L, object, rc, "queue:on_put");
}

static void put_enter(void *object, neap_wait *w) {
  list_append(&((queue *)object)->putters, wait_node(w));
}

static const branch_kind branch_put = {"queue:on_put", put_ready, put_enter,
                                       leave_line, put_result};

static int l_queue_on_get(lua_State *L) {
  check_queue(L, 1);
  return select_push_branch(L, rt_of(L), &branch_get, 1, 0);
}

static int l_queue_on_put(lua_State *L) {
  check_queue(L, 1);
  check_item(L);
  return select_push_branch(L, rt_of(L), &branch_put, 1, 2);
}

static int l_queue_dropped(lua_State *L) {
  lua_pushinteger(L, check_queue(L, 1)->dropped);
  return 1;
}

static int l_queue__len(lua_State *L) {
  lua_pushinteger(L, check_queue(L, 1)->items.n);
  return 1;
}

static int l_queue_stats(lua_State *L) {
  const queue *q = check_queue(L, 1);

  dump_push_stats(L, rt_of(L), 1, NULL);
  lx_set(L, "size", q->items.n);
  if (q->capacity == LUA_MAXINTEGER) {
    lua_pushnumber(L, HUGE_VAL);
    lua_setfield(L, -2, "capacity");
  } else
    lx_set(L, "capacity", q->capacity);
  lx_set(L, "getters", list_count(&q->getters));
  lx_set(L, "putters", list_count(&q->putters));
  lx_set(L, "joiners", list_count(&q->joiners));
  lx_set(L, "unfinished", q->unfinished);
  lx_set(L, "dropped", q->dropped);
  lx_set_bool(L, "closed", q->closed);
  return 1;
}

static const luaL_Reg methods[] = {
    {"stats", l_queue_stats},
    {"put", l_queue_put},         {"get", l_queue_get},
    {"try_put", l_queue_try_put}, {"try_get", l_queue_try_get},
    {"iter", l_queue_iter},       {"close", l_queue_close},
    {"done", l_queue_done},       {"join", l_queue_join},
    {"on_get", l_queue_on_get},   {"on_put", l_queue_on_put},
    {"dropped", l_queue_dropped}, {NULL, NULL}};

static const luaL_Reg metas[] = {{"__len", l_queue__len}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"queue", l_queue_new},
    {"lifo", l_lifo_new},
    {"priority_queue", l_priority_queue_new},
    {"queue_break", l_queue_break},
    {NULL, NULL}};

void queue_open(lua_State *L, rt *r);

void queue_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_QUEUE, methods, metas, NULL);
  lx_functions(L, r, functions);
}
