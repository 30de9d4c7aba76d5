package main

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli/clitest"
)

// slurmConf is a Slurm of one node that this process's user runs.
const slurmConf = `ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%[2]d
SlurmdPort=%[3]d
AuthType=auth/none
CredType=cred/none
SlurmUser=%[4]s
SlurmdUser=%[4]s
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool
SlurmctldLogFile=%[1]s/ctld.log
SlurmdLogFile=%[1]s/d.log
SlurmctldPidFile=%[1]s/ctld.pid
SlurmdPidFile=%[1]s/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=5
JobRequeue=1
ReturnToService=2
MpiDefault=none
NodeName=localhost NodeAddr=127.0.0.1 CPUs=%[5]d State=UNKNOWN
PartitionName=p Nodes=localhost Default=YES MaxTime=INFINITE State=UP
`

// slurm starts a Slurm and returns how its commands are called. The test is skipped where there
// is none, and fails after two minutes.
func slurm(t *testing.T) func(name string, args ...string) string {
	t.Helper()
	for _, name := range []string{"slurmctld", "slurmd", "sbatch", "squeue", "scontrol"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs Slurm (Debian: slurmctld, slurmd, slurm-client): %v", err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "slurm.conf")
	text := fmt.Sprintf(slurmConf, dir, freePort(t), freePort(t), me.Username, runtime.NumCPU())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "SLURM_CONF="+conf)
	for _, daemon := range [][]string{{"slurmctld", "-D", "-c", "-f", conf}, {"slurmd", "-D", "-f", conf, "-N", "localhost"}} {
		c := exec.Command(daemon[0], daemon[1:]...)
		c.Env = env
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { c.Wait(); close(ended) }()
		t.Cleanup(func() { c.Process.Signal(os.Interrupt); <-ended })
	}
	command := func(name string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), name, args...)
		c.Env = env
		out, err := c.CombinedOutput()
		if err != nil {
			logs, _ := os.ReadFile(filepath.Join(dir, "d.log"))
			more, _ := os.ReadFile(filepath.Join(dir, "ctld.log"))
			t.Fatalf("%s %q: %v: %s\n%s\n%s", name, args, err, out, logs, more)
		}
		return strings.TrimSpace(string(out))
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		c := exec.Command("sinfo", "-h", "-o", "%T")
		c.Env = env
		if out, err := c.Output(); err == nil && strings.HasPrefix(string(out), "idle") {
			return command
		} else if time.Now().After(end) {
			t.Fatalf("Slurm does not start: %q, %v", out, err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// killWorker kills a process that does a part of the work in dir, and reports whether there was
// one.
func killWorker(dir string) bool {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	exe, _ := os.Executable()
	for _, path := range all {
		b, err := os.ReadFile(path)
		args := strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
		if err != nil || len(args) != 5 || args[0] != exe || args[1] != "-shard" || args[4] != dir {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
			return true
		}
	}
	return false
}

// TestSlurm: an array of a real Slurm, of whose workers some are killed and requeued by the
// sample script, leaves the parts and the manifest of one worker that nobody disturbed.
func TestSlurm(t *testing.T) {
	if testing.Short() {
		t.Skip("long: starts Slurm")
	}
	command := slurm(t)
	want, dir := disturbed(t, 12)

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	logs := t.TempDir()
	script := filepath.Join(logs, "scale")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+clitest.AsProgram+"=1 exec "+exe+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	command("sbatch", "--array=0-3", "--cpus-per-task=1", "--export=ALL,SCALE="+script, "--output="+logs+"/%A_%a.log", "slurm.sbatch", dir, "4")
	kills := 0
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		entries, err := os.ReadDir(dir) // names alone: workers put files there and rename them meanwhile
		if err != nil {
			t.Fatal(err)
		}
		if kills < 2 && len(entries) > 3+2*kills && killWorker(dir) {
			kills++
		}
		left := command("squeue", "-h", "-r", "-o", "%i %r %S")
		if left == "" {
			break
		}
		// Slurm lets a requeued task wait for two minutes. Some seconds are enough, and needed: a
		// task that starts in the second in which its node revoked its credential is lost.
		for line := range strings.Lines(left) {
			var id, why, at string
			fmt.Sscan(line, &id, &why, &at)
			if start, err := time.ParseInLocation("2006-01-02T15:04:05", at, time.Local); why == "BeginTime" && err == nil && time.Until(start) > 10*time.Second {
				command("scontrol", "update", "JobId="+id, "StartTime=now+3")
			}
		}
		if time.Now().After(end) {
			t.Fatalf("not done: %s\n%v", command("squeue"), clitest.Files(t, logs))
		}
	}
	must(t, "-merge", "-out", dir)
	if got, want := clitest.Files(t, dir), clitest.Files(t, want); !maps.Equal(got, want) {
		t.Errorf("%d files, wanted the same %d", len(got), len(want))
	}
	plan, err := shard.ReadPlan(t.Context(), shard.Folder{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, text := range clitest.Files(t, logs) {
		said += text
	}
	t.Logf("%d shards, %d kills\n%s", len(plan.Shards), kills, said)
	if kills == 0 {
		t.Error("no worker was killed")
	}
}
