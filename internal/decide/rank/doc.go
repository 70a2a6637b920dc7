// Package rank turns the bouts of a run into an order with honest ties.
//
// Bouts come in, a [Ranking] goes out; the same bouts always give the same
// ranking. Contenders are compared block by block on one declared metric, their
// capacity at the objective. Everything else is described, never ranked.
package rank
