// Package schedule decides which bout comes next and hands each finished one on
// at once. A run is a scout of every contender, then blocks in which each plays
// once, in an order that the plan's seed draws anew for every block: what drifts
// in the machine meets all contenders alike.
//
// It knows nothing of what the bouts measured, but for what it needs to go on: the
// scouts' capacities and who failed.
package schedule
