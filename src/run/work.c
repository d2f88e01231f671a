/*
** work.c -- see work.h. A request lives on the heap until libuv has called
** back; until then the loop counts it as pending.
*/
#include "run/work.h"

#include <netdb.h>
#include <string.h>

typedef struct job {
  uv_work_t req;
  neap_loop *loop;
  neap_work *work;
  int abandoned; /* and so not counted */
  int watched;
  uintptr_t thread;      /* these three only if watched */
  int64_t began, ended;
} job;

static void run_job(uv_work_t *req) { /* on another thread */
  job *j = container_of(req, job, req);
  if (likely(!j->watched)) {
    j->work->run(j->work);
    return;
  }
  j->thread = (uintptr_t)uv_thread_self();
  j->began = (int64_t)uv_hrtime();
  j->work->run(j->work);
  j->ended = (int64_t)uv_hrtime();
}

static void on_job(uv_work_t *req, int status) {
  job *j = container_of(req, job, req);
  neap_work *w = j->work;

  if (!j->abandoned) j->loop->counted--;
  if (unlikely(j->watched && status == 0 && j->loop->saw_work != NULL))
    j->loop->saw_work(j->loop, j->thread, j->began, j->ended);
  base_free(j);
  w->request = NULL;
  w->done(w, status);
}

int work_start(neap_loop *l, neap_work *w) {
  job *j = base_alloc(sizeof *j);
  int rc;

  if (j == NULL) return NEAP_ENOMEM;
  j->loop = l;
  j->work = w;
  j->abandoned = 0;
  j->watched = l->saw_work != NULL;
  if ((rc = uv_queue_work(&l->uv, &j->req, run_job, on_job)) < 0) {
    base_free(j);
    return rc;
  }
  w->request = j;
  l->counted++;
  return 0;
}

int work_cancel(neap_work *w) {
  job *j = w->request;
  return j ? uv_cancel((uv_req_t *)&j->req) : UV_ENOENT;
}

void work_abandon(neap_work *w) {
  job *j = w->request;

  if (j == NULL || j->abandoned) return;
  j->abandoned = 1;
  j->loop->counted--;
}

typedef struct lookup {
  uv_getaddrinfo_t req;
  neap_loop *loop;
  neap_resolve *resolve;
} lookup;

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *res) {
  lookup *k = container_of(req, lookup, req);
  neap_resolve *r = k->resolve;

  k->loop->counted--;
  base_free(k);
  r->request = NULL;
  r->done(r, status, res);
}

int resolve_start(neap_loop *l, neap_resolve *r, const char *host,
                  const char *service) {
  struct addrinfo hints;
  lookup *k = base_alloc(sizeof *k);
  int rc;

  if (k == NULL) return NEAP_ENOMEM;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  k->loop = l;
  k->resolve = r;
  rc = uv_getaddrinfo(&l->uv, &k->req, on_lookup, host, service, &hints);
  if (rc < 0) {
    base_free(k);
    return rc;
  }
  r->request = k;
  l->counted++;
  return 0;
}

void resolve_cancel(neap_resolve *r) {
  lookup *k = r->request;
  if (k != NULL) uv_cancel((uv_req_t *)&k->req);
}

void resolve_free(struct addrinfo *found) { uv_freeaddrinfo(found); }

struct neap_post {
  uv_async_t async;
  neap_loop *loop;
  neap_post_fn fn;
  void *arg;
};

static void on_post(uv_async_t *a) {
  neap_post *p = container_of(a, neap_post, async);
  p->fn(p, p->arg);
}

neap_post *post_open(neap_loop *l, neap_post_fn fn, void *arg) {
  neap_post *p = base_alloc(sizeof *p);

  if (p == NULL) return NULL;
  p->loop = l;
  p->fn = fn;
  p->arg = arg;
  if (uv_async_init(&l->uv, &p->async, on_post) < 0) {
    base_free(p);
    return NULL;
  }
  l->handles++;
  return p;
}

void post_send(neap_post *p) { uv_async_send(&p->async); }

static void on_post_closed(uv_handle_t *h) {
  base_free(container_of((uv_async_t *)(void *)h, neap_post, async));
}

void post_close(neap_post *p) {
  p->loop->handles--;
  uv_close((uv_handle_t *)&p->async, on_post_closed);
}
