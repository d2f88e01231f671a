/*
** trace.c -- see trace.h.
**
** E1  Time is that of the processor since the start of the run, plus what a
**     virtual clock has jumped: steps have their true length, sleeps the
**     length that the tasks see.
** E2  A wake is seen without a word in wake(): what a step has appended to
**     the ready queue it has woken, or spawned. `tail` is where to look from;
**     a step inside of a step (emit) first settles what the outer one has done.
** E3  A slice begins where the last one of its track has ended, or later.
*/
#include "core/trace.h"

#include <errno.h>
#include <string.h>

#include "base/timeline.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/task.h"

enum { PID_TASKS = 1, PID_CO, PID_POOL }; /* groups of tracks */
/* Ids are unique over the groups: that of a task is its number in a dump. */
enum { TID_LOOP = 1000000000, TID_FIRST };

enum phase { IS_NEW, IS_RUNNING, IS_WAITING, IS_READY };

/* A track. An arrow with the id `flow`, if that is not 0, ends in its next
** slice. */
typedef struct track {
  unsigned tid, hash; /* hash: of the name that was written last */
  enum phase phase;
  unsigned depth;     /* of a C coroutine: steps inside of each other */
  int64_t since;      /* begin of the slice that is open */
  uint64_t flow;
  const char *op;     /* in what it waits */
  const void *object;
} track;

typedef struct co_track {
  const neap_co *co; /* the root */
  track track;
} co_track;

typedef struct trace_where where;

typedef struct pool_thread {
  uintptr_t thread;
  unsigned tid;
} pool_thread;

typedef struct trace trace;
struct trace {
  timeline out;
  rt *r;
  int64_t start, virtual_start, flushed;
  ready **tail; /* E2 */
  track *tasks; /* by slot */
  unsigned tasks_n, tids;
  uint64_t flows;
  co_track *cos; /* a hash table, linear probing; its size is a power of two */
  unsigned cos_n, cos_cap;
  where at;
  int64_t poll_since;
  pool_thread threads[64];
  unsigned threads_n;
  int told; /* of the failure */
};

static int64_t now(const trace *x) {
  const neap_loop *l = &x->r->loop;
  int64_t t = (int64_t)uv_hrtime() - x->start;

  return l->is_virtual ? t + l->virtual_now - x->virtual_start : t;
}

/* --- events --- */

static void name_track(trace *x, unsigned pid, unsigned tid, const char *name) {
  timeline_begin(&x->out, 'M', "thread_name", pid, tid, 0);
  timeline_args(&x->out);
  timeline_text(&x->out, "name", name);
  timeline_end(&x->out);
}

static void name_group(trace *x, unsigned pid, const char *name) {
  timeline_begin(&x->out, 'M', "process_name", pid, 0, 0);
  timeline_args(&x->out);
  timeline_text(&x->out, "name", name);
  timeline_end(&x->out);
}

static void begin_slice(trace *x, const char *name, unsigned pid, unsigned tid,
                        int64_t from, int64_t to) {
  timeline_begin(&x->out, 'X', name, pid, tid, from);
  timeline_duration(&x->out, to > from ? to - from : 0);
}

static void end_wait(trace *x, track *k, unsigned pid, int64_t to) {
  if (k->phase != IS_WAITING) return;
  k->phase = IS_READY;
  begin_slice(x, k->op, pid, k->tid, k->since, to);
  if (k->object != NULL) {
    timeline_args(&x->out);
    timeline_address(&x->out, "object", k->object);
  }
  timeline_end(&x->out);
}

static void flow(trace *x, char phase, unsigned pid, unsigned tid, uint64_t id,
                 int64_t at) {
  timeline_begin(&x->out, phase, "wake", pid, tid, at);
  timeline_text(&x->out, "cat", "wake");
  timeline_number(&x->out, "id", id);
  timeline_end(&x->out);
}

static void begin_flow(trace *x, track *k, int64_t at) {
  if (x->at.tid == 0 || k->flow != 0) return;
  k->flow = ++x->flows;
  flow(x, 's', x->at.pid, x->at.tid, k->flow, at);
}

static void end_flow(trace *x, track *k, unsigned pid, int64_t at) {
  if (k->flow != 0) flow(x, 'f', pid, k->tid, k->flow, at);
  k->flow = 0;
}

/* --- tracks --- */

static track *track_of_task(trace *x, const task *t) {
  return t->anchor < x->tasks_n ? &x->tasks[t->anchor] : NULL;
}

