package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A load test's page holds on a desk and on a telephone, in light and in dark.
func TestLoadBrowser(t *testing.T) {
	browser := newBrowser(t)
	shots := os.Getenv("SHOWDOWN_SHOTS")
	if shots == "" {
		shots = t.ArtifactDir()
	}
	file := filepath.Join(t.TempDir(), "load.html")
	if err := os.WriteFile(file, written(t, loadTest().WriteHTML), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			name := fmt.Sprintf("load-%d-%s", width, scheme)
			t.Run(name, func(t *testing.T) {
				got, complaints := visit(t, browser, file, width, scheme, filepath.Join(shots, name+".png"))
				judge(t, got, complaints)
				if n := len(got.Saved); got.Charts != 3 || n != 4 || !strings.HasPrefix(got.Saved[n-1], "{\n  \"schema\": \"showdown.load/2\"") {
					t.Errorf("%d visible charts, want 3; the buttons save %q", got.Charts, got.Saved)
				}
			})
		}
	}
}
