package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/beam/sdks/v2/go/container/tools"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/harness"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal/extworker"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"

	"github.com/implicitreward/implicitreward/internal/cli"
)

// booted are the flags with which a runner starts a PROCESS worker: those of the program in
// Beam's containers, in whose place this one is.
type booted struct{ id, provision string }

// named reports whether one of the arguments is a flag of one of these names.
func named(args []string, names ...string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return strings.HasPrefix(arg, "-") && slices.Contains(names, name)
	})
}

// parseBoot reads them. Prism puts quotes around the id, which no shell takes off.
func parseBoot(args []string) (booted, error) {
	var b booted
	f := flag.NewFlagSet("boot", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&b.id, "id", "", "")
	f.StringVar(&b.provision, "provision_endpoint", "", "")
	for _, name := range []string{"logging_endpoint", "artifact_endpoint", "control_endpoint", "semi_persist_dir"} {
		f.String(name, "", "") // the provision endpoint tells them
	}
	if err := f.Parse(args); err != nil {
		return b, cli.Usagef("started as a worker of Beam: %v", err)
	}
	for _, value := range []*string{&b.id, &b.provision} {
		*value = strings.Trim(*value, `'"`)
	}
	if b.id == "" || b.provision == "" {
		return b, cli.Usagef("started as a worker of Beam with %q, wanted --id and --provision_endpoint", args)
	}
	return b, nil
}

// boot is a worker until the runner has no more work.
func boot(ctx context.Context, args []string) error {
	b, err := parseBoot(args)
	if err != nil {
		return err
	}
	ctx = grpcx.WriteWorkerID(ctx, b.id)
	info, err := tools.ProvisionInfo(ctx, b.provision)
	if err != nil {
		return fmt.Errorf("worker %s: %s: %w", b.id, b.provision, err)
	}
	logging, control := info.GetLoggingEndpoint().GetUrl(), info.GetControlEndpoint().GetUrl()
	if logging == "" || control == "" {
		return fmt.Errorf("worker %s: %s names the endpoints %q for logging and %q for control, wanted both", b.id, b.provision, logging, control)
	}
	return harness.MainWithOptions(ctx, logging, control, harness.Options{
		StatusEndpoint:     info.GetStatusEndpoint().GetUrl(),
		RunnerCapabilities: info.GetRunnerCapabilities(),
	})
}

// pool is the worker pool of a machine until it is stopped: it keeps its model from one job to the
// next.
func pool(ctx context.Context, port int, stderr io.Writer) error {
	server, err := extworker.StartLoopback(context.WithoutCancel(ctx), port)
	if err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	fmt.Fprintf(stderr, "workers at %s\n", server.EnvironmentConfig(ctx))
	<-ctx.Done()
	return errors.Join(ctx.Err(), server.Stop(ctx))
}
