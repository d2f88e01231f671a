/*
** l_stats.c -- what a pool counts, for db:stats and db:statements. The sums
** that hold are those of pool.h.
*/
#include "pg/l_stats.h"

static void set(lua_State *L, const char *key, uint64_t v) {
  lua_pushinteger(L, (lua_Integer)v);
  lua_setfield(L, -2, key);
}

static void set_seconds(lua_State *L, const char *key, int64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, key);
}

/* ORDER WAIT_BUCKETS, shed.c */
static void set_wait(lua_State *L, const char *key, const wait_stats *w) {
  lua_Number limit = 0.001;
  int i;

  lua_createtable(L, WAIT_BUCKETS, 3);
  set(L, "count", w->n);
  set_seconds(L, "seconds", w->total_ns);
  set_seconds(L, "max", w->max_ns);
  for (i = 0; i < WAIT_BUCKETS; i++, limit *= 10) {
    lua_createtable(L, 0, 2);
    set(L, "count", w->bucket[i]);
    lua_pushnumber(L, i < WAIT_BUCKETS - 1 ? limit : (lua_Number)HUGE_VAL);
    lua_setfield(L, -2, "below");
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, key);
}

/* ORDER CLOSE_REASONS */
static const char *const reasons[] = {
  "lifetime", "uses", "idle", "surplus", "expired", "pool", "setup", "doubt",
  "lost"};

static void set_closed(lua_State *L, const pool_stats *s) {
  int i;

  lua_createtable(L, 0, CLOSE_REASONS);
  for (i = 0; i < CLOSE_REASONS; i++) set(L, reasons[i], s->closed[i]);
  lua_setfield(L, -2, "closed");
}

static void set_now(lua_State *L, const pool *p) {
  uint64_t idle = 0, open = (uint64_t)(p->size - p->dialling);

  if (p->loop != NULL) LIST_EACH(n, (list *)&p->idle) idle++;
  set(L, "size", open);
  set(L, "idle", idle);
  set(L, "in_use", open - idle);
  set(L, "connecting", (uint64_t)p->dialling);
  set(L, "waiting", p->nqueue + p->nclaims + p->nfollow);
  set(L, "waiting_acquires", p->nclaims);
  set(L, "max", (uint64_t)p->cfg.max);
  set(L, "min", (uint64_t)p->cfg.min);
  set(L, "statements", p->nstmts);
}

int l_pool_stats(lua_State *L) {
  static const pool none;
  const handle *h = handle_check(L);
  const pool *p = h->pool ? h->pool : &none;
  const pool_stats *s = &p->stats;

  lua_createtable(L, 0, 40);
  set_now(L, p);
  set(L, "queries", s->queries);
  set(L, "failed", s->failed);
  set(L, "rows", s->rows);
  set(L, "acquires", s->acquires);
  set(L, "granted", s->granted);
  set(L, "refused", s->refused);
  set(L, "abandoned", s->abandoned);
  set(L, "timeouts", s->timeouts);
  set(L, "shed", s->shed);
  set(L, "cancels", s->cancels);
  set(L, "cancel_collateral", s->collateral);
  set(L, "connects", s->connects);
  set(L, "connect_failures", s->connect_failures);
  set(L, "closes", s->closes);
  set(L, "lost", s->lost);
  set(L, "failovers", s->failovers);
  set(L, "resets", s->resets);
  set(L, "pings", s->pings);
  set(L, "cache_hits", s->hits);
  set(L, "cache_misses", s->misses);
  set(L, "cache_evictions", s->evictions);
  set(L, "retries", s->retries);
  set(L, "healed", s->healed);
  set_closed(L, s);
  set_wait(L, "acquire_wait", &s->acquire_wait);
  set_wait(L, "queue_wait", &s->queue_wait);
  return 1;
}

/* db:_statements() -> array, in no order */
int l_pool_statements(lua_State *L) {
  const pool *p = handle_open(L, "db:statements")->pool;
  lua_Integer i = 0;

  lua_createtable(L, (int)p->nstmts, 0);
  LIST_EACH(n, (list *)&p->stmts) {
    const stmt *s = container_of(n, stmt, link);
    if (s->calls == 0) continue;
    lua_createtable(L, 0, 8);
    lua_pushlstring(L, s->sql, s->len);
    lua_setfield(L, -2, "sql");
    set(L, "calls", s->calls);
    set(L, "errors", s->errors);
    set(L, "rows", s->rows);
    set_seconds(L, "seconds", s->total_ns);
    set_seconds(L, "mean", s->total_ns / (int64_t)s->calls);
    set_seconds(L, "max", s->max_ns);
    set_seconds(L, "recent", s->ewma);
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}
