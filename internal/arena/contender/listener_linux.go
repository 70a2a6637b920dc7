package contender

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// listener is a listening TCP socket.
type listener struct {
	address netip.AddrPort
	uid     int
	inode   string
}

// checkListener wants the sockets that answer at the contender's address to be
// its own.
func (p *Process) checkListener() error {
	own := socketsOf(p.tree())
	host, hostErr := netip.ParseAddr(p.options.Host)
	for _, l := range listeners() {
		wildcard := l.address.Addr().IsUnspecified()
		if int(l.address.Port()) != p.options.Port || hostErr == nil && !wildcard && l.address.Addr() != host {
			continue
		}
		if !own[l.inode] {
			return p.stolen(l)
		}
		if wildcard && hostErr == nil && !host.IsUnspecified() {
			p.wildcard.Store(true)
		}
	}
	return nil
}

// stolen says who holds the port, or nothing where that cannot be known.
func (p *Process) stolen(l listener) error {
	holder := ""
	if pid := holderOf(l.inode); pid > 0 {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		holder = fmt.Sprintf("pid %d (%s)", pid, printable(strings.TrimSpace(string(name))))
	} else if l.uid != os.Getuid() {
		holder = fmt.Sprintf("a process of user id %d", l.uid)
	} else {
		return nil
	}
	return showdown.Errorf(showdown.Environment, "stop that process, or let Showdown choose another port",
		"port %d is held by %s, not by %s", p.options.Port, holder, p.name)
}

// otherPorts lists where the contender listens instead of its port.
func (p *Process) otherPorts() []string {
	own := socketsOf(p.tree())
	var ports []string
	for _, l := range listeners() {
		port := strconv.Itoa(int(l.address.Port()))
		if own[l.inode] && int(l.address.Port()) != p.options.Port && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

func (p *Process) tree() []int {
	pids := []int{p.Pid()}
	for _, d := range descendants(p.Pid()) {
		pids = append(pids, d.pid)
	}
	return pids
}

// listeners reads the machine's listening TCP sockets; none where it cannot.
func listeners() []listener {
	var all []listener
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if l, ok := parseListener(lines.Text()); ok {
				all = append(all, l)
			}
		}
		f.Close()
	}
	return all
}

// parseListener reads a line of /proc/net/tcp, if it is a listening socket's.
func parseListener(line string) (listener, bool) {
	const listening = "0A"
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != listening {
		return listener{}, false
	}
	address, port, _ := strings.Cut(fields[1], ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return listener{}, false
	}
	for word := range slices.Chunk(raw, 4) { // each printed as a number of the machine's byte order
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	n, err1 := strconv.ParseUint(port, 16, 16)
	uid, err2 := strconv.Atoi(fields[7])
	return listener{netip.AddrPortFrom(ip.Unmap(), uint16(n)), uid, fields[9]}, ok && err1 == nil && err2 == nil
}

// socketsOf gives the inodes of the processes' sockets.
func socketsOf(pids []int) map[string]bool {
	inodes := map[string]bool{}
	for _, pid := range pids {
		descriptors, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range descriptors {
			if inode, ok := socketInode(fd); ok {
				inodes[inode] = true
			}
		}
	}
	return inodes
}

func holderOf(inode string) (pid int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && socketsOf([]int{pid})[inode] {
			return pid
		}
	}
	return 0
}

func socketInode(fd string) (string, bool) {
	target, err := os.Readlink(fd)
	if err != nil {
		return "", false
	}
	inode, ok := strings.CutPrefix(target, "socket:[")
	return strings.TrimSuffix(inode, "]"), ok
}