static unsigned place(const trace *x, const neap_co *co) {
  uintptr_t h = (uintptr_t)co >> 4;
  return (unsigned)(h ^ h >> 15) & (x->cos_cap - 1);
}

static track *track_of_co(trace *x, const neap_co *root) {
  unsigned i;

  if (x->cos_cap == 0) return NULL;
  for (i = place(x, root); x->cos[i].co != NULL; i = (i + 1) & (x->cos_cap - 1))
    if (x->cos[i].co == root) return &x->cos[i].track;
  return NULL;
}

static void put_co(trace *x, co_track e) {
  unsigned i = place(x, e.co);

  while (x->cos[i].co != NULL) i = (i + 1) & (x->cos_cap - 1);
  x->cos[i] = e;
}

static int grow_cos(trace *x) {
  co_track *old = x->cos;
  unsigned cap = x->cos_cap, i;

  x->cos = base_alloc((cap ? cap * 2 : 64) * sizeof *x->cos);
  if (x->cos == NULL) {
    x->cos = old;
    return 0;
  }
  x->cos_cap = cap ? cap * 2 : 64;
  for (i = 0; i < cap; i++)
    if (old[i].co != NULL) put_co(x, old[i]);
  base_free(old);
  return 1;
}

/* NULL: no memory. */
static track *new_co(trace *x, const neap_co *root) {
  co_track e;

  if (x->cos_n * 2 >= x->cos_cap && !grow_cos(x)) return NULL;
  memset(&e, 0, sizeof e);
  e.co = root;
  e.track.tid = x->tids++;
  put_co(x, e);
  x->cos_n++;
  name_track(x, PID_CO, e.track.tid, root->name ? root->name : "?");
  return track_of_co(x, root);
}

static void forget_co(trace *x, const neap_co *root) {
  track *k = track_of_co(x, root);
  unsigned i, mask = x->cos_cap - 1;

  if (k == NULL) return;
  i = (unsigned)(container_of(k, co_track, track) - x->cos);
  x->cos[i].co = NULL;
  x->cos_n--;
  for (i = (i + 1) & mask; x->cos[i].co != NULL; i = (i + 1) & mask) {
    co_track e = x->cos[i]; /* close the gap */
    x->cos[i].co = NULL;
    put_co(x, e);
  }
}

static const neap_co *root_of(const neap_co *co) {
  while (co->parent != NULL) co = co->parent;
  return co;
}

/* --- who woke whom --- */

static void woken(trace *x, ready *item, int64_t at) {
  int is_co = item->kind == READY_CO;
  track *k = is_co ? track_of_co(x, root_of((neap_co *)(void *)item))
                   : track_of_task(x, (task *)(void *)item);

  if (k == NULL || (k->phase != IS_WAITING && k->phase != IS_NEW)) return;
  end_wait(x, k, is_co ? PID_CO : PID_TASKS, at);
  begin_flow(x, k, at);
}

static void settle(trace *x) { /* E2 */
  ready *item = *x->tail;
  int64_t at;

  if (item == NULL) return;
  at = now(x);
  for (; item != NULL; item = item->next) woken(x, item, at);
  x->tail = x->r->loop.tail;
}

/* A step begins; returns whose step it is in. */
static where enter(trace *x, unsigned pid, unsigned tid) {
  where outer = x->at;

  if (outer.tid != 0)
    settle(x);
  else
    x->tail = x->r->loop.tail;
  x->at.pid = pid;
  x->at.tid = tid;
  return outer;
}

/* And ends; returns when. */
static int64_t leave(trace *x, where outer) {
  settle(x);
  x->at = outer;
  return now(x);
}

/* --- tasks --- */

void trace_spawned(rt *r, task *t) {
  trace *x = r->trace;
  track *k;

  if (t->anchor >= x->tasks_n) {
    unsigned n = x->tasks_n ? x->tasks_n * 2 : 64;
    track *more;
    while (n <= t->anchor) n *= 2;
    if ((more = base_realloc(x->tasks, n * sizeof *more)) == NULL) {
      x->out.error = ENOMEM;
      return;
    }
    memset(more + x->tasks_n, 0, (n - x->tasks_n) * sizeof *more);
    x->tasks = more;
    x->tasks_n = n;
  }
  k = &x->tasks[t->anchor];
  memset(k, 0, sizeof *k);
  k->tid = task_number(t);
  if (x->at.tid == 0) return;
  timeline_begin(&x->out, 'i', "spawn", x->at.pid, x->at.tid, now(x));
  timeline_args(&x->out);
  timeline_number(&x->out, "task", k->tid);
  timeline_end(&x->out);
}

