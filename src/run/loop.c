/*
** loop.c -- see loop.h. Drains the ready queue in slices of LOOP_BUDGET
** switches or LOOP_SLICE_NS and polls between slices, so that neither tasks
** nor sockets starve.
*/
#include "run/loop.h"

#include <limits.h>

#include "run/process.h"

#define SECOND 1000000000
#define BLOCK_NS (3600 * (int64_t)SECOND) /* the longest sleep without a look */

static void on_check(uv_check_t *c) { (void)c; }
/* loop_poll fires what is due. uv_run runs timers before it polls: if ours is
** due that early, nothing else would end the poll. */
static void on_timer(uv_timer_t *t) { uv_stop(t->loop); }

int loop_init(neap_loop *l) {
  int rc;

  l->tail = &l->head;
  list_init(&l->alone);
  if ((rc = uv_loop_init(&l->uv)) < 0) return rc;
  uv_timer_init(&l->uv, &l->timer);
  uv_check_init(&l->uv, &l->keep);
  uv_check_start(&l->keep, on_check);
  return 0;
}

static void close_one(uv_handle_t *h, void *arg) {
  (void)arg;
  if (!uv_is_closing(h)) /* a child that still runs has no other owner */
    uv_close(h, h->type == UV_PROCESS ? process_closed : NULL);
}

void loop_fini(neap_loop *l) {
  /* Owners closed their handles when they were collected; what is left is
  ** ours. Thread-pool work in flight is waited for. */
  uv_walk(&l->uv, close_one, NULL);
  while (uv_loop_close(&l->uv) == UV_EBUSY) uv_run(&l->uv, UV_RUN_DEFAULT);
  heap_fini(&l->deadlines);
}

int64_t loop_now(neap_loop *l) {
  return l->is_virtual ? l->virtual_now : (int64_t)uv_hrtime();
}

unsigned loop_age_ms(neap_loop *l, unsigned ms) {
  unsigned age = (unsigned)(loop_now(l) / 1000000) - ms;
  return age > UINT_MAX - 1000 ? 0 : age; /* the clocks round differently */
}

void loop_use_virtual(neap_loop *l, int on) {
  // A whole second to begin with: sums of whole seconds are exact in Lua.
  if (on && !l->is_virtual)
    l->virtual_now = ((int64_t)uv_hrtime() / SECOND + 1) * SECOND;
  l->is_virtual = on;
}

/* xorshift64* (Marsaglia 2003, Vigna 2014). */
static uint64_t shuffle_next(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 2685821657736338717u;
}

#ifdef NEAP_HOSTILE
int loop_hostile(neap_loop *l, unsigned n) {
  return l->hostile != 0 && (shuffle_next(&l->hostile) >> 33) % n == 0;
}
#endif

/* One of the first sixteen. Who has let the others run once (sleep(0)) waits
** until it is the first. */
static ready **shuffled(neap_loop *l) {
  ready **at = &l->head, **chosen = at;
  unsigned n = (unsigned)(shuffle_next(&l->shuffle) >> 60);

  while (n-- > 0 && (*at)->next != NULL) {
    at = &(*at)->next;
    if ((*at)->kind != READY_YIELDED) chosen = at;
  }
  return chosen;
}

static ready *ready_pop(neap_loop *l) {
  ready **at = &l->head, *item;

  if (unlikely(l->shuffle) && *at != NULL) at = shuffled(l);
  if ((item = *at) == NULL) return NULL;
  if ((*at = item->next) == NULL) l->tail = at;
  return item;
}

void co_run(neap_co *co); /* co.c */

static void count_turn(neap_loop *l, int64_t ns) {
  int64_t us = ns / 1000;
  unsigned i;

  for (i = 0; us > 0 && i < LOOP_CLASSES - 1; i++) us >>= 1;
  l->turns++;
  l->turns_of[i]++;
  if (ns > l->turn_max) l->turn_max = ns;
}

void loop_drain(neap_loop *l) {
  int64_t start = (int64_t)uv_hrtime();
  unsigned n = 0;
  ready *item;

  l->budget = LOOP_BUDGET;
  while (l->budget-- > 0 && !l->stop) {
    if (loop_hostile(l, 8)) break; /* who was woken waits for another poll */
    if ((item = ready_pop(l)) == NULL) break;
    l->switches++;
    if (likely(item->kind == READY_TASK))
      l->run_task(l, item);
    else if (item->kind == READY_YIELDED) {
      item->kind = READY_TASK;
      l->run_task(l, item);
    } else
      co_run((neap_co *)(void *)item);
    /* On the virtual clock the order must not hang on how fast we are. */
    if ((++n & 31) == 0 && !l->is_virtual &&
        (int64_t)uv_hrtime() - start > LOOP_SLICE_NS)
      break;
  }
  if (n > 0) count_turn(l, (int64_t)uv_hrtime() - start);
}

