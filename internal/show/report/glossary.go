package report

// glossary explains the words of the report, in the order of the alphabet.
var glossary = []fact{
	{Name: "95% interval", Text: "Where the true value lies with 95% confidence, judged from how much the blocks differ."},
	{Name: "Block", Text: "One round in which every contender plays once, in random order."},
	{Name: "Bout", Text: "One contender in one block: a fresh process from its start to its stop."},
	{Name: "Capacity", Text: "The highest rate of requests at which the objective is still met."},
	{Name: "Common rate", Text: "One rate that all contenders can carry, so that latencies can be held side by side."},
	{Name: "Coordinated omission", Text: "The mistake of not counting the wait of requests that were sent late because the server was slow."},
	{Name: "Objective (SLO)", Text: "The service level asked for: a latency that so many of the requests must keep."},
	{Name: "Open loop", Text: "Requests arrive when they are due, whether or not earlier ones have been answered, as from real users."},
	{Name: "p99", Text: "99 of 100 requests were at least this fast."},
	{Name: "PSS, RSS", Text: "Memory in use. PSS shares out what several processes have in common; RSS counts it for each."},
	{Name: "Steal", Text: "CPU time that a virtual machine was due and its host gave to others."},
	{Name: "Tied", Text: "Not separated: the measured difference could be chance. It does not mean equal."},
}
