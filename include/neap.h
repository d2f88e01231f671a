/*
** neap.h -- the C API. The one header that a driver or a stranger's module
** includes. Nothing is linked: neap_import() finds the running core through
** Lua and fetches one table of functions. The table only grows at its end.
*/
#ifndef neap_h
#define neap_h

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#define NEAP_API_VERSION 1u
#define NEAP_CAPSULE "neap.capi.1" /* metatable name: carries the ABI */

#if defined(__GNUC__)
#define NEAP_FALLTHROUGH __attribute__((fallthrough))
#define NEAP_EXPORT __attribute__((visibility("default")))
#define NEAP_NORETURN __attribute__((noreturn))
#else
#define NEAP_FALLTHROUGH ((void)0)
#define NEAP_EXPORT
#define NEAP_NORETURN
#endif

/* Results. 0 is success, failures are negated errno values (libuv's codes
** pass through unchanged), NEAP_PENDING says "not yet, I shall wake you". */
#define NEAP_PENDING (1 << 30) /* no count or flag looks like it */
#define NEAP_ECANCELED (-ECANCELED)
#define NEAP_ETIMEDOUT (-ETIMEDOUT)
#define NEAP_ENOMEM (-ENOMEM)
#define NEAP_EINVAL (-EINVAL)
#define NEAP_ECLOSED (-10001) /* the object was closed meanwhile */

/* Flags of watches, timers, and waits (DESIGN decision 21). */
#define NEAP_COUNTED 1u /* somebody waits for it: the loop is alive */

/* Events of a watch. */
#define NEAP_READABLE 1
#define NEAP_WRITABLE 2

typedef struct neap_loop neap_loop; /* the core of one Lua state; opaque */
typedef struct neap_wait neap_wait;
typedef struct neap_co neap_co;
typedef struct neap_body neap_body;
typedef struct neap_timer neap_timer;
typedef struct neap_watch neap_watch; /* opaque */
typedef struct neap_work neap_work;
typedef struct neap_resolve neap_resolve;
typedef struct neap_post neap_post; /* opaque */
typedef struct neap_process neap_process;
typedef struct neap_stream neap_stream; /* opaque */
struct addrinfo;
struct sockaddr;

/*
** Waiting. A wait record stands for one waiter at one operation. Embed it in
** the operation's own object; it must stay where it is while somebody is
** parked on it. Whoever finishes the work calls neap_wake(), which only
** appends to the ready queue.
**
** W1  A waiter is parked on at most one record.
** W2  abort() is called at most once per park, when the waiter is cancelled.
**     It returns 0 when the operation is undone (wake must not follow; the
**     waiter unwinds; the record is not looked at any more), or NEAP_PENDING
**     when it cannot be undone (wake will follow, later, and the waiter gets
**     that result). It must not touch Lua, and not call wake itself.
** W3  neap_wake() on a record on which nobody is parked does nothing.
*/
typedef struct neap_op {
  const char *name;            /* as the user says it: "db:query" */
  int (*abort)(neap_wait *w);  /* NULL: cannot be undone */
} neap_op;

struct neap_wait {
  neap_wait *prev, *next; /* yours: a queue of waiters, NULL when in none */
  void *who;              /* core: who is parked here, or NULL */
  const neap_op *op;      /* set it before parking */
  lua_KFunction k;        /* core */
  int rc;                 /* what neap_wake() was given */
  unsigned flags;         /* NEAP_COUNTED: pending I/O while parked */
};

/*
** C coroutines: a frame on the heap whose first member is a neap_co, and a
** step function that is entered again and again; the resume point is the
** source line. All that must survive an await lives in the frame. No switch
** statement round an await, one await a line.
**
**   static int co_hello(neap_co *co) {
**     hello *f = (hello *)co;
**     CO_BEGIN(co);
**     CO_AWAIT(co, neap_co_sleep(co, 5000000));
**     if (co->rc < 0) CO_RETURN(co, co->rc);
**     CO_END(co, 0);
**   }
**
** Cancelling a coroutine wakes what it waits for with NEAP_ECANCELED; the
** body sees it as any other code and unwinds. Awaits after that, in cleaning
** up, work normally.
*/
struct neap_co {
  void *ready_next; /* core: the ready queue */
  unsigned char kind, state, cancelled;
  unsigned char housekeeping; /* set before start: its sleeps do not count */
  int line;
  int rc; /* result of the last await; at the end of the whole */
  int (*step)(neap_co *co);
  void (*done)(neap_co *co); /* called once when it has ended, or NULL */
  neap_loop *loop;
  neap_co *parent, *child;
  neap_wait wait;   /* what this frame is parked on */
  neap_wait joiner; /* the task that awaits this frame */
  lua_KFunction joiner_k;
  const char *file, *name;
};

