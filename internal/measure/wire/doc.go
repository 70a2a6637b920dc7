// Package wire speaks protocols over plain bytes: bytes that arrived go in, what
// they mean comes out. It opens no socket, starts no goroutine, reads no clock
// and, once its buffers have grown, allocates nothing.
package wire
