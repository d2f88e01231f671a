/*
** loop.h -- one libuv loop, one ready queue, one heap of deadlines. No Lua.
** The core turns it: loop_drain() runs what is ready, loop_poll() looks for
** events. Callbacks of libuv only append to the ready queue.
*/
#ifndef run_loop_h
#define run_loop_h

#include <uv.h>

#include "base/base.h"
#include "base/heap.h"
#include "base/list.h"
#include "neap.h"

/*
** R1  A ready item is in the queue at most once.
** R2  `counted` is the number of reasons for which an event from outside may
**     wake a waiter: watches, waits and requests that are marked COUNTED.
** R3  `timers` is the number of deadlines that count, tasks' sleeps among them.
** R4  With an empty queue, counted == 0 and timers == 0 nobody is ever woken.
*/
enum ready_kind {
  READY_TASK = 1, READY_CO, READY_CHOICE,
  READY_YIELDED /* a task that lets the others run first; when shuffling */
};

/* The common head of everything that can stand in the queue: a task of the
** core and a neap_co begin with these fields. A choice (core/select.c) never
** stands in it, but is told apart by them. ORDER READY */
typedef struct ready {
  struct ready *next;
  unsigned char kind, state, flag, more;
} ready;

#define LOOP_BUDGET 256          /* switches between two polls */
#define LOOP_SLICE_NS 100000     /* and time */
#define LOOP_CLASSES 24          /* of turns: below 1, 2, 4 ... us; the rest */

struct neap_loop {
  uv_loop_t uv;
  uv_timer_t timer; /* the one uv timer: armed for the earliest deadline */
  uv_check_t keep;  /* uv_run() looks at nothing when nothing is active */
  heap deadlines;
  ready *head, **tail;
  int budget;             /* switches left in this slice */
  unsigned counted;       /* R2 */
  unsigned timers;        /* R3 */
  unsigned handles;       /* open watches, posts, processes */
  int is_virtual, stop;
  int64_t virtual_now;
  uint64_t switches, polls; /* statistics */
  uint64_t turns, turns_of[LOOP_CLASSES]; /* by how long they took */
  int64_t turn_max;       /* ns */
  list alone;             /* C coroutines that run on their own: co.c, C2 */
  uint64_t shuffle;       /* state of the shuffling generator, 0 is off */
#ifdef NEAP_HOSTILE
  uint64_t hostile;       /* likewise, of what a hostile build does */
#endif
  void (*run_task)(neap_loop *loop, ready *item);
  void (*wake_sleeper)(neap_loop *loop, unsigned *pos); /* tag 1 in the heap */
  /* NULL, or who watches: it makes the step, and returns its result */
  int (*step_co)(neap_co *co);
  /* NULL, or who is told of work when it is done: on which thread, when */
  void (*saw_work)(neap_loop *loop, uintptr_t thread, int64_t began,
                   int64_t ended);
};

int loop_init(neap_loop *l);
void loop_fini(neap_loop *l); /* closes every handle, waits for threads */

int64_t loop_now(neap_loop *l);
/* ns from now, or never (INT64_MAX). */
static inline int64_t loop_after(neap_loop *l, int64_t ns) {
  int64_t now = loop_now(l);
  return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}
/* The same in ms, as of the last poll: cheap, and it wraps. */
static inline unsigned loop_ms(const neap_loop *l) {
  if (unlikely(l->is_virtual)) return (unsigned)(l->virtual_now / 1000000);
  return (unsigned)uv_now(&l->uv);
}
/* How long ago that was. */
unsigned loop_age_ms(neap_loop *l, unsigned ms);
void loop_use_virtual(neap_loop *l, int on);

/* Run ready items until the slice is spent, the queue is empty, or stop. */
void loop_drain(neap_loop *l);

/* Fire due deadlines and look for events; blocks if the queue is empty.
** Returns 0 when it did not block because nobody could ever be woken. */
int loop_poll(neap_loop *l);

/* Hostile builds, and only when they were told to (core/hostile.h): true once
** in `n` times. */
#ifdef NEAP_HOSTILE
int loop_hostile(neap_loop *l, unsigned n);
#else
#define loop_hostile(l, n) 0
#endif

static inline void ready_push(neap_loop *l, ready *item) {
  item->next = NULL;
  *l->tail = item;
  l->tail = &item->next;
}

/* Sleeping tasks: a place in the heap without a timer struct. */
int loop_sleep(neap_loop *l, unsigned *pos, int64_t when);
int64_t loop_when(const neap_loop *l, unsigned pos); /* until when */
void loop_unsleep(neap_loop *l, unsigned *pos);

int timer_start(neap_loop *l, neap_timer *t, int64_t when);
void timer_stop(neap_loop *l, neap_timer *t);

#endif
