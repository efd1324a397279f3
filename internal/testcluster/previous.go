package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// PreviousFile names the commit of the previous release, below the module's root.
const PreviousFile = "test/previous"

// BuildPrevious compiles the previous release into dir, from the history of the
// repository that the working directory is in.
func BuildPrevious(ctx context.Context, dir string) (string, error) {
	root, err := ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, PreviousFile))
	if err != nil {
		return "", fmt.Errorf("reading which release is the previous one: %w", err)
	}
	commit, err := parsePrevious(string(text))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", PreviousFile, err)
	}
	source := filepath.Join(dir, "previous")
	if err := extract(ctx, root, commit, source); err != nil {
		return "", fmt.Errorf("getting the source of the previous release: %w", err)
	}
	path := filepath.Join(dir, "pipesync-previous")
	return path, compile(ctx, source, path, false)
}

var errPreviousFormat = errors.New("want one line of 40 hexadecimal digits, beside lines that begin with #")

// parsePrevious returns the only line that is no comment.
func parsePrevious(text string) (commit string, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if commit != "" || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(line) {
			return "", errPreviousFormat
		}
		commit = line
	}
	if commit == "" {
		return "", errPreviousFormat
	}
	return commit, nil
}

// extract writes the files of a commit into dir, which it makes. It changes nothing in
// the repository.
func extract(ctx context.Context, repository, commit, dir string) error {
	if err := git(ctx, repository, "rev-parse", "--git-dir"); err != nil {
		return fmt.Errorf("this needs a clone of the repository, not its files alone: %w", err)
	}
	if err := git(ctx, repository, "cat-file", "-e", commit+"^{commit}"); err != nil {
		return fmt.Errorf("commit %s is not in this clone: fetch it with 'git fetch --unshallow', or 'git fetch origin %s': %w",
			commit, commit, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	archive := dir + ".tar"
	if err := git(ctx, repository, "archive", "--format=tar", "--output="+archive, commit); err != nil {
		return err
	}
	return errors.Join(run(exec.CommandContext(ctx, "tar", "-xf", archive, "-C", dir)), os.Remove(archive))
}

func git(ctx context.Context, repository string, args ...string) error {
	return run(exec.CommandContext(ctx, "git", append([]string{"-C", repository}, args...)...))
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