static void fire_due(neap_loop *l) {
  const heap_item *it = heap_first(&l->deadlines);
  int64_t now;
  size_t left;

  if (it == NULL) return;
  now = loop_now(l);
  /* No more than stood there at the start: a timer that is started again with
  ** a time gone by waits for the next poll. */
  for (left = l->deadlines.n; left > 0; left--) {
    it = heap_first(&l->deadlines);
    if (it == NULL || it->key > now) break;
    if (heap_tag(it)) {
      unsigned *pos = heap_pos(&l->deadlines, it);
      loop_unsleep(l, pos);
      /* With many sleepers the next one is not in the cache: fetch its record,
      ** of two lines, while this one is woken. */
      if ((it = heap_first(&l->deadlines)) != NULL) {
        const char *next = (const char *)heap_pos(&l->deadlines, it);
        prefetch(next);
        prefetch(next + CACHE_LINE);
      }
      l->wake_sleeper(l, pos);
    } else {
      unsigned *pos = heap_pos(&l->deadlines, it);
      neap_timer *t = container_of(pos, neap_timer, pos);
      timer_stop(l, t);
      t->fire(t);
    }
  }
}

/* The timer also keeps uv_run() from returning at once when nothing else is
** alive on the loop. */
static void block(neap_loop *l) {
  const heap_item *it = heap_first(&l->deadlines);
  int64_t wait_ns = BLOCK_NS;

  if (it != NULL && !l->is_virtual) {
    int64_t left = it->key - (int64_t)uv_hrtime();
    if (left < wait_ns) wait_ns = left;
  }
  uv_update_time(&l->uv);
  uv_timer_start(&l->timer, on_timer,
                 wait_ns <= 0 ? 0 : (uint64_t)((wait_ns + 999999) / 1000000),
                 0);
  uv_run(&l->uv, UV_RUN_ONCE);
  uv_timer_stop(&l->timer);
}

int loop_poll(neap_loop *l) {
  l->polls++;
  fire_due(l);
  if (l->head != NULL) {
    uv_run(&l->uv, UV_RUN_NOWAIT);
    return 1;
  }
  if (l->counted == 0 && l->timers == 0) {
    /* Housekeeping alone never wakes a task; give it one look, no wait. */
    uv_run(&l->uv, UV_RUN_NOWAIT);
    fire_due(l);
    return l->head != NULL || l->counted != 0 || l->timers != 0;
  }
  if (l->is_virtual && l->counted == 0) {
    uv_run(&l->uv, UV_RUN_NOWAIT);
    if (l->head == NULL && l->counted == 0 && l->deadlines.n > 0) {
      int64_t next = heap_first(&l->deadlines)->key;
      if (next == INT64_MAX) return 0; /* there is no jump to infinity */
      if (next > l->virtual_now) l->virtual_now = next;
    }
    fire_due(l);
    return 1;
  }
  block(l);
  fire_due(l);
  return 1;
}

int loop_sleep(neap_loop *l, unsigned *pos, int64_t when) {
  int rc = heap_insert(&l->deadlines, when, 1, pos);
  if (rc == 0) l->timers++;
  return rc;
}

int64_t loop_when(const neap_loop *l, unsigned pos) {
  return heap_key(&l->deadlines, pos);
}

void loop_unsleep(neap_loop *l, unsigned *pos) {
  if (*pos == 0) return;
  heap_remove(&l->deadlines, pos);
  l->timers--;
}

int timer_start(neap_loop *l, neap_timer *t, int64_t when) {
  int rc;

  timer_stop(l, t);
  if ((rc = heap_insert(&l->deadlines, when, 0, &t->pos)) < 0) return rc;
  if (t->flags & NEAP_COUNTED) l->timers++;
  return 0;
}

void timer_stop(neap_loop *l, neap_timer *t) {
  if (t->pos == 0) return;
  heap_remove(&l->deadlines, &t->pos);
  if (t->flags & NEAP_COUNTED) l->timers--;
}
