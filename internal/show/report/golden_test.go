package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backend-showdown/showdown/internal/showdown"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden holds got against testdata/name, or writes it with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with: go test ./internal/show/... -update)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); if that is meant: go test ./internal/show/... -update\n%s", path, diff)
	}
}

func document(t testing.TB, run showdown.Run) *Document {
	t.Helper()
	d, err := New(run)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func written(t testing.TB, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The whole run, in the views that people read.
func TestGolden(t *testing.T) {
	d := document(t, invented(models, 5, true))
	views := map[string]func(io.Writer) error{
		"report.md":  d.WriteMarkdown,
		"report.csv": d.WriteCSV,
		"report.txt": func(w io.Writer) error { return d.WriteText(w, Style{}) },
		"color.txt":  func(w io.Writer) error { return d.WriteText(w, Style{Color: true, Width: 100}) },
	}
	for name, write := range views {
		golden(t, filepath.Join("testdata", name), written(t, write))
	}
}

// A small run, in the views that hold every bout.
func TestGoldenSmall(t *testing.T) {
	d := document(t, invented(models[3:], 2, true))
	golden(t, filepath.Join("testdata", "small.html"), written(t, d.WriteHTML))
	golden(t, filepath.Join("testdata", "small.json"), written(t, d.WriteJSON))
}
