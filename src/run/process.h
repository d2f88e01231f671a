/*
** process.h -- child processes. See neap.h.
*/
#ifndef run_process_h
#define run_process_h

#include "run/loop.h"

int process_start(neap_loop *l, neap_process *p);
int process_kill(neap_process *p, int signal);
void process_closed(uv_handle_t *h); /* frees a child whose loop ends */

#endif
