package stub

import "os/exec"

func ownSession(*exec.Cmd) {}
