// Package meter says what a process tree costs, in CPU time and memory, and what
// the machine did meanwhile: CPU time that the hypervisor took, pressure, and
// work of others. It reads; it starts, stops and limits nothing.
//
// On Linux it walks /proc. Elsewhere there is no portable way to see another
// process tree's cost, and the figures are zero, which means unknown.
package meter
