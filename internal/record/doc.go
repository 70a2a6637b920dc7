// Package record keeps runs in one SQLite file: the plan, the machine, every
// finished bout with its windows and histograms. A bout is committed whole or not
// at all, so that a crash or a kill loses at most the one in flight.
package record
