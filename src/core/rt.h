/*
** rt.h -- the runtime of one Lua state: everything that is not a local
** variable hangs off it. Also the two structs all of the core shares, task
** and scope. No functions.
*/
#ifndef core_rt_h
#define core_rt_h

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "run/loop.h"

typedef struct rt rt;
typedef struct task task;
typedef struct scope scope;

/* ORDER TASK_STATES: names in task.c */
enum task_state {
  TASK_NEW, TASK_READY, TASK_RUNNING, TASK_WAITING,
  TASK_DONE, TASK_FAILED, TASK_CANCELLED
};

/* task.flags */
#define T_INTERRUPTED 1u /* woken by a cancel: the wait raises */
#define T_ABORTING 2u    /* abort() was called and answered PENDING */
#define T_PACKED 4u      /* the result is a table with n */
#define T_EMPTY 8u       /* no results */
#define T_ABANDONED 16u  /* never resumed again */
#define T_LIGHT 32u      /* nobody has seen it: light.c */
#define T_BLOCKED 64u    /* some call in the chain cannot be suspended */
#define T_ENDING 128u    /* the body is over: no more children */

/*
** T1  A task that has not ended owns the slot `anchor`, where the registry
**     keeps it and its coroutine. User value 2 is its function; 1 its innermost
**     scope, and the result or the error when it has ended.
** T2  A task is in its owner's list of children until it has ended.
** T3  `at` is set if and only if the task is parked; at->rc then holds since
**     when, in ms on the loop's clock (park_since).
** T4  `current` is the innermost scope open in the task: one of its own, or
**     its owner. Cancellation reaches the task if current->cause is set.
*/
struct task { /* first what each step needs: task.c, look_ahead */
  ready *ready_next;                    /* ORDER READY */
  unsigned char kind, state, flags, holds; /* holds: locks owned, saturating */
  unsigned short nargs;                 /* values on L for the next resume */
  unsigned char swallows;               /* cancellations delivered in a row */
  unsigned char probed;                 /* sweep.c counts its checkpoints */
  lua_State *L; /* the innermost that waits; its own is slots[anchor].L */
  unsigned anchor, timer; /* timer: its number in the heap, plus 1 */
  neap_wait *at;
  neap_wait wait;                       /* the core's own operations use it */
  scope *owner, *current;
  node sibling;                         /* in owner->children */
  neap_wait *joiners;                   /* ring of those who await it */
};

enum scope_kind {
  SCOPE_RUN,      /* root: its task is run's own */
  SCOPE_GROUND,   /* background: failures are reported, siblings live on */
  SCOPE_TASK,     /* the implicit scope of a task */
  SCOPE_PLAIN, SCOPE_TIMEOUT, SCOPE_MOVE_ON, SCOPE_SHIELD,
  SCOPE_BODY,     /* S4 */
  SCOPE_KEEP,     /* failures are kept by the children: settle */
  SCOPE_EMIT      /* the same; the scope is an emission: emit.c */
};

/* ORDER SOURCES: names in scope.c */
enum cancel_source {
  SRC_EXPLICIT, SRC_DEADLINE, SRC_SIBLING, SRC_PARENT, SRC_SHUTDOWN, SRC_SIGNAL
};

/*
** S1  `cause` is the outermost cancelled scope from which cancellation
**     reaches this one, or NULL. A shield hides what is outside of it.
** S2  Lua values of a scope (primary error, further ones, reason, its
**     cancellation object) are in the side table under its address, from the
**     first of them until the scope is closed.
** S3  A scope is closed only when `live` and `promised` are 0.
** S4  A service scope (on_exit_cancel) runs its body in a scope of its own,
**     SCOPE_BODY, right behind it in memory. As long as the body runs, a
**     cancellation reaches that one only; `prop` keeps it for the children.
*/
struct scope {
  scope *parent;
  rt *r;
  task *body;      /* whose call it is; NULL for run and background */
  list children;   /* task.sibling */
  scope *cause;
  scope *prop;     /* work list of a cancellation on its way; S4 */
  int64_t deadline; /* INT64_MAX: none */
  neap_timer timer;
  double limit;    /* seconds as given, for the message */
  const char *blocked_in; /* operation that the expiry interrupted */
  const char *name;
  unsigned live, max, promised; /* promised: places given to waiting spawns */
  unsigned char kind, source;
  unsigned cancelled : 1, expired : 1, closing : 1, closed : 1, failed : 1,
      interrupted : 1, on_exit_cancel : 1, group : 1, sided : 1, waiting : 1,
      unwound : 1, /* the body ended by a cancellation */
      closers : 1, /* objects to close when the body has ended */
      listeners : 1, /* to be removed when it has ended */
      cut : 1;     /* a cancellation from outside ended children early */
  list room; /* tasks that wait in a bounded spawn */
};

