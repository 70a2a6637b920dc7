//go:build !linux

package contender

func (p *Process) checkListener() error { return nil }

func (p *Process) otherPorts() []string { return nil }
