/*
** worker.h -- the far side of neap.thread.call: a Lua state that serves calls
** on a pool thread. Knows neither tasks nor the loop.
*/
#ifndef core_worker_h
#define core_worker_h

#include <stdatomic.h>

#include "core/parcel.h"

typedef struct worker worker;

struct worker {
  worker *next;
  lua_State *L;         /* made by the first call; NULL after a bad one */
  atomic_int cancelled; /* the call that runs is wanted no more */
  int kept_kb;          /* in use after the last full collection */
};

/* What the code of a job is. */
enum job_code { JOB_DUMP, JOB_SOURCE, JOB_NAME };

/* What came of it, and what `out` then holds. */
enum job_outcome {
  JOB_OPEN,
  JOB_RESULTS, /* the results */
  JOB_ERROR,   /* the error, and a traceback or nil */
  JOB_REFUSED, /* a sentence: what could not be copied */
  JOB_NOMEM    /* nothing */
};

typedef struct job {
  enum job_code code;
  enum job_outcome outcome;
  buf text;   /* bytecode, source, or "module:function"; a 0 follows */
  parcel in;  /* package.path, package.cpath, arguments */
  parcel out;
} job;

#define JOB_PATHS 2 /* values of `in` before the arguments */

/* Serve one call; on a pool thread. */
void worker_run(worker *w, job *j);
void worker_free(worker *w);

#endif
