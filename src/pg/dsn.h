/*
** dsn.h -- where to connect to and as whom: a connection string and options,
** taken apart so that hosts can be resolved and tried one by one. Never shows
** what it was given: it may hold a password.
*/
#ifndef pg_dsn_h
#define pg_dsn_h

#include "base/base.h"

/* One place to try. host NULL: libpq's own default. */
typedef struct dsn_target {
  char *host, *addr, *port; /* addr: a literal address, or NULL */
  int resolve;              /* host is a name */
} dsn_target;

typedef struct dsn {
  char **keys, **values; /* all but host, hostaddr, port; n of each */
  int n, cap;
  char *host, *addr, *port; /* as given, lists with commas */
  dsn_target *targets;
  int ntargets;
  int standby_first; /* target_session_attrs=prefer-standby */
} dsn;

void dsn_fini(dsn *d);

/* Each returns 0, -ENOMEM, or -EINVAL with a sentence in `why`. */
int dsn_parse(dsn *d, const char *text, char *why, size_t size);
int dsn_set(dsn *d, const char *key, const char *value, char *why, size_t size);
/* Fill in what the environment says, and make the list of targets. */
int dsn_finish(dsn *d, char *why, size_t size);

const char *dsn_get(const dsn *d, const char *key); /* or NULL */

#endif
