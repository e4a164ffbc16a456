// Package postgres starts throw-away PostgreSQL clusters for tests: real servers, which tests may kill.
package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-minimize/minimize/test/missing"
)

// Cluster is a server of its own, with its own data, on a port of 127.0.0.1.
type Cluster struct {
	t         testing.TB
	bin       string // the folder of initdb and postgres
	dir       string
	port      int
	owner     *syscall.Credential // nil: who runs the test
	server    *exec.Cmd           // nil: not running
	databases int
}

// Start starts a cluster that is stopped and removed when the test ends. Where PostgreSQL is not installed, the test is
// skipped.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t, bin: binaries()}
	if c.bin == "" {
		missing.Tool(t, "PostgreSQL is not installed: this test needs initdb and postgres (apt-get install postgresql)")
	}
	// Not t.TempDir: only who runs the test may read its parents, and the path may be too long for a socket.
	var err error
	if c.dir, err = os.MkdirTemp("", "minimize-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.stop(syscall.SIGQUIT)
		os.RemoveAll(c.dir)
	})
	c.own()
	c.initialize()
	c.port = freePort(t)
	c.Restart()
	return c
}

// DSN names the cluster's first database.
func (c *Cluster) DSN() string { return c.dsn("postgres") }

// Port is the cluster's port on 127.0.0.1, for tests that put something between.
func (c *Cluster) Port() int { return c.port }

// NewDatabase makes an empty database, so that one cluster serves many tests.
func (c *Cluster) NewDatabase(t testing.TB) (dsn string) {
	t.Helper()
	c.databases++
	name := fmt.Sprintf("test_%d", c.databases)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return c.dsn(name)
}

// Kill kills the server and every process of it with kill -9, as a crash does.
func (c *Cluster) Kill() {
	c.t.Helper()
	if c.server == nil {
		return
	}
	// Stopped, the postmaster starts no other child while we look for those that it has. Each is the leader of its own
	// process group, so that a group cannot be killed as one.
	pid := c.server.Process.Pid
	syscall.Kill(pid, syscall.SIGSTOP)
	for _, child := range children(pid) {
		syscall.Kill(child, syscall.SIGKILL)
	}
	c.stop(syscall.SIGKILL)
}

// Restart starts the server again with the same data on the same port, after Kill or while it runs, and returns when it
// answers.
func (c *Cluster) Restart() {
	c.t.Helper()
	c.stop(syscall.SIGQUIT)
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		if c.start() {
			return
		}
		// What was killed may hold its shared memory for a moment, and then the server ends at once.
		c.stop(syscall.SIGQUIT)
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(c.log())
	c.t.Fatalf("PostgreSQL does not start:\n%s", log)
}

func (c *Cluster) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

func (c *Cluster) log() string { return filepath.Join(c.dir, "log") }

// own gives the folder to the account "postgres" where the test runs as root, whom PostgreSQL refuses.
func (c *Cluster) own() {
	c.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		missing.Tool(c.t, "there is no account postgres, and PostgreSQL does not run as root: run this test as somebody else")
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	c.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(c.dir, uid, gid); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	// A test that panics or runs out of time leaves no server behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

func (c *Cluster) initialize() {
	c.t.Helper()
	out, err := c.command("initdb", "-D", filepath.Join(c.dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		c.t.Fatalf("initdb: %v\n%s", err, out)
	}
}

// start reports whether the server answers. fsync is on: tests kill it.
func (c *Cluster) start() bool {
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd := c.command("postgres", "-D", filepath.Join(c.dir, "data"), "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+c.dir, "-c", "max_connections=200")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.server = cmd
	for range 1500 {
		if c.answers() {
			return true
		}
		if ended(cmd.Process.Pid) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func (c *Cluster) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.DSN())
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx) == nil
}

// stop ends the server and returns when none of its processes is left.
func (c *Cluster) stop(signal syscall.Signal) {
	if c.server == nil {
		return
	}
	pid := c.server.Process.Pid
	left := children(pid)
	syscall.Kill(pid, signal)
	c.server.Wait()
	for _, child := range left {
		for range 500 {
			if ended(child) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	c.server = nil
}

// binaries is the folder of the newest server that is installed; Debian has it outside of PATH.
func binaries() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	return filepath.Dir(newest)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func children(parent int) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && status(pid, "PPid") == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ended reports whether a process is gone, or waits for nothing but its parent's notice.
func ended(pid int) bool {
	state := status(pid, "State")
	return state == "" || state[0] == 'Z'
}

// status reads a line of /proc/PID/status.
func status(pid int, name string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