#define CO_BEGIN(co)                                                          \
  (co)->file = __FILE__;                                                      \
  switch ((co)->line) {                                                       \
  default: neap_co_lost(co);                                                  \
  case 0:

#define CO_AWAIT(co, start)                                                   \
  do {                                                                        \
    (co)->line = __LINE__;                                                    \
    if (((co)->rc = (start)) == NEAP_PENDING) return NEAP_PENDING;            \
    NEAP_FALLTHROUGH;                                                         \
  case __LINE__:;                                                             \
  } while (0)

#define CO_RETURN(co, v) return (co)->line = -1, (co)->rc = (v)
#define CO_END(co, v)                                                         \
  }                                                                           \
  return (co)->line = -1, (co)->rc = (v)

/*
** Bodies: memory that the loop may still write to after Lua has let go. A
** Lua userdata (the box) holds one pointer and one pin; the last unpin calls
** fini and frees. First member of your struct.
*/
struct neap_body {
  unsigned pins;
  void (*fini)(neap_body *body); /* release what it holds; not itself */
};

/* A deadline. Embed it; zero it before first use. fire() runs on the loop,
** without Lua, once per start. Times are those of neap_now(), in ns. */
struct neap_timer {
  unsigned pos; /* core: its number in the heap plus one, 0 when stopped */
  unsigned flags;
  void (*fire)(neap_timer *t);
};

typedef void (*neap_watch_fn)(neap_watch *w, int status, int events, void *arg);
typedef void (*neap_post_fn)(neap_post *p, void *arg);

/* A function on the thread pool. run() is called on another thread; done() on
** the loop afterwards, rc is NEAP_ECANCELED if it never ran. The struct must
** live until done(). */
struct neap_work {
  void (*run)(neap_work *w);
  void (*done)(neap_work *w, int rc);
  void *request; /* core */
};

/* Name resolution. done() gets 0 and a list owned by the callee (free it with
** neap_resolve_free) or a negative code; neap_resolve_error() has the text. */
struct neap_resolve {
  void (*done)(neap_resolve *r, int rc, struct addrinfo *list);
  void *request; /* core */
};

/* A child process. NULL paths inherit nothing (/dev/null). uid and gid below
** zero mean "as we are". exited() runs on the loop. */
struct neap_process {
  const char *file;
  char **args; /* args[0] is the name; NULL ends */
  char **env;  /* NULL: inherit */
  const char *cwd;
  const char *out_path; /* stdout and stderr are appended to this file */
  long uid, gid;
  void (*exited)(neap_process *p, int64_t status, int signal);
  int pid;
  void *request; /* core */
};

