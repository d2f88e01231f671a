/*
** stranger.c -- a module that somebody else could have written: built against
** include/neap.h alone, linked with nothing of neap's. docs/capi.md walks
** through it.
*/
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "neap.h"

NEAP_MODULE;

#define ERRAND "stranger.errand"
#define PIPE "stranger.pipe"
#define BELL "stranger.bell"

#define outer(p, type, member)                                                \
  ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* A box is a userdata that holds one pointer, to a body. */
static void *push_box(lua_State *L, const char *class, size_t size,
                      void (*fini)(neap_body *)) {
  void **box = lua_newuserdatauv(L, sizeof *box, 0);

  *box = NULL; /* born empty: from here on __gc can clean up */
  luaL_setmetatable(L, class);
  *box = neap_->body_new(size, fini);
  if (*box == NULL) luaL_error(L, "not enough memory");
  return *box;
}

static void *check_box(lua_State *L, const char *class) {
  return *(void **)luaL_checkudata(L, 1, class);
}

/* The only place where a box lets go of its body. Closing does not: a task
** that was woken by it has yet to read its wait record. */
static int l_box__gc(lua_State *L) {
  void **box = lua_touserdata(L, 1);
  neap_body *body = *box;

  *box = NULL;
  if (body != NULL) neap_->body_unpin(body);
  return 0;
}

static int raise_code(lua_State *L, int rc) {
  return neap_raise(L, "io", neap_->error_name(rc), neap_->error_text(rc));
}

static int64_t check_ns(lua_State *L, int arg) {
  lua_Number s = luaL_checknumber(L, arg);

  luaL_argcheck(L, s >= 0 && s < 1e6, arg, "seconds expected");
  return (int64_t)(s * 1e9);
}

/* ---- An errand: sleeps, then adds 1 to n on another thread ------------- */

typedef struct errand {
  neap_body body; /* first: the box has a pin, and what runs has one */
  neap_co co;     /* one errand ... */
  neap_co both;   /* ... and a coroutine that runs it twice */
  neap_work work;
  int64_t ns, n, sum, first;
  int steps, busy, unwound;
} errand;

static void run_sum(neap_work *w) { /* on another thread */
  errand *e = outer(w, errand, work);
  volatile int64_t sum = 0; /* so that the compiler leaves us some work */

  for (int64_t i = 1; i <= e->n; i++) sum += i;
  e->sum = sum;
}

static void on_sum_done(neap_work *w, int rc) { /* on the loop */
  errand *e = outer(w, errand, work);

  neap_wake(&e->co.wait, rc);
}

static int abort_sum(neap_wait *w) {
  errand *e = outer(w, errand, co.wait);

  neap_->work_cancel(&e->work); /* if it has not begun */
  return NEAP_PENDING;          /* on_sum_done follows in any case */
}

static const neap_op op_sum = {"errand:run", abort_sum};

static int start_sum(errand *e) {
  int rc;

  e->work.run = run_sum;
  e->work.done = on_sum_done;
  if ((rc = neap_->work_start(e->co.loop, &e->work)) < 0) return rc;
  return neap_co_park(&e->co, &op_sum);
}

static int co_errand(neap_co *co) {
  errand *e = outer(co, errand, co);

  CO_BEGIN(co);
  CO_AWAIT(co, neap_co_sleep(co, e->ns));
  if (co->rc < 0) goto unwind;
  e->steps++;
  CO_AWAIT(co, start_sum(e));
  if (co->rc < 0) goto unwind;
  e->steps++;
  CO_RETURN(co, 0);
unwind:
  e->unwound++;
  CO_END(co, co->rc);
}

static int co_both(neap_co *co) {
  errand *e = outer(co, errand, both);

  CO_BEGIN(co);
  neap_->co_init(co->loop, &e->co, co_errand, "errand");
  CO_AWAIT(co, neap_co_call(co, &e->co));
  if (co->rc < 0) CO_RETURN(co, co->rc);
  e->first = e->sum;
  neap_->co_init(co->loop, &e->co, co_errand, "errand");
  CO_AWAIT(co, neap_co_call(co, &e->co));
  e->sum += e->first;
  CO_END(co, co->rc);
}

/* The last of the errand: it needs its body no longer. */
static void let_go(errand *e) {
  e->busy = 0;
  neap_->body_unpin(&e->body);
}

static void on_errand_end(neap_co *co) { let_go(outer(co, errand, co)); }
static void on_both_end(neap_co *co) { let_go(outer(co, errand, both)); }

static int l_errand_new(lua_State *L) {
  push_box(L, ERRAND, sizeof(errand), NULL);
  return 1;
}

/* Check the arguments of an errand: seconds, n. */
static errand *check_idle(lua_State *L) {
  errand *e = check_box(L, ERRAND);
  int64_t ns = check_ns(L, 2), n = luaL_checkinteger(L, 3);

  if (e->busy) neap_raise(L, "invalid", NULL, "the errand is running");
  e->ns = ns;
  e->n = n;
  return e;
}

