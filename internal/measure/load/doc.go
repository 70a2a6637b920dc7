// Package load asks: it sends what a [Traffic] gives when a schedule says so and
// records what came back as latency histograms and a closed set of failures.
//
// It is open loop. An arrival that finds no free connection is sent late, and its
// latency counts from the moment it was due, so that a server that stalls cannot
// hide the requests that would have come meanwhile (coordinated omission). In the
// closed loop, without a schedule, latencies mean saturation only.
//
// Two engines do the same work: an event loop on Linux for plain TCP, and one
// goroutine per connection everywhere else and for TLS. The package knows nothing
// of contenders, scenarios, disks or screens.
package load
