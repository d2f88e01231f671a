/*
** co.c -- tests of run/co.c: C coroutines on a loop with a virtual clock, so
** that the sleeps take no time.
*/
#include "run/co.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "turn.h"

#define MS INT64_C(1000000)

static neap_loop *open_loop(void) {
  neap_loop *l = base_alloc(sizeof *l);

  if (l == NULL || loop_init(l) < 0) abort();
  loop_use_virtual(l, 1);
  return l;
}

static void close_loop(neap_loop *l) {
  CHECK(l->counted == 0 && l->timers == 0 && l->handles == 0);
  CHECK(l->head == NULL && l->deadlines.n == 0);
  loop_fini(l);
  base_free(l);
}

typedef struct nap {
  neap_co co;
  int64_t ms;
  int i, times, ends; /* naps taken, naps to take, calls of done */
  int seen, after;    /* codes of a nap that failed and of the next */
} nap;

static void count_end(neap_co *co) { ((nap *)co)->ends++; }

static int co_nap(neap_co *co) {
  nap *f = (nap *)co;

  CO_BEGIN(co);
  for (f->i = 0; f->i < f->times; f->i++) {
    CO_AWAIT(co, co_sleep(co, f->ms * MS));
    if (co->rc < 0) break;
  }
  if (co->rc < 0) {
    f->seen = co->rc;
    CO_AWAIT(co, co_sleep(co, f->ms * MS)); /* cleaning up may wait */
    f->after = co->rc;
    CO_RETURN(co, f->seen);
  }
  CO_END(co, f->i * 10);
}

static void nap_init(neap_loop *l, nap *f, int times, int64_t ms) {
  memset(f, 0, sizeof *f);
  co_init(l, &f->co, co_nap, "nap");
  f->co.done = count_end;
  f->times = times;
  f->ms = ms;
  f->after = 1;
}

static void ends_without_waiting(void) {
  neap_loop *l = open_loop();
  nap f;

  nap_init(l, &f, 0, 0);
  CHECK(co_enter(&f.co) == 0);
  CHECK(f.co.state == CO_DONE);
  nap_init(l, &f, 0, 0);
  co_start(&f.co);
  CHECK(f.ends == 0); /* starting only queues */
  turn(l);
  CHECK(f.co.state == CO_DONE && f.ends == 1);
  close_loop(l);
}

static void keeps_its_frame(void) {
  neap_loop *l = open_loop();
  int64_t start = loop_now(l);
  nap a, b;

  nap_init(l, &a, 3, 10);
  nap_init(l, &b, 2, 40);
  co_start(&a.co);
  co_start(&b.co);
  turn(l);
  CHECK(a.co.rc == 30 && b.co.rc == 20);
  CHECK(a.ends == 1 && b.ends == 1);
  CHECK(loop_now(l) - start == 80 * MS);
  close_loop(l);
}

/* A frame that calls one of its kind, down to a depth. */
typedef struct floor_frame {
  neap_co co;
  struct floor_frame *below;
  int seen;
} floor_frame;

static int co_floor(neap_co *co) {
  floor_frame *f = (floor_frame *)co;

  CO_BEGIN(co);
  if (f->below == NULL) {
    CO_AWAIT(co, co_sleep(co, MS));
  } else {
    CO_AWAIT(co, co_call(co, &f->below->co));
  }
  f->seen = co->rc;
  if (co->rc < 0) CO_RETURN(co, co->rc);
  CO_END(co, co->rc + 2); /* never 1: that is NEAP_PENDING */
}

static void build(neap_loop *l, floor_frame *f, int n) {
  for (int i = 0; i < n; i++) {
    co_init(l, &f[i].co, co_floor, "floor");
    f[i].below = i + 1 < n ? &f[i + 1] : NULL;
    f[i].seen = 99;
  }
}

static void climbs_from_the_leaf(void) {
  enum { DEEP = 1000 };
  static floor_frame f[DEEP];
  neap_loop *l = open_loop();

  build(l, f, DEEP);
  co_start(&f[0].co);
  turn(l);
  CHECK(f[0].co.rc == 2 * DEEP);
  CHECK(f[DEEP - 1].co.rc == 2 && f[DEEP / 2].co.rc == DEEP);
  CHECK(l->switches == 2); /* the start and one wake, whatever the depth */
  close_loop(l);
}

static void cancels_a_wait(void) {
  neap_loop *l = open_loop();
  int64_t start = loop_now(l);
  nap f;

  nap_init(l, &f, 5, 10);
  co_start(&f.co);
  loop_drain(l);
  co_cancel(&f.co);
  CHECK(f.seen == 0); /* cancelling only queues */
  co_cancel(&f.co);   /* and twice is once */
  turn(l);
  CHECK(f.seen == NEAP_ECANCELED && f.co.rc == NEAP_ECANCELED);
  CHECK(f.after == 0); /* the wait of the cleaning up was a real one */
  CHECK(loop_now(l) - start == 10 * MS);
  CHECK(f.ends == 1);
  co_cancel(&f.co); /* it has ended: nothing */
  turn(l);
  CHECK(f.ends == 1);
  close_loop(l);
}

