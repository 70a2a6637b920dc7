// Package load asks: it sends what a [Traffic] gives when a schedule says so and
// records what came back as latency histograms and a closed set of failures.
//
// It is open loop. An arrival that finds no free connection is sent late, and its
// latency counts from the moment it was due, so that a server that stalls cannot
// hide the requests that would have come meanwhile (coordinated omission). In the
// closed loop, without a schedule, a request is due when the answer before it
// arrived, and latencies mean saturation only. A listening window sends nothing
// and counts what comes.
//
// What flows through, on Linux and plain TCP:
//
//	schedule → loop (when, on which connection) → driver (io_uring or epoll)
//	         → loop (parse, judge) → recorder → chronicle (seconds, snapshots)
//
// A loop is one locked thread; its drivers differ only in how they talk to the
// kernel. Everywhere else, and for TLS, HTTP/2 and slow readers, the portable
// engine does the same with goroutines over net.Conn. One set of tests runs
// against all three. The package knows nothing of contenders, scenarios, disks or
// screens.
package load