/* From here until `done` the errand is busy and has a pin. */
static neap_co *begin(lua_State *L, errand *e, neap_co *co,
                      int (*step)(neap_co *), void (*done)(neap_co *)) {
  e->busy = 1;
  neap_->body_pin(&e->body);
  neap_->co_init(neap_->loop(L), co, step, "errand");
  co->done = done;
  return co;
}

static int k_errand(lua_State *L, int rc, lua_KContext ctx) {
  errand *e = check_box(L, ERRAND);

  (void)ctx;
  if (rc < 0) return raise_code(L, rc);
  lua_pushinteger(L, e->sum);
  return 1;
}

/* errand:run(seconds, n): waits, then adds up 1 to n. */
static int l_errand_run(lua_State *L) {
  errand *e = check_idle(L);

  neap_enter(L, "errand:run");
  begin(L, e, &e->co, co_errand, on_errand_end);
  return neap_co_await(L, &e->co, k_errand);
}

/* errand:twice(seconds, n): the same by a coroutine that awaits another. */
static int l_errand_twice(lua_State *L) {
  errand *e = check_idle(L);

  neap_enter(L, "errand:twice");
  begin(L, e, &e->both, co_both, on_both_end);
  return neap_co_await(L, &e->both, k_errand);
}

/* errand:start(seconds, n): runs on its own; nobody waits for it. */
static int l_errand_start(lua_State *L) {
  errand *e = check_idle(L);

  neap_->co_start(begin(L, e, &e->co, co_errand, on_errand_end));
  return 0;
}

/* errand:state(): awaits that ended well, unwindings, whether it runs. */
static int l_errand_state(lua_State *L) {
  errand *e = check_box(L, ERRAND);

  lua_pushinteger(L, e->steps);
  lua_pushinteger(L, e->unwound);
  lua_pushboolean(L, e->busy);
  return 3;
}

/* ---- A pipe: readiness of a descriptor ---------------------------------- */

typedef struct pipes {
  neap_body body;
  neap_wait wait; /* the one reader */
  neap_watch *watch; /* NULL when closed */
  int in, out;
} pipes;

static void pipes_close(pipes *p) {
  neap_->watch_close(p->watch);
  p->watch = NULL;
  close(p->in);
  close(p->out);
  neap_wake(&p->wait, NEAP_ECLOSED); /* nothing, if nobody is parked */
}

static void on_pipe_ready(neap_watch *w, int status, int events, void *arg) {
  pipes *p = arg;

  (void)events;
  neap_->watch_set(w, 0, 0);
  neap_wake(&p->wait, status);
}

static int abort_read(neap_wait *w) {
  neap_->watch_set(outer(w, pipes, wait)->watch, 0, 0);
  return 0; /* undone */
}

static const neap_op op_read = {"pipe:read", abort_read};

static void fini_pipes(neap_body *body) {
  pipes *p = outer(body, pipes, body);

  if (p->watch != NULL) pipes_close(p);
}

static int l_pipe_new(lua_State *L) {
  pipes *p = push_box(L, PIPE, sizeof *p, fini_pipes);
  int fd[2], rc;

  if (pipe(fd) < 0) return raise_code(L, -errno);
  fcntl(fd[0], F_SETFL, O_NONBLOCK);
  p->watch = neap_->watch_open(neap_->loop(L), fd[0], on_pipe_ready, p, &rc);
  if (p->watch == NULL) {
    close(fd[0]);
    close(fd[1]);
    return raise_code(L, rc);
  }
  p->in = fd[0];
  p->out = fd[1];
  return 1;
}

static pipes *check_open(lua_State *L) {
  pipes *p = check_box(L, PIPE);

  if (p->watch == NULL) neap_raise(L, "closed", NULL, "the pipe is closed");
  return p;
}

/* Push what is there, or wait until there is something. */
static int k_pipe_read(lua_State *L, int rc, lua_KContext ctx) {
  pipes *p = check_open(L); /* it may have been closed meanwhile */
  char data[512];
  ssize_t n;

  (void)ctx;
  if (rc < 0) return raise_code(L, rc);
  n = read(p->in, data, sizeof data);
  if (n >= 0) {
    lua_pushlstring(L, data, (size_t)n);
    return neap_finish(L, 1);
  }
  if (errno != EAGAIN) return raise_code(L, -errno);
  rc = neap_->watch_set(p->watch, NEAP_READABLE, NEAP_COUNTED);
  if (rc < 0) return raise_code(L, rc);
  p->wait.op = &op_read;
  return neap_park(L, &p->wait, k_pipe_read);
}

/* pipe:read(): waits; some bytes, "" at the end. */
static int l_pipe_read(lua_State *L) {
  pipes *p = check_open(L);

  if (p->wait.who != NULL)
    return neap_raise(L, "invalid", NULL, "somebody reads it already");
  neap_enter(L, "pipe:read");
  return k_pipe_read(L, 0, 0);
}