static void cancels_before_the_start(void) {
  neap_loop *l = open_loop();
  nap f;

  nap_init(l, &f, 5, 10);
  co_start(&f.co);
  co_cancel(&f.co);
  turn(l);
  CHECK(f.seen == NEAP_ECANCELED && f.i == 0 && f.after == 0);
  CHECK(f.ends == 1);
  close_loop(l);
}

static void cancels_down_to_the_leaf(void) {
  static floor_frame f[3];
  neap_loop *l = open_loop();

  build(l, f, 3);
  co_start(&f[0].co);
  loop_drain(l);
  co_cancel(&f[0].co);
  turn(l);
  for (int i = 0; i < 3; i++)
    CHECK(f[i].seen == NEAP_ECANCELED && f[i].co.rc == NEAP_ECANCELED);
  build(l, f, 3); /* the same before anything of it ran */
  co_start(&f[0].co);
  co_cancel(&f[0].co);
  turn(l);
  for (int i = 0; i < 3; i++) CHECK(f[i].seen == NEAP_ECANCELED);
  close_loop(l);
}

/* Parks on an operation of ours, to see what cancelling does to it. */
typedef struct guest {
  neap_co co;
  int answer, asked, seen;
} guest;

static int ask(neap_wait *w) {
  guest *f = container_of(w, guest, co.wait);
  f->asked++;
  return f->answer;
}

static const neap_op op_guest = {"guest", ask};
static const neap_op op_stone = {"stone", NULL};

static int co_guest(neap_co *co) {
  guest *f = (guest *)co;

  CO_BEGIN(co);
  CO_AWAIT(co, co_park(co, &op_guest));
  f->seen = co->rc;
  CO_END(co, co->rc);
}

static int co_stone(neap_co *co) {
  guest *f = (guest *)co;

  CO_BEGIN(co);
  CO_AWAIT(co, co_park(co, &op_stone));
  f->seen = co->rc;
  CO_END(co, co->rc);
}

static void asks_the_operation(void) {
  neap_loop *l = open_loop();
  guest f = {.answer = 0};

  co_init(l, &f.co, co_guest, "guest");
  co_start(&f.co);
  loop_drain(l);
  co_cancel(&f.co);
  turn(l);
  CHECK(f.asked == 1 && f.seen == NEAP_ECANCELED); /* undone: W2 */

  f = (guest){.answer = NEAP_PENDING};
  co_init(l, &f.co, co_guest, "guest");
  co_start(&f.co);
  loop_drain(l);
  co_cancel(&f.co);
  co_cancel(&f.co);
  turn(l);
  CHECK(f.asked == 1 && f.co.state == CO_PARKED); /* it goes on: W2 */
  wait_wake(&f.co.wait, 7);
  turn(l);
  CHECK(f.seen == 7);
  wait_wake(&f.co.wait, 8); /* nobody is parked: W3 */
  turn(l);
  CHECK(f.seen == 7 && l->head == NULL);

  f = (guest){.answer = 0};
  co_init(l, &f.co, co_stone, "stone");
  co_start(&f.co);
  loop_drain(l);
  co_cancel(&f.co); /* nothing can undo it */
  turn(l);
  CHECK(f.co.state == CO_PARKED);
  wait_wake(&f.co.wait, 3);
  turn(l);
  CHECK(f.seen == 3);
  close_loop(l);
}

static void aborts_when_lost(void) {
  struct rlimit none = {0, 0};
  int status = 0;
  pid_t pid = fork();

  if (pid == 0) {
    nap f;
    setrlimit(RLIMIT_CORE, &none);
    if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
    nap_init(NULL, &f, 1, 1);
    f.co.line = 1;
    co_nap(&f.co);
    _exit(0);
  }
  CHECK_OR_RETURN(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#ifdef NEAP_HOSTILE
static void sleeps_without_memory(void) {
  neap_loop *l = open_loop();
  nap f;

  for (unsigned long n = 1; n < 3; n++) {
    nap_init(l, &f, 1, 10);
    co_start(&f.co);
    base_fail_from(n);
    loop_drain(l);
    base_fail_from(0);
    turn(l);
    CHECK(n > 1 || f.seen == NEAP_ENOMEM);
    CHECK(f.co.state == CO_DONE);
  }
  close_loop(l);
}
#endif

int main(void) {
  RUN(ends_without_waiting, "co: a frame that does not wait ends at once");
  RUN(keeps_its_frame, "co: the frame survives its waits, also among others");
  RUN(climbs_from_the_leaf, "co: a wake climbs a thousand frames in a switch");
  RUN(cancels_a_wait, "co: cancelling wakes the wait, cleaning up may wait");
  RUN(cancels_before_the_start, "co: cancelled before it ran, the first wait fails");
  RUN(cancels_down_to_the_leaf, "co: cancelling reaches the innermost frame");
  RUN(asks_the_operation, "co: the abort function decides, and is asked once");
  RUN(aborts_when_lost, "co: an impossible line aborts the process");
#ifdef NEAP_HOSTILE
  RUN(sleeps_without_memory, "co: a sleep without memory is an error code");
#endif
  return check_end();
}
