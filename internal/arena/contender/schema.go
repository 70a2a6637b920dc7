package contender

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema is the JSON Schema (draft 2020-12) of the manifest, for editors. It is
// made from [Manifest] and says what JSON Schema can say; [Parse] checks more.
func Schema() ([]byte, error) {
	s, err := jsonschema.For[Manifest](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Duration](): {Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`},
	}})
	if err != nil {
		return nil, err
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "Showdown contender manifest (" + ManifestName + ")"
	refuseNull(s)
	addRules(s.Properties)
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// addRules adds what the types do not say.
func addRules(p map[string]*jsonschema.Schema) {
	scenario := &jsonschema.Schema{Type: "string", Pattern: namePattern}
	p["name"].Pattern, p["name"].MaxLength = namePattern, jsonschema.Ptr(40)
	p["homepage"].Format = "uri"
	p["requires"].PropertyNames = &jsonschema.Schema{Enum: anys(slices.Sorted(maps.Keys(toolchains)))}
	p["build"].Items.MinItems = jsonschema.Ptr(1)
	p["start"].MinItems = jsonschema.Ptr(1)
	p["env"].PropertyNames = &jsonschema.Schema{Pattern: variablePattern, Not: &jsonschema.Schema{Enum: anys(given)}}
	p["implements"].Items, p["implements"].UniqueItems = scenario, true
	p["omits"].PropertyNames = scenario

	ready := p["ready"].Properties
	ready["path"].Pattern, ready["path"].Default = "^/", json.RawMessage(`"/healthz"`)
	ready["timeout"].Default = json.RawMessage(`"30s"`)

	for _, probe := range p["versions"].Properties {
		probe.Properties["command"].MinItems = jsonschema.Ptr(1)
		probe.Properties["same_as"].Enum = []any{"runtime", "framework", "server"}
		probe.OneOf = []*jsonschema.Schema{{Required: []string{"command"}}, {Required: []string{"same_as"}}}
	}
	note := p["notes"].Items.Properties
	note["text"].Description = "The choice, and why."
	note["link"].Description = "Documentation that recommends it."
	note["link"].Format = "uri"
}

// refuseNull undoes that Go's lists and maps may be null.
func refuseNull(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if i := slices.Index(s.Types, "null"); i >= 0 && len(s.Types) == 2 {
		s.Type, s.Types = s.Types[1-i], nil
	}
	refuseNull(s.Items)
	refuseNull(s.AdditionalProperties)
	for _, p := range s.Properties {
		refuseNull(p)
	}
}

func anys(words []string) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return list
}
