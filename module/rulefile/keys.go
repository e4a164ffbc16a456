package rulefile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Keys reads a directory of keys, by their ids, as Kubernetes and systemd lay secrets out: names that start with a dot are
// their own.
func Keys(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	keys := make(map[string][]byte)
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		info, err := os.Stat(name)
		if strings.HasPrefix(entry.Name(), ".") || err == nil && info.IsDir() {
			continue
		}
		if keys[entry.Name()], err = os.ReadFile(name); err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
	}
	return keys, nil
}
