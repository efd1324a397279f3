package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// answer is what a driver says of a job.
type answer struct {
	Figures Figures `json:"figures"`
	Error   string  `json:"error,omitempty"`
}

// Serve does jobs from in with run, and writes their figures to out, until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer, run func(context.Context, Job) (Figures, error)) error {
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j Job
		if err := jobs.Decode(&j); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("reading a job: %w", err)
		}
		var a answer
		figures, err := run(ctx, j)
		if err != nil {
			a.Error = err.Error()
		}
		a.Figures = figures
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
}

// Driver is the driver of a system, seen from whoever started it. It is for one goroutine.
type Driver struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

// Start starts a driver. Its standard error is this process's. It is killed when ctx ends.
func Start(ctx context.Context, program string, args ...string) (*Driver, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a driver: %w", err)
	}
	d := newDriver(filepath.Base(program), in, out)
	d.cmd = cmd
	return d, nil
}

func newDriver(name string, in io.WriteCloser, out io.Reader) *Driver {
	return &Driver{name: name, in: in, answers: json.NewDecoder(out)}
}

// PID is the driver's process.
func (d *Driver) PID() int { return d.cmd.Process.Pid }

// Run has the driver do a job.
func (d *Driver) Run(j Job) (Figures, error) {
	if err := json.NewEncoder(d.in).Encode(j); err != nil {
		return Figures{}, fmt.Errorf("%s: %w", d.name, err)
	}
	return d.answer()
}

func (d *Driver) answer() (Figures, error) {
	var a answer
	if err := d.answers.Decode(&a); err != nil {
		return Figures{}, fmt.Errorf("%s: reading an answer: %w", d.name, err)
	}
	if a.Error != "" {
		return Figures{}, fmt.Errorf("%s: %s", d.name, a.Error)
	}
	return a.Figures, nil
}

// Close has the driver end, and waits for it.
func (d *Driver) Close() error {
	return errors.Join(d.in.Close(), d.cmd.Wait())
}
