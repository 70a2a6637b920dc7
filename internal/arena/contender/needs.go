package contender

import (
	"maps"
	"slices"
	"strings"
)

// Needs writes the toolchains that the contender requires: "cargo >=1.85, rustc >=1.85".
func (m *Manifest) Needs() string {
	var needs []string
	for _, tool := range slices.Sorted(maps.Keys(m.Requires)) {
		needs = append(needs, strings.TrimSpace(tool+" "+m.Requires[tool]))
	}
	return strings.Join(needs, ", ")
}