static int l_pipe_write(lua_State *L) {
  pipes *p = check_open(L);
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);

  if (write(p->out, data, len) < 0) return raise_code(L, -errno);
  return 0;
}

static int l_pipe_close(lua_State *L) {
  pipes *p = check_box(L, PIPE);

  if (p->watch != NULL) pipes_close(p);
  return 0;
}

/* ---- A bell: another thread wakes a task --------------------------------- */

typedef struct bell {
  neap_body body;
  neap_wait wait;
  neap_post *post;
  pthread_t thread;
  int64_t ns;
  int ringing, rings;
} bell;

static void *ring(void *arg) { /* a thread that neap knows nothing of */
  bell *b = arg;
  struct timespec t = {(time_t)(b->ns / 1000000000), (long)(b->ns % 1000000000)};

  nanosleep(&t, NULL);
  neap_->post_send(b->post);
  return NULL;
}

static void on_ring(neap_post *p, void *arg) { /* on the loop */
  bell *b = arg;

  (void)p;
  pthread_join(b->thread, NULL);
  b->ringing = 0;
  b->rings++;
  neap_wake(&b->wait, 0);
}

/* A thread cannot be undone: the task is woken when it rings. */
static const neap_op op_bell = {"bell:wait", NULL};

static void fini_bell(neap_body *body) {
  bell *b = outer(body, bell, body);

  if (b->ringing) pthread_join(b->thread, NULL);
  if (b->post != NULL) neap_->post_close(b->post);
}

static int l_bell_new(lua_State *L) {
  bell *b = push_box(L, BELL, sizeof *b, fini_bell);

  b->post = neap_->post_open(neap_->loop(L), on_ring, b);
  if (b->post == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

static int k_bell_wait(lua_State *L, int rc, lua_KContext ctx) {
  bell *b = check_box(L, BELL);

  (void)rc, (void)ctx;
  lua_pushinteger(L, b->rings);
  return 1;
}

/* bell:wait(seconds): waits for the thread; how often it has rung. */
static int l_bell_wait(lua_State *L) {
  bell *b = check_box(L, BELL);
  int64_t ns = check_ns(L, 2);

  if (b->ringing) return neap_raise(L, "invalid", NULL, "it rings already");
  neap_enter(L, "bell:wait");
  b->ns = ns;
  if (pthread_create(&b->thread, NULL, ring, b) != 0)
    return raise_code(L, -EAGAIN);
  b->ringing = 1;
  b->wait.op = &op_bell;
  b->wait.flags = NEAP_COUNTED; /* while parked, the loop has a reason */
  return neap_park(L, &b->wait, k_bell_wait);
}

/* ---- Functions ------------------------------------------------------------ */

/* stranger.spawn(fn, ...): a child of the calling task, started from C. */
static int l_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  neap_->spawn(L, lua_gettop(L) - 1, 0);
  return 1;
}

/* stranger.fail(code, message): raises a fault of kind "broken". */
static int l_fail(lua_State *L) {
  const char *code = luaL_optstring(L, 1, NULL);
  return neap_raise(L, "broken", code, luaL_checkstring(L, 2));
}

/* stranger.left(): seconds to the caller's deadline; nothing without one. */
static int l_left(lua_State *L) {
  int64_t when = neap_->deadline(L);

  if (when == INT64_MAX) return 0;
  lua_pushnumber(L, (double)(when - neap_->now(neap_->loop(L))) / 1e9);
  return 1;
}

/* stranger.null(): the null of all modules. */
static int l_null(lua_State *L) {
  neap_->push_null(L);
  return 1;
}

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods,
                      lua_CFunction close_it) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_box__gc);
  lua_setfield(L, -2, "__gc");
  if (close_it != NULL) {
    lua_pushcfunction(L, close_it);
    lua_setfield(L, -2, "__close");
  }
  lua_pop(L, 1);
}

NEAP_EXPORT int luaopen_stranger(lua_State *L);

int luaopen_stranger(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"errand", l_errand_new}, {"pipe", l_pipe_new}, {"bell", l_bell_new},
      {"spawn", l_spawn},       {"fail", l_fail},     {"left", l_left},
      {"null", l_null},         {NULL, NULL}};
  static const luaL_Reg errand_methods[] = {{"run", l_errand_run},
                                            {"twice", l_errand_twice},
                                            {"start", l_errand_start},
                                            {"state", l_errand_state},
                                            {NULL, NULL}};
  static const luaL_Reg pipe_methods[] = {{"read", l_pipe_read},
                                          {"write", l_pipe_write},
                                          {"close", l_pipe_close},
                                          {NULL, NULL}};
  static const luaL_Reg bell_methods[] = {{"wait", l_bell_wait}, {NULL, NULL}};

  neap_import(L);
  new_class(L, ERRAND, errand_methods, NULL);
  new_class(L, PIPE, pipe_methods, l_pipe_close);
  new_class(L, BELL, bell_methods, NULL);
  luaL_newlib(L, functions);
  return 1;
}
