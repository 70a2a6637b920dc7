// Package stats computes with numbers only: intervals, paired tests and
// corrections for many tests. It knows nothing of contenders, units or time.
//
// The unit of analysis is the invocation: one fresh process. What happened
// inside an invocation has already become one number before it comes here.
package stats
