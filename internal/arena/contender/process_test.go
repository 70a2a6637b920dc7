//go:build linux

package contender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
	"github.com/backend-showdown/showdown/internal/testkit/stub"
)

// launch is a stub that was started; its end asserts that nothing is left of it.
type launch struct {
	*Process
	tag  string
	port int
}

func start(t *testing.T, mode stub.Mode, change func(*StartOptions)) *launch {
	t.Helper()
	folder, tag := stub.Write(t, t.TempDir(), string(mode), mode, time.Minute) // the machine may be busy
	m, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	o := StartOptions{Port: port, Log: filepath.Join(t.TempDir(), "log"), DataDir: "/data"}
	if change != nil {
		change(&o)
	}
	p, err := (&Prepared{Manifest: m, Dir: folder}).Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := &launch{p, tag, o.Port}
	t.Cleanup(func() { l.assertGone(t) })
	return l
}

// assertGone wants no process, no guard and no listener to be left.
func (l *launch) assertGone(t *testing.T) {
	t.Helper()
	if _, err := l.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	stub.NoneSurvives(t, l.tag, 0)
	if pid := l.guarded.guard.Process.Pid; syscall.Kill(pid, 0) == nil {
		t.Errorf("guard %d survives", pid)
	}
	listening, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
	if err != nil {
		t.Errorf("port is not free again: %v", err)
		return
	}
	listening.Close()
}

func (l *launch) mustBeReady(t *testing.T) {
	t.Helper()
	if _, err := l.WaitReady(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, l.Tail(20))
	}
}

// mustNotBeReady gives it a little time from when it listens somewhere.
func (l *launch) mustNotBeReady(t *testing.T, code showdown.Code, words ...string) {
	t.Helper()
	l.ready.Timeout = time.Since(l.guarded.began) + time.Second
	_, err := l.WaitReady(t.Context())
	wantError(t, err, code, words...)
}

func (l *launch) mustListen(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		own := socketsOf(l.tree())
		for _, socket := range listeners() {
			if own[socket.inode] {
				return
			}
		}
	}
	t.Fatal("it does not listen")
}

func (l *launch) mustFail(t *testing.T, words ...string) {
	t.Helper()
	select {
	case <-l.Failed():
		wantError(t, l.Err(), showdown.BadContender, words...)
	case <-time.After(20 * time.Second):
		t.Fatal("it did not fail")
	}
}

func (l *launch) stop(t *testing.T) Exit {
	t.Helper()
	e, err := l.Stop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOK(t *testing.T) {
	t.Parallel()
	l := start(t, stub.OK, nil)
	took, err := l.WaitReady(t.Context())
	if err != nil || took <= 0 {
		t.Fatal(took, err)
	}
	response, err := http.Get(l.URL() + "/healthz") // leaves an idle connection open
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(body) != "ok" {
		t.Errorf("answer %q", body)
	}
	if l.Wildcard() {
		t.Error("listens everywhere")
	}
	if e := l.stop(t); !e.Clean || e.Status != 0 || e.Killed != 0 || e.Took <= 0 {
		t.Errorf("exit %+v", e)
	}
	if err := l.Err(); err != nil {
		t.Errorf("stopping is no failure: %v", err)
	}
	if again := l.stop(t); !again.Clean {
		t.Errorf("second stop: %+v", again)
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Crash, nil)
	_, err := l.WaitReady(t.Context())
	wantError(t, err, showdown.BadContender, "crash stopped ", " s after start (status 1)", "its log:")
	l.stop(t)
	if tail := l.Tail(5); tail != "stub: cannot go on" {
		t.Errorf("tail %q", tail)
	}
}

func TestExitLater(t *testing.T) {
	t.Parallel()
	l := start(t, stub.ExitLater, nil)
	l.mustBeReady(t)
	l.mustFail(t, "exit-later stopped", "(status 3)")
	if e := l.stop(t); e.Clean || e.Status != 3 {
		t.Errorf("exit %+v", e)
	}
}

func TestNeverReady(t *testing.T) {
	t.Parallel()
	l := start(t, stub.NeverReady, nil)
	l.mustListen(t)
	l.mustNotBeReady(t, showdown.BadContender, "never-ready did not answer GET /healthz with 200 within ", " of its start: it answered 503")
}

func TestHang(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Hang, nil)
	l.mustListen(t)
	l.mustNotBeReady(t, showdown.BadContender, "it accepted the connection and did not answer")
	if e := l.stop(t); e.Clean || e.Signal != "SIGKILL" || e.Killed != 1 || e.Took < stopGrace {
		t.Errorf("exit %+v", e)
	}
}

func TestStopInAHurry(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Hang, nil)
	l.mustListen(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	e, err := l.Stop(ctx)
	if err != nil || e.Clean || time.Since(began) > stopGrace {
		t.Errorf("%+v, %v after %v", e, err, time.Since(began))
	}
}

