/*
** stream.c -- see stream.h. Each call tries at once and parks if it cannot go
** on; the watch tries again when the socket is ready.
**
** S1  Each line has at most one waiter: who reads or accepts, who writes or
**     connects. That its wait record stands there means that it is parked.
** S2  The watch is set to exactly what the lines wait for, and then counts.
*/
#include "run/stream.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "run/watch.h"

#define BACKLOG 511

typedef struct side {
  list line; /* S1 */
  neap_stream *of;
  int (*attempt)(neap_stream *s); /* NEAP_PENDING: not yet */
} side;

struct neap_stream {
  neap_loop *loop;
  neap_watch *watch;
  int fd;
  side in, out;
  neap_stream **made; /* accept */
  void *to;           /* read: room for `size` bytes */
  size_t size;
  const char *from; /* write: what is left of it */
  size_t left;
};

static int would_wait(void) { return errno == EAGAIN; }

static neap_co *co_of(node *n) {
  return container_of((neap_wait *)(void *)n, neap_co, wait);
}

/* --- attempts --- */

static int attempt_read(neap_stream *s) {
  for (;;) {
    ssize_t n = read(s->fd, s->to, s->size);
    if (n >= 0) return (int)n;
    if (would_wait()) return NEAP_PENDING;
    if (errno != EINTR) return -errno;
  }
}

static int attempt_write(neap_stream *s) {
  while (s->left > 0) {
    ssize_t n = send(s->fd, s->from, s->left, MSG_NOSIGNAL);
    if (n >= 0)
      s->from += n, s->left -= (size_t)n;
    else if (would_wait())
      return NEAP_PENDING;
    else if (errno != EINTR)
      return -errno;
  }
  return 0;
}

static int attempt_connect(neap_stream *s) {
  int err = 0;
  socklen_t len = sizeof err;

  if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) return -errno;
  return -err;
}

static int attempt_accept(neap_stream *s) {
  for (;;) {
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), rc;
    if (fd >= 0) {
      if ((*s->made = stream_open(s->loop, fd, &rc)) == NULL) close(fd);
      return rc;
    }
    if (would_wait()) return NEAP_PENDING;
    if (errno != EINTR && errno != ECONNABORTED) return -errno;
  }
}

/* --- waiting --- */

static int set_watch(neap_stream *s) { /* S2 */
  return watch_set(s->watch,
                   (list_empty(&s->in.line) ? 0 : NEAP_READABLE) |
                       (list_empty(&s->out.line) ? 0 : NEAP_WRITABLE),
                   NEAP_COUNTED);
}

/* A socket in error is ready for nothing, and libuv has stopped the watch:
** then each side has its answer now. */
static void go_on(side *way, int can, int status) {
  node *n = list_first(&way->line);
  int rc;

  if (n == NULL || !(can || status < 0)) return;
  rc = way->attempt(way->of);
  if (rc == NEAP_PENDING && status < 0) rc = status;
  if (rc == NEAP_PENDING) return;
  node_remove(n);
  wait_wake(&co_of(n)->wait, rc);
}

static void on_ready(neap_watch *w, int status, int events, void *arg) {
  neap_stream *s = arg;

  (void)w;
  go_on(&s->in, events & NEAP_READABLE, status);
  go_on(&s->out, events & NEAP_WRITABLE, status);
  set_watch(s); /* takes away: cannot fail */
}

static int abort_stream(neap_wait *w) {
  node *n = (node *)(void *)w;
  side *way = container_of((list *)(void *)n->prev, side, line); /* S1 */

  node_remove(n);
  set_watch(way->of);
  return 0;
}

static const neap_op op_read = {"stream:read", abort_stream};
static const neap_op op_write = {"stream:write", abort_stream};
static const neap_op op_accept = {"stream:accept", abort_stream};
static const neap_op op_connect = {"stream:connect", abort_stream};
static const neap_op op_turn = {"stream", NULL};

/* An operation that did not have to wait; now and then others go first. */
static int finish(neap_co *co, int rc) {
  if (likely(--co->loop->budget > 0)) return rc;
  co_park(co, &op_turn);
  wait_wake(&co->wait, rc);
  return NEAP_PENDING;
}