typedef struct neap_api {
  unsigned size; /* of the running core's table, in bytes */
  unsigned version;

  /* The loop of this Lua state. Raises nothing. */
  neap_loop *(*loop)(lua_State *L);
  int64_t (*now)(neap_loop *loop); /* ns; stands still on a virtual clock */

  /* Waiting, from a C function called by Lua in a task.
  ** enter: raises if this call cannot wait here (names `what` and says why)
  **   or if the task is cancelled. Call it before acquiring anything.
  ** park: suspends; use as `return neap_park(L, w, k)`. w->op must be set.
  **   k(L, w->rc, (lua_KContext)w) runs in the task when woken; when the
  **   task was cancelled k is not called and the cancellation is raised.
  ** finish: use as `return neap_finish(L, n)` when an operation completed
  **   without waiting: returns n results, after a turn of the ready queue
  **   if the task has spent its budget. */
  void (*enter)(lua_State *L, const char *what);
  int (*park)(lua_State *L, neap_wait *w, lua_KFunction k);
  void (*wake)(neap_wait *w, int rc);
  int (*finish)(lua_State *L, int nresults);
  int64_t (*deadline)(lua_State *L); /* effective, or INT64_MAX */
  int (*in_task)(lua_State *L);

  /* C coroutines.
  ** co_init: before any of the others. co_call: await a child coroutine from
  **   a coroutine, inside CO_AWAIT. co_start: run it on its own.
  ** co_await: from Lua, as `return neap_co_await(L, co, k)`; k(L, co->rc,
  **   (lua_KContext)co). The frame must outlive the wait: a body, boxed.
  ** co_park: inside CO_AWAIT, park on co->wait with op; wake it by neap_wake.
  ** co_sleep: inside CO_AWAIT; waits ns. co_cancel: ask it to unwind. */
  void (*co_init)(neap_loop *loop, neap_co *co, int (*step)(neap_co *),
                  const char *name);
  int (*co_call)(neap_co *co, neap_co *child);
  void (*co_start)(neap_co *co);
  int (*co_await)(lua_State *L, neap_co *co, lua_KFunction k);
  int (*co_park)(neap_co *co, const neap_op *op);
  int (*co_sleep)(neap_co *co, int64_t ns);
  void (*co_cancel)(neap_co *co);

  /* Bodies. new: zeroed, one pin; NULL when out of memory. */
  void *(*body_new)(size_t size, void (*fini)(neap_body *));
  void (*body_pin)(neap_body *body);
  void (*body_unpin)(neap_body *body);

  /* Timers. start replaces an earlier start. Allocates: may fail. */
  int (*timer_start)(neap_loop *loop, neap_timer *t, int64_t when);
  void (*timer_stop)(neap_loop *loop, neap_timer *t);

  /* Readiness of a descriptor that somebody else owns. set(0) stops. close:
  ** no callback follows; the descriptor may be closed right after. */
  neap_watch *(*watch_open)(neap_loop *loop, int fd, neap_watch_fn fn,
                            void *arg, int *rc);
  int (*watch_set)(neap_watch *w, int events, unsigned flags);
  void (*watch_close)(neap_watch *w);

  /* Thread pool, names, wake-ups from other threads, processes. All start
  ** functions return 0 or a negative code, and then nothing was started. */
  int (*work_start)(neap_loop *loop, neap_work *w);
  int (*work_cancel)(neap_work *w); /* 0: done(NEAP_ECANCELED) follows */
  int (*resolve_start)(neap_loop *loop, neap_resolve *r, const char *host,
                       const char *service);
  void (*resolve_cancel)(neap_resolve *r); /* done() follows in any case */
  void (*resolve_free)(struct addrinfo *list);
  neap_post *(*post_open)(neap_loop *loop, neap_post_fn fn, void *arg);
  void (*post_send)(neap_post *p); /* from any thread; sends may coalesce */
  void (*post_close)(neap_post *p);
  int (*process_start)(neap_loop *loop, neap_process *p);
  int (*process_kill)(neap_process *p, int signal);
  const char *(*error_name)(int rc); /* "ECONNREFUSED" */
  const char *(*error_text)(int rc);

  /* Faults. push: a fault table {kind, code, message}; code may be NULL.
  ** raise: the same, raised with a traceback; never returns. */
  void (*fault_push)(lua_State *L, const char *kind, const char *code,
                     const char *message);
  int (*fault_raise)(lua_State *L); /* raises the fault on top */
  void (*report)(lua_State *L, const char *what); /* error on top -> on_error */

  /* Spawning: function and nargs arguments are popped, the task handle is
  ** pushed. background: owned by the run (needs one). */
  void (*spawn)(lua_State *L, int nargs, int background);

  /* Values that all modules share. */
  void (*push_null)(lua_State *L); /* DESIGN decision 24 */
  int (*is_null)(lua_State *L, int idx);

  /* Streams: sockets of type SOCK_STREAM. Those with a `co` stand inside
  ** CO_AWAIT; one reads or accepts and one writes or connects at a time (or
  ** -EBUSY). What is cancelled has been undone, but a write may have sent a
  ** part.
  ** open: takes a descriptor over; NULL and a code, and it is yours as before.
  ** listen: a stream that accepts. connect, accept: *made is the new stream
  **   or NULL; of a failed connect it is to be closed as well.
  ** read: the number of bytes, 0 at the end. write: 0 when all is written.
  ** shutdown: the other side reads the end. close: whoever waits gets
  **   NEAP_ECLOSED; the descriptor is closed; NULL is allowed. */
  neap_stream *(*stream_open)(neap_loop *loop, int fd, int *rc);
  neap_stream *(*stream_listen)(neap_loop *loop, const struct sockaddr *address,
                                size_t len, int *rc);
  int (*stream_connect)(neap_co *co, neap_stream **made,
                        const struct sockaddr *address, size_t len);
  int (*stream_accept)(neap_co *co, neap_stream *s, neap_stream **made);
  int (*stream_read)(neap_co *co, neap_stream *s, void *data, size_t size);
  int (*stream_write)(neap_co *co, neap_stream *s, const void *data,
                      size_t size);
  int (*stream_shutdown)(neap_stream *s);
  void (*stream_close)(neap_stream *s);

  /* Debug mode; nothing happens without it. born: the object at idx has been
  ** made here. leaked: it is collected although it was open (its __gc): report
  ** that, with the place. Raise nothing. */
  void (*born)(lua_State *L, int idx);
  void (*leaked)(lua_State *L, int idx, const char *what);
  /* since version 1 -- append only */
} neap_api;

