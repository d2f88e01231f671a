/*
** stranger.c -- a module that somebody else could have written: built against
** include/neap.h alone, linked with nothing of neap's. docs/capi.md walks
** through it.
*/
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "neap.h"

NEAP_MODULE;

#define ERRAND "stranger.errand"
#define PIPE "stranger.pipe"
#define BELL "stranger.bell"

#define outer(p, type, member)                                                \
  ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* A box is a userdata that holds one pointer; NULL is closed. */
static void **push_box(lua_State *L, const char *class) {
  void **box = lua_newuserdatauv(L, sizeof *box, 0);

  *box = NULL; /* born closed: from here on __gc can clean up */
  luaL_setmetatable(L, class);
  return box;
}

static void *check_box(lua_State *L, const char *class) {
  void **box = luaL_checkudata(L, 1, class);

  if (*box == NULL) neap_raise(L, "closed", NULL, "it is closed");
  return *box;
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
  neap_body body; /* first: the box and the thread pool each have a pin */
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
  neap_->body_unpin(&e->body);
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
  neap_->body_pin(&e->body);
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

static void on_errand_end(neap_co *co) { outer(co, errand, co)->busy = 0; }
static void on_both_end(neap_co *co) { outer(co, errand, both)->busy = 0; }

static int l_errand_new(lua_State *L) {
  void **box = push_box(L, ERRAND);

  *box = neap_->body_new(sizeof(errand), NULL);
  if (*box == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

static int k_errand(lua_State *L, int rc, lua_KContext ctx) {
  errand *e = *(void **)lua_touserdata(L, 1);

  (void)ctx;
  if (rc < 0) return raise_code(L, rc);
  lua_pushinteger(L, e->sum);
  return 1;
}

/* errand:run(seconds, n): waits, then adds up 1 to n. */
static int l_errand_run(lua_State *L) {
  errand *e = check_box(L, ERRAND);
  int64_t ns = check_ns(L, 2), n = luaL_checkinteger(L, 3);

  if (e->busy) return neap_raise(L, "invalid", NULL, "the errand is running");
  neap_enter(L, "errand:run");
  e->ns = ns;
  e->n = n;
  e->busy = 1;
  neap_->co_init(neap_->loop(L), &e->co, co_errand, "errand");
  e->co.done = on_errand_end;
  return neap_co_await(L, &e->co, k_errand);
}

/* errand:twice(seconds, n): the same by a coroutine that awaits another. */
static int l_errand_twice(lua_State *L) {
  errand *e = check_box(L, ERRAND);
  int64_t ns = check_ns(L, 2), n = luaL_checkinteger(L, 3);

  if (e->busy) return neap_raise(L, "invalid", NULL, "the errand is running");
  neap_enter(L, "errand:twice");
  e->ns = ns;
  e->n = n;
  e->busy = 1;
  neap_->co_init(neap_->loop(L), &e->both, co_both, "both");
  e->both.done = on_both_end;
  return neap_co_await(L, &e->both, k_errand);
}

/* errand:state(): awaits that ended well, unwindings, whether it runs. */
static int l_errand_state(lua_State *L) {
  errand *e = check_box(L, ERRAND);

  lua_pushinteger(L, e->steps);
  lua_pushinteger(L, e->unwound);
  lua_pushboolean(L, e->busy);
  return 3;
}

static int l_errand__gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, ERRAND);
  errand *e = *box;

  *box = NULL;
  if (e != NULL) neap_->body_unpin(&e->body);
  return 0;
}

/* ---- A pipe: readiness of a descriptor ---------------------------------- */

typedef struct pipes {
  neap_body body;
  neap_wait wait; /* the one reader */
  neap_watch *watch;
  int in, out;
} pipes;

static void pipes_close(pipes *p) {
  if (p->watch != NULL) neap_->watch_close(p->watch);
  if (p->in >= 0) close(p->in);
  if (p->out >= 0) close(p->out);
  p->watch = NULL;
  p->in = p->out = -1;
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

static int l_pipe_new(lua_State *L) {
  void **box = push_box(L, PIPE);
  pipes *p = neap_->body_new(sizeof *p, NULL);
  int fd[2], rc;

  if (p == NULL) return luaL_error(L, "not enough memory");
  *box = p;
  p->in = p->out = -1;
  if (pipe(fd) < 0) return raise_code(L, -errno);
  p->in = fd[0];
  p->out = fd[1];
  fcntl(p->in, F_SETFL, O_NONBLOCK);
  p->watch = neap_->watch_open(neap_->loop(L), p->in, on_pipe_ready, p, &rc);
  if (p->watch == NULL) return raise_code(L, rc);
  return 1;
}

/* Push what is there, or wait until there is something. */
static int k_pipe_read(lua_State *L, int rc, lua_KContext ctx) {
  pipes *p = *(void **)lua_touserdata(L, 1);
  char data[512];
  ssize_t n;

  (void)ctx;
  if (rc == NEAP_ECLOSED) return neap_raise(L, "closed", NULL, "it was closed");
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
  pipes *p = check_box(L, PIPE);

  if (p->wait.who != NULL)
    return neap_raise(L, "invalid", NULL, "somebody reads it already");
  neap_enter(L, "pipe:read");
  return k_pipe_read(L, 0, 0);
}

static int l_pipe_write(lua_State *L) {
  pipes *p = check_box(L, PIPE);
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);

  if (write(p->out, data, len) < 0) return raise_code(L, -errno);
  return 0;
}

static int l_pipe__gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, PIPE);
  pipes *p = *box;

  *box = NULL;
  if (p == NULL) return 0;
  pipes_close(p);
  neap_->body_unpin(&p->body);
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

static int l_bell_new(lua_State *L) {
  void **box = push_box(L, BELL);
  bell *b = neap_->body_new(sizeof *b, NULL);

  if (b == NULL) return luaL_error(L, "not enough memory");
  *box = b;
  b->post = neap_->post_open(neap_->loop(L), on_ring, b);
  if (b->post == NULL) return luaL_error(L, "not enough memory");
  return 1;
}

static int k_bell_wait(lua_State *L, int rc, lua_KContext ctx) {
  bell *b = *(void **)lua_touserdata(L, 1);

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

static int l_bell__gc(lua_State *L) {
  void **box = luaL_checkudata(L, 1, BELL);
  bell *b = *box;

  *box = NULL;
  if (b == NULL) return 0;
  if (b->ringing) pthread_join(b->thread, NULL);
  if (b->post != NULL) neap_->post_close(b->post);
  neap_->body_unpin(&b->body);
  return 0;
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
  lua_pushcfunction(L, close_it);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close_it);
  lua_setfield(L, -2, "__close");
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
                                            {"state", l_errand_state},
                                            {"close", l_errand__gc},
                                            {NULL, NULL}};
  static const luaL_Reg pipe_methods[] = {{"read", l_pipe_read},
                                          {"write", l_pipe_write},
                                          {"close", l_pipe__gc},
                                          {NULL, NULL}};
  static const luaL_Reg bell_methods[] = {
      {"wait", l_bell_wait}, {"close", l_bell__gc}, {NULL, NULL}};

  neap_import(L);
  new_class(L, ERRAND, errand_methods, l_errand__gc);
  new_class(L, PIPE, pipe_methods, l_pipe__gc);
  new_class(L, BELL, bell_methods, l_bell__gc);
  luaL_newlib(L, functions);
  return 1;
}
