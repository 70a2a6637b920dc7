// Package scenarios carries the workload contracts: for each scenario one
// machine-readable document and the rules in prose. The code that asks and
// checks is in internal/arena/scenario; tests hold the two together.
package scenarios

import "embed"

// Documents holds <scenario>/openapi.yaml and <scenario>/README.md.
//
//go:embed */openapi.yaml */README.md
var Documents embed.FS
