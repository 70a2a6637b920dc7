// Package wire speaks protocols over plain bytes: bytes that arrived go in, what
// they mean comes out. HTTP/1.1 answers ([Response]), WebSocket frames from the
// client's side ([Messages], [AppendFrame], [Upgrade]), server-sent events
// ([Events]) and byte ranges. It opens no socket, starts no goroutine, reads no
// clock and, once its buffers have grown, allocates nothing.
package wire
