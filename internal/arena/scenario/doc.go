// Package scenario knows each workload: its data set, what to ask, what must
// come back, and which rule an answer breaks.
//
// A scenario gives the load engine its traffic and judges sampled answers by
// recomputing them; [Scenario.Verify] holds a running service against every
// rule of the contract. It is not aware of who the contender is, how fast it
// should be, or how it was started.
package scenario
