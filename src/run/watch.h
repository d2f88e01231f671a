/*
** watch.h -- readiness of a descriptor that somebody else owns. See neap.h.
*/
#ifndef run_watch_h
#define run_watch_h

#include "run/loop.h"

neap_watch *watch_open(neap_loop *l, int fd, neap_watch_fn fn, void *arg,
                       int *rc);
int watch_set(neap_watch *w, int events, unsigned flags);
void watch_close(neap_watch *w);

#endif
