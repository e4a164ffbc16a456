//go:build linux

package test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestKillsWithSQLite kills a gateway that keeps its consents itself, while they change.
func TestKillsWithSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "consent.db")
	f := startFleet(t, "sqlite", file, "sqlite "+file)
	f.suffer(100, func() {
		for range 8 * long() {
			time.Sleep(time.Duration(500+rand.IntN(500)) * time.Millisecond)
			f.killGateways()
		}
	})
}

// TestFullDisk lets the disk under SQLite run full while consents change, and kills the gateway when there is space again.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	file := filepath.Join(dir, "consent.db")
	f := startFleet(t, "sqlite", file, "sqlite "+file)
	f.suffer(50, func() {
		time.Sleep(3 * time.Second)
		var filler string
		f.calm("a full disk", func() {
			filler = fillDisk(t, dir)
			before := f.refused()
			for range 100 {
				if f.refused() > before+20 {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			if f.refused() == before {
				t.Error("the disk is full, and every change is acknowledged")
			}
			// What is stored can be read nevertheless.
			f.allRecover(time.Now(), "the disk is full")
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			acked := f.acknowledged()
			for since := time.Now(); f.acknowledged() == acked; time.Sleep(10 * time.Millisecond) {
				if time.Since(since) > recovery {
					t.Fatal("there is space again, and no change is acknowledged")
				}
			}
		})
		f.killGateways()
	})
}

// smallDisk mounts a file system of 12 MiB until the test ends: SQLite's write-ahead log takes 4 before it is written back.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("minimize-test", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Skipf("a small file system cannot be mounted (%v): this test needs root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk writes a file until nothing more fits.
func fillDisk(t *testing.T, dir string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return file.Name()
}

// refused is how many changes were not acknowledged.
func (f *fleet) refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unknown
}
