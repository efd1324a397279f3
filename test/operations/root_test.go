package operations

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// searchPath is where a machine's commands are. What isn't of the machine itself is the
// host's, which it sees in /host.
const searchPath = "PATH=/usr/sbin:/usr/bin:/host/usr/sbin:/host/usr/bin"

// makeRoot makes a machine's root directory: files of its own, and the host's programs
// and libraries, read-only. Whoever removes it must not see the mounts that it has here;
// shims are the commands that this program stands for.
func makeRoot(root string, shims ...string) error {
	for _, dir := range []string{
		"dev", "etc/alternatives", "etc/default", "etc/pam.d", "host/usr", "proc", "root", "run/systemd/system", "tmp", "usr/bin", "usr/sbin", "usr/share",
		"usr/lib/systemd/system", "usr/lib/sysusers.d", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return fmt.Errorf("asking dpkg for the architecture: %w", err)
	}
	// What dpkg has to know: the package depends on systemd.
	const systemd = "Package: systemd\nStatus: install ok installed\nVersion: 252\nArchitecture: %s\nMaintainer: nobody\nDescription: the tests' own\n"
	for file, text := range map[string]string{
		"etc/passwd":          "root:x:0:0:root:/root:/bin/bash\n",
		"etc/group":           "root:x:0:\n",
		"etc/pam.d/runuser":   "auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
		"var/lib/dpkg/status": fmt.Sprintf(systemd, strings.TrimSpace(string(arch))),
	} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	errs := []error{
		show("bind,ro", "/usr", filepath.Join(root, "host/usr")),
		show("bind,ro", "/etc/alternatives", filepath.Join(root, "etc/alternatives")),
		show("rbind", "/proc", filepath.Join(root, "proc")),
		os.Symlink("/proc/self/fd", filepath.Join(root, "dev/fd")),
		os.Chmod(filepath.Join(root, "tmp"), 0o777|fs.ModeSticky),
		os.Chmod(filepath.Join(root, "root"), 0o700),
		linkLibraries(root),
	}
	for _, device := range []string{"null", "zero", "random", "urandom"} {
		errs = append(errs, showFile("bind", "/dev/"+device, filepath.Join(root, "dev", device)))
	}
	for _, shim := range shims {
		errs = append(errs, showFile("bind,ro", self, filepath.Join(root, "usr/bin", shim)))
	}
	return errors.Join(errs...)
}

// linkLibraries has the root find the host's libraries and the programs that others
// name by their paths.
func linkLibraries(root string) error {
	libraries, err := filepath.Glob("/usr/lib/*")
	if err != nil {
		return err
	}
	links := map[string]string{ // where it is → what it is
		"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "/host/usr/lib64",
		"usr/bin/sh": "/host/usr/bin/sh", "usr/bin/bash": "/host/usr/bin/bash", "usr/bin/env": "/host/usr/bin/env",
	}
	for _, path := range libraries {
		if name := path[1:]; !isIn(root, name) {
			links[name] = "/host" + path
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

func isIn(root, name string) bool {
	_, err := os.Lstat(filepath.Join(root, name))
	return err == nil
}

// show mounts a directory or file of the host in another place.
func show(options, from, to string) error {
	if out, err := exec.Command("mount", "-o", options, from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("mounting %s at %s: %w: %s", from, to, err, out)
	}
	return nil
}

func showFile(options, from, to string) error {
	if err := os.WriteFile(to, nil, 0o755); err != nil {
		return err
	}
	return show(options, from, to)
}