func TestFork(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Fork, nil)
	l.mustBeReady(t)
	if n := len(stub.Survivors(l.tag)); n != 3 {
		t.Fatalf("%d processes, want the server, its child and its daemon", n)
	}
	if e := l.stop(t); e.Status != 0 || e.Killed != 2 || e.Clean {
		t.Errorf("exit %+v", e)
	}
}

func TestForkExit(t *testing.T) {
	t.Parallel()
	l := start(t, stub.ForkExit, nil)
	l.mustBeReady(t)
	l.mustFail(t, "(status 3)")
	stub.NoneSurvives(t, l.tag, 10*time.Second) // nobody has called Stop yet
}

func TestFlood(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Flood, nil)
	l.mustBeReady(t)
	l.mustFail(t, "flood wrote more than 16 MiB of log")
	stub.NoneSurvives(t, l.tag, 10*time.Second)
	if e := l.stop(t); e.Clean {
		t.Errorf("exit %+v", e)
	}
	info, err := os.Stat(l.options.Log)
	if err != nil || info.Size() > logHead+logTail+100 {
		t.Errorf("log of %d bytes, %v", info.Size(), err)
	}
}

func TestChattyLogKeepsHeadAndTail(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Chatty, nil)
	l.mustBeReady(t)
	if e := l.stop(t); !e.Clean {
		t.Errorf("exit %+v", e)
	}
	log, err := os.ReadFile(l.options.Log)
	if err != nil {
		t.Fatal(err)
	}
	const lines = 2 << 20 / 64
	if !bytes.HasPrefix(log, fmt.Appendf(nil, "%063d\n", 0)) || l.Tail(1) != fmt.Sprintf("%063d", lines-1) {
		t.Error("head or tail is missing")
	}
	if note := fmt.Sprintf("\n[showdown: %d bytes left out]\n", 2<<20-logHead-logTail); !bytes.Contains(log, []byte(note)) {
		t.Errorf("log of %d bytes lacks %q", len(log), note)
	}
}

func TestDeaf(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Deaf, nil)
	l.mustNotBeReady(t, showdown.BadContender, "connection refused", "its log:")
}

func TestWrongPort(t *testing.T) {
	t.Parallel()
	l := start(t, stub.WrongPort, nil)
	l.mustListen(t)
	l.mustNotBeReady(t, showdown.BadContender, "did not answer", "it listens on ", fmt.Sprintf("instead of %d", l.port))
}

// TestThief lets somebody else answer at the contender's address.
func TestThief(t *testing.T) {
	t.Parallel()
	thief, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
	go server.Serve(thief)
	port := thief.Addr().(*net.TCPAddr).Port
	l := start(t, stub.Deaf, func(o *StartOptions) { o.Port = port })
	_, err = l.WaitReady(t.Context())
	wantError(t, err, showdown.Environment, fmt.Sprintf("port %d is held by pid %d (contender.test), not by deaf", port, os.Getpid()))
	server.Close()
}

// TestPortTaken lets a contender fail because its port is taken by somebody who
// does not answer.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, stub.OK, func(o *StartOptions) { o.Port = taken.Addr().(*net.TCPAddr).Port })
	_, err = l.WaitReady(t.Context())
	wantError(t, err, showdown.Environment, "is held by pid ", "not by ok")
	if tail := l.Tail(1); !strings.Contains(tail, "address already in use") {
		t.Errorf("tail %q", tail)
	}
	taken.Close()
}

func TestEverywhere(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Everywhere, nil)
	l.mustBeReady(t)
	if !l.Wildcard() {
		t.Error("did not see that it listens everywhere")
	}
}

func TestSlowStop(t *testing.T) {
	t.Parallel()
	l := start(t, stub.SlowStop, nil)
	l.mustBeReady(t)
	if e := l.stop(t); !e.Clean || e.Took < 700*time.Millisecond {
		t.Errorf("exit %+v", e)
	}
}

func TestBadStop(t *testing.T) {
	t.Parallel()
	l := start(t, stub.BadStop, nil)
	l.mustBeReady(t)
	if e := l.stop(t); e.Clean || e.Status != 7 || e.Killed != 0 {
		t.Errorf("exit %+v", e)
	}
	if l.Err() != nil {
		t.Errorf("stopping is no failure: %v", l.Err())
	}
}

func TestAffinity(t *testing.T) {
	t.Parallel()
	var mine, its unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !mine.IsSet(cpu) {
		cpu++
	}
	l := start(t, stub.OK, func(o *StartOptions) { o.CPUs = []int{cpu} })
	l.mustBeReady(t)
	if err := unix.SchedGetaffinity(l.Pid(), &its); err != nil || its.Count() != 1 || !its.IsSet(cpu) {
		t.Errorf("contender may use %d CPUs, %v", its.Count(), err)
	}
	if err := unix.SchedGetaffinity(l.guarded.guard.Process.Pid, &its); err != nil || its != mine {
		t.Errorf("guard may use %d CPUs, want %d, %v", its.Count(), mine.Count(), err)
	}
}

