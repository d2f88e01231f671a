/*
** loop.c -- tests of the rest of the run room: deadlines, readiness, threads,
** names, processes, and the end of a loop. Real time, but little of it.
*/
#include "run/loop.h"

#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "run/body.h"
#include "run/process.h"
#include "run/watch.h"
#include "run/work.h"
#include "turn.h"

#define MS INT64_C(1000000)

static neap_loop *open_loop(int is_virtual) {
  neap_loop *l = base_alloc(sizeof *l);

  if (l == NULL || loop_init(l) < 0) abort();
  loop_use_virtual(l, is_virtual);
  return l;
}

static void close_loop(neap_loop *l) {
  loop_fini(l);
  base_free(l);
}

typedef struct alarm_clock {
  neap_timer timer;
  neap_loop *loop;
  char *trail;
  char name;
  int again; /* start it once more when it fires */
} alarm_clock;

static void on_alarm(neap_timer *t) {
  alarm_clock *a = container_of(t, alarm_clock, timer);
  char mark[2] = {a->name, '\0'};

  strcat(a->trail, mark);
  if (a->again-- > 0) timer_start(a->loop, t, loop_now(a->loop));
}

static void fires_in_order(void) {
  static const int64_t when_ms[] = {30, 10, 20, 10};
  neap_loop *l = open_loop(1);
  char trail[32] = "";
  alarm_clock a[countof(when_ms)];
  int64_t start = loop_now(l);

  memset(a, 0, sizeof a);
  for (size_t i = 0; i < countof(a); i++) {
    a[i].timer.fire = on_alarm;
    a[i].timer.flags = NEAP_COUNTED;
    a[i].loop = l;
    a[i].trail = trail;
    a[i].name = (char)('a' + i);
    CHECK(timer_start(l, &a[i].timer, start + when_ms[i] * MS) == 0);
  }
  timer_stop(l, &a[2].timer);
  timer_stop(l, &a[2].timer);
  CHECK(timer_start(l, &a[1].timer, start + 40 * MS) == 0); /* replaces */
  CHECK(l->timers == 3);
  turn(l);
  CHECK(strcmp(trail, "dab") == 0);
  CHECK(loop_now(l) - start == 40 * MS && l->timers == 0);
  close_loop(l);
}

static void gives_others_a_turn(void) {
  neap_loop *l = open_loop(1);
  char trail[32] = "";
  alarm_clock a = {.trail = trail, .name = 'x', .again = 3};

  a.loop = l;
  a.timer.fire = on_alarm;
  a.timer.flags = NEAP_COUNTED;
  CHECK(timer_start(l, &a.timer, loop_now(l)) == 0);
  loop_poll(l);
  CHECK(strlen(trail) >= 1 && strlen(trail) <= 2); /* not for ever */
  turn(l);
  CHECK(strcmp(trail, "xxxx") == 0);
  close_loop(l);
}

static void does_not_wait_for_housekeeping(void) {
  neap_loop *l = open_loop(0);
  char trail[32] = "";
  alarm_clock a = {.trail = trail, .name = 'x'};
  int64_t start = loop_now(l);

  a.loop = l;
  a.timer.fire = on_alarm;
  CHECK(timer_start(l, &a.timer, start + 60000 * MS) == 0);
  CHECK(loop_poll(l) == 0); /* R4 */
  CHECK(loop_now(l) - start < 1000 * MS);
  timer_stop(l, &a.timer);
  close_loop(l);
}

static void sleeps_in_real_time(void) {
  neap_loop *l = open_loop(0);
  char trail[32] = "";
  alarm_clock a = {.trail = trail, .name = 'x'};
  int64_t start = loop_now(l);

  a.loop = l;
  a.timer.fire = on_alarm;
  a.timer.flags = NEAP_COUNTED;
  CHECK(timer_start(l, &a.timer, start + 30 * MS) == 0);
  turn(l);
  CHECK(strcmp(trail, "x") == 0);
  CHECK(loop_now(l) - start >= 30 * MS); /* never early */
  close_loop(l);
}

typedef struct ear {
  neap_watch *watch;
  int fd, events, calls;
  char heard[16];
} ear;

