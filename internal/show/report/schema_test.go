package report

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "../../../schema/results.schema.json"

func TestSchemaGolden(t *testing.T) {
	s, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, schemaFile, s)
}

// What WriteJSON writes keeps to the schema, and holds nothing that it does not describe.
func TestJSONKeepsToSchema(t *testing.T) {
	validate := validator(t, Schema)
	for name, run := range edges() {
		d := document(t, run)
		got, err := jsonschema.UnmarshalJSON(bytes.NewReader(written(t, d.WriteJSON)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := validate(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	validate := validator(t, Schema)
	good := written(t, document(t, invented(models[3:], 2, true)).WriteJSON)
	for old, new := range map[string]string{
		SchemaID:                 "showdown.results/2",
		`"phase": "block"`:       `"phase": "overture"`,
		`"rank_first": 1`:        `"rank_first": "first"`,
		`"generator_busy"`:       `"generator_bored"`,
		`"2026-11-22T19:15:00Z"`: `17`,
	} {
		bad := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%q does not occur", old)
		}
		got, err := jsonschema.UnmarshalJSON(bytes.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if validate(got) == nil {
			t.Errorf("the schema takes %s for %s", new, old)
		}
	}
}

// validator compiles a schema, made strict: no property that it does not describe.
func validator(t *testing.T, schema func() ([]byte, error)) func(any) error {
	t.Helper()
	s, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	loose, err := jsonschema.UnmarshalJSON(bytes.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	tighten(loose)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("results.json", loose); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("results.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate
}

func tighten(node any) {
	switch n := node.(type) {
	case map[string]any:
		for _, child := range n {
			tighten(child)
		}
		if _, ok := n["properties"].(map[string]any); ok && n["type"] == "object" {
			n["additionalProperties"] = false
		}
	case []any:
		for _, child := range n {
			tighten(child)
		}
	}
}

// Every type and field has its words in fields.txt, and every word its field.
func TestFieldsAreDescribed(t *testing.T) {
	checkFields(t, Schema, fields, "document")
}

func checkFields(t *testing.T, schema func() ([]byte, error), fields, rootName string) {
	t.Helper()
	s, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Description string            `json:"description"`
		Properties  map[string]object `json:"properties"`
		Defs        map[string]object `json:"$defs"`
	}
	var root object
	if err := json.Unmarshal(s, &root); err != nil {
		t.Fatal(err)
	}
	left := descriptions(fields)
	root.Defs[rootName] = object{Description: root.Description, Properties: root.Properties}
	for name, o := range root.Defs {
		if o.Description == "" {
			t.Errorf("%s has no words", name)
		}
		delete(left, name)
		for field, p := range o.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no words", name, field)
			}
			delete(left, name+"."+field)
		}
	}
	for name := range left {
		t.Errorf("there are words for %s, which does not exist", name)
	}
}