// TestSignals wants the contender away from the terminal, with default signals.
func TestSignals(t *testing.T) {
	t.Parallel()
	l := start(t, stub.OK, nil)
	l.mustBeReady(t)
	for _, pid := range []int{l.Pid(), l.guarded.guard.Process.Pid} {
		session, err := unix.Getsid(pid)
		if own, _ := unix.Getsid(0); err != nil || session == own {
			t.Errorf("pid %d shares our session, %v", pid, err)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.Pid()))
	if err != nil || !bytes.Contains(status, []byte("SigIgn:\t0000000000000000")) {
		t.Errorf("ignored signals are inherited, %v:\n%s", err, status)
	}
	if err := syscall.Kill(l.guarded.guard.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := l.stop(t); !e.Clean {
		t.Errorf("the guard did not outlive SIGTERM: %+v", e)
	}
}

func TestGuardKilled(t *testing.T) {
	t.Parallel()
	l := start(t, stub.Deaf, nil)
	if err := l.guarded.guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	l.mustFail(t, "with its guard")
	if _, err := l.Stop(t.Context()); err == nil {
		t.Error("no word of the guard's death")
	}
	l.guarded.lost = false // said once is enough for assertGone
	stub.NoneSurvives(t, l.tag, 5*time.Second)
}

// TestParentKilled kills a Showdown with SIGKILL in the middle of a bout.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	folder, tag := stub.Write(t, t.TempDir(), "fork", stub.Fork, time.Minute)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_MIDDLE="+folder, "TEST_MIDDLE_CACHE="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, guard int
	if _, err := fmt.Fscan(out, &pid, &guard); err != nil {
		rest, _ := io.ReadAll(out)
		t.Fatalf("%v: %s", err, rest)
	}
	if n := len(stub.Survivors(tag)); n != 3 {
		t.Fatalf("%d processes before", n)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	stub.NoneSurvives(t, tag, 10*time.Second)
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(guard, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the guard survives")
		}
	}
}

// TestEnvironment wants what was promised, and nothing else, to reach a contender.
func TestEnvironment(t *testing.T) {
	t.Setenv("MY_SECRET_TOKEN", "hunter2")
	t.Setenv("PIP_INDEX_URL", "https://user:hunter2@example.org")
	l := start(t, stub.Reveal, func(o *StartOptions) {
		o.Workers = 2
		o.Env = map[string]string{"DATABASE_URL": "postgres://x"}
	})
	l.mustBeReady(t)
	log := "\n" + l.Tail(1000) + "\n"
	for _, want := range []string{
		"HOST=127.0.0.1", fmt.Sprintf("PORT=%d", l.port), "WORKERS=2", "DATA_DIR=/data",
		"DATABASE_URL=postgres://x", "LANG=C.UTF-8", "STUB_MODE=reveal", "PATH=" + searchPath(),
	} {
		if !strings.Contains(log, "\n"+want+"\n") {
			t.Errorf("environment lacks %s", want)
		}
	}
	for _, secret := range []string{"hunter2", "MY_SECRET", guardVariable} {
		if strings.Contains(log, secret) {
			t.Errorf("environment holds %s:%s", secret, log)
		}
	}
}

func TestBuildEnvironment(t *testing.T) {
	t.Setenv("MY_SECRET_TOKEN", "hunter2")
	t.Setenv("npm_config_registry", "https://npm.example.org")
	t.Setenv("JAVA_HOME", "/opt/jdk")
	env := "\n" + strings.Join(buildEnviron(), "\n") + "\n"
	for _, want := range []string{"npm_config_registry=https://npm.example.org", "JAVA_HOME=/opt/jdk", "PATH=/opt/jdk/bin:"} {
		if !strings.Contains(env, "\n"+want) {
			t.Errorf("lacks %s:%s", want, env)
		}
	}
	if strings.Contains(env, "hunter2") {
		t.Error("holds a secret")
	}
}

func TestStartErrors(t *testing.T) {
	folder, _ := stub.Write(t, t.TempDir(), "broken", stub.OK, time.Second)
	m, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{
		"no-such-program-here": "not found on the PATH",
		"./run.sh":             "permission denied",
	} {
		m.Start = []string{program}
		_, err := (&Prepared{Manifest: m, Dir: folder}).Start(t.Context(), StartOptions{Log: filepath.Join(t.TempDir(), "log")})
		wantError(t, err, showdown.BadContender, `start broken: `, want)
	}
	m.Start = []string{"sh"}
	_, err = (&Prepared{Manifest: m, Dir: folder}).Start(t.Context(), StartOptions{Log: filepath.Join(t.TempDir(), "no", "log")})
	wantError(t, err, showdown.BadContender, "no such file")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = (&Prepared{Manifest: m, Dir: folder}).Start(ctx, StartOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
