// Package showdown holds the words that every other room shares: a contender, a
// plan, a bout, a window of measurement, a failure, a warning, an error.
//
// Nothing here does I/O, reads a clock or computes a statistic. Values flow
// through it in one direction: a [Plan] is played as [Bout]s, a bout holds
// [Window]s, and what is wrong with any of them is a [Warning] or an [*Error].
package showdown
