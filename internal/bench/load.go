package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What else runs on the machine disturbs a measurement, and the peers' (OpenMP threads that
// wait for each other) much more than ours. So rounds are taken when the machine is
// quiet, as far as it gets quiet.
const (
	quietProcessors = 0.15 // used by others, on average over a run
	quietWait       = 20 * time.Second
	ticksPerSecond  = 100 // of /proc: USER_HZ, fixed by Linux
)

// foreign measures the processors that others use while processes of ours run. All zero
// where there is no /proc.
type foreign struct {
	pids []int
	at   time.Time
	busy float64 // processor seconds of all, without ours
}

func watchForeign(pids ...int) foreign {
	return foreign{pids, time.Now(), busySeconds() - processSeconds(append(pids, os.Getpid()))}
}

// processors used by others since, on average.
func (f foreign) processors() float64 {
	now := watchForeign(f.pids...)
	return max(0, (now.busy-f.busy)/now.at.Sub(f.at).Seconds())
}

// waitQuiet waits until nobody else computes, but not for ever.
func waitQuiet(ctx context.Context, pids ...int) {
	for begin := time.Now(); time.Since(begin) < quietWait && ctx.Err() == nil; {
		f := watchForeign(pids...)
		time.Sleep(time.Second)
		if f.processors() < quietProcessors {
			return
		}
	}
}

// busySeconds is what all processors have worked, or had taken from them.
func busySeconds() float64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal guest guest_nice, guests being in user
	sum := 0.0
	for i, field := range fields {
		if i >= 1 && i <= 8 && i != 4 && i != 5 {
			n, _ := strconv.ParseFloat(field, 64)
			sum += n
		}
	}
	return sum / ticksPerSecond
}

// processSeconds is what processes of ours have worked.
func processSeconds(pids []int) float64 {
	sum := 0.0
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ") // the name may hold spaces
		if fields := strings.Fields(rest); len(fields) > 12 {
			user, _ := strconv.ParseFloat(fields[11], 64)
			system, _ := strconv.ParseFloat(fields[12], 64)
			sum += user + system
		}
	}
	return sum / ticksPerSecond
}