static unsigned hash_of(const char *s) { /* FNV-1a */
  unsigned h = 2166136261u;

  for (; *s != '\0'; s++) h = (h ^ (unsigned char)*s) * 16777619u;
  return h | 1u;
}

static int l_name(lua_State *L) { /* trace, track, handle */
  track *k = lua_touserdata(L, 2);
  const char *name;

  lua_getfield(L, 3, "name");
  name = lua_tostring(L, -1);
  if (name == NULL || k->hash == hash_of(name)) return 0;
  k->hash = hash_of(name);
  name_track(lua_touserdata(L, 1), PID_TASKS, k->tid, name);
  return 0;
}

/* The name of the task may be assigned at any time: at its first step and at
** its end is looked. */
static void name_task(lua_State *L, trace *x, track *k, int handle) {
  lua_pushcfunction(L, l_name);
  lua_pushlightuserdata(L, x);
  lua_pushlightuserdata(L, k);
  lua_pushvalue(L, handle);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
}

trace_frame trace_step_begin(lua_State *L, rt *r, task *t, int handle) {
  trace *x = r->trace;
  track *k = track_of_task(x, t);
  trace_frame f = {0, {0, 0}};
  int64_t at;

  if (k == NULL) return f;
  if (k->phase == IS_NEW) name_task(L, x, k, handle);
  at = now(x);
  end_wait(x, k, PID_TASKS, at);
  if (x->at.tid != 0) begin_flow(x, k, at); /* begun inside of a step */
  f.slot = t->anchor;
  f.outer = enter(x, PID_TASKS, k->tid);
  k->phase = IS_RUNNING;
  k->since = now(x);
  end_flow(x, k, PID_TASKS, k->since);
  return f;
}

static void end_task(lua_State *L, trace *x, track *k, task *t, int handle) {
  name_task(L, x, k, handle);
  timeline_begin(&x->out, 'i', task_state_name(t), PID_TASKS, k->tid, now(x));
  timeline_end(&x->out);
  k->tid = 0; /* the slot has no task */
}

/* What the suspended call has as its first argument: the queue, the lock, the
** task that is awaited. */
static const void *object_of(const task *t) {
  return t->L != NULL && lua_gettop(t->L) > 0 ? lua_touserdata(t->L, 1) : NULL;
}

void trace_step_end(lua_State *L, rt *r, task *t, int handle,
                    trace_frame frame) {
  trace *x = r->trace;
  track *k;
  int64_t at;

  if (frame.slot == 0) return;
  at = leave(x, frame.outer);
  k = &x->tasks[frame.slot];
  begin_slice(x, "run", PID_TASKS, k->tid, k->since, at);
  timeline_end(&x->out);
  if (t->state >= TASK_DONE) {
    end_task(L, x, k, t, handle);
    return;
  }
  k->phase = IS_READY;
  if (t->state != TASK_WAITING) return;
  k->phase = IS_WAITING;
  k->since = at;
  k->op = t->at != NULL && t->at->op != NULL ? t->at->op->name : "pause";
  k->object = t->at != NULL ? object_of(t) : NULL;
}

void trace_buried(lua_State *L, rt *r, task *t, int handle) {
  trace *x = r->trace;
  track *k = track_of_task(x, t);

  if (k == NULL || k->tid == 0) return;
  end_wait(x, k, PID_TASKS, now(x));
  end_task(L, x, k, t, handle);
}

void trace_cancelled(scope *s) {
  trace *x = s->r->trace;
  const track *k = s->body != NULL ? track_of_task(x, s->body) : NULL;
  unsigned tid = k != NULL && k->tid != 0 ? k->tid : TID_LOOP;

  timeline_begin(&x->out, 'i', "cancel", PID_TASKS, tid, now(x));
  timeline_args(&x->out);
  timeline_text(&x->out, "source", scope_source_name(s));
  if (s->name != NULL) timeline_text(&x->out, "scope", s->name);
  timeline_end(&x->out);
}

/* --- polls --- */

#define FLUSH_NS 1000000000 /* so much may be missing when the process is killed */

void trace_poll_begin(rt *r) {
  trace *x = r->trace;

  enter(x, PID_TASKS, TID_LOOP);
  x->poll_since = now(x);
  if (x->poll_since - x->flushed < FLUSH_NS) return;
  timeline_flush(&x->out);
  x->flushed = x->poll_since;
}

void trace_poll_end(rt *r) {
  trace *x = r->trace;
  int64_t at = leave(x, (where){0, 0});

  begin_slice(x, "poll", PID_TASKS, TID_LOOP, x->poll_since, at);
  timeline_end(&x->out);
}

