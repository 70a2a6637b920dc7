package scenario

import (
	"context"
	"strings"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Scenario is one workload.
type Scenario interface {
	Name() string  // such as "json"
	Title() string // what a user would call it
	Objective() showdown.Objective
	// WriteData makes the data set in dir, the same bytes every time.
	WriteData(dir string) error
	// Traffic is the stream of requests that seed draws, for a service at host ("127.0.0.1:8080").
	Traffic(host string, seed uint64) load.Traffic
	// Verify holds the service at host against the contract and returns every
	// check in order. An error means that it could not be asked at all.
	Verify(ctx context.Context, host string) ([]Check, error)
}

// Check is one question that Verify asked. Breach is nil when it passed.
type Check struct {
	Rule   string  `json:"rule"`
	Name   string  `json:"name"`
	Breach *Breach `json:"breach,omitempty"`
}

// Breach shows an answer that breaks the contract.
type Breach struct {
	Request string `json:"request"`
	Want    string `json:"want"`
	Got     string `json:"got"`
}

// All lists the scenarios; their names are [showdown.Scenarios].
func All() []Scenario { return []Scenario{JSON()} }

// Named finds a scenario, or says which one may have been meant.
func Named(name string) (Scenario, error) {
	for _, s := range All() {
		if s.Name() == name {
			return s, nil
		}
	}
	hint := showdown.Suggest(name, showdown.Scenarios, "all: "+strings.Join(showdown.Scenarios, ", "))
	return nil, showdown.Usage(hint, "unknown scenario %q", name)
}
