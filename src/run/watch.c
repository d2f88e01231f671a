/*
** watch.c -- see watch.h. The memory is the loop's until its close callback.
*/
#include "run/watch.h"

struct neap_watch {
  uv_poll_t poll;
  neap_loop *loop;
  neap_watch_fn fn;
  void *arg;
  int events;
  unsigned flags; /* as counted now */
};

static void count(neap_watch *w, unsigned flags) {
  flags &= NEAP_COUNTED;
  if (flags && !w->flags) w->loop->counted++;
  if (!flags && w->flags) w->loop->counted--;
  w->flags = flags;
}

static void on_poll(uv_poll_t *p, int status, int events) {
  neap_watch *w = container_of(p, neap_watch, poll);
  int e = 0;

  if (events & UV_READABLE) e |= NEAP_READABLE;
  if (events & UV_WRITABLE) e |= NEAP_WRITABLE;
  w->fn(w, status, e, w->arg);
}

neap_watch *watch_open(neap_loop *l, int fd, neap_watch_fn fn, void *arg,
                       int *rc) {
  neap_watch *w = base_alloc(sizeof *w);
  int r;

  if (w == NULL) {
    *rc = NEAP_ENOMEM;
    return NULL;
  }
  w->loop = l;
  w->fn = fn;
  w->arg = arg;
  if ((r = uv_poll_init(&l->uv, &w->poll, fd)) < 0) {
    base_free(w);
    *rc = r;
    return NULL;
  }
  l->handles++;
  *rc = 0;
  return w;
}

int watch_set(neap_watch *w, int events, unsigned flags) {
  int e = 0, rc = 0;

  if (events & NEAP_READABLE) e |= UV_READABLE;
  if (events & NEAP_WRITABLE) e |= UV_WRITABLE;
  if (events != w->events)
    rc = e ? uv_poll_start(&w->poll, e, on_poll) : uv_poll_stop(&w->poll);
  if (rc < 0) return rc;
  w->events = events;
  count(w, events ? flags : 0);
  return 0;
}

static void on_closed(uv_handle_t *h) {
  base_free(container_of((uv_poll_t *)(void *)h, neap_watch, poll));
}

void watch_close(neap_watch *w) {
  count(w, 0);
  w->loop->handles--;
  uv_close((uv_handle_t *)&w->poll, on_closed);
}