/* --- C coroutines: neap_loop.step_co --- */

static void begin_co(trace *x, track *k, int64_t *at) {
  *at = now(x);
  end_wait(x, k, PID_CO, *at);
  if (x->at.tid != 0 && x->at.tid != k->tid) begin_flow(x, k, *at);
}

static void wait_co(track *k, const neap_co *co, int64_t at) {
  while (co->child != NULL) co = co->child;
  k->phase = IS_WAITING;
  k->since = at;
  k->op = co->wait.op != NULL ? co->wait.op->name : "?";
  k->object = NULL;
}

static int step_co(neap_co *co) {
  trace *x = rt_of_loop(co->loop)->trace;
  const neap_co *root = root_of(co);
  track *k = track_of_co(x, root);
  where outer;
  int64_t from, to;
  int rc;

  if (k == NULL && (k = new_co(x, root)) == NULL) return co->step(co);
  begin_co(x, k, &from);
  outer = enter(x, PID_CO, k->tid);
  from = now(x);
  end_flow(x, k, PID_CO, from);
  k->phase = IS_RUNNING;
  k->depth++;
  rc = co->step(co);
  to = leave(x, outer);
  k = track_of_co(x, root);
  begin_slice(x, co->name ? co->name : "?", PID_CO, k->tid, from, to);
  timeline_args(&x->out);
  timeline_text(&x->out, "file", co->file ? co->file : "?");
  if (co->line > 0) timeline_number(&x->out, "line", (uint64_t)co->line);
  timeline_end(&x->out);
  if (--k->depth > 0) return rc;
  if (rc == NEAP_PENDING)
    wait_co(k, co, to);
  else if (co == root)
    forget_co(x, root);
  return rc;
}

/* --- the thread pool: neap_loop.saw_work --- */

static unsigned thread_tid(trace *x, uintptr_t thread) {
  unsigned i;

  for (i = 0; i < x->threads_n; i++)
    if (x->threads[i].thread == thread) return x->threads[i].tid;
  if (x->threads_n == countof(x->threads)) return TID_LOOP;
  x->threads[i].thread = thread;
  x->threads[i].tid = x->tids++;
  x->threads_n++;
  name_track(x, PID_POOL, x->threads[i].tid, "pool thread");
  return x->threads[i].tid;
}

static void saw_work(neap_loop *l, uintptr_t thread, int64_t began,
                     int64_t ended) {
  trace *x = rt_of_loop(l)->trace;
  int64_t offset = now(x) - (int64_t)uv_hrtime();

  begin_slice(x, "work", PID_POOL, thread_tid(x, thread), began + offset,
        ended + offset);
  timeline_end(&x->out);
}

/* --- the file --- */

int trace_open(rt *r, const char *path) {
  trace *x = base_alloc(sizeof *x);
  int rc;

  if (x == NULL) return ENOMEM;
  if ((rc = timeline_open(&x->out, path)) != 0) {
    base_free(x);
    return rc;
  }
  x->r = r;
  x->tids = TID_FIRST;
  x->start = (int64_t)uv_hrtime();
  x->virtual_start = r->loop.virtual_now;
  x->tail = r->loop.tail;
  name_group(x, PID_TASKS, "tasks");
  name_group(x, PID_CO, "C coroutines");
  name_group(x, PID_POOL, "thread pool");
  name_track(x, PID_TASKS, TID_LOOP, "loop");
  r->loop.step_co = step_co;
  r->loop.saw_work = saw_work;
  r->trace = x;
  return 0;
}

int trace_failure(rt *r) {
  trace *x = r->trace;

  if (x->out.error == 0 || x->told) return 0;
  x->told = 1;
  return x->out.error;
}

int trace_close(rt *r) {
  trace *x = r->trace;
  int64_t at = now(x);
  unsigned i;
  int rc;

  for (i = 0; i < x->tasks_n; i++)
    if (x->tasks[i].tid != 0) end_wait(x, &x->tasks[i], PID_TASKS, at);
  for (i = 0; i < x->cos_cap; i++)
    if (x->cos[i].co != NULL) end_wait(x, &x->cos[i].track, PID_CO, at);
  rc = timeline_close(&x->out);
  if (x->told) rc = 0;
  r->trace = NULL;
  r->loop.step_co = NULL;
  r->loop.saw_work = NULL;
  base_free(x->tasks);
  base_free(x->cos);
  base_free(x);
  return rc;
}
