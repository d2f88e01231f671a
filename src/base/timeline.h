/*
** timeline.h -- a trace file as chrome://tracing and Perfetto read it: a JSON
** array of events. Memory is bounded by one buffer.
**
** T1  Between two writes the file is valid JSON: each writes the end of the
**     array too, and the next one writes over it.
** T2  After a failed write `error` is set, the file ends at the last write
**     that succeeded, and later events are dropped.
*/
#ifndef base_timeline_h
#define base_timeline_h

#include "base/buf.h"

typedef struct timeline {
  buf out;
  int fd;
  int error;      /* errno, 0 as long as all goes well */
  int64_t offset; /* of the next write */
  int in_args;
  uint64_t events;
} timeline;

/* 0 or an errno, and then nothing is open. */
int timeline_open(timeline *t, const char *path);
void timeline_flush(timeline *t);
/* Returns t->error. */
int timeline_close(timeline *t);

/* One event: begin, fields, end. Phases are Chrome's: X, i, s, f, M. Times are
** in ns. Names are cut when they are very long; what is no UTF-8 in them is
** taken for Latin-1. */
void timeline_begin(timeline *t, char phase, const char *name, unsigned pid,
                    unsigned tid, int64_t ns);
void timeline_end(timeline *t);
void timeline_duration(timeline *t, int64_t ns);
void timeline_number(timeline *t, const char *key, uint64_t n);
void timeline_text(timeline *t, const char *key, const char *text);
void timeline_address(timeline *t, const char *key, const void *p);
/* What follows up to timeline_end() are arguments, shown beside the event. */
void timeline_args(timeline *t);

#endif