static void on_ear(neap_watch *w, int status, int events, void *arg) {
  ear *e = arg;
  ssize_t n = read(e->fd, e->heard, sizeof e->heard - 1);

  CHECK(status == 0 && w == e->watch);
  e->events = events;
  e->calls++;
  if (n > 0) e->heard[n] = '\0';
  watch_set(w, 0, 0);
}

static void watches_a_pipe(void) {
  neap_loop *l = open_loop(0);
  ear e = {0};
  int fd[2], rc = 1;

  CHECK_OR_RETURN(pipe(fd) == 0);
  e.fd = fd[0];
  e.watch = watch_open(l, fd[0], on_ear, &e, &rc);
  CHECK_OR_RETURN(e.watch != NULL && rc == 0);
  CHECK(l->counted == 0);
  CHECK(watch_set(e.watch, NEAP_READABLE, NEAP_COUNTED) == 0);
  CHECK(l->counted == 1);
  CHECK(write(fd[1], "hello", 5) == 5);
  turn(l);
  CHECK(e.calls == 1 && e.events == NEAP_READABLE);
  CHECK(strcmp(e.heard, "hello") == 0);
  CHECK(l->counted == 0);
  CHECK(watch_set(e.watch, NEAP_READABLE, NEAP_COUNTED) == 0);
  watch_close(e.watch); /* in the middle of watching */
  close(fd[0]);         /* at once: neap.h allows it */
  CHECK(l->counted == 0 && l->handles == 0);
  turn(l);
  CHECK(e.calls == 1);
  close(fd[1]);
  close_loop(l);
}

static void refuses_a_bad_descriptor(void) {
  neap_loop *l = open_loop(0);
  int rc = 0;

  CHECK(watch_open(l, -1, on_ear, NULL, &rc) == NULL);
  CHECK(rc < 0 && rc != NEAP_ENOMEM);
  CHECK(l->handles == 0);
  close_loop(l);
}

typedef struct chore {
  neap_work work;
  pthread_t thread;
  int sum, rc, ends;
} chore;

static void run_chore(neap_work *w) {
  chore *c = container_of(w, chore, work);
  c->thread = pthread_self();
  for (int i = 1; i <= 100; i++) c->sum += i;
}

static void on_chore(neap_work *w, int rc) {
  chore *c = container_of(w, chore, work);
  c->rc = rc;
  c->ends++;
}

static void works_on_a_thread(void) {
  neap_loop *l = open_loop(0);
  chore c[20];

  memset(c, 0, sizeof c);
  for (int i = 0; i < 20; i++) {
    c[i].rc = 1;
    c[i].work = (neap_work){run_chore, on_chore, NULL};
    CHECK(work_start(l, &c[i].work) == 0);
  }
  CHECK(l->counted == 20);
  turn(l);
  CHECK(l->counted == 0);
  for (int i = 0; i < 20; i++) {
    CHECK(c[i].sum == 5050 && c[i].rc == 0 && c[i].ends == 1);
    CHECK(!pthread_equal(c[i].thread, pthread_self()));
  }
  CHECK(work_cancel(&c[0].work) < 0); /* it is over */
  close_loop(l);
}

typedef struct bell {
  neap_post *post;
  neap_loop *loop;
  int rings;
} bell;

static void on_bell(neap_post *p, void *arg) {
  bell *b = arg;
  CHECK(p == b->post);
  b->rings++;
  post_close(p);
  b->loop->counted--;
}

static void *ring(void *arg) {
  post_send(((bell *)arg)->post);
  return NULL;
}

static void hears_another_thread(void) {
  neap_loop *l = open_loop(0);
  bell b = {NULL, l, 0};
  pthread_t thread;

  b.post = post_open(l, on_bell, &b);
  CHECK_OR_RETURN(b.post != NULL);
  l->counted++; /* as a wait for it does */
  CHECK_OR_RETURN(pthread_create(&thread, NULL, ring, &b) == 0);
  turn(l);
  pthread_join(thread, NULL);
  CHECK(b.rings == 1 && l->handles == 0);
  close_loop(l);
}

typedef struct asker {
  neap_resolve resolve;
  int rc, ends, found;
} asker;

static void on_answer(neap_resolve *r, int rc, struct addrinfo *found) {
  asker *a = container_of(r, asker, resolve);
  a->rc = rc;
  a->ends++;
  for (struct addrinfo *i = found; i != NULL; i = i->ai_next) a->found++;
  if (found != NULL) resolve_free(found);
}

