/*
** stream.h -- byte streams for C coroutines: sockets that connect, accept,
** read and write as straight-line code. See neap.h.
*/
#ifndef run_stream_h
#define run_stream_h

#include "run/co.h"

neap_stream *stream_open(neap_loop *l, int fd, int *rc);
neap_stream *stream_listen(neap_loop *l, const struct sockaddr *address,
                           size_t len, int *rc);
int stream_connect(neap_co *co, neap_stream **made,
                   const struct sockaddr *address, size_t len);
int stream_accept(neap_co *co, neap_stream *s, neap_stream **made);
int stream_read(neap_co *co, neap_stream *s, void *data, size_t size);
int stream_write(neap_co *co, neap_stream *s, const void *data, size_t size);
int stream_shutdown(neap_stream *s);
void stream_close(neap_stream *s);

#endif
