/*
** work.h -- the thread pool: a function on another thread, name resolution,
** and wake-ups of the loop from other threads. See neap.h.
*/
#ifndef run_work_h
#define run_work_h

#include "run/loop.h"

int work_start(neap_loop *l, neap_work *w);
int work_cancel(neap_work *w);
/* Nobody waits for it any more: it does not keep the loop alive. done() follows
** as ever. */
void work_abandon(neap_work *w);
int resolve_start(neap_loop *l, neap_resolve *r, const char *host,
                  const char *service);
void resolve_cancel(neap_resolve *r);
void resolve_free(struct addrinfo *list);
neap_post *post_open(neap_loop *l, neap_post_fn fn, void *arg);
void post_send(neap_post *p);
void post_close(neap_post *p);

#endif
