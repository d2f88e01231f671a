/*
** body.h -- pinned memory: the last pin frees it. See neap.h.
*/
#ifndef run_body_h
#define run_body_h

#include "neap.h"

void *body_new(size_t size, void (*fini)(neap_body *));
void body_pin(neap_body *b);
void body_unpin(neap_body *b);

#endif