static int wait_at(neap_co *co, side *way, int (*attempt)(neap_stream *s),
                   const neap_op *op) {
  int rc;

  way->attempt = attempt;
  list_append(&way->line, (node *)(void *)&co->wait);
  if ((rc = set_watch(way->of)) < 0) {
    node_remove((node *)(void *)&co->wait);
    return rc;
  }
  return co_park(co, op);
}

static int do_or_wait(neap_co *co, side *way, int (*attempt)(neap_stream *s),
                      const neap_op *op) {
  int rc = attempt(way->of);
  return rc != NEAP_PENDING ? finish(co, rc) : wait_at(co, way, attempt, op);
}

/* --- the operations --- */

int stream_read(neap_co *co, neap_stream *s, void *data, size_t size) {
  if (!list_empty(&s->in.line)) return -EBUSY;
  s->to = data;
  s->size = size > INT_MAX / 2 ? INT_MAX / 2 : size; /* not NEAP_PENDING */
  return do_or_wait(co, &s->in, attempt_read, &op_read);
}

int stream_write(neap_co *co, neap_stream *s, const void *data, size_t size) {
  if (!list_empty(&s->out.line)) return -EBUSY;
  s->from = data;
  s->left = size;
  return do_or_wait(co, &s->out, attempt_write, &op_write);
}

int stream_accept(neap_co *co, neap_stream *s, neap_stream **made) {
  *made = NULL;
  if (!list_empty(&s->in.line)) return -EBUSY;
  s->made = made;
  return do_or_wait(co, &s->in, attempt_accept, &op_accept);
}

static int new_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

int stream_connect(neap_co *co, neap_stream **made,
                   const struct sockaddr *address, size_t len) {
  int fd = new_socket(address->sa_family), rc;
  neap_stream *s;

  *made = NULL;
  if (fd < 0) return fd;
  if ((*made = s = stream_open(co->loop, fd, &rc)) == NULL) {
    close(fd);
    return rc;
  }
  if (connect(fd, address, (socklen_t)len) == 0) return finish(co, 0);
  if (errno != EINPROGRESS) return -errno;
  return wait_at(co, &s->out, attempt_connect, &op_connect);
}

/* --- a stream's life --- */

static void init_side(side *way, neap_stream *s) {
  list_init(&way->line);
  way->of = s;
}

neap_stream *stream_open(neap_loop *l, int fd, int *rc) {
  neap_stream *s;
  int type;
  socklen_t len = sizeof type;

  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
    return *rc = -errno, NULL;
  if (type != SOCK_STREAM) return *rc = -EINVAL, NULL;
  if ((s = base_alloc(sizeof *s)) == NULL) return *rc = NEAP_ENOMEM, NULL;
  s->loop = l;
  s->fd = fd;
  init_side(&s->in, s);
  init_side(&s->out, s);
  if ((s->watch = watch_open(l, fd, on_ready, s, rc)) == NULL) {
    base_free(s);
    return NULL;
  }
  return s;
}

neap_stream *stream_listen(neap_loop *l, const struct sockaddr *address,
                           size_t len, int *rc) {
  int fd = new_socket(address->sa_family), yes = 1;
  neap_stream *s = NULL;

  if (fd < 0) return *rc = fd, NULL;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, address, (socklen_t)len) < 0 || listen(fd, BACKLOG) < 0)
    *rc = -errno;
  else
    s = stream_open(l, fd, rc);
  if (s == NULL) close(fd);
  return s;
}

int stream_shutdown(neap_stream *s) {
  return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
}

static void turn_away(side *way) {
  node *n = list_shift(&way->line);
  if (n != NULL) wait_wake(&co_of(n)->wait, NEAP_ECLOSED);
}

void stream_close(neap_stream *s) {
  if (s == NULL) return;
  watch_close(s->watch);
  close(s->fd);
  turn_away(&s->in);
  turn_away(&s->out);
  base_free(s);
}
