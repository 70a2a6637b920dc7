package contender

import "os"

// On Windows a tree is the one process that was started.
type tree struct {
	pid     int
	process *os.Process
}

type reaped struct {
	pid    int
	status int
	signal string
}

func plant(o orders, output *os.File) (*tree, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	p, err := os.StartProcess(o.Program, o.Args, &os.ProcAttr{Dir: o.Dir, Env: o.Env, Files: []*os.File{null, output, output}})
	if err != nil {
		return nil, err
	}
	return &tree{p.Pid, p}, nil
}

func (t *tree) reap(to chan<- reaped) {
	defer close(to)
	state, err := t.process.Wait()
	if err == nil {
		to <- reaped{pid: t.pid, status: state.ExitCode()}
	}
}

func (t *tree) terminate() { _ = t.process.Kill() } // Windows knows no request to stop

func (t *tree) kill() []int {
	if t.process.Kill() != nil {
		return nil
	}
	return []int{t.pid}
}
