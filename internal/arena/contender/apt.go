package contender

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Install installs packages of Debian or Ubuntu with apt-get, through sudo where
// that is needed, and writes what apt-get says to out. Afterwards [Manifest.Missing]
// looks anew and tells what is missing still.
func Install(ctx context.Context, packages []string, out io.Writer) error {
	if len(packages) == 0 {
		return nil
	}
	prefix, err := installer(packages)
	if err != nil {
		return err
	}
	defer forgetProbes()
	install := append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, packages...)
	for _, argv := range [][]string{{"apt-get", "update"}, install} {
		argv = append(slices.Clone(prefix), argv...)
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, out // sudo may ask for a password
		// apt-get must end its transaction, not be killed in the middle of one.
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		if err := cmd.Run(); err != nil {
			return showdown.Errorf(showdown.Environment, "what apt-get said above tells why", "run %s: %w", display(argv), err)
		}
	}
	return nil
}

// installer says what must stand before apt-get.
func installer(packages []string) (prefix []string, err error) {
	byHand := "install with your system's package manager what corresponds to: " + strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || !debianLike() {
		return nil, showdown.Errorf(showdown.Environment, byHand, "install packages: this is not Debian or Ubuntu")
	}
	interactive := []string{"env", "DEBIAN_FRONTEND=noninteractive"}
	if os.Geteuid() == 0 {
		return interactive, nil
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		return nil, showdown.Errorf(showdown.Environment, "as root: apt-get install "+strings.Join(packages, " "),
			"install packages: not root, and there is no sudo")
	}
	return append([]string{"sudo"}, interactive...), nil
}

// debianLike reads os-release(5).
func debianLike() bool {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		words := strings.Fields(strings.Trim(value, `"'`))
		if (key == "ID" || key == "ID_LIKE") && (slices.Contains(words, "debian") || slices.Contains(words, "ubuntu")) {
			return true
		}
	}
	return false
}

// candidate asks which version of the toolchain the distribution offers; empty
// where that is not known.
func candidate(ctx context.Context, t Toolchain) string {
	if !debianLike() || len(t.Packages) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := capture(ctx, neutralDir(), []string{"apt-cache", "policy", t.Packages[0]})
	if err != nil {
		return ""
	}
	return parseCandidate(t.Name, out)
}

func parseCandidate(tool, policy string) string {
	_, rest, _ := strings.Cut(policy, "Candidate: ")
	line, _, _ := strings.Cut(rest, "\n")
	if _, afterEpoch, ok := strings.Cut(line, ":"); ok {
		line = afterEpoch
	}
	if tool == "java" {
		line = strings.TrimPrefix(line, "1.") // default-jdk 1.17 is Java 17
	}
	return numbers.FindString(line)
}
