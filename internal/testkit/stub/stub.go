// Package stub is a contender that behaves badly on purpose, for tests of what
// starts, watches and stops contenders.
//
// The stub is the test program itself: [RunIfAsked] in TestMain turns it into one,
// and [Write] makes a contender's folder that starts it. Every process of a stub
// carries a tag in its environment, by which [Survivors] finds it, whoever its
// parent is by then.
package stub

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Mode is a way to behave.
type Mode string

// The modes. Where nothing else is said, the stub listens on HOST:PORT, answers
// GET /healthz with 200 and "ok", everything else with Handler, and stops on
// SIGTERM with status 0.
const (
	OK         Mode = "ok"
	Crash      Mode = "crash"       // prints a message and exits with 1 at once
	ExitLater  Mode = "exit-later"  // exits with 3, 300 ms after it was ready
	NeverReady Mode = "never-ready" // answers 503
	Hang       Mode = "hang"        // accepts, never answers, ignores SIGTERM
	Fork       Mode = "fork"        // leaves children that ignore SIGTERM, one of them a daemon
	ForkExit   Mode = "fork-exit"   // as Fork, and exits with 3, 300 ms after it was ready
	Flood      Mode = "flood"       // writes to its log without end once it is ready
	Chatty     Mode = "chatty"      // writes 2 MiB of numbered lines before it is ready
	Deaf       Mode = "deaf"        // runs, but does not listen
	WrongPort  Mode = "wrong-port"  // listens on a port of its own choice
	Everywhere Mode = "everywhere"  // listens on all addresses
	SlowStop   Mode = "slow-stop"   // takes 700 ms to stop
	BadStop    Mode = "bad-stop"    // stops with status 7
	Reveal     Mode = "reveal"      // prints its environment, one variable a line

	stubborn Mode = "stubborn" // a child that ignores SIGTERM
	daemon   Mode = "daemon"   // starts a stubborn grandchild in a session of its own and exits
)

// Handler answers what is not /healthz. Tests of scenarios set it before RunIfAsked.
var Handler http.Handler = http.NotFoundHandler()

const (
	modeVariable = "STUB_MODE"
	later        = 300 * time.Millisecond
)

// RunIfAsked makes this process a stub and never returns, if it was started as
// one. Call it in TestMain.
func RunIfAsked() {
	if mode := os.Getenv(modeVariable); mode != "" {
		os.Exit(run(Mode(mode)))
	}
}

func run(mode Mode) (status int) {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	switch mode {
	case Crash:
		fmt.Println("stub: cannot go on")
		return 1
	case Deaf:
		<-terminated
		return 0
	case Hang:
		return hang()
	case stubborn:
		fmt.Println("stubborn")
		time.Sleep(time.Hour)
		return 0
	case daemon:
		orphan()
		return 0
	case Fork, ForkExit:
		child(stubborn)
		child(daemon)
	case Chatty:
		for i := range 2 << 20 / 64 {
			fmt.Printf("%063d\n", i)
		}
	case Reveal:
		for _, pair := range os.Environ() {
			fmt.Println(pair)
		}
	}
	return serve(mode, terminated)
}

// serve answers until SIGTERM, or what else the mode wants.
func serve(mode Mode, terminated <-chan os.Signal) (status int) {
	l, err := net.Listen("tcp", address(mode))
	if err != nil {
		fmt.Println("stub:", err)
		return 1
	}
	health := http.StatusOK
	if mode == NeverReady {
		health = http.StatusServiceUnavailable
	}
	ready := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.Handle("/", Handler)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(health)
		io.WriteString(w, "ok")
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	go afterReady(mode, ready)
	<-terminated
	return stop(mode, server)
}

func address(mode Mode) string {
	host, port := os.Getenv("HOST"), os.Getenv("PORT")
	switch mode {
	case WrongPort:
		port = "0"
	case Everywhere:
		host = "0.0.0.0"
	}
	return net.JoinHostPort(host, port)
}

// afterReady misbehaves once the first health answer is out.
func afterReady(mode Mode, ready <-chan struct{}) {
	<-ready
	switch mode {
	case ExitLater, ForkExit:
		time.Sleep(later)
		os.Exit(3)
	case Flood:
		line := make([]byte, 1<<16)
		for i := range line {
			line[i] = 'x'
		}
		for {
			fmt.Println(string(line))
		}
	}
}

func stop(mode Mode, server *http.Server) (status int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
	switch mode {
	case SlowStop:
		time.Sleep(700 * time.Millisecond)
	case BadStop:
		return 7
	}
	return 0
}

// hang accepts connections and holds them. It needs no signal handling: the
// channel of run swallows SIGTERM.
func hang() int {
	l, err := net.Listen("tcp", address(Hang))
	if err != nil {
		fmt.Println("stub:", err)
		return 1
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go io.Copy(io.Discard, c)
	}
}

// child starts this program in another mode and waits until what it starts is
// immune to SIGTERM: then it, or its orphan, prints something.
func child(mode Mode) {
	cmd := self(mode)
	out, err := cmd.StdoutPipe()
	must(err)
	must(cmd.Start())
	_, err = out.Read(make([]byte, 1))
	must(err)
	if mode == daemon {
		must(cmd.Wait())
	}
}

// orphan starts a stubborn process in a session of its own. The caller exits then.
func orphan() {
	cmd := self(stubborn)
	cmd.Stdout = os.Stdout
	ownSession(cmd)
	must(cmd.Start())
}

func self(mode Mode) *exec.Cmd {
	program, err := os.Executable()
	must(err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), modeVariable+"="+string(mode))
	return cmd
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