/* Put NEAP_MODULE; in exactly one .c file of a module. */
#if defined(NEAP_CORE)
#define NEAP_HIDDEN
#elif defined(__GNUC__)
#define NEAP_HIDDEN __attribute__((visibility("hidden")))
#else
#define NEAP_HIDDEN
#endif
extern NEAP_HIDDEN const neap_api *neap_;
#define NEAP_MODULE const neap_api *neap_

#define neap_has(slot)                                                        \
  (neap_->size >= offsetof(neap_api, slot) + sizeof neap_->slot)

/* First line of luaopen_x. Raises one clear sentence when it does not fit. */
static inline void neap_import(lua_State *L) {
  const neap_api *const *box;

  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.core");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "_capi");
  box = (const neap_api *const *)luaL_testudata(L, -1, NEAP_CAPSULE);
  if (box == NULL)
    luaL_error(L, "this module needs a neap core with C API %s; "
                  "the one that is loaded speaks another", NEAP_CAPSULE);
  if ((*box)->size < sizeof(neap_api))
    luaL_error(L, "this module was built for a newer neap (its C API has %d "
                  "bytes, the loaded core's has %d); update neap",
               (int)sizeof(neap_api), (int)(*box)->size);
  neap_ = *box;
  lua_pop(L, 2);
}

/* An await inside a nested switch resumes at a line the outer switch lacks. */
NEAP_NORETURN static inline void neap_co_lost(const neap_co *co) {
  fprintf(stderr, "neap: %s: coroutine %s lost at line %d\n",
          co->file ? co->file : "?", co->name ? co->name : "?", co->line);
  abort();
}

#define neap_co_sleep(co, ns) neap_->co_sleep(co, ns)
#define neap_co_park(co, op) neap_->co_park(co, op)
#define neap_co_call(co, child) neap_->co_call(co, child)

static inline void neap_wake(neap_wait *w, int rc) { neap_->wake(w, rc); }
static inline int neap_park(lua_State *L, neap_wait *w, lua_KFunction k) {
  return neap_->park(L, w, k);
}
static inline int neap_finish(lua_State *L, int n) {
  return neap_->finish(L, n);
}
static inline void neap_enter(lua_State *L, const char *what) {
  neap_->enter(L, what);
}
static inline int neap_co_await(lua_State *L, neap_co *co, lua_KFunction k) {
  return neap_->co_await(L, co, k);
}

/* Raise a fault of `kind`; code may be NULL. Never returns. */
static inline int neap_raise(lua_State *L, const char *kind, const char *code,
                             const char *message) {
  neap_->fault_push(L, kind, code, message);
  return neap_->fault_raise(L);
}

#endif
