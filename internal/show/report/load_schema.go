package report

import (
	_ "embed"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/backend-showdown/showdown/internal/showdown"
)

//go:embed load_fields.txt
var loadFields string

// loadForms are the structs of a LoadTest, those without other structs in them first.
var loadForms = []form{
	{"request", reflect.TypeFor[LoadRequest]()},
	{"settings", reflect.TypeFor[LoadSettings]()},
	{"point", reflect.TypeFor[CurvePoint]()},
	{"distribution", reflect.TypeFor[Distribution]()},
	{"counts", reflect.TypeFor[LoadCounts]()},
	{"generator", reflect.TypeFor[Generator]()},
	{"warning", reflect.TypeFor[LoadWarning]()},
	{"threshold", reflect.TypeFor[LoadThreshold]()},
	{"second", reflect.TypeFor[LoadSecond]()},
	{"load_test", reflect.TypeFor[LoadTest]()},
}

// LoadSchema gives the JSON Schema (draft 2020-12) of a [LoadTest], as indented JSON.
func LoadSchema() ([]byte, error) {
	return schemaOf("Showdown load test", LoadSchemaID, loadForms, loadFields, map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[Loop]():                 oneOf(OpenLoop, ClosedLoop, Listening),
		reflect.TypeFor[Ending]():               oneOf(Complete, Cancelled, GivenUp),
		reflect.TypeFor[showdown.WarningKind](): oneOf(loadWarnings...),
	})
}
