package contender

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const repository = "../../.."

func TestSchemaFile(t *testing.T) {
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(repository, "schema", "contender.schema.json"), schema)
}

// TestRealManifests holds the library's manifests against the parser and the
// schema, which must agree.
func TestRealManifests(t *testing.T) {
	schema := compile(t)
	root := filepath.Join(repository, "contenders")
	for _, name := range namesIn(root) {
		if _, err := Load(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
		data, err := os.ReadFile(filepath.Join(root, name, ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaRefuses spot-checks that the schema is not a formality.
func TestSchemaRefuses(t *testing.T) {
	schema := compile(t)
	if err := schema.Validate(decode(t, []byte(good))); err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{"title: Gin\n", ""},
		{"title: Gin", "tittle: Gin"},
		{"name: gin", "name: Gin"},
		{"  go: ", "  golang: "},
		{"[./bin/server, \"--port=${PORT}\"]", "./bin/server"},
		{"timeout: 20s", "timeout: soon"},
		{"same_as: runtime", "same_as: runtime, command: [go]"},
		{"{GIN_MODE: release}", "{PORT: '80'}"},
		{"env: {GIN_MODE: release}", "env:"},
		{"[json]", "[json, json]"},
	} {
		text := strings.Replace(good, edit[0], edit[1], 1)
		if text == good || schema.Validate(decode(t, []byte(text))) == nil {
			t.Errorf("%q in place of %q is accepted", edit[1], edit[0])
		}
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("contender.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("contender.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