/* Classes of the core, for lx_check. ORDER CLASSES: names in lx.c */
enum lx_class {
  CLASS_TASK, CLASS_SCOPE, CLASS_FUTURE, CLASS_EVENT, CLASS_LOCK,
  CLASS_SEMAPHORE, CLASS_GUARD, CLASS_QUEUE, CLASS_EMITTER, CLASS_LISTENER,
  CLASS_FAULT, CLASS_CANCELLED, CLASS_BRANCH, CLASS_LINE, CLASS_CATCHER,
  CLASS_MAX
};

enum { SHUT_NO, SHUT_GRACE, SHUT_CLOSED }; /* rt.shutting */
enum { SIGNALS = 3 }; /* SIGINT, SIGTERM and SIGUSR1 */
/* Listeners started from within listeners; places in the table r_spares. */
enum { EMIT_DEPTH = 16, SPARE_EMISSION = 1, SPARE_TASK = EMIT_DEPTH + 2,
       SPARE_LAST = SPARE_TASK + EMIT_DEPTH };

typedef struct slot {
  lua_State *L;  /* NULL: an empty one */
  unsigned next; /* in the list of idle or of empty slots; or task's number */
  unsigned born; /* ms on the loop's clock */
} slot;

struct rt {
  neap_loop loop; /* first: a neap_loop* is an rt* */
  lua_State *main, *from;
  task *current;
  scope root, ground;
  task *main_task;
  list held;          /* locks that have an owner */
  int r_box;          /* registry references */
  int r_anchor, r_threads, r_side, r_trace, r_suppressed, r_names, r_cancels,
      r_hook, r_dump, r_closer, r_emitters, /* r_emitters: all, weakly */
      r_see, r_born, r_raised, /* see.c */
      r_limit, r_spares; /* r_spares: of emissions and tasks, by depth */
  int r_ids;          /* numbers of objects that a dump has shown */
  const void *mt[CLASS_MAX]; /* metatables, for fast checks */
  int r_class[CLASS_MAX];
  slot *slots;        /* 1 .. slot_n; see task.c */
  unsigned slot_n, slot_cap, slot_idle, slot_empty, idle_n;
  unsigned live, spawned, failed, depth; /* depth: nested emits */
  unsigned runs; /* how many have begun */
  const void *emitter; /* the one checked last; emitter.c, A1 */
  task *spare[EMIT_DEPTH];               /* light.c; by depth */
  struct emission *emissions[EMIT_DEPTH + 1]; /* emit.c; by depth */
  lua_Integer closer_seq;
  int r_ctx; /* task-locals of each slot; 0: there are none yet */
  struct testkit *kit; /* NULL until neap.test is used */
  unsigned char running, paused, stuck, shutting;
  unsigned char seeing, hooked; /* see.c: who watches, 0 is nobody */
  unsigned char signals, signal_on; /* those that are ours: bits */
  unsigned char signal_got, signal_seen, signal_last, signal_n,
      signal_raises, /* how often the hook has broken the loop */
      signal_deaf;   /* signals that nothing has answered */
  lua_State *inner; /* the coroutine that runs: a user's own, or a task's */
  uv_signal_t signal[SIGNALS]; /* signals.c, and what follows */
  struct sigaction signal_was[SIGNALS], signal_uv[SIGNALS];
  pthread_t signal_thread;
  uint64_t signal_polls;
  int64_t signal_at, signal_deaf_at;
  volatile sig_atomic_t dump_asked; /* by SIGUSR1 */
  int uv_ready;
  struct threads *threads; /* thread.c */
  struct trace *trace;     /* trace.c; NULL: none */
  struct slow *slow;       /* slow.c; kept when it is off */
  struct guest *guest;     /* guest.c; NULL: none */
};

#define rt_of_loop(l) ((rt *)(void *)(l))

static inline rt *rt_of(lua_State *L) { /* upvalue 1 of every function */
  return (rt *)lua_touserdata(L, lua_upvalueindex(1));
}
static inline task *task_of(lua_State *L) {
  return *(task **)lua_getextraspace(L);
}

#endif
