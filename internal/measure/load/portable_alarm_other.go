//go:build !linux

package load

import (
	"context"
	"time"
)

// alarm wakes a goroutine at a moment, as precisely as the runtime's timers do.
type alarm struct{}

func newAlarm() *alarm { return &alarm{} }

// sleep returns after d, or when ctx ends.
func (*alarm) sleep(ctx context.Context, d time.Duration) { sleep(ctx, d) }

func (*alarm) close() {}
