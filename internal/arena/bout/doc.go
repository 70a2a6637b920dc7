// Package bout plays one invocation: a fresh process of one contender is started,
// warmed up, asked at rising rates until it misses the objective, measured, and
// stopped with everything that it left behind.
//
// A bout always ends as a [showdown.Bout]. What the contender did wrong is the
// bout's failure; an error means that Showdown itself could not go on, or that
// it was interrupted. The package does not know what other contenders did, and it
// judges nothing beyond the objective.
package bout
