package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

//go:embed fields.txt
var fields string

// form is a struct of a document and the name that its schema gives it.
type form struct {
	name string
	of   reflect.Type
}

// forms are the structs of a Document, those without other structs in them first.
var forms = []form{
	{"objective", reflect.TypeFor[showdown.Objective]()},
	{"timing", reflect.TypeFor[showdown.Timing]()},
	{"cpu_plan", reflect.TypeFor[showdown.CPUPlan]()},
	{"connections", reflect.TypeFor[showdown.Connections]()},
	{"plan", reflect.TypeFor[showdown.Plan]()},
	{"machine", reflect.TypeFor[showdown.Machine]()},
	{"version", reflect.TypeFor[showdown.Version]()},
	{"note", reflect.TypeFor[showdown.Note]()},
	{"contender", reflect.TypeFor[showdown.Contender]()},
	{"skipped", reflect.TypeFor[showdown.Skipped]()},
	{"latency", reflect.TypeFor[showdown.Latency]()},
	{"load", reflect.TypeFor[showdown.Load]()},
	{"cost", reflect.TypeFor[showdown.Cost]()},
	{"climate", reflect.TypeFor[showdown.Climate]()},
	{"window", reflect.TypeFor[showdown.Window]()},
	{"warning", reflect.TypeFor[showdown.Warning]()},
	{"bout_failure", reflect.TypeFor[showdown.BoutFailure]()},
	{"bout", reflect.TypeFor[showdown.Bout]()},
	{"run", reflect.TypeFor[showdown.Run]()},
	{"interval", reflect.TypeFor[stats.Interval]()},
	{"comparison", reflect.TypeFor[stats.Comparison]()},
	{"costs", reflect.TypeFor[rank.Costs]()},
	{"standing", reflect.TypeFor[rank.Standing]()},
	{"pair", reflect.TypeFor[rank.Pair]()},
	{"ranking", reflect.TypeFor[rank.Ranking]()},
	{"point", reflect.TypeFor[rank.Point]()},
	{"curve", reflect.TypeFor[rank.Curve]()},
	{"step", reflect.TypeFor[rank.Step]()},
	{"sweep", reflect.TypeFor[rank.Sweep]()},
	{"doubt", reflect.TypeFor[rank.Doubt]()},
	{"conditions", reflect.TypeFor[rank.Conditions]()},
	{"document", reflect.TypeFor[Document]()},
}

// Schema gives the JSON Schema (draft 2020-12) of a [Document], as indented JSON.
func Schema() ([]byte, error) {
	return schemaOf("Showdown results", SchemaID, forms, fields, map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time]():           {Type: "string", Format: "date-time"},
		reflect.TypeFor[showdown.Phase]():      oneOf(showdown.Scout, showdown.Block),
		reflect.TypeFor[showdown.Status]():     oneOf(showdown.Running, showdown.Over),
		reflect.TypeFor[showdown.WindowKind](): oneOf(showdown.Warmup, showdown.Probe, showdown.AtCapacity, showdown.AtCommon),
		reflect.TypeFor[rank.Verdict]():        oneOf(rank.Faster, rank.NotSeparated),
	})
}

// schemaOf describes the last of the forms, which is the document, by those
// before it, the types that are known already and the words for the fields.
func schemaOf(title, id string, forms []form, fields string, known map[reflect.Type]*jsonschema.Schema) ([]byte, error) {
	words := descriptions(fields)
	defs := map[string]*jsonschema.Schema{}
	var root *jsonschema.Schema
	for _, f := range forms {
		s, err := jsonschema.ForType(f.of, &jsonschema.ForOptions{TypeSchemas: known})
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", f.name, err)
		}
		describe(s, f.name, words)
		known[f.of] = &jsonschema.Schema{Ref: "#/$defs/" + f.name}
		defs[f.name], root = s, s
	}
	delete(defs, forms[len(forms)-1].name)
	root.Schema, root.Title, root.Defs = "https://json-schema.org/draft/2020-12/schema", title, defs
	root.Properties["schema"].Const = new(any(id))
	return indented(root)
}

// describe gives an object and its properties their words, and lets later
// programs add properties.
func describe(s *jsonschema.Schema, name string, words map[string]string) {
	s.Description, s.AdditionalProperties = words[name], nil
	for field, property := range s.Properties {
		property.Description = words[name+"."+field]
		if property.Ref != "" {
			property.Types = nil // a nil pointer is left out, never null
		}
	}
}

// descriptions reads a text such as fields.txt.
func descriptions(fields string) map[string]string {
	words := map[string]string{}
	for line := range strings.Lines(fields) {
		if name, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			words[name] = strings.TrimSpace(text)
		}
	}
	return words
}

func oneOf[S ~string](values ...S) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

func indented(s *jsonschema.Schema) ([]byte, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