static void resolves_names(void) {
  neap_loop *l = open_loop(0);
  asker good = {{on_answer, NULL}, 1, 0, 0}, bad = good;

  CHECK(resolve_start(l, &good.resolve, "127.0.0.1", "5432") == 0);
  CHECK(resolve_start(l, &bad.resolve, "no such host", "5432") == 0);
  turn(l);
  CHECK(good.rc == 0 && good.ends == 1 && good.found >= 1);
  CHECK(bad.rc < 0 && bad.ends == 1 && bad.found == 0);
  CHECK(l->counted == 0);
  close_loop(l);
}

typedef struct child {
  neap_process process;
  neap_loop *loop;
  int ends, signal;
  int64_t status;
} child;

static void on_child(neap_process *p, int64_t status, int signal) {
  child *c = container_of(p, child, process);
  c->ends++;
  c->status = status;
  c->signal = signal;
  c->loop->counted--;
}

static void runs_processes(void) {
  neap_loop *l = open_loop(0);
  static char sh[] = "sh", flag[] = "-c", leave[] = "exit 7", stay[] = "sleep 60";
  char *quits[] = {sh, flag, leave, NULL}, *stays[] = {sh, flag, stay, NULL};
  child a = {.process = {.file = "/bin/sh", .args = quits, .exited = on_child}};
  child b = {.process = {.file = "/bin/sh", .args = stays, .exited = on_child}};
  child c = {.process = {.file = "/no/such", .args = quits, .exited = on_child}};

  a.loop = b.loop = c.loop = l;
  CHECK(process_start(l, &a.process) == 0);
  CHECK(process_start(l, &b.process) == 0);
  CHECK(process_start(l, &c.process) < 0); /* nothing was started */
  l->counted += 2;
  CHECK(a.process.pid > 0 && b.process.pid > 0);
  CHECK(process_kill(&b.process, 15) == 0);
  turn(l);
  CHECK(a.ends == 1 && a.status == 7 && a.signal == 0);
  CHECK(b.ends == 1 && b.signal == 15);
  CHECK(c.ends == 0);
  close_loop(l);
}

static int finished;
static void on_fini(neap_body *b) { (void)b, finished++; }

static void frees_a_body_at_the_last_pin(void) {
  neap_body *b = body_new(sizeof *b + 100, on_fini);

  finished = 0;
  CHECK_OR_RETURN(b != NULL && b->pins == 1);
  body_pin(b);
  body_unpin(b);
  CHECK(finished == 0);
  body_unpin(b);
  CHECK(finished == 1);
}

static void closes_what_is_open(void) {
  neap_loop *l = open_loop(0);
  chore c = {.work = {run_chore, on_chore, NULL}, .rc = 1};
  bell b = {NULL, l, 0};
  ear e = {0};
  int fd[2], rc;

  CHECK_OR_RETURN(pipe(fd) == 0);
  e.watch = watch_open(l, fd[0], on_ear, &e, &rc);
  CHECK(watch_set(e.watch, NEAP_READABLE, NEAP_COUNTED) == 0);
  b.post = post_open(l, on_bell, &b);
  CHECK(work_start(l, &c.work) == 0);
  watch_close(e.watch);
  post_close(b.post);
  close_loop(l); /* waits for the thread */
  CHECK(c.ends == 1 && c.rc == 0);
  close(fd[0]);
  close(fd[1]);
}

int main(void) {
  RUN(fires_in_order, "loop: deadlines fire in order, ties as they came");
  RUN(gives_others_a_turn, "loop: a timer that starts itself waits its turn");
  RUN(does_not_wait_for_housekeeping, "loop: housekeeping alone is nobody");
  RUN(sleeps_in_real_time, "loop: a deadline is never early");
  RUN(watches_a_pipe, "watch: readiness arrives, and not after a close");
  RUN(refuses_a_bad_descriptor, "watch: a bad descriptor is an error code");
  RUN(works_on_a_thread, "work: functions run on other threads, done on ours");
  RUN(hears_another_thread, "post: another thread wakes the loop");
  RUN(resolves_names, "resolve: addresses come, and errors do");
  RUN(runs_processes, "process: exit status and signal are told");
  RUN(frees_a_body_at_the_last_pin, "body: the last unpin frees it, once");
  RUN(closes_what_is_open, "loop: its end waits for threads and handles");
  return check_end();
}
