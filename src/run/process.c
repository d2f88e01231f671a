/*
** process.c -- see process.h. Standard input is /dev/null; both outputs are
** appended to one file or go to /dev/null.
*/
#include "run/process.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct child {
  uv_process_t process;
  neap_loop *loop;
  neap_process *p;
} child;

void process_closed(uv_handle_t *h) {
  base_free(container_of((uv_process_t *)(void *)h, child, process));
}

static void on_exited(uv_process_t *u, int64_t status, int signal) {
  child *c = container_of(u, child, process);
  neap_process *p = c->p;

  c->loop->handles--;
  uv_close((uv_handle_t *)u, process_closed);
  p->request = NULL;
  if (p->exited != NULL) p->exited(p, status, signal);
}

static void redirect(uv_stdio_container_t *s, int fd) {
  s->flags = fd >= 0 ? UV_INHERIT_FD : UV_IGNORE;
  s->data.fd = fd;
}

int process_start(neap_loop *l, neap_process *p) {
  uv_process_options_t o = {0};
  uv_stdio_container_t io[3];
  child *c = base_alloc(sizeof *c);
  int fd = -1, rc;

  if (c == NULL) return NEAP_ENOMEM;
  if (p->out_path != NULL) {
    fd = open(p->out_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      rc = -errno;
      goto free_child;
    }
  }
  io[0].flags = UV_IGNORE;
  redirect(&io[1], fd);
  redirect(&io[2], fd);
  o.file = p->file;
  o.args = p->args;
  o.env = p->env;
  o.cwd = p->cwd;
  o.stdio = io;
  o.stdio_count = 3;
  o.exit_cb = on_exited;
  if (p->uid >= 0) o.flags |= UV_PROCESS_SETUID, o.uid = (uv_uid_t)p->uid;
  if (p->gid >= 0) o.flags |= UV_PROCESS_SETGID, o.gid = (uv_gid_t)p->gid;
  c->loop = l;
  c->p = p;
  rc = uv_spawn(&l->uv, &c->process, &o);
  if (fd >= 0) close(fd);
  if (rc < 0) { /* the handle was initialised all the same */
    uv_close((uv_handle_t *)&c->process, process_closed);
    return rc;
  }
  l->handles++;
  p->pid = c->process.pid;
  p->request = c;
  return 0;

free_child:
  base_free(c);
  return rc;
}

int process_kill(neap_process *p, int signal) {
  child *c = p->request;
  return c ? uv_process_kill(&c->process, signal) : UV_ESRCH;
}
